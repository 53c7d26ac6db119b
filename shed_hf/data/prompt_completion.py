"""Reads rows of a prompt and its completion: strings, taken verbatim, or lists of messages."""

from collections.abc import Mapping
from dataclasses import replace

from shed_hf.data.cells import Row, cell_of, filled, text_or_none
from shed_hf.data.conversations import read_turns
from shed_hf.data.examples import Example, InvalidCell, Turn
from shed_hf.data.multiple_choice import choices_of
from shed_hf.data.roles import roles_in_words


def read_prompt_completion(row: Row, columns: Mapping[str, str]) -> Example:
    """The row as an example.

    Args:
        row: Column name to cell.
        columns: Parts of a row to columns.

    Returns:
        The example; verbatim where prompt and completion are strings.

    Raises:
        InvalidCell: For a cell that cannot be used.
    """
    prompt, completion = row[columns["prompt"]], row[columns["completion"]]
    if isinstance(prompt, str) or isinstance(completion, str) or prompt is None or completion is None:
        return _verbatim(row, columns)
    unread = next((part for part in ("preamble", "choices") if cell_of(row, columns, part)), None)
    if unread is not None:
        raise InvalidCell(
            columns[unread],
            "belongs to a prompt that is a string, and this one is a list of messages; leave it out with "
            f"columns={{{unread!r}: None}}",
        )
    given, answered = read_turns(prompt, columns["prompt"]), read_turns(completion, columns["completion"])
    if answered[-1].role != "assistant" or not answered[-1].text.strip():
        raise InvalidCell(
            columns["completion"],
            f"does not end with an assistant turn with text; {roles_in_words(turn.role for turn in answered)}",
        )
    return Example((*given, *answered), given=len(given))


def _verbatim(row: Row, columns: Mapping[str, str]) -> Example:
    """Strings as they are: a preamble is the system's turn, and a completion with choices is one of them."""
    preamble = text_or_none(row, columns, "preamble")
    before = () if preamble is None else (Turn("system", preamble),)
    question, completion = filled(row, columns["prompt"]), filled(row, columns["completion"])
    example = Example((*before, Turn("user", question), Turn("assistant", completion)), verbatim=True)
    if cell_of(row, columns, "choices") is None:
        return example
    options = choices_of(row[columns["choices"]], columns["choices"]).options
    if completion not in options:
        raise InvalidCell(columns["completion"], f"holds {completion!r:.40}, none of the {len(options)} choices")
    return replace(example, options=options, answer=options.index(completion))
