"""`Comparison`: the frame, the table, the picture and the folder."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, load_dataset
from PIL import Image

import shed_hf
from shed_hf import InputError
from shed_hf.comparison.storage import MANIFEST
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
    assert "wins : losses against random rows by the 95 % intervals, outcome: retrieval" in str(table)
    assert "failed: broken failed in choosing (model, 16 rows): broken returned 8 rows" in str(table)


def test_wins_and_losses_are_counted_over_cells(table: shed_hf.Comparison) -> None:
    tally = next(tally for tally in table.tallies if tally.method == "longest")
    of_method = [line for line in table.lines if line.method == "longest"]
    assert (tally.wins, tally.losses, tally.cells) == (
        sum(line.low > 0 for line in of_method),
        sum(line.high < 0 for line in of_method),
        2,
    )


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
