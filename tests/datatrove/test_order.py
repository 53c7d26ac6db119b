"""The order of rows within clusters, learned on a sample and applied to shards."""

import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

pytest.importorskip("datatrove")

from datatrove.executor import LocalPipelineExecutor
from scipy.stats import spearmanr

from shed_hf import CuratedDataset
from shed_hf.clustering.clusters import Clustering
from shed_hf.datatrove import Embed, Keep, RowReader, RowWriter, Score, shares_of
from shed_hf.datatrove.order import RowOrder, learn_order
from shed_hf.datatrove.sample import SampledRows
from shed_hf.errors import InputError
from shed_hf.sampling.extrapolation import LinearSignal
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows
from tests.helpers.shards import ROWS, copied, put_shards, run, words, written

N = 600
"""Rows of a sample, in four clusters."""


def vectors_of(n: int, seed: int = 0, spread: float = 1.0) -> np.ndarray:
    """Unit vectors, those of every fourth row of one cluster."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(4, 6))
    vectors = centres[np.arange(n) % 4] + spread * rng.normal(size=(n, 6))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def merit_of(vectors: np.ndarray, noise: float, seed: int = 0) -> np.ndarray:
    """Linear in vectors, up to noise and to what all rows of a cluster have in common."""
    rng = np.random.default_rng([seed, 7])
    slopes = np.random.default_rng(98).normal(size=6)
    return vectors @ slopes + 9.0 * (np.arange(len(vectors)) % 4) + noise * rng.normal(size=len(vectors))


def curated_by(vectors: np.ndarray, merit: Any, **changes: Any) -> CuratedDataset:
    pool = Dataset.from_list(make_rows(len(vectors)))
    return curated_of(pool, len(vectors) // 4, embedder=vectors, merit=merit, **changes)


def clusters_of(curated: CuratedDataset, n: int) -> np.ndarray:
    """Clusters of any rows: topics take turns."""
    return curated.clustering.labels[np.arange(n) % 4]


@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_new_rows_are_ordered_within_clusters_as_well_as_is_told(noise: float) -> None:
    vectors, new = vectors_of(N), vectors_of(4000, 1)
    curated = curated_by(vectors, merit_of(vectors, noise))
    order = learn_order(curated, vectors)
    assert (order.signal, order.measured) == ("numbers of the caller's", N)
    clusters, merit = clusters_of(curated, 4000), merit_of(new, noise, 1)
    ranks = order.ranks(new, clusters, np.random.default_rng(2).random(4000))
    holds = [spearmanr(merit[clusters == cluster], -ranks[clusters == cluster]).statistic for cluster in range(4)]
    assert order.rank_correlation == pytest.approx(np.mean(holds), abs=0.1)
    assert [(ranks < share).mean() for share in (0.1, 0.5)] == pytest.approx([0.1, 0.5], abs=0.04)


@pytest.mark.parametrize("n", [1, 30, 400])
@pytest.mark.parametrize("repeated", [0.0, 0.6])
def test_a_share_of_new_rows_is_kept_on_average_however_many_were_sampled_and_repeat(n: int, repeated: float) -> None:
    found, shares = [], np.array([0.05, 0.3, 0.75])
    regression = LinearSignal(np.ones((2, 1)), np.zeros(1))
    for seed in range(300):
        rng = np.random.default_rng(seed)
        vectors = rng.normal(size=(n + 50, 2))
        vectors[rng.random(len(vectors)) < repeated] = [0.5, 0.1]
        order = RowOrder("credit", n, 0.5, (np.sort(regression(vectors[:n])),), regression)
        ranks = order.ranks(vectors[n:], np.zeros(50, dtype=np.int64), rng.random(50))
        found.append((ranks[:, None] < shares).mean(axis=0))
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - shares) < 4 * error).all(), (np.mean(found, axis=0), error)


def test_a_rank_does_not_depend_on_the_rows_that_come_along() -> None:
    vectors = vectors_of(N)
    curated = curated_by(vectors, merit_of(vectors, 0.3))
    order, clusters, draws = learn_order(curated, vectors), clusters_of(curated, N), np.full(N, 0.5)
    together = order.ranks(vectors, clusters, draws)
    for size in (1, 7, 64):
        parts = [slice(start, start + size) for start in range(0, N, size)]
        apart = np.concatenate([order.ranks(vectors[part], clusters[part], draws[part]) for part in parts])
        np.testing.assert_array_equal(apart, together)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("rounding", [1e-7, 1e-6])
def test_rows_of_equal_text_have_equal_ranks_though_their_vectors_differ_by_rounding(
    rounding: float, share: float
) -> None:
    rng, text = np.random.default_rng(4), vectors_of(1)[0]
    vectors = rng.normal(size=(500, 6)) + 0.5 * text
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    repeats = rng.random(500) < share
    vectors[repeats] = text + rounding * rng.normal(size=(int(repeats.sum()), 6))
    regression = LinearSignal(rng.normal(size=(6, 3)), np.zeros(3))
    order = RowOrder("credit", 500, 0.5, (np.sort(regression(vectors)),), regression)
    again = text + rounding * rng.normal(size=(400, 6))
    for draw in (0.0, 0.4, 0.99):
        ranks = order.ranks(again, np.zeros(400, dtype=np.int64), np.full(400, draw))
        assert np.ptp(ranks) < 1e-9


def test_rows_without_a_cluster_have_no_rank() -> None:
    vectors = vectors_of(N)
    order = learn_order(curated_by(vectors, merit_of(vectors, 0.1)), vectors)
    ranks = order.ranks(vectors[:3], np.array([0, -1, 1]), np.full(3, 0.5))
    assert np.isnan(ranks).tolist() == [False, True, False]


def test_what_differs_between_clusters_alone_orders_no_rows_and_is_not_used() -> None:
    vectors = vectors_of(N)
    chance = np.random.default_rng(3).normal(size=N) + 50.0 * (np.arange(N) % 4)
    with pytest.warns(
        UserWarning, match=r"rank correlation -?0\.\d\d on rows held out, no better than chance, so rows"
    ):
        order = learn_order(curated_by(vectors, chance), vectors)
    assert order.regression is None
    assert order.rank_correlation < 0.1
    assert np.isnan(order.ranks(vectors, np.zeros(N, dtype=np.int64), np.zeros(N))).all()


def test_chance_in_small_clusters_is_rarely_taken_for_an_order() -> None:
    vectors, used = np.random.default_rng(1).normal(size=(N, 64)).astype(np.float32), 0
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    curated, clusters = curated_by(vectors, vectors[:, 0]), np.arange(N) % 200
    clustering = Clustering(clusters, np.zeros((200, 64)))
    for seed in range(20):
        merit = np.random.default_rng([seed, 5]).normal(size=N)
        valued = replace(curated.valued, clustering=clustering, merit=merit)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            used += learn_order(replace(curated, valued=valued), vectors).regression is not None
    assert used <= 3


def test_of_too_few_rows_nothing_is_learned() -> None:
    vectors = vectors_of(40)
    with pytest.warns(UserWarning, match="of 40 rows of the sample can't be learned from their vectors, so rows of a"):
        assert learn_order(curated_by(vectors, merit_of(vectors, 0.0)), vectors).regression is None


def learned(used: bool) -> dict[str, Any]:
    return {
        "signal": "credit", "measured": 90, "rows": N, "rank_correlation": 0.12, "r_squared": 0.01, "used": used
    }  # fmt: skip


def test_of_an_order_that_the_curation_learned_itself_the_figures_are_the_curations() -> None:
    vectors = vectors_of(N)
    curated = curated_by(vectors, merit_of(vectors, 0.0))
    curated = replace(curated, recipe={**curated.recipe, "learned_merit": learned(True)})
    order = learn_order(curated, vectors)
    assert (order.measured, order.rank_correlation) == (90, 0.12)


def test_an_order_that_the_curation_could_not_learn_is_not_learned_here() -> None:
    vectors = vectors_of(N)
    curated = curated_by(vectors, None)
    curated = replace(curated, recipe={**curated.recipe, "learned_merit": learned(False)})
    with pytest.warns(
        UserWarning, match=r"credit was learned on 90 of 600 rows: .* 0\.12 .* no better than chance, so"
    ):
        assert learn_order(curated, vectors).regression is None


def test_single_rows_chosen_by_their_vectors_give_the_order_of_their_nearness() -> None:
    encoder, rows = words(), make_rows(120)
    pool, items = Dataset.from_list(rows), Dataset.from_list(make_rows(20)[:7])
    curated = curated_of(pool, 30, embedder=encoder, sampler="retrieval", eval_dataset=items)
    vectors = np.stack(encoder.encode([f"{row['instruction']}\n{row['output']}" for row in rows]))
    order = learn_order(curated, vectors)
    assert order.signal == "nearness to the evaluation items"
    assert order.rank_correlation > 0.95


def test_rows_taken_at_random_have_no_order_to_learn() -> None:
    vectors = vectors_of(N)
    with pytest.raises(
        InputError, match=r'took the rows of a cluster at random, .* pass curate merit="learned-credit"'
    ):
        learn_order(curated_by(vectors, None), vectors)


def test_the_curation_of_other_rows_is_refused() -> None:
    vectors = vectors_of(N)
    with pytest.raises(InputError, match="the curation has a row 599, and the sample 200 rows"):
        learn_order(curated_by(vectors, merit_of(vectors, 0.0)), vectors[:200])


@pytest.fixture(scope="module")
def ordered() -> tuple[SampledRows, CuratedDataset]:
    """A sample of all rows, curated with the number of each row as its merit, which words tell a little of."""
    encoder, pool = words(), Dataset.from_list(ROWS)
    vectors = np.stack(encoder.encode([f"{row['instruction']}\n{row['output']}" for row in ROWS]))
    merit = vectors @ np.random.default_rng(0).normal(size=vectors.shape[1])
    curated = curated_of(pool, 40, embedder=encoder, merit=merit)
    return SampledRows(pool, curated.valued.format, vectors.astype(np.float32), encoder), curated


def test_two_workers_keep_the_same_best_rows_however_shards_are_cut(
    ordered: tuple[SampledRows, CuratedDataset], pool: Path, tmp_path: Path
) -> None:
    sample, curated = ordered
    cut = put_shards(tmp_path / "cut", Dataset.from_list(ROWS[::-1]), 5)
    shares = dict.fromkeys(range(4), 0.4)
    step, kept = Score(sample.scorer(curated), order=sample.order(curated), batch_size=7), []
    for folder, tasks in ((pool, 1), (cut, 5)):
        embedded, target = tmp_path / f"{folder.name} embedded", tmp_path / f"{folder.name} kept"
        copied(folder, embedded, Embed(words(), 9))
        reader = RowReader(str(embedded))
        steps = [reader, step, Keep(shares), RowWriter(str(target), reader)]
        logs = str(tmp_path / f"{folder.name} logs")
        LocalPipelineExecutor(steps, tasks=tasks, workers=min(tasks, 2), logging_dir=logs, start_method="fork").run()
        kept.append(sorted(written(target).to_list(), key=lambda row: row["n"]))
    assert kept[0] == kept[1]
    assert 48 - 4 <= len(kept[0]) <= 48 + 4
    assert max(row["shed_rank"] for row in kept[0]) < 0.4
    merit, places = curated.valued.merit, [row["n"] for row in kept[0]]
    for cluster in range(4):
        of_cluster = curated.clustering.labels == cluster
        best = np.sort(merit[of_cluster])[::-1][:12]
        found = merit[[place for place in places if of_cluster[place]]]
        assert found.mean() > merit[of_cluster].mean() + 0.7 * (best.mean() - merit[of_cluster].mean())


def test_without_an_order_that_was_learned_the_rows_kept_are_those_without_any(
    ordered: tuple[SampledRows, CuratedDataset], pool: Path, tmp_path: Path
) -> None:
    sample, curated = ordered
    embedded = tmp_path / "embedded"
    copied(pool, embedded, Embed(words()))
    nothing = RowOrder("credit", 90, 0.01)
    found = [
        copied(embedded, tmp_path / name, Score(sample.scorer(curated), order=order), Keep({0: 0.5, 1: 0.5}))
        for name, order in (("nothing", nothing), ("none", None))
    ]
    assert found[0].to_list() == found[1].to_list()
    assert "shed_rank" not in found[0].column_names


def test_an_order_goes_by_vectors(ordered: tuple[SampledRows, CuratedDataset], pool: Path) -> None:
    sample, curated = ordered
    step = Score(sample.scorer(curated), order=sample.order(curated))
    with pytest.raises(InputError, match=r"row 0\.parquet/0 has no vector, .* put Embed before Score"):
        run([RowReader(str(pool)), step])


@pytest.mark.parametrize("rows", [ROWS[::-1], [*ROWS[1:], ROWS[0]], [{**ROWS[0], "output": "no"}, *ROWS[1:]], ROWS[:9]])
def test_the_curation_of_other_rows_than_the_samples_is_refused(
    ordered: tuple[SampledRows, CuratedDataset], rows: list[dict[str, Any]]
) -> None:
    sample, curated = ordered
    other = replace(sample, dataset=Dataset.from_list(rows), vectors=sample.vectors[: len(rows)])
    with pytest.raises(InputError, match=r"the curation (is of other rows|has a row 119).*; pass what curate made of"):
        other.order(curated)


@pytest.mark.parametrize("curated", ["x", None, 3, ["row"]])
def test_an_order_is_learned_of_a_curation_alone(ordered: tuple[SampledRows, CuratedDataset], curated: Any) -> None:
    with pytest.raises(InputError, match=rf"is a {type(curated).__name__}; pass what curate made of this sample"):
        ordered[0].order(curated)


@pytest.mark.parametrize("of_source", [7, 7.5, 0.25, "best", None], ids=str)
@pytest.mark.parametrize("order", [None, RowOrder("credit", 90, 0.01)], ids=["no order", "nothing learned"])
def test_a_rank_that_rows_came_with_is_not_taken_for_one_by_the_order(
    ordered: tuple[SampledRows, CuratedDataset], tmp_path: Path, of_source: Any, order: RowOrder | None
) -> None:
    sample, curated = ordered
    found = []
    for name, more in (("bare", {}), ("ranked", {"shed_rank": of_source})):
        rows = Dataset.from_list([{**row, **more} for row in ROWS])
        folder = put_shards(tmp_path / name, rows, 1)
        score = Score(sample.scorer(curated), order=order)
        found.append(copied(folder, tmp_path / f"{name} out", score, Keep(dict.fromkeys(range(4), 0.5))))
    assert found[0].to_list() == found[1].to_list()
    assert 40 < len(found[0]) < 80


def test_rows_of_a_result_are_ranked_anew_by_an_order(
    ordered: tuple[SampledRows, CuratedDataset], tmp_path: Path
) -> None:
    sample, curated = ordered
    step = Score(sample.scorer(curated), order=sample.order(curated))
    ranked = put_shards(tmp_path / "ranked", Dataset.from_list([{**row, "shed_rank": row["n"] + 1} for row in ROWS]))
    bare = put_shards(tmp_path / "bare", Dataset.from_list(ROWS))
    found = [copied(folder, tmp_path / f"{folder.name} out", Embed(words()), step) for folder in (ranked, bare)]
    assert found[0].to_list() == found[1].to_list()
    assert 0 <= min(found[0]["shed_rank"]) < max(found[0]["shed_rank"]) < 1


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("best", "order='best' is a str; pass sample.order(curated)"),
        (learn_order(curated_by(vectors_of(N), merit_of(vectors_of(N), 0.0)), vectors_of(N)), "vectors of 6 numbers"),
    ],
    ids=["text", "other vectors"],
)
def test_another_order_is_refused(ordered: tuple[SampledRows, CuratedDataset], order: Any, said: str) -> None:
    sample, curated = ordered
    with pytest.raises(InputError, match=re.escape(said)):
        Score(sample.scorer(curated), order=order)


def test_the_order_of_as_many_other_clusters_is_refused(ordered: tuple[SampledRows, CuratedDataset]) -> None:
    sample, curated = ordered
    order, scorer = sample.order(curated), sample.scorer(curated)
    others = replace(scorer, centroids=scorer.centroids[::-1].copy())
    with pytest.raises(InputError, match=r"of other clusters than the scorer's, though there are 4 of both"):
        Score(others, order=order)


def test_the_order_of_a_scorer_that_was_saved_goes_with_it(
    ordered: tuple[SampledRows, CuratedDataset], tmp_path: Path
) -> None:
    sample, curated = ordered
    sample.scorer(curated).save_pretrained(tmp_path / "scorer")
    assert Score(tmp_path / "scorer", order=sample.order(curated)).order is not None


def test_the_share_of_each_cluster_is_that_of_the_curation_with_an_order_too(
    ordered: tuple[SampledRows, CuratedDataset],
) -> None:
    _, curated = ordered
    assert sum(share * 30 for share in shares_of(curated).values()) == pytest.approx(40)
