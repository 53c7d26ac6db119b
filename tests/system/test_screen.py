"""What a user sees of a whole curation: on a terminal, in a pipe, in a shell, and in a tracker of their own logs."""

import logging
import re
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from typer.testing import CliRunner

import shed_hf
from shed_hf.cli import app
from shed_hf.finetuning.known_models import resolve_model
from shed_hf.utils import display
from tests.helpers.bars import shown
from tests.helpers.curations import ByTopic, curated_of
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.rows import make_rows
from tests.helpers.terminal import terminal_as_stderr


class Slow(ByTopic):
    """Takes its time, prints, and warns as libraries do."""

    def __call__(self, row_sets: Sequence[np.ndarray]) -> np.ndarray:
        time.sleep(0.01 * len(row_sets))
        warnings.warn_explicit("of trl", FutureWarning, "trl/utils.py", 1, module="trl.utils")
        logging.getLogger("transformers").warning("Loading a GGUF")
        return super().__call__(row_sets)


def lines_of(curated: shed_hf.CuratedDataset) -> list[str]:
    """The beginnings of the lines that a curation tells."""
    return ["bill: ", "time: ", f"kept {len(curated)} of"]


def assert_only_own_lines(lines: Sequence[str], curated: shed_hf.CuratedDataset) -> None:
    told = [line for line in lines if not line.startswith("  ")]
    assert [next((b for b in lines_of(curated) if line.startswith(b)), line) for line in told] == lines_of(curated)


def test_on_a_terminal_lines_stay_whole_and_the_leaders_are_seen(
    pool: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with shown(), terminal_as_stderr() as written:
        curated = curated_of(
            pool, utility=Slow(pool), estimator="least-squares", clusterer=shed_hf.KMeans(6), budget=50, sampler="qocs"
        )
    assert_only_own_lines(written.screen, curated)
    drawn = written.data.decode()
    assert "measuring" in drawn
    assert re.search("best so far: |no difference (yet )?between ", drawn)
    assert " left" in drawn


def test_in_a_pipe_a_plain_line_now_and_then(
    pool: Dataset, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(display, "SECONDS_BETWEEN_LINES", 0.05)
    with shown():
        curated = curated_of(pool, utility=Slow(pool))
    out, err = capfd.readouterr()
    assert out == ""
    assert "\r" not in err
    assert "\x1b" not in err
    followed = [line for line in err.splitlines() if re.match(r"[\w ]+: (done in|[\d,]+ of) \d", line)]
    assert len([line for line in followed if line.startswith("measuring: ")]) >= 2
    others = [line for line in err.splitlines() if line not in followed]
    assert_only_own_lines(others, curated)


def test_nothing_is_printed_where_bars_are_switched_off(pool: Dataset, capfd: pytest.CaptureFixture[str]) -> None:
    curated_of(pool, utility=Slow(pool))
    assert capfd.readouterr() == ("", "")


def test_a_model_is_fine_tuned_saved_and_pushed_with_lines_of_ones_own_alone(
    tiny_model: Path, hub: LoopbackHub, alice: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with shown():
        curated = shed_hf.curate(
            make_rows(90), 4, model=str(tiny_model), embedder="lexical", clusterer=shed_hf.KMeans(2), budget=3,
            proxies_per_cluster=1, merit=None, sampler="qocs",
        )  # fmt: skip
        curated.save_to_disk(tmp_path / "saved")
        curated.push_to_hub("alice/clean-screen", private=True)
    out, err = capfd.readouterr()
    assert out == ""
    told = [line for line in err.splitlines() if not line.startswith("  ")]
    begun = [line.partition(":")[0].partition(" ")[0] for line in told]
    assert set(begun) <= {"bill", "steps", "time", "kept", "coalitions"}
    assert begun[-1] == "kept"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dataset": "alice/nothing-there"}, "there is no dataset of that name on the Hub"),
        ({"model": "alice/no-model"}, "there is no model of that name on the Hub"),
        ({"embedder": "alice/no-embedder"}, "there is no model of that name on the Hub"),
    ],
    ids=["dataset", "model", "embedder"],
)
def test_what_is_not_on_the_hub_ends_in_one_line_in_the_shell(
    hub: LoopbackHub, tmp_path: Path, tiny_model: Path, changes: dict[str, str], told: str
) -> None:
    Dataset.from_list(make_rows(90)).to_json(tmp_path / "rows.jsonl")
    given = {"dataset": str(tmp_path / "rows.jsonl"), "model": str(tiny_model), "embedder": "lexical", **changes}
    options = [f"--{name}={given[name]}" for name in ("model", "embedder")]
    result = CliRunner().invoke(app, ["curate", given["dataset"], "--output", str(tmp_path / "kept"), *options])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert told in line


def test_a_missing_model_names_the_one_that_ships_when_offline(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        shed_hf.HubError, match=r"^model='alice/far-away' is not in the Hub's cache, and HF_HUB"
    ) as told:
        shed_hf.curate(make_rows(90), model="alice/far-away", embedder="lexical")
    shipped = str(told.value).partition('or "')[2].partition('"')[0]
    assert Path(resolve_model(shipped), "model.safetensors").is_file()


def test_a_warning_in_the_shell_is_one_plain_line(hub: LoopbackHub, tmp_path: Path, tiny_model: Path) -> None:
    rows: list[dict[str, Any]] = [{**row, "persona": "You are a pirate."} for row in make_rows(90)]
    Dataset.from_list(rows).to_json(tmp_path / "rows.jsonl")
    options = [f"--model={tiny_model}", "--embedder=alice/no-embedder", "--size=3"]
    result = CliRunner().invoke(
        app, ["curate", str(tmp_path / "rows.jsonl"), "--output", str(tmp_path / "kept"), *options]
    )
    warned, *others = result.stderr.splitlines()
    assert warned.startswith("warning: the model is shown nothing of the columns ['persona']")
    assert others[-1].startswith("error: --embedder ")
    assert not any("UserWarning" in line or ".py" in line for line in others)
