"""Reads plain rows many at a time, as columns of Arrow, without making an `Example` of each.

Plain is a row of texts alone: prompt and completion, instruction and output, question and answer, with or without
choices, a text, or messages of nothing but role and content, where need be after a system prompt. Whatever else a row
has, and whatever is wrong with it, `RowFormat.read` finds out: a row is plain only where it reads the same.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from shed_hf.data.content_arrays import quoted_texts
from shed_hf.data.text_arrays import as_texts, filtered, joined, no_texts, or_empty, valid, where
from shed_hf.data.text_signs import are_not_blank, are_shown
from shed_hf.types import BoolVector, IntVector

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class PlainRows:
    """Which rows of a batch are plain, and what is in these.

    Attributes:
        plain: ``(n,)`` True for plain rows.
        written: What digests are taken of, of each of the k plain rows.
        texts: Each row as one text, to compare.
        systems: The system prompt of each row; null where it has none.
        turns_of: The role of the first turn and the texts of all, of rows by their places among the k.
    """

    plain: BoolVector
    written: "pa.LargeStringArray" = field(repr=False)
    texts: "pa.LargeStringArray" = field(repr=False)
    systems: "pa.LargeStringArray" = field(repr=False)
    turns_of: Callable[[IntVector], Iterator[tuple[str, list[str]]]] = field(repr=False)


class PlainReader(Protocol):
    """Reads the plain rows of a batch of columns."""

    @property
    def verbatim(self) -> bool: ...

    def __call__(self, table: "pa.Table") -> PlainRows: ...


@dataclass(frozen=True, eq=False)
class Completions:
    """What the assistant says in rows of a batch.

    Attributes:
        plain: ``(n,)`` True for rows of which it is known.
        texts: What is said, of each of the n.
        options: How the choices of each are written in a digest; one text where all are alike.
    """

    plain: BoolVector
    texts: "pa.LargeStringArray"
    options: "pa.LargeStringArray | str"


class CompletionReader(Protocol):
    """Reads what the assistant says from a batch of columns."""

    def __call__(self, table: "pa.Table") -> Completions: ...


@dataclass(frozen=True)
class FilledColumn:
    """Completions that are the texts of a column.

    Attributes:
        column: The column; a completion that shows nothing is none.
    """

    column: str

    def __call__(self, table: "pa.Table") -> Completions:
        """The completions of a batch.

        Args:
            table: Its columns.

        Returns:
            The texts, without choices.
        """
        texts = or_empty(as_texts(table[self.column]))
        return Completions(are_shown(texts), texts, "()")


@dataclass(frozen=True)
class PlainTexts:
    """Reads rows whose parts are texts in columns of their own.

    Attributes:
        asked: The column of what the user asks; None where everything is completion.
        completions: Reads what the assistant says.
        verbatim: Whether the model reads the texts as they are.
        context: The column of what belongs to the question; None without.
        context_first: Whether it stands before the question.
        system: The column of a system prompt; None without.
        absent: Parts of which a plain row has nothing, to columns.
    """

    asked: str | None
    completions: CompletionReader
    verbatim: bool
    context: str | None
    context_first: bool
    system: str | None
    absent: Mapping[str, str]

    def __call__(self, table: "pa.Table") -> PlainRows:
        """The plain rows of a batch.

        Args:
            table: Its columns.

        Returns:
            Which rows are plain, and these.
        """
        said = self.completions(table)
        plain = said.plain & ~any_filled(table, self.absent)
        asked = None if self.asked is None else or_empty(as_texts(table[self.asked]))
        if asked is not None:
            plain &= are_shown(asked)
        turns = [("assistant", filtered(said.texts, plain))]
        if asked is not None:
            turns.insert(0, ("user", self._question(filtered(asked, plain), table, plain)))
        options = said.options if isinstance(said.options, str) else filtered(said.options, plain)
        return self._rows(plain, self._before(table, plain), turns, options)

    def _question(self, asked: "pa.LargeStringArray", table: "pa.Table", plain: BoolVector) -> "pa.LargeStringArray":
        if self.context is None:
            return asked
        context = filtered(or_empty(as_texts(table[self.context])), plain)
        shown = are_shown(context)
        if not shown.any():
            return asked
        first, second = (context, asked) if self.context_first else (asked, context)
        return where(shown, joined(first, "\n\n", second), asked)

    def _before(self, table: "pa.Table", plain: BoolVector) -> "pa.LargeStringArray":
        """The system prompts; null where there is none."""
        if self.system is None:
            return no_texts(int(plain.sum()))
        systems = filtered(or_empty(as_texts(table[self.system])), plain)
        return or_null(systems, are_shown(systems) if self.verbatim else are_not_blank(systems))

    def _rows(
        self,
        plain: BoolVector,
        systems: "pa.LargeStringArray",
        turns: "Sequence[tuple[str, pa.LargeStringArray]]",
        options: "pa.LargeStringArray | str",
    ) -> PlainRows:
        written: list[pa.LargeStringArray | str] = ["((", *system_turns(systems)]
        texts: list[pa.LargeStringArray | str] = [*system_lines(systems)]
        for number, (role, said) in enumerate(turns):
            start = f"{', ' if number else ''}Turn(role={role!r}, content="
            written += [start, *quoted_texts(said).pieces, ")"]
            texts += ["\n", said] if number else [said]
        end = "), " if len(turns) > 1 else ",), "
        whole = joined(*written, f"{end}{self.verbatim}, ", options, ", 0)")
        return PlainRows(plain, whole, joined(*texts), systems, _TurnsInColumns(systems, turns))


@dataclass(frozen=True, eq=False)
class _TurnsInColumns:
    """The turns of rows whose turns stand in columns, after a system prompt where there is one."""

    systems: "pa.LargeStringArray"
    turns: "Sequence[tuple[str, pa.LargeStringArray]]"

    def __call__(self, places: IntVector) -> Iterator[tuple[str, list[str]]]:
        said = [texts.take(places).to_pylist() for _, texts in self.turns]
        for system, *texts in zip(self.systems.take(places).to_pylist(), *said, strict=True):
            yield (self.turns[0][0], texts) if system is None else ("system", [system, *texts])


def or_null(texts: "pa.LargeStringArray", kept: BoolVector) -> "pa.LargeStringArray":
    """Some of the texts, null in place of the others.

    Args:
        texts: n texts.
        kept: Which are kept ``(n,)``.
    """
    import pyarrow as pa

    return texts if kept.all() else where(kept, texts, pa.scalar(None, pa.large_string()))


def system_turns(systems: "pa.LargeStringArray") -> "list[pa.LargeStringArray]":
    """What digests are taken of, of system prompts before other turns.

    Args:
        systems: Of each row; null where it has none.

    Returns:
        An array to be joined with others; none where no row has a system prompt.
    """
    if systems.null_count == len(systems):
        return []
    written = joined("Turn(role='system', content=", *quoted_texts(or_empty(systems)).pieces, "), ")
    return [where(valid(systems), written, "")]


def system_lines(systems: "pa.LargeStringArray") -> "list[pa.LargeStringArray]":
    """System prompts before other texts.

    Args:
        systems: Of each row; null where it has none.

    Returns:
        As `system_turns`.
    """
    if systems.null_count == len(systems):
        return []
    return [where(valid(systems), joined(or_empty(systems), "\n"), "")]


def any_filled(table: "pa.Table", parts: Mapping[str, str]) -> BoolVector:
    """Which rows have something in the column of one of the parts ``(n,)``; an empty history is nothing.

    Args:
        table: The columns of a batch.
        parts: Parts of a row to columns.
    """
    found = np.zeros(len(table), dtype=np.bool_)
    for part, column in parts.items():
        cells = table[column]
        found |= _is_not_empty(cells) if part == "history" else valid(cells)
    return found


def _is_not_empty(cells: "pa.ChunkedArray") -> BoolVector:
    """Which cells are texts or lists that are not empty ``(n,)``, or anything else that is not null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_list = pa.types.is_list(cells.type) or pa.types.is_large_list(cells.type)
    if not is_list and not pa.types.is_string(cells.type) and not pa.types.is_large_string(cells.type):
        return valid(cells)
    sizes: Any = pc.list_value_length(cells) if is_list else pc.binary_length(cells)
    return np.asarray(pc.fill_null(pc.greater(sizes, 0), False)).astype(np.bool_)
