"""How far a game is, in training runs, as its bill counts, whatever is measured along a run; v(∅) is none of them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from shed_hf.game.entry import Entry
from shed_hf.game.game import Game
from shed_hf.game.utility import measurement_of
from shed_hf.types import CoalitionMatrix, IntVector
from shed_hf.utils.progress import Progress, progress


class Counter:
    """Counts what a game measures from now on; for `Game.watch`.

    Args:
        game: The game.
        shown: Where it is counted.
    """

    def __init__(self, game: Game, shown: Progress) -> None:
        self._game, self._shown = game, shown
        self._before = game.n_fine_tunings - shown.done

    def __call__(self, utility: float) -> None:
        """Bring the count up to date.

        Args:
            utility: The utility of the outcome that was measured, which may be one of several of a fine-tuning.
        """
        self._shown.reach(self._game.n_fine_tunings - self._before)


def n_trained(entries: Iterable[Entry]) -> int:
    """How many training runs some outcomes of one game are of, that of v(∅) not counted.

    Of a run that was measured along its way the end counts alone; it is that of all players.

    Args:
        entries: The outcomes.
    """
    runs = [entry.blocks for entry in entries if any(entry.blocks)]
    most = max((sum(map(len, blocks)) for blocks in runs), default=0)
    begun = {blocks[0] for blocks in runs if len(blocks) > 1}
    return sum(sum(map(len, blocks)) == most if len(blocks) > 1 else blocks[0] not in begun for blocks in runs)


def n_known(game: Game, coalitions: CoalitionMatrix, replicates: Sequence[int]) -> int:
    """How many of the measurements that will be asked for the ledger holds already, those of v(∅) not counted.

    Args:
        game: The game with its ledger.
        coalitions: ``(m, n_players)`` booleans, True where a player takes part.
        replicates: The number of the training order of each.
    """
    return sum(
        _is_known(game, np.flatnonzero(coalition), number)
        for coalition, number in zip(coalitions, replicates, strict=True)
        if coalition.any()
    )


def _is_known(game: Game, players: IntVector, replicate: int) -> bool:
    try:
        game.entry(players, replicate)
    except KeyError:
        return False
    return True


@contextmanager
def counting(doing: str, game: Game, most: int, known: int) -> Iterator[Progress]:
    """Show how far a game is while it is measured.

    Args:
        doing: What is done, as in ``"measuring"``.
        game: The game, which is watched from now on.
        most: The most measurements that it asks for, v(∅) not counted.
        known: How many of them its ledger holds already.

    Yields:
        The work.
    """
    with progress(doing, max(most - known, 0), measurement_of(game.utility)) as shown:
        game.watch = Counter(game, shown)
        yield shown
