"""The shell's door: the real demo with the small model, a curation of a file, and errors in one line."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, load_dataset

from shed_hf import CuratedDataset, InputError, Tolerance
from shed_hf.cli import app
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from tests.helpers.curations import curated_of
from tests.helpers.processes import Running
from tests.helpers.rows import make_rows


def shed_hf(*arguments: str, **env: str) -> Running:
    process = Running(Path(sys.executable).with_name("shed-hf"), list(arguments), Path.cwd(), env)
    process.wait()
    return process


SHORT_DEMO = """
import sys
from dataclasses import replace
from shed_hf import LeastSquares
from shed_hf.cli import main
from shed_hf.demo import settings

settings.SMALL = replace(settings.SMALL, n_items=20, n_test=40, estimator=LeastSquares(n_coalitions=20))
sys.exit(main())
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The demo with fewer evaluation items and coalitions than it has for a user, for whom it takes a minute."""
    script = tmp_path_factory.mktemp("demo") / "short_demo.py"
    script.write_text(SHORT_DEMO)
    result = Running(script, ["demo", "--model", "small", "--json"], script.parent)
    result.wait()
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
        "--estimator", "permutation", "--ledger", str(tmp_path / "run.ledger"), "--constraint", "topic=9",
        HF_HUB_OFFLINE="1",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    curated = CuratedDataset.load_from_disk(tmp_path / "out")
    assert len(curated) == 12
    assert {line["column"] for line in curated.recipe["groups"]} == {"topic"}
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
        (["--output", "/proc/out"], "/proc/out cannot be written"),
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
    assert len([line for line in result.stderr.splitlines() if line.startswith("error: ")]) == 1


def test_a_result_that_cannot_be_saved_where_it_should_be_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def curate_while_another_saves_there(*_: Any, **__: Any) -> CuratedDataset:
        curated = curated_of(Dataset.from_list(make_rows(60)), 12)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "theirs").touch()
        return curated

    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("shed_hf.curation.curate.curate", curate_while_another_saves_there)
    with pytest.raises(InputError, match=r"out exists already; pass another path.*The result is saved in") as error:
        app(["curate", "rows.jsonl", "--output", str(tmp_path / "out"), "--debug"], standalone_mode=False)
    (kept,) = (tmp_path / "here").iterdir()
    assert str(kept) in str(error.value)
    assert len(CuratedDataset.load_from_disk(kept)) == 12
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["theirs"]


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


@pytest.mark.parametrize("debug", [False, True])
def test_only_debug_shows_a_traceback(tmp_path: Path, debug: bool) -> None:
    arguments = ["curate", str(tmp_path / "nothing.jsonl"), "--output", str(tmp_path / "out"), "--budget=--5"]
    result = shed_hf(*arguments, *["--debug"] * debug)
    assert result.returncode == 1
    assert ("Traceback" in result.stderr) == debug
    if not debug:
        assert result.stderr.count("\n") == 1
        assert result.stderr.startswith("error: budget='--5' is not a time; pass")


@pytest.mark.parametrize(("size", "rows"), [("10%", 6), ("0.1", 6), ("6", 6)])
def test_sizes_of_the_shell_are_those_of_python(size: str, rows: int) -> None:
    from shed_hf.cli.arguments import size_from
    from shed_hf.sampling.samplers import resolve_size

    assert resolve_size(size_from(size), 60) == rows


def test_columns_of_the_shell_are_those_of_python() -> None:
    from shed_hf.cli.arguments import columns_from

    assert columns_from(None, "--columns") is None
    found = columns_from(["instruction=query", "output = my reply", "images="], "--columns")
    assert found == {"instruction": "query", "output": "my reply", "images": None}


@pytest.mark.parametrize("pairs", [["instruction"], ["=query"], ["input=a", "input=b"]])
def test_columns_that_are_no_pairs_are_refused(pairs: list[str]) -> None:
    from shed_hf.cli.arguments import columns_from

    with pytest.raises(InputError, match=r"PART=COLUMN|names a part twice"):
        columns_from(pairs, "--columns")


def test_constraints_of_the_shell_are_those_of_python() -> None:
    from shed_hf.cli.arguments import constraints_from

    assert constraints_from(None) is None
    found = constraints_from(["subject=0.01", "a=b=0:random", " level = 2e-3:untuned"])
    assert found == {"subject": Tolerance(0.01), "a=b": Tolerance(0, "random"), "level": Tolerance(0.002)}


@pytest.mark.parametrize(
    ("pair", "problem"),
    [
        ("subject", "is not COLUMN=TOLERANCE"), ("=0.1", "is not COLUMN=TOLERANCE"), ("a=0.1:tuned", "is not COLUMN"),
        ("b=1", "names a column twice"), ("a=few", "'few', which is not a number"), ("a=-1", "a tolerance of -1.0"),
        ("a=nan", "a tolerance of nan"), ("a=inf", "a tolerance of inf"),
    ],
)  # fmt: skip
def test_constraints_that_are_no_pairs_are_refused(pair: str, problem: str) -> None:
    from shed_hf.cli.arguments import constraints_from

    with pytest.raises(InputError, match=problem):
        constraints_from(["b=0.1", pair])


def test_both_datasets_have_columns_of_their_own_in_the_shell(tmp_path: Path) -> None:
    rows, dev = tmp_path / "rows.jsonl", tmp_path / "dev.jsonl"
    rows.write_text("\n".join(json.dumps({"q": row["instruction"], "a": row["output"]}) for row in make_rows(20)))
    dev.write_text("\n".join(json.dumps({"x": row["instruction"], "y": row["output"]}) for row in make_rows(8, 9)))
    common = ["curate", str(rows), "--output", str(tmp_path / "out"), "--eval-dataset", str(dev), "--size", "5000"]
    mine = ["--columns", "instruction=q", "--columns", "output=a"]
    result = shed_hf(*common, *mine, "--embedder", "lexical", "--model", str(SMALL_MODEL))
    assert "size=5000 is not in 1" in result.stderr
    refused = shed_hf(*common[:-1], "4", *mine, "--eval-columns", "instruction=z", "--model", str(SMALL_MODEL))
    assert "eval_dataset has no column 'z'" in refused.stderr
