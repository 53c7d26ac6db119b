"""Whether signals explain outcomes better than chance: a rotation test."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shed_hf.sampling.outcome_regression import Fit, Scale, prior_mean
from shed_hf.sampling.regression_data import Data, Part
from shed_hf.types import FloatMatrix, FloatVector

ROTATIONS = 199


ENOUGH = 40
"""So many rotations that let the signals explain as much are enough: more would only tell large p-values apart."""


LEAST_SETS = 5
"""With fewer sets, terms of size taken off, no weights are called shown."""


def p_value_of_signals(datas: Sequence[Data], scales: Sequence[Scale], fit: Fit, rng: np.random.Generator) -> float:
    """How often chance lets the signals explain the outcomes as well in the best of several shapes.

    If the signals explain nothing, outcomes with size and players' variances taken off are noise that is as likely in
    one direction of the space of sets as in another, so they are turned at random (Langsrud 2005, Rotation tests):
    what players can explain, and what they cannot, each by itself, so that players that differ are not taken for
    signals. All items of a set are turned together, so whatever makes items alike stays in the outcomes.

    Args:
        datas: Outcomes, and features in each of the shapes.
        scales: The units of the weights in each shape.
        fit: The regression whose variances are taken for all shapes.
        rng: Draws the rotations.

    Returns:
        The p-value; NaN where there are too few sets.
    """
    means, differences = (datas[0].parts[variance] for variance in fit.player_variances)
    if means.freedom < LEAST_SETS:
        return float("nan")
    explained = [_Explained(data, scale, fit) for data, scale in zip(datas, scales, strict=True)]
    found = max(each() for each in explained)
    turn_means, turn_differences = _Rotations(means, rng), _Rotations(differences, rng)
    as_much = 0
    for number in range(ROTATIONS):
        if as_much == ENOUGH:  # the p-value is known well enough (Besag & Clifford 1991)
            return as_much / number
        turned = turn_means(rng), turn_differences(rng)
        as_much += max(each(*turned) for each in explained) >= found
    return (1 + as_much) / (1 + ROTATIONS)


class _Rotations:
    """Rotations ``(k, k)``, uniformly at random, within each of a part's spaces.

    They are drawn without regard to the bases that stand for the spaces, so every machine draws the same.
    """

    def __init__(self, part: Part, rng: np.random.Generator) -> None:
        self.spaces = part.spaces
        self.first = [_random_basis(basis, rng) for basis in part.spaces]

    def __call__(self, rng: np.random.Generator) -> FloatMatrix:
        """One more rotation."""
        turned = [_random_basis(basis, rng) @ first.T for basis, first in zip(self.spaces, self.first, strict=True)]
        return np.asarray(np.sum(turned, axis=0), dtype=np.float64)


def _random_basis(basis: FloatMatrix, rng: np.random.Generator) -> FloatMatrix:
    """Another orthonormal basis of the same space: random directions, projected and made orthogonal in turn."""
    drawn = basis @ (basis.T @ rng.standard_normal(basis.shape))
    orthogonal, triangle = np.linalg.qr(drawn)
    return np.asarray(orthogonal * np.sign(np.diag(triangle)), dtype=np.float64)


class _Explained:
    """How much of the outcomes the signals explain when the outcomes are turned.

    Weights are those of the posterior with a prior mean of 0; signals of rows and items only count with weights above
    0, as a row that brings an item more is not supposed to harm it.
    """

    def __init__(self, data: Data, scale: Scale, fit: Fit) -> None:
        scaled = replace(data, features=data.features * scale.factors[:, None, None])
        means, differences = (data.parts[variance] for variance in fit.player_variances)
        y, x = scaled.mean_columns(means)
        of_mean, of_differences = (1 / noise if noise else 0.0 for noise in fit.noise)
        of_differences /= fit.design_effect
        y_items, x_items = scaled.difference_columns(differences)
        self.of_mean: FloatMatrix = of_mean * np.einsum("sK,r->Ksr", x, y)
        self.of_differences: FloatMatrix = of_differences * np.einsum("Kst,rt->Ksr", x_items, y_items)
        information = of_mean * x.T @ x + of_differences * np.einsum("Kst,Lst->KL", x_items, x_items)
        self.precision: FloatMatrix = information + np.eye(len(information)) / fit.spread**2
        self.inverse: FloatMatrix = np.linalg.inv(self.precision)
        self.of_items = prior_mean(data.of_items) > 0

    def __call__(self, means: FloatMatrix | None = None, differences: FloatMatrix | None = None) -> float:
        """For rotations ``(k, k)`` of the mean outcomes and of the differences; None for outcomes as they are."""
        unturned = np.eye(self.of_mean.shape[1])
        right: FloatVector = np.sum(self.of_mean * (unturned if means is None else means), axis=(1, 2))
        right = right + np.sum(self.of_differences * (unturned if differences is None else differences), axis=(1, 2))
        weights = self.inverse @ right
        weights = np.where(self.of_items, np.maximum(weights, 0), weights)
        return float(2 * weights @ right - weights @ self.precision @ weights)
