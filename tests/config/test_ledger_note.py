"""The settings beside a ledger: whole or not at all, found from any folder, and gone with the ledger."""

import os
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from shed_hf import InputError, LedgerError, curate
from shed_hf.config.ledger_note import note_of, read_note, write_note
from shed_hf.config.recipe_file import WrittenSettings
from tests.helpers.comparisons import compared
from tests.helpers.curations import ByTopic
from tests.helpers.rows import make_rows

CHEAP: dict[str, Any] = {"embedder": "lexical", "clusterer": "topic", "proxies_per_cluster": 1, "sampler": "qocs"}


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.chdir(tmp_path)
    pool = Dataset.from_list(make_rows(40))
    pool.to_json("pool.jsonl")
    return pool


def test_only_what_is_there_becomes_a_whole_path(pool: Dataset) -> None:
    Path("topic").mkdir()  # a folder with the name of a column
    Path("own.jinja").touch()
    values = {
        "dataset": {"path": "pool.jsonl", "split": "train"}, "eval_dataset": "me/items", "model": "./topic",
        "clusterer": "topic", "embedder": {"name": "SentenceTransformerEncoder", "model": "topic"}, "output": "out",
        "sft_config": {"chat_template_path": "own.jinja", "run_name": "topic"},
    }  # fmt: skip
    write_note("run.ledger", WrittenSettings(values))
    here = str(Path.cwd())
    assert read_note("run.ledger").values == {
        "dataset": {"path": f"{here}/pool.jsonl", "split": "train"}, "eval_dataset": "me/items",
        "model": f"{here}/topic", "sft_config": {"chat_template_path": f"{here}/own.jinja", "run_name": "topic"},
        "clusterer": "topic", "embedder": {"name": "SentenceTransformerEncoder", "model": f"{here}/topic"},
        "output": f"{here}/out", "ledger": "run.ledger",
    }  # fmt: skip


def test_a_call_that_is_refused_leaves_neither_ledger_nor_settings(pool: Dataset) -> None:
    def refusing(row_sets: Any) -> Any:
        raise InputError("these rows cannot be measured")

    with pytest.raises(InputError):
        curate(pool, 4, **CHEAP, utility=refusing, ledger="orph.ledger")
    assert [path.name for path in Path().iterdir()] == ["pool.jsonl"]


def test_settings_stay_where_the_ledger_stays(pool: Dataset) -> None:
    curate(pool, 4, **CHEAP, utility=ByTopic(pool), ledger="run.ledger")
    assert note_of("run.ledger").is_file()
    with pytest.raises(InputError):
        curate(pool, 400, **CHEAP, utility=ByTopic(pool), ledger="run.ledger")
    assert note_of("run.ledger").is_file()


def test_settings_that_cannot_be_written_leave_the_earlier_ones_whole(
    pool: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the disk is full, or the process killed, before all of them are there."""
    write_note("run.ledger", WrittenSettings({"size": 4}))
    before = note_of("run.ledger").read_bytes()

    def full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    write_note("run.ledger", WrittenSettings({"size": 5}))
    assert note_of("run.ledger").read_bytes() == before
    assert sorted(path.name for path in Path().iterdir()) == ["pool.jsonl", "run.ledger.yaml"]


def test_the_games_of_a_comparison_have_no_settings_beside_them(pool: Dataset) -> None:
    compared(["shed"], sizes=[8], seeds=2, ledger="all.ledger")
    names = [path.name for path in Path().iterdir()]
    assert any(".game-" in name for name in names)
    assert not [name for name in names if name.endswith(".yaml")]


@pytest.mark.parametrize("model", ["me/model", "small"])
def test_a_name_stays_a_name(model: str, pool: Dataset) -> None:
    Path("small").mkdir()
    write_note("run.ledger", WrittenSettings({"model": model}))
    assert read_note("run.ledger").values["model"] == model


def test_a_ledger_that_is_not_there_is_told_with_the_nearest_that_can_be_resumed(pool: Dataset) -> None:
    curate(pool, 4, **CHEAP, utility=ByTopic(pool), ledger="run.ledger")
    with pytest.raises(InputError, match=r"'rum\.ledger' does not exist; did you mean 'run\.ledger'\?"):
        read_note("rum.ledger")
    with pytest.raises(InputError, match=r"'nowhere/x\.ledger' does not exist; pass the file"):
        read_note("nowhere/x.ledger")


def test_a_file_that_is_no_ledger_is_told_so(pool: Dataset) -> None:
    with pytest.raises(LedgerError, match=r"pool\.jsonl is not a ledger"):
        read_note("pool.jsonl")


def test_a_ledger_without_settings_is_told_so(pool: Dataset) -> None:
    curate(pool, 4, **CHEAP, utility=ByTopic(pool), ledger="run.ledger")
    note_of("run.ledger").unlink()
    with pytest.raises(InputError, match=r"run\.ledger has no settings beside it"):
        read_note("run.ledger")
