"""Messages between ranks: plain data, numpy arrays and known records as bytes. Reading them runs no code.

A message is a safetensors file: the arrays in it, and the rest as JSON in an array of bytes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.errors import Diverged, HubError, InputError, LedgerError, NoSignal, NotBetter, RankError, ShedError
from shed_hf.errors.safe_text import safe

CONTENT = "content"


SENDABLE = "biuf"
"""The kinds of numpy arrays that are sent: booleans, integers and floats."""


@dataclass(frozen=True)
class RecordType:
    """A class whose objects may be sent.

    Attributes:
        kind: The class.
        parts: An object's parts by name, which can be sent in turn.
        make: An object from its parts, given by name.
    """

    kind: type[Any]
    parts: Callable[[Any], Mapping[str, Any]]
    make: Callable[..., Any]


def record(kind: type[Any]) -> RecordType:
    """A dataclass that may be sent, with its fields as parts.

    Args:
        kind: The dataclass.

    Returns:
        What a `Codec` needs to know of it.
    """
    names = [field.name for field in fields(kind) if field.init]
    return RecordType(kind, lambda sent: {name: getattr(sent, name) for name in names}, kind)


class Codec:
    """Turns what ranks tell each other into bytes and back.

    Args:
        records: The classes that may be sent beside plain data and arrays; the same on every rank.
    """

    def __init__(self, records: Sequence[RecordType] = ()) -> None:
        self._of_kind = {known.kind: known for known in records}
        self._of_name = {known.kind.__name__: known for known in records}

    def encode(self, content: Any) -> bytes:
        """The content as bytes.

        Args:
            content: None, booleans, numbers, text, arrays of numbers, known records, or lists, tuples and dictionaries
                of these.

        Returns:
            A safetensors file.

        Raises:
            TypeError: For anything else.
        """
        from safetensors.numpy import save

        arrays: dict[str, NDArray[Any]] = {}
        text = json.dumps(self._plain(content, arrays))
        return bytes(save({CONTENT: np.frombuffer(text.encode(), dtype=np.uint8), **arrays}))

    def decode(self, message: bytes) -> Any:
        """The content of a message.

        Args:
            message: What `encode` made.

        Returns:
            An equal content; arrays can be written to.

        Raises:
            ValueError: For bytes that `encode` of a `Codec` with the same records did not make.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            arrays = load(message)
            return self._content(json.loads(arrays[CONTENT].tobytes()), arrays)
        except (
            SafetensorError,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    def _plain(self, content: Any, arrays: dict[str, NDArray[Any]]) -> Any:
        if content is None or (isinstance(content, bool | int | float | str) and not isinstance(content, np.generic)):
            return content
        if isinstance(content, np.ndarray | np.generic):
            kept = np.array(content, order="C", subok=False)
            if kept.dtype.kind not in SENDABLE or kept.dtype.itemsize > 8:
                raise TypeError(f"an array of {kept.dtype} cannot be sent to another rank")
            arrays[str(len(arrays))] = kept.astype(kept.dtype.newbyteorder("="), copy=False)
            return {"array" if isinstance(content, np.ndarray) else "number": str(len(arrays) - 1)}
        if isinstance(content, list):
            return [self._plain(part, arrays) for part in content]
        if isinstance(content, tuple):
            return {"tuple": [self._plain(part, arrays) for part in content]}
        if isinstance(content, Mapping):
            return {"dict": [[self._plain(part, arrays) for part in pair] for pair in content.items()]}
        if type(content) in self._of_kind:
            parts = self._of_kind[type(content)].parts(content)
            return {"record": [type(content).__name__, {n: self._plain(part, arrays) for n, part in parts.items()}]}
        raise TypeError(f"a {type(content).__name__} cannot be sent to another rank")

    def _content(self, plain: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
        match plain:
            case None | bool() | int() | float() | str():
                return plain
            case list():
                return [self._content(part, arrays) for part in plain]
            case {"array": str(name)}:
                return arrays[name].copy()
            case {"number": str(name)}:
                return arrays[name][()]
            case {"tuple": list(parts)}:
                return tuple(self._content(part, arrays) for part in parts)
            case {"dict": list(pairs)}:
                return {self._content(name, arrays): self._content(part, arrays) for name, part in pairs}
            case {"record": [str(kind), dict(parts)]}:
                return self._of_name[kind].make(**{name: self._content(part, arrays) for name, part in parts.items()})
        raise ValueError(f"{str(plain)[:40]!r} is no content of a message")


def plain_error(error: BaseException, rank: int) -> dict[str, Any]:
    """An exception as plain data.

    Args:
        error: The exception.
        rank: Where it was raised.

    Returns:
        Its classes, from its own up to `BaseException`, its message and its notes, without secrets.
    """
    classes = [kind.__name__ for kind in type(error).__mro__]
    notes = [safe(str(note)) for note in getattr(error, "__notes__", ())]
    return {"rank": rank, "classes": classes, "message": safe(str(error)), "notes": notes}


def error_from(plain: Any) -> tuple[int, BaseException]:
    """The exception that another rank raised.

    Args:
        plain: What `plain_error` made of it.

    Returns:
        The rank, and an error of the same class, or of the nearest one of shed_hf's above it; a `RuntimeError` with the
        class's name in its message for what is not of shed_hf. Interruptions are a `KeyboardInterrupt` again.

    Raises:
        ValueError: For anything else.
    """
    match plain:
        case {"rank": int(rank), "classes": [str(name), *_] as classes, "message": str(message), "notes": list(notes)}:
            known = next((_ERRORS[kind] for kind in classes if kind in _ERRORS), None)
            error = RuntimeError(safe(f"{name}: {message}")) if known is None else known(message)
            for note in notes:
                error.add_note(safe(str(note)))
            return rank, error
    raise ValueError(f"{str(plain)[:40]!r} is no exception")


_ERRORS: dict[str, Callable[[str], BaseException]] = {
    **{
        kind.__name__: kind
        for kind in (ShedError, InputError, LedgerError, RankError, HubError, NoSignal, NotBetter, Diverged)
    },
    "KeyboardInterrupt": lambda message: KeyboardInterrupt(*([message] if message else [])),
}
