"""Results to push to the Hub of the tests, and ways to read what arrived."""

import io
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, load_dataset
from huggingface_hub import HfApi, metadata_update

from shed_hf import ClusterScorer, CuratedDataset, Lexical
from shed_hf.data.formats import detect
from shed_hf.embedding.encoders import FittedLexical
from shed_hf.errors import ShedError
from tests.helpers.curations import curated_of
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.rows import make_rows


@cache
def result() -> CuratedDataset:
    """30 of 120 rows that were never on a Hub."""
    return curated_of(Dataset.from_list(make_rows(120)))


def published(repo: str, rows: Dataset, private: bool = False, **metadata: Any) -> Dataset:
    """The rows as they come back from a dataset repository."""
    rows.push_to_hub(repo, private=private)
    if metadata:
        metadata_update(repo, metadata, repo_type="dataset", overwrite=True)
    return load_dataset(repo, split="train")


def words_in(hub: LoopbackHub, repo: str) -> str:
    """Everything that can be read in a repository: names and texts of all files, tables decoded."""
    parts = hub.commits(repo)
    for path, content in hub.files(repo).items():
        table = pq.read_table(io.BytesIO(content)) if path.endswith(".parquet") else None
        told = "" if table is None else f"{table.to_pylist()} {table.schema.metadata}"
        parts += [path, told, content.decode("latin-1")]
    return "\n".join(parts)


def put(repo: str, path: str, content: str | bytes, kind: str = "dataset") -> None:
    data = content.encode() if isinstance(content, str) else content
    HfApi().upload_file(path_or_fileobj=data, path_in_repo=path, repo_id=repo, repo_type=kind)


def refused(call: Callable[[], object], kind: type[ShedError], told: str) -> str:
    """What the error says; neither it nor what it came from holds a token."""
    with pytest.raises(kind, match=told) as caught:
        call()
    error: BaseException | None = caught.value
    while error is not None:
        assert "secret" not in f"{error}{error!r}{vars(error)}"
        error = error.__cause__ or error.__context__
    return str(caught.value)


POOL = Dataset.from_list(make_rows(120))


@cache
def _words() -> FittedLexical:
    return Lexical(8).fit([f"{row['instruction']} {row['output']}" for row in make_rows(60)])


def scorer(encoder: Any = None) -> ClusterScorer:
    found: Any = encoder or _words()
    d = 6 if encoder else 8
    centroids = np.random.default_rng(0).normal(size=(4, d)).astype(np.float32)
    values = np.array([0.1 + 0.2, -1e-300, np.nan, 5.0])
    return ClusterScorer(centroids, values, np.array([0.1, np.nan, np.nan, 0.3]), found, detect(POOL.column_names))
