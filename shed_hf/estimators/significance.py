"""Whether the ranking of the values is more than noise."""

import numpy as np

from shed_hf.estimators.base import ValueEstimate

UNRELIABLE = 0.5
"""Below this reliability less than half of the values' variance is signal."""


CHANCE = 0.05
"""Above this p-value a ranking is no better than one that chance makes of players who are all alike."""


LEAST_CLUSTERS = 4
"""Of three players who are all alike chance makes one ranking in six as clear as can be, of two every one."""


IN_RUN = "in-run"


UNKNOWN = "too little was measured to say"


REMEDY = (
    "use more evaluation items, fewer clusters, more proxies_per_cluster, a higher learning rate or a larger budget "
    "before trusting the ranking"
)


def failed_checks(estimate: ValueEstimate) -> str | None:
    """The checks that the ranking fails.

    The values must differ, be reliable (`ValueEstimate.reliability` of at least 0.5) and spread further than those of
    players who are all alike (p-value of at most 0.05). What is unknown (NaN) does not count as a failure.

    Args:
        estimate: The estimate to check.

    Returns:
        The failures in words; None where there are none.
    """
    if len(estimate.values) < 2:
        return "there is only one value"
    if not np.ptp(estimate.values):
        return f"all {len(estimate.values)} clusters have the same value {estimate.values[0]:.4g}"
    found = []
    if estimate.reliability < UNRELIABLE:
        found.append(f"reliability {_beside(estimate.reliability, UNRELIABLE)} < {UNRELIABLE}")
    if estimate.p_value > CHANCE:
        found.append(f"p = {_beside(estimate.p_value, CHANCE)} > {CHANCE} that chance made the ranking")
    return " and ".join(found) or None


def is_significant(estimate: ValueEstimate) -> bool:
    """Whether the ranking is shown to be more than noise: the permutation test was made, and no check failed.

    Args:
        estimate: The estimate to check.

    Returns:
        False also where too little was measured for the test.
    """
    return not np.isnan(estimate.p_value) and failed_checks(estimate) is None


def untested_reason(estimate: ValueEstimate) -> str | None:
    """Why the permutation test was not made.

    Args:
        estimate: The estimate to check.

    Returns:
        The reason in words; None where it was made.
    """
    if not np.isnan(estimate.p_value):
        return None
    if len(estimate.values) < LEAST_CLUSTERS:
        return f"fewer than {LEAST_CLUSTERS} clusters make too few coalitions to say"
    return "a single run with credits is too little to say" if estimate.semivalue == IN_RUN else UNKNOWN


def suggestion(estimate: ValueEstimate) -> str:
    """What to do about a ranking that is not significant.

    Args:
        estimate: An estimate for which `is_significant` is False.

    Returns:
        The advice in words.
    """
    if len(estimate.values) < LEAST_CLUSTERS:
        return f"cluster the rows into at least {LEAST_CLUSTERS} before trusting the ranking"
    if failed_checks(estimate):
        return REMEDY
    enough = 'estimator="least-squares"' if estimate.semivalue == IN_RUN else "a larger budget"
    return f"use {enough} before trusting the ranking"


def _beside(number: float, bound: float) -> str:
    """The number with two digits behind the point, or as many as tell it from the ``bound``."""
    digits = next((n for n in range(2, 17) if round(number, n) != bound), None)
    return repr(float(number)) if digits is None else f"{round(number, digits) + 0.0:.{digits}f}"  # never -0.00
