"""The game of SHED (arXiv 2405.00705): v(S) is what a model fine-tuned on the rows of coalition S can do.

Estimators ask for coalitions and never see a dataset. Utilities measure rows and never see a coalition. Between them
the game turns coalitions into rows, looks into the ledger first, and records what is measured anew.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from shed_hf.distributed.ranks import SingleProcess, Workers
from shed_hf.errors import InputError
from shed_hf.game.entry import Entry
from shed_hf.game.ledger import Ledger
from shed_hf.game.measurement import Batch, measured, shortened, split_among_ranks
from shed_hf.game.orders import TrainingOrders, hashed, keys_of
from shed_hf.game.utility import TrainableUtility, Utility, as_trainable_utility, concurrency_of
from shed_hf.types import CoalitionMatrix, FloatMatrix, FloatVector, IntVector, TrainingSequence

Aggregate: TypeAlias = Callable[[FloatMatrix], FloatVector]
"""Outcomes ``(m, n_items)`` to the utilities ``(m,)`` that the values are made of."""


@runtime_checkable
class WeightedAggregate(Protocol):
    """An aggregate that may be a weighted mean over evaluation items.

    ``weights()`` are those of ``outcomes @ weights()``, or None where the aggregate is another function.
    """

    def __call__(self, outcomes: FloatMatrix, /) -> FloatVector: ...

    def weights(self) -> FloatVector | None: ...


StoppingRule: TypeAlias = Callable[[FloatVector, FloatMatrix], bool]
"""From values ``(n_players,)`` and their covariance ``(n_players, n_players)``: is what they choose settled?"""


class Game:
    """The utilities of coalitions, each measured once and recorded in a ledger.

    Every coalition trains in an order of its own, and each of its replicates in another, so that their luck is
    independent (`shed_hf.game.orders`). An order depends on nothing but content and seed, so a coalition's outcome does
    not depend on who asks for it or when.

    Args:
        players: The row ids that each player brings; at least one each.
        utility: What measures the outcome of training on rows.
        ledger: Where outcomes are looked up and recorded; a new one in memory by default.
        digests: Row id to the content of its row; by default a row's content is its id.
        seed: The seed of the orders in which rows train.
        aggregate: Outcomes ``(m, n_items)`` to utilities ``(m,)``; the mean over items by default.
        watch: Called with the utility of every newly measured outcome.
        positions: ``(n_players, d)`` where the players are in embedding space, so that estimators may expect
            neighbours to be alike.
        settled: Tells estimators that more coalitions would not change what is chosen.
        workers: The ranks that measure; this process alone by default.

    Attributes:
        asked: The ledger's keys that were asked for, in order.
        measured: Of the ledger's keys, those that this game had to measure.
        n_fine_tunings: How many training runs were made for this game.
        extra_runs: The rows of training runs whose outcome is not in the ledger.

    Raises:
        InputError: Without players, or for a player without rows.
    """

    def __init__(
        self,
        players: Sequence[IntVector],
        utility: Utility | TrainableUtility,
        ledger: Ledger | None = None,
        digests: Mapping[int, bytes] | None = None,
        seed: int = 0,
        aggregate: Aggregate | None = None,
        watch: Callable[[float], None] | None = None,
        positions: FloatMatrix | None = None,
        settled: StoppingRule | None = None,
        workers: Workers | None = None,
    ) -> None:
        without = [number for number, rows in enumerate(players) if not len(rows)]
        if not len(players) or without:
            got = f"players {shortened(without)} bring none" if without else "got no players"
            raise InputError(f"every player of a game needs at least one row, {got}; leave out clusters without one")
        self.players = [np.asarray(rows, dtype=np.int64) for rows in players]
        self._rows_of = [rows.tolist() for rows in self.players]
        self.utility = as_trainable_utility(utility)
        self.ledger = Ledger() if ledger is None else ledger
        self.aggregate: Aggregate = _mean if aggregate is None else aggregate
        self.watch = watch
        self.positions, self.settled = positions, settled
        self.workers: Workers = SingleProcess() if workers is None else workers
        self.asked: dict[str, None] = {}
        self.measured: set[str] = set()
        self._ends: set[str] = set()
        self.n_fine_tunings = 0
        self.extra_runs: list[IntVector] = []
        rows = np.unique(np.concatenate(self.players))
        self._digests = hashed({int(row): digests[int(row)] if digests else b"%d" % row for row in rows})
        self._orders = TrainingOrders(self._digests, seed)

    @property
    def n_players(self) -> int:
        """The number of players."""
        return len(self.players)

    @property
    def together(self) -> bool:
        """Whether all ranks train every coalition together, because the utility spreads one model over them."""
        return self.workers.size > 1 and concurrency_of(self.utility).lockstep

    @property
    def n_apart(self) -> int:
        """How many ranks measure coalitions of their own at a time."""
        return 1 if self.together else self.workers.size

    @property
    def n_evaluations(self) -> int:
        """How many different outcomes were asked for so far, v(∅) included, from the ledger or measured."""
        return len(self.asked)

    def __call__(
        self, coalitions: CoalitionMatrix, replicate: int | Sequence[int] = 0, common: bool = False
    ) -> FloatVector:
        """The utilities v(S) of coalitions; each is fine-tuned once in every order that is asked for.

        Args:
            coalitions: ``(m, n_players)`` booleans, True where a player takes part.
            replicate: The number of the training order, one for all or one for each coalition.
            common: Whether coalitions of one number train in the order of all players' rows with that number, instead
                of each in its own. The differences of their utilities have less luck in them, and it is not
                independent.

        Returns:
            ``(m,)`` utilities.

        Raises:
            InputError: For coalitions of another type or shape.
            Diverged: When an outcome is not finite; what was measured before is in the ledger.
        """
        return self.aggregate(self.outcomes(coalitions, replicate, common))

    def outcomes(
        self, coalitions: CoalitionMatrix, replicate: int | Sequence[int] = 0, common: bool = False
    ) -> FloatMatrix:
        """The outcomes of coalitions, one per evaluation item.

        Args:
            coalitions: ``(m, n_players)`` booleans, True where a player takes part.
            replicate: The number of the training order, one for all or one for each coalition.
            common: Whether coalitions share the order with that number.

        Returns:
            ``(m, n_items)`` outcomes.

        Raises:
            InputError: For coalitions of another type or shape.
            Diverged: When an outcome is not finite; what was measured before is in the ledger.
        """
        return np.stack([entry.outcome for entry in self.measurements(coalitions, replicate, common)])

    def measurements(
        self, coalitions: CoalitionMatrix, replicate: int | Sequence[int] = 0, common: bool = False
    ) -> list[Entry]:
        """The ledger's entries of coalitions, which are measured where they are not there yet.

        Args:
            coalitions: ``(m, n_players)`` booleans, True where a player takes part.
            replicate: The number of the training order, one for all or one for each coalition.
            common: Whether coalitions share the order with that number.

        Returns:
            An entry for each coalition. Two replicates have the same entry where rows are too few for another order.

        Raises:
            InputError: For coalitions of another type or shape.
            Diverged: When an outcome is not finite; what was measured before is in the ledger.
        """
        coalitions = np.atleast_2d(np.asarray(coalitions))
        if coalitions.dtype != np.bool_ or coalitions.ndim != 2 or coalitions.shape[1] != self.n_players:
            raise InputError(
                f"coalitions are {coalitions.dtype} of shape {coalitions.shape}, the game has {self.n_players} "
                f"players; pass (m, {self.n_players}), True where a player takes part"
            )
        numbers = np.broadcast_to(np.asarray(replicate, dtype=np.int64), len(coalitions)).tolist()
        walks = [
            [self.rows(np.flatnonzero(coalition), number, common)]
            for coalition, number in zip(coalitions, numbers, strict=True)
        ]
        return [entries[-1] for entries in self._measure(walks)]

    def along(
        self, orders: Sequence[Sequence[IntVector]], replicates: Sequence[int] | None = None
    ) -> list[FloatVector]:
        """The utilities after each block of players, where one training run continues through each order.

        One run measures every prefix of an order, but a prefix's outcome then depends on the order inside it. It is
        recorded under that order and never taken for the outcome of the coalition.

        Args:
            orders: For each training run its blocks of player numbers, in their order of training.
            replicates: For each training run the number of the order of the rows inside its blocks; 0 by default.

        Returns:
            For each order the utilities ``(n_blocks,)``.

        Raises:
            Diverged: When an outcome is not finite; what was measured before is in the ledger.
        """
        return [self.aggregate(outcomes) for outcomes in self.outcomes_along(orders, replicates)]

    def outcomes_along(
        self, orders: Sequence[Sequence[IntVector]], replicates: Sequence[int] | None = None
    ) -> list[FloatMatrix]:
        """The same as `along`, as outcomes per evaluation item.

        Args:
            orders: For each training run its blocks of player numbers, in their order of training.
            replicates: For each training run the number of the order of the rows inside its blocks; 0 by default.

        Returns:
            For each order the outcomes ``(n_blocks, n_items)``.

        Raises:
            Diverged: When an outcome is not finite; what was measured before is in the ledger.
        """
        numbers = [0] * len(orders) if replicates is None else replicates
        walks = [
            [self.rows(block, number, common=True) for block in order]
            for order, number in zip(orders, numbers, strict=True)
        ]
        return [np.stack([entry.outcome for entry in entries]) for entries in self._measure(walks)]

    def outcomes_of_halves(self, numbers: Sequence[int]) -> FloatMatrix:
        """The outcomes of training on one half of every player's rows and on the other (`TrainingOrders.halves`).

        Args:
            numbers: The ways of dealing rows to the halves.

        Returns:
            ``(m, 2, n_items)`` outcomes.

        Raises:
            Diverged: When an outcome is not finite; what was measured before is in the ledger.
        """
        walks = [[half] for number in numbers for half in self._orders.halves(self.players, number)]
        outcomes = np.stack([entries[-1].outcome for entries in self._measure(walks)])
        return outcomes.reshape(len(numbers), 2, -1)

    def note_run(self, rows: IntVector) -> None:
        """Count a training run that was made for this game beside its coalitions.

        Args:
            rows: The row ids in their order of training.
        """
        self.n_fine_tunings += 1
        self.extra_runs.append(rows)

    def ends(self) -> tuple[float, float]:
        """v(∅), the untouched model, and v(N), all players together."""
        empty = self(np.zeros((1, self.n_players), np.bool_))  # one by one, so that each has its own time
        grand = self(np.ones((1, self.n_players), np.bool_))
        return float(empty[0]), float(grand[0])

    def seconds_of_ends(self) -> tuple[float, float]:
        """How long v(∅) and v(N) took to measure, whenever that was."""
        self.ends()
        return self.entry(np.arange(0)).seconds, self.entry(np.arange(self.n_players)).seconds

    def entry(self, players: IntVector, replicate: int = 0) -> Entry:
        """What the ledger holds of a coalition that was measured.

        Args:
            players: The numbers of the players that take part.
            replicate: The number of the order.

        Raises:
            KeyError: For a coalition that was not measured in that order.
        """
        return self.ledger.entry(self._keys([self.rows(players, replicate)])[-1])

    def rows(self, players: IntVector, replicate: int = 0, common: bool = False) -> IntVector:
        """The row ids that some players bring together, in their order of training.

        Args:
            players: The numbers of the players.
            replicate: The number of the order.
            common: Whether it is the order of all players' rows, instead of these players' own.

        Returns:
            ``(n_rows,)`` row ids, each once.
        """
        brought = {row for player in players for row in self._rows_of[player]}
        return self._orders.common(brought, replicate) if common else self._orders.own(brought, replicate)

    def _measure(self, walks: Sequence[TrainingSequence]) -> list[list[Entry]]:
        keys = [self._keys(walk) for walk in walks]
        self.asked.update((key, None) for walk_keys in keys for key in walk_keys)
        missing = {k[-1]: w for w, k in enumerate(keys) if any(key not in self.ledger for key in k)}
        if missing:
            self._run(Batch(walks, keys).part(list(missing.values())))
        return [[self.ledger.entry(key) for key in walk_keys] for walk_keys in keys]

    def _run(self, batch: Batch) -> None:
        self._ends = {keys[-1] for keys in batch.keys}
        if self.together:
            self.workers.on_every_rank("fine-tune together", batch, self._measured_together)
            return
        parts = split_among_ranks(batch, self.workers.size, concurrency_of(self.utility).max_batched_coalitions)
        for _, entries in self.workers.map("fine-tune", parts, self._measured_here):
            for entry in entries:  # those of other ranks are news
                if entry.key not in self.ledger:
                    self._keep(entry)

    def _measured_together(self, batch: Batch) -> None:
        """Measure on this rank, which records the outcomes; the others know them as well."""
        self._measured_here(batch)

    def _measured_here(self, batch: Batch) -> list[Entry]:
        return measured(self.utility, batch, self.players, self._keep)

    def _keep(self, entry: Entry) -> None:
        self._check_items(len(entry.outcome))
        self.ledger.put(entry)
        self.measured.add(entry.key)
        self.n_fine_tunings += entry.key in self._ends and any(entry.blocks)
        if self.watch is not None:
            self.watch(float(self.aggregate(entry.outcome[None])[0]))

    def _check_items(self, n_items: int) -> None:
        known = next((len(entry.outcome) for entry in self.ledger), n_items)
        if n_items != known:
            raise InputError(
                f"the utility returned {n_items} outcomes, those before it have {known} per coalition; evaluate the "
                "same items every time and on every rank, or pass another path as ledger="
            )

    def _keys(self, walk: TrainingSequence) -> list[str]:
        return keys_of(walk, self._digests)


def _mean(outcomes: FloatMatrix) -> FloatVector:
    return np.asarray(outcomes.mean(axis=1), dtype=np.float64)
