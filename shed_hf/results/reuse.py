"""Using a valued pool again: another subset, or other values from the same outcomes. Nothing is fine-tuned."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators import Estimator
from shed_hf.estimators.base import FromLedger
from shed_hf.estimators.registry import estimator_from
from shed_hf.evaluation.item_groups import OverGroups
from shed_hf.game.game import Game
from shed_hf.game.utility import OutcomeCallback
from shed_hf.results.curation import Curation
from shed_hf.results.recipe import updated
from shed_hf.results.source_rows import with_source
from shed_hf.results.tables import choose_rows
from shed_hf.sampling.samplers import Sampler, resolve_size, sampler_from, sampler_of
from shed_hf.types import BoolVector, IntVector, TrainingSequence
from shed_hf.utils.console import plural
from shed_hf.utils.naming import plain, to_recipe_entry
from shed_hf.utils.random_streams import Streams


def resample(
    curated: Curation, size: int | float | str, sampler: str | Sampler, seed: int | None, source: Any
) -> Curation:
    """Choose rows anew by the values there are.

    Args:
        curated: The result.
        size: A number of rows, a share of the source in (0, 1], or a percentage such as ``"10%"``.
        sampler: A sampler or its short name.
        seed: The seed of the draw; None for that of the last choice.
        source: The dataset that was curated, as `curate` takes it; None for the one at hand or the one on the Hub.

    Returns:
        The new result.

    Raises:
        InputError: For arguments that can't be used, and where the source is missing or lacks rows.
    """
    chosen = sampler_from(sampler)
    wanted = resolve_size(size, curated.recipe["source"]["rows"])
    found = with_source(curated, source)
    of_chance = curated.recipe["sampling_seed"] if seed is None else seed
    changed = {"size": wanted, "sampler": to_recipe_entry(chosen), "sampling_seed": plain(of_chance)}
    return choose_rows(found.valued, updated(curated.recipe, changed), chosen, Streams(of_chance).for_rows)


def reestimate(
    curated: Curation,
    estimator: str | Estimator,
    budget: int | None,
    sampler: str | Sampler | None,
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
    found = with_source(curated, source)
    valued, recipe = found.valued, found.recipe
    chosen = estimator_from(estimator)
    digests = dict(zip(valued.pool_rows.tolist(), (digest.tobytes() for digest in valued.digests), strict=True))
    players, grouping = valued.players, recipe["grouping"]
    game = Game(
        players.rows,
        LedgerOnly(),
        valued.ledger,
        digests,
        valued.ledger.header.get("order", 0),
        None if grouping is None else OverGroups(grouping["kind"], np.array(grouping["groups"], dtype=np.int64)),
        positions=valued.clustering.centroids[players.clusters].astype(np.float64),
    )
    if isinstance(chosen, FromLedger) and budget is not None:
        raise InputError(f"budget={budget!r} goes with estimators that ask for coalitions; {chosen} uses all there are")
    rng = Streams(recipe["seed"]).for_values
    estimate = chosen.from_ledger(game) if isinstance(chosen, FromLedger) else chosen(game, rng, budget)
    estimate = replace(estimate, noise_floor=valued.estimate.noise_floor)
    by = sampler_of(recipe["sampler"]) if sampler is None else sampler_from(sampler)
    changed = {
        "reestimate": {"estimator": to_recipe_entry(chosen), "budget": plain(budget)},
        "sampler": to_recipe_entry(by),
    }
    return choose_rows(
        replace(valued, estimate=estimate), updated(recipe, changed), by, Streams(recipe["sampling_seed"]).for_rows
    )


class LedgerOnly:
    """A utility for estimators that run on recorded outcomes: it refuses to measure anything new."""

    def measure(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        """Refuse: the game asks only for what the ledger lacks.

        Args:
            walks: The training sequences that were asked for.
            record: What would take the outcomes.

        Raises:
            InputError: Always; it says how many coalitions the ledger lacks.
        """
        raise InputError(
            f"the ledger lacks {plural(len(walks), 'coalition')} that this estimator asks for, and nothing is "
            'fine-tuned here; pass estimator="least-squares" or "banzhaf", which use whatever was measured, '
            "or measure them with curate(…, estimator=…, ledger=…)"
        )

    def trainable(self, rows: IntVector) -> BoolVector:
        """Every row can be trained on: those of measured coalitions were.

        Args:
            rows: ``(n,)`` row ids.

        Returns:
            ``(n,)`` True.
        """
        return np.ones(len(rows), dtype=np.bool_)

    def n_tokens(self, rows: IntVector) -> int:
        """No tokens: nothing is trained.

        Args:
            rows: ``(n,)`` row ids.

        Returns:
            0.
        """
        return 0

    def describe(self) -> dict[str, Any]:
        """An empty description: the ledger's header has that of the utility that measured."""
        return {}
