"""Gaussian processes over coalitions whose Shapley values are Gaussian too: the kernels of the Bayesian regression.

A game drawn from a kernel k has Cov(v(S), v(T)) = k(S, T). Shapley values are linear in the game, so a kernel gives
Cov(φᵢ, v(T)) and Cov(φᵢ, φⱼ). All kernels here have a closed form for both, so no 2ⁿ coalitions are visited. Every one
is conditioned on v(∅) = v(N) = 0: it says how a game departs from a straight line between its ends.

- `PlayerEffects`: (1[i ∈ S] − s/n)·u(s) for every player, where the effect u may change with the coalition's size s.
- `SizeCurve`: a function of the size, which is worth nothing to one player more than to another.
- `Interactions`: ρ^|S Δ T| over the players in which two coalitions differ, interactions of every order. A product over
  players, so its Shapley values are an integral over the chance x to be a member (Owen 1972, the multilinear
  extension), which Gauss–Legendre quadrature with ⌈n/2⌉ nodes takes exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeAlias

import numpy as np

from shed_hf.types import CoalitionMatrix, FloatMatrix, FloatVector, IntVector

KernelParts: TypeAlias = tuple[FloatMatrix, FloatMatrix, FloatMatrix]
"""The covariances of utilities ``(m, m)``, of values with utilities ``(n, m)``, and of values ``(n, n)``."""


class Kernel(Protocol):
    """A covariance of games between whose ends, v(∅) and v(N), nothing is left to chance."""

    def covariance(self, first: CoalitionMatrix, second: CoalitionMatrix) -> FloatMatrix:
        """The covariances of the utilities of coalitions.

        Args:
            first: ``(k, n)`` boolean.
            second: ``(m, n)`` boolean.

        Returns:
            ``(k, m)``.
        """
        ...

    def with_values(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """The covariances of the Shapley values with the utilities of coalitions.

        Args:
            coalitions: ``(m, n)`` boolean.

        Returns:
            ``(n, m)``.
        """
        ...

    def of_values(self) -> FloatMatrix:
        """The covariances of the Shapley values, ``(n, n)``."""
        ...


@dataclass(frozen=True, eq=False)
class PlayerEffects:
    """What players add beyond the mean player.

    With effects u(s) that change with the size, a player's Shapley value is the mean of u over the sizes 1 … n − 1.

    Attributes:
        root: ``(n, n)`` with root·rootᵀ = C, the covariance of the players' effects, which sum to zero.
        length: Over which share of the players effects stay alike; infinite where they do not change with the size.
    """

    root: FloatMatrix
    length: float = float("inf")

    def covariance(self, first: CoalitionMatrix, second: CoalitionMatrix) -> FloatMatrix:
        """Cov(v(S), v(T)); its mean over sizes is 1 where C is that of independent players.

        Args:
            first: ``(k, n)`` boolean.
            second: ``(m, n)`` boolean.

        Returns:
            ``(k, m)``.
        """
        n = len(self.root)
        inside = self._effects(first) @ self._effects(second).T / self._scale
        return np.asarray(inside * self._alike(first.sum(axis=1) / n, second.sum(axis=1) / n), dtype=np.float64)

    def with_values(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """Cov(φ, v(T)).

        Args:
            coalitions: ``(m, n)`` boolean.

        Returns:
            ``(n, m)``.
        """
        n = len(self.root)
        share = self._alike(self._sizes, coalitions.sum(axis=1) / n).mean(axis=0)
        return np.asarray(self.root @ self._effects(coalitions).T * share / self._scale, dtype=np.float64)

    def of_values(self) -> FloatMatrix:
        """Cov(φ, φ) ``(n, n)``."""
        share = self._alike(self._sizes, self._sizes).mean()
        return np.asarray(self.root @ self.root.T * share / self._scale, dtype=np.float64)

    def over_lengths(self, coalitions: CoalitionMatrix, lengths: Sequence[float]) -> list[KernelParts]:
        """The covariances among some coalitions and the values, with the same root and several lengths.

        Args:
            coalitions: ``(m, n)`` boolean.
            lengths: The lengths.

        Returns:
            For each length what the kernel's three methods give.
        """
        effects, shares = self._effects(coalitions), coalitions.sum(axis=1) / len(self.root)
        utilities, with_values = effects @ effects.T / self._scale, self.root @ effects.T
        values, parts = self.root @ self.root.T, []
        for length in lengths:
            share = _bell(self._sizes, shares, length).mean(axis=0)
            of_values = values * _bell(self._sizes, self._sizes, length).mean() / self._scale
            alike = _bell(shares, shares, length)
            parts.append((utilities * alike, with_values * share / self._scale, of_values))
        return parts

    @property
    def _sizes(self) -> FloatVector:
        n = len(self.root)
        return np.arange(1, n) / n

    @property
    def _scale(self) -> float:
        """The mean of s·(n − s)/n over the sizes between the ends."""
        return (len(self.root) + 1) / 6

    def _effects(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        return np.asarray((coalitions - coalitions.mean(axis=1, keepdims=True)) @ self.root, dtype=np.float64)

    def _alike(self, first: FloatVector, second: FloatVector) -> FloatMatrix:
        return _bell(first, second, self.length)


@dataclass(frozen=True)
class SizeCurve:
    """A function of the coalition's size.

    Attributes:
        n_players: n.
        length: Over which share of the players its smooth part stays alike.
        roughness: The share of the variance that every size has by itself.
    """

    n_players: int
    length: float
    roughness: float = 0.05

    def covariance(self, first: CoalitionMatrix, second: CoalitionMatrix) -> FloatMatrix:
        """Cov(v(S), v(T)); its mean over sizes is 1.

        Args:
            first: ``(k, n)`` boolean.
            second: ``(m, n)`` boolean.

        Returns:
            ``(k, m)``.
        """
        table = _curve_table(self)
        return table[np.ix_(first.sum(axis=1), second.sum(axis=1))]

    def with_values(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """Cov(φ, v(T)): nothing, as all players are alike.

        Args:
            coalitions: ``(m, n)`` boolean.

        Returns:
            ``(n, m)`` zeros.
        """
        return np.zeros((self.n_players, len(coalitions)))

    def of_values(self) -> FloatMatrix:
        """Cov(φ, φ) ``(n, n)``: nothing."""
        return np.zeros((self.n_players, self.n_players))


@lru_cache(maxsize=64)
def _curve_table(kernel: SizeCurve) -> FloatMatrix:
    """The covariances of all sizes ``(n + 1, n + 1)``."""
    sizes = np.arange(kernel.n_players + 1) / kernel.n_players
    smooth = _bell(sizes, sizes, kernel.length)
    free = (1 - kernel.roughness) * smooth + kernel.roughness * np.eye(len(sizes))
    table = free - _through_ends(free[:, [0, -1]], free[:, [0, -1]], float(free[0, -1]))
    return np.asarray(table / _mean_variance(np.diag(table)), dtype=np.float64)


@dataclass(frozen=True)
class Interactions:
    """Interactions of every order: coalitions are the more alike the fewer players they differ in.

    Attributes:
        n_players: n.
        decay: λ in ρ = exp(−λ/n): the larger, the more of the variance lies in interactions of high order.
    """

    n_players: int
    decay: float

    def covariance(self, first: CoalitionMatrix, second: CoalitionMatrix) -> FloatMatrix:
        """Cov(v(S), v(T)); its mean over sizes is 1.

        Args:
            first: ``(k, n)`` boolean.
            second: ``(m, n)`` boolean.

        Returns:
            ``(k, m)``.
        """
        ones, twos = first.astype(np.float64), second.astype(np.float64)
        s, t = first.sum(axis=1), second.sum(axis=1)
        free = self.rho ** (s[:, None] + t - 2 * (ones @ twos.T))
        given = _through_ends(self.to_ends(s), self.to_ends(t), self.rho**self.n_players)
        return np.asarray((free - given) / _mean_over_sizes(self), dtype=np.float64)

    def with_values(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """Cov(φ, v(T)).

        Args:
            coalitions: ``(m, n)`` boolean.

        Returns:
            ``(n, m)``.
        """
        member, other = (part / _mean_over_sizes(self) for part in _values_by_size(self))
        sizes = coalitions.sum(axis=1)
        return np.asarray(np.where(coalitions.T, member[sizes], other[sizes]), dtype=np.float64)

    def of_values(self) -> FloatMatrix:
        """Cov(φ, φ) ``(n, n)``."""
        member, other = (part / _mean_over_sizes(self) for part in _values_by_size(self))
        variance = float(np.mean(member[1:] - other[:-1]))
        total = member[-1] - other[0]
        covariance = (total - variance) / max(self.n_players - 1, 1)
        return np.asarray(covariance + (variance - covariance) * np.eye(self.n_players), dtype=np.float64)

    @property
    def rho(self) -> float:
        """By how much two coalitions are less alike for every player in which they differ."""
        return float(np.exp(-self.decay / self.n_players))

    def to_ends(self, sizes: IntVector) -> FloatMatrix:
        """The covariance of coalitions with v(∅) and v(N), before these are given.

        Args:
            sizes: ``(m,)`` how many players each has.

        Returns:
            ``(m, 2)``.
        """
        return np.asarray(np.stack([self.rho**sizes, self.rho ** (self.n_players - sizes)], axis=1), dtype=np.float64)


@lru_cache(maxsize=64)
def _mean_over_sizes(kernel: Interactions) -> float:
    """The mean variance over sizes, before scaling."""
    to_ends = kernel.to_ends(np.arange(kernel.n_players + 1))
    return _mean_variance(1 - np.diag(_through_ends(to_ends, to_ends, kernel.rho**kernel.n_players)))


@lru_cache(maxsize=64)
def _values_by_size(kernel: Interactions) -> tuple[FloatVector, FloatVector]:
    """Cov(φᵢ, v(T)) for the sizes 0 … n of T, where i is in T and where it is not ``(n + 1,)``, before scaling.

    Owen's integral of v(T ∪ i) − v(T) over the chance x of the others to be in T.
    """
    n, rho = kernel.n_players, kernel.rho
    nodes, weights = np.polynomial.legendre.leggauss(n // 2 + 1)
    x, weights = (nodes + 1) / 2, weights / 2 * (1 - rho)
    inside, outside = np.log(x + (1 - x) * rho), np.log(1 - x + x * rho)
    sizes = np.arange(n + 1)[:, None]
    member = np.exp((sizes - 1) * inside + (n - sizes) * outside) @ weights
    other = -np.exp(sizes * inside + (n - 1 - sizes) * outside) @ weights
    gain = (rho**n - 1) / n  # what v(S) = ρ^s is worth to each player, and v(S) = ρ^(n − s) with the other sign
    given = _through_ends(np.array([[gain, -gain]]), kernel.to_ends(sizes[:, 0]), rho**n)[0]
    return member - given, other - given


def _bell(first: FloatVector, second: FloatVector, length: float) -> FloatMatrix:
    return np.exp(-((first[:, None] - second) ** 2) / (2 * length**2))


def _through_ends(first: FloatMatrix, second: FloatMatrix, between: float) -> FloatMatrix:
    """What both ends tell: covariances with them ``(k, 2)`` and ``(m, 2)``, and ``between`` the two of variance 1."""
    ends = np.array([[1.0, between], [between, 1.0]])
    return np.asarray(first @ np.linalg.solve(ends, second.T), dtype=np.float64)


def _mean_variance(variances: FloatVector) -> float:
    return float(variances[1:-1].mean()) if len(variances) > 2 else 1.0
