"""A comparison as a picture: sizes against figures, with the untuned model and all rows as lines across."""

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from shed_hf.comparison.lines import Line
from shed_hf.comparison.methods import FULL, RANDOM, UNTUNED
from shed_hf.comparison.record import ComparisonRecord
from shed_hf.errors.safe_text import one_line
from shed_hf.hub.figures import DIM, INK, PANEL, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0a4fb0", "#c84a00", "#007a5e", "#8a2f8f", "#a07800", "#b3003b", "#3a7ca5", "#5b4a3c")
"""Dark enough for the panel, and told apart by the colour-blind together with the marks."""


MARKS = "osD^vPX*"
ACROSS = 3
"""How many panels stand beside each other."""


Panel = tuple[str, str, str]
"""Model, task and figure."""


def picture_of(comparison: ComparisonRecord) -> bytes:
    """Every figure by size, a line for each method, with bars of two standard errors of the mean over seeds.

    The panel is opaque, so that it reads alike on a white page and on a dark one.

    Args:
        comparison: What was found.

    Returns:
        A PNG.
    """
    from matplotlib import style
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    panels: dict[Panel, list[Line]] = {}
    for line in comparison.lines:
        panels.setdefault((line.model, line.task, line.figure), []).append(line)
    across = min(ACROSS, max(len(panels), 1))
    down = max(1, math.ceil(len(panels) / across))
    pixels = io.BytesIO()
    with style.context(["default", STYLE, {"font.size": 15, "grid.linewidth": 1.2}]):
        engine = ConstrainedLayoutEngine(rect=(0.01, 0.01, 0.98, 1 - 1.3 / (5.2 * down + 2) - 0.01))
        figure = Figure((max(7.0 * across, 10), 5.2 * down + 2), layout=engine)
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for place, (panel, lines) in zip(axes, panels.items(), strict=False):
            _draw(place, panel, lines, list(comparison.recipe["methods"]))
        for place in axes[len(panels) :]:
            place.axis("off")
        _headline(figure, comparison, down)
        figure.savefig(pixels, format="png", dpi=100)
    return pixels.getvalue()


def _headline(figure: "Figure", comparison: ComparisonRecord, down: int) -> None:
    height = 5.2 * down + 2
    seeds = comparison.recipe["seeds"]
    figure.text(0.02, 1 - 0.2 / height, "What each way of choosing rows is worth", fontsize=24, fontweight="bold",
                va="top")  # fmt: skip
    bars = f"mean of {seeds} seeds; bars: ± 2 standard errors" if seeds > 1 else "one seed"
    figure.text(0.02, 1 - 0.75 / height, f"{bars}; higher is better", va="top")
    known: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            known.setdefault(label, handle)
    columns = min(len(known), 6) or 1
    figure.legend(list(known.values()), list(known), loc="outside lower center", ncols=columns, handletextpad=0.5)


def _draw(axes: "Axes", panel: Panel, lines: Sequence[Line], methods: Sequence[str]) -> None:
    model, task, figure = (one_line(part, 40) for part in panel)
    axes.set_title(f"{model}\n{task}: {figure}", loc="left", fontsize=15)
    names = [name for name in methods if name not in (FULL, RANDOM)]
    for number, name in enumerate([RANDOM, *names]):
        own = sorted((line for line in lines if line.method == name), key=lambda line: line.size)
        if not own:
            continue
        bars = [0.0 if math.isnan(line.stderr) else 2 * line.stderr for line in own]
        colour = INK if name == RANDOM else COLOURS[(number - 1) % len(COLOURS)]
        axes.errorbar(
            [line.size for line in own], [line.mean for line in own], yerr=bars, label=one_line(name, 30),
            color=colour, marker=MARKS[number % len(MARKS)], markersize=8, linewidth=2.5, capsize=4,
            linestyle="--" if name == RANDOM else "-",
        )  # fmt: skip
    for name, dashes in ((UNTUNED, ":"), (FULL, "-.")):
        across = next((line.mean for line in lines if line.method == name), None)
        if across is not None:
            axes.axhline(across, color=DIM, linestyle=dashes, linewidth=2.5, label=name, zorder=1)
    sizes = sorted({line.size for line in lines})
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("rows tuned on")
    axes.yaxis.set_major_formatter(lambda height, _: f"{height:.3g}".replace("-", "−"))
    axes.set_facecolor(PANEL)
