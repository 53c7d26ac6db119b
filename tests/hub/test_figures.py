"""The pictures of the dataset card: what is in them, that equal input draws equal bytes, and the odd inputs."""

import io
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import matplotlib
from PIL import Image, ImageColor

from shed_hf.hub.figures import (
    DRAWN,
    LIT,
    NAMED,
    PANEL,
    WORST,
    _apart,
    convergence_picture,
    map_picture,
    png,
    settling_figure,
    values_figure,
    values_picture,
)
from shed_hf.results.embedding_map import layout


@pytest.fixture(autouse=True, scope="module")
def _whole_pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shed_hf.hub.figures.DPI", 100)
        yield


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shed_hf.hub.figures.DPI", 20)


def draw_values(values: np.ndarray, stderr: np.ndarray | float = 0.01, share: np.ndarray | float = 1.0) -> bytes:
    every = np.ones(len(values))
    return values_picture(values, stderr * every, share * every, [f"cluster {n}" for n in range(len(values))])


def draw_convergence(replicates: np.ndarray) -> bytes:
    png = convergence_picture(replicates, 17 * len(replicates))
    assert png is not None
    return png


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def coloured(png: bytes, colour: str) -> np.ndarray:
    """Where a picture has a colour, or nearly: ``(900, 1400)`` bool."""
    return np.abs(pixels(png) - ImageColor.getrgb(colour)).max(axis=2) <= 24


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


PICTURES = {
    **{f"values {c}": (lambda c=c: draw_values(random(c), 0.3)) for c in (1, 46, 3000)},
    **{f"map {k}": (lambda k=k: map_picture(random(k, 2), random(k) > 0)) for k in (1, 30, 2000)},
    **{f"convergence {r}": (lambda r=r: draw_convergence(random(r, 300))) for r in (2, 10, 40)},
    "no values": lambda: draw_values(np.full(3, np.nan)),
    "equal values": lambda: draw_values(np.zeros(7), np.nan),
    "no rows": lambda: map_picture(np.empty((0, 2)), np.empty(0, dtype=bool)),
    "one place": lambda: map_picture(np.zeros((9, 2)), np.ones(9, dtype=bool)),
    "one cluster settles": lambda: draw_convergence(np.ones((3, 1))),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_an_opaque_png_of_its_size(name: str) -> None:
    png = PICTURES[name]()
    picture = Image.open(io.BytesIO(png))
    assert (picture.format, picture.size, picture.info) == ("PNG", (1400, 900), {})
    assert len(png) < 150_000
    assert (pixels(png)[[0, 0, -1, -1], [0, -1, 0, -1]] == ImageColor.getrgb(PANEL)).all()


@pytest.mark.parametrize("name", ["values 46", "map 30", "convergence 10"])
def test_equal_input_draws_equal_bytes(small: None, name: str) -> None:
    assert PICTURES[name]() == PICTURES[name]()


def test_settings_of_the_user_neither_change_a_picture_nor_are_changed(small: None) -> None:
    plain = draw_values(random(5))
    with matplotlib.rc_context({"font.family": "monospace", "savefig.dpi": 30, "figure.facecolor": "black"}):
        before = dict(matplotlib.rcParams)
        assert draw_values(random(5)) == plain
        assert dict(matplotlib.rcParams) == before


def test_clusters_without_a_value_are_left_out(small: None) -> None:
    values, every = np.array([0.3, np.nan, 0.1, -0.2, np.nan]), np.full(5, 0.5)
    there = np.isfinite(values)
    names = np.array([f"topic {n} (cluster {n})" for n in range(5)])
    whole = values_picture(values, 0.1 * every, every, names.tolist())
    assert whole == values_picture(values[there], 0.1 * every[there], every[there], names[there].tolist())
    assert whole != draw_values(np.nan_to_num(values), 0.05, 0.5)


def blue_groups(png: bytes) -> list[np.ndarray]:
    """The columns of pixels of each dot with its bar, from top to bottom."""
    red, _, blue = np.moveaxis(pixels(png), 2, 0)
    rows, columns = np.nonzero(blue > red + 40)
    return np.split(columns, np.flatnonzero(np.diff(rows) > 1) + 1)


def test_values_fall_from_top_to_bottom_whatever_their_order() -> None:
    places = [columns.mean() for columns in blue_groups(draw_values(np.array([-0.2, 0.3, 0.0, 0.1]), np.nan))]
    assert np.allclose(-np.diff(places) / np.ptp(places), [0.4, 0.2, 0.4], atol=0.02)


@pytest.mark.parametrize(("kept", "told"), [([0.5, 0.0], True), ([0.5, 0.2], False), ([0.0, 0.0], False)])
def test_colours_are_explained_where_there_are_two(kept: list[float], told: bool) -> None:
    figure = values_figure(np.ones(2), np.ones(2), np.array(kept), ["a", "b"])
    assert ("blue: rows of it were kept; grey: none" in figure.texts[1].get_text()) == told


@pytest.mark.parametrize("c", [NAMED, NAMED + 1, 46])
def test_of_many_clusters_the_best_and_the_worst_have_lines_with_names(c: int) -> None:
    axes = values_figure(np.arange(c) / c, np.full(c, 0.1), np.ones(c), [f"topic {n} (cluster {n})" for n in range(c)])
    lines = [label.get_text() for label in axes.axes[0].get_yticklabels()]
    half = NAMED // 2
    numbers = [*range(c)[::-1]] if c <= NAMED else [*range(c)[::-1][:half], *range(c)[::-1][-half:]]
    between = [] if c <= NAMED else [f"… {c - NAMED} cluster{'s' * (c > NAMED + 1)} between"]
    assert lines == [*(f"topic {n} (cluster {n})" for n in numbers), *between]


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("pizza, salad, cheese (cluster 4)", "pizza, salad, cheese (cluster 4)"),
        ("a" * 12 + ", " + "b" * 12 + ", c (cluster 4)", "a" * 12 + " (cluster 4)"),
        ("w" * 40 + " (cluster 12)", "w" * 20 + "… (cluster 12)"),
        ("$x$, _y^2_ (cluster 0)", "$x$, _y^2_ (cluster 0)"),
        ("你好, pizza (cluster 7)", "cluster 7"),
        ("עברית (cluster 7)", "cluster 7"),
        ("مرحبا (cluster 7)", "cluster 7"),
        ("cluster 5", "cluster 5"),
    ],
)
def test_names_are_drawn_as_far_as_there_is_room_and_the_font_has_the_letters(
    small: None, name: str, drawn: str, recwarn: pytest.WarningsRecorder
) -> None:
    figure = values_figure(np.array([0.5]), np.array([0.1]), np.array([1.0]), [name])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [drawn]
    assert len(png(figure)) > 100
    assert not list(recwarn)


def test_the_axis_says_the_unit_and_which_way_is_better() -> None:
    figures = [values_figure(np.ones(2), np.ones(2), np.ones(2), ["a", "b"], unit) for unit in ("nats a token", "")]
    shown = [figure.axes[0].get_xlabel() for figure in figures]
    assert shown == ["worth in nats a token, higher is better", "worth, higher is better"]


def test_bars_are_four_standard_errors_long_and_missing_where_these_are() -> None:
    groups = blue_groups(draw_values(np.array([0.3, 0.2, 0.1]), np.array([0.05, 0.025, np.nan])))
    long, short, none = (np.ptp(rows) for rows in groups)
    assert long / short == pytest.approx(2, abs=0.03)
    assert long / (groups[0].mean() - groups[2].mean()) == pytest.approx(1, abs=0.03)
    assert none < 40


def test_clusters_of_which_rows_were_kept_are_lit() -> None:
    shares = [np.arange(12) < kept for kept in (0, 3, 12)]
    lit = [coloured(draw_values(random(12), np.nan, share), LIT).sum() for share in shares]
    assert lit == sorted(set(lit))


@pytest.mark.parametrize("c", [5, 40])
def test_the_share_kept_stands_beside_every_cluster(c: int) -> None:
    shares = np.resize([0.0, 0.004, 0.01, 0.426, 1.0], c)
    figure = values_figure(np.arange(c)[::-1] / c, np.full(c, 0.1), shares, [f"cluster {n}" for n in range(c)])
    clusters, kept = figure.axes
    drawn = [int(label.get_text().split()[1]) for label in clusters.get_yticklabels() if "…" not in label.get_text()]
    told = {0.0: "none", 0.004: "< 1%", 0.01: "1%", 0.426: "43%", 1.0: "100%"}
    assert [label.get_text() for label in kept.get_yticklabels()] == [told[shares[number]] for number in drawn]
    assert [text.get_text() for text in kept.texts] == ["rows kept"]
    assert kept.get_ylim() == clusters.get_ylim()


@pytest.mark.parametrize("k", [30, 2000])
def test_kept_rows_are_lit_on_top_of_the_others(k: int) -> None:
    coordinates = random(k, 2)
    lit = [coloured(map_picture(coordinates, np.arange(k) < kept), LIT).sum() for kept in (0, k // 4, k)]
    assert lit[0] < lit[1] < lit[2]
    over = map_picture(np.zeros((k, 2)), np.arange(k) == 0)
    assert coloured(over, LIT)[450 - 80 : 450 + 80, 600:800].any()


def test_one_replicate_shows_no_convergence() -> None:
    assert convergence_picture(np.ones((1, 5)), 6) is None
    assert convergence_picture(np.empty((0, 0)), 0) is None


def test_the_best_end_above_the_worst() -> None:
    png = draw_convergence(np.tile(np.arange(20.0), (4, 1)))
    best, worst = (np.nonzero(coloured(png, colour)[:740, 1200:1300])[0] for colour in (LIT, WORST))
    assert best.max() < worst.min()


@pytest.mark.parametrize("unit", ["", "nats", "accuracy", "nats a token"])
def test_what_the_values_are_numbers_of_is_no_longer_than_their_axis(unit: str) -> None:
    figure = settling_figure(np.arange(5.0), random(5, 4), unit)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    label, panel = axes.yaxis.label.get_window_extent(), axes.get_window_extent()
    assert panel.y0 <= label.y0 < label.y1 <= panel.y1


@pytest.mark.parametrize("n", [1, 2, 5, 6, 7, 200, 201, 3000])
def test_no_cluster_is_drawn_twice_and_no_more_than_can_be_seen(n: int) -> None:
    places = np.concatenate(_apart(n))
    assert len(places) == len(set(places)) == min(n, DRAWN)
    assert {0, n - 1} <= set(places)


def test_layout_keeps_two_far_groups_apart() -> None:
    vectors = np.repeat(np.eye(8, dtype=np.float32)[:2], 30, axis=0) + 0.1 * random(60, 8).astype(np.float32)
    places = layout(vectors)
    assert places.dtype == np.float32
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) + np.diag(np.full(60, np.inf))
    assert (apart.argmin(axis=1) // 30 == np.arange(60) // 30).all()
    assert np.array_equal(layout(vectors), places)


@pytest.mark.parametrize("shape", [(0, 5), (1, 5), (2, 5), (4, 5), (5, 3), (7, 384), (6, 1), (3, 2)])
def test_layout_of_few_rows_or_columns_is_finite(shape: tuple[int, int]) -> None:
    for vectors in (random(*shape), np.ones(shape), np.sign(random(*shape) - 1.2)):
        places = layout(vectors.astype(np.float32))
        assert places.shape == (shape[0], 2)
        assert np.isfinite(places).all()
        assert shape[1] != 2 or np.array_equal(places, vectors.astype(np.float32))
