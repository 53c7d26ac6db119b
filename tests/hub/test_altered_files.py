"""Files of curations and of scorers, altered on the Hub: each is refused, naming the repository and what is wrong."""

import json
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfApi
from safetensors.numpy import load, save

from shed_hf import ClusterScorer, CuratedDataset, InputError
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.pushes import refused, result, scorer

pytestmark = pytest.mark.usefixtures("alice", "no_token_is_told")


# ---- of a curation


def _json(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps(change(json.loads(content))).encode()


def _recipe(**changes: Any) -> Callable[[bytes], bytes]:
    return _json(lambda manifest: manifest | {"recipe": manifest["recipe"] | changes})


def _array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[bytes], bytes]:
    return lambda content: save({**(arrays := load(content)), name: change(arrays[name].copy())})


def _first(value: Any) -> Callable[[Any], Any]:
    """The same column or array but for its first line."""

    def change(column: Any) -> Any:
        return np.array([value, *column[1:]], column.dtype) if isinstance(column, np.ndarray) else [value, *column[1:]]

    return change


def _column(name: str, change: Callable[[list[Any]], list[Any]] | None) -> Callable[[bytes], bytes]:
    def changed(content: bytes) -> bytes:
        table, place = pq.read_table(BytesIO(content)), BytesIO()
        at, column = table.schema.get_field_index(name), table[name]
        new = None if change is None else pa.array(change(column.to_pylist()), column.type)
        pq.write_table(table.drop_columns(name) if new is None else table.set_column(at, name, new), place)
        return place.getvalue()

    return changed


def _cut(content: bytes) -> bytes:
    return content[:-20]


MANIFEST, ARRAYS = "shed_hf/manifest.json", "shed_hf/arrays.safetensors"
DATA, CLUSTERS, UTILITIES = (f"{place}/train-00000-of-00001.parquet" for place in ("data", "clusters", "utilities"))
ALTERED: dict[str, tuple[str, Callable[[bytes], bytes] | None, str]] = {
    "no-number": (ARRAYS, _array("values", _first(np.nan)), "values of 1 clusters are not finite"),
    "label": (ARRAYS, _array("labels", _first(99)), "altered or damaged"),
    "digests": (ARRAYS, _array("digests", lambda digests: digests[:-1]), "altered or damaged"),
    "centroids": (ARRAYS, _array("centroids", lambda matrix: matrix * np.nan), "not finite"),
    "other-centroids": (ARRAYS, _array("centroids", lambda matrix: matrix[:, :-1]), "altered or damaged"),
    "flat": (ARRAYS, _array("labels", lambda labels: labels[:, None]), "altered or damaged"),
    "replicates": (ARRAYS, _array("replicates", lambda r: np.zeros((2, 9))), "replicates of 9 clusters"),
    "cut-arrays": (ARRAYS, _cut, "is damaged: arrays.safetensors can't be read"),
    "range": (DATA, _column("shed_cluster", _first(99)), "row 0 says cluster 99, its label is 1 of 0 … 3"),
    "of-other": (DATA, _column("shed_cluster", _first(2)), "row 0 says cluster 2, its label is 1"),
    "value": (DATA, _column("shed_value", _first(9.0)), "altered or damaged"),
    "row": (DATA, _column("shed_row", _first(-5)), "chosen rows that are not of the pool"),
    "no-row": (DATA, _column("shed_row", None), "Column 'shed_row' doesn't exist"),
    "cut-data": (DATA, _cut, "is damaged: data/.*parquet can't be read"),
    "cut-clusters": (CLUSTERS, _cut, "is damaged: clusters/.*parquet can't be read"),
    "cluster-value": (CLUSTERS, _column("value", _first(9.0)), "values of clusters that are not the estimate's"),
    "size": (CLUSTERS, _column("size", _first(3)), "sizes of clusters"),
    "number": (CLUSTERS, _column("cluster", _first(7)), "the clusters are numbered"),
    "proxies": (CLUSTERS, _column("proxies", _first([0])), "proxies of cluster 0 that are not its members"),
    "infinite": (
        UTILITIES,
        _column("outcome", _first([float("inf"), 1.0])),
        "of the utilities cannot be read .*not finite",
    ),
    "nothing": (UTILITIES, _column("outcome", _first([])), "altered or damaged"),
    "beside": (UTILITIES, _column("beside", _first("{")), "altered or damaged"),
    "cut-utilities": (UTILITIES, _cut, "is damaged: utilities/.*parquet can't be read"),
    "newer": (MANIFEST, _json(lambda manifest: manifest | {"version": 3}), "written in format 3, .*upgrade it"),
    "unversioned": (MANIFEST, _json(lambda manifest: {}), "its manifest has no version"),
    "unknown": (MANIFEST, _recipe(code="run()"), r"its recipe has unknown fields \['code'\]"),
    "source": (MANIFEST, _recipe(source="somewhere"), "altered or damaged"),
    "hub": (MANIFEST, _recipe(source={"rows": 120, "split": "", "hub": 3}), "altered or damaged"),
    "columns": (MANIFEST, _recipe(format={"name": "x", "columns": 3}), "altered or damaged"),
    "no-json": (MANIFEST, _cut, "is damaged: manifest.json can't be read"),
    "list": (MANIFEST, lambda _: b"[1]", "its manifest has no version"),
    "lacks-arrays": (ARRAYS, None, "is damaged: arrays.safetensors can't be read"),
    "lacks-data": (DATA, None, "is incomplete: data/.*parquet is missing"),
    "lacks-clusters": (CLUSTERS, None, "is incomplete: clusters/.*parquet is missing"),
    "lacks-manifest": (MANIFEST, None, "not one that shed_hf curated"),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("altered") / "saved"
    result().save_to_disk(folder, pages=False)
    return folder


@pytest.mark.parametrize("how", ALTERED)
def test_altered_files_are_refused(hub: LoopbackHub, saved: Path, tmp_path: Path, how: str) -> None:
    path, change, told = ALTERED[how]
    repo, folder = f"alice/altered-{how}", tmp_path / "altered"
    shutil.copytree(saved, folder)
    if change is None:
        (folder / path).unlink()
    else:
        (folder / path).write_bytes(change((folder / path).read_bytes()))
    HfApi().create_repo(repo, repo_type="dataset")
    HfApi().upload_folder(repo_id=repo, repo_type="dataset", folder_path=folder)
    refused(lambda: CuratedDataset.from_hub(repo), InputError, rf"^{repo} .*{told}")


# ---- of a scorer


def _arrays(**changes: Any) -> Callable[[bytes], bytes]:
    return lambda content: save({name: value for name, value in (load(content) | changes).items() if value is not None})


BAD: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "newer": ("config.json", _json(lambda config: config | {"version": 99}), "written in format 99.*upgrade"),
    "unknown": ("config.json", _json(lambda config: config | {"code": "run()"}), "is no scorer"),
    "lacking": ("config.json", _json(lambda config: {"version": 1}), "is no scorer"),
    "list": ("config.json", lambda _: b"[]", "is no scorer"),
    "no-json": ("config.json", lambda content: content[:-9], "get it again"),
    "no-format": ("config.json", _json(lambda config: config | {"format": {}}), "get it again"),
    "columns": ("config.json", _json(lambda config: config | {"format": {"name": "x", "columns": 3}}), "get it again"),
    "no-encoder": ("config.json", _json(lambda config: config | {"encoder": "Lexical"}), "get it again"),
    "clusters": ("config.json", _json(lambda config: config | {"clusters": 9}), "get it again"),
    "truncated": ("model.safetensors", lambda content: content[:-5], "is damaged"),
    "infinite": ("model.safetensors", _arrays(values=np.array([1, np.inf, 0, 0])), "not finite"),
    "far": ("model.safetensors", _arrays(centroids=np.full((4, 8), np.nan, np.float32)), "not finite"),
    "shape": ("model.safetensors", _arrays(values=np.zeros(3)), "shapes"),
    "flat": ("model.safetensors", _arrays(centroids=np.zeros(4, np.float32)), "shapes"),
    "weights": ("model.safetensors", _arrays(lexical_idf=None), "get it again"),
    "short": ("model.safetensors", _arrays(lexical_idf=np.ones(2, np.float32)), "get it again"),
    "words": ("words.json", lambda content: content[:-9], "get it again"),
    "fewer-words": ("words.json", lambda content: b'["one"]', "get it again"),
}


@pytest.mark.parametrize("how", BAD)
def test_a_scorer_whose_files_were_altered_is_refused(hub: LoopbackHub, tmp_path: Path, how: str) -> None:
    path, change, told = BAD[how]
    scorer().save_pretrained(tmp_path)
    (tmp_path / path).write_bytes(change((tmp_path / path).read_bytes()))
    HfApi().create_repo(f"alice/bad-{how}")
    HfApi().upload_folder(repo_id=f"alice/bad-{how}", folder_path=tmp_path)
    repo = f"alice/bad-{how}"
    refused(lambda: ClusterScorer.from_pretrained(repo), InputError, rf"^{repo} .*{told}")
