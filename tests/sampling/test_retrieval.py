"""Retrieval by embeddings and coverage by credit: what is taken, and what is said of signals that tell nothing."""

import itertools
from typing import Any

import numpy as np
import pytest

from shed_hf.errors import InputError
from shed_hf.sampling.retrieval import CreditCoverage, Retrieval
from shed_hf.sampling.selectors import RowSignals, Selection, select_rows
from shed_hf.types import EmbeddingMatrix, FloatMatrix

RETRIEVALS = [Retrieval(), Retrieval("mean"), Retrieval("greedy")]
COVERS = [CreditCoverage(), CreditCoverage("facility-location")]


def unit(vectors: np.ndarray) -> EmbeddingMatrix:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


ROWS = unit(np.random.default_rng(0).normal(size=(30, 5)))
ITEMS = unit(np.random.default_rng(1).normal(size=(4, 5)))


def retrieved(selector: Retrieval, size: int, rows: Any = ROWS, items: Any = ITEMS, seed: int = 0) -> Selection:
    known = RowSignals(rows=np.arange(len(rows)), embeddings=rows, item_embeddings=items)
    return select_rows(selector, known, size, np.random.default_rng(seed))


def covered(selector: CreditCoverage, credits: FloatMatrix, size: int, seed: int = 0) -> Selection:
    known = RowSignals(rows=np.arange(len(credits)), credits=credits)
    return select_rows(selector, known, size, np.random.default_rng(seed))


def test_items_take_turns_in_an_order_of_the_seeds() -> None:
    def by_hand(turns: tuple[int, ...]) -> list[int]:
        order: list[int] = []
        for item in itertools.islice(itertools.cycle(turns), 10):
            nearest = sorted(range(30), key=lambda row: -float(np.dot(ROWS[row], ITEMS[item])))
            order.append(next(row for row in nearest if row not in order))
        return order

    possible = [by_hand(turns) for turns in itertools.permutations(range(4))]
    found = [retrieved(Retrieval(), 10, seed=seed).places.tolist() for seed in range(20)]
    assert all(order in possible for order in found)
    assert len({tuple(order) for order in found}) > 5


def test_by_mean_the_nearest_rows_of_all_items_together_are_taken() -> None:
    means = [np.mean([float(np.dot(row, item)) for item in ITEMS]) for row in ROWS]
    assert retrieved(Retrieval("mean"), 6).places.tolist() == np.argsort(-np.array(means), kind="stable")[:6].tolist()


def test_greedily_every_item_gets_a_near_row_before_one_gets_two() -> None:
    items = unit(np.eye(3))
    rows = unit(np.array([[1, 0.01, 0], [1, 0.02, 0], [1, 0.03, 0], [0, 1, 0.1], [0, 0.2, 1]], dtype=float))
    assert set(retrieved(Retrieval("greedy"), 3, rows, items).places.tolist()) == {0, 3, 4}
    assert set(retrieved(Retrieval("mean"), 3, rows, items).places.tolist()) != {0, 3, 4}


@pytest.mark.parametrize("selector", RETRIEVALS, ids=lambda selector: selector.by)
def test_smaller_choices_are_the_beginning_of_larger_ones(selector: Retrieval) -> None:
    everything = retrieved(selector, 30).places.tolist()
    assert sorted(everything) == list(range(30))
    assert retrieved(selector, 11).places.tolist() == everything[:11]


@pytest.mark.parametrize("selector", RETRIEVALS, ids=lambda selector: selector.by)
def test_one_item_gets_its_nearest_rows(selector: Retrieval) -> None:
    cosines = ROWS @ ITEMS[0]
    assert retrieved(selector, 5, items=ITEMS[:1]).places.tolist() == np.argsort(-cosines, kind="stable")[:5].tolist()


def test_items_without_a_near_row_are_counted_and_a_set_without_any_is_told_of() -> None:
    rows, items = unit(np.eye(4)[:3]), unit(np.array([[1, 0, 0, 0.1], [0.05, 0.04, 0, 1], [0, 1, 0.2, 0]], dtype=float))
    assert retrieved(Retrieval(), 2, rows, items).notes == (
        "1 of 3 evaluation items have no row with a cosine of 0.3 or more",
    )
    (note,) = retrieved(Retrieval(), 2, rows, items[1:2]).notes
    assert note.startswith("not a single row is near an evaluation item: the highest cosine is 0.05, where 0.3 would")
    assert retrieved(Retrieval(near=0.04), 2, rows, items[1:2]).notes == ()


@pytest.mark.parametrize("selector", RETRIEVALS, ids=lambda selector: selector.by)
def test_cosines_that_tell_no_row_from_another_are_refused(selector: Retrieval) -> None:
    with pytest.raises(InputError, match="every row has the same cosine with each evaluation item"):
        retrieved(selector, 2, rows=np.repeat(ROWS[:1], 4, axis=0))
    assert retrieved(selector, 1, rows=ROWS[:1]).places.tolist() == [0]
    rows, items = np.eye(5)[[0, 1, 2]], np.eye(5)[[3, 4]]
    with pytest.raises(InputError, match=r"than another: the highest cosine is 0.00, where 0.3 would be near; pass"):
        retrieved(selector, 2, rows=rows, items=items)


@pytest.mark.parametrize("items", [np.zeros((0, 5)), np.ones((2, 4)), np.ones(5)], ids=["none", "narrow", "flat"])
def test_vectors_that_cannot_be_compared_are_refused(items: Any) -> None:
    with pytest.raises(InputError, match=r"the rows' vectors have shape \(30, 5\), the evaluation items'"):
        retrieved(Retrieval(), 2, items=items)


@pytest.mark.parametrize(
    "fields", [{"by": "cosine"}, {"near": 1.5}, {"near": float("nan")}, {"near": True}, {"near": "0.3"}]
)
def test_fields_of_retrieval_that_mean_nothing_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="; pass "):
        Retrieval(**fields)
    with pytest.raises(InputError, match="cover='mean' is unknown"):
        CreditCoverage("mean")  # type: ignore[arg-type]


# ---- credit


@pytest.mark.parametrize("selector", COVERS, ids=lambda selector: selector.cover)
def test_an_item_that_most_rows_harm_gets_the_rows_that_help_it(selector: CreditCoverage) -> None:
    credits = np.random.default_rng(0).normal(size=(40, 3))
    credits[:, 0] += 100  # served by any row, so that it rules the mean
    credits[7:9, 2] = [50.0, 40.0]
    assert 7 in covered(selector, credits, 3).places
    assert covered(CreditCoverage(), credits, 6).places.tolist() != np.argsort(-credits.mean(axis=1))[:6].tolist()


@pytest.mark.parametrize("selector", COVERS, ids=lambda selector: selector.cover)
def test_the_scale_of_an_items_credits_has_no_say(selector: CreditCoverage) -> None:
    credits = np.random.default_rng(3).normal(size=(25, 4))
    stretched = credits * np.array([1e-6, 1.0, 1e3, 20.0])
    assert covered(selector, credits, 12).places.tolist() == covered(selector, stretched, 12).places.tolist()


@pytest.mark.parametrize("selector", COVERS, ids=lambda selector: selector.cover)
def test_items_whose_credits_tell_nothing_are_left_out_and_counted(selector: CreditCoverage) -> None:
    credits = np.random.default_rng(4).normal(size=(12, 5))
    alone = covered(selector, credits[:, [3]], 6)
    credits[:, 0], credits[2, 1], credits[:, 2], credits[:, 4] = 1.5, np.nan, np.inf, np.nan
    selection = covered(selector, credits, 6)
    assert selection.places.tolist() == alone.places.tolist()
    assert selection.notes == (
        "4 of 5 evaluation items were left out: their credits are NaN, or the same for all rows",
    )


@pytest.mark.parametrize("selector", COVERS, ids=lambda selector: selector.cover)
def test_rows_without_any_credit_come_last(selector: CreditCoverage) -> None:
    credits = np.random.default_rng(5).normal(size=(6, 2))
    credits[[1, 4]] = np.nan
    selection = covered(selector, credits, 6)
    assert set(selection.places[4:].tolist()) == {1, 4}
    assert selection.notes == ("2 rows without credits came last",)


@pytest.mark.parametrize("credits", [np.ones((4, 2)), np.full((4, 2), np.nan)], ids=["constant", "NaN"])
def test_credits_that_tell_no_row_from_another_are_refused(credits: FloatMatrix) -> None:
    with pytest.raises(InputError, match="none of 2 evaluation items has credits that differ between rows"):
        covered(CreditCoverage(), credits, 2)
    with pytest.raises(InputError, match=r"credits have shape \(4,\); pass \(4, n_items\)"):
        covered(CreditCoverage(), np.ones(4), 2)
