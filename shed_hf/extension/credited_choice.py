"""Credit for each evaluation item in a grown pool, for a curation whose rows were chosen by it."""

from dataclasses import replace

from shed_hf.errors import InputError
from shed_hf.extension.problem import Extension
from shed_hf.game.game import Game
from shed_hf.game.utility import SupportsCreditPerItem
from shed_hf.results.merits import row_values_entry
from shed_hf.results.recipe import Recipe, updated
from shed_hf.results.valued_pool import ValuedPool
from shed_hf.sampling.registry import AnySampler, rows_to_choose
from shed_hf.sampling.selectors import RowSelector, RowSignals, select_rows
from shed_hf.utils.naming import to_recipe_entry
from shed_hf.utils.random_streams import Streams


def goes_by_credit(sampler: AnySampler) -> bool:
    """Whether rows are chosen by their credits alone.

    Args:
        sampler: What chooses rows.

    Returns:
        Whether that is so.
    """
    return isinstance(sampler, RowSelector) and sampler.needs == frozenset({"credits"})


def with_credits(
    valued: ValuedPool, recipe: Recipe, sampler: AnySampler, size: int | float | str, extension: Extension, game: Game
) -> tuple[ValuedPool, Recipe]:
    """Credit every row of the grown pool, and let the selector choose.

    Args:
        valued: The grown pool with its values.
        recipe: Its recipe.
        sampler: What chooses; one that does not go by credits leaves everything as it is.
        size: How many rows to choose.
        extension: The grown problem, with the utility that credits.
        game: The grown game, which notes the training run.

    Returns:
        The pool with the choice and the credits as values of rows, and the recipe that says so.

    Raises:
        InputError: For a utility that gives no credits.
    """
    if not isinstance(sampler, RowSelector) or not goes_by_credit(sampler):
        return valued, recipe
    if not isinstance(extension.utility, SupportsCreditPerItem):
        raise InputError(
            f"sampler={sampler} chooses rows by credits, and this utility gives none; pass a sampler of clusters, such "
            'as sampler="qocs"'
        )
    rows, seed = valued.pool_rows, recipe["sampling_seed"]
    signals = RowSignals(rows=rows, credits=extension.utility.credit_per_item(rows))
    game.note_run(rows)
    wanted = rows_to_choose(sampler, size, len(extension.pool), len(rows))
    selection = select_rows(sampler, signals, wanted, Streams(seed).for_rows)
    chosen = replace(valued, taken=rows[selection.places], worth=selection.worth)
    entry = to_recipe_entry(sampler)
    said: dict[str, object] = {"sampler": entry, "size": wanted}
    if selection.notes:
        said["selection_notes"] = list(selection.notes)
    if selection.worth is not None:
        said["row_values"] = row_values_entry(selection.worth, entry, seed)
    return chosen, updated(recipe, said)
