"""Reads multiple-choice rows: where the options are, and which of them the answer means.

An answer is a label ("B"), the text of an option, or a number that counts from 0 or from 1. Which of these is decided
once for a dataset, by all of its rows. Where they leave it open, that is an error, and the caller says which it is by
the part that the column stands for: ``columns={"answer_from_1": "label"}``.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from shed_hf.data.examples import InvalidCell
from shed_hf.utils.text import is_blank

READINGS = {
    "answer_label": "a label",
    "answer_text": "the text of a choice",
    "answer_from_0": "a number that counts from 0",
    "answer_from_1": "a number that counts from 1",
}
"""The parts of a row that say how an answer is meant; ``answer`` leaves it to the rows."""


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CHOICE_PARTS = tuple(f"choice_{number}" for number in range(1, len(LETTERS) + 1))
"""The parts of a row whose options stand in columns of their own."""


_MOST_DIGITS = 18
"""A number of more digits counts no options."""


_CHOICES = ("choices", "options", "answer_choices", "answer_options", "candidates", "alternatives", "endings")
_QUESTIONS = ("question", "question_stem", "query", "problem", "goal", "sentence", "ctx")
_ANSWERS = (
    "answer", "answerKey", "answer_key", "answer_index", "answer_idx", "answer_id", "answer_letter", "correct_answer",
    "correct_option", "correct_choice", "correct_index", "correct_idx", "correct", "gold", "label", "target", "cop",
)  # fmt: skip
_FAMILIES = (
    "op", "opt", "opt_", "option", "option_", "choice", "choice_", "answer", "answer_", "ending", "ending_", "sol", "",
)  # fmt: skip
_DISTRACTORS = ("distractor", "distractor_", "incorrect_answer", "incorrect_answer_")


@dataclass(frozen=True)
class Choices:
    """The options of a row.

    Attributes:
        options: Their texts.
        labels: Their labels, folded.
        labelled: Whether the row itself gives the labels; else they are A, B, C …
    """

    options: tuple[str, ...]
    labels: tuple[str, ...]
    labelled: bool

    def readings(self, answer: Any) -> dict[str, int]:
        """What an answer can mean.

        Args:
            answer: A cell.

        Returns:
            The index of an option for each reading that gives one; none for what is no answer to this question.
        """
        if answer is None or isinstance(answer, bool):
            return {}
        found = {}
        if folded(answer) in self.labels:
            found["answer_label"] = self.labels.index(folded(answer))
        texts = [option.strip() for option in self.options]
        if isinstance(answer, str) and answer.strip() in texts:
            found["answer_text"] = texts.index(answer.strip())
        number = number_of(answer)
        if number is not None and not (self.labelled and "answer_label" in found):
            counted = {"answer_from_0": number, "answer_from_1": number - 1}
            found |= {reading: index for reading, index in counted.items() if 0 <= index < len(self.options)}
        return found


def find_parts(column_names: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Where question, choices and answer are, by the names that datasets commonly give them.

    Args:
        column_names: The dataset's columns.
        mapping: Parts of a row to columns, as the caller says.

    Returns:
        Part to column; empty where there are no choices.
    """
    chosen = {part: column for part, column in mapping.items() if part == "choices" or part in CHOICE_PARTS}
    answered = {part: column for part, column in mapping.items() if part == "answer" or part in READINGS}
    choices = chosen or _choices_of(column_names)
    if not choices:
        return {}
    if "answer_text" in choices:  # a right answer in a column of its own, beside wrong ones
        answer = answered or {"answer_text": choices["answer_text"]}
        choices = {part: column for part, column in choices.items() if part != "answer_text"}
    else:
        answer = answered or _first("answer", _ANSWERS, column_names)
    question = _first("question", _QUESTIONS, column_names)
    if "question" in mapping:
        question = {"question": mapping["question"]}
    return {**question, **choices, **answer}


def _choices_of(column_names: Sequence[str]) -> dict[str, str]:
    if found := _first("choices", _CHOICES, column_names):
        return found
    for prefix in _DISTRACTORS:
        wrong = _family(prefix, "123456789", column_names)
        right = next((name for name in ("correct_answer", "answer") if name in column_names), None)
        if wrong and right:
            return {"answer_text": right, **dict(zip(CHOICE_PARTS, (right, *wrong), strict=False))}
    for prefix in _FAMILIES:
        for suffixes in (LETTERS, LETTERS.lower(), "123456789", "0123456789") if prefix else (LETTERS,):
            family = _family(prefix, suffixes, column_names)
            if len(family) > 1:
                return dict(zip(CHOICE_PARTS, family, strict=False))
    return {}


def _first(part: str, names: Iterable[str], column_names: Sequence[str]) -> dict[str, str]:
    found = next((name for name in names if name in column_names), None)
    return {} if found is None else {part: found}


def _family(prefix: str, suffixes: str, column_names: Sequence[str]) -> list[str]:
    """The columns prefix + first suffix, prefix + second suffix … up to the first that is missing."""
    family = []
    for suffix in suffixes:
        if prefix + suffix not in column_names:
            break
        family.append(prefix + suffix)
    return family


def answer_part(columns: Mapping[str, str]) -> str:
    """The part that the answer is.

    Args:
        columns: Parts of a row to columns.

    Returns:
        ``"answer"``, or the part that says how it is meant.
    """
    return next((part for part in READINGS if part in columns), "answer")


def read_choices(row: Mapping[str, Any], columns: Mapping[str, str]) -> Choices | None:
    """The options of a row.

    Args:
        row: Column name to cell.
        columns: Parts of a row to columns.

    Returns:
        The options, or None for an open question.

    Raises:
        InvalidCell: For what is not two or more different texts.
    """
    if "choices" in columns:
        return choices_of(row[columns["choices"]], columns["choices"])
    apart = [columns[part] for part in CHOICE_PARTS if part in columns]
    if apart:
        texts = [row[column] for column in apart]
        filled = [text for text in texts if text is not None]
        return _checked(filled if texts[: len(filled)] == filled else texts, LETTERS, False, apart[0], texts)
    nested = row[columns["question"]]
    if isinstance(nested, Mapping) and "choices" in nested:
        return choices_of(nested["choices"], columns["question"])
    return None


def right_option(choices: Choices, answer: Any, part: str, column: str) -> int:
    """The index of the right option.

    Args:
        choices: The options of a row.
        answer: The cell with its answer.
        part: The part that the answer is: one of `READINGS`, or ``"answer"`` for a label, a text, or an index from 0.
        column: The column of the answer, for error messages.

    Returns:
        The index.

    Raises:
        InvalidCell: For an answer that is none of the options, or two of them.
    """
    readings = choices.readings(answer)
    if part == "answer":
        usual = {"answer_label", "answer_text" if isinstance(answer, str) else "answer_from_0"}
    else:
        usual = {part}
    found = {index for reading, index in readings.items() if reading in usual}
    if not found:
        how = "" if part == "answer" else f", read as {READINGS[part]}"
        raise InvalidCell(column, f"holds {answer!r:.40}, none of the {len(choices.options)} choices{how}")
    if len(found) > 1:
        raise InvalidCell(column, f"holds {answer!r:.40}, which is the label of one choice and the text of another")
    return found.pop()


def choices_of(cell: Any, column: str) -> Choices:
    """The options of one cell: texts, labelled texts in any of three shapes, or any of these as JSON.

    Args:
        cell: A list of texts, ``{"text": […], "label": […]}``, ``{"A": …, "B": …}``, or a list of dicts with text and
            label.
        column: Its column, for error messages.

    Returns:
        The options.

    Raises:
        InvalidCell: For what is not two or more different texts.
    """
    found = _from_json(cell) if isinstance(cell, str) else cell
    if isinstance(found, Mapping) and isinstance(found.get("text"), Sequence):
        return _checked(found["text"], found.get("label") or (), True, column, cell)
    if isinstance(found, Mapping):  # {"A": "…", "B": "…"}; an Arrow table fills options that a row lacks with None
        filled = {label: text for label, text in found.items() if text is not None}
        return _checked(list(filled.values()), list(filled), True, column, cell)
    if isinstance(found, Sequence) and found and all(isinstance(one, Mapping) for one in found):
        return _checked(
            [one.get("text") for one in found], [one.get("label", one.get("key")) for one in found], True, column, cell
        )
    return _checked(found, LETTERS, False, column, cell)


def _from_json(cell: str) -> Any:
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return None


def _checked(texts: Any, labels: Iterable[Any], labelled: bool, column: str, cell: Any) -> Choices:
    options = tuple(texts) if isinstance(texts, Sequence) and not isinstance(texts, str) else ()
    if not all(isinstance(option, str) and not is_blank(option) for option in options) or len(set(options)) < 2:
        raise InvalidCell(column, f"holds {cell!r:.60}, not two or more different texts")
    known = tuple(map(folded, islice(labels, len(options))))
    if len(set(known)) < len(known):
        raise InvalidCell(column, f"holds {cell!r:.60}, which gives two choices one label")
    return Choices(options, known, labelled)


def folded(label: Any) -> str:
    """A label as it is compared: "b", "(B)" and "B." are alike, and so are 2, 2.0 and "2".

    Args:
        label: A text or a number.

    Returns:
        A text in small letters.
    """
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    return str(label).strip().strip("()[].:").strip().casefold()


def number_of(answer: Any) -> int | None:
    """The whole number that an answer is.

    Args:
        answer: A text or a number.

    Returns:
        The number; None where it is none, or has more digits than any row has options.
    """
    if isinstance(answer, str):
        digits = answer.strip()  # `int` knows fewer blanks
        if not (digits.isascii() and digits.isdigit()):
            return None
        digits = digits.lstrip("0") or "0"  # `int` reads no number of very many digits
        return int(digits) if len(digits) <= _MOST_DIGITS else None
    if isinstance(answer, float) and math.isfinite(answer) and answer.is_integer():
        return int(answer)
    return answer if isinstance(answer, int) else None
