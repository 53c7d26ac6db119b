"""Measuring the tunings of a comparison: every subset is a player of a game, measured alone in several orders."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shed_hf.comparison.design import Cell, Failure
from shed_hf.config.ledger_refusal import telling_what_changed
from shed_hf.curation.wire import CODEC
from shed_hf.data.pool import Pool
from shed_hf.distributed.launch import workers_of_launch
from shed_hf.distributed.ranks import MultiProcess, Workers
from shed_hf.errors import Diverged, RankError
from shed_hf.game.counting import Counter, n_known
from shed_hf.game.entry import Entry
from shed_hf.game.game import Game
from shed_hf.game.game_worker import gather_outcomes
from shed_hf.game.ledger import Ledger
from shed_hf.game.measurement import without_rows
from shed_hf.game.orders import order_entry
from shed_hf.game.rank_agreement import check_ranks_agree
from shed_hf.game.utility import TrainableUtility
from shed_hf.types import FloatVector, IntVector
from shed_hf.utils.progress import Progress
from shed_hf.utils.text import first_line
from shed_hf.verification.subsets_worker import work_on_subsets


@dataclass(frozen=True, eq=False)
class Tuned:
    """What was measured for one model.

    Attributes:
        outcomes: All outcomes of every tuning, by cell.
        untuned: Those of the model before tuning.
        seconds: How long every tuning took, evaluation included.
        untuned_seconds: How long the evaluation of the model before tuning took.
        failures: Tunings that could not be measured.
    """

    outcomes: dict[Cell, FloatVector]
    untuned: FloatVector
    seconds: dict[Cell, float]
    untuned_seconds: float
    failures: list[Failure] = field(default_factory=list)


class Subsets:
    """The different sets of rows of all cells, as players of a game; the same on every rank.

    Args:
        rows: Row ids by cell.
        utility: What tunes and measures.
        pool: The pool.
        seed: The seed of the orders in which rows train.
    """

    def __init__(self, rows: Mapping[Cell, IntVector], utility: TrainableUtility, pool: Pool, seed: int) -> None:
        self.utility, self.pool, self.seed = utility, pool, seed
        self.players: list[IntVector] = []
        self.player_of: dict[Cell, int] = {}
        self.failures: list[Failure] = []
        known: dict[bytes, int] = {}
        for cell, of_cell in rows.items():
            content = of_cell.tobytes()
            if content not in known:
                known[content] = self._admitted(of_cell)
            if known[content] < 0:
                why = f"no token of the {len(of_cell)} rows is learned within the model's maximum length"
                self.failures.append(Failure(*cell, "tuning", why))
            else:
                self.player_of[cell] = known[content]

    def _admitted(self, rows: IntVector) -> int:
        trainable = rows[self.utility.trainable(rows)]
        if not len(trainable):
            return -1
        self.players.append(trainable)
        return len(self.players) - 1

    def header(self) -> dict[str, Any]:
        """What determines an outcome besides the rows."""
        return {"dataset": self.pool.digest, "order": order_entry(self.seed), **self.utility.describe()}

    def game(self, ledger: Ledger, workers: Workers) -> Game:
        """The game of these players.

        Args:
            ledger: Where outcomes are looked up and recorded.
            workers: The ranks that measure.
        """
        digests = self.pool.digests_of(self.players)
        return Game(self.players, self.utility, ledger, digests, self.seed, workers=workers)

    @property
    def tunings(self) -> list[tuple[int, int]]:
        """The tunings that differ, each a player and a seed; cells of the same rows and seed share one."""
        return sorted({(player, cell.seed) for cell, player in self.player_of.items()})

    def n_rows(self, cells: Sequence[Cell]) -> int:
        """How many rows the tunings of some cells train on.

        Args:
            cells: The cells.
        """
        return sum(len(self.players[self.player_of[cell]]) for cell in cells)


def measure(
    subsets: Subsets, path: str | None, hold: Callable[[Ledger], None], shown: Progress, begun: Callable[[int], None]
) -> Tuned:
    """Measure every cell; those that diverge are left out and named. Every rank of a launch calls it.

    All cells are measured in one go. Where one diverges, the rest is measured cell by cell, which the ledger makes
    free for those that are there already.

    Args:
        subsets: The sets of rows.
        path: The ledger; None for memory.
        hold: Called with the ledger on rank 0, so that it is kept whatever happens.
        shown: Where tunings are counted.
        begun: Called on rank 0, before anything is measured, with how many of the tunings the ledger holds.

    Returns:
        What was measured, the same on every rank.

    Raises:
        InputError: Where ranks would measure differently.
        LedgerError: For a ledger of another run, or one that cannot be written.
        Diverged: Where the model before tuning has outcomes that are not finite.
    """
    cells, failures = list(subsets.player_of), list(subsets.failures)
    held = _Held(path, hold, begun)
    try:
        return _tuned(_together(subsets, cells, held, shown), cells, failures)
    except Diverged:
        untuned = _together(subsets, [], held, shown)
    found, good = [], []
    for cell in cells:
        try:
            found.append(_together(subsets, [cell], held, shown)[0])
            good.append(cell)
        except Diverged as error:
            failures.append(Failure(*cell, "tuning", without_rows(first_line(error))))
    return _tuned([*found, *untuned], good, failures)


@dataclass(eq=False)
class _Held:
    """Rank 0's ledger, opened once for all attempts; in memory it is the same ledger all the time."""

    path: str | None
    hold: Callable[[Ledger], None]
    begun: Callable[[int], None]
    memory: Ledger | None = None
    is_begun: bool = False

    def tell(self, game: Game, tunings: Sequence[tuple[int, int]]) -> None:
        """Say once how many of the tunings are known, each a player and the number of an order."""
        if not self.is_begun:
            self.is_begun = True
            alone = np.eye(game.n_players, dtype=np.bool_)[[player for player, _ in tunings]]
            self.begun(n_known(game, alone, [number for _, number in tunings]))

    def opened(self, header: dict[str, Any]) -> Ledger:
        if self.path is not None:
            with telling_what_changed():
                return Ledger(self.path, header)
        if self.memory is None:
            self.memory = Ledger(None, header)
            self.hold(self.memory)
        return self.memory


Measured = list[tuple[FloatVector, float]]
"""Outcomes and seconds of cells, and those of the untuned model last."""


def _tuned(found: Measured, cells: Sequence[Cell], failures: list[Failure]) -> Tuned:
    *of_cells, (untuned, untuned_seconds) = found
    pairs = list(zip(cells, of_cells, strict=True))
    return Tuned(
        {cell: outcome for cell, (outcome, _) in pairs},
        untuned,
        {cell: seconds for cell, (_, seconds) in pairs},
        untuned_seconds,
        failures,
    )


def _together(subsets: Subsets, cells: Sequence[Cell], held: _Held, shown: Progress) -> Measured:
    """Outcomes and seconds of some cells and of the untuned model, measured by all ranks."""
    with workers_of_launch(CODEC) as workers:
        if isinstance(workers, MultiProcess) and not workers.is_main:
            return _found(work_on_subsets(subsets, workers, held.path))
        workers.on_every_rank("ready", None, lambda _: True)  # every rank has closed the ledger of an attempt before
        ledger = held.opened(subsets.header())
        with ledger:
            gather_outcomes(ledger, subsets.header(), subsets.players, workers)
            game = subsets.game(ledger, workers)
            check_ranks_agree(game)
            held.tell(game, subsets.tunings)
            game.watch = Counter(game, shown)
            entries = _entries(game, subsets, cells)
        found = [(entry.outcome, entry.seconds) for entry in entries]
        workers.end(found)
    return found


def _entries(game: Game, subsets: Subsets, cells: Sequence[Cell]) -> list[Entry]:
    n = game.n_players
    untuned = game.measurements(np.zeros((1, n), dtype=np.bool_))
    if not cells:
        return untuned
    alone = np.eye(n, dtype=np.bool_)[[subsets.player_of[cell] for cell in cells]]
    return [*game.measurements(alone, [cell.seed for cell in cells]), *untuned]


def _found(content: Any) -> Measured:
    if not isinstance(content, list):
        raise RankError(
            f"rank 0 sent a {type(content).__name__} at its end, where outcomes were due; call compare in the same "
            "place on every rank"
        )
    return [(outcome, seconds) for outcome, seconds in content]
