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
    owner = {int(row): number for number, rows in enumerate(players) for row in rows}
    sizes = np.array([len(rows) for rows in players])

    def coalition(entry: Entry) -> BoolVector | None:
        owners = [owner.get(row, -1) for block in entry.blocks for row in block]
        if -1 in owners:
            return None
        brought = np.bincount(np.array(owners, dtype=np.int64), minlength=len(sizes))
        return brought > 0 if ((brought == 0) | (brought == sizes)).all() else None

    return coalition
