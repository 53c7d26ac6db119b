"""The game: what is measured, how often, in which order of rows, and what survives a failure."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf.errors import Diverged, InputError
from shed_hf.game.game import Game
from shed_hf.game.ledger import Ledger
from shed_hf.game.measurement import without_rows
from shed_hf.game.utility import PlainUtility, as_trainable_utility
from shed_hf.types import FloatMatrix, FloatVector, IntVector
from tests.helpers.games import Training

quick = settings(max_examples=40, deadline=None)


class Plain:
    """A utility of two items per row set that writes down what it was asked for; ``spoil`` may alter the outcomes."""

    def __init__(self, spoil: Callable[[int, FloatMatrix], FloatMatrix] | None = None) -> None:
        self.calls: list[list[tuple[int, ...]]] = []
        self.spoil = spoil

    def __call__(self, row_sets: Sequence[IntVector]) -> FloatMatrix:
        self.calls.append([tuple(rows.tolist()) for rows in row_sets])
        outcomes = np.array([[rows.sum() ** 0.5, len(rows) ** 2.0] for rows in row_sets])
        return outcomes if self.spoil is None else self.spoil(len(self.calls), outcomes)

    @property
    def asked(self) -> list[tuple[int, ...]]:
        return [rows for call in self.calls for rows in call]


def singles(n: int) -> list[IntVector]:
    return [np.array([row]) for row in range(n)]


def all_coalitions(n: int) -> np.ndarray:
    return (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1


coalition_matrices = st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=40).map(np.array)


@quick
@given(first=coalition_matrices, second=coalition_matrices)
def test_each_different_coalition_is_measured_once_within_and_across_calls(
    first: np.ndarray, second: np.ndarray
) -> None:
    utility = Plain()
    game = Game(singles(4), utility)
    game(first), game(second)
    different = {tuple(line) for line in np.concatenate([first, second]).tolist()}
    assert len(utility.asked) == len(set(utility.asked)) == len(different) == game.n_evaluations == len(game.ledger)
    assert game.n_fine_tunings == len(different - {(False,) * 4})


def test_rows_of_equal_content_are_measured_as_one() -> None:
    utility = Plain()
    game = Game(singles(3), utility, digests={0: b"same", 1: b"same", 2: b"other"})
    only_first, only_second = game(np.array([[1, 0, 0], [0, 1, 0]], dtype=bool))
    assert only_first == only_second
    assert len(utility.asked) == 1
    game(np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0]], dtype=bool))
    assert len(utility.asked) == 3  # the pair of equals is another coalition than one of them


@quick
@given(coalitions=coalition_matrices)
def test_a_batch_of_coalitions_is_worth_what_they_are_one_at_a_time(coalitions: np.ndarray) -> None:
    for utility in (Plain, Training):
        batch = Game(singles(4), utility()).outcomes(coalitions)
        game = Game(singles(4), utility())
        np.testing.assert_array_equal(batch, np.concatenate([game.outcomes(line) for line in coalitions]))
        np.testing.assert_array_equal(game(coalitions), batch.mean(axis=1))


@quick
@given(names=st.permutations(range(12)), players=st.permutations(range(4)), seed=st.integers(0, 2**31))
def test_rows_train_in_an_order_of_content_and_seed_alone(names: list[int], players: list[int], seed: int) -> None:
    """Whatever the rows are called, whichever player brings them and in which order."""
    rows, named = np.arange(12).reshape(4, 3), np.array(names)
    first = Game(list(rows), Plain(), digests={row: b"content %d" % row for row in range(12)}, seed=seed)
    digests = {names[row]: b"content %d" % row for row in range(12)}
    second = Game([named[rows[player]][::-1] for player in players], Plain(), digests=digests, seed=seed)
    for coalition in ([0, 1, 2, 3], [0, 2]):
        there = [players.index(player) for player in coalition]
        assert named[first.rows(np.array(coalition))].tolist() == second.rows(np.array(there)).tolist()


def test_the_order_of_rows_is_a_shuffle_that_changes_with_seed_coalition_and_replicate() -> None:
    games = [Game([np.arange(50), np.arange(50, 99)], Plain(), seed=seed) for seed in range(5)]
    orders = [game.rows(np.arange(2), replicate) for game in games for replicate in range(3)]
    assert len({tuple(order) for order in orders}) == 15
    assert all(sorted(order) == list(range(99)) != list(order) for order in orders)
    alone, together = games[3].rows(np.array([0])), games[3].rows(np.arange(2))
    assert alone.tolist() != [row for row in together.tolist() if row < 50]


def test_a_common_order_is_that_of_all_rows_and_holds_in_every_coalition() -> None:
    game = Game([np.arange(50), np.arange(50, 99)], Plain(), seed=3)
    for replicate in range(3):
        together = game.rows(np.arange(2), replicate)
        assert game.rows(np.arange(2), replicate, common=True).tolist() == together.tolist()
        alone = game.rows(np.array([0]), replicate, common=True)
        assert alone.tolist() == [row for row in together.tolist() if row < 50]


@pytest.mark.parametrize(("n_rows", "n_orders"), [(1, 1), (2, 2), (3, 6), (4, 7), (8, 7), (9, 7)])
def test_replicates_are_other_orders_as_far_as_there_are_any(n_rows: int, n_orders: int) -> None:
    """With so few rows an order drawn at random is often one that was there already, which would measure nothing."""
    for seed in range(20):
        game = Game([np.arange(n_rows)], Plain(), seed=seed)
        orders = [tuple(game.rows(np.array([0]), replicate).tolist()) for replicate in range(7)]
        assert len(set(orders)) == n_orders
        assert orders == [tuple(game.rows(np.array([0]), replicate).tolist()) for replicate in range(7)]


@pytest.mark.parametrize("contents", ["aa", "aab", "abab", "aaabbc", "aaaaaa"])
def test_few_rows_of_which_some_repeat_have_as_many_orders_as_contents(contents: str) -> None:
    """Rows of one content train one after another, so no more orders can be had than contents can be put in."""
    game = Game([np.arange(len(contents))], Plain(), digests={row: mark.encode() for row, mark in enumerate(contents)})
    orders = ["".join(contents[row] for row in game.rows(np.array([0]), replicate)) for replicate in range(30)]
    assert len(set(orders)) == math.factorial(len(set(contents)))
    assert all(sorted(order) == sorted(contents) for order in orders)


def test_a_replicate_is_measured_anew_and_each_coalition_may_have_its_own_number() -> None:
    game = Game([np.arange(4), np.arange(4, 8)], Training())
    both = np.ones((3, 2), dtype=bool)
    first, second, again = game.measurements(both, [0, 1, 0])
    assert first.key == again.key != second.key
    assert game.n_fine_tunings == 2 == game.n_evaluations
    assert game.measurements(both[:1], 1)[0] is second


def test_the_ledger_answers_a_rerun_under_other_row_ids() -> None:
    digests = {row: b"content %d" % row for row in range(3)}
    ledger = Ledger()
    before = Game(singles(3), Plain(), ledger, digests)(all_coalitions(3))
    rerun = Plain()
    shifted = {row + 100: digest for row, digest in digests.items()}
    after = Game([rows + 100 for rows in singles(3)], rerun, ledger, shifted)(all_coalitions(3))
    assert rerun.calls == []
    assert before.tolist() == after.tolist()


def raises_on_call(number: int, error: BaseException) -> Callable[[int, FloatMatrix], FloatMatrix]:
    def spoil(call: int, outcomes: FloatMatrix) -> FloatMatrix:
        if call == number:
            raise error
        return outcomes

    return spoil


@pytest.mark.parametrize("error", [MemoryError("full"), KeyboardInterrupt()], ids=repr)
def test_what_was_measured_before_an_interruption_is_kept_and_not_measured_again(error: BaseException) -> None:
    ledger = Ledger()
    with pytest.raises(type(error)):
        Game(singles(6), Plain(raises_on_call(3, error)), ledger)(all_coalitions(6))
    assert len(ledger) == 2 * PlainUtility.CHUNK
    resumed = Plain()
    values = Game(singles(6), resumed, ledger)(all_coalitions(6))
    assert len(resumed.asked) == 64 - 2 * PlainUtility.CHUNK
    assert values.tolist() == Game(singles(6), Plain())(all_coalitions(6)).tolist()


def test_outcomes_are_recorded_while_a_walk_goes_on() -> None:
    ledger = Ledger()
    order = [np.array([player]) for player in (2, 0, 1)]
    with pytest.raises(MemoryError):
        Game(singles(3), Training(fails_at=2), ledger).along([order, order[::-1]])
    assert [entry.blocks for entry in ledger] == [
        ((2,),), ((2,), (0,)), ((2,), (0,), (1,)), ((1,),), ((1,), (0,))
    ]  # fmt: skip
    assert all(entry.extra_metrics["accuracy"] == entry.outcome[0] / 10 for entry in ledger)
    again = Training()
    game = Game(singles(3), again, ledger)
    game.along([order, order[::-1]])
    assert again.walks == game.n_fine_tunings == 1


def not_finite(bad: float) -> Callable[[int, FloatMatrix], FloatMatrix]:
    def spoil(call: int, outcomes: FloatMatrix) -> FloatMatrix:
        outcomes[np.isclose(outcomes[:, 0], 5**0.5), 1] = bad  # rows 1 + 4, and 0 + 1 + 4, 2 + 3, 0 + 2 + 3
        return outcomes

    return spoil


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_an_outcome_that_is_not_finite_is_refused_by_name_and_all_others_are_kept(bad: float) -> None:
    ledger = Ledger()
    coalitions = np.zeros((4, 5), dtype=bool)
    coalitions[1, [2]] = coalitions[2, [1, 4]] = coalitions[3, [3]] = True
    with pytest.raises(
        Diverged, match=r"players \[1, 4\] \(2 rows: .*1 of 2 outcomes .* not finite; what .* is kept"
    ) as told:
        Game(singles(5), Plain(not_finite(bad)), ledger)(coalitions)
    assert without_rows(f"{told.value}; lower it") == "1 of 2 outcomes are not finite; lower it"
    assert sorted(entry.blocks for entry in ledger) == [((),), ((2,),), ((3,),)]
    assert all(np.isfinite(entry.outcome).all() for entry in ledger)


@pytest.mark.parametrize(
    "outcome", [np.zeros(3), np.zeros((2, 4)), np.zeros((3, 0)), np.zeros((3, 1, 1)), 0.0], ids=np.shape
)
def test_outcomes_of_another_shape_are_refused(outcome: Any) -> None:
    with pytest.raises(InputError, match=r"for 3 row sets; return \(3, n_items\)"):
        Game(singles(2), lambda row_sets: outcome)(all_coalitions(2)[1:])


@pytest.mark.parametrize("shape", [(2, 4), (1, 2), (5,), (2, 3, 3), ()])
def test_coalitions_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    utility = Plain()
    with pytest.raises(InputError, match="the game has 3 players"):
        Game(singles(3), utility)(np.ones(shape, dtype=bool))
    assert utility.calls == []


def test_players_without_rows_are_refused() -> None:
    with pytest.raises(InputError, match="got no players"):
        Game([], Plain())
    with pytest.raises(InputError, match=r"players \[1, 3\] bring none"):
        Game([np.array([0]), np.array([], int), np.array([1]), np.array([], int)], Plain())


def test_what_cannot_measure_is_no_utility() -> None:
    with pytest.raises(InputError, match="utility is a float"):
        Game(singles(2), 0.5)  # type: ignore[arg-type]


@quick
@given(order=st.permutations(range(5)), cuts=st.sets(st.integers(1, 4)))
def test_walking_along_an_order_of_a_plain_utility_gives_the_prefixes_own_values(
    order: list[int], cuts: set[int]
) -> None:
    blocks = np.split(np.array(order), sorted(cuts))
    game = Game(singles(5), Plain())
    inside = np.zeros((len(blocks), 5), dtype=bool)
    for place in range(len(blocks)):
        inside[place:, blocks[place]] = True
    np.testing.assert_allclose(game.along([blocks])[0], game(inside), rtol=1e-12)


def test_a_walk_is_never_mistaken_for_its_coalition_nor_for_another_walk() -> None:
    game = Game(singles(2), Training())
    forward, backward = game.along([[np.array([0]), np.array([1])], [np.array([1]), np.array([0])]])
    grand = game(np.array([[1, 1]], dtype=bool))[0]
    outcomes = {entry.blocks: entry.outcome[0] for entry in game.ledger}
    together = tuple(game.rows(np.array([0, 1])).tolist())
    assert outcomes == {
        ((0,),): 1, ((0,), (1,)): 0.9 + 1 + 1, ((1,),): 2, ((1,), (0,)): 0.9 * 2 + 1,
        (together,): 0.9 * together[0] + together[1] + 1,
    }  # fmt: skip
    assert len({entry.key for entry in game.ledger}) == 5
    assert forward[-1] == backward[-1] == grand == 0  # the mean of (state, -state)


def test_the_first_block_of_a_walk_is_its_coalition() -> None:
    game = Game(singles(3), Training())
    game.along([[np.array([0, 2]), np.array([1])]])
    game(np.array([[1, 0, 1]], dtype=bool))
    assert game.n_fine_tunings == 1


def test_a_callable_gets_sixteen_row_sets_at_a_time() -> None:
    utility = Plain()
    Game(singles(6), utility)(all_coalitions(6)[:50])
    assert [len(call) for call in utility.calls] == [16, 16, 16, 2]


def test_values_are_the_aggregate_and_every_new_one_is_shown() -> None:
    shown: list[float] = []
    game = Game(singles(2), Plain(), aggregate=lambda outcomes: outcomes.min(axis=1), watch=shown.append)
    values = game(all_coalitions(2))
    assert values.tolist() == game.outcomes(all_coalitions(2)).min(axis=1).tolist() == shown
    game(all_coalitions(2))
    assert len(shown) == 4


def test_the_ends_are_the_untouched_model_and_all_players() -> None:
    game = Game(singles(3), Plain())
    assert game.ends() == (0.0, (3**0.5 + 9) / 2)
    assert game.n_fine_tunings == 1
    assert all(seconds >= 0 for seconds in game.seconds_of_ends())


def test_a_utility_that_trains_is_taken_as_it_is_and_a_callable_is_described_by_name() -> None:
    training = Training()
    assert as_trainable_utility(training) is training

    def loss(row_sets: Sequence[IntVector]) -> FloatVector:
        return np.zeros((len(row_sets), 1))

    assert as_trainable_utility(loss).describe()["utility"].split("#")[0].endswith("loss")
    described = as_trainable_utility(Plain()).describe()
    assert described["utility"] == f"{__name__}.Plain"
    assert described["utility state"].keys() == {"class", *vars(Plain())}
