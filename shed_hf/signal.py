"""The gate: do the values tell more than noise would?"""

import numpy as np

from shed_hf.estimators.estimate import ValueEstimate

UNRELIABLE = 0.5
"""Below this reliability less than half of the values' variance is signal."""
CHANCE = 0.05
"""Above this p-value a ranking is no better than one that chance makes of players who are all alike."""
REMEDY = (
    "use more evaluation items, fewer clusters, more proxies_per_cluster, a higher learning rate or a larger budget "
    "before trusting the ranking"
)


def lacking(estimate: ValueEstimate) -> str | None:
    """What is missing for the ranking to be called real, in words; None where nothing is known to be.

    The values must differ, be reliable (`ValueEstimate.reliability` of at least 0.5) and spread further than those of
    players who are all alike (p-value of at most 0.05). What is unknown (NaN) is not held against them.
    """
    if len(estimate.values) < 2:
        return "there is only one value"
    if not np.ptp(estimate.values):
        return f"all {len(estimate.values)} clusters have the same value {estimate.values[0]:.4g}"
    found = []
    if estimate.reliability < UNRELIABLE:
        found.append(f"reliability {estimate.reliability:.2f} < {UNRELIABLE}")
    if estimate.p_value > CHANCE:
        found.append(f"p = {estimate.p_value:.2f} > {CHANCE} that chance made the ranking")
    return " and ".join(found) or None


def passed(estimate: ValueEstimate) -> bool:
    """Whether the ranking is shown to be real: nothing is lacking, and enough was measured to ask whether chance made
    it.
    """
    return not np.isnan(estimate.p_value) and lacking(estimate) is None
