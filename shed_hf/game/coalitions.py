"""From the rows in a ledger back to the coalitions of players that brought them."""

from collections.abc import Callable, Sequence

import numpy as np

from shed_hf.game.ledger import Entry, Ledger
from shed_hf.types import BoolVector, CoalitionMatrix, FloatMatrix, IntVector


def coalitions_of(
    ledger: Ledger, players: Sequence[IntVector], continued: bool = False
) -> tuple[CoalitionMatrix, FloatMatrix]:
    """The coalitions ``(m, n_players)`` that were measured by themselves, and their outcomes ``(m, n_items)``; with
    ``continued`` those met along continued training runs instead, whose outcomes depend on the order inside the run.

    Rows that are not whole players are left out.
    """
    of_entry = coalition_of(players)
    found = [(of_entry(entry), entry.outcome) for entry in ledger if (len(entry.blocks) > 1) == continued]
    kept = [(coalition, outcome) for coalition, outcome in found if coalition is not None]
    if not kept:
        return np.zeros((0, len(players)), dtype=np.bool_), np.zeros((0, 0))
    return np.stack([coalition for coalition, _ in kept]), np.stack([outcome for _, outcome in kept])


def coalition_of(players: Sequence[IntVector]) -> Callable[[Entry], BoolVector | None]:
    """Tells which players' rows an entry holds ``(n_players,)``; None when it holds others or a part of some."""
    owner = {int(row): number for number, rows in enumerate(players) for row in rows}
    sizes = np.array([len(rows) for rows in players])

    def coalition(entry: Entry) -> BoolVector | None:
        owners = [owner.get(row, -1) for block in entry.blocks for row in block]
        if -1 in owners:
            return None
        brought = np.bincount(np.array(owners, dtype=np.int64), minlength=len(sizes))
        return brought > 0 if ((brought == 0) | (brought == sizes)).all() else None

    return coalition
