"""The name that somebody may have meant, for errors about names that there are not."""

import difflib
from collections.abc import Callable, Iterable

LIKE_ENOUGH = 0.6
"""From which ratio of letters in common a name is proposed."""


def nearest(name: object, known: Iterable[str], like_enough: float = LIKE_ENOUGH) -> str | None:
    """The name that is most like what was said, one of the very same letters before all others; capital letters,
    blanks, dashes and underscores are all the same.

    Args:
        name: What was said.
        known: The names there are.
        like_enough: The least share of letters in common, in (0, 1].

    Returns:
        The name; None where none is like it.
    """
    by_letters = {_letters(each): each for each in reversed(list(known))}
    said = _letters(str(name))
    found = difflib.get_close_matches(said, by_letters, len(by_letters) or 1, like_enough)
    swapped = [each for each in found if sorted(each) == sorted(said)]  # two letters that changed places
    best = next(iter([*swapped, *found]), None)
    return None if best is None else by_letters[best]


def did_you_mean(
    name: object,
    known: Iterable[str],
    like_enough: float = LIKE_ENOUGH,
    shown: Callable[[str], str] = lambda near: near,
) -> str:
    """The question for the middle of an error's message.

    Args:
        name: What was said.
        known: The names there are.
        like_enough: The least share of letters in common, in (0, 1].
        shown: How a name is shown, such as a file's with its folder; by default as it is.

    Returns:
        Such as ``did you mean 'qocs'? ``, with a blank at its end; empty where no name is like it.
    """
    near = nearest(name, known, like_enough)
    return "" if near is None else f"did you mean {shown(near)!r}? "


def unknown_name(argument: str, value: object, known: Iterable[str], otherwise: str = "") -> str:
    """The message of an error about a word that is none of those there are.

    Args:
        argument: What the caller passed it as.
        value: What was passed.
        known: The words there are, in the order in which they are shown.
        otherwise: What else may be passed.

    Returns:
        Such as ``sampler='qozs' is unknown; did you mean 'qocs'? pass one of qocs, qwcs, random``.
    """
    names = list(known)
    meant = did_you_mean(value, names) if isinstance(value, str) else ""
    besides = f", or {otherwise}" if otherwise else ""
    return f"{argument}={value!r:.80} is unknown; {meant}pass one of {', '.join(names)}{besides}"


def _letters(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(" ", "-").strip("-")
