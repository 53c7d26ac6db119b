"""Keeps access tokens out of what leaves a call: texts of exceptions, whatever library raised them, and log lines."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from shed_hf.errors import HubError
from shed_hf.errors.safe_text import STRUCK, redacted

_Arguments = ParamSpec("_Arguments")


_Result = TypeVar("_Result")


_CLIENTS = ("huggingface_hub", "hf_xet", "datasets", "transformers", "sentence_transformers", "httpx", "httpcore")
"""The libraries that speak to the Hub, by the beginning of their loggers' names."""


def without_secrets(call: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The function, such that no text of an exception that leaves it, and no line that it logs, holds a known secret.

    Secrets are struck from an exception and from those that it came from. One from which they can't be struck is
    replaced by a `HubError` with its text.

    Args:
        call: A function that may speak to the Hub.

    Returns:
        A function of the same arguments.
    """

    @wraps(call)
    def guarded(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with _redacted_logs():
            try:
                return call(*args, **kwargs)
            except BaseException as error:
                strike(error)
                if not isinstance(error, Exception) or not _leaks(error):
                    raise
                replaced = HubError(f"{type(error).__name__}: {error}")
                for note in getattr(error, "__notes__", ()):
                    replaced.add_note(note)
        raise replaced

    return guarded


def strike(error: BaseException) -> None:
    """Strike known secrets from an exception, its notes, and the exceptions that it came from.

    Args:
        error: The exception; its arguments and textual attributes are changed in place.
    """
    for each in _related(error):
        if _struck(each.args) != each.args:
            each.args = tuple(_struck(part) for part in each.args)
        for name, value in [*vars(each).items()]:
            if isinstance(value, str | bytes | list) and _struck(value) != value:
                setattr(each, name, _struck(value))
        if isinstance(each, OSError) and _struck([each.filename, each.strerror]) != [each.filename, each.strerror]:
            each.filename = _struck(each.filename)
            each.strerror = None if each.strerror is None else redacted(each.strerror)
        if isinstance(each, UnicodeEncodeError) and redacted(each.object) != each.object:
            each.object = STRUCK
        if isinstance(each, UnicodeDecodeError) and _struck(each.object) != each.object:
            each.object = STRUCK.encode()


def _struck(part: object) -> object:
    if isinstance(part, str):
        return redacted(part)
    if isinstance(part, bytes):
        return redacted(part.decode("latin-1")).encode("latin-1")
    if type(part) is list or type(part) is tuple:
        return type(part)(_struck(inner) for inner in part)
    return part


def _leaks(error: BaseException) -> bool:
    shown = "\n".join(f"{each} {each!r} {vars(each)}" for each in _related(error))
    return redacted(shown) != shown


def _related(error: BaseException) -> Iterator[BaseException]:
    """The exception and all that it came from or that it groups, each once."""
    seen: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop()
        if each is None or any(each is other for other in seen):
            continue
        seen.append(each)
        yield each
        todo += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            todo += each.exceptions


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        struck = redacted(message)
        if struck != message:
            record.msg, record.args = struck, ()
        if record.exc_info and record.exc_info[1] is not None:
            strike(record.exc_info[1])
        return True


@contextmanager
def _redacted_logs() -> Iterator[None]:
    """Logs of the clients without secrets; loggers are filtered, not handlers, so that every handler is served."""
    filtering = _Redacting()
    names = [name for name in logging.root.manager.loggerDict if name.startswith(_CLIENTS)]
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addFilter(filtering)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(filtering)
