"""Checks of an estimate that is read back: its numbers are finite where they must be, and are of the clusters."""

import numpy as np

from shed_hf.estimators import ValueEstimate
from shed_hf.estimators.no_game import NO_SEMIVALUE
from shed_hf.utils.checks import require

FIGURES = ("semivalue", "v_empty", "v_grand", "n_evaluations", "p_value", "noise_floor", "stopped")
"""What the manifest has of an estimate; the rest are arrays."""


LATER_FIGURES = (
    "noise_freedom",
    "agreement",
    "gain_stderr",
    "shared_orders",
    "starts_untrained",
    "row_spread",
    "row_pairs",
    "n_groups",
)
"""Further ones, which earlier versions did not write: their coalitions all trained in one order."""


def check_estimate(estimate: ValueEstimate, n_players: int) -> None:
    """Check an estimate.

    Args:
        estimate: The estimate.
        n_players: How many clusters were valued.

    Raises:
        ValueError: Naming what does not fit.
    """
    _check_values(estimate, n_players)
    _check_figures(estimate)
    _check_lines(estimate, n_players)


def _check_values(estimate: ValueEstimate, n_players: int) -> None:
    require(len(estimate.values) == n_players, f"{len(estimate.values)} values for {n_players} valued clusters")
    require(len(estimate.stderr) == len(estimate.counts) == n_players, "standard errors or counts of other clusters")
    if estimate.semivalue == NO_SEMIVALUE:
        _check_unplayed(estimate)
    else:
        bad = np.flatnonzero(~np.isfinite(estimate.values))
        require(not len(bad), f"the values of {len(bad)} clusters are not finite, the first is cluster {bad[:1]}")
        require(bool(np.isfinite([estimate.v_empty, estimate.v_grand]).all()), "v(∅) or v(N) is not finite")
        require(type(estimate.n_evaluations) is int and estimate.played, f"{estimate.n_evaluations!r} outcomes")
    require(
        not (estimate.stderr < 0).any() and not np.isinf(estimate.stderr).any(),
        "standard errors are negative or infinite",
    )
    require(not (estimate.counts < 0).any(), "counts below 0")


def _check_unplayed(estimate: ValueEstimate) -> None:
    """Without a game nothing is known."""
    known = np.isfinite(np.concatenate([estimate.values, estimate.stderr, [estimate.v_empty, estimate.v_grand]])).any()
    counted = estimate.n_evaluations != 0 or estimate.counts.any()
    require(not known and not counted, "values, or outcomes, of a game that was not played")


def _check_figures(estimate: ValueEstimate) -> None:
    require(isinstance(estimate.semivalue, str), f"the semivalue {estimate.semivalue!r}")
    require(isinstance(estimate.stopped, str), f"a reason to stop {estimate.stopped!r}")
    for name in ("p_value", "noise_floor", "gain_stderr", "row_spread"):
        figure = getattr(estimate, name)
        require(isinstance(figure, float) and not figure < 0 and not np.isinf(figure), f"a {name} of {figure!r}")
    for name in ("noise_freedom", "shared_orders", "row_pairs", "n_groups"):
        count = getattr(estimate, name)
        require(type(count) is int and count >= 0, f"a {name} of {count!r}")
    agreement, untrained = estimate.agreement, estimate.starts_untrained
    require(isinstance(agreement, float) and not agreement > 1 and not np.isinf(agreement), f"agreement {agreement!r}")
    require(isinstance(untrained, bool), f"starts_untrained of {untrained!r}")


def _check_lines(estimate: ValueEstimate, n_players: int) -> None:
    for name in ("replicates", "halves"):
        lines = getattr(estimate, name)
        require(bool(np.isfinite(lines).all()) and lines.ndim == 2, f"{name} that are not finite")
        require(lines.shape[1] in (0, n_players), f"{name} of {lines.shape[1]} clusters")
    per_item = estimate.per_item
    require(bool(np.isfinite(per_item).all()) and per_item.ndim == 2, "values per item that are not finite")
    require(len(per_item) in (0, n_players), f"values per item of {len(per_item)} clusters")
    require(len(estimate.halves) % 2 == 0, "an odd number of halves")
