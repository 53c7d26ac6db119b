"""A ledger's header: another run's outcomes are never taken, and a newer version's are not guessed at."""

import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from shed_hf.errors import LedgerError
from shed_hf.game.ledger import Ledger, read_ledger
from shed_hf.game.ledger_header import OtherRun, recorded_header
from tests.helpers.ledgers import HEADER, an_entry, filled, lines_of


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({**HEADER, "dataset": "d2"}, "dataset: ledger has 'd1', this run has 'd2'"),
        ({**HEADER, "model": {**HEADER["model"], "name": "qwen"}}, "name: ledger has 'llama', this run has 'qwen'"),
        ({**HEADER, "model": {"name": "llama", "lora": {"r": 4, "modules": ["q", "v"]}}}, "model.lora.r: ledger has 8"),
        ({**HEADER, "model": {"name": "llama", "lora": {"r": 8, "modules": ["q"]}}}, r"modules: ledger has ['q', 'v']"),
        ({**HEADER, "seed": 1}, "seed: ledger has None, this run has 1"),
        ({**HEADER, "dataset": "d2", "order": 4}, "dataset: ledger has 'd1', this run has 'd2'; order: ledger has 3"),
        ({}, "this run has None"),
    ],
)  # fmt: skip
def test_another_runs_ledger_is_refused_naming_what_differs(tmp_path: Path, other: dict[str, Any], told: str) -> None:
    path = tmp_path / "ledger"
    content = filled(path)
    with pytest.raises(LedgerError, match=re.escape(told)):
        Ledger(path, other)
    assert path.read_bytes() == content


def test_a_header_is_compared_as_json_in_any_order_of_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    filled(path)
    reordered = {"model": {"lora": {"modules": ("q", "v"), "r": 8}, "name": "llama"}, "order": 3, "dataset": "d1"}
    assert len(Ledger(path, reordered)) == 3


@pytest.mark.parametrize("version", [2, 99, 0, -1, True, "1", None, 1.5])
def test_a_header_of_a_newer_or_of_no_version_is_refused(tmp_path: Path, version: Any) -> None:
    path, other = tmp_path / "ledger", tmp_path / "other"
    content = lines_of([an_entry(0)], {**HEADER, "shed_ledger": version})
    path.write_bytes(content)
    filled(other)
    newer = type(version) is int and version > 1
    told = f"was written in version {version}, this version .* upgrade it from its source" if newer else "no version"
    for opens in (lambda: Ledger(path, HEADER), lambda: read_ledger(path), lambda: Ledger.merge([other, path])):
        with pytest.raises(LedgerError, match=f"{re.escape(str(path))} .*{told}"):
            opens()
    assert path.read_bytes() == content


def test_a_header_that_is_nested_without_end_is_no_header(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    for depth in (500, 900, 20_000):
        path.write_bytes(b'{"shed_ledger": 1, "a": ' + b'{"a": ' * depth + b"1" + b"}" * depth + b"}\n")
        with pytest.raises(LedgerError, match=r"is not a ledger|holds the outcomes of another run"):
            Ledger(path, HEADER)


@pytest.mark.parametrize("content", [b"", b"no ledger", b'{"shed_ledger": '], ids=["empty", "other", "torn"])
def test_where_no_header_can_be_read_there_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger"
    assert recorded_header(path) is None
    path.write_bytes(content)
    assert recorded_header(path) is None


def test_a_header_is_read_without_the_outcomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger"
    content = filled(path)
    monkeypatch.setattr("shed_hf.game.ledger_header.FIRST_BYTES", len(content) * 2 // 3)
    found = recorded_header(path)
    assert found is not None
    assert {**found} == {"shed_ledger": 1, **read_ledger(path).header}


def test_a_refusal_comes_whole_from_another_process(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    filled(path)
    with pytest.raises(OtherRun) as found:
        Ledger(path, {**HEADER, "dataset": "d2"})
    found.value.args = ("in other words",)
    found.value.add_note("rank 1")
    again = pickle.loads(pickle.dumps(found.value))
    assert type(again) is OtherRun
    assert (str(again), again.path, again.fields) == ("in other words", path, {"dataset": ("d1", "d2")})
    assert again.__notes__ == ["rank 1"]
