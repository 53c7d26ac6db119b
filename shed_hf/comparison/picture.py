"""A comparison as a picture: sizes against figures, with the untuned model and all rows as lines across."""

import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.comparison.lines import Line
from shed_hf.comparison.methods import FULL, RANDOM, UNTUNED
from shed_hf.comparison.record import ComparisonRecord
from shed_hf.errors import InputError
from shed_hf.errors.safe_text import one_line
from shed_hf.hub.figures import DIM, INK, PANEL, STYLE
from shed_hf.utils.console import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg")
"""What a picture can be written as, by the ending of its name."""


COLOURS = ("#0a4fb0", "#c84a00", "#007a5e", "#8a2f8f", "#a07800", "#b3003b", "#3a7ca5", "#5b4a3c")
"""Dark enough for the panel, and told apart by the colour-blind together with the marks."""


MARKS = "osD^vPX*"
ACROSS = 3
"""How many panels stand beside each other."""


_PANEL_HEIGHT, _PANEL_WIDTH, _LEAST_WIDTH = 5.2, 7.0, 10.0
_HEAD, _HEAD_LINE, _LEGEND_LINE, _LETTER = 1.3, 0.26, 0.32, 0.135
"""Inches; a letter of the font at its usual width."""


Panel = tuple[str, str, str]
"""Model, task and figure."""


def format_of(path: str | os.PathLike[str]) -> str:
    """What a picture is written as.

    Args:
        path: Its path.

    Returns:
        One of `FORMATS`.

    Raises:
        InputError: For a name with another ending, or with none.
    """
    ending = Path(path).suffix.lower().lstrip(".")
    if ending not in FORMATS:
        named = ", ".join(f".{known}" for known in FORMATS)
        raise InputError(f"path={str(path)!r} does not end in one of {named}; pass such a name, as in comparison.png")
    return ending


def picture_of(comparison: ComparisonRecord, written_as: str = "png") -> bytes:
    """Every figure by size, a line for each method, with the intervals of the gains over random rows as bars.

    A bar that leaves out the line of random rows is a gain or a loss that is shown. The panel is opaque, so that it
    reads alike on a white page and on a dark one.

    Args:
        comparison: What was found.
        written_as: One of `FORMATS`.

    Returns:
        The content of the file.
    """
    from matplotlib import style
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    panels: dict[Panel, list[Line]] = {}
    for line in comparison.lines:
        panels.setdefault((line.model, line.task, line.figure), []).append(line)
    across = min(ACROSS, max(len(panels), 1))
    down = max(1, math.ceil(len(panels) / across))
    width = max(_PANEL_WIDTH * across, _LEAST_WIDTH)
    columns = _legend_columns([_label(line.method) for line in comparison.lines], width)
    legend = math.ceil(len({line.method for line in comparison.lines}) / columns) * _LEGEND_LINE
    cut = any(_is_cut(lines) for lines in panels.values())
    head = _HEAD + (_HEAD_LINE if cut else 0.0)
    height = _PANEL_HEIGHT * down + head + legend + 0.4
    pixels = io.BytesIO()
    with style.context(["default", STYLE, {"font.size": 15, "grid.linewidth": 1.2}]):
        figure = Figure((width, height), layout=ConstrainedLayoutEngine(rect=(0.01, 0.01, 0.98, 0.98 - head / height)))
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for place, (panel, lines) in zip(axes, panels.items(), strict=False):
            _draw(place, panel, lines, list(comparison.recipe["methods"]), width / across)
        for place in axes[len(panels) :]:
            place.axis("off")
        _headline(figure, comparison, height, cut)
        _legend(figure, columns)
        figure.savefig(pixels, format=written_as, dpi=100)
    return pixels.getvalue()


def _label(method: str) -> str:
    return one_line(method, 30)


def _legend_columns(labels: Sequence[str], width: float) -> int:
    """How many names stand beside each other below the panels."""
    longest = max(map(len, labels), default=1) * _LETTER + 0.8
    return max(1, min(int(width / longest), 6, len(set(labels)) or 1))


def _legend(figure: "Figure", columns: int) -> None:
    known: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            known.setdefault(label, handle)
    figure.legend(list(known.values()), list(known), loc="outside lower center", ncols=columns, handletextpad=0.5)


def _headline(figure: "Figure", comparison: ComparisonRecord, height: float, cut: bool) -> None:
    seeds = comparison.recipe["seeds"]
    figure.text(0.02, 1 - 0.2 / height, "What each way of choosing rows is worth", fontsize=24, fontweight="bold",
                va="top")  # fmt: skip
    told = [f"{f'means of {seeds} seeds' if seeds > 1 else 'one seed, which shows no gain'}, higher is better"]
    if seeds > 1:
        told.append("bars: 95 % intervals; a gain or loss is shown where a bar stays clear of random rows")
    if cut:
        told.append("an arrow at a panel's edge: the bar goes on beyond it")
    figure.text(0.02, 1 - 0.7 / height, "\n".join(told), va="top", fontsize=14)


def _draw(axes: "Axes", panel: Panel, lines: Sequence[Line], methods: Sequence[str], width: float) -> None:
    from matplotlib.ticker import ScalarFormatter

    letters = int((width - 1.0) / _LETTER)
    model, task, figure = panel
    heading = f"{one_line(model, letters)}\n{one_line(f'{task}: {figure}', letters)}"
    axes.set_title(heading, loc="left", fontsize=15)
    sizes = sorted({line.size for line in lines})
    heights = _heights(lines)
    names = [RANDOM, *(name for name in methods if name not in (FULL, RANDOM))]
    shifts = _shifts(sizes, len(names))
    for number, name in enumerate(names):
        own = sorted((line for line in lines if line.method == name), key=lambda line: line.size)
        if own:
            _draw_method(axes, own, number, float(shifts[number]), heights)
    for name, dashes in ((UNTUNED, ":"), (FULL, "-.")):
        across = next((line.mean for line in lines if line.method == name), None)
        if across is not None:
            axes.axhline(across, color=DIM, linestyle=dashes, linewidth=2.5, label=name, zorder=1)
    _draw_sizes(axes, sizes)
    axes.set_ylim(*heights)
    axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.set_facecolor(PANEL)


def _draw_sizes(axes: "Axes", sizes: Sequence[int]) -> None:
    """The axis of sizes; a single size has no scale, on which methods beside each other would look like sizes."""
    axes.set_xscale("log")
    crowded = len(sizes) > 1 and float(np.diff(np.log(sizes)).min()) < 0.12 * math.log(sizes[-1] / sizes[0])
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=40 if crowded else 0)
    axes.minorticks_off()
    axes.set_xlabel("rows tuned on")
    if len(sizes) == 1:
        axes.set_xlim(sizes[0] / 2, sizes[0] * 2)
        axes.set_xticks([])
        axes.set_xlabel(f"every method: {plural(sizes[0], 'row')} tuned on")


def _draw_method(axes: "Axes", own: Sequence[Line], number: int, shift: float, heights: tuple[float, float]) -> None:
    from matplotlib.markers import CARETDOWN, CARETUP

    bars = [0.0 if math.isnan(line.gain) else line.gain - line.low for line in own]
    is_random = own[0].method == RANDOM
    colour = INK if is_random else COLOURS[(number - 1) % len(COLOURS)]
    for edge, arrow in zip(heights, (CARETDOWN, CARETUP), strict=True):  # whose tips touch the edge
        cut = [line.size * math.exp(shift) for line in own if _goes_beyond(line, edge, arrow == CARETUP)]
        axes.plot(cut, [edge] * len(cut), marker=arrow, color=colour, markersize=11, linestyle="")
    axes.errorbar(
        [line.size * math.exp(shift) for line in own], [line.mean for line in own], yerr=None if is_random else bars,
        label=_label(own[0].method), color=colour,
        marker=MARKS[(number + number // len(MARKS)) % len(MARKS)], markersize=8, linewidth=2.5, capsize=4,
        linestyle="--" if is_random else "-",
    )  # fmt: skip
    if is_random and len(own) == 1:
        axes.axhline(own[0].mean, color=INK, linestyle="--", linewidth=2.5, zorder=1)


def _shifts(sizes: Sequence[int], n_methods: int) -> Any:
    """How far methods stand beside each other, on the logarithmic axis, so that bars of one size can be told apart."""
    gap = float(np.diff(np.log(sizes)).min()) if len(sizes) > 1 else math.log(2)
    spread = 0.35 * gap if len(sizes) > 1 else min(1.4, 0.25 * (n_methods - 1)) * gap
    return np.linspace(-spread / 2, spread / 2, n_methods) if n_methods > 1 else np.zeros(1)


def _is_cut(lines: Sequence[Line]) -> bool:
    """Whether a bar of a panel goes on beyond it."""
    low, high = _heights(lines)
    return any(_goes_beyond(line, low, False) or _goes_beyond(line, high, True) for line in lines)


def _goes_beyond(line: Line, edge: float, is_upper: bool) -> bool:
    """Whether a line has a bar that an edge of its panel cuts off."""
    if line.method in (UNTUNED, FULL, RANDOM) or math.isnan(line.gain):
        return False
    half = line.gain - line.low
    return line.mean + half > edge if is_upper else line.mean - half < edge


def _heights(lines: Sequence[Line]) -> tuple[float, float]:
    """What the panel shows: all means, and bars as far as twice the span of the means beyond them."""
    means = [line.mean for line in lines]
    ends = [end for line in lines for end in (line.mean - line.gain + line.low, line.mean - line.gain + line.high)
            if line.method not in (UNTUNED, FULL, RANDOM) and end == end]  # fmt: skip
    lowest, highest = min(means), max(means)
    most = 2 * (highest - lowest) or abs(highest) or 1.0
    low = max(min([lowest, *ends]), lowest - most)
    high = min(max([highest, *ends]), highest + most)
    margin = 0.06 * ((high - low) or most)
    return low - margin, high + margin
