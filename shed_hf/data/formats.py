"""Reads rows of six known formats into `Example`.

The formats are tried in this order; ``columns`` says where names differ, as in ``{"instruction": "query"}``, and which
parts are left out, as in ``{"system": None}``:

- messages (or conversations): a conversation; its last assistant turn is the completion
- prompt + completion (+ preamble, choices): both strings, taken verbatim, or both lists of messages
- instruction (+ input, history) + output: Alpaca; Dolly's ``context`` and ``response`` as well
- question (+ context) + answer (+ choices): with choices, the answer is a label, a choice's text, or a number
- turns (+ reference): what a user says, turn after turn, for answers that a judge scores; nothing to train on
- text: everything is completion

A system prompt, tools and variables of the chat template may stand beside all of them but text.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shed_hf.data.cells import Row, cell_of
from shed_hf.data.conversations import read_template_inputs, with_system
from shed_hf.data.examples import Example, InvalidCell, Turn
from shed_hf.data.multiple_choice import CHOICE_PARTS, READINGS, find_parts
from shed_hf.data.preambles import Preambles
from shed_hf.data.row_readers import READERS
from shed_hf.errors import InputError
from shed_hf.utils.nearest import did_you_mean

__all__ = ["OPTIONAL", "Example", "InvalidCell", "RowFormat", "Turn", "detect"]


@dataclass(frozen=True)
class RowFormat:
    """How the rows of one dataset are read.

    Attributes:
        name: The format: ``"messages"``, ``"prompt+completion"``, ``"instruction"``, ``"question"``, ``"turns"`` or
            ``"text"``.
        columns: The parts of a row to the dataset's columns.
        preambles: What the rows of the dataset share, and are not compared by.
    """

    name: str
    columns: Mapping[str, str]
    preambles: Preambles = field(default=Preambles(), repr=False)

    @property
    def read_columns(self) -> list[str]:
        """The dataset's columns that are read, each once."""
        return list(dict.fromkeys(self.columns.values()))

    @property
    def as_columns(self) -> dict[str, str | None]:
        """What ``columns`` has to say for rows to be read in this way: None for parts that are not read."""
        return {part: self.columns.get(part) for part in {**_SHAPES[self.name], **self.columns}}

    def text_of(self, example: Example) -> str:
        """The text to embed and to compare: a row without what it shares with the others.

        Args:
            example: A row of this format.

        Returns:
            Its text.
        """
        return self.preambles.text_of(example)

    def with_preambles(self, preambles: Preambles) -> "RowFormat":
        """The format with more preambles.

        Args:
            preambles: Those that are added.

        Returns:
            Another format.
        """
        return replace(self, preambles=self.preambles | preambles)

    def as_json(self) -> dict[str, Any]:
        """The format as JSON, which `from_json` reads."""
        written = {"name": self.name, "columns": dict(self.columns)}
        return {**written, "preambles": self.preambles.as_json()} if self.preambles else written

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "RowFormat":
        """The format that `as_json` wrote.

        Args:
            written: What was written; without preambles where there are none, or by versions that had none.

        Returns:
            The format.

        Raises:
            KeyError: When a part is missing.
            ValueError: For a format or preambles that are unknown.
        """
        if written["name"] not in _SHAPES:
            raise ValueError(f"rows of the format {written['name']!r}")
        parts, columns = set(_SHAPES[written["name"]]), written["columns"].keys()
        needed = parts - OPTIONAL - ({"answer"} if columns & READINGS else set())
        if not needed <= columns or not columns <= parts.union(READINGS, CHOICE_PARTS):
            raise ValueError(f"rows of the format {written['name']!r} with the parts {sorted(columns)}")
        found = Preambles.from_json(written["preambles"]) if "preambles" in written else Preambles()
        return cls(written["name"], dict(written["columns"]), found)

    def read(self, row: Row) -> Example:
        """The row as an `Example`.

        Args:
            row: Column name to cell; columns that are not read may be there too.

        Returns:
            The example.

        Raises:
            InvalidCell: For a cell that cannot be used, naming its column and what is wrong with it.
        """
        return _with_prompt_parts(READERS[self.name](row, self.columns), row, self)


def detect(
    column_names: Sequence[str],
    columns: Mapping[str, str | None] | None = None,
    of: str = "dataset",
    fitting: Callable[[], Mapping[str, str]] = dict,
    argument: str | None = None,
) -> RowFormat:
    """The format of a dataset, by its column names.

    Args:
        column_names: The dataset's columns.
        columns: Parts of a row to columns, where names differ; None for a part or a column that is not to be read.
        of: What error messages call the dataset.
        fitting: Gives the parts that some columns look like, for the error message.
        argument: What error messages call ``columns``: the name of the caller's argument; None for the usual one.

    Returns:
        The first format of which every needed part has a column.

    Raises:
        InputError: When no format fits, or ``columns`` names a part or a column that does not exist.
    """
    mapping = {part: column for part, column in (columns or {}).items() if column is not None}
    ignored = {name for name, column in (columns or {}).items() if column is None}
    argument = argument or columns_argument(of)
    _check_mapping(column_names, mapping, of, argument)
    readable = [name for name in column_names if name not in ignored]
    for name, parts in _SHAPES.items():
        found = {part: _column(part, names, readable, mapping) for part, names in parts.items() if part not in ignored}
        present = {part: column for part, column in found.items() if column is not None}
        if name == "question":
            present = _with_choices(present, [] if "choices" in ignored else readable, mapping)
        needed = {part for part in parts if part not in OPTIONAL} - ({"answer"} if present.keys() & READINGS else set())
        if needed <= set(present) and set(mapping) <= set(present):
            _check_columns_differ(present, of, argument)
            return RowFormat(name, present)
    example = {**fitting(), **mapping}
    raise InputError(
        f"the columns of {of}, {list(column_names)}{f' with {argument}={dict(columns)}' if columns else ''} fit no "
        "known format; expected messages, prompt + completion, instruction (+ input) + output, question + answer (+ "
        f"choices) or text; say where they are with {argument}="
        + (f", for example {example}" if example else "; no column holds text or messages")
    )


def columns_argument(of: str) -> str:
    """The argument that usually says how a dataset is read.

    Args:
        of: What error messages call the dataset.
    """
    return "eval_columns" if of == "eval_dataset" else "columns"


def _with_choices(present: Mapping[str, str], names: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """The parts of a question with where its choices are, and with how the caller says that answers are meant."""
    said = {part: column for part, column in mapping.items() if part in READINGS or part in CHOICE_PARTS}
    found = {**present, **find_parts(names, mapping), **said}
    parts = [part for part in found if part != "answer" or not found.keys() & READINGS]
    return {part: found[part] for part in sorted(parts, key=lambda part: part != "question")}


_SYSTEM = {"system": ("system", "system_prompt", "system_message")}
_BESIDE = {**_SYSTEM, "tools": ("tools",), "chat_template_kwargs": ("chat_template_kwargs",)}
_CONTEXT = ("context", "article", "passage")
_SHAPES: dict[str, dict[str, tuple[str, ...]]] = {
    "messages": {"messages": ("messages", "conversations"), **_BESIDE},
    "prompt+completion": {
        "prompt": ("prompt",),
        "completion": ("completion",),
        "preamble": ("preamble",),
        "choices": ("choices",),
        **_BESIDE,
    },
    "instruction": {
        "instruction": ("instruction",),
        "input": ("input", *_CONTEXT),
        "output": ("output", "response"),
        "history": ("history",),
        **_BESIDE,
    },
    "question": {
        "question": ("question",),
        "answer": ("answer", "answerKey"),
        "choices": ("choices",),
        "context": _CONTEXT,
        **_BESIDE,
    },
    "turns": {"turns": ("turns",), "reference": ("reference",), **_BESIDE},
    "text": {"text": ("text",)},
}
OPTIONAL = {"input", "choices", "context", "history", "preamble", "reference", *_BESIDE}
"""The parts that a row may be without."""


def _check_mapping(column_names: Sequence[str], mapping: Mapping[str, str], of: str, argument: str) -> None:
    known = sorted({part for shape in _SHAPES.values() for part in shape} | READINGS.keys())
    parts = [*known, *CHOICE_PARTS[:2], "…"]
    for part, column in mapping.items():
        if part not in known and part not in CHOICE_PARTS:
            raise InputError(
                f"{argument}={{{part!r}: …}} names no part of a row; {did_you_mean(part, known)}the parts are {parts}"
            )
        if column not in column_names:
            raise InputError(
                f"{argument}={{{part!r}: {column!r}}}: {of} has no column {column!r}; "
                f"{did_you_mean(column, column_names)}it has {list(column_names)}"
            )


def _check_columns_differ(found: Mapping[str, str], of: str, argument: str) -> None:
    """Refuse two parts of one column; only choices share one, with the question or with the answer's text."""
    by_column = dict[str, str]()
    for part, column in found.items():
        if part == "choices" or part in CHOICE_PARTS:
            continue
        if column in by_column:
            raise InputError(
                f"{argument}={{{by_column[column]!r}: {column!r}, {part!r}: {column!r}}}: one column of {of} is read "
                "as two parts of a row: a prompt would repeat itself or give the answer away; pass a column for each"
            )
        by_column[column] = part


def _column(part: str, aliases: Iterable[str], column_names: Sequence[str], mapping: Mapping[str, str]) -> str | None:
    if part in mapping:
        return mapping[part]
    taken = mapping.values() if part in OPTIONAL else ()
    return next((alias for alias in aliases if alias in column_names and alias not in taken), None)


def _with_prompt_parts(example: Example, row: Row, row_format: RowFormat) -> Example:
    """The example with what stands beside it in columns of its own."""
    columns = row_format.columns
    if not columns.keys() & _BESIDE.keys():
        return example
    inputs = read_template_inputs(cell_of(row, columns, "tools"), cell_of(row, columns, "chat_template_kwargs"))
    turns = with_system(example.turns, cell_of(row, columns, "system"), columns.get("system", ""))
    if example.verbatim and (inputs or turns != example.turns):
        beside = next(part for part in _BESIDE if cell_of(row, columns, part))
        raise InvalidCell(
            columns[beside],
            "has no place beside a prompt that is taken verbatim; pass prompt and completion as messages, or leave it "
            f"out with columns={{{beside!r}: None}}",
        )
    added = len(turns) - len(example.turns)
    return replace(example, turns=turns, given=example.given + added if example.given else 0, template_inputs=inputs)
