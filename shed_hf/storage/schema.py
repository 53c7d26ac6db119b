"""Checks JSON from elsewhere against the types that this package gives it, naming the first place that is wrong."""

import hashlib
import json
import math
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from shed_hf.errors.safe_text import one_line
from shed_hf.results.recipe import PART_FIELDS, Recipe

DEEPEST = 100
"""How many lists and objects may lie in each other; what this package writes has fewer than ten."""


def check_depth(content: Any) -> None:
    """Check that JSON is not nested deeper than what this package writes, before anything recurses into it.

    Args:
        content: What the file holds.

    Raises:
        ValueError: Where it is.
    """
    level = [content]
    for _ in range(DEEPEST):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return
    raise ValueError(f"it is nested more than {DEEPEST} deep")


def check_recipe(recipe: Any) -> None:
    """Check the type of every field of a recipe.

    Args:
        recipe: The recipe, as JSON.

    Raises:
        ValueError: Naming the field, what it is and what it should be.
    """
    check_typed(recipe, Recipe, "recipe")
    parts: dict[str, Any] = {name: recipe[name] for name in (*PART_FIELDS, "features")}
    parts |= {"reestimate.estimator": (recipe["reestimate"] or {}).get("estimator")}
    objective = (recipe["tuner"] or {}).get("objective")
    parts |= {"tuner.objective": objective if isinstance(objective, dict) else None}
    for place, part in parts.items():
        if part is not None:
            check_typed(part.get("name"), str, f"recipe.{place}.name")
    training = recipe["utility"].get("training", {})
    check_typed(training, dict[str, Any], "recipe.utility.training")
    check_typed(training.get("max_length"), int | None, "recipe.utility.training.max_length")


def check_typed(value: Any, kind: Any, place: str) -> None:
    """Check JSON against a type: a TypedDict, a union, a list or dict of one, a literal, or a plain type.

    A float may be written as a whole number, and is finite.

    Args:
        value: What is there.
        kind: The type, as it stands in an annotation.
        place: Where it is, for the error.

    Raises:
        ValueError: Naming the place, what is there and what should be.
    """
    if not _fits(value, kind):
        raise ValueError(f"{place} is {_described(value)}, expected {_name(kind)}")
    if is_typeddict(kind):
        hints = get_type_hints(kind)
        if unknown := sorted(set(value) - set(hints)):
            raise ValueError(f"{place} has unknown fields {[one_line(name, 60) for name in unknown[:8]]}")
        for name, inner in hints.items():
            if name in value:
                check_typed(value[name], inner, f"{place}.{name}")
            elif name in kind.__required_keys__:
                raise ValueError(f"{place} lacks {name}")
    elif get_origin(kind) in (Union, UnionType):
        check_typed(value, next(option for option in get_args(kind) if _fits(value, option)), place)
    elif get_origin(kind) is list:
        for number, each in enumerate(value):
            check_typed(each, get_args(kind)[0], f"{place}[{number}]")
    elif get_origin(kind) is dict:
        for name, each in value.items():
            check_typed(each, get_args(kind)[1], f"{place}.{one_line(name, 60)}")


def digest_of(content: Any) -> str:
    """The SHA-256 of JSON by its content: the order of keys and the blanks between them don't matter.

    Args:
        content: What JSON can hold.

    Returns:
        64 hexadecimal digits.
    """
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _inside(each: Any) -> list[Any]:
    return list(each.values()) if isinstance(each, dict) else each if isinstance(each, list) else []


def _fits(value: Any, kind: Any) -> bool:
    """Whether the outermost type is the right one."""
    origin = get_origin(kind)
    if kind is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, option) for option in get_args(kind))
    if origin is Literal:
        return value in get_args(kind)
    if is_typeddict(kind) or origin is dict:
        return isinstance(value, Mapping)
    if origin is list:
        return isinstance(value, list)
    if kind is float:
        return type(value) in (int, float) and abs(value) < 2**1023 and math.isfinite(value)
    return type(value) is (NoneType if kind is None else kind)


def _described(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object"
    return f"a list of {len(value)}" if isinstance(value, list) else one_line(repr_of(value), 80)


def repr_of(value: Any) -> str:
    """The ``repr`` of what a file holds, also of numbers with more digits than Python writes.

    Args:
        value: What JSON can hold.

    Returns:
        The text.
    """
    try:
        return repr(value)
    except ValueError:
        return "a number of very many digits"


def _name(kind: Any) -> str:
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_name(option) for option in get_args(kind))
    if is_typeddict(kind) or get_origin(kind) is dict:
        return "an object"
    if get_origin(kind) is list:
        return "a list"
    names = {str: "text", int: "a whole number", float: "a finite number", bool: "true or false", NoneType: "null"}
    return names.get(kind, str(kind))
