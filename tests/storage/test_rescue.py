"""A finished result is never lost: where it can't be saved as asked it is saved elsewhere, and whole."""

import errno
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, InputError
from shed_hf.storage import curated_folder, partial_folders, rescue
from shed_hf.storage.curated_folder import MANIFEST, check_free
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows


@pytest.fixture(scope="module")
def curated() -> CuratedDataset:
    return curated_of(Dataset.from_list(make_rows(60)), 12)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder; the temporary and the home folder are others."""
    for name in ("here", "tmp", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "matplotlib"))  # read when it is imported
    return tmp_path / "here"


def rescued(folder: Path, curated: CuratedDataset, error: BaseException, begins: str) -> None:
    """The one folder in ``folder`` is the whole result, and the error names it."""
    (kept,) = folder.iterdir()
    assert kept.name.startswith(f"{begins}-")
    words = " ".join([str(error), *getattr(error, "__notes__", ())])
    assert f"load it with CuratedDataset.load_from_disk({str(kept)!r})" in words
    loaded = CuratedDataset.load_from_disk(kept)
    assert loaded.dataset.to_list() == curated.dataset.to_list()
    assert loaded.estimate.values.tolist() == curated.estimate.values.tolist()
    assert len(loaded.ledger) == len(curated.ledger)


def test_where_something_is_already(curated: CuratedDataset, here: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").write_text("mine")
    for _ in range(2):  # the second time it is there, and is not written again
        with pytest.raises(InputError, match=r"taken exists already; pass another path or remove it\. The result") as e:
            curated.save_to_disk(taken)
        rescued(here, curated, e.value, "taken")
    assert [path.name for path in taken.iterdir()] == ["mine"]


def nowhere(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "file").write_text("")
    return {
        "a place that is no disk": Path("/proc/x"),
        "a name that is too long": tmp_path / ("x" * 300),
        "inside a file": tmp_path / "file" / "out",
    }


@pytest.mark.parametrize("kind", ["a place that is no disk", "a name that is too long", "inside a file"])
def test_where_nothing_can_be_written(kind: str, curated: CuratedDataset, here: Path, tmp_path: Path) -> None:
    target = nowhere(tmp_path)[kind]
    with pytest.raises(InputError, match=r"cannot be written \(.*\); pass another path$"):
        check_free(target)
    with pytest.raises(InputError, match="cannot be written") as error:
        curated.save_to_disk(target)
    rescued(here, curated, error.value, target.name[:100])


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()])
@pytest.mark.parametrize("broken", ["write_arrays", "write_parquet", "write_json", "put_in_place"])
def test_a_disk_that_fails_half_way(
    error: BaseException, broken: str, curated: CuratedDataset, here: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    whole = getattr(curated_folder, broken)

    def failing(*arguments: Any) -> Any:
        if any("full" in str(argument) for argument in arguments):
            raise error
        return whole(*arguments)

    monkeypatch.setattr(curated_folder, broken, failing)
    (tmp_path / "full").mkdir()
    with pytest.raises(InputError if isinstance(error, OSError) else KeyboardInterrupt) as raised:
        curated.save_to_disk(tmp_path / "full" / "out", pages=False)
    rescued(here, curated, raised.value, "out")
    assert list((tmp_path / "full").iterdir()) == []


def test_the_next_place_is_taken_where_the_working_folder_fails_too(
    curated: CuratedDataset, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(partial: Path, target: Path) -> None:
        if target.is_relative_to(here) or target.is_relative_to(tmp_path / "tmp"):
            raise FULL
        partial_folders.put_in_place(partial, target)

    monkeypatch.setattr(curated_folder, "put_in_place", failing)
    with pytest.raises(InputError, match="No space left") as error:
        curated.save_to_disk(here / "out", pages=False)
    rescued(tmp_path / "home", curated, error.value, "out")


def test_where_no_place_is_left_the_error_says_so(
    curated: CuratedDataset, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> None:
        raise FULL

    monkeypatch.setattr(curated_folder, "write_arrays", failing)
    with pytest.raises(InputError, match=r"No space left.*The result could not be saved elsewhere either"):
        curated.save_to_disk(here / "out")


@pytest.mark.parametrize(
    ("wanted", "begins"),
    [
        ("me/name", "name"),
        ("/", "curated"),
        ("..", "curated"),
        ("a b;c", "a-b-c"),
        ("x" * 300, "x" * 100),
        (f"me/hf_{'a' * 30}", "curated"),
    ],
)
def test_the_rescued_folder_has_a_plain_name(wanted: str, begins: str, curated: CuratedDataset, here: Path) -> None:
    folder = rescue.rescue(curated, wanted)
    assert folder is not None
    assert folder.parent == here
    assert folder.name.rsplit("-", 1)[0] == begins


def _save(curated: CuratedDataset, target: Path, at: Any, results: Any) -> None:
    at.wait()
    try:
        curated.save_to_disk(target)
        results.put("saved")
    except InputError as error:
        results.put(str(error))


def test_of_several_processes_that_save_to_one_folder_one_does_and_the_others_keep_theirs(
    curated: CuratedDataset, here: Path, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("fork")
    at, results = context.Barrier(3), context.Queue()
    target = tmp_path / "shared" / "out"
    processes = [context.Process(target=_save, args=(curated, target, at, results)) for _ in range(3)]
    for process in processes:
        process.start()
    told = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
    assert told.count("saved") == 1
    assert all("exists already" in words and str(here) in words for words in told if words != "saved")
    assert [path.name for path in target.parent.iterdir()] == ["out"]
    for folder in (target, *here.iterdir()):
        assert CuratedDataset.load_from_disk(folder).dataset.to_list() == curated.dataset.to_list()
    assert len(list(here.iterdir())) == 1


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(
    curated: CuratedDataset, tmp_path: Path
) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    target = tmp_path / "out[1]"
    own = partial_folders.new_partial(target)
    host = own.name.removeprefix(".out[1].").split("-")[0]
    left = [f".out[1].{host}-{dead.stdout.strip()}-0a1b.partial", f".out[1].{host}-{os.getpid()}-0a1b.partial"]
    others = [".out[1].elsewhere-1-0a1b.partial", f".out1.{host}-{dead.stdout.strip()}-0a1b.partial"]
    for name in (*left, *others):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    curated.save_to_disk(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([left[1], *others, "out[1]"])
    assert (target / MANIFEST).is_file()


def test_trying_leaves_nothing_behind(tmp_path: Path) -> None:
    check_free(tmp_path / "a" / "out")
    assert list((tmp_path / "a").iterdir()) == []
