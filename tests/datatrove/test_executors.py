"""A pool of shards is curated by datatrove's executors: on two workers, after one was killed, and by the examples."""

import json
import os
import re
import runpy
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from datasets import Dataset

pytest.importorskip("datatrove")

from datatrove.executor import LocalPipelineExecutor
from datatrove.tools import launch_pickled_pipeline

import shed_hf
from shed_hf.datatrove import Keep, RowReader, RowWriter, Score, read_sample, shares_of
from shed_hf.embedding.embedded import Embedded
from shed_hf.errors import InputError
from tests.helpers.curations import PLAIN, ByTopic
from tests.helpers.full_disk import files_up_to
from tests.helpers.processes import Running
from tests.helpers.shards import ROWS, Mortal, embed_shards, words, written

EXAMPLES = Path(__file__).parents[2] / "examples"


def in_order(folder: Path) -> list[dict]:
    return sorted(written(folder).to_list(), key=lambda row: row["n"])


def test_two_workers_embed_sample_score_and_keep(pool: Path, tmp_path: Path) -> None:
    embed_shards(pool, tmp_path, tmp_path / "logs", words(), workers=2)
    assert len(list((tmp_path / "embedded").iterdir())) == 3
    sample = read_sample(tmp_path / "sample", 100, words())
    curated = shed_hf.curate(
        sample.dataset, 40, embedder=sample.embedder, columns=sample.columns, clusterer="topic", estimator="exact",
        utility=ByTopic(sample.dataset), sampler=PLAIN, proxies_per_cluster=1,
    )  # fmt: skip
    reader = RowReader(str(tmp_path / "embedded"))
    steps = [reader, Score(sample.scorer(curated)), Keep(shares_of(curated)), RowWriter(str(tmp_path / "kept"), reader)]
    logs = str(tmp_path / "logs of keep")
    LocalPipelineExecutor(steps, tasks=3, workers=2, logging_dir=logs, start_method="fork").run()
    kept = in_order(tmp_path / "kept")
    assert [{name: row[name] for name in ROWS[0]} for row in kept] == [ROWS[row["n"]] for row in kept]
    scores = Dataset.from_list(ROWS).map(sample.scorer(curated), batched=True)
    assert [row["shed_value"] for row in kept] == [scores[row["n"]]["shed_value"] for row in kept]
    assert 40 / 100 * 120 - 15 <= len(kept) <= 40 / 100 * 120 + 15
    assert max(row["shed_value"] for row in kept) == max(scores["shed_value"])


KILLED = """
import os, sys
from pathlib import Path
from tests.helpers.shards import Mortal, embed_shards

os.setsid()
pool, target, logs, notes = map(Path, sys.argv[1:])
embed_shards(pool, target, logs, Mortal(notes, most=55))
"""


def test_after_a_kill_no_finished_shard_is_embedded_again(pool: Path, tmp_path: Path) -> None:
    script, notes = tmp_path / "killed.py", tmp_path / "notes.jsonl"
    script.write_text(KILLED)
    process = Running(script, [str(path) for path in (pool, tmp_path, tmp_path / "logs", notes)], tmp_path)
    assert process.wait() == -signal.SIGKILL, process.stderr[-3000:]
    assert [path.name for path in (tmp_path / "logs" / "completions").iterdir()] == ["00000"]
    with pytest.raises(InputError, match=r"1 of the 2 files .*: 000_00001\.parquet is broken"):
        RowReader(str(tmp_path / "embedded"))
    for name in ("embedded", "sample"):
        (tmp_path / name / "000_00001.parquet").unlink()  # as if the session had died between two shards
        with pytest.raises(InputError, match=r"lacks rows: 2 of 3 tasks .* \(1, 2\); start the run .* logging_dir"):
            read_sample(tmp_path / name)

    embed_shards(pool, tmp_path, tmp_path / "logs", Mortal(notes))
    times = Counter(json.loads(line) for line in notes.read_text().splitlines())
    by_row = [times[f"{row['instruction']}\n{row['output']}"] for row in ROWS]
    assert by_row == [1] * 40 + [2] * 15 + [1] * 65  # of the shard that was cut short, the batch that was done
    embed_shards(pool, tmp_path / "whole", tmp_path / "other logs", Mortal(tmp_path / "others.jsonl"))
    for name in ("embedded", "sample"):
        assert in_order(tmp_path / name) == in_order(tmp_path / "whole" / name)


def test_a_disk_that_fills_stops_the_run_which_goes_on_when_there_is_room(pool: Path, tmp_path: Path) -> None:
    embed_shards(pool, tmp_path / "whole", tmp_path / "other logs", words())
    with files_up_to(9_000), pytest.raises(OSError, match="too large"):
        embed_shards(pool, tmp_path, tmp_path / "logs", words())
    assert not (tmp_path / "logs" / "completions").exists()
    embed_shards(pool, tmp_path, tmp_path / "logs", words())
    assert in_order(tmp_path / "embedded") == in_order(tmp_path / "whole" / "embedded")


@pytest.fixture
def cheap_curate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A game that costs nothing, and for rows a merit that vectors tell of, for examples."""
    curate = shed_hf.curate

    def cheap(dataset: Dataset, *of: object, embedder: Embedded, **given: object) -> shed_hf.CuratedDataset:
        assert given["sampler"] == "extrapolated"
        given |= {"embedder": embedder, "merit": embedder.vectors[:, 0]}
        cheaper = {"clusterer": "topic", "estimator": "exact", "utility": ByTopic(dataset), "sampler": PLAIN}
        return curate(dataset, *of, **{**given, "model": None, "proxies_per_cluster": 1, **cheaper})

    monkeypatch.setattr(shed_hf, "curate", cheap)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, cheap_curate: None, tiny_model: Path) -> Callable[..., None]:
    """Runs an example in this process, with a tiny model as the embedder."""

    def run(name: str, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [name, *arguments, "--tasks", "3", "--embedder", str(tiny_model)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")

    return run


def test_the_guides_lines_keep_a_tenth(
    pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cheap_curate: None, tiny_model: Path
) -> None:
    blocks = re.findall(r"^```py\n(.*?)^```", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    lines = "".join(block for block in blocks if "LocalPipelineExecutor" in block)
    lines = lines.replace("tasks=64, workers=8", "tasks=3, workers=1")
    monkeypatch.chdir(tmp_path)
    exec(lines.replace("sentence-transformers/all-MiniLM-L6-v2", str(tiny_model)), {"shed_hf": shed_hf})
    kept = in_order(tmp_path / "kept")
    assert 1 <= len(kept) <= 30
    assert all(0 <= row["shed_rank"] <= 1 for row in kept)


def command(folder: Path, name: str, line: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{line}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """Stands for the commands of a cluster: jobs are only noted, and their tasks are run here as Slurm would."""
    command(tmp_path / "bin", "sbatch", f'for file; do :; done; cat "$file" >> {tmp_path}/jobs; echo submitted 7')
    command(tmp_path / "bin", "scontrol", "echo one-node")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    handler = signal.getsignal(signal.SIGUSR1)

    def run_tasks(logs: Path) -> str:
        monkeypatch.setattr(sys, "argv", ["launch_pickled_pipeline", str(logs / "executor.pik")])
        monkeypatch.setenv("SLURM_NODELIST", "one-node")
        for task in range(3):
            with monkeypatch.context() as patch:
                patch.setenv("SLURM_ARRAY_TASK_ID", str(task))
                launch_pickled_pipeline.main()
        return (logs / "launch_script.slurm").read_text()

    yield run_tasks
    signal.signal(signal.SIGUSR1, handler)


def test_the_example_for_slurm_submits_jobs_that_keep_a_tenth(
    pool: Path, tmp_path: Path, example: Callable[..., None], slurm: Callable[[Path], str]
) -> None:
    work = tmp_path / "work"
    example("pool_on_slurm.py", "embed", str(pool), str(work))
    script = slurm(work / "embed")
    assert "#SBATCH --array=0-2\n" in script
    assert "#SBATCH --gpus=1\n" in script
    assert f"launch_pickled_pipeline {work}/embed/executor.pik" in script
    example("pool_on_slurm.py", "curate", str(pool), str(work))
    example("pool_on_slurm.py", "keep", str(pool), str(work))
    assert "--gpus" not in slurm(work / "keep")
    kept = in_order(work / "kept")
    assert 1 <= len(kept) <= 30
    assert all(0 <= row["shed_rank"] <= 1 for row in kept)
    assert [{name: row[name] for name in ROWS[0]} for row in kept] == [ROWS[row["n"]] for row in kept]


def test_the_example_for_ray_keeps_a_tenth(pool: Path, tmp_path: Path, example: Callable[..., None]) -> None:
    ray = pytest.importorskip("ray")
    try:
        place = ["--address", "local", "--workers", "2", "--gpus", "0"]
        example("pool_on_ray.py", str(pool), str(tmp_path / "work"), *place)
    finally:
        ray.shutdown()
    assert 1 <= len(in_order(tmp_path / "work" / "kept")) <= 30
