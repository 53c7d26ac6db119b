"""`curate` from end to end with a cheap utility, and its result on disk."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, InputError
from shed_hf.clustering.clusterers import HDBSCAN, KMeans
from shed_hf.estimators import Permutation
from shed_hf.sampling.sizes import resolve_size
from tests.helpers.curations import WORTH, ByTopic, _assert_equal, curated_of
from tests.helpers.rows import TOPICS, make_rows

SOURCE = ["instruction", "output", "topic"]


@pytest.fixture
def curated(pool: Dataset) -> CuratedDataset:
    return curated_of(pool)


# ---- the dataset


def test_the_result_is_the_source_rows_with_four_columns_more(pool: Dataset, curated: CuratedDataset) -> None:
    dataset = curated.dataset
    assert dataset.column_names == [*SOURCE, "shed_row", "shed_cluster", "shed_value", "shed_rank"]
    assert [dataset.features[name].dtype for name in dataset.column_names[3:]] == ["int64", "int64", "float64", "int64"]
    assert dataset.select_columns(SOURCE).to_list() == pool.select(curated.rows).to_list()
    assert {name: dataset.features[name] for name in SOURCE} == pool.features
    assert dataset["shed_row"][:] == curated.rows.tolist()
    assert dataset["shed_rank"][:] == list(range(1, 31))


def test_the_best_topic_is_kept_and_every_row_carries_its_value(curated: CuratedDataset) -> None:
    assert set(curated.dataset["topic"]) == {"cooking"}  # 30 of the 120 rows are of it
    assert curated.dataset["shed_value"][:] == pytest.approx([3.0] * 30)
    names = sorted(TOPICS)
    assert set(curated.dataset["shed_cluster"]) == {names.index("cooking")}
    np.testing.assert_allclose(curated.estimate.values, [WORTH[name] for name in names])


@pytest.mark.parametrize("sampler", ["qocs", "qwcs", "random"])
def test_rows_are_unique_and_as_many_as_asked(pool: Dataset, sampler: str) -> None:
    curated = curated_of(pool, 47, sampler=sampler)
    assert len(curated) == len(curated.rows) == len(curated.dataset) == 47
    assert len(np.unique(curated.rows)) == 47
    assert curated.rows.dtype == np.int64


def test_the_utility_sees_row_ids_of_the_source() -> None:
    rows = [{"instruction": "", "output": "", "topic": "music"}] * 3 + make_rows(40)
    source = Dataset.from_list(rows)
    utility = ByTopic(source)
    curated = curated_of(source, 5, utility=utility, drop_invalid=True, proxies_per_cluster=2)
    proxies = {row for line in curated.clusters for row in line["proxies"]}
    assert utility.seen == proxies
    assert min(proxies) >= 3
    for line, topic in zip(curated.clusters, sorted(TOPICS), strict=True):
        assert {source[row]["topic"] for row in line["proxies"]} == {topic}
        assert line["value"] == pytest.approx(2 * WORTH[topic])
    assert (curated.recipe["left_out"]["invalid"], curated.rows.min() >= 3) == (3, True)
    assert [sorted(TOPICS)[cluster] for cluster in curated.dataset["shed_cluster"]] == curated.dataset["topic"]


def test_the_clusters_table_has_a_line_per_cluster(curated: CuratedDataset) -> None:
    table = curated.clusters
    types = {name: str(getattr(feature, "dtype", feature)) for name, feature in table.features.items()}
    columns = "cluster size selected value stderr disagreement top_terms proxies excerpt in_words"
    assert " ".join(types) == columns
    assert list(types.values())[:6] == ["int64"] * 3 + ["float64"] * 3
    assert table.features["proxies"].feature.dtype == "int64"
    assert (table["cluster"][:], table["size"][:], table["selected"][:]) == ([0, 1, 2, 3], [30] * 4, [0, 30, 0, 0])
    assert table["in_words"][1].startswith("rank 1 of 4: adds 3.0000")
    assert "takes away 1.0000" in table["in_words"][2]
    assert all(curated.clustering.labels[row] == line["cluster"] for line in table for row in line["proxies"])


def test_the_repr_is_short_and_says_what_matters(curated: CuratedDataset) -> None:
    shown = repr(curated)
    assert shown.startswith("CuratedDataset(kept 30 of 120 rows, from 1 of 4 clusters")
    named = [f"{', '.join(curated.valued.terms[number][:3])} (cluster {number})" for number in (1, 2)]
    assert f"worth most: {named[0]} +3.0000 ± 0.0000; least: {named[1]} -1.0000 ± 0.0000" in shown
    assert "outcome of no rows 0.0000 (v(∅)), of a sample of every cluster" in shown
    assert "higher is better" in shown and "outcomes, " in shown and "fine-tuning" not in shown
    assert len(shown) < 900


def test_the_recipe_is_json(curated: CuratedDataset) -> None:
    recipe = json.loads(json.dumps(curated.recipe))
    assert recipe == curated.recipe
    assert recipe["size"] == 30
    assert recipe["source"]["rows"] == 120
    assert (recipe["estimator"]["name"], recipe["embedder"]["name"]) == ("Exact", "FittedLexical")


# ---- sizes


@pytest.mark.parametrize(
    ("size", "n"),
    [
        (12, 12),
        (0.1, 12),
        (0.125, 15),
        (1.0, 120),
        (120, 120),
        (1, 1),
        (1e-9, 1),
        (np.int32(7), 7),
        (np.float32(0.5), 60),
    ],
)
def test_a_size_is_a_number_or_a_share(pool: Dataset, size: Any, n: int) -> None:
    assert len(curated_of(pool, size)) == n
    assert isinstance(resolve_size(size, 120), int)


@pytest.mark.parametrize(
    "size", [0, -1, 121, np.int64(0), 0.0, -0.5, 1.5, 120.0, float("nan"), True, "ten", None, [10]]
)
def test_a_bad_size_is_named_with_what_to_pass(pool: Dataset, size: Any) -> None:
    with pytest.raises(InputError, match=r"^size=.* pass ") as caught:
        curated_of(pool, size)
    assert repr(size) in str(caught.value) or str(size) in str(caught.value)


def test_a_size_beyond_the_rows_left_says_why(pool: Dataset) -> None:
    items = pool.select(range(5))
    with pytest.raises(
        InputError, match=r"size=120 exceeds the 1\d\d rows that can be chosen .*repeating evaluation items"
    ):
        curated_of(pool, 120, eval_dataset=items)


# ---- arguments


def test_columns_that_the_result_adds_must_be_free(pool: Dataset) -> None:
    taken = pool.add_column("shed_value", [0.0] * 120)
    with pytest.raises(InputError, match=r"has columns \['shed_value'\] already; .*remove_columns\(\['shed_value'\]\)"):
        curated_of(taken)


@pytest.mark.parametrize(
    ("argument", "known"),
    [
        ("clusterer", ["agglomerative", "hdbscan", "kmeans"]),
        ("estimator", ["exact", "least-squares", "permutation", "shed"]),
        ("sampler", ["qocs", "qwcs", "random"]),
        ("utility", ["fine-tune"]),
    ],
)
def test_an_unknown_name_gives_those_that_are_known(pool: Dataset, argument: str, known: list[str]) -> None:
    with pytest.raises(InputError, match=f"{argument}='nonsense' is") as caught:
        curated_of(pool, **{argument: "nonsense"})
    assert all(name in str(caught.value) for name in known)


@pytest.mark.parametrize("count", [0, -1, 1.5, "two", True])
def test_a_bad_number_of_proxies_is_refused(pool: Dataset, count: Any) -> None:
    with pytest.raises(InputError, match=r"proxies_per_cluster=.* is not a whole number >= 1; pass one, or None"):
        curated_of(pool, proxies_per_cluster=count)


@pytest.mark.parametrize(("count", "brought"), [(1, 1), (7, 7), (np.int64(2), 2), (None, 30), (99, 30)])
def test_a_cluster_brings_as_many_proxies_as_asked_and_has(pool: Dataset, count: Any, brought: int) -> None:
    curated = curated_of(pool, proxies_per_cluster=count)
    assert [len(rows) for rows in curated.clusters["proxies"]] == [brought] * 4
    assert json.loads(json.dumps(curated.recipe["proxies_per_cluster"])) == count


@pytest.mark.parametrize("seed", [-1, 1.5, True, "zero", None])
def test_a_bad_seed_is_refused(pool: Dataset, seed: Any) -> None:
    with pytest.raises(InputError, match=r"seed=.* is not a whole number >= 0"):
        curated_of(pool, seed=seed)


def test_labels_are_clusters_whether_a_column_or_an_array(pool: Dataset, curated: CuratedDataset) -> None:
    for labels in (pool["topic"][:], np.array(pool["topic"][:]), tuple(pool["topic"])):
        other = curated_of(pool, clusterer=labels)
        assert (other.clustering.labels == curated.clustering.labels).all()
        assert (other.rows == curated.rows).all()


def test_a_given_matrix_curates_but_cannot_score_new_rows(pool: Dataset, tmp_path: Path) -> None:
    curated = curated_of(pool, embedder=np.random.default_rng(0).normal(size=(120, 4)))
    for result in (curated, _there_and_back(curated, tmp_path / "saved")):
        with pytest.raises(InputError, match=r"given as a matrix.*ClusterScorer"):
            _ = result.scorer


# ---- chance


def sampled(pool: Dataset, seed: int) -> CuratedDataset:
    estimator = Permutation(n_orders=2)
    return curated_of(pool, seed=seed, clusterer=KMeans(6, restarts=1), estimator=estimator, sampler="qwcs")


def test_the_same_seed_gives_the_same_result_and_another_seed_another(pool: Dataset) -> None:
    first, again, other = sampled(pool, 1), sampled(pool, 1), sampled(pool, 2)
    assert first.dataset.to_list() == again.dataset.to_list() != other.dataset.to_list()
    assert first.clusters.to_list() == again.clusters.to_list()


def test_global_random_numbers_are_neither_used_nor_disturbed(pool: Dataset) -> None:
    np.random.seed(7)
    first, after = sampled(pool, 1), np.random.random()
    np.random.seed(7)
    assert after == np.random.random()
    np.random.seed(8)
    assert (sampled(pool, 1).rows == first.rows).all()


def test_values_that_are_all_equal_draw_a_warning(pool: Dataset) -> None:
    with pytest.warns(UserWarning, match=r"all 4 clusters have the same value .*arbitrary"):
        curated_of(pool, utility=lambda row_sets: np.array([[float(len(rows))] for rows in row_sets]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curated_of(pool)


# ---- noise


@pytest.fixture
def with_noise() -> tuple[Dataset, np.ndarray]:
    """Three dense spots of 15 rows and five rows far from them and from each other."""
    rng, matrix = np.random.default_rng(0), np.zeros((50, 8))
    for row in range(45):
        matrix[row, row % 3] = 1
    matrix[:45] += rng.normal(scale=0.01, size=(45, 8))
    matrix[45:, 3:] = np.eye(5)
    return Dataset.from_list(make_rows(50)), matrix


@pytest.mark.parametrize("sampler", ["qocs", "qwcs"])
def test_noise_never_plays_and_is_chosen_last(with_noise: tuple[Dataset, np.ndarray], sampler: str) -> None:
    pool, matrix = with_noise
    utility = ByTopic(pool)
    arguments: dict[str, Any] = {"embedder": matrix, "clusterer": HDBSCAN(5), "sampler": sampler, "utility": utility}
    curated = curated_of(pool, 47, **arguments)
    assert not utility.seen & set(range(45, 50))
    assert set(curated.rows[:45]) == set(range(45))  # noise only when all else is used up
    assert curated.dataset["shed_cluster"][45:] == [-1, -1]
    assert curated.dataset["shed_value"][45:] == [None, None]
    noise = curated.clusters[3]
    assert (noise["cluster"], noise["size"], noise["selected"], noise["value"], noise["proxies"]) == (
        -1,
        5,
        2,
        None,
        [],
    )
    assert "not valued" in noise["in_words"]


# ---- on disk


def _there_and_back(curated: CuratedDataset, path: Path) -> CuratedDataset:
    curated.save_to_disk(path, pages=False)
    return CuratedDataset.load_from_disk(path)


@pytest.mark.parametrize("estimator", ["exact", "least-squares", Permutation(n_orders=1), Permutation(n_orders=4)])
def test_everything_survives_the_disk(pool: Dataset, tmp_path: Path, estimator: Any) -> None:
    curated = curated_of(pool, estimator=estimator)
    _assert_equal(curated, _there_and_back(curated, tmp_path / "deep" / "saved"))


def test_noise_survives_the_disk(with_noise: tuple[Dataset, np.ndarray], tmp_path: Path) -> None:
    curated = curated_of(with_noise[0], 48, embedder=with_noise[1], clusterer="hdbscan")
    assert (curated.clustering.labels == -1).any()
    _assert_equal(curated, _there_and_back(curated, tmp_path / "saved"))


def test_the_scorer_survives_the_disk(curated: CuratedDataset, tmp_path: Path) -> None:
    new = Dataset.from_list(make_rows(20, seed=9))
    loaded = _there_and_back(curated, tmp_path / "saved")
    scored = new.map(curated.scorer, batched=True)
    assert scored.to_list() == new.map(loaded.scorer, batched=True).to_list()
    assert [WORTH[topic] for topic in scored["topic"]] == pytest.approx(scored["shed_value"][:])


def test_a_path_that_is_taken_is_refused_and_left_alone(
    curated: CuratedDataset, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("working"))  # where the result is kept
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(InputError, match=r"exists already; pass another path or remove it"):
            curated.save_to_disk(path, pages=False)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    (tmp_path / "empty").mkdir()
    assert len(_there_and_back(curated, tmp_path / "empty")) == 30


def test_a_folder_of_something_else_is_refused(pool: Dataset, tmp_path: Path) -> None:
    pool.save_to_disk(tmp_path / "plain")
    for path in (tmp_path / "plain", tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"holds no curated dataset .*pass a folder that save_to_disk wrote"):
            CuratedDataset.load_from_disk(path)


def test_a_newer_format_is_refused_with_what_to_do(curated: CuratedDataset, tmp_path: Path) -> None:
    curated.save_to_disk(tmp_path / "saved", pages=False)
    manifest = tmp_path / "saved" / "shed_hf" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": 99}))
    with pytest.raises(InputError, match=r"written in format 99, this version of shed_hf reads up to \d+; upgrade it"):
        CuratedDataset.load_from_disk(tmp_path / "saved")
