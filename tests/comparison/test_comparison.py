"""`Comparison`: the frame, the table, the picture and the folder."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, load_dataset
from PIL import Image

import shed_hf
from shed_hf import InputError
from shed_hf.comparison.publish import card_of
from shed_hf.comparison.storage import MANIFEST
from shed_hf.comparison.table import table_rows
from shed_hf.hub.markdown import escaped
from tests.helpers.comparisons import compared, line_of


def broken(rows: Dataset, size: int, rng: np.random.Generator) -> list[int]:
    """Fails at the larger size."""
    return list(range(8))


@pytest.fixture(scope="module")
def table() -> shed_hf.Comparison:
    return compared(["retrieval", "longest", broken])


def test_the_frame_has_a_line_for_each_size_and_method(table: shed_hf.Comparison) -> None:
    frame = table.to_pandas()
    assert len(frame) == len(table.lines) == 6 + 5
    line = line_of(table, "longest", 16)
    row = frame[(frame.method == "longest") & (frame["size"] == 16)].iloc[0]
    assert (row["mean"], row["gain"], row["verdict"]) == (line.mean, line.gain, line.verdict)


def test_the_table_has_the_best_line_first_and_names_failures(table: shed_hf.Comparison) -> None:
    first, *_ = str(table).split("model, test: outcome, 20 items; 16 rows chosen")
    places = {line.method: first.index(f"\n  {line.method} ") for line in table.lines if line.size == 8}
    means = {method: line_of(table, method).mean for method in places}
    assert sorted(places, key=places.__getitem__) == sorted(means, key=lambda method: -means[method])
    assert "wins : losses against random rows, outcome\n  method" in str(table)
    assert "failed: broken failed in choosing (model, 16 rows): broken returned 8 rows" in str(table)


@pytest.mark.parametrize(
    ("figure", "words"),
    [("loss", "loss (minus the loss, in nats a token)"), ("Loss()", "Loss() (minus the loss, in nats a token)"),
     ("worst-group loss", "worst-group loss (minus the loss, in nats a token)"),
     ("macro accuracy", "macro accuracy (share of right answers)"),
     ("choice", "choice (log-likelihood of the right option, in nats)"),
     ("judges.loss#0b57186dbd47", "judges.loss#0b57186dbd47"), ("outcome", "outcome")],
)  # fmt: skip
def test_table_and_card_say_what_a_figure_is_and_which_way_it_counts(
    table: shed_hf.Comparison, figure: str, words: str
) -> None:
    lines = tuple(replace(line, figure=figure) for line in table.lines if line.size == 8)
    assert str(replace(table, lines=lines)).startswith(
        f"model, test: {words}, 20 items; 8 rows chosen; higher is better\n"
    )
    card = card_of(replace(table, lines=lines), "me/x", None, None)
    assert f"## {escaped(f'model, test: {words}, 20 items; 8 rows chosen; higher is better')}\n" in card


def test_what_rounding_leaves_of_a_measurement_without_noise_gives_no_digits(table: shed_hf.Comparison) -> None:
    lines = [replace(line, mean=0.5071428571, gain=0.0, gain_stderr=7.8e-18, low=0.0, high=0.0) for line in table.lines]
    assert {row[1:3] for row in table_rows(lines)} == {("0.5071", "+0.0000 ± 0.0000")}
    assert {row[1] for row in table_rows([*lines[:-1], replace(lines[-1], gain_stderr=0.021)])} == {"0.507"}


def test_wins_and_losses_are_counted_over_cells_by_intervals_and_by_standard_errors(table: shed_hf.Comparison) -> None:
    longest = next(line for line in table.lines if line.method == "longest")
    gains = [(0.3, 0.1, 0.5), (0.3, -0.1, 0.7), (0.1, -0.3, 0.5), (-0.3, -0.7, 0.1), (-0.3, -0.5, -0.1)]
    lines = [
        replace(longest, method=method, gain=gain, low=low, high=high, gain_stderr=0.1, items=items)
        for method, items in (("longest", 16), ("of few items", 15))
        for gain, low, high in gains
    ]
    known = replace(table, lines=tuple(lines))
    assert [(tally.wins, tally.losses, tally.cells) for tally in known.tallies] == [(1, 1, 5), (0, 0, 5)]
    assert [(tally.wins_beyond_two_stderr, tally.losses_beyond_two_stderr) for tally in known.tallies] == [
        (2, 2), (0, 0),
    ]  # fmt: skip
    told = str(known).partition("wins : losses")[2].splitlines()[1:5]
    assert [re.split("  +", line.strip()) for line in told] == [
        ["method", "beyond 2 s.e.", "by 95 % intervals", "tables"],
        ["longest", "2 : 2", "1 : 1", "5"],
        ["of few items", "0 : 0", "0 : 0", "5"],
        ["together", "2 : 2", "1 : 1", "10"],
    ]


def test_figures_have_the_digits_that_their_errors_leave_them(table: shed_hf.Comparison) -> None:
    longest = replace(line_of(table, "longest"), mean=-5.073031, stderr=0.000881)
    errors = {0.102: "-5.07  +0.01 ± 0.10", 0.0148: "-5.073  +0.013 ± 0.015", 2.31: "-5.1  +0.0 ± 2.3",
              31.0: "-5  +0 ± 31", float("nan"): "-5.073  "}  # fmt: skip
    for error, told in errors.items():
        gain = 0.01319 if error == error else error
        line = replace(longest, gain=gain, gain_stderr=error, low=gain - 2 * error, high=gain + 2 * error)
        shown = next(text for text in str(replace(table, lines=(line,))).splitlines() if text.startswith("  longest"))
        assert re.sub("  +", "  ", shown).startswith(f"  longest  {told}")


def test_what_is_worse_than_no_tuning_alone_is_not_called_worse_than_random_rows(table: shed_hf.Comparison) -> None:
    line = replace(line_of(table, "longest"), verdict="worse", gain=0.3, gain_stderr=0.1, low=0.1, high=0.5)
    assert "  worse than untuned  " in str(replace(table, lines=(line,)))
    assert "  worse  " in str(replace(table, lines=(replace(line, gain=-0.3, low=-0.5, high=-0.1),)))


def test_the_picture_shows_every_method_on_a_panel_of_its_own(table: shed_hf.Comparison, tmp_path: Path) -> None:
    table.plot(tmp_path / "comparison.png")
    picture = Image.open(io.BytesIO((tmp_path / "comparison.png").read_bytes())).convert("RGB")
    colours = {colour for _, colour in picture.getcolors(2**24) or []}
    assert (0x0A, 0x4F, 0xB0) in colours
    assert (0xC8, 0x4A, 0x00) in colours
    assert picture.getpixel((0, 0)) == (0xE6, 0xE9, 0xEE)
    with pytest.raises(InputError, match="cannot be written"):
        table.plot(tmp_path / "nowhere" / "comparison.png")


def test_a_picture_is_written_as_its_name_says(table: shed_hf.Comparison, tmp_path: Path) -> None:
    table.plot(tmp_path / "comparison.svg")
    assert b"<svg" in (tmp_path / "comparison.svg").read_bytes()
    for name in ("comparison.xyz", "comparison", "comparison.png.txt"):
        with pytest.raises(InputError, match=r"does not end in one of \.png, \.pdf, \.svg"):
            table.plot(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["comparison.svg"]


@pytest.mark.parametrize("half", [0.2, 17.0], ids=["whole", "cut off"])
def test_a_bar_that_a_panel_cuts_off_ends_in_an_arrow(table: shed_hf.Comparison, tmp_path: Path, half: float) -> None:
    lines = tuple(
        line if line.method != "retrieval" else replace(line, low=line.gain - half, high=line.gain + half)
        for line in table.lines
        if line.method not in ("longest", "broken")
    )
    for name in ("bars.svg", "bars.png"):
        replace(table, lines=lines).plot(tmp_path / name)
    assert ("the bar goes on beyond it" in (tmp_path / "bars.svg").read_text(encoding="utf-8")) == (half == 17.0)
    pixels = np.asarray(Image.open(tmp_path / "bars.png").convert("RGB"))
    widths = (pixels == (0x0A, 0x4F, 0xB0)).all(axis=2).sum(axis=1)
    below_tip = np.flatnonzero(widths)[0] + 8
    assert (widths[below_tip] > 1.5 * widths[below_tip + 4 : below_tip + 30].min()) == (half == 17.0)


def test_a_single_size_has_no_scale_on_which_methods_look_like_sizes(table: shed_hf.Comparison, tmp_path: Path) -> None:
    told = {"8 rows tuned on": {8}, "16 rows tuned on": {16}, "rows tuned on": {8, 16}}
    for label, sizes in told.items():
        lines = tuple(line for line in table.lines if line.size in sizes)
        replace(table, lines=lines).plot(tmp_path / "sizes.svg")
        drawn = (tmp_path / "sizes.svg").read_text(encoding="utf-8")
        assert f"<!-- {'every method: ' if len(sizes) == 1 else ''}{label} -->" in drawn
        assert all((f"<!-- {size} -->" in drawn) == (len(sizes) == 2) for size in (8, 16))


def test_nothing_of_a_picture_is_cut_off_at_its_edges(table: shed_hf.Comparison, tmp_path: Path) -> None:
    names = [f"{number} rows that are chosen by a long name" for number in range(7)]
    longest = [line for line in table.lines if line.method == "longest"]
    many = tuple(replace(line, method=name) for line in longest for name in names)
    methods = {name: {"name": "Longest"} for name in names}
    recipe = {**table.recipe, "methods": methods}
    for lines in (many, tuple(line for line in many if line.size == 8)):
        replace(table, lines=lines, recipe=recipe).plot(tmp_path / "many.png")
        pixels = np.asarray(Image.open(tmp_path / "many.png").convert("RGB"))
        edges = np.concatenate(
            [pixels[:, :3].reshape(-1, 3), pixels[:, -3:].reshape(-1, 3), pixels[-3:].reshape(-1, 3)]
        )
        assert len(np.unique(edges, axis=0)) == 1


def test_what_was_saved_is_read_back_equal(table: shed_hf.Comparison, tmp_path: Path) -> None:
    table.save_to_disk(tmp_path / "saved")
    again = shed_hf.Comparison.load_from_disk(tmp_path / "saved")
    assert (str(again), again.runs, again.failures, again.notes) == (
        str(table), table.runs, table.failures, table.notes,
    )  # fmt: skip
    assert again == table
    assert again != replace(table, notes=("another",))
    lines = load_dataset("parquet", data_files=str(tmp_path / "saved/data/*.parquet"), split="train")
    assert lines["method"][:] == [line.method for line in table.lines]
    with pytest.raises(InputError, match="is there already"):
        table.save_to_disk(tmp_path / "saved")


@pytest.fixture
def saved(table: shed_hf.Comparison, tmp_path: Path) -> Iterator[Path]:
    table.save_to_disk(tmp_path / "saved")
    yield tmp_path / "saved" / MANIFEST


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [("version", 2, "newer version"), ("lines", [{"model": "a"}], "a Line has the fields"), ("notes", [3], "damaged"),
     ("recipe", {}, "damaged"), ("runs", 3, "damaged")],
)  # fmt: skip
def test_a_damaged_folder_is_refused(saved: Path, field: str, value: object, message: str) -> None:
    saved.write_text(json.dumps({**json.loads(saved.read_text()), field: value}))
    with pytest.raises(InputError, match=message):
        shed_hf.Comparison.load_from_disk(saved.parents[1])


def test_another_folder_holds_no_comparison(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no comparison"):
        shed_hf.Comparison.load_from_disk(tmp_path)
