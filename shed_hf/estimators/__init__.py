"""Estimators: from the utilities of coalitions to one value per player.

An `Estimator` is called with a game and asks it for coalitions; what it returns is a `ValueEstimate`. `estimator_from`
knows them by name.
"""

from shed_hf.estimators.banzhaf import BanzhafMSR
from shed_hf.estimators.base import Cost, Estimator, ValueEstimate
from shed_hf.estimators.exact import Exact
from shed_hf.estimators.hierarchical import Hierarchical
from shed_hf.estimators.in_run import InRun
from shed_hf.estimators.least_squares import LeastSquares
from shed_hf.estimators.permutation import Permutation, Shed
from shed_hf.estimators.registry import estimator_from
from shed_hf.estimators.regression_adjusted import RegressionAdjusted

__all__ = [
    "BanzhafMSR",
    "Cost",
    "Estimator",
    "Exact",
    "Hierarchical",
    "InRun",
    "LeastSquares",
    "Permutation",
    "RegressionAdjusted",
    "Shed",
    "ValueEstimate",
    "estimator_from",
]
