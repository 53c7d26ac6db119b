"""Figures for notebooks and papers: the same drawings as on the card, as matplotlib's own objects."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from shed_hf.errors import InputError
from shed_hf.hub.drawn_arrays import map_drawn, values_drawn
from shed_hf.hub.figures import map_figure, settling_figure, values_figure
from shed_hf.report.convergence import convergence_of
from shed_hf.results.curation import Curation
from shed_hf.results.units import scale_of
from shed_hf.utils.checks import is_one_of
from shed_hf.utils.console import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PlotKind = Literal["values", "map", "convergence"]
"""What can be plotted of a result."""


def figure_of(curated: Curation, kind: PlotKind) -> "Figure":
    """A figure of a result.

    Args:
        curated: The result.
        kind: ``"values"``, what each cluster is worth; ``"map"``, which rows were kept; ``"convergence"``, how values
            moved as more was measured.

    Returns:
        The figure, which a notebook shows and `savefig` writes.

    Raises:
        InputError: For another kind, and where the result has nothing to draw.
    """
    if not is_one_of(kind, *get_args(PlotKind)):
        kinds = list(get_args(PlotKind))
        if isinstance(kind, str | os.PathLike) and Path(kind).suffix:
            path = str(kind)
            raise InputError(
                f"kind={path!r} is not what to plot but a path; plot({kinds[0]!r}).savefig({path!r}) writes the figure "
                f"there; pass one of {kinds}"
            )
        raise InputError(f"kind={kind!r} is unknown; pass one of {kinds}, and write the figure with its savefig(path)")
    if kind == "map":
        return map_figure(*map_drawn(curated))
    if not curated.estimate.played:
        raise InputError(
            'no game was played, so clusters have no values to plot; plot "map", or curate again with an estimator'
        )
    return values_figure(*values_drawn(curated)) if kind == "values" else _convergence(curated)


def _convergence(curated: Curation) -> "Figure":
    found = convergence_of(curated)
    if found is None:
        raise InputError(
            f"the result has {plural(len(curated.ledger), 'outcome')}, too few of coalitions to show how values moved; "
            "measure more with budget="
        )
    valued = ~np.isnan(found.values).any(axis=0)
    return settling_figure(found.measured, found.values[:, valued], scale_of(curated.recipe["utility"]))
