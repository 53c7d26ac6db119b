"""Finds out how the rows of a dataset are read: by its column names, and where these leave it open by its rows."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from shed_hf.data.answer_meaning import resolve_answers
from shed_hf.data.examples import InvalidCell
from shed_hf.data.formats import RowFormat, columns_argument, detect
from shed_hf.data.multiple_choice import CHOICE_PARTS, answer_part, choices_of
from shed_hf.data.read_cache import cache_file_of, keep_meaning, meaning_at
from shed_hf.data.row_batches import rows_as_dicts
from shed_hf.data.suggestions import are_lists_of_texts, fitting_columns
from shed_hf.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

LOOKED_AT = 50
_LETTER = re.compile(r"\s*\(?[A-Z][).]?\s*")


def format_of(
    dataset: "Dataset", columns: Mapping[str, str | None] | None, of: str, argument: str | None = None
) -> RowFormat:
    """How the rows of a dataset are read.

    Args:
        dataset: The rows, at least one.
        columns: Parts of a row to columns, where names differ; None for what is not to be read.
        of: What error messages call the dataset.
        argument: What they call ``columns``: the name of the caller's argument; None for the usual one.

    Returns:
        The format, with the meaning of multiple-choice answers decided.

    Raises:
        InputError: For columns that fit no format, for answers that can be understood in two ways, and for letters that
            answer a question whose choices nobody reads.
    """
    argument, plain = argument or columns_argument(of), dataset.with_format(None)
    found = detect(plain.column_names, columns, of, lambda: fitting_columns(_first_rows(plain)), argument)
    first = _first_rows(plain)
    if found.name == "prompt+completion" and "choices" not in (columns or {}):
        return found if _are_of_choices(first, found) else _without(found, "choices")
    if found.name != "question":
        return found
    nested = isinstance(first[0][found.columns["question"]], Mapping)
    if nested or any(part in found.columns for part in ("choices", *CHOICE_PARTS)):
        if _is_class_label(plain, found):
            return RowFormat(found.name, _renamed(found.columns, "answer", "answer_from_0"))
        return _settled(plain, found, of, argument)
    if "choices" not in (columns or {}) and "answer" in found.columns:
        _check_open(first, found, of, argument)
    return found


def _settled(dataset: "Dataset", found: RowFormat, of: str, argument: str) -> RowFormat:
    """With the meaning of answers decided by all rows; of large datasets in files that were read before, as kept."""
    if "answer" not in found.columns:
        return found
    file = cache_file_of(dataset, found)
    meaning = None if file is None else meaning_at(file)
    if meaning is not None:
        return RowFormat(found.name, _renamed(found.columns, "answer", meaning))
    settled = RowFormat(found.name, resolve_answers(dataset, found.columns, of, argument))
    if file is not None:
        keep_meaning(file, answer_part(settled.columns))
    return settled


def _first_rows(dataset: "Dataset") -> list[dict[str, Any]]:
    """The first rows, without the columns whose cells are decoded, such as pictures."""
    from datasets.features.features import require_decoding

    names = [name for name, feature in dataset.features.items() if not require_decoding(feature)]
    return list(rows_as_dicts(dataset.select(range(min(LOOKED_AT, len(dataset)))), names))


def _is_class_label(dataset: "Dataset", found: RowFormat) -> bool:
    """Whether answers are the numbers of named classes, which count from 0; an empty name shifts them."""
    from datasets import ClassLabel

    feature = dataset.features.get(found.columns.get("answer", ""))
    return isinstance(feature, ClassLabel) and bool(feature.names) and bool(feature.names[0].strip())


def _are_of_choices(rows: Iterable[Mapping[str, Any]], found: RowFormat) -> bool:
    """Whether every completion is one of its row's choices, word for word; else the column is something else."""
    if "choices" not in found.columns:
        return True
    try:
        return all(
            row[found.columns["completion"]] in choices_of(row[found.columns["choices"]], "choices").options
            for row in rows
        )
    except InvalidCell:
        return False


def _without(found: RowFormat, part: str) -> RowFormat:
    return RowFormat(found.name, {known: column for known, column in found.columns.items() if known != part})


def _renamed(columns: Mapping[str, str], part: str, into: str) -> dict[str, str]:
    return {into if known == part else known: column for known, column in columns.items()}


def _check_open(rows: Iterable[Mapping[str, Any]], found: RowFormat, of: str, argument: str) -> None:
    """Refuse letters as answers to an open question where a column looks like the choices."""
    rows = list(rows)
    answers = [answer for row in rows if (answer := row[found.columns["answer"]]) is not None]
    if not answers or not all(isinstance(answer, str) and _LETTER.fullmatch(answer) for answer in answers):
        return
    unread = [name for name in rows[0] if name not in found.read_columns]
    likely = [name for name in unread if are_lists_of_texts([row[name] for row in rows if row[name] is not None])]
    if likely:
        raise InputError(
            f"the answers in column {found.columns['answer']!r} of {of} are letters, such as {answers[0]!r}, and "
            f"column {likely[0]!r} looks like the choices; read it with {argument}={ {'choices': likely[0]}!r}, or "
            f"train on the letters with {argument}={ {'choices': None}!r}"
        )
