"""What an object is, by content: one digest of code and state, the same in every process, without addresses.

Two objects have the same digest when their classes' code and their state are the same: fields, ``__dict__`` and
``__slots__``, arguments of partials, closures and defaults of functions, the globals that a function reads, the object
of a bound method, the numbers of arrays and tensors. An object that says by ``__reduce__`` or ``__getstate__`` what
its state is, is taken at its word. Values that a ``cached_property`` has stored are no state.
"""

import copyreg
import hashlib
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import cached_property, partial
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

import numpy as np

from shed_hf.utils.code_identity import class_parts, closure_of, code_parts, function_parts, is_read, qualified_name
from shed_hf.utils.named import Named

_PICKLING = ("__reduce_ex__", "__reduce__", "__getstate__")

UNKNOWN = "cannot be told apart"
"""How the description of something without an identity begins."""


class Unidentifiable(Exception):
    """Something has state that cannot be read, such as an open file.

    Args:
        path: Where it is found, from the outside in.
        thing: What it is.
    """

    def __init__(self, path: Iterable[str], thing: object) -> None:
        self.where, self.kind = ".".join(path), type(thing).__qualname__
        super().__init__(f"{self.where or 'it'} is a {self.kind}, whose content cannot be read")


def digest(thing: Any) -> str:
    """A digest of code and state.

    Args:
        thing: Any object.

    Returns:
        24 hexadecimal digits.

    Raises:
        Unidentifiable: When a part of it cannot be read.
    """
    return _Reader().digest(thing).hex()


def readable_digest(thing: Any) -> str:
    """A digest of code and state, or words that say what cannot be read.

    Args:
        thing: Any object.

    Returns:
        24 hexadecimal digits, or a line that begins with `UNKNOWN`.
    """
    try:
        return digest(thing)
    except Unidentifiable as error:
        return f"{UNKNOWN}: {error}"


def description(thing: Any) -> dict[str, Any]:
    """The parts that make an object what it is, each by name, for a comparison that can name the one that differs.

    Args:
        thing: Any object, such as a function, a partial, or an object with ``__call__``.

    Returns:
        Numbers as they are, anything else as a digest, since text may be secret. Of a part that cannot be read, one
        line that begins with `UNKNOWN`. Nothing for a `Named` object, whose name says it all.
    """
    return _described(thing)


def _described(thing: Any) -> dict[str, Any]:
    if isinstance(thing, Named):
        return {}
    if isinstance(thing, partial):
        arguments = {f"argument {place}": _leaf(value) for place, value in enumerate(thing.args)}
        arguments |= {f"argument {name}": _leaf(value) for name, value in thing.keywords.items()}
        return {"function": _described(thing.func), **arguments}
    if isinstance(thing, MethodType):
        return {"method": _described(thing.__func__), "object": _described(thing.__self__)}
    if isinstance(thing, FunctionType) and is_read(thing):
        return {name: _leaf(value) for name, value in function_parts(thing).items()}
    if isinstance(thing, type) or not is_read(type(thing)):
        return {"whole": _leaf(thing)}
    if not _has_plain_state(type(thing)):
        return {"class": _leaf(type(thing)), "state": _leaf(thing)}
    return {"class": _leaf(type(thing)), **{name: _leaf(value) for name, value in _attributes(thing).items()}}


def _leaf(value: Any) -> Any:
    if value is None or type(value) in (bool, int) or (type(value) is float and np.isfinite(value)):
        return value
    try:
        return f"#{digest(value)}"
    except Unidentifiable as error:
        return f"{UNKNOWN}: {error}"


def _has_plain_state(cls: type) -> bool:
    """Whether an object's attributes are all its state: it is no container and has no pickling of its own."""
    own = [getattr(cls, name, None) is not getattr(object, name, None) for name in _PICKLING]
    return not any(own) and not issubclass(cls, (list, tuple, dict, set, frozenset, str, int, float, bytes, np.ndarray))


def _attributes(thing: Any) -> dict[str, Any]:
    """An object's attributes, with those in slots, but for the values that a ``cached_property`` has stored."""
    cls, found = type(thing), dict(getattr(thing, "__dict__", {}))
    for base in cls.__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(thing, name):
                found[name] = getattr(thing, name)
    return {name: v for name, v in found.items() if not isinstance(getattr(cls, name, None), cached_property)}


class _Reader:
    """Digests of objects; each is read once, and one inside itself is named by its depth."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, bytes]] = {}
        self._open: dict[int, int] = {}
        self._path: list[str] = []

    def digest(self, thing: Any) -> bytes:
        if id(thing) in self._known:
            return self._known[id(thing)][1]
        if id(thing) in self._open:
            return _hash("again", str(self._open[id(thing)]).encode())
        self._open[id(thing)] = len(self._open)
        try:
            found = self._read(thing)
        except RecursionError as error:
            raise Unidentifiable(self._path[:3], thing) from error
        finally:
            del self._open[id(thing)]
        self._known[id(thing)] = (thing, found)
        return found

    def _read(self, thing: Any) -> bytes:
        plain = _PLAIN.get(type(thing))
        if plain is not None:
            return _hash(type(thing).__name__, plain(thing))
        for kind, read in _KINDS.items():
            if isinstance(thing, kind):
                return read(self, thing)
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(thing, torch.Tensor):
            return self._tensor(thing)
        datasets = sys.modules.get("datasets")
        if datasets is not None and isinstance(thing, datasets.Dataset):
            return self._parts("dataset", {"features": str(thing.features), "rows": [dict(row) for row in thing]})
        evaluate = sys.modules.get("evaluate")
        if evaluate is not None and isinstance(thing, evaluate.EvaluationModule):  # its state is files of one run
            return _hash("metric", f"{qualified_name(type(thing))} {thing.name} {thing.config_name}".encode())
        return self._state(thing)

    def _parts(self, kind: str, parts: Mapping[str, Any]) -> bytes:
        digests = []
        for name in sorted(parts):
            self._path.append(name)
            digests += [name.encode(), self.digest(parts[name])]
            self._path.pop()
        return _hash(kind, *digests)

    def _items(self, things: Iterable[Any]) -> bytes:
        return _hash("items", *(self.digest(part) for part in things))

    def _sequence(self, thing: "list[Any] | tuple[Any, ...]") -> bytes:
        if type(thing) in (list, tuple):
            return _hash(type(thing).__name__, self._items(thing))
        return self._state(thing, self._items(thing))

    def _set(self, thing: "set[Any] | frozenset[Any]") -> bytes:
        content = _hash("set", *sorted(self.digest(part) for part in thing))
        return content if type(thing) in (set, frozenset) else self._state(thing, content)

    def _mapping(self, thing: Mapping[Any, Any]) -> bytes:
        pairs = []
        for name, value in thing.items():
            self._path.append(str(name) if isinstance(name, str) else type(name).__name__)
            pairs.append(self.digest(name) + self.digest(value))
            self._path.pop()
        if type(thing) in (dict, MappingProxyType):
            return _hash("mapping", *sorted(pairs))
        return self._state(thing, _hash("pairs", *(pairs if isinstance(thing, OrderedDict) else sorted(pairs))))

    def _array(self, thing: Any) -> bytes:
        array = np.asarray(thing)
        shape = f"{type(thing).__qualname__} {array.dtype!r} {array.shape}".encode()
        mask = self.digest(np.ma.getmaskarray(thing)) if isinstance(thing, np.ma.MaskedArray) else b""
        if array.dtype.hasobject:
            return _hash("array", shape, mask, self._items(array.ravel().tolist()))
        return _hash("array", shape, mask, np.ascontiguousarray(array).tobytes())

    def _tensor(self, thing: Any) -> bytes:
        import torch

        if thing.layout is not torch.strided or thing.is_meta:
            raise Unidentifiable(self._path, thing)
        flat = thing.detach().cpu().contiguous()
        flat = flat.as_strided((flat.numel(),), (1,), flat.storage_offset())
        content = flat.view(torch.uint8).numpy().tobytes()
        return _hash("tensor", f"{thing.dtype} {tuple(thing.shape)}".encode(), content)

    def _code(self, thing: CodeType) -> bytes:
        return _hash("code", self._items(code_parts(thing)))

    def _function(self, thing: FunctionType) -> bytes:
        if not is_read(thing):
            return _hash("function", qualified_name(thing).encode(), self._items(closure_of(thing).values()))
        return self._parts("function", function_parts(thing))

    def _class(self, thing: type) -> bytes:
        return self._parts("class", class_parts(thing)) if is_read(thing) else _named(thing)

    def _partial(self, thing: "partial[Any]") -> bytes:
        return _hash("partial", *(self.digest(part) for part in (thing.func, thing.args, thing.keywords)))

    def _method(self, thing: MethodType) -> bytes:
        return _hash("method", self.digest(thing.__func__), self.digest(thing.__self__))

    def _builtin(self, thing: Any) -> bytes:
        owner = getattr(thing, "__self__", None)
        of = b"" if owner is None or isinstance(owner, ModuleType) else self.digest(owner)
        return _hash("builtin", f"{getattr(thing, '__module__', '')}.{thing.__qualname__}".encode(), of)

    def _wrapping(self, thing: Any) -> bytes:
        return _hash(type(thing).__name__, self.digest(thing.__func__))

    def _property(self, thing: property) -> bytes:
        return self._items((thing.fget, thing.fset, thing.fdel))

    def _cached_property(self, thing: "cached_property[Any]") -> bytes:
        return _hash("cached", self.digest(thing.func))

    def _member(self, thing: Enum) -> bytes:
        return _hash("member", self.digest(type(thing)), thing.name.encode(), self.digest(thing.value))

    def _state(self, thing: Any, content: bytes = b"") -> bytes:
        """Class and state of any other object, as pickling would take it apart."""
        wrapped = getattr(thing, "__wrapped__", None)
        if type(thing).__name__ == "_lru_cache_wrapper":
            return _hash("cache", self.digest(wrapped))
        try:
            registered = copyreg.dispatch_table.get(type(thing))
            reduced = thing.__reduce_ex__(4) if registered is None else registered(thing)
        except Exception as error:  # whatever an object's own method raises, it tells us nothing
            raise Unidentifiable(self._path, thing) from error
        if isinstance(reduced, str):
            return _hash("global", reduced.encode())
        make, arguments, state, *items = (*reduced, None, None, None)[:5]
        if isinstance(state, dict) and hasattr(thing, "__dict__"):
            stored = _attributes(thing)
            state = {name: value for name, value in state.items() if name in stored or name not in vars(thing)}
        parts = {"class": type(thing), "make": make, "arguments": arguments}
        held = [] if content else [list(part) for part in items if part is not None]
        parted = [self._parts("object", parts), self._parts("state", _by_name(state)), self._items(held)]
        return _hash("object", content, *parted)

    def _constant(self, thing: Any) -> bytes:
        """Locks, and references that keep nothing alive, such as caches: no outcome depends on them."""
        return _hash(type(thing).__qualname__)


def _by_name(state: Any) -> Mapping[str, Any]:
    """An object's state with names to tell where something is."""
    if isinstance(state, dict) and all(isinstance(name, str) for name in state):
        return state
    if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):  # __dict__ and __slots__
        return {"": state[0], **{str(name): value for name, value in state[1].items()}}
    return {"": state}


def _named(thing: Any) -> bytes:
    return _hash("named", qualified_name(thing).encode())


def _hash(kind: str, *parts: bytes) -> bytes:
    hasher = hashlib.blake2b(kind.encode(), digest_size=12)
    for part in parts:
        hasher.update(b"%d:" % len(part) + part)
    return hasher.digest()


_PLAIN: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"",
    bool: lambda value: b"%d" % value,
    int: lambda value: hex(value).encode(),
    float: lambda value: value.hex().encode(),
    complex: lambda value: repr(value).encode(),
    str: lambda value: value.encode("utf-8", "surrogatepass"),
    bytes: bytes,
    bytearray: bytes,
    type(...): lambda _: b"",
    type(NotImplemented): lambda _: b"",
}

_WEAK = (weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet)

_KINDS: dict[Any, Callable[[_Reader, Any], bytes]] = {
    Enum: _Reader._member,
    (np.ndarray, np.generic): _Reader._array,
    FunctionType: _Reader._function,
    CodeType: _Reader._code,
    MethodType: _Reader._method,
    partial: _Reader._partial,
    type: _Reader._class,
    ModuleType: lambda _, module: _hash("module", module.__name__.encode()),
    (BuiltinFunctionType, MethodWrapperType, WrapperDescriptorType): _Reader._builtin,
    (staticmethod, classmethod): _Reader._wrapping,
    property: _Reader._property,
    cached_property: _Reader._cached_property,
    (list, tuple): _Reader._sequence,
    (set, frozenset): _Reader._set,
    (dict, MappingProxyType): _Reader._mapping,
    Named: lambda _, named: _hash("name", named.name.encode()),
    (type(threading.Lock()), type(threading.RLock()), weakref.ref, *_WEAK): _Reader._constant,
}
