"""Names for the things a user plugs in: stable between processes, so that a ledger or a recipe can be compared."""

import dataclasses
import hashlib
from collections.abc import Mapping
from types import CodeType
from typing import Any

import numpy as np


def stable_name(thing: Any) -> str:
    """``thing`` in words that do not hold a memory address.

    A dataclass is its class and fields, a function its qualified name and a digest of its code, plain data its repr,
    anything else its class.
    """
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        shown = [f"{f.name}={stable_name(getattr(thing, f.name))}" for f in dataclasses.fields(thing) if f.repr]
        return f"{type(thing).__name__}({', '.join(shown)})"
    if thing is None or isinstance(thing, str | bool | int | float | list | tuple | dict):
        return repr(thing)
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    code = getattr(thing, "__code__", None)
    return f"{named.__module__}.{named.__qualname__}{f'#{_code_digest(code)}' if code else ''}"


def _code_digest(code: CodeType) -> str:
    """A function's instructions and constants, hashed: tells two lambdas apart."""
    constants = [_code_digest(part) if isinstance(part, CodeType) else repr(part) for part in code.co_consts]
    content = repr((code.co_code, code.co_names, constants))
    return hashlib.blake2b(content.encode(), digest_size=6).hexdigest()


def to_recipe_entry(thing: Any) -> dict[str, Any]:
    """A seam's implementation as JSON: its class and, of a dataclass, its fields."""
    fields = dataclasses.fields(thing) if dataclasses.is_dataclass(thing) else ()
    return {"name": type(thing).__name__, **{f.name: plain(getattr(thing, f.name)) for f in fields if f.repr}}


def plain(field: Any) -> Any:
    """A field as JSON: numbers, text and collections as they are, anything else by its `stable_name`."""
    if field is None or isinstance(field, str | bool | int | float):
        return field
    if isinstance(field, np.integer | np.floating):
        return field.item()
    if isinstance(field, Mapping):
        return {str(name): plain(value) for name, value in field.items()}
    if isinstance(field, list | tuple):
        return [plain(value) for value in field]
    return stable_name(field)
