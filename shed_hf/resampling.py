"""Using a valued pool again: another subset, or other values from the same outcomes. Nothing is fine-tuned."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from shed_hf.arrays import BoolVector, IntVector, Walk
from shed_hf.assembly import assembled, resolve_size
from shed_hf.curated import CuratedDataset
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator, estimator_from
from shed_hf.game import Game, Record
from shed_hf.grouping import OverGroups
from shed_hf.naming import described, plain
from shed_hf.report import plural
from shed_hf.samplers import Sampler, sampler_from, sampler_of
from shed_hf.seeds import Streams
from shed_hf.sourcing import with_source


def resample(
    curated: CuratedDataset, size: int | float, sampler: str | Sampler, seed: int | None, source: Any
) -> CuratedDataset:
    """Choose ``size`` rows anew by the values there are."""
    chosen = sampler_from(sampler)
    wanted = resolve_size(size, curated.recipe["source"]["rows"])
    found = with_source(curated, source)
    of_chance = curated.recipe["sampling_seed"] if seed is None else seed
    changed = {"size": wanted, "sampler": described(chosen), "sampling_seed": plain(of_chance)}
    return assembled(found.valued, curated.recipe | changed, chosen, Streams(of_chance).for_rows)


def reestimate(
    curated: CuratedDataset,
    estimator: str | Estimator,
    budget: int | None,
    sampler: str | Sampler | None,
    source: Any,
) -> CuratedDataset:
    """Value the clusters anew from the ledger, then choose as many rows as before by those values."""
    found = with_source(curated, source)
    valued, recipe = found.valued, found.recipe
    chosen = estimator_from(estimator)
    digests = dict(zip(valued.pool_rows.tolist(), (digest.tobytes() for digest in valued.digests), strict=True))
    players, grouping = valued.players, recipe["grouping"]
    game = Game(
        players.rows,
        Recorded(),
        valued.ledger,
        digests,
        valued.ledger.header.get("order", 0),
        None if grouping is None else OverGroups(grouping["kind"], np.array(grouping["groups"], dtype=np.int64)),
        positions=valued.clustering.centroids[players.clusters].astype(np.float64),
    )
    of_ledger = getattr(chosen, "from_ledger", None)
    if of_ledger is not None and budget is not None:
        raise InputError(f"budget={budget!r} goes with estimators that ask for coalitions; {chosen} uses all there are")
    rng = Streams(recipe["seed"]).for_values
    estimate = chosen(game, rng, budget) if of_ledger is None else of_ledger(game)
    estimate = replace(estimate, noise_floor=valued.estimate.noise_floor)
    by = sampler_of(recipe["sampler"]) if sampler is None else sampler_from(sampler)
    changed = {"reestimate": {"estimator": described(chosen), "budget": plain(budget)}, "sampler": described(by)}
    return assembled(
        replace(valued, estimate=estimate), recipe | changed, by, Streams(recipe["sampling_seed"]).for_rows
    )


class Recorded:
    """A utility that measures nothing: all it knows is in the ledger already."""

    def measure(self, walks: Sequence[Walk], record: Record) -> None:
        """Raise `InputError`: the game asks only for what the ledger lacks."""
        raise InputError(
            f"the ledger lacks {plural(len(walks), 'coalition')} that this estimator asks for, and nothing is "
            'fine-tuned here; pass estimator="least-squares" or "banzhaf", which use whatever was measured, '
            "or measure them with curate(…, estimator=…, ledger=…)"
        )

    def trainable(self, rows: IntVector) -> BoolVector:
        """All of them: they were."""
        return np.ones(len(rows), dtype=np.bool_)

    def n_tokens(self, rows: IntVector) -> int:
        """Unknown."""
        return 0

    def describe(self) -> dict[str, Any]:
        """Nothing of its own."""
        return {}
