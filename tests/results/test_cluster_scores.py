"""`ClusterScorer` under `Dataset.map`: batches, single rows, processes, streams, caches."""

import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from datasets import Dataset, load_dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from shed_hf.cluster_scorer import ClusterScorer
from shed_hf.data.formats import RowFormat, detect
from shed_hf.embedding.embed import unit
from shed_hf.embedding.encoders import SentenceTransformerEncoder
from shed_hf.errors import InputError, ShedWarning
from tests.helpers.rows import make_rows
from tests.helpers.scorers import topic_scorer

ADDED = ["shed_cluster", "shed_value", "shed_value_stderr", "shed_distance"]
VALUES, STDERR = np.array([0.5, -0.25, np.nan]), np.array([0.1, np.nan, np.nan])


class Numbers:
    """Embeds a text that is written as numbers, such as ``"1 0"``; counts its calls in this process."""

    calls: ClassVar[list[int]] = []

    def encode(self, sentences: list[str], /) -> np.ndarray:
        self.calls.append(len(sentences))
        return np.array([[float(number) for number in text.split()] for text in sentences])


def scorer(centroids: Any = ((1, 0), (0, 1), (-1, 0)), row_format: RowFormat | None = None) -> ClusterScorer:
    row_format = detect(["text"]) if row_format is None else row_format
    return ClusterScorer(np.array(centroids, dtype=np.float32), VALUES, STDERR, Numbers(), row_format)


TEXTS = ["1 0", "3 1", "-1 5", "-2 0.5", "0 2"]
NEAREST = [0, 0, 1, 2, 1]


# ---- values


def test_a_row_gets_the_value_of_its_nearest_cluster() -> None:
    scored = scorer()({"text": TEXTS})
    assert list(scored) == ADDED
    assert scored["shed_cluster"] == NEAREST
    np.testing.assert_array_equal(scored["shed_value"], VALUES[NEAREST])
    np.testing.assert_array_equal(scored["shed_value_stderr"], STDERR[NEAREST])
    np.testing.assert_allclose(scored["shed_distance"][:2], [0, 1 - 3 / np.sqrt(10)], atol=1e-6)


def test_a_row_without_a_vector_gets_no_value_and_is_named() -> None:
    texts = [TEXTS[0], "0.0 0.0", TEXTS[1]]
    with pytest.warns(UserWarning, match=r"1 of 3 rows of a batch get no value, cluster -1: .* row 1$"):
        scored = scorer()({"text": texts})
    plain = scorer()({"text": TEXTS[:2]})
    assert scored["shed_cluster"] == [plain["shed_cluster"][0], -1, plain["shed_cluster"][1]]
    for name in ADDED[1:]:
        assert np.isnan(scored[name][1])
        np.testing.assert_array_equal([scored[name][0], scored[name][2]], plain[name])


@settings(max_examples=50, deadline=None)
@given(
    arrays.arrays(np.float32, (5, 3), elements=st.floats(-4, 4, width=32)).filter(lambda rows: rows.any(axis=1).all()),
    arrays.arrays(np.float32, (3, 3), elements=st.floats(-1, 1, width=32)),
)
def test_the_nearest_cluster_is_at_the_least_distance(rows: np.ndarray, centroids: np.ndarray) -> None:
    scored = scorer(centroids)({"text": [" ".join(str(number) for number in row) for row in rows]})
    vectors = unit(rows, np.arange(5))
    distances = np.linalg.norm(vectors[:, None] - centroids[None], axis=-1)
    np.testing.assert_allclose(distances[np.arange(5), scored["shed_cluster"]], distances.min(axis=1), atol=1e-3)
    chosen = unit(centroids, np.arange(3))[scored["shed_cluster"]]
    np.testing.assert_allclose(scored["shed_distance"], 1 - (vectors * chosen).sum(axis=1), atol=1e-5)


def test_many_rows_and_clusters_at_once_fit_in_memory() -> None:
    import tracemalloc

    big = ClusterScorer(np.eye(400, 384, dtype=np.float32), np.zeros(400), np.zeros(400), Ones(), detect(["text"]))
    tracemalloc.start()
    assert big({"text": ["a"] * 1000})["shed_cluster"] == [0] * 1000
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


class Ones:
    def encode(self, sentences: list[str], /) -> np.ndarray:
        return np.tile(np.eye(1, 384), (len(sentences), 1))


@pytest.mark.parametrize(
    ("lacking", "told"),
    [
        ([], None),
        (["input"], r"the rows lack \['input'\], which the scorer's pool had: they are embedded without"),
        (["input", "system"], r"the rows lack \['input', 'system'\], which"),
        (["tools"], None),
    ],
)
@pytest.mark.parametrize("options", [{"batched": True, "batch_size": 2}, {"batched": False}], ids=["batches", "rows"])
def test_columns_that_rows_lack_are_told_once(lacking: list[str], told: str | None, options: dict[str, Any]) -> None:
    row_format = detect(["instruction", "input", "output", "system", "tools"])
    rows = Dataset.from_list([dict.fromkeys(row_format.read_columns) | {"instruction": "1", "output": "0"}] * 6)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        mapped = rows.remove_columns(lacking).map(scorer(row_format=row_format), **options, load_from_cache_file=False)
    found = [str(each.message) for each in caught if issubclass(each.category, ShedWarning)]
    assert mapped["shed_cluster"][:] == [0] * 6
    assert len(found) == (told is not None)
    assert all(re.match(told or "", each) for each in found)


# ---- under map


@pytest.mark.parametrize(
    "options",
    [
        {"batched": True},
        {"batched": True, "batch_size": 2},
        {"batched": False},
        {"batched": True, "num_proc": 2},
        {"batched": True, "num_proc": 2, "with_rank": True},
        {"batched": False, "with_rank": True},
        {"batched": True, "with_indices": True},
        {"batched": True, "batch_size": 2, "with_indices": True, "with_rank": True},
        {"batched": True, "num_proc": 2, "with_indices": True},
        {"batched": False, "with_indices": True},
        {"batched": False, "with_indices": True, "with_rank": True},
    ],
)
def test_every_way_to_map_gives_the_same(options: dict[str, Any]) -> None:
    mapped = Dataset.from_dict({"text": TEXTS, "other": range(5)}).map(scorer(), **options)
    assert mapped.column_names == ["text", "other", *ADDED]
    assert mapped["shed_cluster"] == NEAREST
    np.testing.assert_array_equal(np.array(mapped["shed_value"], dtype=float), VALUES[NEAREST])
    types = {name: mapped.features[name].dtype for name in ADDED}
    assert types == {name: "int64" if name == "shed_cluster" else "float64" for name in ADDED}


@pytest.mark.parametrize("batched", [True, False])
def test_a_stream_is_scored_as_it_comes(batched: bool) -> None:
    stream = Dataset.from_dict({"text": TEXTS}).to_iterable_dataset().map(scorer(), batched=batched)
    rows = list(stream)
    assert [row["shed_cluster"] for row in rows] == NEAREST
    assert [row["text"] for row in rows] == TEXTS


def test_an_empty_batch_gets_empty_columns() -> None:
    assert scorer()({"text": []}) == {name: [] for name in ADDED}


MESSAGES = [[{"role": "assistant", "content": text}] for text in TEXTS]


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize(
    "columns",
    [
        {"messages": MESSAGES},
        {"conversations": MESSAGES},
        {"prompt": [[{"role": "user", "content": ""}]] * 5, "completion": MESSAGES},
        {"prompt": ["1"] * 5, "completion": ["0", "1", "-1", "-5", "2"]},
        {"question": ["1"] * 5, "choices": [["0", "9"]] * 5, "answer": ["A"] * 5},
    ],
)
def test_rows_of_every_shape_are_scored_in_batches_and_one_by_one(columns: dict[str, Any], batched: bool) -> None:
    row_format = detect(list(columns))
    texts = [row_format.read(row).text for row in Dataset.from_dict(columns)]
    mapped = Dataset.from_dict(columns).map(scorer(row_format=row_format), batched=batched)
    assert mapped["shed_cluster"] == scorer()({"text": texts})["shed_cluster"]


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_the_format_the_rows_are_set_to_does_not_matter(kind: str) -> None:
    mapped = Dataset.from_dict({"text": TEXTS}).with_format(kind).map(scorer(), batched=True)
    assert mapped.with_format(None)["shed_cluster"] == NEAREST


def test_new_rows_of_a_topic_find_its_cluster() -> None:
    found = topic_scorer(Dataset.from_list(make_rows(80)))
    mapped = Dataset.from_list(make_rows(40, seed=5)).map(found, batched=True)
    assert np.mean(np.array(mapped["shed_cluster"]) == np.arange(40) % 4) > 0.95
    assert mapped["shed_value"] == [float(cluster) for cluster in mapped["shed_cluster"]]


# ---- what cannot be scored


@pytest.mark.parametrize("batched", [True, False])
def test_rows_with_other_columns_are_refused(batched: bool) -> None:
    rows = Dataset.from_dict({"words": TEXTS})
    with pytest.raises(InputError, match=r"the rows have columns \['words'\], the scorer reads \['text'\]; rename"):
        rows.map(scorer(), batched=batched)


@pytest.mark.parametrize("batched", [True, False])
def test_a_row_that_cannot_be_read_is_refused(batched: bool) -> None:
    with pytest.raises(InputError, match="column 'text' is None"):
        Dataset.from_dict({"text": ["1 0", None]}).map(scorer(), batched=batched)
    with pytest.raises(InputError, match="column 'messages' holds None, not a list"):
        Dataset.from_dict({"messages": [MESSAGES[0], None]}).map(
            scorer(row_format=detect(["messages"])), batched=batched
        )


# ---- caching


def test_a_second_map_finds_the_first_ones_cache(tmp_path: Path) -> None:
    Dataset.from_dict({"text": TEXTS}).to_json(tmp_path / "rows.jsonl")
    rows = load_dataset("json", data_files=str(tmp_path / "rows.jsonl"), cache_dir=str(tmp_path), split="train")
    first = rows.map(scorer(), batched=True)
    calls = len(Numbers.calls)
    again = rows.map(scorer(), batched=True)
    assert len(Numbers.calls) == calls > 0
    assert again.cache_files == first.cache_files != []
    assert again["shed_cluster"] == NEAREST
    rows.map(scorer(((0, 1), (1, 0), (-1, 0))), batched=True)
    assert len(Numbers.calls) > calls


FINGERPRINT = """
import json, sys
from datasets import load_dataset, disable_progress_bars
from tests.helpers.scorers import topic_scorer
disable_progress_bars()
rows = load_dataset("json", data_files=sys.argv[1], cache_dir=sys.argv[2], split="train")
mapped = rows.map(topic_scorer(rows), batched=True)
print(json.dumps([mapped._fingerprint, mapped.cache_files, mapped["shed_value"][:]]))
"""


def test_two_processes_agree_on_the_fingerprint(tmp_path: Path) -> None:
    Dataset.from_list(make_rows(24)).to_json(tmp_path / "rows.jsonl")
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", FINGERPRINT, str(tmp_path / "rows.jsonl"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    rows = load_dataset("json", data_files=str(tmp_path / "rows.jsonl"), cache_dir=str(tmp_path), split="train")
    mapped = rows.map(topic_scorer(rows), batched=True)
    here = [mapped._fingerprint, mapped.cache_files, mapped["shed_value"][:]]
    assert json.loads(done.stdout.splitlines()[-1]) == here  # this process has another seed of hashes


@pytest.mark.parametrize(
    ("options", "devices"),
    [
        ({"batched": True, "batch_size": 2, "with_indices": True}, set()),
        ({"batched": False, "with_indices": True}, set()),
        ({"batched": False, "with_indices": True, "with_rank": True}, set()),
        ({"batched": True, "with_rank": True}, set()),
        ({"batched": True, "with_indices": True, "with_rank": True}, set()),
        ({"batched": True, "fn_kwargs": {"rank": 3}}, {"device 3"}),
    ],
)
def test_only_a_rank_chooses_the_device(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], devices: set[str]
) -> None:
    moved: set[str] = set()

    class Moving(SentenceTransformerEncoder):
        def encode(self, sentences: list[str], /) -> np.ndarray:
            return np.eye(3, dtype=np.float32)[[0] * len(sentences)]

        def move_to(self, device: str) -> None:
            moved.add(device)

    monkeypatch.setattr("shed_hf.results.cluster_scores.device_of", lambda rank: f"device {rank}")
    values = np.array([1.0, 2.0, 3.0])
    found = ClusterScorer(np.eye(3, dtype=np.float32), values, values, Moving("none"), detect(["text"]))
    mapped = Dataset.from_dict({"text": TEXTS}).map(found, load_from_cache_file=False, **options)
    assert mapped["shed_value"][:] == [1.0] * 5
    assert moved == devices
    for passed in ((2,), ([0, 1, 2, 3, 4], 2), (np.arange(5), np.int64(2))):
        moved.clear()
        found({"text": TEXTS}, *passed)
        assert moved == {"device 2"}


@pytest.mark.parametrize("rows", [None, 5, "text", [{"text": "a"}], Dataset.from_dict({"text": TEXTS})])
def test_what_is_no_batch_is_refused(rows: Any) -> None:
    with pytest.raises(
        InputError, match=rf"^a {type(rows).__name__} is no batch of rows by column; pass one, or a data"
    ):
        scorer()(rows)


@pytest.mark.parametrize("passed", [(1, 2), ([0], 1, 2), ("0",), (1.5,), (True,)])
def test_what_map_never_passes_is_refused(passed: tuple[Any, ...]) -> None:
    with pytest.raises(InputError, match="a batch came with"):
        scorer()({"text": TEXTS}, *passed)


def test_rows_that_were_embedded_before_are_scored_alike() -> None:
    texts = ["1 0", "0 3", "-1 -1", "0 0"]
    vectors = unit(Numbers().encode(texts), np.arange(4))
    with pytest.warns(UserWarning, match="1 of 4 rows"):
        expected = scorer()({"text": texts})
    np.testing.assert_equal(scorer().of_vectors(vectors), expected)


@pytest.mark.parametrize("shape", [(3, 3), (2,)])
def test_vectors_of_other_dimensions_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"vectors have shape .*centroids \(3, 2\)"):
        scorer().of_vectors(np.ones(shape, dtype=np.float32))
