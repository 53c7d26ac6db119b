"""Pictures for a dataset card: what the clusters are worth, where the kept rows lie, whether the values settle.

Opaque PNGs of 1400 × 900 pixels on a soft panel of their own, so that they read alike on a white page, on a dark one
and on a phone. Blue is kept or best and orange is worst, which the colour-blind tell apart. Equal input gives equal
bytes with equal versions of matplotlib and Pillow. They are imported when a picture is made.
"""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.results.embedding_map import Coordinates
from shed_hf.types import BoolVector, FloatMatrix, FloatVector, IntVector
from shed_hf.utils.console import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL, INK, DIM, GRID, LIT, WORST = "#e6e9ee", "#18202c", "#8b919c", "#cdd2da", "#0a4fb0", "#c84a00"


STYLE = (
    {"font.size": 27, "figure.facecolor": PANEL, "axes.facecolor": PANEL, "legend.frameon": False}
    | {"axes.grid": True, "axes.axisbelow": True, "grid.color": GRID, "grid.linewidth": 2}
    | dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
    | dict.fromkeys((f"axes.spines.{side}" for side in ("left", "right", "top", "bottom")), False)
    | dict.fromkeys(("xtick.major.size", "ytick.major.size"), 0)
)


HIGHLIGHTED, DRAWN, TICK_CHARACTERS = 3, 200, 40
"""How many of the best and of the worst stand out, how many lines there are at most, how many letters an axis takes."""


def values_picture(values: FloatVector, stderr: FloatVector, kept_share: FloatVector, clusters: IntVector) -> bytes:
    """Every cluster's value with its uncertainty, best first, coloured by how much of the cluster was kept.

    Args:
        values: ``(c,)`` the values; clusters with NaN are left out.
        stderr: ``(c,)`` standard errors, NaN where unknown.
        kept_share: ``(c,)`` the share of rows kept, in [0, 1].
        clusters: ``(c,)`` the numbers of the clusters.

    Returns:
        A PNG.
    """
    valued = np.flatnonzero(np.isfinite(values))
    order = valued[np.argsort(-values[valued], kind="stable")]
    bars = "; bars: ± 2 standard errors" if np.isfinite(stderr[order]).any() else ""

    def draw(axes: "Axes") -> None:
        axes.axhline(0, color=INK, linewidth=2, zorder=1)
        _dots_with_bars(axes, values[order], stderr[order], kept_share[order])
        _name_clusters(axes, [str(number) for number in clusters[order]])

    return _png("What each cluster is worth", f"{plural(len(order), 'cluster')}, best first{bars}", draw)


def map_picture(coordinates: Coordinates, kept: BoolVector) -> bytes:
    """A map of the rows on which alike rows lie close: the pool dim, the kept rows lit.

    Args:
        coordinates: ``(k, 2)`` where each row lies, as from `layout`.
        kept: ``(k,)`` which of them were kept.

    Returns:
        A PNG.
    """
    size = np.clip(40_000 / max(len(kept), 1), 60, 500)

    def draw(axes: "Axes") -> None:
        for chosen, name, colour, alpha in ((~kept, "not kept", DIM, 0.6), (kept, "kept", LIT, 0.9)):
            x, y = coordinates[chosen].T
            dots = axes.scatter(x, y, s=size, color=colour, alpha=alpha, edgecolors=PANEL)
            dots.set_label(f"{name}: {plural(len(x), 'row')}")
        axes.axis("off")
        _legend(axes, sizes=[500])

    return _png("Which rows were kept", "each dot is a row; rows that are alike lie close", draw)


def convergence_picture(replicates: FloatMatrix, fine_tunings: int) -> bytes | None:
    """Whether the values settle and stay apart: the running mean of each cluster's value as fine-tunings are spent.

    Args:
        replicates: ``(r, n)`` independent estimates of n clusters' values.
        fine_tunings: What all replicates took together; it is spread evenly over them.

    Returns:
        A PNG, or None where there are fewer than two replicates.
    """
    r, n = replicates.shape
    if r < 2:
        return None
    counts = np.arange(1, r + 1)
    means = np.cumsum(replicates, axis=0) / counts[:, None]
    means = means[:, np.argsort(-means[-1], kind="stable")]
    best, between, worst = (means[:, places] for places in _apart(n))

    def draw(axes: "Axes") -> None:
        axes.axhline(0, color=INK, linewidth=2, zorder=2.5)
        spent = fine_tunings * counts / r
        _lines(axes, spent, best, "best", color=LIT, marker="o")
        _lines(axes, spent, between, "others", color=DIM, linewidth=1.5, alpha=0.6, zorder=2)
        _lines(axes, spent, worst, "worst", color=WORST, marker="s")
        axes.set_xlabel("fine-tunings spent")
        _legend(axes, linewidth=4.5)

    note = f"running mean per cluster; {min(n, DRAWN)} of {plural(n, 'cluster')} drawn"
    return _png("Do the values settle and stay apart?", note, draw)


def _apart(n: int) -> tuple[IntVector, IntVector, IntVector]:
    """Positions among n ranked clusters: the best, an even choice of those between, and the worst."""
    best, worst = min(HIGHLIGHTED, (n + 1) // 2), n - min(HIGHLIGHTED, n // 2)
    between = np.linspace(best, worst - 1, min(worst - best, DRAWN - 2 * HIGHLIGHTED)).astype(np.int64)
    return np.arange(best), between, np.arange(worst, n)


def _dots_with_bars(axes: "Axes", values: FloatVector, stderr: FloatVector, kept_share: FloatVector) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    colours: Any = ScalarMappable(Normalize(0, 1), LinearSegmentedColormap.from_list("kept", [DIM, LIT]))
    shade, ranks, known = colours.to_rgba(kept_share), np.arange(1, len(values) + 1), np.isfinite(stderr)
    low, high = values - 2 * stderr, values + 2 * stderr
    room = 900 / max(len(values), 1)
    width, alpha = np.clip(room / 2.5, 0.6, 6), np.clip(room / 4, 0.2, 0.5)
    axes.vlines(ranks[known], low[known], high[known], colors=shade[known], linewidth=width, alpha=alpha)
    axes.scatter(ranks, values, s=np.clip(room, 5, 20) ** 2, c=shade, zorder=3)
    bar = axes.figure.colorbar(colours, ax=axes, pad=0.02, aspect=25, ticks=[0, 0.5, 1], format="{x:.0%}")
    bar.set_label("rows kept")
    bar.outline.set_visible(False)


def _name_clusters(axes: "Axes", names: list[str]) -> None:
    """The clusters' numbers below the axis where there is room for them, and ranks where there is not."""
    axes.grid(axis="x", visible=False)
    if named := sum(len(name) + 1 for name in names) <= TICK_CHARACTERS:
        axes.set_xticks(range(1, len(names) + 1), names)
    else:
        axes.set_xticks([rank for rank in axes.get_xticks() if 1 <= rank <= len(names)])
    axes.set_xlabel("cluster" if named else "rank of the cluster")


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


def _png(title: str, note: str, draw: Callable[["Axes"], None]) -> bytes:
    """A headline, a note and what ``draw`` puts in the axes below them, as a PNG of at most 64 colours: a third of the
    bytes for the same picture to the eye. No setting of the user's changes it, and none of them is changed.
    """
    from matplotlib import style
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from PIL import Image

    pixels, packed = io.BytesIO(), io.BytesIO()
    with style.context(["default", STYLE]):
        figure = Figure((14, 9), layout=ConstrainedLayoutEngine(rect=(0.015, 0.015, 0.97, 0.8)))
        figure.text(0.025, 0.965, title, fontsize=34, fontweight="bold", va="top")
        figure.text(0.025, 0.895, note, va="top")
        axes = figure.subplots()
        axes.locator_params(nbins=6, steps=[1, 2, 5, 10])
        axes.locator_params("x", integer=True)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_major_formatter(lambda height, _: f"{height:.3g}".replace("-", "−"))
        draw(axes)
        figure.savefig(pixels, format="rgba", dpi=100)
    picture = Image.frombytes("RGBA", (1400, 900), pixels.getvalue()).convert("RGB")
    picture.quantize(64, dither=Image.Dither.NONE).save(packed, format="PNG", optimize=True)
    return packed.getvalue()
