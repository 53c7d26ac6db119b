"""Folders that appear only when they are whole: each is written under a name of its own, and put in place at once."""

import os
import platform
import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from shed_hf.errors import InputError

AddPages: TypeAlias = Callable[[Path, str], None]
"""Adds pages for people to a folder that is being written, which will have the name that is given."""


TRIED_BYTES = 2**16
"""How much is written to see whether a folder can be."""


def new_partial(target: Path) -> Path:
    """A name for what is being written, beside the target and different in every process.

    What killed processes of this machine left of earlier attempts is removed.

    Args:
        target: The folder to be.

    Returns:
        A path where nothing is.
    """
    for left in target.parent.glob(f".{_literally(target.name)}.*.partial"):
        if _is_left_over(left.name.removeprefix(f".{target.name}.")):
            shutil.rmtree(left, ignore_errors=True)
    return target.with_name(f".{target.name}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}.partial")


def put_in_place(partial: Path, target: Path) -> None:
    """Rename what was written to what it is to be.

    Args:
        partial: What was written.
        target: Where nothing is, or an empty folder.

    Raises:
        InputError: Where another process was faster.
        OSError: Where it can't be renamed.
    """
    try:
        if os.name == "nt" and target.is_dir():
            target.rmdir()  # elsewhere renaming replaces an empty folder
        partial.rename(target)
    except OSError as error:
        if target.exists() and any(target.iterdir() if target.is_dir() else [target]):
            raise InputError(f"{target} exists already; pass another path or remove it") from error
        raise


def try_writing(target: Path) -> None:
    """Write a folder with a small file beside the target, and remove it again.

    Args:
        target: The folder to be.

    Raises:
        OSError: Where nothing can be written.
    """
    tried = new_partial(target)
    try:
        tried.mkdir()
        (tried / "tried").write_bytes(bytes(TRIED_BYTES))
    finally:
        shutil.rmtree(tried, ignore_errors=True)


def _is_left_over(name: str) -> bool:
    """Whether the process that wrote it ran on this machine and does no more."""
    written_by = re.fullmatch(rf"{re.escape(_host())}-(\d+)-[0-9a-f]+\.partial", name)
    if written_by is None or os.name != "posix":
        return False
    try:
        os.kill(int(written_by[1]), 0)  # asks whether it is there
    except ProcessLookupError:
        return True
    except OSError:  # there, and another user's
        return False
    return False


def _host() -> str:
    return re.sub(r"[^\w.]+", "_", platform.node()) or "host"


def _literally(name: str) -> str:
    return re.sub(r"([\[*?])", r"[\1]", name)
