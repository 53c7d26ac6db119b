"""The short names of the estimators, as `curate` and the shell take them."""

from shed_hf.errors import InputError
from shed_hf.estimators.banzhaf import BanzhafMSR
from shed_hf.estimators.base import Estimator
from shed_hf.estimators.exact import Exact
from shed_hf.estimators.hierarchical import Hierarchical
from shed_hf.estimators.in_run import InRun
from shed_hf.estimators.least_squares import LeastSquares
from shed_hf.estimators.no_game import NoGame
from shed_hf.estimators.permutation import Permutation, Shed
from shed_hf.estimators.regression_adjusted import RegressionAdjusted
from shed_hf.utils.nearest import unknown_name

ESTIMATORS: dict[str, type[Estimator]] = {
    "banzhaf": BanzhafMSR,
    "exact": Exact,
    "hierarchical": Hierarchical,
    "in-run": InRun,
    "least-squares": LeastSquares,
    "permutation": Permutation,
    "regression-adjusted": RegressionAdjusted,
    "shed": Shed,
}


def estimator_from(name_or_object: "str | Estimator | None") -> Estimator:
    """An estimator by its short name, or the object itself.

    Args:
        name_or_object: A key of ``ESTIMATORS``, or an object that is an `Estimator`; None to play no game.

    Returns:
        The estimator; by name, one with its default settings.

    Raises:
        InputError: For an unknown name, a class instead of an object, or an object that is not an estimator.
    """
    if name_or_object is None:
        return NoGame()
    if not isinstance(name_or_object, str):
        if isinstance(name_or_object, type) or not isinstance(name_or_object, Estimator):
            raise InputError(
                f"estimator={name_or_object!r} is not an estimator; pass one of {sorted(ESTIMATORS)} or an object"
            )
        return name_or_object
    if name_or_object not in ESTIMATORS:
        raise InputError(unknown_name("estimator", name_or_object, sorted(ESTIMATORS), "an object"))
    return ESTIMATORS[name_or_object]()
