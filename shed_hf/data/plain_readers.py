"""Which rows of a format can be read many at a time, and how."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shed_hf.data.choice_arrays import choice_reader
from shed_hf.data.formats import RowFormat
from shed_hf.data.multiple_choice import CHOICE_PARTS, READINGS
from shed_hf.data.plain_messages import PlainMessages, message_keys
from shed_hf.data.plain_rows import CompletionReader, FilledColumn, PlainReader, PlainTexts
from shed_hf.data.table_schema import is_text

if TYPE_CHECKING:
    from datasets import Features

_ASKED_AND_SAID: dict[str, tuple[str | None, str]] = {
    "prompt+completion": ("prompt", "completion"),
    "instruction": ("instruction", "output"),
    "question": ("question", "answer"),
    "text": (None, "text"),
}
"""The parts of a row that every row has, where they are texts: what is asked, and what is said."""

_BESIDE = {
    "prompt+completion": {"preamble"},
    "instruction": {"input", "system"},
    "question": {"context", "system"},
    "text": set[str](),
}
"""Texts that a row may have beside them."""

_MESSAGES = {"messages": ("messages",), "prompt+completion": ("prompt", "completion")}

_MAY_BE_ABSENT = {"system", "history", "tools", "chat_template_kwargs", "preamble"}
"""Parts of which a plain row has nothing."""


def plain_reader(row_format: RowFormat, features: "Features") -> PlainReader | None:
    """How the plain rows of a dataset are read, where it may have any.

    Args:
        row_format: How a row is read.
        features: The dataset's.

    Returns:
        The reader; None where no row is plain.
    """
    columns, name = row_format.columns, row_format.name
    texts = {part for part, column in columns.items() if is_text(features[column])}
    found = _of_texts(name, columns, texts, features) if name in _ASKED_AND_SAID else None
    if found is None and name in _MESSAGES:
        found = _of_messages(name, columns, "system" if "system" in texts else None, features)
    return found


def _of_texts(name: str, columns: Mapping[str, str], texts: set[str], features: "Features") -> PlainReader | None:
    asked, said = _ASKED_AND_SAID[name]
    completions: CompletionReader | None = FilledColumn(columns[said]) if said in texts else None
    chosen = {"choices", *CHOICE_PARTS, *READINGS} & columns.keys() if name == "question" else set[str]()
    if chosen:
        completions = choice_reader(columns, features)
    beside = _BESIDE[name] & columns.keys()
    null = {part for part in beside if _is_null(features[columns[part]])}
    absent = columns.keys() - {asked, said, *chosen} - (beside & texts)
    may_be_absent = _MAY_BE_ABSENT | null | ({"choices"} if name == "prompt+completion" else set())
    if completions is None or (asked is not None and asked not in texts) or not absent <= may_be_absent:
        return None
    found = {part: columns[part] for part in beside & texts}
    return PlainTexts(
        asked=None if asked is None else columns[asked],
        completions=completions,
        verbatim=name in ("prompt+completion", "text"),
        context=found.get("input", found.get("context")),
        context_first=name == "question",
        system=found.get("system", found.get("preamble")),
        absent={part: columns[part] for part in absent},
    )


def _of_messages(name: str, columns: Mapping[str, str], system: str | None, features: "Features") -> PlainReader | None:
    lists = []
    for part in _MESSAGES[name]:
        keys = message_keys(features[columns[part]])
        if keys is None:
            return None
        lists.append((columns[part], keys))
    absent = columns.keys() - {*_MESSAGES[name], system}
    if not absent <= _MAY_BE_ABSENT | ({"choices"} if name == "prompt+completion" else set()):
        return None
    return PlainMessages(lists, None if system is None else columns[system], {part: columns[part] for part in absent})


def _is_null(feature: Any) -> bool:
    from datasets import Value

    return isinstance(feature, Value) and feature.dtype == "null"
