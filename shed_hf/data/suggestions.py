"""Proposes where the parts of a row are, by names and content, for datasets whose columns fit no known format."""

from collections.abc import Mapping, Sequence
from typing import Any

from shed_hf.data.examples import InvalidCell
from shed_hf.data.multiple_choice import choices_of

_ASKING = ("instruction", "prompt", "question", "query", "problem", "task", "user", "human", "input", "request", "src")
_ANSWERING = (
    "output", "response", "answer", "reply", "completion", "solution", "target", "assistant", "bot", "gpt", "chosen",
    "label", "tgt",
)  # fmt: skip


def fitting_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The parts of a row that some columns look like.

    Args:
        rows: Some rows of a dataset.

    Returns:
        Part to column, as ``columns=`` takes them; empty where no column holds text or messages.
    """
    cells = {name: [row[name] for row in rows if row[name] is not None] for name in rows[0]} if rows else {}
    conversation = next((name for name, found in cells.items() if found and all(map(_is_conversation, found))), None)
    if conversation is not None:
        return {"messages": conversation}
    texts = [name for name, found in cells.items() if found and all(isinstance(cell, str) for cell in found)]
    prose = [name for name in texts if any(len(cell.split()) > 1 for cell in cells[name])]
    asked = _best(prose, _ASKING, ()) or _best(texts, _ASKING, ())
    choices = next((name for name, found in cells.items() if are_lists_of_texts(found)), None)
    if choices is not None and asked is not None:
        answering = [name for name in cells if name not in (asked, choices) and _answer(rows, name, choices)]
        answer = _best(answering, _ANSWERING, ())
        return {"question": asked, "choices": choices} | ({} if answer is None else {"answer": answer})
    answered = _best(prose, _ANSWERING, (asked,)) or _best(texts, _ANSWERING, (asked,))
    if asked is not None and answered is not None:
        first, second = sorted((asked, answered), key=list(cells).index) if _unnamed(asked, answered) else (
            asked, answered)  # fmt: skip
        return {"instruction": first, "output": second}
    return {} if asked is None else {"text": asked}


def are_lists_of_texts(cells: Sequence[Any]) -> bool:
    """Whether the cells of a column look like the options of questions.

    Args:
        cells: The cells.

    Returns:
        True where each is a list or a dict of two texts or more.
    """
    return bool(cells) and all(map(_are_choices, cells))


def _best(names: Sequence[str], words: Sequence[str], taken: Sequence[str | None]) -> str | None:
    """The column whose name has the first of the words, else the first column that is not taken."""
    free = [name for name in names if name not in taken]
    named = [(words.index(word), name) for name in free for word in words if word in name.lower()]
    return min(named)[1] if named else next(iter(free), None)


def _unnamed(*names: str) -> bool:
    return not any(word in name.lower() for name in names for word in (*_ASKING, *_ANSWERING))


def _answer(rows: Sequence[Mapping[str, Any]], column: str, choices: str) -> bool:
    """Whether every cell of a column can be the answer to its row's choices."""
    filled = [row for row in rows if row[column] is not None and row[choices] is not None]
    return bool(filled) and all(choices_of(row[choices], choices).readings(row[column]) for row in filled)


def _is_conversation(cell: Any) -> bool:
    roles = ({"role", "content"}, {"from", "value"})
    return (
        isinstance(cell, list)
        and bool(cell)
        and all(isinstance(one, Mapping) and any(keys <= one.keys() for keys in roles) for one in cell)
    )


def _are_choices(cell: Any) -> bool:
    try:
        choices_of(cell, "")
    except InvalidCell:
        return False
    return True
