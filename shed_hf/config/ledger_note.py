"""The settings of a run, written beside its ledger, so that ``shed-hf resume`` can repeat the call."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from shed_hf.config.recipe_file import WrittenSettings, as_yaml, read_recipe_file
from shed_hf.config.shed_config import DESTINATIONS, SETTINGS_BY_NAME
from shed_hf.errors import InputError, LedgerError
from shed_hf.finetuning.known_models import SHORT_NAMES
from shed_hf.game.ledger_files import replace_whole
from shed_hf.game.ledger_header import recorded_header
from shed_hf.utils.console import say
from shed_hf.utils.nearest import did_you_mean
from shed_hf.utils.text import first_line

_HEAD = "# What `shed-hf resume` repeats; a recipe for `shed-hf curate --config` too.\n"


def note_of(ledger: str | os.PathLike[str]) -> Path:
    """The file beside a ledger that has its run's settings.

    Args:
        ledger: The ledger's path.

    Returns:
        The path, whether or not the file is there.
    """
    path = Path(ledger)
    return path.with_name(f"{path.name}.yaml")


def write_note(ledger: str | os.PathLike[str], written: WrittenSettings) -> None:
    """Write the settings of a run beside its ledger; where that fails a line says so, and the run goes on.

    Paths of files and folders are written so that they are found from any folder.

    Args:
        ledger: The ledger's path.
        written: The settings.
    """
    values = {name: _from_anywhere(name, value) for name, value in written.values.items()}
    try:
        replace_whole(note_of(ledger), [(_HEAD + as_yaml(values, written.not_written)).encode()]).close()
    except (OSError, ValueError) as error:
        say(f"the settings are not noted beside the ledger, so shed-hf resume cannot use it ({first_line(error)})")


@contextmanager
def note_goes_with(ledger: str | os.PathLike[str] | None) -> Iterator[None]:
    """On exit, remove the noted settings where no ledger was made, as after a call that was refused.

    Args:
        ledger: The ledger's path; None for a ledger in memory, which has no settings beside it.
    """
    try:
        yield
    finally:
        if ledger is not None and not Path(ledger).exists():
            with suppress(OSError, ValueError):  # the path may be what the call was refused for
                note_of(ledger).unlink()


_FOUND_BY_PATH = ("dataset", "eval_dataset", "test_dataset", "embedder", "model")
"""Settings that name something on the Hub, or a file or folder where one is there."""

_FILES_OF_TRAINING = ("chat_template_path",)
"""Fields of `trl.SFTConfig` that name a file."""


def _from_anywhere(name: str, value: Any) -> Any:
    """A setting with the whole path in the place of one that counts from the working folder."""
    if name == "model" and value in SHORT_NAMES:
        return value
    if name == "sft_config" and value is not None:
        return {part: _whole(one) if part in _FILES_OF_TRAINING else one for part, one in value.items()}
    if name in _FOUND_BY_PATH and isinstance(value, Mapping):
        return {part: _whole(one) if part in ("path", "model") else one for part, one in value.items()}
    if name in _FOUND_BY_PATH:
        return _whole(value)
    return str(Path(value).absolute()) if name in ("ledger", "output") and value is not None else value


def _whole(named: Any) -> Any:
    if not isinstance(named, str):
        return named
    path = Path(named).expanduser()
    return str(path.absolute()) if path.exists() else named


def _check_there(ledger: Path) -> None:
    """Refuse what is no ledger; one that was begun and has no outcome yet may be missing beside its settings."""
    if ledger.is_dir():
        raise InputError(f"ledger {str(ledger)!r} is a folder; pass the file that was named as ledger=")
    if ledger.is_file():
        if recorded_header(ledger) is None:
            raise LedgerError(f"{ledger} is not a ledger that can be read; pass the file that was named as ledger=")
    elif not note_of(ledger).is_file():
        folder = ledger.parent
        beside = [each.name for each in folder.iterdir() if note_of(each).is_file()] if folder.is_dir() else []
        meant = did_you_mean(ledger.name, beside, shown=lambda near: str(ledger.with_name(near)))
        raise InputError(f"ledger {str(ledger)!r} does not exist; {meant}pass the file that was named as ledger=")


def read_note(ledger: str | os.PathLike[str]) -> WrittenSettings:
    """The settings of the run that a ledger is of.

    Args:
        ledger: The ledger's path.

    Returns:
        The settings, with the ledger's path among them.

    Raises:
        InputError: Where there are none, and where there is no such ledger.
        LedgerError: For a file that is something else than a ledger.
    """
    _check_there(Path(ledger))
    path = note_of(ledger)
    if not path.is_file():
        raise InputError(
            f"{ledger} has no settings beside it ({path} is missing; a curation writes them "
            f"when it begins); repeat its call with ledger={os.fspath(ledger)!r} instead"
        )
    found = read_recipe_file(path, {**SETTINGS_BY_NAME, **DESTINATIONS})
    return WrittenSettings({**found.values, "ledger": os.fspath(ledger)}, found.not_written, found.name, found.lines)
