"""Names for the objects a user passes, the same in every process, so that ledgers and recipes can be compared."""

import dataclasses
import hashlib
import sys
from collections.abc import Callable, Mapping
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

from shed_hf.utils.code_identity import is_read, library_of
from shed_hf.utils.identity import Unidentifiable, digest
from shed_hf.utils.named import Named


def stable_name(thing: Any) -> str:
    """What something is, in words that are the same in every process and hold no memory address.

    Args:
        thing: Anything that a user plugs in, or one of its fields.

    Returns:
        A dataclass of this package as its class and fields, plain data as its repr, anything else as its qualified
        name and a digest of its code and state; without the digest for models, and where the state cannot be read.
    """
    return _name(thing, _digest)


def bare_name(thing: Any) -> str:
    """The name without the digest of state: of functions a digest of the code, of objects the class alone.

    Args:
        thing: As in `stable_name`.

    Returns:
        The name that ledgers of version 0.1 have.
    """
    return _name(thing, _code)


def _name(thing: Any, suffix: Callable[[Any], str]) -> str:
    if isinstance(thing, Named):
        return thing.name
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        shown = [f"{f.name}={_name(getattr(thing, f.name), suffix)}" for f in dataclasses.fields(thing) if f.repr]
        own = "" if library_of(type(thing).__module__) == "" or suffix is _code else suffix(thing)
        return f"{type(thing).__name__}({', '.join(shown)}){own}"
    if isinstance(thing, list | tuple | dict) and not _is_plain(thing):
        return _container(thing, suffix)
    if thing is None or isinstance(thing, str | bool | int | float | list | tuple | dict):
        return repr(thing)
    named = thing if hasattr(thing, "__qualname__") and hasattr(thing, "__module__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}{suffix(thing)}"


def _container(thing: Any, suffix: Callable[[Any], str]) -> str:
    if isinstance(thing, dict):
        return f"{{{', '.join(f'{_name(key, suffix)}: {_name(value, suffix)}' for key, value in thing.items())}}}"
    parts = ", ".join(_name(part, suffix) for part in thing)
    return f"[{parts}]" if isinstance(thing, list) else f"({parts})"


def _is_plain(thing: Any) -> bool:
    """Whether a repr is the content, all the way down."""
    if isinstance(thing, dict):
        return all(_is_plain(key) and _is_plain(value) for key, value in thing.items())
    if isinstance(thing, list | tuple):
        return all(_is_plain(part) for part in thing)
    return thing is None or isinstance(thing, str | bool | int | float | bytes)


def _digest(thing: Any) -> str:
    torch = sys.modules.get("torch")
    model = torch is not None and isinstance(thing, torch.nn.Module)  # reading its weights takes seconds
    if model or (isinstance(thing, type) and not is_read(thing)):
        return ""
    try:
        return f"#{digest(thing)[:12]}"
    except Unidentifiable:
        return _code(thing)


def _code(thing: Any) -> str:
    code = getattr(thing, "__code__", None)
    return f"#{_code_digest(code)}" if isinstance(code, CodeType) else ""


def _code_digest(code: CodeType) -> str:
    """A function's instructions and constants, hashed: tells two lambdas apart."""
    content = repr((code.co_code, code.co_names, [_constant(part) for part in code.co_consts]))
    return hashlib.blake2b(content.encode(), digest_size=6).hexdigest()


def _constant(part: Any) -> str:
    if isinstance(part, CodeType):
        return _code_digest(part)
    if isinstance(part, frozenset):  # whose order is another in every process
        return f"frozenset({{{', '.join(sorted(map(repr, part)))}}})"
    return repr(part)


def to_recipe_entry(thing: Any) -> dict[str, Any]:
    """An embedder, clusterer, estimator or sampler as JSON: its class and, of a dataclass, its fields.

    Args:
        thing: The object.

    Returns:
        ``name``, the class, and an entry for every field that its repr shows.
    """
    if isinstance(thing, FunctionType | MethodType | partial):
        return {"name": stable_name(thing)}
    fields = dataclasses.fields(thing) if dataclasses.is_dataclass(thing) else ()
    return {"name": type(thing).__name__, **{f.name: plain(getattr(thing, f.name)) for f in fields if f.repr}}


def plain(field: Any) -> Any:
    """A field as JSON.

    Args:
        field: The field's value.

    Returns:
        Numbers, text and collections as they are, anything else by its `stable_name`.
    """
    if field is None or isinstance(field, str | bool | int | float):
        return field
    if isinstance(field, np.integer | np.floating):
        return field.item()
    if isinstance(field, Mapping):
        return {str(name): plain(value) for name, value in field.items()}
    if isinstance(field, list | tuple):
        return [plain(value) for value in field]
    return stable_name(field)
