"""What a run left undone is named by whoever reads its files, after every stage."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import Dataset, load_dataset

pytest.importorskip("datatrove")

from datatrove.pipeline.base import PipelineStep

from shed_hf.datatrove import Embed, Keep, RowReader, RowWriter, Sample, Score, read_sample
from shed_hf.errors import InputError
from tests.helpers.scorers import topic_scorer
from tests.helpers.shards import ROWS, put_shards, run, words


class FailsAt(PipelineStep):
    """Fails at a row."""

    def __init__(self, number: int | None) -> None:
        super().__init__()
        self.number = number

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        for document in data:
            if document.metadata["n"] == self.number:
                raise RuntimeError("out of memory")
            yield document


STAGES: dict[str, Callable[[RowReader], list[PipelineStep]]] = {
    "embed": lambda _: [Embed(words(), 15)],
    "sample": lambda reader: [Sample(reader, 120)],
    "score": lambda _: [Score(topic_scorer(Dataset.from_list(ROWS)))],
    "keep": lambda _: [Score(topic_scorer(Dataset.from_list(ROWS))), Keep(least=-1e9)],
}


def write(pool: Path, stage: str, failing: int | None = None, tasks: int = 3, **writing: Any) -> Path:
    """The folder that a stage of a run writes; the rows after a failing one of its task are not written."""
    reader = RowReader(str(pool))
    target = pool.parent / stage
    steps = [reader, *STAGES[stage](reader), RowWriter(str(target), reader, **writing)]
    failures = [[*steps[:-1], FailsAt(failing), steps[-1]], [*steps, FailsAt(failing)]]
    for each in failures if failing is not None else [steps]:
        try:
            run(each, tasks)
        except RuntimeError:
            continue
    return target


def read(folder: Path) -> int:
    if folder.name == "sample":
        return len(read_sample(folder))
    return len(run([RowReader(str(folder))]))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path.unlink(), r"lacks rows: 1 of 3 tasks did not write all of theirs \(1\)"),
    "empty": (lambda path: path.write_bytes(b""), r"1 of the 3 files .*: 000_00001\.parquet is broken"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-9]), r"000_00001\.parquet is broken"),
    "written anew with fewer rows": (
        lambda path: pq.write_table(pq.read_table(path).slice(0, 7), path), r"lacks rows: 1 of 3 tasks .*\(1\)"
    ),
}  # fmt: skip


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_missing_after_a_stage_is_refused_until_it_is_there(pool: Path, stage: str) -> None:
    folder = write(pool, stage)
    shard = folder / "000_00001.parquet"
    whole = shard.read_bytes()
    assert read(folder) == 120
    for damage, said in DAMAGE.values():
        damage(shard)
        with pytest.raises(InputError, match=rf"{said}.*; start the run .* logging_dir .* first remove") as refused:
            read(folder)
        assert ("drop_invalid" in str(refused.value)) == (stage != "sample")
        shard.write_bytes(whole)
    assert read(folder) == 120


@pytest.mark.parametrize("stage", STAGES)
def test_a_task_that_fails_within_a_shard_leaves_no_file_that_passes_for_whole(pool: Path, stage: str) -> None:
    folder = write(pool, stage, failing=62)
    assert pq.read_metadata(folder / "000_00001.parquet").num_rows < 40  # closed, and readable
    with pytest.raises(InputError, match=r"lacks rows: 2 of 3 tasks did not write all of theirs \(1, 2\); .*/00001"):
        read(folder)
    with pytest.raises(InputError, match=r"lacks rows: 1 of 3 tasks .* \(1\)"):
        RowReader(str(folder), glob_pattern="*1.parquet")
    assert RowReader(str(folder), drop_invalid=True).shards.n_rows < 80
    assert read(write(pool, stage)) == 120


@pytest.mark.parametrize("stage", ["embed", "sample"])
def test_tasks_without_rows_are_no_gap(pool: Path, stage: str) -> None:
    folder = write(pool, stage, tasks=5)
    assert read(folder) == len(load_dataset(str(folder), split="train")) == 120
    for note in (folder / ".shed_hf").iterdir():
        note.unlink()
    with pytest.raises(InputError, match=r"lacks rows: 2 of 5 tasks .* \(3, 4\)"):
        read(folder)


def test_of_several_files_of_a_task_none_may_be_missing(pool: Path) -> None:
    folder = write(pool, "embed", output_filename="${topic}/${rank}.parquet", max_file_size=1)
    files = sorted(path.relative_to(folder) for path in folder.glob("*/*.parquet"))
    assert read(folder) == 120
    for file in (files[0], files[-1]):
        content = (folder / file).read_bytes()
        (folder / file).unlink()
        with pytest.raises(InputError, match="lacks rows: 1 of 3 tasks"):
            read(folder)
        (folder / file).write_bytes(content)
    assert len(run([RowReader(str(folder), glob_pattern=f"{files[0].parent}/*")])) < 120


def test_folders_of_several_runs_are_read_together_and_each_is_complete(pool: Path) -> None:
    folder = pool.parent / "both"
    folder.mkdir()
    for name in ("one", "two"):
        write(pool, "embed").rename(folder / name)
    assert read(folder) == 240
    (folder / "two" / "000_00000.parquet").unlink()
    with pytest.raises(InputError, match=r"lacks rows in two: 1 of 3 tasks .* \(0\)"):
        read(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [("tasks", "of 1 and of 3 tasks"), ("pool", "came, went or changed"), ("files", "one wrote more files")],
)
def test_files_of_several_runs_in_one_folder_are_refused(pool: Path, change: str, said: str) -> None:
    folder = write(pool, "embed", max_file_size=1 if change == "files" else 2**30)
    if change == "pool":  # goes on with its last task when there is another shard
        last = (folder / "000_00002.parquet").read_bytes()
        put_shards(pool / "more", Dataset.from_list(ROWS[:9]), 1)
    write(pool, "embed", tasks=1 if change == "tasks" else 3)
    if change == "pool":
        (folder / "000_00002.parquet").write_bytes(last)
    with pytest.raises(InputError, match=rf"holds files of several runs, .*{said}.*; a folder belongs to one run"):
        read(folder)


def test_rows_that_are_left_out_are_known_to_be_complete_too(pool: Path) -> None:
    reader, rest = RowReader(str(pool)), pool.parent / "rest"
    steps = [reader, FailsAt(62), Sample(reader, 1, exclusion_writer=RowWriter(str(rest), reader))]
    with pytest.raises(RuntimeError):
        run(steps, 3)
    with pytest.raises(InputError, match=r"lacks rows: 2 of 3 tasks .*\(1, 2\)"):
        RowReader(str(rest))
    n_drawn = len(run([reader, *steps[2:]], 3))
    assert read(rest) == 120 - n_drawn > 0


def test_a_shard_that_is_gone_since_the_reader_was_made_is_named(pool: Path) -> None:
    reader = RowReader(str(pool))
    put_shards(pool / "a later one", Dataset.from_list(ROWS), 1)
    assert len(run([reader], 2)) == 120
    (pool / "1.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"1\.parquet"):
        run([reader], 2)
