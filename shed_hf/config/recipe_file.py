"""Reads and writes recipe files, YAML or JSON; what cannot be used is named with its line."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shed_hf.config.setting import Setting, shown
from shed_hf.config.yaml_text import Entry, dump_text, load_entries
from shed_hf.errors import InputError
from shed_hf.errors.safe_text import redacted
from shed_hf.utils.nearest import nearest
from shed_hf.utils.text import first_line

MOST_BYTES = 2**20
"""A recipe is a page of text; a larger file is something else."""

NOT_WRITTEN = "not_written"
"""The key under which a recipe says which arguments could not be written down, and what each was."""

_ELSEWHERE = {
    "batch_size": "per_device_train_batch_size", "dataset_name": "dataset", "dataset_train_split": "split",
    "dev_dataset": "eval_dataset", "dtype": "precision", "embedding_model": "embedder", "epochs": "num_train_epochs",
    "fraction": "size", "hub_model_id": "push_to_hub", "k": "n_clusters", "lr": "learning_rate",
    "max_seq_length": "max_length", "model_id": "model", "model_name": "model", "model_name_or_path": "model",
    "n": "size", "n_epochs": "num_train_epochs", "n_proxies": "proxies_per_cluster", "n_rows": "size",
    "num_clusters": "n_clusters", "num_epochs": "num_train_epochs", "optimizer": "optim", "output_dir": "output",
    "path": "dataset", "random_state": "seed", "rank": "lora_r", "repo_id": "push_to_hub", "selector": "sampler",
    "train_dataset": "dataset", "validation_dataset": "eval_dataset",
}  # fmt: skip
"""What other libraries, or earlier versions of them, call a setting."""


@dataclass(frozen=True)
class WrittenSettings:
    """Settings that were written down, with the line of each.

    Attributes:
        values: Settings by name, each of its kind.
        not_written: What each argument was that could not be written down, in words, by name.
        name: What errors call the place that it was read from.
        lines: The line of each setting, and of each field of one, as in ``sampler.most``; empty where there are none.
    """

    values: Mapping[str, Any]
    not_written: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)

    def places(self, passed: Collection[str] = ()) -> dict[str, str]:
        """What errors about settings begin with.

        Args:
            passed: Settings that were passed otherwise, which count more.

        Returns:
            Such as ``line 2 of recipe.yaml: `` by the name of the setting, or of the field.
        """
        own = {name: line for name, line in self.lines.items() if name.partition(".")[0] not in passed}
        return {name: f"line {line} of {self.name}: " for name, line in own.items()}


def read_recipe_file(path: str | os.PathLike[str], known: Mapping[str, Setting]) -> WrittenSettings:
    """The settings in a file.

    Args:
        path: The file: YAML, or JSON, which is YAML.
        known: The settings there are.

    Returns:
        The settings, checked.

    Raises:
        InputError: For a file that cannot be read, and for an unknown key, a key that stands twice, or a value of
            another kind, with its line.
    """
    return parse_recipe(_content(Path(path).expanduser()), str(path), known)


def parse_recipe(text: str, name: str, known: Mapping[str, Setting]) -> WrittenSettings:
    """The settings in a text; see `read_recipe_file`.

    Args:
        text: YAML or JSON.
        name: What errors call it.
        known: The settings there are.

    Returns:
        The settings, checked.

    Raises:
        InputError: As `read_recipe_file`.
    """
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    not_written: dict[str, str] = {}
    for entry in _entries(text, name):
        key, line = entry.key, entry.line
        lines |= {key: line, **{f"{key}.{inner}": where for inner, where in entry.inner_lines.items()}}
        if key == NOT_WRITTEN:
            not_written = _words(entry.value, line, name)
        elif key not in known:
            raise InputError(f"line {line} of {name}: {key!r} is not a setting; {name_hint(key, known)}")
        else:
            values[key] = _value(known[key], entry.value, line, name)
    return WrittenSettings(values, not_written, name, lines)


def name_hint(name: str, known: Collection[str]) -> str:
    """What an error about an unknown setting proposes.

    Args:
        name: What was said.
        known: The names there are.

    Returns:
        A question, or all names where none is near.
    """
    plain = name.strip().lower().replace("-", "_").lstrip("_")
    elsewhere = _ELSEWHERE.get(plain)
    near = elsewhere if elsewhere in known else nearest(name, known)
    return f"there are {', '.join(known)}" if near is None else f"did you mean {near}?"


def _content(path: Path) -> str:
    if not path.exists():
        raise InputError(f"the recipe {path} does not exist; pass a YAML file, or the folder or repository of a result")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} has more than {MOST_BYTES:,} bytes, which is no recipe; pass a YAML file")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the recipe {path} cannot be read ({first_line(error)}); pass a YAML file") from error


def _entries(text: str, name: str) -> list[Entry]:
    """The entries of the mapping that the text must be."""
    found = load_entries(text, name)
    for entry in found:
        if not isinstance(entry.key, str):
            raise InputError(
                f"line {entry.line} of {name}: {shown(entry.key)} is not the name of a setting; write it as text"
            )
    return found


def _value(setting: Setting, value: Any, line: int, name: str) -> Any:
    try:
        return setting.read(value)
    except ValueError as error:
        raise InputError(
            f"line {line} of {name}: {setting.name} is {shown(value)}, expected {error}; mend it or leave it out"
        ) from None


def _words(value: Any, line: int, name: str) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(part, str) for pair in value.items() for part in pair):
        raise InputError(f"line {line} of {name}: {NOT_WRITTEN} is {shown(value)}, expected names with words")
    return dict(value)


def as_yaml(settings: Mapping[str, Any], not_written: Mapping[str, str]) -> str:
    """Settings as the text of a recipe file; access tokens are struck from it.

    Args:
        settings: Values by name.
        not_written: What could not be written down, in words.

    Returns:
        YAML.
    """
    content = {name: _plain(value) for name, value in settings.items()}
    if not_written:
        content[NOT_WRITTEN] = dict(not_written)
    return redacted(dump_text(content)) if content else ""


def _plain(value: Any) -> Any:
    """Tuples as lists, and mappings as YAML writes them."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value
