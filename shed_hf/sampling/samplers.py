"""Samplers: which rows of which clusters are kept, given the clusters' values.

All keep exactly ``size`` rows whatever the clusters' sizes. All but `Random` take rows without a value (noise, clusters
in which no row can be trained on) only when the valued ones are used up. `choose` decides which rows of a cluster come
first, a sampler how many it takes of each. `QOCS` and `QWCS` are those of SHED (arXiv 2405.00705).
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from shed_hf.errors import InputError
from shed_hf.sampling.gumbel_noise import GumbelNoise
from shed_hf.sampling.interleaving import best_under_cap, rows_in_turn
from shed_hf.sampling.weighted_draws import draws_in_turn, gumbel_draws
from shed_hf.types import FloatMatrix, FloatVector, IntMatrix, IntVector
from shed_hf.utils.checks import check_flag, is_finite_number

DEFAULT_MOST = 0.25
"""The largest share of a selection that `QOCS` takes of one cluster unless told otherwise."""


class Sampler(Protocol):
    """Chooses ``size`` rows from clusters ``members[i]`` valued ``values[i]``; NaN is a cluster without a value.

    ``members[i]`` are in the order in which they are to be taken, so take them from the front. What is returned is in
    the order of taking: its first k rows are what is kept of it where only k rows are wanted.
    """

    def __call__(
        self, values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator
    ) -> IntVector: ...


@dataclass(frozen=True)
class QOCS:
    """Quality-ordered cluster sampling: clusters from the best value down, each whole or up to a cap, the last in part.

    The cap in rows is rounded down, and up to one. Where clusters are too few to fill the selection under the cap, it
    is raised for all of them alike, to the smallest number of rows with which they fill it. Clusters without a value
    have no cap.

    Rows come in such an order that the first k of them are a choice of k rows of those: the best clusters first, none
    filling more than the cap of k rows, rounded up, while others have rows left. Without a cap they are exactly what
    is taken for the size k; with one, wherever the cap of k is a whole number and no cluster is used up below it. In
    between no order can be that, since with a larger size worse clusters lose rows that they have at a smaller one.

    Attributes:
        most: The largest share of the selection, in (0, 1], that one cluster may fill while others have valued rows
            left. None is `DEFAULT_MOST`, or 2 / clusters where there are fewer than eight; 1.0 is the form of the
            paper (arXiv 2405.00705).

    Raises:
        InputError: For a share that is not in (0, 1].
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
        """Take rows of the best clusters first; nothing is left to chance.

        Args:
            values: The value of each cluster ``(c,)``; NaN without one.
            members: The row ids of each cluster, in the order in which they are to be taken.
            size: How many rows to take.
            rng: Not used.

        Returns:
            Row ids ``(size,)`` in the order in which they are taken.
        """
        best_first = _best_first(values)
        quotas = self.quotas(values, _sizes(members), size)[best_first]
        n_valued = int((~np.isnan(values)).sum())
        turns = best_under_cap(quotas[:n_valued], self._share(n_valued))
        last = np.repeat(np.arange(n_valued, len(quotas)), quotas[n_valued:])
        return rows_in_turn(members, best_first[np.concatenate([turns, last])])

    def quotas(self, values: FloatVector, sizes: IntVector, size: int) -> IntVector:
        """How many rows each cluster gives.

        Args:
            values: The value of each cluster ``(c,)``; NaN without one.
            sizes: How many rows each cluster has ``(c,)``.
            size: How many rows to take.

        Returns:
            Numbers of rows ``(c,)`` with the sum ``size``.
        """
        best_first = _best_first(values)
        offered = self.limits(values, sizes, size)[best_first]
        quotas = np.empty(len(sizes), dtype=np.int64)
        quotas[best_first] = np.clip(size - (np.cumsum(offered) - offered), 0, offered)
        return quotas

    def limits(self, values: FloatVector, sizes: IntVector, size: int) -> IntVector:
        """The most rows that each cluster may give.

        Args:
            values: The value of each cluster ``(c,)``; NaN without one.
            sizes: How many rows each cluster has ``(c,)``.
            size: How many rows are taken of all.

        Returns:
            Numbers of rows ``(c,)``: at most the cap of clusters with a value, all rows of others.
        """
        capped = np.minimum(sizes, self._cap(sizes[~np.isnan(values)], size))
        return np.where(np.isnan(values), sizes, capped)

    def _cap(self, sizes: IntVector, size: int) -> int:
        """The most rows that a valued cluster gives, where they have ``sizes``."""
        # 0.29 of 100 rows are 29, in floating point 28.999…
        lowest = min(size, max(1, math.floor(self._share(len(sizes)) * size + 1e-9)))
        wanted = min(size, int(sizes.sum()))
        return bisect_left(range(size + 1), wanted, lo=min(lowest, size), key=lambda cap: np.minimum(sizes, cap).sum())

    def _share(self, n_valued: int) -> float:
        """The largest share that one of so many clusters with a value fills."""
        if self.most is not None:
            return float(self.most)
        return min(1.0, max(DEFAULT_MOST, 2 / max(n_valued, 1)))


@dataclass(frozen=True)
class QWCS:
    """Quality-weighted cluster sampling: draw a cluster by its value, take its next row; repeat.

    The probability of a cluster is ∝ (rows it has left)·exp(f·value), so that rows of equal value are all alike likely.
    A cluster without rows left is drawn no more.

    Attributes:
        factor: f of the paper (arXiv 2405.00705). None is ``sharpness`` over the standard deviation of the values.
        sharpness: A row whose value is one standard deviation higher is e^sharpness times as likely, whatever the
            units of the utility.
        by_size: False draws a cluster ∝ exp(f·value), as in the paper: a cluster of 5 rows as often as one of 500 of
            the same value.

    Raises:
        InputError: For a factor or sharpness that is negative or not finite.
    """

    factor: float | None = None
    sharpness: float = 1.0
    by_size: bool = True

    def __post_init__(self) -> None:
        check_flag(by_size=self.by_size)
        for name, number in (("factor", 0.0 if self.factor is None else self.factor), ("sharpness", self.sharpness)):
            if not is_finite_number(number):
                raise InputError(f"{name}={number!r} is not a finite number; pass one")
            if number < 0:
                raise InputError(f"{name}={number} is negative, which prefers the worst; pass a number >= 0")

    def __call__(
        self, values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator
    ) -> IntVector:
        """Draw rows without replacement.

        Args:
            values: The value of each cluster ``(c,)``; NaN without one.
            members: The row ids of each cluster, in the order in which they are to be taken.
            size: How many rows to draw.
            rng: Draws the clusters.

        Returns:
            Row ids ``(size,)``, in the order they were drawn; the first k are what is drawn for the size k.
        """
        return rows_in_turn(members, self.turns(values, _sizes(members), size, rng))

    def turns(self, values: FloatVector, sizes: IntVector, size: int, rng: np.random.Generator) -> IntVector:
        """The cluster of each row in the order in which they are drawn.

        Args:
            values: The value of each cluster ``(c,)``; NaN without one.
            sizes: How many rows each cluster has ``(c,)``.
            size: How many rows to draw.
            rng: Draws the clusters.

        Returns:
            Clusters ``(size,)``.
        """
        draw = gumbel_draws if self.by_size else draws_in_turn
        return draw(self._logits(values), sizes, size, rng)

    def _logits(self, values: FloatVector) -> FloatVector:
        valued = values[~np.isnan(values)]
        spread = float(valued.std()) if len(valued) else 0.0
        factor = self.factor if self.factor is not None else self.sharpness / spread if spread > 0 else 0.0
        return np.asarray(factor * values, dtype=np.float64)

    def quotas(self, values: FloatMatrix, noise: GumbelNoise, size: int) -> IntMatrix:
        """How many rows each cluster gives, where clusters are drawn by their size.

        Args:
            values: Values of the clusters, line by line ``(lines, c)``; NaN in the columns of clusters without one.
            noise: What chance makes of the rows.
            size: How many rows to take.

        Returns:
            Numbers of rows ``(lines, c)``, each line with the sum ``size``.
        """
        return noise.quotas(np.stack([self._logits(line) for line in values]), size)


@dataclass(frozen=True)
class Random:
    """Draws all rows with equal probability, whatever the values: the baseline that a curation has to beat."""

    def __call__(
        self, values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator
    ) -> IntVector:
        """Draw rows uniformly without replacement.

        Args:
            values: Not used.
            members: The row ids of each cluster.
            size: How many rows to draw.
            rng: Draws the rows.

        Returns:
            Row ids ``(size,)``; the first k are what is drawn for the size k.
        """
        return rng.permutation(np.concatenate(list(members)))[:size]


def choose(
    sampler: Sampler,
    values: FloatVector,
    members: Sequence[IntVector],
    size: int,
    rng: np.random.Generator,
    merit: Sequence[FloatVector] | None = None,
) -> IntVector:
    """Choose rows with a sampler, and check what it returns.

    Args:
        sampler: Decides how many rows each cluster gives.
        values: The value of each cluster ``(c,)``; NaN without one.
        members: The row ids of each cluster.
        size: How many rows to choose.
        rng: Orders the rows of a cluster, and goes to the sampler.
        merit: A number for each row of each cluster. Of a cluster, rows of higher merit are taken first, those of equal
            merit in random order, NaN last. None for random order.

    Returns:
        Different row ids ``(size,)`` in the order in which the sampler takes them.

    Raises:
        InputError: When there are fewer than ``size`` rows, there is not one merit per row, or the sampler returns
            anything but ``size`` different rows of the clusters.
    """
    available = sum(len(rows) for rows in members)
    if size > available:
        raise InputError(
            f"size={size} exceeds the {available} rows that can be chosen (held-out, leaking and invalid rows never "
            f"are); pass size <= {available}"
        )
    return take(sampler, values, in_order(members, merit, rng), size, rng)


def take(
    sampler: Sampler, values: FloatVector, ordered: Sequence[IntVector], size: int, rng: np.random.Generator
) -> IntVector:
    """What a sampler takes of rows that are in order, checked.

    Args:
        sampler: Decides how many rows each cluster gives.
        values: The value of each cluster ``(c,)``; NaN without one.
        ordered: The row ids of each cluster, as `in_order` gives them.
        size: How many rows to take, at most as many as there are.
        rng: Goes to the sampler.

    Returns:
        Different row ids ``(size,)`` in the order in which the sampler takes them.

    Raises:
        InputError: When the sampler returns anything but ``size`` different rows of the clusters.
    """
    rows = np.atleast_1d(np.asarray(sampler(values, ordered, size, rng), dtype=np.int64))
    n_different = _n_different(rows, np.concatenate(list(ordered)))
    if len(rows) != size or n_different != size:
        raise InputError(
            f"{sampler} returned {len(rows)} rows, {n_different} different ones of them in the clusters; it must "
            f"return {size}, each once"
        )
    return rows


def _n_different(rows: IntVector, among: IntVector) -> int:
    """How many different ones of some row ids are among others; sorting a million of them takes far longer."""
    taken = np.zeros(int(among.max(initial=-1)) + 1, dtype=np.bool_)
    taken[rows[(rows >= 0) & (rows < len(taken))]] = True
    return int(np.count_nonzero(taken[among]))


def in_order(
    members: Sequence[IntVector], merit: Sequence[FloatVector] | None, rng: np.random.Generator
) -> list[IntVector]:
    """The rows of every cluster in the order in which they are to be taken.

    Args:
        members: The row ids of each cluster.
        merit: As in `choose`.
        rng: Orders rows of equal merit.

    Returns:
        The row ids of each cluster.

    Raises:
        InputError: Where there is not one merit per row.
    """
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
