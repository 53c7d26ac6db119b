"""Credit that is learned from a sample of rows: what is told of it, and that a race's judging items have no say."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, Extrapolated, InputError, Plan, Race, curate, plan
from shed_hf.game.utility import OutcomeCallback
from shed_hf.hub.card_text import choice_in_words
from shed_hf.report.content import content_of
from shed_hf.results.summary import summary
from shed_hf.types import FloatMatrix, FloatVector, IntVector, TrainingSequence
from tests.helpers.credited import KnownOutcomes
from tests.helpers.rows import make_rows

N_ITEMS = 20
VECTORS = np.random.default_rng(3).normal(size=(160, 6)).astype(np.float32)
LINEAR = VECTORS @ np.random.default_rng(4).normal(size=(6, N_ITEMS))
POOL = Dataset.from_list(make_rows(120))


class OfTheMean(KnownOutcomes):
    """Outcomes grow with the logarithm of rows' credits, with luck of each training order; credits are of the mean
    item, and can be learned from embeddings.

    Args:
        turned: The items for which what rows are credited with is turned round.
    """

    def __init__(self, turned: Sequence[int] = ()) -> None:
        super().__init__(noise=0.1)
        self.credits = LINEAR.copy()
        self.credits[:, list(turned)] *= -100
        self.measured = 0
        self.ran: list[int] = []

    def measure(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        self.measured += len(walks)
        super().measure(walks, record)

    def of(self, rows: IntVector) -> np.ndarray:
        return np.asarray(np.log1p(np.maximum(LINEAR[rows], 0).sum(axis=0)))

    def credit(self, rows: IntVector) -> FloatVector:
        self.ran.append(len(rows))
        return np.asarray(self.credits[rows].mean(axis=1))


class OfEveryItem(OfTheMean):
    """The same with credits for each item."""

    def credit_per_item(self, rows: IntVector, *, adam: bool = True) -> FloatMatrix:
        self.ran.append(len(rows))
        return np.asarray(self.credits[rows])


def ordered(utility: Any, **changes: Any) -> CuratedDataset:
    given: dict[str, Any] = {"embedder": VECTORS[:120], "clusterer": "topic", "proxies_per_cluster": 2}
    given |= {"estimator": "exact", "sampler": "qocs", "merit": "learned-credit"}
    return curate(POOL, 16, utility=utility, **given | changes)


def raced(utility: Any, merit: str | None, candidates: list[Any]) -> CuratedDataset:
    race = Race(candidates, budget=5 * (len(candidates) + 1))
    given: dict[str, Any] = {
        "embedder": VECTORS[:120],
        "clusterer": "topic",
        "estimator": "exact",
        "proxies_per_cluster": 2,
    }
    return curate(POOL, 16, utility=utility, merit=merit, method=race, sampler="qocs", **given)


@pytest.mark.parametrize("merit", ["credit", "learned-credit"])
def test_items_that_judge_do_not_order_rows_within_clusters(merit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shed_hf.sampling.row_ranking.SAMPLE", 80)
    merits = []
    first = raced(OfEveryItem(), merit, ["qocs", "longest"])
    assert first.race is not None
    ranking = list(first.race.ranked_by)
    judging = sorted(set(range(N_ITEMS)) - set(ranking))
    for turned in ([], judging, ranking):
        utility = OfEveryItem(turned)
        curated = raced(utility, merit, ["qocs", "longest"])
        assert curated.race is not None and curated.race.credit_runs == len(utility.ran) == 1
        assert curated.valued.merit is not None
        merits.append(curated.valued.merit)
    np.testing.assert_array_equal(merits[0], merits[1])
    assert np.corrcoef(merits[0], LINEAR[:120, ranking].mean(axis=1))[0, 1] > 0.95
    assert np.corrcoef(merits[0], merits[2])[0, 1] < 0


def test_every_training_run_for_credits_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shed_hf.sampling.row_ranking.SAMPLE", 70)
    utility = OfEveryItem()
    curated = raced(utility, "learned-credit", ["qocs", "credit-coverage", Extrapolated("credit", 60)])
    assert sorted(utility.ran) == [60, 70, 120]
    assert curated.race is not None and curated.race.credit_runs == 3
    learned = curated.recipe["learned_merit"]
    assert (learned["signal"], learned["measured"], learned["rows"], learned["used"]) == ("credit", 70, 120, True)


@pytest.mark.parametrize("merit", ["credit", "learned-credit"])
def test_credit_that_all_items_decide_is_refused_before_anything_is_measured(merit: str) -> None:
    utility = OfTheMean()
    with pytest.raises(InputError, match="credits per row and evaluation item come from a training run"):
        raced(utility, merit, ["qocs", "longest"])
    assert not utility.measured


def page_text_of(curated: CuratedDataset) -> list[str]:
    """The summary, the card's sentence on the choice, and the report's."""
    return [summary(curated), html.unescape(choice_in_words(curated.recipe)), str(content_of(curated, False))]


@pytest.fixture
def small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shed_hf.sampling.row_ranking.SAMPLE", 80)


@pytest.mark.usefixtures("small_sample")
def test_how_well_the_order_was_learned_stays_with_the_order_that_later_choices_use(tmp_path: Path) -> None:
    curated = ordered(OfEveryItem())
    learned = curated.recipe["learned_merit"]
    correlation = learned["rank_correlation"]
    assert correlation is not None and correlation > 0.9
    told = f"credit was learned on 80 of 120 rows: rank correlation {correlation:.2f} on rows held out"
    curated.save_to_disk(tmp_path / "kept", pages=False)
    again = CuratedDataset.load_from_disk(tmp_path / "kept", POOL)
    for each in (curated, again, again.resample(20), again.resample(20, "qwcs", seed=3)):
        assert each.recipe["learned_merit"] == learned
        assert all(f"rows of a cluster by credit; {told}" in place for place in page_text_of(each))
    assert told not in summary(again.resample(POOL.num_rows, "full", source=POOL))


@pytest.mark.usefixtures("small_sample")
def test_an_order_that_could_not_be_learned_is_told_of() -> None:
    by_chance = OfEveryItem()
    by_chance.credits = np.random.default_rng(7).normal(size=by_chance.credits.shape)
    with pytest.warns(UserWarning, match="no better than chance, so rows within clusters are taken at random"):
        curated = ordered(by_chance)
    assert curated.valued.merit is None and not curated.recipe["learned_merit"]["used"]
    told = "rows of a cluster at random: credit was learned on 80 of 120 rows: rank correlation"
    assert all(told in place for place in page_text_of(curated))


@pytest.mark.parametrize("merit", [None, "credit", "learned-credit"])
@pytest.mark.parametrize(
    "candidates",
    [["qocs"], ["credit-coverage", "qocs", "longest"], [Extrapolated("credit", 60), "credit-coverage", "qocs"]],
    ids=["clusters", "all rows", "a sample too"],
)
def test_the_plan_of_a_race_has_every_training_run_for_credits(
    merit: str | None, candidates: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shed_hf.sampling.row_passes.SAMPLE", 70)
    without = planned(merit=None, method=Race(["qocs", "longest", "dsir"][: len(candidates)], budget=20))
    found = planned(merit=merit, method=Race(candidates, budget=20))
    shared = 120 * ("credit-coverage" in candidates or merit == "credit")
    own = 60 * (len(candidates) == 3 and candidates[0] != "credit-coverage") + 70 * (merit == "learned-credit")
    assert found.rows_trained - without.rows_trained == shared + own
    assert found.tokens - without.tokens == 7 * (shared + own)


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        ({"merit": "credit"}, 120),
        ({"merit": "learned-credit"}, 70),
        ({"sampler": Extrapolated("credit", 60), "merit": None}, 60),
        ({"sampler": Extrapolated("credit", 500), "merit": None}, 120),
        ({"sampler": "credit-coverage", "merit": "credit"}, 240),
    ],
    ids=["an order", "an order that is learned", "a sample", "a sample of all", "an order beside a choice"],
)
def test_the_plan_has_the_rows_of_training_runs_for_credits(
    changes: dict[str, Any], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shed_hf.sampling.row_passes.SAMPLE", 70)
    monkeypatch.setattr("shed_hf.sampling.row_ranking.SAMPLE", 70)
    found = planned(**changes)
    assert found.rows_trained - planned(merit=None).rows_trained == rows
    utility = OfEveryItem()
    ordered(utility, **changes)
    assert sum(utility.ran) == rows


def planned(**changes: Any) -> Plan:
    given: dict[str, Any] = {"embedder": VECTORS[:120], "clusterer": "topic", "proxies_per_cluster": 2}
    return plan(POOL, 16, utility=OfEveryItem(), **given | {"estimator": "exact", "sampler": "qocs"} | changes)


@pytest.mark.usefixtures("small_sample")
def test_a_grown_pool_has_figures_of_its_own_order(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shed_hf.sampling.row_passes.SAMPLE", 80)
    utility = OfEveryItem()
    curated = ordered(utility, embedder="lexical")
    utility.ran.clear()
    grown = curated.update(Dataset.from_list(make_rows(40, seed=5)), size=20)
    assert utility.ran == [80]
    assert "and 1 training run over 80 rows for credits" in caplog.text
    assert grown.recipe["learned_merit"]["rows"] == len(grown.pool_rows) > len(curated.pool_rows)
    assert grown.recipe["bill"]["all_fine_tunings"] > curated.recipe["bill"]["all_fine_tunings"]
