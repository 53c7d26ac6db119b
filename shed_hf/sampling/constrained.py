"""How many rows each cluster gives where sums over the clusters must not fall below bounds: an integer program."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np

from shed_hf.sampling.interleaving import in_proportion, rows_in_turn
from shed_hf.types import BoolVector, FloatMatrix, FloatVector, IntVector

SLACK = 1e-6
"""By how much a sum may miss its bound, in units of the largest effect of one row: what the solver promises."""


MOST_NODES = 20_000
"""How many nodes of branch and bound are looked at; the best choice found by then counts."""


@runtime_checkable
class TakesBestClusters(Protocol):
    """A sampler that takes the best clusters first, each up to a limit, so that its choice maximises Σ n·value.

    ``quotas`` are how many rows each cluster gives, ``limits`` how many it may give at most.
    """

    def quotas(self, values: FloatVector, sizes: IntVector, size: int) -> IntVector: ...

    def limits(self, values: FloatVector, sizes: IntVector, size: int) -> IntVector: ...


@dataclass(frozen=True, eq=False)
class TakesQuotas:
    """A sampler that takes given numbers of rows, the first of each cluster.

    The first k rows have the shares of clusters that all rows have, up to a row of each, so that what is expected of
    groups of evaluation items shrinks alike for all.

    Attributes:
        quotas: How many rows each cluster gives ``(c,)``.
    """

    quotas: IntVector

    def __call__(
        self, values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator
    ) -> IntVector:
        """Take the first rows of each cluster; nothing is left to chance.

        Args:
            values: Not used.
            members: The row ids of each cluster, in the order in which they are to be taken.
            size: Not used: the quotas' sum.
            rng: Not used.

        Returns:
            Row ids in the order in which they are taken.
        """
        return rows_in_turn(members, in_proportion(self.quotas))


@dataclass(frozen=True, eq=False)
class QuotaProgram:
    """Maximise Σ n·value over whole numbers n of rows, Σ n fixed, with lower bounds on sums of effects.

    Attributes:
        values: The value of each cluster ``(c,)``; NaN without one.
        preferred: The numbers without bounds on effects ``(c,)``; they fix the total, and what clusters without a value
            give.
        limits: The most rows that each cluster may give ``(c,)``.
        effects: What a row of each cluster adds to each sum ``(g, c)``.
        least: The lower bound of each sum ``(g,)``.
    """

    values: FloatVector
    preferred: IntVector
    limits: IntVector
    effects: FloatMatrix
    least: FloatVector

    def keeps(self, quotas: IntVector) -> BoolVector:
        """Which bounds some numbers of rows keep, up to `SLACK`.

        Args:
            quotas: ``(c,)``.

        Returns:
            ``(g,)``.
        """
        return np.asarray(self.effects @ quotas >= self.least - SLACK * self._scales, dtype=np.bool_)

    def best(self) -> IntVector | None:
        """The numbers that keep all bounds with the largest Σ n·value.

        Returns:
            ``(c,)``, ``preferred`` where it keeps them; None where nothing does.
        """
        if self.keeps(self.preferred).all():
            return self.preferred
        gains = np.where(self._valued, np.nan_to_num(self.values - np.nanmin(self.values)), 0.0)
        scale = gains.max() or 1.0
        found = self._solved(np.append(gains / scale, 0.0), relaxed=False)
        return found if found is not None and self.keeps(found).all() else None

    def nearest(self) -> IntVector:
        """The numbers of which the largest miss of a bound is smallest.

        Returns:
            ``(c,)``.
        """
        gains = np.zeros(len(self.values) + 1)
        gains[-1] = -1.0
        found = self._solved(gains, relaxed=True)
        return self.preferred if found is None else found

    @cached_property
    def _scales(self) -> FloatVector:
        scales = np.abs(self.effects).max(axis=1, initial=0.0)
        return np.where(scales > 0, scales, 1.0)

    @property
    def _valued(self) -> BoolVector:
        return np.asarray(~np.isnan(self.values), dtype=np.bool_)

    def _solved(self, gains: FloatVector, relaxed: bool) -> IntVector | None:
        """The numbers with the largest Σ n·gain; relaxed, every bound may be missed by one more variable."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        scales = np.full(len(self._scales), self._scales.max()) if relaxed else self._scales
        effects = np.column_stack([self.effects / scales[:, None], np.full(len(scales), float(relaxed))])
        lowest = np.append(np.where(self._valued, 0, self.preferred), 0.0)
        highest = np.append(np.where(self._valued, self.limits, self.preferred), np.inf if relaxed else 0.0)
        total = np.append(np.ones(len(self.values)), 0.0)
        solution = milp(
            -gains,
            integrality=np.append(np.ones(len(self.values)), 0.0),
            bounds=Bounds(lowest, highest),
            constraints=[
                LinearConstraint(total[None], self.preferred.sum(), self.preferred.sum()),
                LinearConstraint(effects, self.least / scales, np.inf),
            ],
            options={"node_limit": MOST_NODES, "mip_rel_gap": 1e-6},
        )
        return None if solution.x is None else np.rint(solution.x[:-1]).astype(np.int64)
