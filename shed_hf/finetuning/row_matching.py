"""Which row of a trainer's prepared dataset was made of which row of the pool.

A trainer's preparation drops rows, shuffles them or was given others than the pool's. So rows are matched by what they
hold: by their tokens, as the trainer's own preparation makes them of the pool's rows, or by the columns that both have.
"""

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from trl import SFTTrainer

from shed_hf.data.content import normalised
from shed_hf.data.pool import Pool
from shed_hf.data.tokenization import Tokens, tokenise
from shed_hf.errors import InputError
from shed_hf.finetuning.prepared_rows import DROPPED
from shed_hf.types import BoolVector, IntVector
from shed_hf.utils.text import excerpt

MISSING = -2
"""The place of a row that is not among the trainer's, though its tokens can be learned."""

ROW_NUMBER = "shed_hf_row"
"""The column that carries a row's number through the trainer's preparation."""

MADE_BY_PREPARATION = ("input_ids", "labels", "attention_mask", "completion_mask", "assistant_masks", "seq_lengths")

CHECKED = 64
"""How many rows that were matched by a column alone are looked at, to see that the column numbers the same rows."""


def places_in_trainer(trainer: SFTTrainer, dataset: Dataset, pool: Pool) -> IntVector:
    """Find every row of the pool among the trainer's.

    Rows with the same content are interchangeable. Rows of the pool that cannot be read are not looked for.

    Args:
        trainer: The trainer, for its preparation.
        dataset: Its prepared rows.
        pool: The rows to find.

    Returns:
        The row of ``dataset`` for each row of the pool, ``(n,)``; `DROPPED` where the preparation drops the row, since
        no token of it is learned.

    Raises:
        InputError: Where rows are missing, or nothing tells which is which.
    """
    found: list[IntVector] = []
    for match in (_by_tokens, _by_columns, _by_rendering):
        places = match(trainer, dataset, pool)
        if places is not None:
            places[pool.invalid] = DROPPED
            if not (places == MISSING).any():
                return places
            found.append(places)
    if not found:
        raise InputError(
            f"the trainer's rows, with the columns {dataset.column_names}, cannot be matched with those of the "
            f"dataset, with {pool.dataset.column_names}; keep a column with a number for each row in both, as by "
            'dataset.add_column("row", range(len(dataset)))'
        )
    best = min(found, key=lambda places: int((places == MISSING).sum()))
    missing = np.flatnonzero(best == MISSING)
    raise InputError(
        f"{len(missing)} of {len(pool)} rows of the dataset are not among the {len(dataset)} of the trainer's "
        f"train_dataset; the first is row {missing[0]}: {excerpt(pool.texts(missing[:1])[0])!r}; make the trainer "
        "with the rows that are curated, or pass the rows it was made with"
    )


def _by_tokens(trainer: SFTTrainer, dataset: Dataset, pool: Pool) -> IntVector | None:
    """By the tokens that the trainer's own preparation makes of the pool's rows; None where it can make none."""
    if "input_ids" not in dataset.column_names:
        return None
    prepared = _prepared_alike(trainer, pool)
    if prepared is None:
        return None
    here: dict[Hashable, int] = {}
    for place, key in enumerate(_token_keys(dataset)):
        here.setdefault(key, place)
    places = np.full(len(pool), DROPPED, dtype=np.int64)
    for row, key in zip(prepared[ROW_NUMBER], _token_keys(prepared), strict=True):
        places[row] = here.get(key, MISSING)
    return places


def _prepared_alike(trainer: SFTTrainer, pool: Pool) -> Dataset | None:
    """The pool's rows, with their numbers, after the trainer's preparation; None where it is not for such rows."""
    args, columns = trainer.args, set(pool.dataset.column_names)
    formatting = trainer._formatting_func
    shapes: tuple[set[str], ...] = (
        {args.dataset_text_field},
        {"messages"},
        {"conversations"},
        {"prompt", "completion"},
    )
    if trainer._skip_prepare_dataset or not (formatting or any(shape <= columns for shape in shapes)):
        return None
    rows = np.flatnonzero(~pool.invalid)
    numbered = pool.dataset.select(rows).add_column(ROW_NUMBER, rows)
    try:
        prepared = trainer._prepare_dataset(numbered, trainer.processing_class, args, False, formatting, "curated")
    except Exception:  # foreign code on rows that it may not be made for: then their columns have to tell
        return None
    return prepared if ROW_NUMBER in prepared.column_names else None


def _by_columns(trainer: SFTTrainer, dataset: Dataset, pool: Pool) -> IntVector | None:
    """By the columns that both have; None where they do not tell rows apart."""
    shared = [
        name for name in pool.dataset.column_names if name in dataset.column_names and name not in MADE_BY_PREPARATION
    ]
    if not shared:
        return None
    ending = str(getattr(trainer.processing_class, "eos_token", None) or "")
    ours, theirs = _cell_keys(pool.dataset, shared, ending), _cell_keys(dataset, shared, ending)
    whole = set(pool.format.columns.values()) <= set(shared)
    if not whole and not (_unique(ours) and _unique(theirs)):
        return None
    here: dict[Hashable, int] = {}
    for place, key in enumerate(theirs):
        here.setdefault(key, place)
    places = np.array([here.get(key, MISSING) for key in ours], dtype=np.int64)
    if not whole and not _same_content(trainer, dataset, pool, places):
        return None
    lost = np.flatnonzero((places == MISSING) & ~pool.invalid)
    places[lost[~_learnable(trainer, pool, lost)]] = DROPPED
    return places


def _by_rendering(trainer: SFTTrainer, dataset: Dataset, pool: Pool) -> IntVector | None:
    """By the tokens that `FineTune` would train on; None where there are none to compare."""
    rows = np.flatnonzero(~pool.invalid)
    tokens = _rendered(trainer, pool, rows)
    if tokens is None or "input_ids" not in dataset.column_names:
        return None
    here: dict[Hashable, int] = {}
    for place, ids in enumerate(dataset.with_format(None)["input_ids"]):
        here.setdefault(tuple(ids), place)
    places = np.full(len(pool), DROPPED, dtype=np.int64)
    places[rows] = [here.get(tuple(one.ids.tolist()), MISSING if one.n_learned else DROPPED) for one in tokens]
    return places if (places >= 0).any() else None


def _rendered(trainer: SFTTrainer, pool: Pool, rows: IntVector) -> list[Tokens] | None:
    tokenizer = trainer.processing_class
    if not isinstance(tokenizer, PreTrainedTokenizerBase) or not tokenizer.is_fast:
        return None
    try:
        return tokenise(pool.examples(rows), tokenizer, trainer.args.max_length or int(1e9))
    except InputError:  # rows that FineTune could not be shown may well be the trainer's
        return None


def _learnable(trainer: SFTTrainer, pool: Pool, rows: IntVector) -> BoolVector:
    """Which rows of the pool have a token left to learn within the trainer's maximum length."""
    tokens = _rendered(trainer, pool, rows)
    if tokens is None:
        return np.ones(len(rows), dtype=np.bool_)
    return np.array([one.n_learned > 0 for one in tokens], dtype=np.bool_)


def _same_content(trainer: SFTTrainer, dataset: Dataset, pool: Pool, places: IntVector) -> bool:
    """Whether rows matched by a number have the same words: the number may be that of another order."""
    matched = np.flatnonzero((places >= 0) & ~pool.invalid)
    some = matched[:: max(1, len(matched) // CHECKED)][:CHECKED]
    alike = 0
    for row, example in zip(some, pool.examples(some), strict=True):
        read = trainer.processing_class.decode(dataset[int(places[row])]["input_ids"], skip_special_tokens=True)
        beginnings = [normalised(turn.content)[:30] for turn in example.turns]
        alike += any(beginning and beginning in normalised(read) for beginning in beginnings)
    return len(some) > 0 and alike >= 0.9 * len(some)


def _token_keys(dataset: Dataset) -> Iterator[Hashable]:
    """Each row's tokens and labels, hashed."""
    names = [name for name in ("input_ids", "labels") if name in dataset.column_names]
    for batch in dataset.select_columns(names).with_format(None).iter(1000):
        for ids, labels in zip(batch["input_ids"], batch.get("labels", batch["input_ids"]), strict=True):
            content = np.array([ids, labels], dtype=np.int64).tobytes()
            yield hashlib.blake2b(content, digest_size=16).digest()


def _cell_keys(dataset: Dataset, columns: Sequence[str], ending: str) -> list[Hashable]:
    """Each row's cells, hashed; without the end-of-sequence token that the preparation puts behind a text."""
    keys: list[Hashable] = []
    for batch in dataset.select_columns(list(columns)).with_format(None).iter(1000):
        for cells in zip(*(batch[name] for name in columns), strict=True):
            content = repr([_without(cell, ending) for cell in cells])
            keys.append(hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest())
    return keys


def _without(cell: Any, ending: str) -> Any:
    return cell.removesuffix(ending) if isinstance(cell, str) and ending else cell


def _unique(keys: Sequence[Hashable]) -> bool:
    return len(set(keys)) == len(keys)
