"""YAML as recipes and options of the shell have it: numbers as in YAML 1.2, and each key once."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shed_hf.errors import InputError
from shed_hf.utils.text import first_line

_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"

_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)\Z")
"""Not 010, which is 8 to YAML 1.1, nor 10:30, which is 630: these stay text."""

_DECIMAL = re.compile(r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9]+(?=e))(?:e[-+]?[0-9]+)?\Z"
                      r"|[-+]?\.inf\Z|\.nan\Z", re.IGNORECASE)  # fmt: skip
"""1e-8 too, which is text to YAML 1.1; not 1:30.5, which is 90.5 there."""


def _loader(text: str) -> Any:
    import yaml

    resolvers = {
        first: [(tag, pattern) for tag, pattern in known if tag not in (_INT, _FLOAT)]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    made: Any = type("Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": resolvers})
    made.add_implicit_resolver(_INT, _WHOLE, list("-+0123456789"))
    made.add_implicit_resolver(_FLOAT, _DECIMAL, list("-+0123456789."))
    return made(text)


def load_text(text: str) -> Any:
    """The value that a text has.

    Args:
        text: YAML.

    Returns:
        Plain values.

    Raises:
        ValueError: For what is not YAML.
    """
    import yaml

    try:
        loader = _loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(_problem(error)) from error


@dataclass(frozen=True)
class Entry:
    """An entry of a mapping.

    Attributes:
        key: The key.
        line: The line that it stands in, from 1.
        value: The value.
        inner_lines: The lines of the keys inside a value that is a mapping, by their names with dots between them.
    """

    key: Any
    line: int
    value: Any
    inner_lines: Mapping[str, int]


def load_entries(text: str, name: str) -> list[Entry]:
    """The entries of the mapping that a text must be.

    Args:
        text: YAML or JSON.
        name: What errors call it.

    Returns:
        The entries in order.

    Raises:
        InputError: For what is not YAML or not a mapping, and for a key that stands twice, at any depth.
    """
    import yaml

    try:
        loader = _loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return []
            if not isinstance(node, yaml.MappingNode):
                raise InputError(f"{name} is a {node.id}, not settings by name; write a line for each, as in size: 0.1")
            _check_keys(node, name)
            return [_entry(loader, key, value) for key, value in node.value]
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} is not YAML ({_problem(error)}); write a line for each setting") from error


def _entry(loader: Any, key: Any, value: Any) -> Entry:
    made = [loader.construct_object(part, deep=True) for part in (key, value)]
    inner = dict(_inner_lines(value, "", set()))
    return Entry(made[0], key.start_mark.line + 1, made[1], inner)


def _inner_lines(node: Any, prefix: str, seen: set[int]) -> Iterator[tuple[str, int]]:
    """Keys of mappings inside each other; what aliases repeat is gone through once."""
    if node.id != "mapping" or id(node) in seen:
        return
    seen.add(id(node))
    for key, value in node.value:
        if key.id == "scalar":
            yield f"{prefix}{key.value}", key.start_mark.line + 1
            yield from _inner_lines(value, f"{prefix}{key.value}.", seen)


def _check_keys(root: Any, name: str) -> None:
    """See that no mapping has a key twice, of which YAML would keep the last."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or node.id == "scalar":
            continue
        seen.add(id(node))
        if node.id == "sequence":
            waiting.extend(node.value)
            continue
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            waiting.append(value)
            if key.id == "scalar":
                line, known = key.start_mark.line + 1, lines.get((key.tag, key.value))
                if known is not None:
                    raise InputError(
                        f"line {line} of {name}: {key.value} stands in line {known} already; leave one of them out"
                    )
                lines[key.tag, key.value] = line


def _problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f" in line {mark.line + 1}"
    return f"{getattr(error, 'problem', None) or first_line(error) or type(error).__name__}{where}"


def dump_text(content: Any) -> str:
    """Plain values as YAML that `load_entries` and readers of YAML 1.1 read as the same.

    Args:
        content: Mappings, lists, texts and numbers.

    Returns:
        The text.
    """
    import yaml

    made: Any = type("Dumper", (yaml.SafeDumper,), {})
    made.add_implicit_resolver(_FLOAT, _DECIMAL, list("-+0123456789."))
    return str(yaml.dump(content, Dumper=made, sort_keys=False, allow_unicode=True))
