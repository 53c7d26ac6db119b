"""Choosing rows by what is known of each: the signals that a selector needs, and its choice."""

import warnings
from typing import TYPE_CHECKING

import numpy as np

from shed_hf.curation.problem import Problem
from shed_hf.curation.row_signals import HasTokens, ReadsTokens, crediting
from shed_hf.data.evaluation_items import EvaluationItems
from shed_hf.embedding.embed import encode_texts, unit
from shed_hf.errors import InputError
from shed_hf.sampling.row_ranking import measured_features
from shed_hf.sampling.selectors import Need, RowSelector, RowSignals, Selection, select_rows
from shed_hf.types import EmbeddingMatrix, FloatMatrix, FloatVector, IntVector
from shed_hf.utils.arrays import as_array

if TYPE_CHECKING:
    from shed_hf.curation.prepare import PreparedCuration

CHUNK = 2048


def choose_by_row(prepared: "PreparedCuration") -> Selection | None:
    """Let a selector choose, and warn of what its notes say.

    Args:
        prepared: The curation, before its game.

    Returns:
        The choice; None for a sampler of clusters, which needs their values first.

    Raises:
        InputError: For signals that cannot be had, and where the selector cannot choose by them.
    """
    sampler = prepared.sampler
    if not isinstance(sampler, RowSelector):
        return None
    selection = select_rows(sampler, _signals(prepared, sampler.needs), prepared.size, prepared.streams.for_rows)
    for note in selection.notes:
        warnings.warn(f"sampler={sampler}: {note}", stacklevel=3)
    return selection


def _signals(prepared: "PreparedCuration", needs: frozenset[Need]) -> RowSignals:
    """What a selector needs of the candidates, and nothing else."""
    problem, candidates, rows = prepared.problem, prepared.candidates, prepared.candidates.rows
    pool, utility = problem.pool, problem.utility
    return RowSignals(
        rows=rows,
        embeddings=candidates.embeddings if "embeddings" in needs else None,
        item_embeddings=_of_items(prepared, _items(problem)) if "item_embeddings" in needs else None,
        texts=pool.texts(rows) if "texts" in needs else None,
        item_texts=_item_texts(problem) if "item_texts" in needs else None,
        completion_lengths=_lengths(problem, rows) if "completion_lengths" in needs else None,
        features=_features(prepared) if "features" in needs else None,
        credits=crediting(utility).credit_per_item(rows) if "credits" in needs else None,
        digests=pool.digests[rows] if "digests" in needs else None,
        format=pool.format if "format" in needs else None,
    )


def _items(problem: Problem) -> EvaluationItems:
    if problem.items is None:
        raise InputError("there are no evaluation items that are known; pass eval_dataset=")
    return problem.items


def _item_texts(problem: Problem) -> list[str]:
    return [problem.pool.format.text_of(item) for item in _items(problem).examples]


def _of_items(prepared: "PreparedCuration", items: EvaluationItems) -> EmbeddingMatrix:
    """The vectors of the evaluation items, by the encoder of the rows or from the caller's matrix."""
    encoder = prepared.candidates.encoder
    if encoder is not None:
        texts = _item_texts(prepared.problem)
        return encode_texts(encoder, texts, np.arange(len(texts)))
    if len(items.held_out):
        matrix = as_array(prepared.request.embedder, "embedder")
        return unit(matrix[items.held_out], items.held_out)
    raise InputError(
        f"sampler={prepared.sampler} compares rows with evaluation items, and embedder= is a matrix without lines for "
        "them; pass an embedder's name, or an object with .encode(texts)"
    )


def _lengths(problem: Problem, rows: IntVector) -> FloatVector:
    """How many tokens of each row are learned; characters of the completion where the utility has no tokenizer."""
    utility, chunks = problem.utility, [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    if isinstance(utility, HasTokens) and isinstance(utility.rows, ReadsTokens):
        counted = [tokens.n_learned for chunk in chunks for tokens in utility.rows.read_tokens(chunk)]
    else:
        counted = [len(example.completion) for chunk in chunks for example in problem.pool.examples(chunk)]
    return np.array(counted, dtype=np.float64)


def _features(prepared: "PreparedCuration") -> FloatMatrix:
    """What the model makes of each row, measured now unless it was for the clusters or the order within them."""
    rows, known = prepared.candidates.rows, prepared.merit.features
    return known if len(known) == len(rows) else measured_features(prepared.problem.utility, rows, prepared.workers)
