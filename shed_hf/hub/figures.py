"""Pictures for a dataset card: what the clusters are worth, where the kept rows lie, whether the values settle.

Opaque figures of 1400 × 900 pixels on a soft panel of their own, so that they read alike on a white page, on a dark one
and on a phone. Blue is kept or best and orange is worst, which the colour-blind tell apart. Equal input gives equal
bytes with equal versions of matplotlib and Pillow. They are imported when a picture is made.
"""

import io
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.results.embedding_map import Coordinates
from shed_hf.types import BoolVector, FloatMatrix, FloatVector, IntVector
from shed_hf.utils.console import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES, DPI = (14, 9), 100
"""The size of every picture, and its pixels an inch."""


PANEL, INK, DIM, GRID, LIT, WORST = "#e6e9ee", "#18202c", "#8b919c", "#cdd2da", "#0a4fb0", "#c84a00"


STYLE = (
    {"font.size": 27, "figure.facecolor": PANEL, "axes.facecolor": PANEL, "legend.frameon": False}
    | {"axes.grid": True, "axes.axisbelow": True, "grid.color": GRID, "grid.linewidth": 2}
    | dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
    | dict.fromkeys((f"axes.spines.{side}" for side in ("left", "right", "top", "bottom")), False)
    | dict.fromkeys(("xtick.major.size", "ytick.major.size"), 0)
)


HIGHLIGHTED, DRAWN, NAMED, NAME_CHARACTERS = 3, 200, 16, 34
"""How many of the best and of the worst stand out, how many lines there are at most, how many clusters have a line of
their own in the picture of their values, and how many letters their names take."""


def values_picture(
    values: FloatVector, stderr: FloatVector, kept_share: FloatVector, names: Sequence[str], unit: str = ""
) -> bytes:
    """Every cluster's value with its uncertainty, best first, and how much of the cluster was kept.

    Args:
        values: ``(c,)`` the values; clusters with NaN are left out.
        stderr: ``(c,)`` standard errors, NaN where unknown.
        kept_share: ``(c,)`` the share of rows kept, in [0, 1].
        names: ``(c,)`` what the clusters are called.
        unit: The unit of the values; empty where it is not known.

    Returns:
        A PNG.
    """
    return png(values_figure(values, stderr, kept_share, names, unit))


def values_figure(
    values: FloatVector, stderr: FloatVector, kept_share: FloatVector, names: Sequence[str], unit: str = ""
) -> "Figure":
    """The figure behind `values_picture`. Of more than 16 clusters the 8 best and the 8 worst are drawn.

    Args:
        values: ``(c,)`` the values; clusters with NaN are left out.
        stderr: ``(c,)`` standard errors, NaN where unknown.
        kept_share: ``(c,)`` the share of rows kept, in [0, 1].
        names: ``(c,)`` what the clusters are called.
        unit: The unit of the values; empty where it is not known.

    Returns:
        The figure.
    """
    valued = np.flatnonzero(np.isfinite(values))
    order = valued[np.argsort(-values[valued], kind="stable")]
    drawn, places = _ends(order)
    bars = "; bars: ± 2 standard errors" if np.isfinite(stderr[drawn]).any() else ""
    which = f"the {NAMED // 2} best and {NAMED // 2} worst of " if len(drawn) < len(order) else ""

    def draw(axes: "Axes") -> None:
        axes.axvline(0, color=INK, linewidth=2, zorder=1)
        _dots_with_bars(axes, values[drawn], stderr[drawn], kept_share[drawn], places)
        _name_clusters(axes, [names[number] for number in drawn], places, len(order) - len(drawn))
        _tell_shares(axes, kept_share[drawn], places)
        axes.set_xlabel(f"worth{f' in {unit}' if unit else ''}, higher is better")

    some, none = (kept_share[drawn] > 0).any(), (kept_share[drawn] == 0).any()
    colours = "\nblue: rows of it were kept; grey: none" if some and none else ""
    return _figure("What each cluster is worth", f"{which}{plural(len(order), 'cluster')}{bars}{colours}", draw)


def _ends(order: IntVector) -> tuple[IntVector, FloatVector]:
    """The ranked clusters that are drawn, and their lines from the top; a line is left free where some are left out."""
    if len(order) <= NAMED:
        return order, np.arange(len(order), dtype=np.float64)
    half = NAMED // 2
    places = np.arange(NAMED) + (np.arange(NAMED) >= half)
    return np.concatenate([order[:half], order[-half:]]), places.astype(np.float64)


def map_picture(coordinates: Coordinates, kept: BoolVector) -> bytes:
    """A map of the rows on which alike rows lie close: the pool dim, the kept rows lit.

    Args:
        coordinates: ``(k, 2)`` where each row lies, as from `layout`.
        kept: ``(k,)`` which of them were kept.

    Returns:
        A PNG.
    """
    return png(map_figure(coordinates, kept))


def map_figure(coordinates: Coordinates, kept: BoolVector) -> "Figure":
    """The figure behind `map_picture`.

    Args:
        coordinates: ``(k, 2)`` where each row lies, as from `layout`.
        kept: ``(k,)`` which of them were kept.

    Returns:
        The figure.
    """
    size = np.clip(40_000 / max(len(kept), 1), 60, 500)

    def draw(axes: "Axes") -> None:
        for chosen, name, colour, alpha in ((~kept, "not kept", DIM, 0.6), (kept, "kept", LIT, 0.9)):
            x, y = coordinates[chosen].T
            dots = axes.scatter(x, y, s=size, color=colour, alpha=alpha, edgecolors=PANEL)
            dots.set_label(f"{name}: {plural(len(x), 'row')}")
        axes.axis("off")
        _legend(axes, sizes=[500])

    return _figure("Which rows were kept", "each dot is a row; rows that are alike lie close", draw)


def convergence_picture(replicates: FloatMatrix, outcomes: int, unit: str = "") -> bytes | None:
    """Whether the values settle and stay apart: the running mean of each cluster's value as outcomes are measured.

    Args:
        replicates: ``(r, n)`` independent estimates of n clusters' values.
        outcomes: How many outcomes all replicates are from; they are spread evenly over them.
        unit: The unit of the values; empty where it is not known.

    Returns:
        A PNG, or None where there are fewer than two replicates.
    """
    figure = convergence_figure(replicates, outcomes, unit)
    return None if figure is None else png(figure)


def convergence_figure(replicates: FloatMatrix, outcomes: int, unit: str = "") -> "Figure | None":
    """The figure behind `convergence_picture`.

    Args:
        replicates: ``(r, n)`` independent estimates of n clusters' values.
        outcomes: How many outcomes all replicates are from; they are spread evenly over them.
        unit: The unit of the values; empty where it is not known.

    Returns:
        The figure, or None where there are fewer than two replicates.
    """
    r = len(replicates)
    if r < 2:
        return None
    counts = np.arange(1, r + 1)
    means = np.cumsum(replicates, axis=0) / counts[:, None]
    return settling_figure(outcomes * counts / r, means, unit)


def settling_figure(measured: FloatVector, means: FloatMatrix, unit: str) -> "Figure":
    """The values of clusters as more was measured.

    Args:
        measured: ``(p,)`` how many outcomes each line of ``means`` is from.
        means: ``(p, n)`` the values of n clusters by then.
        unit: The unit of the values; empty where it is not known.

    Returns:
        The figure.
    """
    n = means.shape[1]
    means = means[:, np.argsort(-means[-1], kind="stable")]
    best, between, worst = (means[:, places] for places in _apart(n))

    def draw(axes: "Axes") -> None:
        axes.axhline(0, color=INK, linewidth=2, zorder=2.5)
        _lines(axes, measured, best, "best", color=LIT, marker="o")
        _lines(axes, measured, between, "others", color=DIM, linewidth=1.5, alpha=0.6, zorder=2)
        _lines(axes, measured, worst, "worst", color=WORST, marker="s")
        axes.locator_params("x", integer=True)
        axes.set_xlabel("outcomes measured")
        axes.set_ylabel(f"worth{f' in {unit}' if unit else ''},\nhigher is better")
        _legend(axes, linewidth=4.5)

    note = f"worth by what was measured so far; {min(n, DRAWN)} of {plural(n, 'cluster')} drawn"
    return _figure("Do the values settle and stay apart?", note, draw)


def _apart(n: int) -> tuple[IntVector, IntVector, IntVector]:
    """Positions among n ranked clusters: the best, an even choice of those between, and the worst."""
    best, worst = min(HIGHLIGHTED, (n + 1) // 2), n - min(HIGHLIGHTED, n // 2)
    between = np.linspace(best, worst - 1, min(worst - best, DRAWN - 2 * HIGHLIGHTED)).astype(np.int64)
    return np.arange(best), between, np.arange(worst, n)


def _dots_with_bars(
    axes: "Axes", values: FloatVector, stderr: FloatVector, kept_share: FloatVector, places: FloatVector
) -> None:
    shade, known = np.where(kept_share > 0, LIT, DIM), np.isfinite(stderr)
    low, high = values - 2 * stderr, values + 2 * stderr
    axes.hlines(places[known], low[known], high[known], colors=shade[known], linewidth=6, alpha=0.5)
    axes.scatter(values, places, s=20**2, c=shade, zorder=3)


def _name_clusters(axes: "Axes", names: Sequence[str], places: FloatVector, n_between: int) -> None:
    """The clusters' names beside their lines, as large as there is room for, and what is left out in between."""
    axes.grid(axis="y", visible=False)
    lines = [*map(_drawable, names), *([f"… {plural(n_between, 'cluster')} between"] if n_between else [])]
    free = [NAMED / 2] if n_between else []
    axes.set_yticks([*places, *free], lines, fontsize=_size_of(len(lines)), parse_math=False)
    axes.set_ylim(max([*places, 0]) + 0.7, -0.7)


def _tell_shares(axes: "Axes", kept_share: FloatVector, places: FloatVector) -> None:
    """The share of rows kept of each cluster, in a column on the right."""
    beside, size = axes.twinx(), _size_of(len(places))
    beside.grid(visible=False)
    beside.set_ylim(axes.get_ylim())
    beside.set_yticks(places, [_percent(share) for share in kept_share], fontsize=size)
    beside.text(1.02, 1.0, "rows kept", transform=axes.transAxes, fontsize=size, va="bottom")


def _percent(share: float) -> str:
    return "none" if share == 0 else "< 1%" if share < 0.01 else f"{share:.0%}"


def _size_of(n_lines: int) -> int:
    return 25 if n_lines <= 10 else 20


def _drawable(name: str) -> str:
    """A cluster's name as far as there is room, whole terms where that is possible; what is in brackets behind it alone
    where the font lacks a letter.
    """
    terms, _, number = name.rpartition(" (")
    if not all(ord(mark) in _glyphs() and unicodedata.bidirectional(mark) not in ("R", "AL") for mark in name):
        return number.rstrip(")") if terms else "…"
    if not terms:
        return name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 1]}…"
    room = NAME_CHARACTERS - len(number) - 2
    while len(terms) > room and ", " in terms:
        terms = terms.rpartition(", ")[0]
    return f"{terms if len(terms) <= room else terms[: room - 1] + '…'} ({number}"


@cache
def _glyphs() -> frozenset[int]:
    """The characters of matplotlib's own font."""
    from matplotlib import font_manager, get_data_path

    path = f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf"
    return frozenset(font_manager.get_font(path).get_charmap())


def _lines(axes: "Axes", spent: FloatVector, means: FloatMatrix, name: str, **look: Any) -> None:
    """One line for each column of ``means``, one entry in the legend for all; heavy unless ``look`` says otherwise."""
    every = max(len(spent) // 10, 1)
    marked = ((len(spent) - 1) % every, every)
    heavy: dict[str, Any] = {"linewidth": 4.5, "markersize": 13, "markevery": marked, "zorder": 3}
    for line in axes.plot(spent, means, **heavy | look)[:1]:
        line.set_label(f"{means.shape[1]} {name}")


def _legend(axes: "Axes", **look: Any) -> None:
    signs: list[Any] = axes.figure.legend(loc="outside lower center", ncols=3, handletextpad=0.4).legend_handles
    for sign in signs:
        sign.set(**look)


def _figure(title: str, note: str, draw: Callable[["Axes"], None]) -> "Figure":
    """A headline, a note and what ``draw`` puts in the axes below them. No setting of the user's changes it."""
    from matplotlib import style
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with style.context(["default", STYLE]):
        figure = Figure(INCHES, dpi=DPI, layout=ConstrainedLayoutEngine(rect=(0.015, 0.015, 0.97, 0.8)))
        figure.text(0.025, 0.965, title, fontsize=34, fontweight="bold", va="top")
        figure.text(0.025, 0.895, note, va="top")
        axes = figure.subplots()
        axes.locator_params(nbins=6, steps=[1, 2, 5, 10])
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda number, _: _tick(number))
        draw(axes)
    return figure


def _tick(number: float) -> str:
    shown = f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"
    return shown.replace("-", "−")


def png(figure: "Figure") -> bytes:
    """A figure as a PNG of at most 64 colours: a third of the bytes for the same picture to the eye.

    Args:
        figure: The figure, of 1400 × 900 pixels.

    Returns:
        The file.
    """
    from matplotlib import style
    from PIL import Image

    pixels, packed = io.BytesIO(), io.BytesIO()
    with style.context(["default", STYLE]):
        figure.savefig(pixels, format="rgba", dpi=DPI)
    width, height = (int(side * DPI) for side in INCHES)
    picture = Image.frombytes("RGBA", (width, height), pixels.getvalue()).convert("RGB")
    picture.quantize(64, dither=Image.Dither.NONE).save(packed, format="PNG", optimize=True)
    return packed.getvalue()
