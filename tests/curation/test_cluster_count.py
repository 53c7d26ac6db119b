"""How many clusters a pool has where nobody says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import Lexical, Named, Shed, curate, plan, read_ledger
from shed_hf.clustering.clusterers import HDBSCAN, Agglomerative, KMeans
from shed_hf.curation.cluster_count import FEWEST, MOST, default_cluster_count, with_default_cluster_count
from shed_hf.estimators import Exact, Hierarchical, InRun, LeastSquares, Permutation
from shed_hf.estimators.budget import FineTunings, Seconds
from shed_hf.estimators.registry import estimator_from
from shed_hf.game.ledger import Ledger
from shed_hf.game.recorded_settings import BEGUN_WITH
from tests.helpers.curations import ByTopic
from tests.helpers.rows import make_rows


@pytest.mark.parametrize(
    ("n_rows", "estimator", "budget", "count", "limit"),
    [
        (360, LeastSquares(), None, 18, "rows"),
        (1000, LeastSquares(), None, 50, "rows"),
        (1280, LeastSquares(), None, MOST, "most"),
        (1_000_000, LeastSquares(), None, MOST, "most"),
        (80, LeastSquares(), None, FEWEST, "rows"),
        (79, LeastSquares(), None, FEWEST, "fewest"),
        (3, LeastSquares(), None, 3, "fewest"),
        (3, InRun(), None, 3, "fewest"),
        (1000, LeastSquares(), FineTunings(46), 15, "fine-tunings"),
        (1000, LeastSquares(24), None, 9, "fine-tunings"),
        (1000, LeastSquares(), FineTunings(14), FEWEST, "fine-tunings"),
        (1000, LeastSquares(), FineTunings(3), FEWEST, "fewest"),
        (1000, LeastSquares(), Seconds(60.0), 50, "rows"),
        (1000, Exact(), None, 14, "fine-tunings"),
        (1000, InRun(), None, 50, "rows"),
        (1000, Permutation(n_orders=4), None, 50, "rows"),
        (1000, Hierarchical(), None, 50, "rows"),
        (100_000, Hierarchical(), None, 4 * MOST, "most"),
        (5000, Hierarchical(), FineTunings(46), 61, "fine-tunings"),
    ],
)
def test_it_follows_from_the_rows_and_from_what_can_be_told_apart(
    n_rows: int, estimator: Any, budget: Any, count: int, limit: str
) -> None:
    found = default_cluster_count(n_rows, estimator, budget, proxy_sets=1)
    assert (found.count, found.limit) == (count, limit)


def test_every_set_of_proxies_is_a_player() -> None:
    assert default_cluster_count(1000, LeastSquares(), FineTunings(48), proxy_sets=2).count == 7


def test_the_line_says_what_raises_it() -> None:
    assert default_cluster_count(360, LeastSquares(), None, 1).in_words() == (
        "18 clusters, of 360 rows (about 20 rows each; n_clusters=36 asks for more)"
    )
    limited = default_cluster_count(1000, LeastSquares(), FineTunings(45), 1).in_words()
    assert "as many as budget=45 can tell apart, with 3 fine-tunings for each; a larger budget= or" in limited
    starved = default_cluster_count(1000, LeastSquares(), FineTunings(3), 1).in_words()
    assert starved.endswith("about 250 rows each; budget=3 can hardly tell them apart, a larger budget= can)")
    assert (
        "64 at most, since each costs 3 fine-tunings" in default_cluster_count(5000, LeastSquares(), None, 1).in_words()
    )
    finer = default_cluster_count(5000, Hierarchical(), FineTunings(45), 1).in_words()
    assert "4 times as many as budget=45 can tell apart, with 3 fine-tunings for each; a larger budget= or" in finer
    rooted = default_cluster_count(4000, Hierarchical(), None, 1).in_words()
    assert rooted == (
        "190 clusters, of 4,000 rows (three times the square root of the rows, about 21 rows each; n_clusters=380 asks "
        "for more)"
    )
    finest = default_cluster_count(100_000, Hierarchical(), None, 1).in_words()
    assert "256 at most, since each told apart costs 3 fine-tunings" in finest


@pytest.mark.parametrize(
    ("n_rows", "words"),
    [
        (1, "1 cluster, of 1 row (one for each row; 80 rows fill the fewest that make a ranking)"),
        (4, "4 clusters, of 4 rows (one for each row; 80 rows fill the fewest that make a ranking)"),
        (10, "4 clusters, of 10 rows (the fewest that make a ranking, about 2 rows each; with more rows it says more)"),
        (
            45,
            "4 clusters, of 45 rows (the fewest that make a ranking, about 11 rows each; with more rows it says more)",
        ),
    ],
)
def test_of_few_rows_the_line_says_how_few_each_cluster_has(n_rows: int, words: str) -> None:
    assert default_cluster_count(n_rows, LeastSquares(), None, 1).in_words() == words


@pytest.mark.parametrize(
    ("asked", "clusterer", "estimator", "expected"),
    [
        ("kmeans", KMeans(), LeastSquares(), KMeans(18)),
        ("agglomerative", Agglomerative(), LeastSquares(), Agglomerative(18)),
        ("hdbscan", HDBSCAN(), LeastSquares(), HDBSCAN()),
        (KMeans(), KMeans(), LeastSquares(), KMeans()),
        (KMeans(7), KMeans(7), LeastSquares(), KMeans(7)),
        ("kmeans", KMeans(), Shed(), KMeans()),
    ],
    ids=["kmeans", "agglomerative", "hdbscan", "the paper's", "a number", "the paper's estimator"],
)
def test_only_a_word_leaves_it_open(asked: Any, clusterer: Any, estimator: Any, expected: Any) -> None:
    assert with_default_cluster_count(asked, clusterer, 360, estimator, None, 1)[0] == expected


def test_a_curation_says_how_many_and_its_recipe_keeps_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("shed_hf.curation.prepare.say", told.append)
    pool = Dataset.from_list(make_rows(120))
    curated = curate(pool, 12, embedder=Lexical(16), utility=ByTopic(pool), estimator="exact", proxies_per_cluster=1)
    assert len(curated.clusters) == 6
    assert curated.recipe["clusterer"]["n_clusters"] == 6
    assert told == ["6 clusters, of 120 rows (about 20 rows each; n_clusters=12 asks for more)"]
    assert np.isfinite(curated.valued.values).all()


POOL = Dataset.from_list(make_rows(240))


def resumed(ledger: Path | None, **changes: Any) -> dict[str, Any]:
    given = {"embedder": Lexical(16), "utility": Named("by topic", ByTopic(POOL)), "proxies_per_cluster": 2}
    return {**given, "sampler": "random", "ledger": ledger, **changes}


def spent(ledger: Path, budget: int) -> tuple[int, int]:
    """The clusters of a run, and how many outcomes it measured."""
    curated = curate(POOL, 24, **resumed(ledger, budget=budget))
    return len(curated.clusters), curated.recipe["bill"]["fine_tunings"]


@pytest.mark.filterwarnings("ignore:the values")
@pytest.mark.parametrize("budgets", [(12, 24, 40), (24, 12)], ids=str)
def test_a_ledger_keeps_the_number_that_it_began_with_whatever_the_budget(
    budgets: tuple[int, ...], tmp_path: Path
) -> None:
    ledger = tmp_path / "run.ledger"
    first, of_first = spent(ledger, budgets[0])
    assert first < 12  # as many as the rows would fill
    assert of_first > 0
    for budget in budgets[1:]:
        alone = curate(POOL, 24, **resumed(None, budget=budget, clusterer=KMeans(first))).recipe["bill"]["fine_tunings"]
        count, anew = spent(ledger, budget)
        assert (count, anew < alone) == (first, True)


@pytest.mark.filterwarnings("ignore:the values")
def test_what_a_plan_measured_counts_for_the_run_with_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, told = tmp_path / "run.ledger", []
    planned = plan(POOL, 24, pilot=8, **resumed(ledger))
    assert planned.in_ledger + planned.measured_now == len(read_ledger(ledger)) - 1 >= 9  # without v(∅)
    monkeypatch.setattr("shed_hf.curation.prepare.say", told.append)
    curated = curate(POOL, 24, **resumed(ledger, budget=24))
    assert len(curated.clusters) == planned.players == 12
    assert curated.recipe["bill"]["fine_tunings"] <= 24 - 8
    assert told[0].startswith("12 clusters, of 240 rows (as many as the ledger began with, so that its outcomes count;")


@pytest.mark.parametrize("note", [None, "7", True, 0, -3, 7.0, [7], 10_000], ids=repr)
def test_a_ledger_without_a_number_that_can_be_used_gives_the_usual_one(note: Any, tmp_path: Path) -> None:
    header = {} if note is None else {BEGUN_WITH: note}
    Ledger.of(header, []).dump(tmp_path / "run.ledger")
    found = with_default_cluster_count("kmeans", KMeans(), 360, LeastSquares(), None, 1, tmp_path / "run.ledger")
    assert found[0] == KMeans(18)


def test_a_number_that_the_estimator_cannot_value_is_not_kept(tmp_path: Path) -> None:
    Ledger.of({BEGUN_WITH: 18}, []).dump(tmp_path / "run.ledger")
    kept = [
        with_default_cluster_count("kmeans", KMeans(), 360, estimator, FineTunings(24), 1, tmp_path / "run.ledger")[0]
        for estimator in (LeastSquares(), Exact(), estimator_from(None))
    ]
    assert kept == [KMeans(18), KMeans(4), KMeans(18)]


@pytest.mark.filterwarnings("ignore:the values")
def test_a_ledger_of_an_earlier_version_and_clusters_of_ones_own_go_on_as_they_did(tmp_path: Path) -> None:
    ledger, earlier = tmp_path / "run.ledger", tmp_path / "earlier.ledger"
    first = curate(POOL, 24, **resumed(ledger, budget=24))
    header = dict(first.ledger.header)
    assert header.pop(BEGUN_WITH) == len(first.clusters)
    Ledger.of(header, read_ledger(ledger)).dump(earlier)
    assert spent(earlier, 24) == (len(first.clusters), 0)
    own = curate(POOL, 24, **resumed(ledger, budget=24, clusterer=KMeans(5)))
    assert (len(own.clusters), BEGUN_WITH in own.ledger.header) == (5, False)


@pytest.mark.filterwarnings("ignore:the values")
def test_the_bill_and_the_plan_count_outcomes_of_these_clusters_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, told = tmp_path / "run.ledger", []
    first = curate(POOL, 24, **resumed(ledger, budget=24, clusterer=KMeans(7)))
    monkeypatch.setattr("shed_hf.curation.valuation.say", told.append)
    planned = plan(POOL, 24, **resumed(ledger, clusterer=KMeans(5)))
    assert planned.in_ledger + planned.measured_now == 1  # v(N), which has few rows enough to be timed
    curate(POOL, 24, **resumed(ledger, budget=24, clusterer=KMeans(7)))
    bill = next(line for line in told if line.startswith("bill:"))
    assert f"; {first.recipe['bill']['fine_tunings']} measured already" in bill
