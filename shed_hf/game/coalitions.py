"""From the rows in a ledger back to the coalitions of players that brought them."""

from collections.abc import Callable, Sequence

import numpy as np

from shed_hf.game.entry import Entry
from shed_hf.game.ledger import Ledger
from shed_hf.types import BoolVector, CoalitionMatrix, FloatMatrix, IntVector


def coalitions_of(
    ledger: Ledger, players: Sequence[IntVector], continued: bool = False
) -> tuple[CoalitionMatrix, FloatMatrix]:
    """The coalitions of these players that a ledger holds, and their outcomes.

    Entries with rows of other players, or with only a part of a player's rows, are left out.

    Args:
        ledger: What was measured, by whatever estimator.
        players: The row ids that each player brings.
        continued: Take the entries from inside continued training runs (several blocks), whose outcomes depend on the
            order of the blocks, instead of the coalitions that were trained from θ₀ by themselves.

    Returns:
        The coalitions ``(m, n_players)`` and their outcomes ``(m, n_items)``; ``(0, n_players)`` and ``(0, 0)`` where
        there are none.
    """
    of_entry = coalition_of(players)
    found = [(of_entry(entry), entry.outcome) for entry in ledger if (len(entry.blocks) > 1) == continued]
    kept = [(coalition, outcome) for coalition, outcome in found if coalition is not None]
    if not kept:
        return np.zeros((0, len(players)), dtype=np.bool_), np.zeros((0, 0))
    return np.stack([coalition for coalition, _ in kept]), np.stack([outcome for _, outcome in kept])


def coalition_of(players: Sequence[IntVector]) -> Callable[[Entry], BoolVector | None]:
    """A function that says which players an entry's rows belong to.

    Args:
        players: The row ids that each player brings.

    Returns:
        A function from an entry to its coalition ``(n_players,)``, or to None where the entry has rows of nobody here
        or only a part of a player's rows.
    """
    counts, sizes = _brought_by(players), np.array([len(rows) for rows in players])

    def coalition(entry: Entry) -> BoolVector | None:
        brought = counts(entry)
        return brought > 0 if brought is not None and ((brought == 0) | (brought == sizes)).all() else None

    return coalition


def entries_of(ledger: Ledger, players: Sequence[IntVector]) -> list[Entry]:
    """What a ledger holds of a game of these players: their coalitions, and the halves of all of them.

    Args:
        ledger: What was measured, of other players too.
        players: The row ids that each player brings.

    Returns:
        The entries in the ledger's order, that of no rows among them.
    """
    counts, sizes = _brought_by(players), np.array([len(rows) for rows in players])

    def is_theirs(entry: Entry) -> bool:
        brought = counts(entry)
        if brought is None:
            return False
        return bool(((brought == 0) | (brought == sizes)).all() or (brought == sizes // 2).all())

    return [entry for entry in ledger if is_theirs(entry)]


def _brought_by(players: Sequence[IntVector]) -> Callable[[Entry], IntVector | None]:
    """From an entry to how many of its rows each player brings; None where it has rows of nobody here."""
    owner = {int(row): number for number, rows in enumerate(players) for row in rows}

    def brought(entry: Entry) -> IntVector | None:
        owners = [owner.get(row, -1) for block in entry.blocks for row in block]
        if -1 in owners:
            return None
        return np.bincount(np.array(owners, dtype=np.int64), minlength=len(players))

    return brought
