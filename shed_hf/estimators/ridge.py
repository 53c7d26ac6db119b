"""KernelSHAP with a ridge (Lundberg & Lee 2017): weighted least squares whose values sum to v(N) − v(∅)."""

import numpy as np

from shed_hf.estimators.bayesian_regression import LinearSurrogate, Observed, Posterior, size_terms
from shed_hf.estimators.priors import additive_prior
from shed_hf.types import FloatMatrix, FloatVector, IntVector

RIDGES = np.geomspace(1e-4, 1e4, 25)


FOLDS = 10


def ridge(observed: Observed, pairs: IntVector) -> Posterior:
    """Shapley values by ridge regression, with the Shapley kernel's weights where no others are given.

    They minimise Σ w(S)·(v(S) − v(∅) − Σ_{i∈S} φᵢ)² + λ·Σ(φᵢ − Δ/n)² with Σφ = Δ (Lundberg & Lee 2017, arXiv
    1705.07874, theorem 2). λ is chosen by cross-validation over pairs. Where a size was measured more often than the
    kernel would have it, each such coalition weighs less; how utility saturates with size is fitted along with it.

    Args:
        observed: The coalitions with their utilities.
        pairs: ``(m,)`` which complementary pair each coalition belongs to; a pair stays in one fold.

    Returns:
        The values, with the covariance that the ridge gives when read as a prior.
    """
    n = observed.coalitions.shape[1]
    scale = np.sqrt(observed.weigh(observed.coalitions) * observed.times)
    inside = (observed.coalitions - observed.coalitions.mean(axis=1, keepdims=True)) * scale[:, None]
    size = size_terms(observed.coalitions) * scale[:, None]
    to_size = np.linalg.pinv(size)
    left, target = inside - size @ (to_size @ inside), observed.beyond_size * scale
    rest = target - size @ (to_size @ target)
    penalty = _chosen(left, rest, pairs) if len(target) > 1 else 1.0
    solver = _solver(left, penalty)
    missed = rest - left @ (solver @ rest)
    freedom = max(len(target) - float(np.trace(left @ solver)) - 2, 1.0)
    gram = left.T @ left
    # A strong ridge says that the coalitions tell little, not that the values are known to be alike.
    prior = min(penalty, float(np.median(np.linalg.eigvalsh(gram)[1:]))) if n > 1 else penalty
    centring = np.eye(n) - 1 / n
    covariance = float(missed @ missed) / freedom * np.linalg.inv(gram + max(prior, 1e-9) * np.eye(n))
    return Posterior(
        mean=(observed.v_grand - observed.v_empty) / n + solver @ target,
        covariance=centring @ covariance @ centring,
        weights=solver * scale,
        surrogate=LinearSurrogate(solver * scale, (to_size - to_size @ inside @ solver) * scale),
        models=((1.0, additive_prior(n, penalty)),),
    )


def _chosen(left: FloatMatrix, target: FloatVector, pairs: IntVector) -> float:
    folds = pairs % min(FOLDS, int(pairs.max()) + 1)
    if not folds.any():
        return 1.0
    errors = []
    for penalty in RIDGES:
        missed = [
            target[fold] - left[fold] @ (_solver(left[~fold], penalty) @ target[~fold])
            for fold in (folds == number for number in range(int(folds.max()) + 1))
        ]
        errors.append(float(sum((part**2).sum() for part in missed)))
    return float(RIDGES[int(np.argmin(errors))])


def _solver(left: FloatMatrix, penalty: float) -> FloatMatrix:
    """The linear map ``(n, m)`` from utilities to effects, which sum to zero."""
    n = left.shape[1]
    return np.asarray(np.linalg.solve(left.T @ left + penalty * np.eye(n), left.T), dtype=np.float64)
