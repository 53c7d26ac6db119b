"""Warns of an order within clusters that is paid for and changes nothing."""

from typing import Any

from shed_hf.sampling.row_ranking import LEARNED_CREDIT
from shed_hf.sampling.selectors import RowSelector
from shed_hf.utils.warn import warn

_COSTS = {
    "credit": "a training run over all rows",
    LEARNED_CREDIT: "a training run over a sample of rows",
    "ifd": "a pass over all rows",
    "loss": "a pass over all rows",
}


def warn_of_unused_merit(merit: Any, sampler: RowSelector) -> None:
    """Say where an order within clusters costs passes over all rows, and rows are chosen without it.

    Args:
        merit: What `curate` was asked for.
        sampler: What chooses rows; one that reads features measures what ``"ifd"`` and ``"loss"`` need anyway.
    """
    if (
        isinstance(merit, str)
        and merit in _COSTS
        and (merit in ("credit", LEARNED_CREDIT) or "features" not in sampler.needs)
    ):
        warn(
            f"merit={merit!r} costs {_COSTS[merit]} and does not change what is chosen: {sampler} chooses single rows, "
            'whatever their order within clusters; leave merit= out, or pass a sampler of clusters, such as "qocs"'
        )
