"""Choosing rows by what is known of each: the signals that a selector needs, and its choice."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.curation.measured_game import played_game
from shed_hf.curation.problem import Problem
from shed_hf.curation.row_signals import HasTokens, ReadsTokens, crediting, needs_of
from shed_hf.data.evaluation_items import EvaluationItems
from shed_hf.distributed.ranks import Workers
from shed_hf.embedding.decontamination import Candidates
from shed_hf.embedding.embed import encode_texts, unit
from shed_hf.errors import InputError
from shed_hf.estimators import ValueEstimate
from shed_hf.game.game import Game
from shed_hf.sampling.model_vectors import hidden_states_by, measured_hidden_states
from shed_hf.sampling.retrieval import cosines_of
from shed_hf.sampling.row_ranking import measured_features
from shed_hf.sampling.selectors import Need, RowSelector, RowSignals, Selection, select_rows
from shed_hf.types import EmbeddingMatrix, FloatMatrix, FloatVector, IntVector
from shed_hf.utils.arrays import as_array
from shed_hf.utils.console import plural
from shed_hf.utils.setting_hint import setting_hint
from shed_hf.utils.warn import warn

if TYPE_CHECKING:
    from shed_hf.curation.prepare import PreparedCuration

CHUNK = 2048


@dataclass(frozen=True, kw_only=True, eq=False)
class SignalSources:
    """What the signals of rows are made from.

    Attributes:
        problem: The pool, with the utility that measures its rows.
        candidates: The rows that may be chosen, with their embeddings.
        embedder: The embedder as the caller gave it.
        workers: The processes that measure.
        features: What the model made of each candidate, where that was measured already; else empty.
    """

    problem: Problem
    candidates: Candidates
    embedder: Any
    workers: Workers
    features: FloatMatrix


def sources_of(prepared: "PreparedCuration") -> SignalSources:
    """What the signals of a curation's candidates are made from.

    Args:
        prepared: The curation, before its game.

    Returns:
        The sources.
    """
    return SignalSources(
        problem=prepared.problem,
        candidates=prepared.candidates,
        embedder=prepared.request.embedder,
        workers=prepared.workers,
        features=prepared.merit.features,
    )


def choose_by_row(prepared: "PreparedCuration") -> Selection | None:
    """Let a selector choose, and warn of what its notes say.

    Args:
        prepared: The curation, before its game.

    Returns:
        The choice; None for a sampler of clusters and for a selector of rows that need the game's outcomes first.

    Raises:
        InputError: For signals that cannot be had, and where the selector cannot choose by them.
    """
    sampler = prepared.sampler
    if not isinstance(sampler, RowSelector) or "outcomes" in sampler.needs:
        return None
    return _chosen(prepared, sampler, signals_of(sampler, sources_of(prepared)))


def choose_by_outcomes(prepared: "PreparedCuration", game: Game, estimate: ValueEstimate) -> Selection | None:
    """Let a selector choose that needs what the game measured, and warn of what its notes say.

    Args:
        prepared: The curation.
        game: Its game, after it was valued.
        estimate: The values of the game's players.

    Returns:
        The choice; None for a sampler of clusters, which draws rows by their values.

    Raises:
        InputError: For signals that cannot be had, and where the selector cannot choose by them.
    """
    sampler = prepared.sampler
    if not isinstance(sampler, RowSelector):
        return None
    signals = signals_of(sampler, sources_of(prepared))
    return _chosen(prepared, sampler, replace(signals, outcomes=played_game(prepared, game, estimate)))


def _chosen(prepared: "PreparedCuration", selector: RowSelector, signals: RowSignals) -> Selection:
    selection = select_rows(selector, signals, prepared.size, prepared.streams.for_rows)
    for note in selection.notes:
        warn(f"sampler={selector}: {note}")
    return selection


def signals_of(selector: RowSelector, sources: SignalSources) -> RowSignals:
    """What a selector needs of the candidates, and nothing else; outcomes of the game are not among it.

    Args:
        selector: What will choose.
        sources: What its signals are made from.

    Returns:
        The signals.

    Raises:
        InputError: For signals that cannot be had.
    """
    needs = needs_here(selector, sources) - {"outcomes"}
    return RowSignals(rows=sources.candidates.rows, **{need: signal(sources, need) for need in sorted(needs)})


def needs_here(selector: RowSelector, sources: SignalSources) -> frozenset[Need]:
    """What a selector reads, given what embeds rows: what it needs, and of what it merely wants all that can be had.

    Args:
        selector: What will choose.
        sources: What its signals are made from.

    Returns:
        Fields of `RowSignals`.
    """
    needs = needs_of(selector, sources.problem)
    if _can_embed_items(sources):
        return needs
    return needs - ({"item_embeddings"} - selector.needs)  # an error only for what cannot do without


def _can_embed_items(sources: SignalSources) -> bool:
    items = sources.problem.items
    return items is not None and (sources.candidates.encoder is not None or bool(len(items.held_out)))


def signal(sources: SignalSources, need: Need) -> Any:
    """One signal of the candidates.

    Args:
        sources: What signals are made from.
        need: A field of `RowSignals`.

    Returns:
        The field's content.

    Raises:
        InputError: Where it cannot be had.
    """
    return _SIGNALS[need](sources)


def _items(sources: SignalSources) -> EvaluationItems:
    if sources.problem.items is None:
        raise InputError("there are no evaluation items that are known; pass eval_dataset=")
    return sources.problem.items


def _item_texts(sources: SignalSources) -> list[str]:
    return [sources.problem.pool.format.text_of(item) for item in _items(sources).examples]


def _of_items(sources: SignalSources) -> EmbeddingMatrix:
    """The vectors of the evaluation items, by the encoder of the rows or from the caller's matrix."""
    items, encoder = _items(sources), sources.candidates.encoder
    if encoder is not None:
        texts = _item_texts(sources)
        return encode_texts(encoder, texts, np.arange(len(texts)))
    if len(items.held_out):
        matrix = as_array(sources.embedder, "embedder")
        return unit(matrix[items.held_out], items.held_out)
    raise InputError(
        "rows are compared with evaluation items, and embedder= is a matrix without lines for them; pass an embedder's "
        "name, or an object with .encode(texts)"
    )


def _hidden_states(sources: SignalSources) -> EmbeddingMatrix:
    return measured_hidden_states(sources.problem.utility, sources.candidates.rows, sources.workers)


def _hidden_states_of_items(sources: SignalSources) -> EmbeddingMatrix:
    return hidden_states_by(sources.problem.utility).hidden_states_of(_items(sources).examples)


def _nearness_of(sources: SignalSources) -> Callable[[IntVector], FloatMatrix]:
    of_items, utility = _hidden_states_of_items(sources), sources.problem.utility

    def measured(places: IntVector) -> FloatMatrix:
        states = measured_hidden_states(utility, sources.candidates.rows[places], sources.workers)
        return np.asarray(cosines_of(states, of_items), dtype=np.float64)

    return measured


def _credits_of(sources: SignalSources) -> Callable[[IntVector], FloatMatrix]:
    utility = crediting(sources.problem.utility)
    return lambda places: utility.credit_per_item(sources.candidates.rows[places])


def _lengths(sources: SignalSources) -> FloatVector:
    """How many tokens of each row are learned; characters of the completion where the utility has no tokenizer."""
    pool, utility, rows = sources.problem.pool, sources.problem.utility, sources.candidates.rows
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    if isinstance(utility, HasTokens) and isinstance(utility.rows, ReadsTokens):
        counted = [tokens.n_learned for chunk in chunks for tokens in utility.rows.read_tokens(chunk)]
        _warn_of_nothing_learned(counted)
    else:
        counted = [len(example.completion) for chunk in chunks for example in pool.examples(chunk)]
    return np.array(counted, dtype=np.float64)


def _warn_of_nothing_learned(counted: list[int]) -> None:
    without = counted.count(0)
    if without:
        warn(
            f"of {without} of {plural(len(counted), 'row')} no token is learned, since prompts fill max_length or "
            "there is no answer: the length of their completions counts as 0; to keep prompts whole, raise "
            f"{setting_hint('max_length')}"
        )


def _features(sources: SignalSources) -> FloatMatrix:
    """What the model makes of each row, measured now unless it was for the clusters or the order within them."""
    rows, known = sources.candidates.rows, sources.features
    return known if len(known) == len(rows) else measured_features(sources.problem.utility, rows, sources.workers)


_SIGNALS: dict[Need, Callable[[SignalSources], Any]] = {
    "embeddings": lambda sources: sources.candidates.embeddings,
    "item_embeddings": _of_items,
    "hidden_states": _hidden_states,
    "item_hidden_states": _hidden_states_of_items,
    "texts": lambda sources: sources.problem.pool.texts(sources.candidates.rows),
    "item_texts": _item_texts,
    "completion_lengths": _lengths,
    "features": _features,
    "credits": lambda sources: crediting(sources.problem.utility).credit_per_item(sources.candidates.rows),
    "nearness_of": _nearness_of,
    "credits_of": _credits_of,
    "digests": lambda sources: sources.problem.pool.digests[sources.candidates.rows],
    "format": lambda sources: sources.problem.pool.format,
}
"""How each signal is made."""
