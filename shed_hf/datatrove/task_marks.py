"""What files say of the tasks that wrote them, by which a folder is known to hold all that a run was to write."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from shed_hf.errors import InputError
from shed_hf.utils.console import plural

MARK = b"shed_hf_task"
"""Where a file of Parquet says which task wrote it."""

NOTES = ".shed_hf"
"""The hidden folder, beside the files of a run, of notes by tasks that had no rows to write."""

_NAMED = 5
"""How many tasks a message names."""

_AGAIN = (
    "start the run that writes them again with the logging_dir that it had, which does what is not done; where a file "
    "was lost or damaged after its task was done, first remove the task's file in logging_dir/completions, such as "
    "completions/{task:05d}"
)


@dataclass(frozen=True)
class TaskMark:
    """What a file says of the task that wrote it.

    Attributes:
        task: The task's number.
        tasks: The number of tasks of the run.
        pool: A digest of the files that the run reads.
        name: The file's name in the folder that the run writes to.
        number: Which of the task's files it is, from 0 on.
        files: How many files the task wrote in all; None where it was not at its end.
        cut_short: Whether the task failed while it wrote the file.
        n_rows: How many rows the file has; with another number it was written anew by something else.
    """

    task: int
    tasks: int
    pool: str
    name: str
    number: int
    files: int | None
    cut_short: bool
    n_rows: int

    def as_json(self) -> str:
        """The mark as it is written."""
        return json.dumps(asdict(self))


def mark_from(written: bytes | None, n_rows: int) -> TaskMark | None:
    """The mark of a file.

    Args:
        written: What stands there; None for nothing.
        n_rows: How many rows the file has.

    Returns:
        The mark; None for a file that no task wrote as it is.
    """
    try:
        mark = None if written is None else TaskMark(**json.loads(written))
    except (ValueError, TypeError):
        return None
    return mark if mark is not None and mark.n_rows == n_rows else None


def remedy_for(task: int = 0) -> str:
    """What to do where a run is not at its end.

    Args:
        task: The number of a task that lacks something, as the example.
    """
    return _AGAIN.format(task=task)


def check_one_run(marks: Mapping[str, TaskMark], where: str) -> None:
    """Refuse a folder with files of several runs, which hold some rows twice and others not at all.

    Args:
        marks: Marks by file.
        where: What error messages call the folder.

    Raises:
        InputError: For runs of different numbers of tasks or over different files, and for more files of a task than
            it wrote.
    """
    for folder, by_task in _by_folder(marks).items():
        found = [mark for of_task in by_task.values() for mark in of_task]
        tasks = sorted({mark.tasks for mark in found})
        if len(tasks) > 1:
            why = f"of {' and of '.join(map(str, tasks))} tasks"
        elif len({mark.pool for mark in found}) > 1:
            why = "between which files of the pool that they read came, went or changed"
        elif any(map(_has_left_over, by_task.values())):
            why = "of which one wrote more files than the other"
        else:
            continue
        raise InputError(
            f"{where} holds files of several runs{_in(folder)}, {why}; a folder belongs to one run: do it again with "
            "another logging_dir and into an empty folder"
        )


def lacking(marks: Mapping[str, TaskMark], all_listed: bool) -> tuple[str, Sequence[int]]:
    """Which tasks did not write all their rows.

    Args:
        marks: Marks by file.
        all_listed: Whether those are all files of the folder; of some files only what was cut short is told.

    Returns:
        What follows the folder's name in an error, empty where nothing is lacking; and the numbers of those tasks.
    """
    for folder, by_task in _by_folder(marks).items():
        n_tasks = next(iter(by_task.values()))[0].tasks
        tasks = [task for task in range(n_tasks) if not _is_whole(by_task.get(task, ()), all_listed)]
        if tasks:
            named = ", ".join(map(str, tasks[:_NAMED])) + (" …" if len(tasks) > _NAMED else "")
            of_all = plural(n_tasks, "task")
            return f"lacks rows{_in(folder)}: {len(tasks)} of {of_all} did not write all of theirs ({named})", tasks
    return "", ()


def _by_folder(marks: Mapping[str, TaskMark]) -> dict[str, dict[int, list[TaskMark]]]:
    """Marks by task, by the folder that their run wrote to: several such folders may be read together."""
    found: dict[str, dict[int, list[TaskMark]]] = defaultdict(lambda: defaultdict(list))
    for file, mark in marks.items():
        root = file.removesuffix(mark.name)
        as_written = root != file and (not root or root.endswith("/"))
        found[root.rstrip("/") if as_written else file.rpartition("/")[0]][mark.task].append(mark)
    return found


def _has_left_over(of_task: Sequence[TaskMark]) -> bool:
    """Whether a task has a file of a run in which it wrote more of them."""
    return any(mark.number >= files for mark in of_task if mark.n_rows for files in _numbers_of_files(of_task))


def _is_whole(of_task: Sequence[TaskMark], all_listed: bool) -> bool:
    if not all_listed:
        return not any(mark.cut_short for mark in of_task)
    numbers = {mark.number for mark in of_task if mark.n_rows}
    return any(numbers >= set(range(files)) for files in _numbers_of_files(of_task))


def _numbers_of_files(of_task: Sequence[TaskMark]) -> set[int]:
    """How many files the task says that it wrote."""
    return {mark.files for mark in of_task if mark.files is not None}


def _in(folder: str) -> str:
    return f" in {folder}" if folder else ""
