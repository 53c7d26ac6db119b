"""Signature and documentation of `curate` and `plan`, whose keywords are the fields of `ShedConfig`."""

import inspect
import re
from collections.abc import Callable
from typing import Any, ForwardRef, ParamSpec, TypeVar

from shed_hf.config.shed_config import ShedConfig
from shed_hf.curation.arguments import CurateArguments, defaults

P = ParamSpec("P")
R = TypeVar("R")


def with_settings(function: Callable[P, R]) -> Callable[P, R]:
    """Show the settings in the signature and the documentation of a function that takes them as ``**arguments``.

    Args:
        function: The function.

    Returns:
        The same function, for `help` and for editors.
    """
    signature = inspect.signature(function)
    own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    types = CurateArguments.__annotations__
    settings = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=_shown(types[name]))
        for name, default in defaults().items()
    ]
    shown: Any = function
    shown.__signature__ = signature.replace(parameters=[*own, *settings])
    if function.__doc__ and ShedConfig.__doc__ and CurateArguments.__doc__:  # none of them under python -OO
        described = {**_described(ShedConfig.__doc__), **_described(CurateArguments.__doc__)}
        text = "\n".join(described[name] for name in defaults())
        lines = inspect.cleandoc(function.__doc__)
        function.__doc__ = re.sub(r"^    \*\*arguments: [^\n]*$", lambda _: text, lines, count=1, flags=re.MULTILINE)
    return function


def _shown(annotation: Any) -> Any:
    """A type that is only known to type checkers as they know it."""
    return annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else annotation


def _described(documentation: str) -> dict[str, str]:
    """What a class says of each of its attributes, with the name before it."""
    section = inspect.cleandoc(documentation).split("\nAttributes:\n", 1)[1].split("\n\n", 1)[0]
    entries = re.findall(r"^    (\w+):(?:.*\n?)(?:^        .*\n?)*", section, re.MULTILINE)
    texts = re.split(r"^(?=    \w+:)", section, flags=re.MULTILINE)[1:]
    return {name: text.rstrip() for name, text in zip(entries, texts, strict=True)}
