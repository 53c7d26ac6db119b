"""The examples that speak to the Hub, run as a user runs them, against the Hub of the tests and a tiny model."""

import os
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

from tests.conftest import make_rows
from tests.loopback_hub import LoopbackHub

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(example: str, *arguments: str, folder: Path) -> str:
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / example), *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


@pytest.mark.usefixtures("alice")
def test_a_dataset_is_curated_published_pulled_and_trained_on(
    hub: LoopbackHub, tiny_model: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    datasets.Dataset.from_list(make_rows(240)).to_json(rows)
    published = run(
        "push_and_pull.py", "alice/from-example", "--dataset", str(rows), "--model", str(tiny_model),
        "--embedder", "lexical", "--size", "40", folder=tmp_path,
    )  # fmt: skip
    assert f"published as {hub.url}/datasets/alice/from-example" in published
    assert "40 rows; 24 clusters;" in published
    assert "half as many rows: 20" in published
    assert hub.commits("alice/from-example")[1:] == ["initial commit"]

    tuned = run(
        "finetune_on_curated.py", "alice/from-example", "--model", str(tiny_model), "--max-steps", "2", folder=tmp_path
    )
    assert "40 rows of 240, read as instruction" in tuned
    assert (tmp_path / "tuned" / "adapter_model.safetensors").exists()
