"""What of a curated dataset's files is refused because it was altered, or damaged on the way."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from safetensors.numpy import load_file, save_file

from shed_hf import CuratedDataset, InputError
from shed_hf.estimators import Permutation
from shed_hf.storage.curated_folder import ARRAYS, MANIFEST, WORDS
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows

Change = Callable[[Path], Any]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("integrity") / "saved"
    curated_of(Dataset.from_list(make_rows(120)), estimator=Permutation(4)).save_to_disk(folder, pages=False)
    return folder


def manifest(*place: str, to: Any = None) -> Change:
    """Sets the field at a place of the manifest, or drops it."""

    def change(folder: Path) -> None:
        record = found = json.loads((folder / MANIFEST).read_text())
        for name in place[:-1]:
            found = found[name]
        if to is None:
            del found[place[-1]]
        else:
            found[place[-1]] = to
        (folder / MANIFEST).write_text(json.dumps(record))

    return change


def array(name: str, of: Callable[[Any], Any]) -> Change:
    """Puts another array in the place of one, or takes it away."""

    def change(folder: Path) -> None:
        arrays = dict(load_file(folder / ARRAYS))
        other = of(arrays.pop(name))
        save_file(arrays | ({} if other is None else {name: np.ascontiguousarray(other)}), folder / ARRAYS)

    return change


def table(place: str, of: Callable[[pa.Table], pa.Table]) -> Change:
    def change(folder: Path) -> None:
        path = next((folder / place).iterdir())
        pq.write_table(of(pq.read_table(path)), path)

    return change


def cell(place: str, column: str, value: Any) -> Change:
    """Another value in the first line of a table."""

    def other(found: pa.Table) -> pa.Table:
        number = found.column_names.index(column)
        cells = [value, *found[column].to_pylist()[1:]]
        return found.set_column(number, found.schema.field(number), pa.array(cells, found.schema.field(number).type))

    return table(place, other)


def text(file: str, content: bytes) -> Change:
    return lambda folder: (folder / file).write_bytes(content)


def cut(pattern: str) -> Change:
    return lambda folder: [path.write_bytes(path.read_bytes()[:-40]) for path in folder.glob(pattern)]


def noise_twice(found: pa.Table) -> pa.Table:
    noise = found.slice(0, 1).set_column(0, "cluster", pa.array([-1]))
    return pa.concat_tables([found, noise, noise])


NAN, TWICE = float("nan"), lambda found: pa.concat_tables([found, found.slice(0, 1)])
ALTERED: dict[str, tuple[Change, str]] = {
    "version gone": (manifest("version"), r"manifest has no version \(None\)"),
    "version 0": (manifest("version", to=0), r"no version \(0\)"),
    "version of another type": (manifest("version", to="1"), r"no version \('1'\)"),
    "a newer version": (manifest("version", to=3), r"was written in format 3, .* reads up to 2; upgrade it"),
    "an older version": (manifest("version", to=1), r"was written in format 1, .* reads 2; repeat the curation"),
    "manifest a list": (text(MANIFEST, b"[]"), "manifest has no version"),
    "manifest cut": (cut(MANIFEST), "manifest.json can't be read"),
    "manifest not UTF-8": (text(MANIFEST, b"\xff"), "manifest.json can't be read"),
    "manifest with a field more": (manifest("code", to="x"), r"manifest has unknown fields \['code'\] and lacks \[\]"),
    "ledger gone": (manifest("ledger"), r"manifest has unknown fields \[\] and lacks \['ledger'\]"),
    "recipe field gone": (manifest("recipe", "size"), r"recipe has .* lacks \['size'\]"),
    "recipe with a field more": (manifest("recipe", "x", to=1), r"recipe has unknown fields \['x'\]"),
    "recipe a list": (manifest("recipe", to=[1]), "its recipe has unknown fields"),
    "estimate field gone": (manifest("estimate", "v_grand"), r"estimate has .* lacks \['v_grand'\]"),
    "estimate with an array": (manifest("estimate", "values", to=[1]), r"estimate has unknown fields \['values'\]"),
    "estimate a number": (manifest("estimate", to=3), "its estimate has unknown fields"),
    "v(∅) not finite": (manifest("estimate", "v_empty", to=NAN), r"v\(∅\) or v\(N\) is not finite"),
    "v(N) a word": (manifest("estimate", "v_grand", to="x"), "."),
    "a p-value negative": (manifest("estimate", "p_value", to=-0.1), r"a p_value of -0\.1"),
    "a p-value in words": (manifest("estimate", "p_value", to="x"), "a p_value of 'x'"),
    "an infinite noise floor": (manifest("estimate", "noise_floor", to=float("inf")), "a noise_floor of inf"),
    "a number as a reason": (manifest("estimate", "stopped", to=3), "a reason to stop 3"),
    "no sets of proxies": (manifest("recipe", "proxy_sets", to=0), "proxy_sets 0"),
    "features a list": (
        manifest("recipe", "features", to=["ifd"]),
        r"recipe\.features is a list of 1, expected an object or null",
    ),
    "grouping a word": (
        manifest("recipe", "grouping", to="macro"),
        r"recipe\.grouping is 'macro', expected an object or null",
    ),
    "embedder a word": (manifest("recipe", "embedder", to="x"), "."),
    "format with a field more": (manifest("recipe", "format", "x", to=1), r"recipe\.format has unknown fields \['x'\]"),
    "arrays cut": (cut(ARRAYS), "arrays.safetensors can't be read"),
    "arrays gone": (lambda folder: (folder / ARRAYS).unlink(), "arrays.safetensors can't be read"),
    "an array gone": (array("labels", lambda a: None), "'labels' is missing"),
    "too few values": (array("values", lambda a: a[:3]), "3 values for 4 valued clusters"),
    "too few errors": (array("stderr", lambda a: a[:3]), "standard errors or counts of other clusters"),
    "too few counts": (array("counts", lambda a: a[:3]), "standard errors or counts of other clusters"),
    "a value not finite": (array("values", lambda a: a * [1, NAN, 1, 1]), r"values of 1 clusters .* cluster \[1\]"),
    "an error negative": (array("stderr", lambda a: a - 1e9), "standard errors are negative or infinite"),
    "replicates not finite": (array("replicates", lambda a: a * NAN), "replicates that are not finite"),
    "replicates in a line": (array("replicates", lambda a: a[0]), "replicates"),
    "replicates of other clusters": (array("replicates", lambda a: a[:, :3]), "replicates of 3 clusters"),
    "halves of other clusters": (array("halves", lambda a: np.ones((2, 3))), "halves of 3 clusters"),
    "halves not finite": (array("halves", lambda a: np.full((2, 4), NAN)), "halves that are not finite"),
    "an odd number of halves": (array("halves", lambda a: np.ones((3, 4))), "an odd number of halves"),
    "values per item of fewer": (array("per_item", lambda a: a[:3]), "values per item of 3 clusters"),
    "values per item not finite": (array("per_item", lambda a: a * NAN), "values per item that are not finite"),
    "a merit of fewer rows": (array("merit", lambda a: np.ones(5)), "merit is not one number per row"),
    "too few labels": (array("labels", lambda a: a[:-1]), r"labels of type int64 and shape \(119,\)"),
    "labels of no cluster": (array("labels", lambda a: a + 1), "labels run from"),
    "labels of other clusters": (array("labels", lambda a: (a + 1) % 4), "row 0 says cluster 1, its label is 2 of 0 …"),
    "too few digests": (array("digests", lambda a: a[:-1]), r"digests of type uint8 and shape \(119, 16\)"),
    "rows of the pool disordered": (array("pool_rows", lambda a: a[::-1]), "rows of the pool that are not ascending"),
    "other rows in the pool": (array("pool_rows", lambda a: a + 500), "the map has rows that are not of the pool"),
    "centroids of fewer clusters": (array("centroids", lambda a: a[:3]), "labels run from 0 to 3"),
    "words gone astray": (array("lexical_idf", lambda a: None), "'lexical_idf' is missing"),
    "words cut": (cut(WORDS), "words.json can't be read"),
    "words not listed": (text(WORDS, b"null"), "."),
    "rows gone": (lambda folder: shutil.rmtree(folder / "data"), r"is incomplete: data/\*\.parquet is missing"),
    "clusters gone": (
        lambda folder: shutil.rmtree(folder / "clusters"),
        r"incomplete: clusters/\*\.parquet is missing",
    ),
    "rows cut": (cut("data/*"), r"data/\*\.parquet can't be read"),
    "rows disordered": (table("data", lambda t: t.take(list(range(30))[::-1])), "not in the order of their ranks"),
    "ranks disordered": (cell("data", "shed_rank", 7), "not in the order of their ranks"),
    "rows without ranks": (table("data", lambda t: t.drop_columns("shed_rank")), "neither ranked nor ascending"),
    "a row gone": (table("data", lambda t: t.slice(1)), "a recipe for 30 rows with 29"),
    "a row twice": (table("data", TWICE), "a recipe for 30 rows with 31"),
    "rows without their number": (table("data", lambda t: t.drop_columns("shed_row")), "'shed_row' doesn't exist"),
    "a row of another cluster": (cell("data", "shed_cluster", 3), "row 0 says cluster 3, its label is 1 of 0 … 3"),
    "a cluster gone": (table("clusters", lambda t: t.slice(0, 3)), "4 values for 3 valued clusters"),
    "the first cluster gone": (table("clusters", lambda t: t.slice(1)), r"numbered \[1, 2, 3\] …, not 0, 1, …"),
    "a cluster twice": (table("clusters", TWICE), r"the clusters are numbered \[0, 1, 2, 3, 0\]"),
    "noise twice": (table("clusters", noise_twice), r"the clusters are numbered \[0, 1, 2, 3, -1, -1\]"),
    "another size": (cell("clusters", "size", 29), "sizes of clusters that are not the labels'"),
    "another number selected": (cell("clusters", "selected", 5), "numbers of selected rows"),
    "another proxy": (cell("clusters", "proxies", [0]), "proxies of cluster 0 that are not its members"),
    "no proxies": (cell("clusters", "proxies", []), "4 values for 3 valued clusters"),
    "another value": (cell("clusters", "value", 9.5), "values of clusters that are not the estimate's"),
    "no value": (cell("clusters", "value", None), "values of clusters that are not the estimate's"),
    "an outcome not finite": (
        cell("utilities", "outcome", [1.0, NAN]),
        r"the outcome .* of the utilities cannot be read .*not finite",
    ),
    "an outcome without items": (
        cell("utilities", "outcome", []),
        r"the outcome .* cannot be read .*not one number per evaluation item",
    ),
    "no seconds": (cell("utilities", "seconds", None), "."),
    "beside not JSON": (cell("utilities", "beside", "{"), "."),
}
"""Each alteration, and what its refusal says."""

INSIDE: dict[str, Change] = {
    "ledger a list": manifest("ledger", to=[]),
    "manifest too deep to parse": text(MANIFEST, b"[" * 100_000),
    "another size": manifest("recipe", "size", to=7),
    "a seed that is none": manifest("recipe", "sampling_seed", to="x"),
    "a source that is none": manifest("recipe", "source", to="x"),
    "a format that is none": manifest("recipe", "format", to={"name": "x", "columns": {}}),
    "outcomes counted in words": manifest("estimate", "n_evaluations", to="x"),
    "a semivalue that is none": manifest("estimate", "semivalue", to=3),
    "a row's value": cell("data", "shed_value", 99.0),
    "rows without values": table("data", lambda t: t.drop_columns("shed_value")),
    "a row's text": cell("data", "output", "something else"),
    "a cluster's error": cell("clusters", "stderr", 99.0),
    "a cluster's disagreement": cell("clusters", "disagreement", 99.0),
    "outcomes gone": table("utilities", lambda t: t.slice(0, 5)),
    "an outcome of fewer items": cell("utilities", "outcome", [1.0]),
    "an outcome's key": cell("utilities", "key", "0" * 32),
    "an outcome's rows": cell("utilities", "blocks", [[3]]),
    "beside a list": cell("utilities", "beside", "[]"),
    "an infinite error": array("stderr", lambda a: a + np.inf),
    "errors in a column": array("stderr", lambda a: a[:, None]),
    "negative counts": array("counts", lambda a: -a),
    "broken row numbers": array("pool_rows", lambda a: a.astype(float)),
    "digests of half the length": array("digests", lambda a: a[:, :8]),
    "digests in fractions": array("digests", lambda a: a.astype(float)),
    "centroids not finite": array("centroids", lambda a: a * NAN),
    "centroids of another space": array("centroids", lambda a: a[:, :2]),
    "dots of other rows": array("sketch_rows", lambda a: a + 500),
    "dots without a place": array("sketch_rows", lambda a: a[:5]),
    "dots nowhere": array("sketch_vectors", lambda a: a * NAN),
    "dots in no plane": array("sketch_vectors", lambda a: a[:, :0]),
    "dots of no vectors": array("sketch_vectors", lambda a: a[:, 0]),
    "words without weights": array("lexical_idf", lambda a: a[:3]),
    "a narrow projection": array("lexical_components", lambda a: a[:3]),
    "words twice": text(WORDS, b'["a", "a"]'),
}
"""Alterations that leave each file readable by itself."""


def refusal(saved: Path, folder: Path, change: Change) -> str:
    """What loading an altered copy says, the copy's name cut off."""
    shutil.copytree(saved, folder)
    change(folder)
    with pytest.raises(InputError) as caught:
        CuratedDataset.load_from_disk(folder)
    assert str(caught.value).startswith(f"{folder} ")
    return str(caught.value).removeprefix(f"{folder} ")


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_folder_is_refused_saying_what_is_wrong(saved: Path, tmp_path: Path, name: str) -> None:
    change, problem = ALTERED[name]
    told = refusal(saved, tmp_path / "altered", change)
    assert re.search(problem, told), told
    remedies = ("get it again", "get them again from where they came from", "upgrade it", "repeat the curation")
    assert any(remedy in told for remedy in remedies)


@pytest.mark.parametrize("name", INSIDE)
def test_an_alteration_inside_is_noticed_too(saved: Path, tmp_path: Path, name: str) -> None:
    refusal(saved, tmp_path / "altered", INSIDE[name])


def test_an_error_names_the_folder_once(saved: Path, tmp_path: Path) -> None:
    assert str(tmp_path) not in refusal(saved, tmp_path / "altered", text(WORDS, b"["))


def test_files_written_anew_are_refused_for_their_digests_alone(saved: Path, tmp_path: Path) -> None:
    """The tools of these tests change nothing but what they are told to, and the bytes."""
    shutil.copytree(saved, tmp_path / "copy")
    array("values", lambda a: a)(tmp_path / "copy")
    for place in ("data", "clusters", "utilities"):
        table(place, lambda t: t)(tmp_path / "copy")
    with pytest.raises(InputError, match=r"\['clusters/.*'\] are not the files that were written"):
        CuratedDataset.load_from_disk(tmp_path / "copy")


def test_a_folder_without_its_words_is_refused(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "copy")
    (tmp_path / "copy" / WORDS).unlink()
    with pytest.raises(InputError, match=r"words.json'\] are not the files that were written"):
        CuratedDataset.load_from_disk(tmp_path / "copy")
