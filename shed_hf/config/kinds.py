"""The kinds of values that settings take: what is expected, in words, and how text becomes one."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shed_hf.config.yaml_text import load_text


@dataclass(frozen=True)
class Kind:
    """A kind of value.

    Attributes:
        expected: What is expected, in words.
        read: The value itself, from what a file, a command line or a keyword has. Raises `ValueError` or
            `TypeError` for anything else.
        metavar: What help shows in the value's place.
        repeats: Whether a command line gives it once for each part, as in ``--columns instruction=query``.
    """

    expected: str
    read: Callable[[Any], Any]
    metavar: str = "TEXT"
    repeats: bool = False


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


class TooLargeError(ValueError):
    """A whole number that nothing counts up to; the message says what is expected."""


def _whole(value: Any, least: int, most: float = 2**63 - 1) -> int:
    number = int(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise ValueError
    if number > most:
        raise TooLargeError(f"a whole number of at most {most}")
    return number


def _number(value: Any) -> float:
    """A finite number; as text too, since YAML reads 2e-4 as text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _size(value: Any) -> int | float | str:
    if isinstance(value, str):
        text = value.strip()
        if text == "auto" or text.endswith("%"):
            return text
        return _whole(text, -(2**63)) if text.lstrip("-").isdigit() else _number(text)
    return value if isinstance(value, int) and not isinstance(value, bool) else _number(value)


def _budget(value: Any) -> int | str:
    if isinstance(value, str):
        text = _text(value).strip()
        return int(text) if text.lstrip("-").isdigit() and len(text) < 19 else text
    return _whole(value, -(2**63))


def _part(value: Any) -> Any:
    """A short name, or a class of this package with its fields, as a recipe writes it."""
    if isinstance(value, Mapping):
        if not isinstance(value.get("name"), str) or not all(isinstance(field, str) for field in value):
            raise ValueError
        return dict(value)
    return _text(value)


def _dataset(value: Any) -> Any:
    """A Hub id or a path, or what `datasets.load_dataset` calls path, name, split and revision."""
    if isinstance(value, Mapping):
        known = {"path", "name", "split", "revision"}
        given = {part: text for part, text in value.items() if text is not None}
        if (
            "path" not in given
            or not given.keys() <= known
            or not all(isinstance(text, str) for text in given.values())
        ):
            raise ValueError
        return given
    return _text(value)


def _columns(value: Any) -> dict[str, str | None]:
    pairs = _pairs(value) if isinstance(value, Sequence) else value
    if not isinstance(pairs, Mapping):
        raise TypeError
    found = {part: column or None for part, column in pairs.items()}
    if not all(isinstance(part, str) and isinstance(column, str | None) for part, column in found.items()):
        raise ValueError
    return found


def _pairs(value: Any) -> dict[str, str]:
    """Texts such as ``instruction=query``, each part once."""
    found: dict[str, str] = {}
    for text in [value] if isinstance(value, str) else value:
        part, sign, rest = text.partition("=") if isinstance(text, str) else ("", "", "")
        if not sign or not part.strip() or part.strip() in found:
            raise ValueError
        found[part.strip()] = rest.strip()
    return found


def _tolerances(value: Any) -> dict[str, float | str]:
    """Columns to how far their groups may fall: 0.01, or "0.01:random" for below random rows."""
    if isinstance(value, Sequence):
        value = _last_pairs(_listed(value))
    if not isinstance(value, Mapping) or not all(isinstance(column, str) and column for column in value):
        raise ValueError
    return {column: _tolerance(given) for column, given in value.items()}


def _last_pairs(texts: Sequence[Any]) -> dict[str, str]:
    """Texts such as ``a=b=0.01``, whose last sign is the one that counts, each column once."""
    found: dict[str, str] = {}
    for text in texts:
        column, sign, rest = text.rpartition("=") if isinstance(text, str) else ("", "", "")
        if not sign or not column.strip() or column.strip() in found:
            raise ValueError
        found[column.strip()] = rest
    return found


def _tolerance(given: Any) -> float | str:
    if not isinstance(given, str):
        return _number(given)
    amount, sign, against = given.partition(":")
    if against not in ("", "untuned", "random"):
        raise ValueError
    return f"{_number(amount)}:{against}" if sign else _number(amount)


def _names(value: Any) -> tuple[str, ...]:
    names = tuple(_text(name) for name in _listed(value))
    if not names:
        raise ValueError
    return names


def _features(value: Any) -> Any:
    return _part(value) if isinstance(value, Mapping) else _names(value)


def _listed(value: Any) -> Sequence[Any]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, Sequence):
        raise TypeError
    return value


def _settings(value: Any) -> dict[str, Any]:
    """Names to plain values; on a command line ``name=value``, the value written as in YAML."""
    if isinstance(value, Sequence):
        value = {name: load_text(text) for name, text in _pairs(value).items()}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError
    return dict(value)


def _within(read: Callable[[Any], float], low: float, high: float, open_low: bool = False) -> Callable[[Any], float]:
    def checked(value: Any) -> float:
        number = read(value)
        if not low <= number <= high or (open_low and number == low):
            raise ValueError
        return number

    return checked


TEXT = Kind("text", _text)
PATH = Kind("a path", _text, "PATH")
FLAG = Kind("true or false", _flag, "")
WHOLE = Kind("a whole number >= 1", lambda value: _whole(value, 1), "INTEGER")
WHOLE_OR_ZERO = Kind("a whole number >= 0", lambda value: _whole(value, 0), "INTEGER")
SEED = Kind(WHOLE_OR_ZERO.expected, lambda value: _whole(value, 0, math.inf), "INTEGER")
POSITIVE = Kind("a number > 0", _within(_number, 0, math.inf, open_low=True), "NUMBER")
NOT_NEGATIVE = Kind("a number >= 0", _within(_number, 0, math.inf), "NUMBER")
SHARE = Kind("a number from 0 to 1", _within(_number, 0, 1), "NUMBER")
SIZE = Kind('a number of rows (500), a share (0.1), a percentage ("10%") or "auto"', _size, "SIZE")
BUDGET = Kind('a number of fine-tunings (200) or a time ("4h")', _budget, "BUDGET")
PART = Kind("a name, or a mapping with a name and fields", _part)
DATASET = Kind(
    "a Hub id, a folder or a file, or a mapping with path, name, split and revision", _dataset, "DATASET"
)  # fmt: skip
COLUMNS = Kind("columns by part, each part once, as in instruction=query", _columns, "PART=COLUMN", repeats=True)
TOLERANCES = Kind("tolerances by column, as in subject=0.01 or subject=0.01:random", _tolerances, "COLUMN=TOLERANCE",
                  repeats=True)  # fmt: skip
NAMES = Kind("a name or a list of names", _names, "NAME", repeats=True)
FEATURES = Kind(
    "names out of loss, ifd and length, or a mapping with a name and fields", _features, "NAME", repeats=True
)
SETTINGS = Kind("values by name, as in adam_beta2=0.95", _settings, "NAME=VALUE", repeats=True)
