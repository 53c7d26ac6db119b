"""Samplers: which rows of which clusters are kept, given what the clusters are worth.

All keep exactly ``size`` rows whatever the clusters' sizes. All but `Random` take rows without a value (noise, clusters
in which no row can be trained on) only when the valued ones are used up. `choose` decides which rows of a cluster come
first, a sampler how many it takes of each.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from shed_hf.errors import InputError
from shed_hf.types import FloatVector, IntVector

DEFAULT_MOST = 0.25
"""The largest share of a selection that `QOCS` takes of one cluster unless told otherwise."""


class Sampler(Protocol):
    """Chooses ``size`` rows from clusters ``members[i]`` valued ``values[i]``; NaN is a cluster without a value.

    ``members[i]`` are in the order in which they are to be taken, so take them from the front.
    """

    def __call__(
        self, values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator
    ) -> IntVector: ...


@dataclass(frozen=True)
class QOCS:
    """Quality-ordered cluster sampling: clusters from the best value down, each whole or up to a cap, the last in part.

    ``most``, in (0, 1], is the largest share of the selection that one cluster may fill while others have valued rows
    left; ``None`` is `DEFAULT_MOST`, or what lets the better half of few clusters fill it, and 1.0 is the plain form of
    the paper (arXiv 2405.00705). The share is rounded down
    to whole rows, and up to one. Where clusters are too few to fill the selection under the cap, it is raised for all
    of them alike, to the smallest number of rows with which they fill it. Clusters without a value have no cap.
    """

    most: float | None = None

    def __post_init__(self) -> None:
        if self.most is None:
            return
        number = isinstance(self.most, int | float | np.number) and not isinstance(self.most, bool)
        if not number or not 0 < self.most <= 1:
            raise InputError(f"most={self.most!r} is not a share in (0, 1]; pass 0.25 for a quarter, or 1.0 for no cap")

    def __call__(
        self, values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator
    ) -> IntVector:
        """``(size,)`` row ids, the best clusters first; nothing is left to chance."""
        quotas = self.quotas(values, _sizes(members), size)
        return np.concatenate([members[cluster][: quotas[cluster]] for cluster in _best_first(values)])

    def quotas(self, values: FloatVector, sizes: IntVector, size: int) -> IntVector:
        """How many rows each cluster gives ``(c,)``, their sum ``size``, where it has ``sizes[i]`` of them."""
        best_first = _best_first(values)
        offered = np.where(np.isnan(values), sizes, np.minimum(sizes, self._cap(sizes[~np.isnan(values)], size)))
        offered = offered[best_first]
        quotas = np.empty(len(sizes), dtype=np.int64)
        quotas[best_first] = np.clip(size - (np.cumsum(offered) - offered), 0, offered)
        return quotas

    def _cap(self, sizes: IntVector, size: int) -> int:
        """The most rows that a valued cluster gives, where they have ``sizes``."""
        most = max(DEFAULT_MOST, 2 / max(len(sizes), 1)) if self.most is None else self.most
        lowest = min(size, max(1, math.floor(most * size + 1e-9)))  # 0.29 of 100 rows are 29, in floating point 28.999…
        wanted = min(size, int(sizes.sum()))
        return bisect_left(range(size + 1), wanted, lo=min(lowest, size), key=lambda cap: np.minimum(sizes, cap).sum())


@dataclass(frozen=True)
class QWCS:
    """Quality-weighted cluster sampling: draw a cluster by its value, take its next row; repeat.

    The probability of a cluster is ∝ (rows it has left)·exp(f·value), so that rows of equal value are all alike likely.
    With ``by_size=False`` it is ∝ exp(f·value), as in the paper (arXiv 2405.00705): there a cluster of 5 rows is drawn
    as often as one of 500 of the same value. A used-up cluster leaves the draw. ``factor`` is the paper's f. ``None``
    is ``sharpness`` over the standard deviation of the values, so that a value one standard deviation higher makes a
    row e^sharpness times as likely, whatever the units of the utility.
    """

    factor: float | None = None
    sharpness: float = 1.0
    by_size: bool = True

    def __post_init__(self) -> None:
        for name, number in (("factor", self.factor or 0.0), ("sharpness", self.sharpness)):
            if not np.isfinite(number):
                raise InputError(f"{name}={number} is not finite; pass a number")
            if number < 0:
                raise InputError(f"{name}={number} is negative, which prefers the worst; pass a number >= 0")

    def __call__(
        self, values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator
    ) -> IntVector:
        """``(size,)`` row ids, in the order they were drawn."""
        sizes, logits = _sizes(members), self._logits(values)
        drawn = (_race if self.by_size else _one_by_one)(logits, sizes, size, rng)
        rows = np.concatenate(list(members))
        return np.asarray(rows[(np.cumsum(sizes) - sizes)[drawn] + _nth(drawn)], dtype=np.int64)

    def _logits(self, values: FloatVector) -> FloatVector:
        valued = values[~np.isnan(values)]
        spread = float(valued.std()) if len(valued) else 0.0
        factor = self.factor if self.factor is not None else self.sharpness / spread if spread > 0 else 0.0
        return np.asarray(factor * values, dtype=np.float64)


@dataclass(frozen=True)
class Random:
    """Every row alike, whatever the values and the order of the rows: what a curation has to beat."""

    def __call__(
        self, values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator
    ) -> IntVector:
        """``(size,)`` row ids, uniformly without replacement."""
        return rng.choice(np.concatenate(list(members)), size=size, replace=False)


SAMPLERS: dict[str, type[Sampler]] = {"qocs": QOCS, "qwcs": QWCS, "random": Random}


_BEFORE: dict[str, dict[str, Any]] = {"QOCS": {"most": 1.0}, "QWCS": {"by_size": False}}
"""What a description means that was written before its sampler had the field."""


def sampler_from(name_or_object: str | Sampler) -> Sampler:
    """A sampler by its short name, or the object itself. Raises `InputError` for an unknown name."""
    if not isinstance(name_or_object, str):
        if isinstance(name_or_object, type) or not callable(name_or_object):
            raise InputError(
                f"sampler={name_or_object!r} cannot be called; pass one of {sorted(SAMPLERS)} or an object"
            )
        return name_or_object
    if name_or_object not in SAMPLERS:
        raise InputError(f"sampler={name_or_object!r} is unknown; pass one of {sorted(SAMPLERS)} or an object")
    return SAMPLERS[name_or_object]()


def sampler_of(description: Mapping[str, Any]) -> Sampler:
    """The sampler that a recipe describes, as it was when the recipe was written.

    Raises `InputError` for one that is not of this package.
    """
    kinds = {kind.__name__: kind for kind in SAMPLERS.values()}
    fields = {name: field for name, field in description.items() if name != "name"}
    try:
        return kinds[description["name"]](**_BEFORE.get(description["name"], {}) | fields)
    except (KeyError, TypeError) as error:
        raise InputError(f"the sampler {dict(description)} is unknown here; pass sampler=") from error


def choose(
    sampler: Sampler,
    values: FloatVector,
    members: Sequence[IntVector],
    size: int,
    rng: np.random.Generator,
    merit: Sequence[FloatVector] | None = None,
) -> IntVector:
    """``size`` different row ids in ascending order, checked.

    ``merit[i]`` says how good each row of ``members[i]`` is: of a cluster, the rows of higher merit are taken first,
    those of equal merit in random order, NaN last. Without it the order is random. Raises `InputError` when there are
    not that many rows, or not one merit per row.
    """
    available = sum(len(rows) for rows in members)
    if size > available:
        raise InputError(
            f"size={size} exceeds the {available} rows that can be chosen (held-out, leaking and invalid rows never "
            f"are); pass size <= {available}"
        )
    ordered = _in_order(members, merit, rng)
    rows = np.sort(np.atleast_1d(np.asarray(sampler(values, ordered, size, rng), dtype=np.int64)))
    chosen = np.intersect1d(rows, np.concatenate(ordered))
    if len(rows) != size or len(chosen) != size:
        raise InputError(
            f"{sampler} returned {len(rows)} rows, {len(chosen)} different ones of them in the clusters; it must "
            f"return {size}, each once"
        )
    return rows


def _in_order(
    members: Sequence[IntVector], merit: Sequence[FloatVector] | None, rng: np.random.Generator
) -> list[IntVector]:
    """The rows of every cluster in the order in which they are to be taken."""
    shuffles = [rng.permutation(len(rows)) for rows in members]
    shuffled = [rows[shuffle] for rows, shuffle in zip(members, shuffles, strict=True)]
    if merit is None:
        return shuffled
    merits = [np.asarray(of_rows, dtype=np.float64) for of_rows in merit]
    shapes, needed = [of_rows.shape for of_rows in merits], [(len(rows),) for rows in members]
    if shapes != needed:
        raise InputError(f"merit has the shapes {shapes}, the clusters {needed}; pass one number per row, in its place")
    ranks = [np.argsort(-m[shuffle], kind="stable") for m, shuffle in zip(merits, shuffles, strict=True)]
    return [rows[rank] for rows, rank in zip(shuffled, ranks, strict=True)]


def _sizes(members: Sequence[IntVector]) -> IntVector:
    return np.array([len(rows) for rows in members], dtype=np.int64)


def _best_first(values: FloatVector) -> IntVector:
    """The clusters from the best value down; those without a value come last."""
    return np.argsort(-values, kind="stable")  # numpy sorts NaN last


def _race(logits: FloatVector, sizes: IntVector, size: int, rng: np.random.Generator) -> IntVector:
    """The cluster of each draw ``(size,)``, drawn ∝ (rows left)·exp(logit); those without a value come last, by rows.

    Rows sorted by logit + Gumbel noise are rows drawn one by one without replacement, each ∝ exp(logit) (Yellott 1977).
    So the same noise with slightly different values is much the same selection, which drawing in turn would not be.
    """
    owners = np.repeat(np.arange(len(sizes)), sizes)
    unvalued = np.isnan(logits)
    below = np.where(unvalued, 0.0, np.max(logits[~unvalued], initial=-np.inf) - logits)
    order = np.argsort(below[owners] - rng.gumbel(size=len(owners)))
    late = unvalued[owners[order]]
    return np.asarray(owners[np.concatenate([order[~late], order[late]])[:size]], dtype=np.int64)


def _one_by_one(logits: FloatVector, sizes: IntVector, size: int, rng: np.random.Generator) -> IntVector:
    """The cluster of each draw ``(size,)``, drawn ∝ exp(logit) among those with rows left; those without a value come
    last, all alike.
    """
    left, drawn = sizes.copy(), np.empty(0, dtype=np.int64)
    while len(drawn) < size:
        clusters = rng.choice(len(sizes), size=size - len(drawn), p=_softmax(np.where(left > 0, logits, -np.inf)))
        # Drawing many clusters at once and passing over used-up ones has the distribution of drawing one by one.
        clusters = clusters[_nth(clusters) < left[clusters]]
        left -= np.bincount(clusters, minlength=len(sizes))
        drawn = np.append(drawn, clusters)
    return drawn


def _softmax(logits: FloatVector) -> FloatVector:
    """Probabilities; where no finite logit is left, the clusters without a value (NaN) share alike."""
    finite = np.isfinite(logits)
    if not finite.any():
        unvalued = np.isnan(logits)
        return np.asarray(unvalued / unvalued.sum(), dtype=np.float64)
    weights = np.exp(np.where(finite, logits - logits[finite].max(), -np.inf))
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _nth(clusters: IntVector) -> IntVector:
    """How often each draw's cluster was drawn before it."""
    counts = np.bincount(clusters)
    by_cluster = np.argsort(clusters.astype(np.min_scalar_type(len(counts))), kind="stable")  # short ones sort faster
    nth = np.empty(len(clusters), dtype=np.int64)
    nth[by_cluster] = np.arange(len(clusters)) - np.repeat(np.cumsum(counts) - counts, counts)
    return nth


def resolve_size(size: int | float, n: int) -> int:
    """``size`` as a number of rows of ``n``; a share is rounded, to at least one row. Raises `InputError` for anything
    else.
    """
    if isinstance(size, bool) or not isinstance(size, int | float | np.integer | np.floating) or size != size:
        raise InputError(
            f"size={size!r} is neither a number of rows nor a share; pass an int in 1 … {n} or a float in (0, 1]"
        )
    if isinstance(size, int | np.integer):
        if not 1 <= size <= n:
            raise InputError(f"size={size} is not in 1 … {n}, the rows of the dataset; pass size <= {n}")
        return int(size)
    if not 0 < size <= 1:
        raise InputError(f"size={size} is not a share in (0, 1]; pass 0.1 for a tenth, or an int for a number of rows")
    return max(1, round(size * n))
