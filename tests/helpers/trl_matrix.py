"""Rows of every shape under every chat template of TRL's: ours beside TRL's. ``python -m tests.helpers.trl_matrix``
counts the cells.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from shed_hf.data.formats import detect
from shed_hf.data.tokenization import tokenise
from shed_hf.errors import InputError
from tests.helpers import chat_rows
from tests.helpers.trl_oracle import TEMPLATES, Prepared, Row, make_tokenizer, prepared_by_trl

ROWS = chat_rows.rows()


def prepared_by_us(row: Row, tokenizer: PreTrainedTokenizerBase, max_length: int = 10**9) -> Prepared:
    """The row as we train on it."""
    (tokens,) = tokenise([detect(list(row)).read(row)], tokenizer, max_length)
    return Prepared(tokens.ids.tolist(), tokens.labels.tolist())


def cells(tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[str, Prepared | str, Prepared | str]]:
    """Every shape with what we make of it and what TRL does, or how each refuses."""
    for shape, row in ROWS.items():
        mine = _either(partial(prepared_by_us, row, tokenizer))
        yield shape, mine, _either(partial(prepared_by_trl, row, tokenizer))


def _either(prepare: Callable[[], Prepared]) -> Prepared | str:
    try:
        return prepare()
    except InputError as error:
        return f"refused: {error}"
    except (TemplateError, ValueError, TypeError, RuntimeError, LookupError, AttributeError) as error:
        return f"raised: {error}"  # whatever a template or TRL raises


def count() -> Counter[str]:
    """How many cells are equal, refused by whom, and different."""
    logging.disable(logging.WARNING)
    found: Counter[str] = Counter()
    for template in TEMPLATES.values():
        for _, mine, theirs in cells(make_tokenizer(template)):
            if isinstance(theirs, str):
                found["refused by both" if isinstance(mine, str) else "refused by TRL alone"] += 1
            else:
                found["refused by us alone" if isinstance(mine, str) else _kind(mine, theirs)] += 1
    return found


def _kind(mine: Prepared, theirs: Prepared) -> str:
    return "equal" if mine == theirs else "different"


if __name__ == "__main__":
    print(f"{len(TEMPLATES)} templates, {len(ROWS)} shapes: {dict(count())}")
