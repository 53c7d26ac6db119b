"""Reads plain rows of messages many at a time: a conversation, or a prompt and its completion."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shed_hf.data.content_arrays import quoted_texts
from shed_hf.data.plain_rows import PlainRows, any_filled, or_null, system_lines, system_turns
from shed_hf.data.preambles import BEFORE
from shed_hf.data.roles import ROLES, is_misspelt
from shed_hf.data.text_arrays import (
    as_texts,
    bounds_of,
    equal,
    filtered,
    joined,
    joined_lists,
    lengths,
    no_texts,
    or_empty,
    put_together,
    text_array,
    valid,
    where,
)
from shed_hf.data.text_signs import are_not_blank
from shed_hf.types import BoolVector, IntVector

if TYPE_CHECKING:
    import pyarrow as pa


class _Messages(NamedTuple):
    """The messages of n cells, one after the other.

    Attributes:
        names: The roles there are.
        roles: Who speaks in each: a place in ``names``; -1 in a message that is not plain.
        texts: What is said in each.
        bounds: Where the messages of each cell begin and end ``(n + 1,)``.
    """

    names: list[str]
    roles: IntVector
    texts: "pa.LargeStringArray"
    bounds: IntVector

    @property
    def are_plain(self) -> BoolVector:
        """Which cells have messages, all of them plain ``(n,)``."""
        refused = bounds_of(self.roles < 0)
        none_refused: BoolVector = np.diff(refused[self.bounds]) == 0
        return none_refused & (np.diff(self.bounds) > 0)

    def of(self, cells: BoolVector) -> "_Messages":
        """The messages of some cells.

        Args:
            cells: Which ``(n,)``.
        """
        if cells.all():
            return self
        n_messages = np.diff(self.bounds)
        kept = np.repeat(cells, n_messages)
        bounds = bounds_of(n_messages[cells])
        return _Messages(self.names, self.roles[kept], filtered(self.texts, kept), bounds)

    @property
    def first_roles(self) -> "pa.LargeStringArray":
        """Who speaks first in each cell, all of which have messages."""
        return text_array(self.names).take(self.roles[self.bounds[:-1]])

    @property
    def first_texts(self) -> "pa.LargeStringArray":
        """What is said first in each cell."""
        return self.texts.take(self.bounds[:-1])

    def texts_of(self, cells: IntVector) -> Iterator[list[str]]:
        """What is said in some cells, message by message.

        Args:
            cells: Their places ``(k,)``.
        """
        starts, n_messages = self.bounds[cells], np.diff(self.bounds)[cells]
        ends = np.cumsum(n_messages)
        places = np.arange(n_messages.sum()) + np.repeat(starts - (ends - n_messages), n_messages)
        texts = self.texts.take(places).to_pylist()
        for start, end in zip((ends - n_messages).tolist(), ends.tolist(), strict=True):
            yield texts[start:end]

    @property
    def end_with_an_answer(self) -> BoolVector:
        """Which cells end with a text of the assistant's ``(n,)``; all have messages."""
        last = self.bounds[1:] - 1
        answered = np.array([name == "assistant" for name in self.names], dtype=np.bool_)[self.roles[last]]
        return answered & are_not_blank(self.texts.take(last))

    @property
    def written(self) -> "pa.LargeStringArray":
        """What digests are taken of, of each cell."""
        starts = [f"{between}Turn(role={name!r}, content=" for between in (", ", "") for name in self.names]
        kind = self.roles.copy()
        kind[self.bounds[:-1]] += len(self.names)
        turns = joined(text_array(starts).take(kind), *quoted_texts(self.texts).pieces, ")")
        return put_together(turns, self.bounds)

    @property
    def lines(self) -> "pa.LargeStringArray":
        """The texts of each cell as one, those that are empty left out."""
        filled = lengths(self.texts) > 0
        if filled.all():
            return joined_lists(self.texts, self.bounds, "\n")
        bounds = bounds_of(filled)[self.bounds]
        return joined_lists(filtered(self.texts, filled), bounds, "\n")


@dataclass(frozen=True)
class PlainMessages:
    """Reads rows of messages.

    Attributes:
        lists: Columns of messages, with the names that role and content have in them: a conversation's one, or those of
            a prompt and its completion.
        system: The column of a system prompt; None without.
        absent: Parts of which a plain row has nothing, to columns.
    """

    lists: Sequence[tuple[str, tuple[str, str]]]
    system: str | None
    absent: Mapping[str, str]

    @property
    def verbatim(self) -> bool:
        """Conversations are never taken verbatim."""
        return False

    def __call__(self, table: "pa.Table") -> PlainRows:
        """The plain rows of a batch.

        Args:
            table: Its columns.

        Returns:
            Which rows are plain, and these.
        """
        parts = [_messages(table, column, keys) for column, keys in self.lists]
        plain = ~any_filled(table, self.absent)
        for part in parts:
            plain &= part.are_plain
        parts, systems = [part.of(plain) for part in parts], self._systems(table, plain)
        fitting = self._fitting(parts, systems)
        plain[plain] = fitting
        return _rows(plain, [part.of(fitting) for part in parts], filtered(systems, fitting))

    def _systems(self, table: "pa.Table", plain: BoolVector) -> "pa.LargeStringArray":
        if self.system is None:
            return no_texts(int(plain.sum()))
        systems = filtered(or_empty(as_texts(table[self.system])), plain)
        return or_null(systems, are_not_blank(systems))

    def _fitting(self, parts: Sequence[_Messages], systems: "pa.LargeStringArray") -> BoolVector:
        """Which rows of plain messages are plain: they end with an answer, and have one system prompt at most."""
        first = _is_one_of(parts[0].first_roles, ["assistant"])
        fitting = parts[-1].end_with_an_answer & ~(first & (len(parts) == 1))
        if systems.null_count < len(systems):
            fitting &= ~valid(systems) | ~_begin_with_system(parts[0]) | equal(systems, parts[0].first_texts)
        return fitting


def _rows(plain: BoolVector, parts: Sequence[_Messages], systems: "pa.LargeStringArray") -> PlainRows:
    """Rows whose messages are known, after the system prompts of those that do not begin with one."""
    begun = _begin_with_system(parts[0])
    systems = or_null(systems, ~begun)
    written, lines = system_turns(systems), system_lines(systems)
    if len(parts) == 1:
        whole = joined("((", *written, parts[0].written, "), False, (), 0)")
        texts = joined(*lines, parts[0].lines)
    else:
        given = np.diff(parts[0].bounds) + valid(systems)
        turns = (parts[0].written, ", ", parts[1].written)
        whole = joined("((", *written, *turns, "), False, (), ", text_array(list(map(str, given.tolist()))), ")")
        asked = parts[0].lines
        texts = joined(*lines, asked, where(lengths(asked) > 0, "\n", ""), parts[1].lines)
    own = or_null(parts[0].first_texts, _is_one_of(parts[0].first_roles, BEFORE))
    before = systems if not own.null_count < len(own) else where(valid(systems), systems, own)
    return PlainRows(plain, whole, texts, before, _TurnsInMessages(systems, parts))


@dataclass(frozen=True, eq=False)
class _TurnsInMessages:
    """The turns of rows of messages, after a system prompt where there is one."""

    systems: "pa.LargeStringArray"
    parts: Sequence[_Messages]

    def __call__(self, places: IntVector) -> Iterator[tuple[str, list[str]]]:
        first = self.parts[0]
        roles = first.roles[first.bounds[places]].tolist()
        said = [part.texts_of(places) for part in self.parts]
        for system, role, *texts in zip(self.systems.take(places).to_pylist(), roles, *said, strict=True):
            turns = [text for of_part in texts for text in of_part]
            yield ("system", [system, *turns]) if system else (first.names[role], turns)


def _messages(table: "pa.Table", column: str, keys: tuple[str, str]) -> _Messages:
    """The messages of a column; cells that are null have none."""
    import pyarrow.compute as pc

    cells = table[column].combine_chunks()
    bounds = bounds_of(pc.fill_null(pc.list_value_length(cells), 0).to_numpy())
    messages = cells.flatten()
    fields = dict(zip((each.name for each in messages.type), messages.flatten(), strict=True))
    said, told = (as_texts(fields.pop(key)) for key in keys)
    plain = valid(told)
    for other in fields.values():
        plain &= ~valid(other)
    named = said.dictionary_encode()
    names = named.dictionary.to_pylist()
    known = np.array([*(name != "function_call" and not is_misspelt(name) for name in names), False])
    roles = named.indices.fill_null(len(names)).to_numpy().astype(np.int64)  # of null the last of ``known``
    roles = np.where(plain & known[roles], roles, -1)
    return _Messages([ROLES.get(name, name) for name in names], roles, or_empty(told), bounds)


def _begin_with_system(messages: _Messages) -> BoolVector:
    return _is_one_of(messages.first_roles, ["system"])


def _is_one_of(texts: "pa.LargeStringArray", known: Sequence[str]) -> BoolVector:
    import pyarrow.compute as pc

    return np.asarray(pc.is_in(texts, text_array(known))).astype(np.bool_)


def message_keys(feature: Any) -> tuple[str, str] | None:
    """What role and content are called in a column of messages.

    Args:
        feature: The column's type.

    Returns:
        Their names; None where it is no such column.
    """
    from datasets import LargeList, List

    from shed_hf.data.table_schema import is_text

    inner = feature.feature if isinstance(feature, List | LargeList) else None
    names = [(role, text) for role in ("role", "from") for text in ("content", "value")]
    if not isinstance(inner, dict) or sum(key in inner for key in ("role", "from", "content", "value")) != 2:
        return None
    return next((pair for pair in names if all(key in inner and is_text(inner[key]) for key in pair)), None)
