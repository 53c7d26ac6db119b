"""Of rows that cannot be used and a place that is taken, a command tells the rows first."""

import json
from pathlib import Path

import pytest
from datasets import Dataset
from typer.testing import CliRunner

from shed_hf import InputError
from shed_hf.cli import app
from shed_hf.cli.options import check_dataset


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rows with columns of their own names, two files that hold one bad row, and a folder that is taken."""
    monkeypatch.chdir(tmp_path)
    rows = [{"q": f"what is {i} plus {i}?", "a": f"it is {2 * i}"} for i in range(20)]
    for name, lines in (("rows", rows), ("empty", []), ("bad", [*rows, {"q": "and now?", "a": None}])):
        Path(f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    Path("taken").mkdir()
    Path("taken/file").touch()
    Path("taken.png").mkdir()
    return tmp_path


KNOWN = "--columns instruction=q --columns output=a"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("curate rows.jsonl --columns instruction=q --columns output=nope --output taken", "has no column 'nope'"),
        ("curate rows.jsonl --output taken", "fit no known format"),
        (f"curate bad.jsonl {KNOWN} --output taken", "it is row 20"),
        (f"curate bad.jsonl {KNOWN} --push-to-hub a/b/c", "it is row 20"),
        (f"curate bad.jsonl {KNOWN}", "it is row 20"),
        (f"curate bad.jsonl {KNOWN} --drop-invalid --output taken", "taken exists already"),
        (f"curate rows.jsonl {KNOWN} --output taken", "taken exists already"),
        (f"curate rows.jsonl {KNOWN} --split nope --output taken", "--split 'nope' is unknown"),
        (
            f"curate rows.jsonl {KNOWN} --eval-dataset rows.jsonl --eval-columns instruction=x --output taken",
            "--eval-columns instruction=x: --eval-dataset has no column 'x'",
        ),
        ("verify taken --test-dataset rows.jsonl --columns instruction=x --output taken", "has no column 'x'"),
        ("verify taken --test-dataset rows.jsonl --columns instruction=q --output taken", "fit no known format"),
        (f"verify taken --test-dataset rows.jsonl {KNOWN} --output taken", "taken exists already"),
        ("verify taken --test-dataset rows.jsonl --output taken", "taken exists already"),
        ("compare rows.jsonl --test-dataset rows.jsonl --columns instruction=x --output taken", "has no column 'x'"),
        (f"compare bad.jsonl --test-dataset rows.jsonl {KNOWN} --plot picture.xyz", "it is row 20"),
        (
            f"compare rows.jsonl --test-dataset rows.jsonl {KNOWN} --test-columns text=x --output taken",
            "--test-columns text=x: --test-dataset has no column 'x'",
        ),
        (f"compare rows.jsonl --test-dataset rows.jsonl {KNOWN} --output taken", "taken' is there already"),
        (f"compare {'x' * 300} --test-dataset rows.jsonl --output taken", "can't be looked for on this machine (File"),
    ],
)
def test_rows_are_told_before_places(typed: str, told: str) -> None:
    done = CliRunner().invoke(app, typed.split())
    assert done.exit_code == 1
    assert told in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.jsonl", b"", "is empty"),
        ("none.csv", b" \n\n", "is empty"),
        ("none.json", b"\xef\xbb\xbf\n", "is empty"),
        ("none.parquet", b"", "is empty"),
        ("none.json", b"[\n]\n", "has 0 rows"),
        ("none.csv", b"instruction,output\n", "has 0 rows"),
    ],
)
@pytest.mark.parametrize("option", ["--eval-dataset", "--test-dataset"])
def test_a_file_without_rows_is_told_before_the_dataset_is_read(
    monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, told: str, option: str
) -> None:
    monkeypatch.setattr("shed_hf.curation.curate.curate", None)  # nothing is curated
    Path(name).write_bytes(content)
    done = CliRunner().invoke(app, f"curate rows.jsonl {KNOWN} {option} {name} --output out".split())
    assert (done.exit_code, done.stderr) == (1, f"error: {name} {told}; mend the file, or pass another\n")


def test_a_table_without_rows_is_told_before_the_dataset_is_read() -> None:
    Dataset.from_dict({"instruction": [], "output": []}).to_parquet("none.parquet")
    with pytest.raises(InputError, match=r"none.parquet has 0 rows; mend"):
        check_dataset("none.parquet", "eval_dataset")
    check_dataset("rows.jsonl", "eval_dataset")


@pytest.mark.parametrize("option", ["test-dataset", "eval-dataset", "source"])
def test_verify_tells_of_a_file_without_rows_before_it_reads_the_result(option: str) -> None:
    files = {"test-dataset": "rows.jsonl", "eval-dataset": "rows.jsonl", "source": "rows.jsonl"} | {
        option: "empty.jsonl"
    }
    typed = [word for name, file in files.items() for word in (f"--{name}", file)]
    done = CliRunner().invoke(app, ["verify", "taken", *typed])
    assert (done.exit_code, done.stderr) == (1, "error: empty.jsonl is empty; mend the file, or pass another\n")
