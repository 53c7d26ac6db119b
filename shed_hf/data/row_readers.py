"""The readers of the row formats: from the cells of a row to an `Example`; see `shed_hf.data.formats`."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from shed_hf.data.cells import Row, cell_of, filled, text_or_none
from shed_hf.data.conversations import read_history, read_questions, read_turns
from shed_hf.data.examples import Example, InvalidCell, Turn
from shed_hf.data.multiple_choice import answer_part, read_choices, right_option
from shed_hf.data.prompt_completion import read_prompt_completion
from shed_hf.data.roles import roles_in_words

Reader: TypeAlias = Callable[[Row, Mapping[str, str]], Example]
"""Reads a row, given the column of each of its parts."""


def _read_messages(row: Row, columns: Mapping[str, str]) -> Example:
    turns = read_turns(row[columns["messages"]], columns["messages"])
    answered = [place for place, turn in enumerate(turns) if turn.role == "assistant" and turn.text.strip()]
    if not answered:
        raise InvalidCell(
            columns["messages"], f"has no assistant turn with text; {roles_in_words(turn.role for turn in turns)}"
        )
    last = answered[-1] + 1
    return Example(turns[:last], after=turns[last:])


def _read_turns(row: Row, columns: Mapping[str, str]) -> Example:
    reference = cell_of(row, columns, "reference")
    return Example(read_questions(row[columns["turns"]], reference, columns["turns"], columns.get("reference", "")))


def _read_instruction(row: Row, columns: Mapping[str, str]) -> Example:
    instruction, output = filled(row, columns["instruction"]), filled(row, columns["output"])
    context = text_or_none(row, columns, "input")
    question = f"{instruction}\n\n{context}" if context else instruction
    history = read_history(cell_of(row, columns, "history"), columns.get("history", ""))
    return Example((*history, Turn("user", question), Turn("assistant", output)), given=len(history) + 1)


def _read_question(row: Row, columns: Mapping[str, str]) -> Example:
    asked, context = _question(row, columns["question"]), text_or_none(row, columns, "context")
    question = Turn("user", f"{context}\n\n{asked}" if context else asked)
    choices, part = read_choices(row, columns), answer_part(columns)
    if choices is None:
        return Example((question, Turn("assistant", filled(row, columns[part]))), given=1)
    answer = right_option(choices, row[columns[part]], part, columns[part])
    completion = Turn("assistant", choices.options[answer])
    return Example((question, completion), options=choices.options, answer=answer, given=1)


def _question(row: Row, column: str) -> str:
    """The question's text; with its choices in one cell, as CommonsenseQA was published, it is the stem."""
    cell = row[column]
    return filled(cell, "stem") if isinstance(cell, Mapping) and "stem" in cell else filled(row, column)


def _read_text(row: Row, columns: Mapping[str, str]) -> Example:
    return Example((Turn("assistant", filled(row, columns["text"])),), verbatim=True)


READERS: Mapping[str, Reader] = {
    "messages": _read_messages,
    "prompt+completion": read_prompt_completion,
    "instruction": _read_instruction,
    "question": _read_question,
    "turns": _read_turns,
    "text": _read_text,
}
"""The reader of each format."""
