"""Who speaks in a message: the names that chat templates know, and ShareGPT's for them."""

from collections.abc import Iterable

from shed_hf.data.examples import InvalidCell
from shed_hf.utils.nearest import nearest

ROLES = {"human": "user", "gpt": "assistant", "function_call": "assistant", "observation": "tool"}
"""ShareGPT's names of roles."""

KNOWN = {"user", "assistant", "system", "developer", "tool", "function", *ROLES}
"""The names that are common; chat templates may know others."""


def is_misspelt(role: str | None) -> bool:
    """Whether a role is a known one but for capitals or blanks around it: no chat template takes it for that one.

    Args:
        role: A message's role; None where it has none.

    Returns:
        False for known roles, and for names that are like none of them.
    """
    return role is not None and role not in KNOWN and role.strip().lower() in KNOWN


def read_role(role: str, column: str) -> str:
    """The role as chat templates name it.

    Args:
        role: A message's role.
        column: The column of the message, for the error message.

    Returns:
        The role; an unknown one as it is.

    Raises:
        InvalidCell: For a role that is a known one but for capitals or blanks.
    """
    if role not in KNOWN and is_misspelt(role):
        raise InvalidCell(
            column,
            f"holds a message of the role {role!r:.40}, which chat templates do not know; write "
            f"{role.strip().lower()!r}",
        )
    return ROLES.get(role, role)


def roles_in_words(roles: Iterable[str]) -> str:
    """The roles of a conversation that lacks an assistant's turn, with the one that may be meant for it.

    Args:
        roles: The roles of its turns.

    Returns:
        Such as ``its roles are ['user', 'asistant'], of which 'asistant' may mean 'assistant'``.
    """
    found = list(dict.fromkeys(roles))
    meant = next((role for role in found if role not in KNOWN and nearest(role, ["assistant"])), None)
    return f"its roles are {found!r:.120}" + ("" if meant is None else f", of which {meant!r:.40} may mean 'assistant'")
