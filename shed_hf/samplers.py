"""Samplers: which rows of which clusters are kept, given what the clusters are worth.

All keep exactly ``size`` rows whatever the clusters' sizes. All but `Random` take rows without a value (noise, clusters
in which no row can be trained on) only when the valued ones are used up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from shed_hf.arrays import FloatVector, IntVector
from shed_hf.errors import InputError


class Sampler(Protocol):
    """Chooses ``size`` rows from clusters ``members[i]`` valued ``values[i]``; NaN is a cluster without a value."""

    def __call__(
        self, values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator
    ) -> IntVector: ...


@dataclass(frozen=True)
class QOCS:
    """Quality-ordered cluster sampling: whole clusters from the best value down, the last one in part, at random."""

    def __call__(
        self, values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator
    ) -> IntVector:
        """``(size,)`` row ids, the best clusters first."""
        best_first = np.argsort(np.where(np.isnan(values), np.inf, -values), kind="stable")
        shuffled = [rng.permutation(members[cluster]) for cluster in best_first]
        return np.concatenate(shuffled)[:size]


@dataclass(frozen=True)
class QWCS:
    """Quality-weighted cluster sampling: draw a cluster with probability ∝ exp(f·value), then one of its rows; repeat.

    ``factor`` is the paper's f. ``None`` is ``sharpness`` over the standard deviation of the values, so that a value
    one standard deviation higher makes a cluster e^sharpness times as likely, whatever the units of the utility. A
    used-up cluster leaves the draw.
    """

    factor: float | None = None
    sharpness: float = 1.0

    def __post_init__(self) -> None:
        for name, number in (("factor", self.factor or 0.0), ("sharpness", self.sharpness)):
            if not np.isfinite(number):
                raise InputError(f"{name}={number} is not finite; pass a number")

    def __call__(
        self, values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator
    ) -> IntVector:
        """``(size,)`` row ids, in the order they were drawn."""
        queues = [rng.permutation(rows) for rows in members]
        taken = np.zeros(len(members), dtype=np.int64)
        capacity = np.array([len(rows) for rows in members])
        logits = self._logits(values)
        drawn: list[int] = []
        while len(drawn) < size:
            weights = _softmax(np.where(taken < capacity, logits, -np.inf))
            # Drawing many clusters at once and passing over used-up ones has the distribution of drawing one by one.
            for cluster in rng.choice(len(members), size=size - len(drawn), p=weights):
                if taken[cluster] < capacity[cluster]:
                    drawn.append(int(queues[cluster][taken[cluster]]))
                    taken[cluster] += 1
        return np.array(drawn, dtype=np.int64)

    def _logits(self, values: FloatVector) -> FloatVector:
        valued = values[~np.isnan(values)]
        spread = float(valued.std()) if len(valued) else 0.0
        factor = self.factor if self.factor is not None else self.sharpness / spread if spread > 0 else 0.0
        return np.asarray(factor * values, dtype=np.float64)


@dataclass(frozen=True)
class Random:
    """Every row alike, whatever the values: what a curation has to beat."""

    def __call__(
        self, values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator
    ) -> IntVector:
        """``(size,)`` row ids, uniformly without replacement."""
        return rng.choice(np.concatenate(list(members)), size=size, replace=False)


_NAMES: dict[str, type[Sampler]] = {"qocs": QOCS, "qwcs": QWCS, "random": Random}


def sampler_from(name_or_object: str | Sampler) -> Sampler:
    """A sampler by its short name, or the object itself. Raises `InputError` for an unknown name."""
    if not isinstance(name_or_object, str):
        if isinstance(name_or_object, type) or not callable(name_or_object):
            raise InputError(f"sampler={name_or_object!r} cannot be called; pass one of {sorted(_NAMES)} or an object")
        return name_or_object
    if name_or_object not in _NAMES:
        raise InputError(f"sampler={name_or_object!r} is unknown; pass one of {sorted(_NAMES)} or an object")
    return _NAMES[name_or_object]()


def sampler_of(description: Mapping[str, Any]) -> Sampler:
    """The sampler that a recipe describes. Raises `InputError` for one that is not of this package."""
    kinds = {kind.__name__: kind for kind in _NAMES.values()}
    fields = {name: field for name, field in description.items() if name != "name"}
    try:
        return kinds[description["name"]](**fields)
    except (KeyError, TypeError) as error:
        raise InputError(f"the sampler {dict(description)} is unknown here; pass sampler=") from error


def choose(
    sampler: Sampler, values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator
) -> IntVector:
    """``size`` different row ids in ascending order, checked. Raises `InputError` when there are not that many rows."""
    available = sum(len(rows) for rows in members)
    if size > available:
        raise InputError(
            f"size={size} exceeds the {available} rows that can be chosen (held-out, leaking and invalid rows never "
            f"are); pass size <= {available}"
        )
    rows = np.sort(np.atleast_1d(np.asarray(sampler(values, members, size, rng), dtype=np.int64)))
    chosen = np.intersect1d(rows, np.concatenate(list(members)))
    if len(rows) != size or len(chosen) != size:
        raise InputError(
            f"{sampler} returned {len(rows)} rows, {len(chosen)} different ones of them in the clusters; it must "
            f"return {size}, each once"
        )
    return rows


def _softmax(logits: FloatVector) -> FloatVector:
    """Probabilities; where no finite logit is left, the clusters without a value (NaN) share alike."""
    finite = np.isfinite(logits)
    if not finite.any():
        unvalued = np.isnan(logits)
        return np.asarray(unvalued / unvalued.sum(), dtype=np.float64)
    weights = np.exp(np.where(finite, logits - logits[finite].max(), -np.inf))
    return np.asarray(weights / weights.sum(), dtype=np.float64)
