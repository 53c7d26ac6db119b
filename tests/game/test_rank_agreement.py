"""Ranks that measure something else than rank 0 are named before anything is fine-tuned."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from torch.distributed import HashStore

from shed_hf import Game, InputError
from shed_hf.distributed.messages import Codec, record
from shed_hf.distributed.ranks import MultiProcess, SingleProcess
from shed_hf.game import rank_agreement
from shed_hf.game.rank_agreement import Probe, check_ranks_agree, probe
from shed_hf.game.utility import as_trainable_utility
from shed_hf.types import FloatVector, IntVector
from tests.helpers.thread_ranks import at_once

PLAYERS = [np.array([0, 1]), np.array([5, 9])]
CODEC = Codec([record(Probe)])


class Sums:
    """A set of rows is worth the sum of its row numbers times a factor, beside a base, on three items."""

    def __init__(self, base: float = 0.25, factor: float = 1.0, n_items: int = 3) -> None:
        self.base, self.factor, self.n_items, self.seen = base, factor, n_items, []

    def __call__(self, row_sets: Sequence[IntVector]) -> np.ndarray:
        self.seen += [rows.tolist() for rows in row_sets]
        return np.array(
            [[self.base * (1 + i) + self.factor * rows.sum() for i in range(self.n_items)] for rows in row_sets]
        )


class Trains(Sums):
    """The same as a utility that trains."""

    def measure(self, walks: Any, record: Callable[[int, int, FloatVector, dict[str, float]], None]) -> None:
        for w, walk in enumerate(walks):
            for b in range(len(walk)):
                record(w, b, self([np.concatenate(walk[: b + 1])])[0], {})

    def trainable(self, rows: IntVector) -> np.ndarray:
        return np.ones(len(rows), np.bool_)

    def n_tokens(self, rows: IntVector) -> int:
        return 0

    def describe(self) -> dict[str, Any]:
        return {}


def compared(*utilities: Any) -> tuple[Game, BaseException | None]:
    """Compare ranks that measure with these utilities, rank 0's first; the game, and what rank 0 raised."""
    store = HashStore()
    ranks = [MultiProcess(store, rank, len(utilities), CODEC) for rank in range(len(utilities))]
    games = [Game(PLAYERS, utility, workers=ranks[0]) for utility in utilities]

    def work(rank: int) -> None:
        with ranks[rank]:
            ranks[rank].work({"compare": lambda _: probe(games[rank].utility, PLAYERS)})

    def main() -> None:
        with ranks[0]:
            check_ranks_agree(games[0])
            ranks[0].end(None)

    raised, *_ = at_once(main, *(partial(work, rank) for rank in range(1, len(utilities))))
    return games[0], raised


@pytest.mark.parametrize("kind", [Sums, Trains])
def test_ranks_that_measure_alike_go_on_and_nothing_is_recorded(kind: type[Sums]) -> None:
    utilities = [kind(), kind(), kind()]
    game, raised = compared(*utilities)
    assert raised is None
    assert (len(game.ledger), game.n_evaluations, game.n_fine_tunings) == (0, 0, 0)
    expected = [[], [0, 1]] if kind is Sums else [[]]  # what trains is compared by the untouched model alone
    assert [utility.seen for utility in utilities] == [expected] * 3


@pytest.mark.parametrize("kind", [Sums, Trains])
@pytest.mark.parametrize("differing", [1, 2])
@pytest.mark.parametrize("base", [np.nextafter(0.25, 1), 0.26, -3.0, np.nan, np.inf])
def test_a_rank_that_measures_something_else_of_nothing_is_named(kind: type[Sums], differing: int, base: float) -> None:
    utilities = [kind(base if rank == differing else 0.25) for rank in range(3)]
    _, raised = compared(*utilities)
    assert isinstance(raised, InputError)
    assert str(raised).startswith(
        f"rank {differing} measures something else than rank 0 (v(∅) on item 0: {base:.17g} there, 0.25 on rank 0); "
    )


def test_a_callable_that_is_worth_the_same_of_nothing_is_found_out_by_the_first_player() -> None:
    _, raised = compared(Sums(factor=1.0), Sums(factor=-1.0))
    assert "rank 1 measures something else" in str(raised)
    assert "the outcome of the first player on item 0: -0.75 there, 1.25 on rank 0" in str(raised)


def test_other_items_are_a_difference() -> None:
    _, raised = compared(Sums(), Sums(n_items=4))
    assert "4 outcomes of a set of rows there, 3 on rank 0" in str(raised)


def test_outcomes_that_are_no_numbers_on_every_rank_are_left_to_the_game() -> None:
    assert compared(Sums(np.nan), Sums(np.nan))[1] is None


def test_a_utility_that_is_random_is_not_compared(capsys: pytest.CaptureFixture[str]) -> None:
    class Noisy(Sums):
        def __call__(self, row_sets: Sequence[IntVector]) -> np.ndarray:
            self.base = np.random.default_rng().normal()
            return super().__call__(row_sets)

    assert compared(Noisy(), Noisy())[1] is None
    assert "does not measure v(∅) alike twice, so ranks are not compared" in capsys.readouterr().err


ALIKE, APART = 0.25 * (1 + 1e-4), 0.25 * 1.1


@pytest.mark.parametrize(
    ("devices", "base", "differs"),
    [
        (("cpu one", "cpu one"), ALIKE, True), (("cpu one", "cpu two"), ALIKE, False), (("A10G", "A10G"), ALIKE, False),
        (("A10G", "cpu one"), 0.25 * 1.005, False), (("A10G", "A10G"), 0.25 * 1.005, True),
        (("A10G", "H100"), APART, True), (("cpu one", "cpu two"), APART, True), (("A10G", "A10G"), np.nan, True),
    ],
)  # fmt: skip
def test_devices_of_one_kind_agree_more_closely_than_others(
    devices: tuple[str, str], base: float, differs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_rank = dict(zip(("rank 0", "rank 1"), devices, strict=True))
    monkeypatch.setattr(rank_agreement, "hardware", lambda: of_rank[threading.current_thread().name])
    assert (compared(Trains(), Trains(base))[1] is not None) == differs


def test_one_process_compares_nothing() -> None:
    utility = Sums()
    check_ranks_agree(Game(PLAYERS, utility, workers=SingleProcess()))
    assert utility.seen == []


def test_a_probe_measures_a_callable_twice_and_a_trainer_once() -> None:
    assert probe(as_trainable_utility(Sums()), PLAYERS).outcomes.tolist() == [[0.25, 0.5, 0.75], [1.25, 1.5, 1.75]]
    assert probe(Trains(), PLAYERS).outcomes.tolist() == [[0.25, 0.5, 0.75]]
