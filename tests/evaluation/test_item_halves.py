"""Two halves of the evaluation items: equal, drawn by the seed, with as much of every group as can be."""

from collections import Counter

import numpy as np
import pytest

from shed_hf import InputError
from shed_hf.evaluation.item_groups import OverGroups
from shed_hf.evaluation.item_halves import OnItems, groups_of_items, in_halves

OUTCOMES = np.random.default_rng(0).normal(size=(3, 6))
GROUPS = np.array([0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("n", [16, 17, 40, 101])
@pytest.mark.parametrize("n_groups", [1, 3, 9])
def test_halves_are_all_items_once_and_balanced_over_groups(n: int, n_groups: int) -> None:
    groups = np.random.default_rng(n).integers(n_groups, size=n).tolist()
    first, second = in_halves(groups, np.random.default_rng(1))
    assert sorted([*first, *second]) == list(range(n))
    assert 0 <= len(first) - len(second) <= 1
    assert (np.diff(first) > 0).all()
    counts = [Counter(groups[item] for item in half) for half in (first, second)]
    assert all(abs(counts[0][group] - counts[1][group]) <= 1 for group in range(n_groups))


def test_halves_are_the_seeds_and_every_item_can_be_in_either() -> None:
    drawn = [in_halves(["a"] * 20, np.random.default_rng(seed))[0].tolist() for seed in (0, 0, *range(1, 60))]
    assert drawn[0] == drawn[1]
    shares = np.bincount(np.concatenate(drawn[1:]), minlength=20) / 60
    assert shares.min() > 0.25  # 0.5 ± 0.065
    assert shares.max() < 0.75


def test_only_the_items_that_count_have_a_say() -> None:
    items = np.array([1, 3, 4])
    on = OnItems(items, 6)
    np.testing.assert_allclose(on(OUTCOMES), OUTCOMES[:, items].mean(axis=1))
    changed = OUTCOMES.copy()
    changed[:, [0, 2, 5]] = 1e9
    np.testing.assert_array_equal(on(changed), on(OUTCOMES))
    weights = on.weights()
    assert weights is not None
    np.testing.assert_allclose(OUTCOMES @ weights, on(OUTCOMES))


def test_a_grouping_is_that_of_the_items_that_count() -> None:
    items = np.array([0, 3, 4])
    macro = OnItems(items, 6, OverGroups("macro", GROUPS))
    expected = (OUTCOMES[:, 0] + OUTCOMES[:, 3:5].mean(axis=1)) / 2
    np.testing.assert_allclose(macro(OUTCOMES), expected)
    weights = macro.weights()
    assert weights is not None
    np.testing.assert_allclose(weights, [0.5, 0, 0, 0.25, 0.25, 0])
    worst = OnItems(items, 6, OverGroups("worst-group", GROUPS))
    np.testing.assert_allclose(worst(OUTCOMES), np.minimum(OUTCOMES[:, 0], OUTCOMES[:, 3:5].mean(axis=1)))
    assert worst.weights() is None


def test_outcomes_of_another_number_of_items_are_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(3, 6\), and 2 of 7 items count"):
        OnItems(np.array([0, 1]), 7)(OUTCOMES)


def test_groups_are_those_of_the_first_known_column_and_else_one() -> None:
    kept = np.array([0, 2])
    columns = {"answer": ["x", "y", "z"], "topic": ["p", "q", "r"], "subject": ["s", None, "t"]}
    assert groups_of_items(columns, kept) == ["'s'", "'t'"]
    assert groups_of_items({"answer": ["x", "y", "z"]}, kept) == ["", ""]
