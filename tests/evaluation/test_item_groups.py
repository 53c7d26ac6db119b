"""Objectives over groups of items: their values by hand, where the groups come from, and which items they follow."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from transformers import AutoTokenizer
from transformers import PreTrainedTokenizerBase as Tokenizer

from shed_hf.data.evaluation_items import EvaluationItems, items_from
from shed_hf.data.formats import Example, Turn
from shed_hf.data.pool import read_pool
from shed_hf.data.tokenization import split_at_completion, tokenise
from shed_hf.errors import InputError
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.item_groups import GROUPED_NAMES, Grouped, Macro, OverGroups, WorstGroup, split
from shed_hf.evaluation.metrics import Metric
from shed_hf.evaluation.objectives import Accuracy, Loss
from shed_hf.evaluation.registry import objective_from
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.game.game import Game
from shed_hf.utils.naming import stable_name, to_recipe_entry
from tests.helpers.rows import make_rows

GROUPS = np.array([0, 1, 0, 0, 2])
OUTCOMES = np.array([[1.0, 2.0, 3.0, 5.0, 7.0], [0.0, 0.0, 0.0, 0.0, -1.0]])


def with_columns(texts: Sequence[str | None], drop_invalid: bool = False, **columns: Sequence[Any]) -> EvaluationItems:
    """The items of an evaluation dataset of these texts, with further columns."""
    dataset = Dataset.from_dict({"text": list(texts), **{name: list(cells) for name, cells in columns.items()}})
    pool = read_pool(Dataset.from_dict({"text": ["a row of the pool"]}))
    return items_from(dataset, pool, None, drop_invalid, np.random.default_rng(0))


def grouped_by(cells: Sequence[Any], column: str | None = None, **others: Sequence[Any]) -> OverGroups:
    return Macro(column).over(with_columns([f"item {i}" for i in range(len(cells))], subject=cells, **others))


# ---- the aggregate


def test_macro_is_the_mean_of_the_groups_means() -> None:
    np.testing.assert_allclose(OverGroups("macro", GROUPS)(OUTCOMES), [(3 + 2 + 7) / 3, -1 / 3])


def test_worst_group_is_the_smallest_of_the_groups_means() -> None:
    np.testing.assert_allclose(OverGroups("worst-group", GROUPS)(OUTCOMES), [2, -1])


def test_macro_weighs_items_by_the_size_of_their_group() -> None:
    weights = OverGroups("macro", GROUPS).weights()
    assert weights is not None
    np.testing.assert_allclose(weights, np.array([1 / 3, 1, 1 / 3, 1 / 3, 1]) / 3)
    np.testing.assert_allclose(OUTCOMES @ weights, OverGroups("macro", GROUPS)(OUTCOMES))
    assert OverGroups("worst-group", GROUPS).weights() is None


def test_groups_may_have_any_numbers() -> None:
    for kind in ("macro", "worst-group"):
        found = OverGroups(kind, np.array([7, -3, 7, 7, 100]))(OUTCOMES)
        assert (found == OverGroups(kind, GROUPS)(OUTCOMES)).all()


@pytest.mark.parametrize("shape", [(2, 4), (2, 6), (5,), (1, 5, 1)])
def test_outcomes_of_other_items_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"the outcomes have shape .*groups are of 5 items; pass \(m, 5\)"):
        OverGroups("macro", GROUPS)(np.zeros(shape))


@st.composite
def grouped_outcomes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n_items = draw(st.integers(1, 30))
    groups = draw(arrays(np.int64, n_items, elements=st.integers(0, 5)))
    return groups, draw(arrays(np.float64, (draw(st.integers(1, 4)), n_items), elements=st.floats(-100, 100)))


@settings(max_examples=60, deadline=None)
@given(grouped_outcomes())
def test_worst_group_is_at_most_macro_and_macro_is_linear(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    groups, outcomes = drawn
    macro, worst = OverGroups("macro", groups), OverGroups("worst-group", groups)
    assert (worst(outcomes) <= macro(outcomes) + 1e-9).all()
    weights = macro.weights()
    assert weights is not None
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(outcomes @ weights, macro(outcomes), atol=1e-9)
    for over in (macro, worst):  # a coalition's utility does not depend on what it is asked for with
        assert [over(outcome[None])[0] for outcome in outcomes] == over(outcomes).tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_macro_over_groups_of_one_size_is_the_mean(n_groups: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    over = OverGroups("macro", rng.permutation(np.repeat(np.arange(n_groups), size)))
    outcomes = rng.normal(size=(3, n_groups * size))
    np.testing.assert_allclose(over(outcomes), outcomes.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(over.weights(), 1 / (n_groups * size))


@pytest.mark.parametrize("kind", ["macro", "worst-group"])
def test_contributions_of_items_have_the_utility_as_their_mean(kind: Any) -> None:
    outcomes = np.random.default_rng(0).normal(size=(5, 12))
    reduced = OverGroups(kind, np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 2]))
    np.testing.assert_allclose(reduced.contributions(outcomes).mean(axis=1), reduced(outcomes))


def test_contributions_to_the_worst_group_spread_as_its_mean_does() -> None:
    outcomes = np.random.default_rng(0).normal(size=(1, 12))
    outcomes[0, 3:7] -= 5
    reduced = OverGroups("worst-group", np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2]))
    assert reduced.n_deciding(outcomes) == 4
    of_items = reduced.contributions(outcomes)[0].var(ddof=1) / 12
    assert of_items == pytest.approx(outcomes[0, 3:7].var(ddof=1) / 4)


def test_the_smallest_group_that_is_lowest_decides() -> None:
    outcomes = np.array([[-1.0, -1, 0, 0, 0, 0], [0, 0, -1, -1, -1, 0]])
    groups = np.array([0, 0, 1, 1, 1, 2])
    assert OverGroups("worst-group", groups).n_deciding(outcomes) == 2
    assert OverGroups("worst-group", groups).n_deciding(outcomes[1:]) == 3
    assert OverGroups("macro", groups).n_deciding(outcomes) == 6


def test_a_game_takes_it_as_its_aggregate() -> None:
    def utility(row_sets: Sequence[np.ndarray]) -> np.ndarray:
        return np.array([[len(rows), 10, 0.0] for rows in row_sets])

    players = [np.array([0]), np.array([1])]
    for kind, expected in (("macro", (2.5, 3.5)), ("worst-group", (0, 2))):
        assert Game(players, utility, aggregate=OverGroups(kind, np.array([0, 1, 1]))).ends() == expected


# ---- where the groups come from


def test_items_with_the_same_label_are_a_group() -> None:
    assert grouped_by(["law", "physics", "law", "art"]).groups.tolist() == [0, 1, 0, 2]
    assert grouped_by([3, 1, 1, 3]).groups.tolist() == [0, 1, 1, 0]
    assert grouped_by([True, False, True]).groups.tolist() == [0, 1, 0]


def test_class_labels_are_groups() -> None:
    dataset = Dataset.from_dict({"text": ["x", "y", "z"], "topic": [1, 0, 1]})
    dataset = dataset.cast_column("topic", ClassLabel(names=["law", "art"])).with_format("numpy")
    items = items_from(dataset, read_pool(dataset), None, False, np.random.default_rng(0))
    assert Macro().over(items).groups.tolist() == [0, 1, 0]


def test_the_column_is_the_one_named_or_the_first_of_the_usual_ones() -> None:
    of_items: dict[str, list[str]] = {"topic": ["t", "t"], "category": ["c", "d"], "level": ["1", "1"]}
    items = with_columns(["x", "y"], **of_items)
    assert Macro().column_in(items.columns) == WorstGroup().column_in(["group", "category"]) == "category"
    assert Macro("topic").column_in(items.columns) == "topic"
    assert Macro("level").column_in(list(items.columns)) == "level"
    assert Macro().over(items).groups.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            None,
            r"none of the columns \['subject', .*\] to group by; name one of \['text', 'level'\].*Macro\(column=…\)",
        ),
        ("subject", r"no column 'subject' to group by; name one of \['text', 'level'\]"),
        ("", r"no column '' to group by"),
    ],
)
def test_a_column_that_is_not_there_names_those_that_are(column: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Macro(column).over(with_columns(["x", "y"], level=[1, 2]))


def test_items_without_columns_cannot_be_grouped() -> None:
    items = EvaluationItems([Example((Turn("assistant", "x"),))], np.empty(0, dtype=np.int64))
    with pytest.raises(InputError, match=r'"worst-group" groups .* these have none; pass eval_dataset= with one'):
        WorstGroup().over(items)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["law", None], r"item 1 \('item 1'\) has no label in column 'subject' \(None\); label it"),
        ([0.5, float("nan"), 1.0], r"item 1 \('item 1'\) has no label in column 'subject' \(nan\)"),
        ([["law"], ["art"]], r"item 0 \('item 0'\) has a list in column 'subject'; group by a column of labels"),
    ],
)
def test_a_label_that_is_missing_or_none_names_its_item(cells: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        grouped_by(cells)


@pytest.mark.parametrize("objective", [Macro(), WorstGroup()])
def test_a_single_group_is_the_mean_with_a_warning(objective: Grouped) -> None:
    items = with_columns([f"item {i}" for i in range(5)], subject=["law"] * 5)
    with pytest.warns(UserWarning, match=r"^all 5 items are 'law' in column 'subject'") as caught:
        over = objective.over(items)
    assert len(caught) == 1
    np.testing.assert_allclose(over(OUTCOMES), OUTCOMES.mean(axis=1))


def test_groups_of_one_item_are_fine() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        over = grouped_by(["a", "b", "c", "d", "e"])
    np.testing.assert_allclose(over(OUTCOMES), OUTCOMES.mean(axis=1))


def test_the_groups_of_held_out_rows_are_those_of_the_pool() -> None:
    pool = read_pool(Dataset.from_list(make_rows(120)))
    items = items_from(None, pool, None, False, np.random.default_rng(3))
    labels = Macro().over(items).groups
    topics = [pool.dataset[int(row)]["topic"] for row in items.held_out]
    assert list(items.columns) == ["instruction", "output", "topic"]
    assert items.columns["topic"] == topics
    assert len(set(topics)) > 1
    assert [[a == b for b in topics] for a in topics] == [[a == b for b in labels] for a in labels]


def test_rows_that_were_left_out_have_no_group() -> None:
    items = with_columns(["", "x", None, "y", "z"], drop_invalid=True, group=[None, "a", "b", "c", "a"])
    assert items.columns["group"] == ["a", "c", "a"]
    assert Macro().over(items).groups.tolist() == [0, 1, 0]


# ---- which items they follow


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Tokenizer:
    return AutoTokenizer.from_pretrained(tiny_model)


def test_groups_follow_the_items_that_keep_their_completion(tokenizer: Tokenizer) -> None:
    questions = ["Salt?", "Name a longer list of the things in an oven, and beside it.", "And?", "The dog?"]
    rows = {"question": questions, "answer": ["yes", "pan", "no", "yes"], "subject": ["food", None, "life", "food"]}
    dataset = Dataset.from_dict(rows)
    items = items_from(dataset, read_pool(dataset), None, False, np.random.default_rng(0))
    longest = split_at_completion(tokenise(items.examples[1:2], tokenizer, 256)[0])
    with pytest.warns(UserWarning, match="were cut"):
        evaluation = Evaluation(items.examples, Loss(), tokenizer, longest)
    assert evaluation.kept.tolist() == [0, 2, 3]
    assert evaluation.items == [items.examples[place] for place in evaluation.kept]
    assert Macro().over(items, evaluation.kept).groups.tolist() == [0, 1, 0]
    with pytest.raises(InputError, match="item 1 "):
        Macro().over(items)


def test_an_objective_that_is_no_likelihood_keeps_all_items(tokenizer: Tokenizer) -> None:
    items = with_columns([f"word {i} " * 20 for i in range(3)]).examples
    assert Evaluation(items, lambda *_: np.zeros(3), tokenizer, 4).kept.tolist() == [0, 1, 2]
    assert Evaluation(items, Loss(), tokenizer, 256).kept.tolist() == [0, 1, 2]


# ---- telling them from objectives of items


def test_an_objective_over_groups_is_split_from_that_of_its_items() -> None:
    assert split("macro") == (None, Macro())
    assert split("worst-group") == (None, WorstGroup())
    assert split(Macro("subject", "accuracy")) == ("accuracy", Macro("subject", "accuracy"))
    assert split(WorstGroup(objective=Accuracy())) == (Accuracy(), WorstGroup(objective=Accuracy()))
    assert sorted(GROUPED_NAMES) == ["macro", "worst-group"]


@pytest.mark.parametrize("objective", [None, "loss", "rouge", Accuracy(), Metric(len), len, Macro, 3])
def test_what_is_no_objective_over_groups_is_passed_on(objective: Any) -> None:
    item_objective, grouped = split(objective)
    assert item_objective is objective
    assert grouped is None


@pytest.mark.parametrize("inner", ["macro", Macro(), WorstGroup("subject", "loss")])
def test_groups_of_groups_are_refused(inner: Any) -> None:
    with pytest.raises(InputError, match=r'WorstGroup is given objective=.*over groups itself; pass one .*"accuracy"'):
        WorstGroup(objective=inner)


def test_an_objective_in_place_of_the_column_is_refused() -> None:
    with pytest.raises(InputError, match=r"column is a Accuracy; pass Macro\(column, objective\)"):
        Macro(Accuracy())  # type: ignore[arg-type]


@pytest.mark.parametrize("objective", ["macro", WorstGroup("topic")])
def test_a_fine_tuning_of_single_items_says_where_groups_belong(objective: Any, tiny_model: Path) -> None:
    with pytest.raises(InputError, match=r"over groups of items.*; pass it to curate\(objective=…\)"):
        objective_from(objective, [])
    dataset = Dataset.from_list(make_rows(8))
    pool = read_pool(dataset)
    with pytest.raises(InputError, match=r"pass it to curate\(objective=…\)"):
        FineTune(str(tiny_model), objective).bind(pool, pool.examples([0, 1]), 0)


def test_it_can_be_named_in_a_recipe() -> None:
    assert stable_name(Macro("topic", "accuracy")) == "Macro(column='topic', objective='accuracy')"
    assert to_recipe_entry(WorstGroup()) == {"name": "WorstGroup", "column": None, "objective": None}
