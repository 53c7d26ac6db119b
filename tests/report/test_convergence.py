"""Values as more was measured."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from matplotlib.figure import Figure

from shed_hf import CuratedDataset, KMeans, LeastSquares, Permutation
from shed_hf.hub import figures
from shed_hf.hub.card import pictures_of
from shed_hf.report.convergence import convergence_of
from shed_hf.results.recipe import updated
from tests.helpers.curations import ByTopic, curated_of
from tests.helpers.races import raced
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(120))
NOISE = np.random.default_rng(0)


class Noisy(ByTopic):
    """The worth of rows, measured with luck."""

    def __call__(self, row_sets: Any) -> np.ndarray:
        return super().__call__(row_sets) + NOISE.normal(0, 1.0, (len(row_sets), 1))


def valued(estimator: Any, **changes: Any) -> CuratedDataset:
    arguments = {"clusterer": KMeans(16), "utility": Noisy(POOL), "proxies_per_cluster": 4} | changes
    return curated_of(POOL, 30, estimator=estimator, **arguments)


def test_values_move_to_those_of_the_result_as_outcomes_come_in() -> None:
    curated = valued(LeastSquares(40))
    found = convergence_of(curated)
    assert found is not None
    np.testing.assert_array_equal(found.values[-1], curated.valued.values)
    assert 20 <= found.measured[-1] <= len(curated.ledger)  # halves of samples are no coalitions
    assert (np.diff(found.measured) > 0).all()
    away = np.abs(found.values - curated.valued.values).mean(axis=1)
    assert away[0] > 2 * away[-2] > 0


def test_an_estimate_from_the_first_outcomes_is_what_the_estimator_makes_of_them() -> None:
    curated = valued(LeastSquares(40))
    found = convergence_of(curated)
    assert found is not None
    whole = curated.reestimate(LeastSquares(40)).valued.values
    np.testing.assert_allclose(found.values[-1], whole)
    sums = found.values.sum(axis=1)  # the values add up to what all samples together did, however many were measured
    np.testing.assert_allclose(sums, curated.estimate.v_grand - curated.estimate.v_empty, rtol=0.5)


def test_a_recipe_that_names_no_prior_has_the_usual_one() -> None:
    curated = valued(LeastSquares(40))
    recipe = updated(curated.recipe, {"estimator": {"name": "LeastSquares", "n_coalitions": 40}})
    found, expected = convergence_of(replace(curated, recipe=recipe)), convergence_of(curated)
    assert found is not None
    assert expected is not None
    np.testing.assert_array_equal(found.values, expected.values)


def test_replicates_give_running_means() -> None:
    curated = valued(Permutation(12))
    found = convergence_of(curated)
    assert found is not None
    np.testing.assert_allclose(found.values[0], curated.estimate.replicates[0])
    np.testing.assert_allclose(found.values[-1], curated.valued.values)


@pytest.mark.parametrize("race", [False, True], ids=["alone", "with a race"])
def test_card_and_report_draw_replicates_over_the_same_number_of_outcomes(
    race: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    curated = raced(estimator=Permutation(4)) if race else valued(Permutation(12))
    drawn: list[Figure] = []
    monkeypatch.setattr(figures, "png", lambda figure: drawn.append(figure) or b"png")
    pictures_of(curated)
    of_card = next(figure for figure in drawn if figure.axes[0].get_xlabel() == "outcomes measured")
    found = convergence_of(curated)
    assert found is not None
    for figure in (of_card, curated.plot("convergence")):
        assert figure.axes[0].get_xlabel() == "outcomes measured"
        last = max(line.get_xdata()[-1] for line in figure.axes[0].lines[1:])
        assert last == found.measured[-1] == curated.estimate.n_evaluations


def test_banzhaf_values_are_followed_by_banzhaf_values() -> None:
    found = convergence_of(valued("banzhaf", budget=60))
    assert found is not None
    assert np.isfinite(found.values).all()


@pytest.mark.parametrize("estimator", [None, "exact"], ids=["no game", "too little"])
def test_where_too_little_was_measured_there_is_nothing_to_follow(estimator: Any) -> None:
    small = {"clusterer": "topic"} if estimator is None else {"clusterer": "half"}
    halves = POOL.add_column("half", [number % 2 for number in range(120)])
    curated = curated_of(halves, 30, estimator=estimator, sampler="longest" if estimator is None else "qocs", **small)
    assert convergence_of(curated) is None
