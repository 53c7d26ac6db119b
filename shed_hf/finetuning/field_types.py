"""What kinds of values the fields of another library's configuration take, as far as its annotations are plain."""

import types
from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from shed_hf.errors import InputError
from shed_hf.utils.nearest import unknown_name
from shed_hf.utils.text import first_line

_WORDS = {
    bool: "true or false", int: "a whole number", float: "a number", str: "text", dict: "a mapping", list: "a list",
}  # fmt: skip


def check_types(name: str, kind: type, given: Mapping[str, Any]) -> None:
    """Refuse values that no field of their name takes: dataclasses take anything, and fail when it is too late.

    Args:
        name: The argument that they were passed in, for errors; empty where they are arguments themselves.
        kind: The configuration, a dataclass.
        given: Values of some of its fields.

    Raises:
        InputError: Naming the first that is of another kind.
    """
    hints = get_type_hints(kind)
    for field, value in given.items():
        kinds = _kinds(hints.get(field, Any))
        if kinds is not None and value is not None and not any(_is(value, each) for each in kinds):
            called = f"{name}.{field}" if name else field
            words = [word for each in kinds for word in _words(each)]
            if words:
                raise InputError(unknown_name(called, value, words))
            expected = " or ".join(dict.fromkeys(_WORDS[each] for each in kinds))
            raise InputError(f"{called}={value!r:.80} is not {expected}; pass one, or leave it out")


def _kinds(hint: Any) -> list[Any] | None:
    """The kinds of a union, or of a single annotation; None where one of them is not plain.

    Text beside the members of an enumeration is the name of one.
    """
    union = get_origin(hint) in (Union, types.UnionType)
    kinds = [each for each in (get_args(hint) if union else [hint]) if each is not type(None)]
    kinds = [get_origin(each) if get_origin(each) in (dict, list) else each for each in kinds]
    plain = all(get_origin(each) is Literal or each in _WORDS or _is_enum(each) for each in kinds)
    named = any(map(_is_enum, kinds))
    return [kind for kind in kinds if not (named and kind is str)] if plain else None


def _is(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if _is_enum(kind):
        return isinstance(value, kind) or value in [each.value for each in kind]
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    return isinstance(value, (int, float) if kind is float else (list, tuple) if kind is list else kind)


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _words(kind: Any) -> list[str]:
    """The words that a kind consists of; none for numbers, text and the like."""
    members = get_args(kind) if get_origin(kind) is Literal else [one.value for one in kind] if _is_enum(kind) else []
    return [str(member) for member in members]


def culprit(kind: Any, given: Mapping[str, Any]) -> tuple[str, str]:
    """Which of some values a configuration cannot be made with, and why.

    Args:
        kind: Makes the configuration of keywords.
        given: Values that it cannot be made of.

    Returns:
        The field and the first line of the reason; empty where each is fine by itself.
    """
    for field, value in given.items():
        try:
            kind(**{field: value})
        except Exception as error:  # libraries check their fields in many ways, and raise whatever comes of them
            return field, first_line(error) or type(error).__name__
    return "", ""
