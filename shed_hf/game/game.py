"""The game: players bring rows, a coalition of players is worth what a model fine-tuned on their rows can do.

This is the waist of shed_hf. Estimators ask for coalitions and never see a dataset; utilities measure rows and never
see a coalition. Between them the game turns coalitions into rows, asks the ledger first, and writes down what is new.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from shed_hf.distributed.ranks import SingleProcess, Workers
from shed_hf.errors import InputError
from shed_hf.game.ledger import Entry, Ledger
from shed_hf.game.measurement import Batch, measured, shortened, split_among_ranks
from shed_hf.game.utility import TrainableUtility, Utility, as_trainable_utility, concurrency_of
from shed_hf.types import BoolVector, CoalitionMatrix, FloatMatrix, FloatVector, IntVector, TrainingSequence

Aggregate: TypeAlias = Callable[[FloatMatrix], FloatVector]
"""Outcomes ``(m, n_items)`` to the utilities ``(m,)`` that the values are made of."""


@runtime_checkable
class WeightedAggregate(Protocol):
    """An aggregate that may be a weighted mean: ``outcomes @ weights()``, or None where it is another function."""

    def __call__(self, outcomes: FloatMatrix, /) -> FloatVector: ...

    def weights(self) -> FloatVector | None: ...


StoppingRule: TypeAlias = Callable[[FloatVector, FloatMatrix], bool]
"""From values ``(n_players,)`` and their covariance ``(n_players, n_players)``: is what they choose settled?"""


class Game:
    """Values of coalitions, memoised and recorded.

    ``players[i]`` are the row ids that player *i* brings. ``digests`` maps a row id to the content of its row; rows
    train in the order of their seeded digests, a shuffle that depends on nothing but content, so a coalition's outcome
    does not depend on who asks for it or when. ``positions`` ``(n_players, d)`` say where the players stand, so that
    estimators may expect neighbours to be alike. ``watch`` is called with the value of every newly measured outcome;
    ``settled`` tells estimators, from values and covariance, that more coalitions would not change what is chosen.
    The ``workers`` are who measures. ``asked`` are the ledger's keys asked for, in order; ``extra_runs`` the rows of
    training runs whose outcome is not in the ledger.
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
        self.utility = as_trainable_utility(utility)
        self.ledger = Ledger() if ledger is None else ledger
        self.aggregate: Aggregate = _mean if aggregate is None else aggregate
        self.watch = watch
        self.positions, self.settled = positions, settled
        self.workers: Workers = SingleProcess() if workers is None else workers
        self.asked: dict[str, None] = {}
        self._ends: set[str] = set()
        self.n_fine_tunings = 0
        self.extra_runs: list[IntVector] = []
        rows = np.unique(np.concatenate(self.players))
        self._digests = hashed({int(row): digests[int(row)] if digests else b"%d" % row for row in rows})
        self._rank = {row: _hash(digest, key=seed) for row, digest in self._digests.items()}

    @property
    def n_players(self) -> int:
        """The number of players."""
        return len(self.players)

    @property
    def together(self) -> bool:
        """Whether all ranks train every coalition together, since its utility spreads one model over them."""
        return self.workers.size > 1 and concurrency_of(self.utility).lockstep

    @property
    def n_apart(self) -> int:
        """How many ranks measure coalitions of their own at a time."""
        return 1 if self.together else self.workers.size

    @property
    def n_evaluations(self) -> int:
        """How many different outcomes were asked for so far, v(∅) included, from the ledger or measured."""
        return len(self.asked)

    def __call__(self, coalitions: CoalitionMatrix) -> FloatVector:
        """The utilities v(S) of coalitions ``(m, n_players)``, as ``(m,)``; each different coalition is fine-tuned
        once.
        """
        return self.aggregate(self.outcomes(coalitions))

    def outcomes(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """The outcomes per evaluation item, ``(m, n_items)``. Raises `Diverged` when one is not finite."""
        coalitions = np.atleast_2d(np.asarray(coalitions))
        if coalitions.dtype != np.bool_ or coalitions.ndim != 2 or coalitions.shape[1] != self.n_players:
            raise InputError(
                f"coalitions are {coalitions.dtype} of shape {coalitions.shape}, the game has {self.n_players} "
                f"players; pass (m, {self.n_players}), True where a player takes part"
            )
        walks = [[self.rows(np.flatnonzero(coalition))] for coalition in coalitions]
        return np.stack([outcomes[-1] for outcomes in self._measure(walks)])

    def along(self, orders: Sequence[Sequence[IntVector]]) -> list[FloatVector]:
        """The utilities after each block of players of each order, by continuing one training run through the order.

        One run measures every prefix, but a prefix's outcome then depends on the order inside it: it is recorded under
        the order, and never mistaken for the coalition's own.
        """
        return [self.aggregate(outcomes) for outcomes in self.outcomes_along(orders)]

    def outcomes_along(self, orders: Sequence[Sequence[IntVector]]) -> list[FloatMatrix]:
        """The same as outcomes per evaluation item, ``(n_blocks, n_items)`` for each order."""
        walks = [[self.rows(block) for block in order] for order in orders]
        return [np.stack(outcomes) for outcomes in self._measure(walks)]

    def note_run(self, rows: IntVector) -> None:
        """Count a training run over ``rows`` in order that was made for this game beside its coalitions."""
        self.n_fine_tunings += 1
        self.extra_runs.append(rows)

    def ends(self) -> tuple[float, float]:
        """v(∅), the untouched model, and v(N), all players together."""
        empty = self(np.zeros((1, self.n_players), np.bool_))  # one by one, so that each has its own time
        grand = self(np.ones((1, self.n_players), np.bool_))
        return float(empty[0]), float(grand[0])

    def in_other_orders(self, n_orders: int) -> FloatVector:
        """v(N) when its rows are trained in other orders, ``(n_orders,)`` or fewer where there are no more: how far
        chance alone moves a utility.
        """
        everyone = self.rows(np.arange(self.n_players))
        orders = {tuple(self._keys([everyone])): everyone}
        for key in range(2**64, 2**64 + 50 * n_orders):
            rank = {row: _hash(self._digests[row], key=key) for row in everyone.tolist()}
            order = np.array(sorted(rank, key=rank.__getitem__), dtype=np.int64)
            orders.setdefault(tuple(self._keys([order])), order)
            if len(orders) > n_orders:
                break
        walks = [[order] for order in list(orders.values())[1:]]
        if not walks:
            return np.empty(0)
        return self.aggregate(np.stack([outcomes[-1] for outcomes in self._measure(walks)]))

    def seconds_of_ends(self) -> tuple[float, float]:
        """How long v(∅) and v(N) took to measure, whenever that was."""
        self.ends()
        return self.entry(np.arange(0)).seconds, self.entry(np.arange(self.n_players)).seconds

    def knows(self, coalition: BoolVector) -> bool:
        """Whether the outcome of a coalition ``(n_players,)`` is in the ledger."""
        return self._keys([self.rows(np.flatnonzero(coalition))])[-1] in self.ledger

    def entry(self, players: IntVector) -> Entry:
        """What the ledger holds of a coalition that was measured."""
        return self.ledger.entry(self._keys([self.rows(players)])[-1])

    def rows(self, players: IntVector) -> IntVector:
        """The row ids that ``players`` bring together, in their order of training."""
        brought = {int(row) for player in players for row in self.players[player]}
        return np.array(sorted(brought, key=self._rank.__getitem__), dtype=np.int64)

    def _measure(self, walks: Sequence[TrainingSequence]) -> list[list[FloatVector]]:
        keys = [self._keys(walk) for walk in walks]
        self.asked.update((key, None) for walk_keys in keys for key in walk_keys)
        missing = {k[-1]: w for w, k in enumerate(keys) if any(key not in self.ledger for key in k)}
        if missing:
            self._run(Batch(walks, keys).part(list(missing.values())))
        return [[self.ledger[key] for key in walk_keys] for walk_keys in keys]

    def _run(self, batch: Batch) -> None:
        self._ends = {keys[-1] for keys in batch.keys}
        if self.together:
            self.workers.on_every_rank("fine-tune together", batch, self._measured_here)
            return
        parts = split_among_ranks(batch, self.workers.size, concurrency_of(self.utility).max_batched_coalitions)
        for _, entries in self.workers.map("fine-tune", parts, self._measured_here):
            for entry in entries:  # those of other ranks are news
                if entry.key not in self.ledger:
                    self._keep(entry)

    def _measured_here(self, batch: Batch) -> list[Entry]:
        return measured(self.utility, batch, self.players, self._keep)

    def _keep(self, entry: Entry) -> None:
        self._check_items(len(entry.outcome))
        self.ledger.put(entry)
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


def hashed(contents: Mapping[int, bytes]) -> dict[int, bytes]:
    """Row ids to the digests that `keys_of` takes."""
    return {row: _hash(content) for row, content in contents.items()}


def keys_of(walk: TrainingSequence | Sequence[Sequence[int]], digests: Mapping[int, bytes]) -> list[str]:
    """The ledger's key after each block: the rows' content in their order of training, block by block."""
    keys = []
    hasher = hashlib.blake2b(digest_size=16)
    for block in walk:
        hasher.update(b"|%d:" % len(block))
        for row in block:
            hasher.update(digests[int(row)])
        keys.append(hasher.hexdigest())
    return keys


def _mean(outcomes: FloatMatrix) -> FloatVector:
    return np.asarray(outcomes.mean(axis=1), dtype=np.float64)


def _hash(content: bytes, key: int = 0) -> bytes:
    return hashlib.blake2b(content, digest_size=16, key=key.to_bytes(16, "little")).digest()
