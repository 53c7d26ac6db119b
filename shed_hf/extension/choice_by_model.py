"""Choosing single rows of a grown pool by what the model makes of them, for a curation that chose that way."""

from dataclasses import replace

import numpy as np

from shed_hf.distributed.ranks import SingleProcess
from shed_hf.embedding.embed import encode_rows, encode_texts
from shed_hf.embedding.encoders import Encoder
from shed_hf.errors import InputError
from shed_hf.extension.problem import Extension
from shed_hf.game.game import Game
from shed_hf.game.utility import SupportsCreditPerItem
from shed_hf.results.history import n_source_rows
from shed_hf.results.learned_signal_entry import learned_signal_entry
from shed_hf.results.merits import row_values_entry
from shed_hf.results.recipe import Recipe, updated
from shed_hf.results.valued_pool import ValuedPool
from shed_hf.sampling.extrapolated import Extrapolated
from shed_hf.sampling.model_vectors import hidden_states_by, measured_hidden_states
from shed_hf.sampling.registry import AnySampler, as_passed, rows_to_choose
from shed_hf.sampling.retrieval import cosines_of
from shed_hf.sampling.selectors import Need, RowSelector, RowSignals, select_rows
from shed_hf.types import EmbeddingMatrix, FloatMatrix, IntVector
from shed_hf.utils.naming import to_recipe_entry
from shed_hf.utils.random_streams import Streams

BY_CREDIT: frozenset[Need] = frozenset({"credits"})
BY_STATES: frozenset[Need] = frozenset({"hidden_states", "item_hidden_states"})


def goes_by_credit(sampler: AnySampler) -> bool:
    """Whether rows are chosen by their credits alone, which takes a training run over all of them.

    Args:
        sampler: What chooses rows.

    Returns:
        Whether that is so.
    """
    return isinstance(sampler, RowSelector) and sampler.needs == BY_CREDIT


def goes_by_model(sampler: AnySampler) -> bool:
    """Whether rows are chosen by credits or the model's hidden states alone, of all rows or of a sample.

    Args:
        sampler: What chooses rows.

    Returns:
        Whether that is so.
    """
    return isinstance(sampler, Extrapolated) or (
        isinstance(sampler, RowSelector) and sampler.needs in (BY_CREDIT, BY_STATES)
    )


def check_model(sampler: AnySampler, extension: Extension) -> None:
    """Raise where rows are chosen by the model, and the utility has none that says what is asked.

    Args:
        sampler: What chooses rows.
        extension: The grown problem, with the utility that measures rows.

    Raises:
        InputError: For a utility without credits, without a model, or without evaluation items that are known.
    """
    if not goes_by_model(sampler):
        return
    if goes_by_credit(sampler) or (isinstance(sampler, Extrapolated) and sampler.signal == "credit"):
        _crediting(sampler, extension)
        return
    hidden_states_by(extension.utility)
    if extension.items is None:
        raise InputError(
            f"sampler={as_passed(sampler)} compares rows with evaluation items, and this utility brings none"
        )


def signals_by_model(
    sampler: AnySampler, rows: IntVector, extension: Extension, game: Game, encoder: Encoder
) -> RowSignals | None:
    """What the model makes of every row of the grown pool, where rows are chosen by it.

    Args:
        sampler: What chooses rows.
        rows: The ids of the rows that may be chosen.
        extension: The grown problem, with the utility that measures rows.
        game: The grown game, which notes a training run.
        encoder: Embeds those rows and the evaluation items, where the model reads a sample of the rows alone.

    Returns:
        Credits or hidden states, or what measures some of them; None for a sampler that goes by neither.

    Raises:
        InputError: For a utility that gives none.
    """
    check_model(sampler, extension)
    if not goes_by_model(sampler):
        return None
    if goes_by_credit(sampler):
        signals = RowSignals(rows=rows, credits=_crediting(sampler, extension).credit_per_item(rows))
        game.note_run(rows)
        return signals
    if isinstance(sampler, Extrapolated):
        return _of_sample(sampler, rows, extension, game, encoder)
    assert extension.items is not None
    return RowSignals(
        rows=rows,
        hidden_states=measured_hidden_states(extension.utility, rows, SingleProcess()),
        item_hidden_states=hidden_states_by(extension.utility).hidden_states_of(extension.items.examples),
    )


def _of_sample(
    sampler: Extrapolated, rows: IntVector, extension: Extension, game: Game, encoder: Encoder
) -> RowSignals:
    utility = extension.utility
    signals = RowSignals(
        rows=rows,
        embeddings=encode_rows(extension.pool, rows, encoder),
        item_embeddings=_item_embeddings(extension, encoder),
    )
    if sampler.signal == "credit":

        def credits_of(places: IntVector) -> FloatMatrix:
            credits = _crediting(sampler, extension).credit_per_item(rows[places])
            game.note_run(rows[places])
            return credits

        return replace(signals, credits_of=credits_of)
    assert extension.items is not None
    of_items = hidden_states_by(utility).hidden_states_of(extension.items.examples)

    def nearness_of(places: IntVector) -> FloatMatrix:
        states = measured_hidden_states(utility, rows[places], SingleProcess())
        return np.asarray(cosines_of(states, of_items), dtype=np.float64)

    return replace(signals, nearness_of=nearness_of)


def _item_embeddings(extension: Extension, encoder: Encoder) -> EmbeddingMatrix | None:
    """The vectors of the evaluation items; None where only the utility knows them."""
    if extension.items is None:
        return None
    texts = [extension.pool.format.text_of(item) for item in extension.items.examples]
    return encode_texts(encoder, texts, np.arange(len(texts)))


def chosen_by_model(
    valued: ValuedPool, recipe: Recipe, sampler: AnySampler, size: int | float | str, signals: RowSignals | None
) -> tuple[ValuedPool, Recipe]:
    """Let the selector choose by what the model makes of rows.

    Args:
        valued: The grown pool with its values.
        recipe: Its recipe.
        sampler: What chooses.
        size: How many rows to choose.
        signals: What the model makes of rows; None leaves everything as it is.

    Returns:
        The pool with the choice and what rows are worth by it, and the recipe that says so.
    """
    if signals is None or not isinstance(sampler, RowSelector):
        return valued, recipe
    rows, seed = valued.pool_rows, recipe["sampling_seed"]
    wanted = rows_to_choose(sampler, size, n_source_rows(recipe), len(rows))
    selection = select_rows(sampler, signals, wanted, Streams(seed).for_rows)
    chosen = replace(valued, taken=rows[selection.places], worth=selection.worth)
    entry = to_recipe_entry(sampler)
    said: dict[str, object] = {"sampler": entry, "size": wanted}
    if selection.notes:
        said["selection_notes"] = list(selection.notes)
    if selection.learned is not None:
        said["learned_signal"] = learned_signal_entry(selection.learned)
    if selection.worth is not None:
        said["row_values"] = row_values_entry(selection.worth, entry, seed)
    return chosen, updated(recipe, said)


def _crediting(sampler: AnySampler, extension: Extension) -> SupportsCreditPerItem:
    if isinstance(extension.utility, SupportsCreditPerItem):
        return extension.utility
    raise InputError(
        f"sampler={as_passed(sampler)} "
        "chooses rows by credits, and this utility gives none; pass a sampler of clusters, such as "
        'sampler="qocs"'
    )
