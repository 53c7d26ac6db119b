"""The shell's door: the real demo with the small model, a curation of a file, and errors in one line."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import load_dataset

from shed_hf import CuratedDataset
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from tests.helpers.rows import make_rows


def shed_hf(*arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("shed-hf")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env}, timeout=280)


@pytest.fixture(scope="module")
def demo() -> dict[str, Any]:
    result = shed_hf("demo", "--model", "small", "--json")
    assert result.returncode == 0, result.stderr
    assert "bill: " in result.stderr
    assert "valuing" in result.stderr
    return dict(json.loads(result.stdout))


def test_the_demo_curates_and_compares(demo: dict[str, Any]) -> None:
    assert demo["n_fine_tunings"] > 10
    assert demo["seconds"] > 0
    assert 0.2 < demo["damaged_share_before"] < 0.5
    assert demo["damaged_share_after"] < demo["damaged_share_before"]
    assert demo["auc_damaged_last"] > 0.5
    assert demo["heldout_loss_curated"] < demo["heldout_loss_random"]
    assert demo["model"] == "the small model shipped with shed_hf"


def test_the_demo_without_json_shows_tables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from shed_hf.demo.run import DemoResult
    from shed_hf.demo.show import show

    monkeypatch.setenv("COLUMNS", "120")
    show(_result(DemoResult))
    text = capsys.readouterr().out
    assert "clusters by value" in text
    assert "33% of the pool" in text
    assert "shed-hf curate" in text


def _result(kind: Any) -> Any:
    import shed_hf as package

    rows = demo_pool.damaged(demo_pool.rows("pool"), ["boilerplate"] * 3, 0)
    hurt = [row["damage"] for row in rows]
    from datasets import Dataset

    def utility(row_sets: Any) -> Any:
        return np.array([[float(sum(not hurt[row] for row in rows))] for rows in row_sets])

    curated = package.curate(
        Dataset.from_list(rows), 0.1, embedder="lexical", clusterer="topic", utility=utility, estimator="permutation"
    )
    figures = dict.fromkeys(
        ("heldout_loss_curated", "heldout_loss_random", "heldout_loss_curated_sd", "heldout_loss_random_sd"), 1.0
    )
    return kind(
        model="m", damages=("boilerplate",), damaged_share_before=1 / 3, damaged_share_after=0.0, **figures,
        heldout_loss_untuned=2.0, auc_damaged_last=1.0, n_fine_tunings=5, seconds=1.0, curated=curated, damaged=hurt,
        topics=[row["topic"] for row in rows],
    )  # fmt: skip


def test_curate_saves_what_python_loads(tmp_path: Path) -> None:
    rows, dev = tmp_path / "rows.jsonl", tmp_path / "dev.jsonl"
    rows.write_text("\n".join(json.dumps(row) for row in make_rows(60)))
    dev.write_text("\n".join(json.dumps(row) for row in make_rows(10, seed=99)))
    result = shed_hf(
        "curate", str(rows), "--output", str(tmp_path / "out"), "--size", "12", "--eval-dataset", str(dev),
        "--model", str(SMALL_MODEL), "--embedder", "lexical", "--clusterer", "topic", "--budget", "8",
        "--estimator", "permutation", "--ledger", str(tmp_path / "run.ledger"), HF_HUB_OFFLINE="1",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    curated = CuratedDataset.load_from_disk(tmp_path / "out")
    assert len(curated) == 12
    assert load_dataset(str(tmp_path / "out"), split="train").column_names[-3:] == [
        "shed_row",
        "shed_cluster",
        "shed_value",
    ]
    assert (tmp_path / "run.ledger").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "5000"], "size=5000 is not in 1 … 20"),
        (["--size", "1.5"], "size=1.5 is not a share"),
        (["--size", "many"], "'many' is neither a number of rows nor a share"),
        (["--estimator", "guess"], "estimator='guess' is unknown"),
        (["--clusterer", "colour"], "clusterer='colour' is neither"),
    ],
)
def test_errors_are_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(json.dumps(row) for row in make_rows(20)))
    dev = tmp_path / "dev.jsonl"
    dev.write_text("\n".join(json.dumps(row) for row in make_rows(8, seed=99)))
    common = ["--model", str(SMALL_MODEL), "--embedder", "lexical", "--eval-dataset", str(dev)]
    result = shed_hf("curate", str(rows), "--output", str(tmp_path / "out"), *common, *arguments, COLUMNS="200")
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert message in result.stderr


def test_damage_strikes_whole_topics_and_nothing_else() -> None:
    sound = demo_pool.rows("pool")
    damages = ["answers shuffled", "words shuffled", "boilerplate"]
    hurt = demo_pool.damaged(sound, damages, seed=3)
    by_topic = {row["topic"]: row["damage"] for row in hurt}
    assert sorted(filter(None, by_topic.values())) == sorted(damages)
    for before, after in zip(sound, hurt, strict=True):
        assert after["damage"] == by_topic[before["topic"]]
        assert after["instruction"] == before["instruction"]
        match after["damage"]:
            case "":
                assert after["output"] == before["output"]
            case "words shuffled":
                assert sorted(after["output"].split()) == sorted(before["output"].split())
            case "boilerplate":
                assert after["output"] == demo_pool.BOILERPLATE
            case _:
                assert after["output"] != before["output"]
    assert demo_pool.damaged(sound, damages, seed=3) == hurt


def test_the_demos_splits_share_no_row() -> None:
    texts = [{(row["instruction"], row["input"]) for row in demo_pool.rows(split)} for split in ("pool", "dev", "test")]
    assert all(len(of_split) > 40 for of_split in texts)
    assert not texts[0] & texts[1]
    assert not texts[0] & texts[2]
    assert not texts[1] & texts[2]
    assert {row["licence"] for split in ("pool", "dev", "test") for row in demo_pool.rows(split)} <= {
        "CC BY-SA 3.0", "MIT", "Apache-2.0", "CC BY-SA 4.0",
    }  # fmt: skip
