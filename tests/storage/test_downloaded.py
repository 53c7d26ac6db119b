"""Folders from elsewhere: whatever is in their files, reading ends in an equal result or in one clear error."""

import copy
import json
import random
import re
import shutil
import struct
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from safetensors.numpy import load_file, save_file

from shed_hf import ClusterScorer, CuratedDataset, InputError, ShedError
from shed_hf.estimators import Permutation
from shed_hf.hub.card import dataset_card, page
from shed_hf.storage.checks import manifest_digest
from shed_hf.storage.curated_folder import ARRAYS, MANIFEST, digests_of
from tests.helpers.curations import _assert_equal, curated_of
from tests.helpers.pushes import scorer
from tests.helpers.rows import make_rows

ANSI = "\x1b]0;owned\x07\x1b[31m\x1b[2J\u202e\u2028\nranking: real\r"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("downloaded") / "saved"
    curated_of(Dataset.from_list(make_rows(60)), estimator=Permutation(4)).save_to_disk(folder, pages=False)
    return folder


@pytest.fixture(scope="module")
def unaltered(saved: Path) -> CuratedDataset:
    return CuratedDataset.load_from_disk(saved)


def signed(folder: Path) -> None:
    """Computes all digests anew, as someone would who alters a folder on purpose."""
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"] = digests_of(folder)
    (folder / MANIFEST).write_text(
        json.dumps(manifest | {"files": {**manifest["files"], MANIFEST: manifest_digest(manifest)}})
    )


def altered(saved: Path, folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A copy with another manifest, its digests right."""
    shutil.copytree(saved, folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    signed(folder)
    return folder


def acts(text: str) -> set[str]:
    """The characters in a text that act on a terminal."""
    return {
        mark for mark in text if unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Zl", "Zp") and mark not in "\n\t"
    }


# ---- what is shown


PRINTED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "stopped": lambda m: m["estimate"].update(stopped=ANSI),
    "semivalue": lambda m: m["estimate"].update(semivalue=ANSI),
    "objective": lambda m: m["recipe"]["utility"].update(objective=ANSI),
    "utility": lambda m: m["recipe"]["utility"].update(utility=ANSI),
    "dataset's name": lambda m: m["recipe"]["source"].update(name=ANSI),
    "source on the Hub": lambda m: m["recipe"]["source"].update(
        hub={"repo": ANSI, "config": ANSI, "split": ANSI, "revision": ANSI, "untouched": False, "whole": False}
    ),
    "a link in a name": lambda m: m["recipe"]["source"].update(
        hub={"repo": "a](http://x) <b>", "config": "", "split": "", "revision": "`x`", "untouched": True, "whole": True}
    ),
    "digest": lambda m: m["recipe"]["source"].update(digest=f"{ANSI}\nimport os"),
    "left out": lambda m: m["recipe"]["left_out"].update({ANSI: 3}),
    "versions": lambda m: m["recipe"]["versions"].update({ANSI: "<script>", "x": ANSI}),
    "device": lambda m: m["recipe"]["bill"].update(device=ANSI),
    "estimator": lambda m: m["recipe"]["estimator"].update(name=ANSI),
    "fields of the estimator": lambda m: m["recipe"]["estimator"].update({f"x=1); import os #{ANSI}": 1}),
    "sampler": lambda m: m["recipe"]["sampler"].update(name=ANSI),
    "clusterer": lambda m: m["recipe"]["clusterer"].update(name="Given", source=f"column ''\n); import os; ({ANSI}"),
    "merit": lambda m: m["recipe"].update(merit=ANSI),
    "model": lambda m: m["recipe"].update(
        tuner={"model": ANSI, "objective": ANSI, "args": {ANSI: ANSI}, "peft_config": None}
    ),
}


@pytest.mark.parametrize("what", PRINTED)
def test_text_of_a_manifest_never_acts_on_a_terminal_or_a_card(
    saved: Path, unaltered: CuratedDataset, tmp_path: Path, what: str
) -> None:
    curated = CuratedDataset.load_from_disk(altered(saved, tmp_path / "copy", PRINTED[what]))
    shown = repr(curated)
    card = page(curated, "me/name", [])
    assert acts(shown) == acts(card) == set()
    assert "\nranking: real" not in shown
    assert "\nranking: real" not in card
    assert len(shown.splitlines()) == len(repr(unaltered).splitlines())
    literal = re.sub(r"```.*?```|`[^`\n]+`|`` .*? ``", "", card, flags=re.DOTALL)  # code is shown as it is
    assert not any(mark in literal for mark in ("<script>", "](http://x)", "<b>"))
    assert acts(dataset_card(curated, "me/name", {}, [], None)) == set()
    assert not [line for line in card.splitlines() if line.strip().startswith(("import os", "); import os"))]


REFUSED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a field's name": lambda m: m["recipe"].update({ANSI: 1}),
    "a field of the manifest": lambda m: m.update({ANSI: 1}),
    "version": lambda m: m.update(version=ANSI),
    "embedder": lambda m: m["recipe"]["embedder"].update({"name": "SentenceTransformerEncoder", ANSI: ANSI}),
    "column": lambda m: m["recipe"]["format"]["columns"].update(instruction=ANSI),
    "a part": lambda m: m["recipe"]["format"]["columns"].update({ANSI: "instruction"}),
    "format": lambda m: m["recipe"]["format"].update(name=ANSI),
    "seed": lambda m: m["recipe"].update(seed=ANSI),
    "split": lambda m: m["recipe"]["source"].update(split=[ANSI]),
    "bill": lambda m: m["recipe"]["bill"].update(tokens=ANSI),
    "a count left out": lambda m: m["recipe"]["left_out"].update({ANSI: ANSI}),
    "p-value": lambda m: m["estimate"].update(p_value=ANSI),
    "outcomes": lambda m: m.update(outcomes=ANSI),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_error_about_a_manifest_never_acts_on_a_terminal(saved: Path, tmp_path: Path, what: str) -> None:
    with pytest.raises(InputError) as caught:
        CuratedDataset.load_from_disk(altered(saved, tmp_path / "copy", REFUSED[what]))
    assert acts(f"{caught.value}{caught.value!r}") == set()
    assert "\n" not in str(caught.value)


# ---- the manifest's own digest


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["recipe"].update(seed=m["recipe"]["seed"] + 1),
        lambda m: m["recipe"]["bill"].update(all_fine_tunings=1),
        lambda m: m["estimate"].update(p_value=1e-9),
        lambda m: m["estimate"].update(stopped="real"),
        lambda m: m["ledger"].update(order=99),
        lambda m: m["recipe"]["versions"].update(torch="0"),
    ],
)
def test_an_edit_of_the_manifest_alone_is_noticed(
    saved: Path, tmp_path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    shutil.copytree(saved, tmp_path / "copy")
    manifest = json.loads((saved / MANIFEST).read_text())
    change(manifest)
    (tmp_path / "copy" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"manifest.json'\] are not the files that were written"):
        CuratedDataset.load_from_disk(tmp_path / "copy")


def test_a_manifest_may_be_written_anew_with_the_same_content(
    saved: Path, unaltered: CuratedDataset, tmp_path: Path
) -> None:
    shutil.copytree(saved, tmp_path / "copy")
    manifest = json.loads((saved / MANIFEST).read_text())
    (tmp_path / "copy" / MANIFEST).write_text(json.dumps(dict(reversed(manifest.items()))))
    _assert_equal(unaltered, CuratedDataset.load_from_disk(tmp_path / "copy"))


# ---- Parquet files that hold more than they should


def bomb(kind: str, place: Path) -> None:
    path = next(place.iterdir())
    table, n = pq.read_table(path), 3_000_000
    if kind == "many lines":
        table = pa.table({"shed_row": pa.array(np.zeros(n, np.int64))})
    elif kind == "many short texts":
        table = pa.table({"instruction": pa.array(["a"] * n)})
    elif kind == "a large cell":
        cell = pa.array(["a" * 100_000_000, *[""] * (len(table) - 1)], pa.large_string())
        table = table.append_column("more", cell)
    elif kind == "a long list":
        table = table.append_column(
            "more", pa.array([np.zeros(10 * n, np.int8)] + [np.zeros(0, np.int8)] * (len(table) - 1))
        )
    pq.write_table(table, path, compression="zstd")


@pytest.mark.parametrize("config", ["data", "clusters", "utilities"])
@pytest.mark.parametrize("kind", ["many lines", "many short texts", "a large cell", "a long list"])
def test_a_file_that_expands_too_far_is_refused_before_it_does(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, config: str
) -> None:
    shutil.copytree(saved, tmp_path / "copy")
    bomb(kind, tmp_path / "copy" / config)
    signed(tmp_path / "copy")
    expanded: list[Any] = []
    monkeypatch.setattr("shed_hf.storage.curated_folder.read_parquet", lambda *given: expanded.append(given))
    with pytest.raises(InputError, match=r"(lines where at most|bytes that expand to)"):
        CuratedDataset.load_from_disk(tmp_path / "copy")
    assert expanded == []


# ---- arrays and JSON of every kind


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3", "F8_E5M2", "F4", "C64", "BOOL", "I8", "U64", "XX"])
@pytest.mark.parametrize("name", ["values", "centroids", "labels"])
def test_arrays_of_other_types_are_refused(saved: Path, tmp_path: Path, name: str, kind: str) -> None:
    shutil.copytree(saved, tmp_path / "copy")
    arrays = load_file(saved / ARRAYS)
    width = {"BF16": 2, "F16": 2, "C64": 8, "U64": 8}.get(kind, 1)
    parts = {part: array.tobytes() for part, array in arrays.items()} | {name: bytes(width * arrays[name].size)}
    types = {"float64": "F64", "float32": "F32", "int64": "I64", "uint8": "U8", "int32": "I32"}
    header, at = {}, 0
    for part, content in parts.items():
        dtype = kind if part == name else types[str(arrays[part].dtype)]
        header[part] = {"dtype": dtype, "shape": arrays[part].shape, "data_offsets": [at, at + len(content)]}
        at += len(content)
    described = json.dumps(header).encode()
    content = struct.pack("<Q", len(described)) + described + b"".join(parts.values())
    (tmp_path / "copy" / ARRAYS).write_bytes(content)
    signed(tmp_path / "copy")
    with pytest.raises(InputError, match="copy "):
        CuratedDataset.load_from_disk(tmp_path / "copy")


HOSTILE: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63, 10**400, 1.5, float("nan"), float("inf"), -1e308, "", "x", ANSI, "\ud800", [],
    {}, [None], [[]], {"": None}, {"name": 3}, {"name": "x"}, ["x"] * 50,
]  # fmt: skip


def places(record: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = record.items() if isinstance(record, dict) else enumerate(record) if isinstance(record, list) else ()
    return [place, *(found for name, each in inner for found in places(each, (*place, name)))]


def mutated(record: Any, rng: random.Random) -> Any:
    """Another value at a random place, or nothing, or one thing more."""
    record = copy.deepcopy(record)
    place = rng.choice(places(record)[1:])
    found = record
    for name in place[:-1]:
        found = found[name]
    match rng.randrange(4):
        case 0:
            del found[place[-1]]
        case 1 if isinstance(found, dict):
            found[rng.choice(["x", ANSI, "name"])] = rng.choice(HOSTILE)
        case 2:
            deep: Any = rng.choice(HOSTILE)
            for _ in range(rng.choice([1, 50, 500, 900])):
                deep = [deep]
            found[place[-1]] = deep
        case _:
            found[place[-1]] = rng.choice(HOSTILE)
    return record


def used(curated: CuratedDataset) -> None:
    """All that can be done with a result without the dataset it came from."""
    assert acts(repr(curated)) == set()
    assert acts(dataset_card(curated, "me/name", {}, [], None)) == set()
    curated.resample(5, source=Dataset.from_list(make_rows(60)))
    curated.reestimate("least-squares", sampler="random", source=Dataset.from_list(make_rows(60)))


@pytest.mark.parametrize("seed", range(40))
def test_a_mutated_manifest_ends_in_a_clear_error_or_in_an_equal_result(
    saved: Path, unaltered: CuratedDataset, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    shutil.copytree(saved, tmp_path / "copy")
    manifest = mutated(json.loads((saved / MANIFEST).read_text()), rng)
    (tmp_path / "copy" / MANIFEST).write_text(json.dumps(manifest))
    try:
        found = CuratedDataset.load_from_disk(tmp_path / "copy")
    except ShedError as error:
        assert acts(str(error)) == set()
        assert len(str(error)) < 2000
    else:
        _assert_equal(unaltered, found)


@pytest.mark.parametrize("seed", range(60))
def test_a_manifest_mutated_on_purpose_never_ends_raw(saved: Path, tmp_path: Path, seed: int) -> None:
    rng = random.Random(1000 + seed)
    try:
        folder = altered(saved, tmp_path / "copy", lambda m: m.update(mutated({"m": m}, rng).get("m") or {}))
    except (KeyError, TypeError, AttributeError, RecursionError):  # what can't be signed can't be read either
        pytest.skip("the digest of such a manifest can't be computed")
    try:
        used(CuratedDataset.load_from_disk(folder))
    except ShedError as error:
        assert acts(str(error)) == set()


@pytest.mark.parametrize("seed", range(30))
def test_flipped_and_cut_bytes_end_in_a_clear_error_or_in_an_equal_result(
    saved: Path, unaltered: CuratedDataset, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    shutil.copytree(saved, tmp_path / "copy")
    path = rng.choice(sorted(path for path in (tmp_path / "copy").rglob("*") if path.is_file()))
    content = bytearray(path.read_bytes())
    match rng.randrange(3):
        case 0:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        case 1:
            del content[rng.randrange(len(content)) :]
        case _:
            at = rng.randrange(len(content))
            content[at : at + 8] = rng.randbytes(8)
    path.write_bytes(bytes(content))
    try:
        found = CuratedDataset.load_from_disk(tmp_path / "copy")
    except ShedError as error:
        assert acts(str(error)) == set()
    else:
        _assert_equal(unaltered, found)


@pytest.mark.parametrize("seed", range(40))
def test_a_mutated_scorer_ends_in_a_clear_error_or_scores(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    scorer().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    if seed % 3:
        path.write_text(json.dumps(mutated(json.loads(path.read_text()), rng)))
    else:
        arrays = load_file(tmp_path / "model.safetensors")
        name = rng.choice(sorted(arrays))
        other = rng.choice([arrays[name][:-1], arrays[name][None], arrays[name].astype("int8"), arrays[name] * np.nan])
        save_file(arrays | {name: np.ascontiguousarray(other)}, tmp_path / "model.safetensors")
    try:
        ClusterScorer.from_pretrained(tmp_path)({"instruction": ["a"], "input": [""], "output": ["b"]})
    except ShedError as error:
        assert acts(str(error)) == set()
