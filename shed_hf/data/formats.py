"""The door: what an instruction row looks like outside, and the one form it has inside.

Five shapes are understood, tried in this order; ``columns`` says where names differ, as ``{"instruction": "query"}``:

- messages (or conversations): a conversation; its last assistant turn is the completion
- prompt + completion: both strings, taken verbatim, or both lists of messages
- instruction (+ input) + output: Alpaca; Dolly's ``context`` and ``response`` as well
- question + answer (+ choices): with choices, the answer is a label, an index from 0, or a choice's text
- text: everything is completion
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from shed_hf.errors import InputError


class Turn(NamedTuple):
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Example:
    """One row inside shed_hf: turns that end with the assistant's, which is the completion.

    ``verbatim`` rows reach the model as they are, the others through the tokenizer's chat template. ``options`` are the
    completions to choose from, ``answer`` the index of the right one; without options it is -1. The first ``given``
    turns are a prompt that is only read, even where the assistant speaks in it.
    """

    turns: tuple[Turn, ...]
    verbatim: bool = False
    options: tuple[str, ...] = ()
    answer: int = -1
    given: int = 0

    @property
    def completion(self) -> str:
        """What the model should say."""
        return self.turns[-1].content

    @property
    def text(self) -> str:
        """The whole row as one text, to embed and to compare."""
        return "\n".join(turn.content for turn in self.turns if turn.content)

    def answering(self, completion: str) -> "Example":
        """The same conversation with another completion."""
        turns = (*self.turns[:-1], Turn(self.turns[-1].role, completion))
        return Example(turns, self.verbatim, given=self.given)


class InvalidCell(InputError):
    """A cell that makes its row unusable; caught at the door, where the row's number is known."""

    def __init__(self, column: str, problem: str) -> None:
        super().__init__(f"column {column!r} {problem}")


Row: TypeAlias = Mapping[str, Any]


_Reader: TypeAlias = Callable[[Row, Mapping[str, str]], Example]


@dataclass(frozen=True)
class RowFormat:
    """How the rows of one dataset are read: the shape's name and, for each of its parts, the dataset's column."""

    name: str
    columns: Mapping[str, str]

    def read(self, row: Row) -> Example:
        """The row as an `Example`. Raises `InvalidCell` naming the column and what is wrong with it."""
        return _READERS[self.name](row, self.columns)


def detect(column_names: Sequence[str], columns: Mapping[str, str] | None = None, of: str = "dataset") -> RowFormat:
    """The format of a dataset with these columns. Raises `InputError` when none of the five shapes fits."""
    mapping = dict(columns or {})
    _check_mapping(column_names, mapping, of)
    for name, parts in _SHAPES.items():
        found = {part: _column(part, aliases, column_names, mapping) for part, aliases in parts.items()}
        present = {part: column for part, column in found.items() if column is not None}
        if all(part in present for part in parts if part not in OPTIONAL) and set(mapping) <= set(present):
            return RowFormat(name, present)
    raise InputError(
        f"the columns of {of}, {list(column_names)}{f' with columns={mapping}' if mapping else ''} fit no known "
        "format; expected messages, prompt + completion, instruction (+ input) + output, question + answer (+ "
        f"choices) or text; say where they are with columns=, for example columns={_example_mapping(column_names)}"
    )


def _example_mapping(column_names: Sequence[str]) -> dict[str, str]:
    names = [*column_names, "my_column", "my_column"]
    return {"instruction": names[0], "output": names[1]}


_SHAPES: dict[str, dict[str, tuple[str, ...]]] = {
    "messages": {"messages": ("messages", "conversations")},
    "prompt+completion": {"prompt": ("prompt",), "completion": ("completion",)},
    "instruction": {"instruction": ("instruction",), "input": ("input", "context"), "output": ("output", "response")},
    "question": {"question": ("question",), "answer": ("answer", "answerKey"), "choices": ("choices",)},
    "text": {"text": ("text",)},
}


OPTIONAL = {"input", "choices"}


def _check_mapping(column_names: Sequence[str], mapping: Mapping[str, str], of: str) -> None:
    parts = sorted({part for shape in _SHAPES.values() for part in shape})
    for part, column in mapping.items():
        if part not in parts:
            raise InputError(f"columns={{{part!r}: …}} names no part of a row; the parts are {parts}")
        if column not in column_names:
            raise InputError(
                f"columns={{{part!r}: {column!r}}}: {of} has no column {column!r}; it has {list(column_names)}"
            )


def _column(part: str, aliases: Iterable[str], column_names: Sequence[str], mapping: Mapping[str, str]) -> str | None:
    if part in mapping:
        return mapping[part]
    return next((alias for alias in aliases if alias in column_names), None)


def _filled(row: Row, column: str) -> str:
    cell = row[column]
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        raise InvalidCell(column, "is None")
    if not isinstance(cell, str):
        raise InvalidCell(column, f"holds {cell!r:.60}, a {type(cell).__name__}, not text")
    if not cell.strip():
        raise InvalidCell(column, "is empty" if not cell else f"is only whitespace ({cell!r:.20})")
    return cell


def _read_messages(row: Row, columns: Mapping[str, str]) -> Example:
    turns = _turns(row[columns["messages"]], columns["messages"])
    answered = [place for place, turn in enumerate(turns) if turn.role == "assistant" and turn.content.strip()]
    if not answered:
        raise InvalidCell(columns["messages"], "has no assistant turn with text")
    return Example(turns[: answered[-1] + 1])


_ROLES = {"human": "user", "gpt": "assistant"}  # ShareGPT's names


def _turns(messages: Any, column: str) -> tuple[Turn, ...]:
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        raise InvalidCell(column, f"holds {messages!r:.60}, not a list of messages")
    turns = []
    for message in messages:
        if not isinstance(message, Mapping):
            raise InvalidCell(column, f"holds the message {message!r:.60}, not a dict with role and content")
        role, content = message.get("role", message.get("from")), message.get("content", message.get("value"))
        if not isinstance(role, str) or not isinstance(content, str):
            raise InvalidCell(
                column, f"holds a message with role {role!r:.20} and content {content!r:.40}; both must be text"
            )
        turns.append(Turn(_ROLES.get(role, role), content))
    return tuple(turns)


def _read_prompt_completion(row: Row, columns: Mapping[str, str]) -> Example:
    prompt, completion = row[columns["prompt"]], row[columns["completion"]]
    if isinstance(prompt, str) or isinstance(completion, str) or prompt is None or completion is None:
        question, answer = _filled(row, columns["prompt"]), _filled(row, columns["completion"])
        return Example((Turn("user", question), Turn("assistant", answer)), verbatim=True)
    given, answered = _turns(prompt, columns["prompt"]), _turns(completion, columns["completion"])
    if answered[-1].role != "assistant" or not answered[-1].content.strip():
        raise InvalidCell(columns["completion"], "does not end with an assistant turn with text")
    return Example((*given, *answered), given=len(given))


def _read_instruction(row: Row, columns: Mapping[str, str]) -> Example:
    instruction, output = _filled(row, columns["instruction"]), _filled(row, columns["output"])
    context = row.get(columns.get("input", ""))
    if context is not None and not isinstance(context, str):
        raise InvalidCell(columns["input"], f"holds {context!r:.60}, a {type(context).__name__}, not text")
    question = f"{instruction}\n\n{context}" if context and context.strip() else instruction
    return Example((Turn("user", question), Turn("assistant", output)))


def _read_question(row: Row, columns: Mapping[str, str]) -> Example:
    question = Turn("user", _filled(row, columns["question"]))
    if "choices" not in columns:
        return Example((question, Turn("assistant", _filled(row, columns["answer"]))))
    options, labels = _options(row[columns["choices"]], columns["choices"])
    answer = _right_option(row[columns["answer"]], options, labels)
    if answer is None:
        raise InvalidCell(
            columns["answer"], f"holds {row[columns['answer']]!r:.40}, none of the {len(options)} choices"
        )
    return Example((question, Turn("assistant", options[answer])), options=options, answer=answer)


def _options(choices: Any, column: str) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """The texts to choose from and their labels, from a list of texts or a dict of ``text`` and ``label``."""
    labelled = isinstance(choices, Mapping)
    texts = choices.get("text") if labelled else choices
    options = tuple(texts) if isinstance(texts, Sequence) and not isinstance(texts, str) else ()
    if not all(isinstance(option, str) and option.strip() for option in options) or len(set(options)) < 2:
        raise InvalidCell(column, f"holds {choices!r:.60}, not two or more different texts")
    labels = (choices.get("label") or ()) if labelled else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return options, tuple(labels)[: len(options)]


def _right_option(answer: Any, options: tuple[str, ...], labels: tuple[Any, ...]) -> int | None:
    """The index an answer means: a label such as "B", an index from 0, or the text of an option."""
    if isinstance(answer, bool):
        return None
    if answer in labels:
        return labels.index(answer)
    if isinstance(answer, int):
        return answer if 0 <= answer < len(options) else None
    return options.index(answer) if answer in options else None


def _read_text(row: Row, columns: Mapping[str, str]) -> Example:
    return Example((Turn("assistant", _filled(row, columns["text"])),), verbatim=True)


_READERS: dict[str, _Reader] = {
    "messages": _read_messages,
    "prompt+completion": _read_prompt_completion,
    "instruction": _read_instruction,
    "question": _read_question,
    "text": _read_text,
}
