"""Using a valued pool again: another subset, or other values from the same outcomes. Nothing is fine-tuned."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from shed_hf.clustering.clusterers import Given
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator, ValueEstimate
from shed_hf.estimators.base import FromLedger
from shed_hf.estimators.in_run import InRun
from shed_hf.estimators.no_game import plays
from shed_hf.estimators.registry import estimator_from
from shed_hf.estimators.regression_adjusted import RegressionAdjusted
from shed_hf.estimators.row_spread import budget_left
from shed_hf.evaluation.constraints import Constraints, GroupConstraint
from shed_hf.evaluation.item_groups import OverGroups
from shed_hf.evaluation.item_halves import OnItems
from shed_hf.game.entry import Entry
from shed_hf.game.game import Aggregate, Game
from shed_hf.game.ledger import Ledger
from shed_hf.game.orders import seed_of_entry
from shed_hf.game.utility import OutcomeCallback, Untrained
from shed_hf.results.constrained_choice import check_can_constrain, constraint_entries, resolve_constraints
from shed_hf.results.cost import unmeasured
from shed_hf.results.curation import Curation
from shed_hf.results.history import n_source_rows
from shed_hf.results.recipe import PartEntry, Recipe, updated
from shed_hf.results.source_rows import with_source
from shed_hf.results.tables import choose_rows, curation_of
from shed_hf.sampling.registry import AnySampler, as_passed, needs_values, rows_to_choose, sampler_from, sampler_of
from shed_hf.sampling.row_values import RowValues
from shed_hf.sampling.selectors import Need, RowSelector, RowSignals, select_rows
from shed_hf.types import IntVector, TrainingSequence
from shed_hf.utils.console import plural
from shed_hf.utils.naming import plain, to_recipe_entry
from shed_hf.utils.random_streams import Streams
from shed_hf.utils.warn import warn

_INSTEAD = 'pass estimator="least-squares" or "banzhaf", which use whatever was measured'
"""What errors say where an estimator asks for more than the outcomes that there are."""


def choose_subset(
    curated: Curation,
    size: int | float | str,
    sampler: str | AnySampler | Given | None,
    seed: int | None,
    source: Any,
    constraints: Constraints | None = None,
) -> Curation:
    """Choose rows anew by the values there are; what the result cost stays as it was billed.

    Args:
        curated: The result.
        size: A number of rows, a share of the source in (0, 1], or a percentage such as ``"10%"``, or ``"auto"``.
        sampler: A sampler or its short name.
        seed: The seed of the draw; None for that of the last choice.
        source: The dataset that was curated, as `curate` takes it; None for the one at hand or the one on the Hub.
        constraints: As in `curate`; None for those of the last choice.

    Returns:
        The new result.

    Raises:
        InputError: For arguments that can't be used, where nothing keeps the constraints, and where the source is
            missing or lacks rows.
    """
    chosen = sampler_of(curated.recipe["sampler"]) if sampler is None else sampler_from(sampler)
    groups = resolve_constraints(curated, constraints)
    if groups:
        check_can_constrain(chosen)
    recipe = curated.recipe
    if needs_values(chosen) and not curated.estimate.played:
        raise InputError(
            f"sampler={as_passed(chosen)} "
            "chooses by what a game measures, and none was played; pass what chooses rows by itself, "
            "or call curate with an estimator"
        )
    wanted = rows_to_choose(chosen, size, n_source_rows(recipe), len(curated.pool_rows))
    of_chance = recipe["sampling_seed"] if seed is None else seed
    streams = Streams(of_chance)
    taken = _taken_again(curated, chosen, wanted, of_chance) if isinstance(chosen, RowSelector) else None
    found = with_source(curated, source)
    changed = {"size": wanted, "sampler": to_recipe_entry(chosen), "sampling_seed": plain(of_chance)}
    new = _recipe_of_choice(recipe, changed, groups, same_notes=taken is not None)
    again = choose_rows(replace(found.valued, taken=taken), new, chosen, streams.for_rows)
    return again if np.array_equal(np.sort(again.rows), np.sort(curated.rows)) else _without_verdicts(again)


def _recipe_of_choice(
    recipe: Recipe, changed: dict[str, Any], constraints: Sequence[GroupConstraint], same_notes: bool
) -> Recipe:
    """The recipe for another choice, without what it says of the choice before."""
    new = updated(recipe, changed)
    if not same_notes or new["sampler"] != _as_written_now(recipe["sampler"]):
        new.pop("selection_notes", None)
        new.pop("learned_signal", None)
    new.pop("groups", None)
    new.pop("constraints", None)
    if constraints:
        new["constraints"] = constraint_entries(constraints)
    if "transfers" in new:
        new["transfers"] = [
            {**entry, "kept": None, "kept_by_chance": None, "kept_unknown": "were sampled anew since"}
            for entry in new["transfers"]
        ]
    return new


def resample(
    curated: Curation,
    size: int | float | str,
    sampler: str | AnySampler | Given | None,
    seed: int | None,
    source: Any,
    constraints: Constraints | None = None,
) -> Curation:
    """Choose rows anew by the values there are, in a run that measures nothing itself.

    Args:
        curated: The result.
        size: As in `choose_subset`.
        sampler: A sampler or its short name.
        seed: The seed of the draw; None for that of the last choice.
        source: As in `choose_subset`.
        constraints: As in `curate`; None for those of the last choice.

    Returns:
        The new result.

    Raises:
        InputError: As in `choose_subset`.
    """
    again = choose_subset(curated, size, sampler, seed, source, constraints)
    return replace(again, recipe=updated(again.recipe, {"bill": unmeasured(curated.recipe["bill"])}))


def _without_verdicts(again: Curation) -> Curation:
    """Other rows than those that a verdict was about, or that a race kept."""
    recipe = updated(again.recipe, {})
    recipe.pop("verdict", None)
    if "race" in recipe:
        recipe["race"] = {**recipe["race"], "is_current": False}
    return replace(again, recipe=recipe)


def _taken_again(curated: Curation, selector: RowSelector, size: int, seed: int) -> IntVector:
    """The first rows of the choice that was made, or a choice for which the result itself is enough."""
    valued, recipe = curated.valued, curated.recipe
    at_hand: set[Need] = {"digests", "format"}
    if selector.needs <= at_hand:
        signals = RowSignals(rows=valued.pool_rows, digests=valued.digests, format=valued.format)
        return valued.pool_rows[select_rows(selector, signals, size, Streams(seed).for_rows).places]
    described = to_recipe_entry(selector)
    known, worth = recipe.get("row_values"), valued.worth
    ordered = known is not None and (described, seed) == (known["selector"], known["seed"])
    if worth is not None and ordered and size <= len(worth.order):
        return valued.pool_rows[worth.order[:size]]
    same = described == _as_written_now(recipe["sampler"]) and seed == recipe["sampling_seed"]
    if valued.taken is None or not same or size > len(valued.taken):
        raise InputError(
            f"sampler={as_passed(selector)} "
            f"chooses by the rows' {', '.join(sorted(selector.needs))}, which a result does not "
            "hold; with the sampler and seed of the curation a smaller size can be had, for another choice call curate "
            "again with ledger=, which fine-tunes nothing anew"
        )
    return valued.taken[:size]


def _as_written_now(sampler: PartEntry) -> PartEntry:
    """A sampler's entry with the fields that it did not have when it was written."""
    try:
        return to_recipe_entry(sampler_of(sampler))
    except InputError:  # the curator's own
        return sampler


def reestimate(
    curated: Curation,
    estimator: str | Estimator,
    budget: int | None,
    sampler: str | AnySampler | Given | None,
    source: Any,
) -> Curation:
    """Value the clusters anew from the ledger, then choose as many rows as before by those values.

    Args:
        curated: The result.
        estimator: An estimator or its short name.
        budget: The most coalitions to ask the ledger for; None for the estimator's own number.
        sampler: A sampler or its short name; None for the one of the last choice.
        source: The dataset that was curated, as `curate` takes it; None for the one at hand or the one on the Hub.

    Returns:
        The new result.

    Raises:
        InputError: For arguments that can't be used, where the ledger lacks coalitions that the estimator asks for, and
            where the source is missing or lacks rows.
    """
    if not curated.estimate.played:
        raise InputError("no game was played, so there are no outcomes to value clusters by; call curate with one")
    found, chosen = with_source(curated, source), estimator_from(estimator)
    if not plays(chosen):
        raise InputError(f"estimator={estimator!r} values nothing; pass one that does, such as 'banzhaf'")
    if isinstance(chosen, InRun) or (isinstance(chosen, RegressionAdjusted) and isinstance(chosen.surrogate, InRun)):
        raise InputError(
            f"estimator={estimator!r} takes a training run that credits rows, and nothing is measured here; "
            f"{_INSTEAD}, or call curate again with it"
        )
    if isinstance(chosen, FromLedger) and budget is not None:
        raise InputError(f"budget={budget!r} goes with estimators that ask for coalitions; {chosen} uses all there are")
    estimate = _estimated_again(found, chosen, budget)
    asked = {"estimator": to_recipe_entry(chosen), "budget": plain(budget)}
    changed = {"reestimate": asked, "bill": unmeasured(found.recipe["bill"])}
    again = replace(found, valued=replace(found.valued, estimate=estimate), recipe=updated(found.recipe, changed))
    taken = found.valued.taken
    if sampler is not None or taken is None:
        return choose_subset(again, found.recipe["size"], sampler, None, None)
    if found.recipe["sampler"]["name"] == RowValues.__name__:
        warn(
            'rows, and what they are worth, stay as the game\'s first values left them; pass sampler="qocs" to '
            "choose by the new values of clusters",
        )
    return curation_of(again.valued, again.recipe, taken)


def _estimated_again(curated: Curation, estimator: Estimator, budget: int | None) -> ValueEstimate:
    """What an estimator makes of the ledger; what only the game itself could measure stays as it was."""
    before, (game, recorded) = curated.estimate, game_of_ledger(curated)
    rng = Streams(curated.recipe["seed"]).for_values
    left = budget_left(estimator, game, budget) if before.row_pairs else budget
    estimate = estimator.from_ledger(game) if isinstance(estimator, FromLedger) else estimator(game, rng, left)
    estimate = replace(
        estimate,
        starts_untrained=before.starts_untrained,
        row_spread=before.row_spread,
        row_pairs=before.row_pairs,
    )
    if recorded.borrowed:  # walks have outcomes in common, and with them luck
        estimate = replace(
            estimate,
            shared_orders=max(estimate.shared_orders, 1),
            noise_freedom=0,
            agreement=before.agreement,
            gain_stderr=before.gain_stderr,
        )
    if not isinstance(curated.ledger.header.get("order", ""), str):  # as where all coalitions trained in one order
        estimate = replace(estimate, shared_orders=max(estimate.shared_orders, 1))
    if not estimate.noise_freedom:
        estimate = replace(estimate, noise_floor=before.noise_floor, noise_freedom=before.noise_freedom)
    return estimate


def aggregate_of(recipe: Recipe) -> Aggregate | None:
    """Outcomes to utilities as in the curation's game: after a race only the items that ranked its candidates count.

    Args:
        recipe: The curation's recipe.

    Returns:
        The aggregate; None for the mean over all items.
    """
    entry, race = recipe["grouping"], recipe.get("race")
    grouping = None if entry is None else OverGroups(entry["kind"], np.array(entry["groups"], dtype=np.int64))
    if race is None:
        return grouping
    return OnItems(np.array(race["ranked_by"], dtype=np.int64), race["n_items"], grouping)


def game_of_ledger(curated: Curation) -> "tuple[Game, LedgerOnly]":
    """The game of a result's players on the outcomes that were recorded.

    Args:
        curated: The result.

    Returns:
        The game, and its utility, which refuses to measure anything new.
    """
    valued = curated.valued
    rows = np.unique(np.concatenate(valued.players.rows))
    contents = valued.digests[np.searchsorted(valued.pool_rows, rows)]
    digests = dict(zip(rows.tolist(), (digest.tobytes() for digest in contents), strict=True))
    recorded = LedgerOnly(valued.ledger)
    game = Game(
        valued.players.rows,
        recorded,
        Ledger.of(valued.ledger.header, valued.ledger),
        digests,
        seed_of_entry(valued.ledger.header.get("order", 0)),
        aggregate_of(curated.recipe),
        positions=valued.clustering.centroids[valued.players.clusters].astype(np.float64),
    )
    return game, recorded


class LedgerOnly(Untrained):
    """A utility for estimators that run on recorded outcomes: it refuses to measure anything new.

    Args:
        ledger: The outcomes.

    Attributes:
        borrowed: How many outcomes were answered by those of the same rows in another training order.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.borrowed = 0
        self._of_rows: dict[frozenset[int], Entry] = {}
        for entry in ledger:
            if len(entry.blocks) == 1:
                self._of_rows.setdefault(frozenset(entry.blocks[0]), entry)

    def measure(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        """Answer with the outcomes of the same rows in another training order; refuse where there are none.

        Args:
            walks: The training sequences that were asked for.
            record: Called with each outcome.

        Raises:
            InputError: Where the ledger lacks coalitions; it says how many.
        """
        known = [self._of_rows.get(frozenset(walk[0].tolist())) if len(walk) == 1 else None for walk in walks]
        for number, entry in enumerate(known):
            if entry is not None:
                self.borrowed += 1
                record(number, 0, entry.outcome, entry.extra_metrics)
        lacking = sum(entry is None for entry in known)
        if not lacking:
            return
        raise InputError(
            f"the ledger lacks {plural(lacking, 'coalition')} (sets of clusters) that this estimator asks for, and "
            f"nothing is measured here; {_INSTEAD}, or measure them with curate(…, estimator=…, ledger=…)"
        )

    def describe(self) -> dict[str, Any]:
        """An empty description: the ledger's header has that of the utility that measured."""
        return {}
