"""Reads plain rows a batch of columns at a time, without making an `Example` of each.

Plain is a row of texts alone: prompt and completion, instruction and output, question and answer, a text, or messages
of nothing but role and content, where need be after a system prompt. Whatever else a row has, and whatever is wrong
with it, `RowFormat.read` finds out: a row is plain only where it reads the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from shed_hf.data.content import written_turns
from shed_hf.data.formats import RowFormat
from shed_hf.data.roles import ROLES, is_misspelt
from shed_hf.data.table_schema import is_text
from shed_hf.types import BoolVector
from shed_hf.utils.text import is_blank

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Features

_Cells: TypeAlias = Sequence[str | None]


class PlainRow(NamedTuple):
    """A row of turns without other keys, and of nothing beside them.

    Attributes:
        first_role: Who speaks first.
        texts: What is said in each turn.
        turns: Each turn as digests are taken of it.
        given: How many turns are a prompt, for prompt and completion as messages; else 0.
    """

    first_role: str
    texts: Sequence[str]
    turns: Sequence[str]
    given: int = 0


class PlainReader(Protocol):
    """Reads the plain rows of a batch of columns: each in its order, None for one that is not plain."""

    @property
    def verbatim(self) -> bool: ...

    def __call__(self, table: "pa.Table") -> Iterator[PlainRow | None]: ...


def plain_reader(row_format: RowFormat, features: "Features") -> PlainReader | None:
    """How the plain rows of a dataset are read, where it may have any.

    Args:
        row_format: How a row is read.
        features: The dataset's.

    Returns:
        The reader; None where no row is plain.
    """
    columns, name = row_format.columns, row_format.name
    texts = {part: column for part, column in columns.items() if is_text(features[column])}
    if name in _TEXTS:
        needed, optional = _TEXTS[name]
        read = {part: column for part, column in texts.items() if part in needed or part in optional}
        null = {part for part in optional if part in columns and _is_null(features[columns[part]])}
        if read.keys() >= set(needed) and _may_be_absent(name, columns.keys() - read.keys() - null):
            absent = {part: column for part, column in columns.items() if part not in read}
            return _OfTexts(name, needed, read, absent)
    lists = [columns[part] for part in _MESSAGES.get(name, ())]
    keys = [_message_keys(features[column]) for column in lists]
    system = texts.get("system")
    beside = {part: column for part, column in columns.items() if column not in lists and column != system}
    if lists and None not in keys and _may_be_absent(name, columns.keys() - {*_MESSAGES[name], "system"}):
        return _OfMessages(name, list(zip(lists, keys, strict=True)), system, beside)
    return None


_TEXTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "prompt+completion": (("prompt", "completion"), ("preamble",)),
    "instruction": (("instruction", "output"), ("input", "system")),
    "question": (("question", "answer"), ("context", "system")),
    "text": (("text",), ()),
}
"""The parts that are texts: those which a row must have, and those which it may have."""

_MESSAGES = {"messages": ("messages",), "prompt+completion": ("prompt", "completion")}


def _may_be_absent(name: str, parts: set[str]) -> bool:
    """Whether a row can be without each of the parts: then it may be plain."""
    return parts <= {"system", "history", "tools", "chat_template_kwargs", "preamble"} | (
        {"choices"} if name == "prompt+completion" else set()
    )


@dataclass(frozen=True)
class _OfTexts:
    """Rows whose parts are texts in columns of their own.

    Attributes:
        name: The format.
        needed: The parts that every row has.
        read: Parts to columns.
        absent: Parts of which a plain row has nothing, to columns.
    """

    name: str
    needed: Sequence[str]
    read: dict[str, str]
    absent: Mapping[str, str]

    @property
    def verbatim(self) -> bool:
        """Whether the model reads the texts as they are."""
        return self.name in ("prompt+completion", "text")

    def __call__(self, table: "pa.Table") -> Iterator[PlainRow | None]:
        cells = {part: _cells(table, column) for part, column in self.read.items()}
        filled = [_shown(cells[part]) for part in self.needed]
        if self.name in ("instruction", "question"):
            filled[0] = _with_context(self.name, filled[0], cells)
        refused = _any_filled(table, self.absent)
        refused |= np.array([None in parts for parts in zip(*filled, strict=True)], dtype=np.bool_)
        roles = ("user", "assistant")[-len(filled) :]
        before = _shown(cells["preamble"]) if "preamble" in cells else _systems(cells.get("system"), len(table))
        return self._rows(filled, _written(roles, filled), before, refused.tolist(), roles[0])

    def _rows(
        self, filled: list[_Cells], written: list[list[str]], before: _Cells, refused: list[bool], first: str
    ) -> Iterator[PlainRow | None]:
        (of_system,) = _written(("system",), [before])
        texts, turns = zip(*filled, strict=True), zip(*written, strict=True)
        for system, turn, said, told, bad in zip(before, of_system, texts, turns, refused, strict=True):
            if bad:
                yield None
            elif system is None:
                yield PlainRow(first, said, told)
            else:
                yield PlainRow("system", (system, *said), (turn, *told))


def _with_context(name: str, asked: _Cells, cells: Mapping[str, _Cells]) -> _Cells:
    """What is asked, with the context behind an instruction and before a question."""
    contexts = cells.get("input", cells.get("context"))
    if contexts is None:
        return asked
    both = zip(asked, _shown(contexts), strict=True)
    if name == "instruction":
        return [f"{text}\n\n{context}" if text and context else text for text, context in both]
    return [f"{context}\n\n{text}" if text and context else text for text, context in both]


class _Messages(NamedTuple):
    """The messages of a batch of cells, one after the other.

    Attributes:
        roles: Who speaks; None in a message that is not plain.
        texts: What is said.
        turns: Each as digests are taken of it.
        ends: Where the messages of each cell begin and end ``(n + 1,)``.
    """

    roles: _Cells
    texts: Sequence[str]
    turns: Sequence[str]
    ends: Sequence[int]


@dataclass(frozen=True)
class _OfMessages:
    """Rows of messages: a conversation, or a prompt and its completion.

    Attributes:
        name: The format.
        lists: Columns of messages, with the names that role and content have in them.
        system: The column of a system prompt; None without.
        absent: Parts of which a plain row has nothing, to columns.
    """

    name: str
    lists: Sequence[tuple[str, Any]]
    system: str | None
    absent: Mapping[str, str]

    @property
    def verbatim(self) -> bool:
        """Conversations are never taken verbatim."""
        return False

    def __call__(self, table: "pa.Table") -> Iterator[PlainRow | None]:
        refused = _any_filled(table, self.absent)
        systems = _systems(None if self.system is None else _cells(table, self.system), len(table))
        parts = [_messages(table, column, keys) for column, keys in self.lists]
        (of_system,) = _written(("system",), [systems])
        for place, (bad, system, turn) in enumerate(zip(refused.tolist(), systems, of_system, strict=True)):
            row = None if bad else self._row(parts, place)
            if row is None or system is None:
                yield row
            elif row.first_role != "system":
                given = row.given + 1 if row.given else 0
                yield PlainRow("system", (system, *row.texts), (turn, *row.turns), given)
            else:
                yield row if row.texts[0] == system else None

    def _row(self, parts: Sequence[_Messages], place: int) -> PlainRow | None:
        roles: list[str | None] = []
        texts: list[str] = []
        turns: list[str] = []
        for part in parts:
            start, end = part.ends[place], part.ends[place + 1]
            if start == end:
                return None
            roles += part.roles[start:end]
            texts += part.texts[start:end]
            turns += part.turns[start:end]
        first = roles[0]
        if None in roles or first is None or roles[-1] != "assistant" or not texts[-1].strip():
            return None
        if self.name == "messages":
            return None if first == "assistant" else PlainRow(first, texts, turns)
        return PlainRow(first, texts, turns, parts[0].ends[place + 1] - parts[0].ends[place])


def _messages(table: "pa.Table", column: str, keys: tuple[str, str]) -> _Messages:
    """The messages of a column; cells that are null have none."""
    cells = table[column].combine_chunks()
    ends = list(accumulate(cells.value_lengths().fill_null(0).to_pylist(), initial=0))
    messages = cells.flatten()
    fields = dict(zip((each.name for each in messages.type), messages.flatten(), strict=True))
    said, told = (fields.pop(key).to_numpy(zero_copy_only=False).tolist() for key in keys)
    plain = np.ones(len(messages), dtype=np.bool_)
    for other in fields.values():
        plain &= np.asarray(other.is_null())
    others = {"function_call", *filter(is_misspelt, set(said))}
    roles = [
        ROLES.get(role, role) if is_plain and text is not None and role not in others else None
        for role, text, is_plain in zip(said, told, plain.tolist(), strict=True)
    ]
    texts = [text or "" for text in told]
    return _Messages(roles, texts, written_turns([role or "" for role in roles], texts), ends)


def _message_keys(feature: Any) -> tuple[str, str] | None:
    """What role and content are called in a column of messages; None where it is no such column."""
    from datasets import LargeList, List

    inner = feature.feature if isinstance(feature, List | LargeList) else None
    names = [(role, text) for role in ("role", "from") for text in ("content", "value")]
    if not isinstance(inner, dict) or sum(key in inner for key in ("role", "from", "content", "value")) != 2:
        return None
    return next((pair for pair in names if all(key in inner and is_text(inner[key]) for key in pair)), None)


def _is_null(feature: Any) -> bool:
    from datasets import Value

    return isinstance(feature, Value) and feature.dtype == "null"


def _cells(table: "pa.Table", column: str) -> list[str | None]:
    found: list[str | None] = table[column].to_numpy().tolist()
    return found


def _shown(cells: _Cells) -> _Cells:
    """Texts that show something; None for all others."""
    return [cell if cell and ("!" <= cell[0] <= "~" or not is_blank(cell)) else None for cell in cells]


def _systems(cells: _Cells | None, n_rows: int) -> _Cells:
    """System prompts from a column of their own; None where there is none."""
    return [None] * n_rows if cells is None else [cell if cell and cell.strip() else None for cell in cells]


def _any_filled(table: "pa.Table", parts: Mapping[str, str]) -> BoolVector:
    """Which rows have something in the column of one of the parts ``(n,)``; an empty history is nothing."""
    found = np.zeros(len(table), dtype=np.bool_)
    for part, column in parts.items():
        cells = table[column]
        found |= _is_not_empty(cells) if part == "history" else np.asarray(cells.is_valid())
    return found


def _is_not_empty(cells: "pa.ChunkedArray") -> BoolVector:
    """Which cells are texts or lists that are not empty ``(n,)``, or anything else that is not null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_list = pa.types.is_list(cells.type) or pa.types.is_large_list(cells.type)
    if not is_list and not pa.types.is_string(cells.type) and not pa.types.is_large_string(cells.type):
        return np.asarray(cells.is_valid())
    lengths = pc.list_value_length(cells) if is_list else pc.binary_length(cells)
    return np.asarray(pc.fill_null(pc.greater(lengths, 0), False))


def _written(roles: Sequence[str], columns: Sequence[_Cells]) -> list[list[str]]:
    """Each cell as a turn, as digests are taken of it; of cells that are None something that nobody reads."""
    found = []
    for role, cells in zip(roles, columns, strict=True):
        if not any(cells):
            found.append([""] * len(cells))
            continue
        found.append(written_turns([role] * len(cells), [cell or "" for cell in cells]))
    return found
