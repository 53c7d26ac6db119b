"""A saved folder has what people read: card, pictures and report."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, load_dataset
from huggingface_hub import DatasetCard

from shed_hf import CuratedDataset
from shed_hf.report import saved_pages
from shed_hf.results import embedding_map
from shed_hf.results.embedding_map import EmbeddingMap
from tests.helpers.curations import curated_of
from tests.helpers.pages import Page
from tests.helpers.rows import make_rows

BARE = ["README.md", "clusters", "data", "shed_hf", "utilities"]
"""What a folder without pages holds."""


def raising(error: BaseException) -> Callable[..., Any]:
    def fails(*_: object, **__: object) -> Any:
        raise error

    return fails


@pytest.fixture(scope="module")
def curated() -> CuratedDataset:
    return curated_of(Dataset.from_list(make_rows(60)), 12)


@pytest.fixture(scope="module")
def folder(curated: CuratedDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "kept rows"
    curated.save_to_disk(path)
    return path


def test_the_card_its_pictures_and_the_report_are_there(folder: Path) -> None:
    card = DatasetCard.load(folder / "README.md")
    assert sorted(path.name for path in (folder / "assets").iterdir()) == ["map.png", "values.png"]
    assert all(f"(assets/{path.name})" in card.text for path in (folder / "assets").iterdir())
    assert "12 rows" in card.text
    assert 'load_from_disk("./kept rows"' in card.text
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.content["kept"] == 12


def test_the_folder_is_read_as_before(folder: Path, curated: CuratedDataset) -> None:
    for name, expected in (("default", len(curated)), ("clusters", 4), ("utilities", len(curated.ledger))):
        assert len(load_dataset(str(folder), name, split="train")) == expected
    again = CuratedDataset.load_from_disk(folder)
    assert again.rows.tolist() == curated.rows.tolist()
    assert repr(again) == repr(curated)


def test_without_pages_only_what_is_read_back_is_written(curated: CuratedDataset, folder: Path, tmp_path: Path) -> None:
    curated.save_to_disk(tmp_path / "bare", pages=False)
    assert sorted(path.name for path in (tmp_path / "bare").iterdir()) == BARE
    with_card, bare = (DatasetCard.load(path / "README.md").data["configs"] for path in (folder, tmp_path / "bare"))
    assert with_card == bare  # datasets tells folders of one name apart by the digests in these
    assert len(bare[0]["description"]) == 64


def not_laid_out(curated: CuratedDataset) -> CuratedDataset:
    """The same result before anybody asked where its rows lie on the map."""
    plane = curated.valued.embedding_map
    return replace(curated, valued=replace(curated.valued, embedding_map=EmbeddingMap(plane.rows, plane.vectors)))


BROKEN = {
    "the map": (embedding_map, "layout"),
    "a picture": (saved_pages, "pictures_of"),
    "the report": (saved_pages, "report_page"),
    "the card": (saved_pages, "folder_card"),
}
"""What draws each part of the pages."""


@pytest.mark.parametrize("error", [OSError("no space left"), MemoryError()], ids=["disk", "memory"])
@pytest.mark.parametrize("part", BROKEN)
def test_pages_that_cannot_be_drawn_cost_no_result(
    part: str, error: Exception, curated: CuratedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(*BROKEN[part], raising(error))
    not_laid_out(curated).save_to_disk(tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == BARE
    assert CuratedDataset.load_from_disk(tmp_path / "saved").rows.tolist() == curated.rows.tolist()
    assert len(load_dataset(str(tmp_path / "saved"), split="train")) == 12
    assert "saved without card and report, which can't be drawn (" + type(error).__name__ in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_card_written_in_part_is_taken_back(
    curated: CuratedDataset, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, left = Path.write_text, ["the disk is full once"]

    def in_part(path: Path, text: str, **how: Any) -> int:
        if path.name == "README.md" and "12 rows" in text and left:
            whole(path, text[:20], **how)
            raise OSError(left.pop())
        return whole(path, text, **how)

    monkeypatch.setattr(Path, "write_text", in_part)
    curated.save_to_disk(tmp_path / "saved")
    assert not left
    configs = [DatasetCard.load(path / "README.md").data["configs"] for path in (tmp_path / "saved", folder)]
    assert configs[0] == configs[1]


@pytest.mark.parametrize("part", BROKEN)
def test_a_result_whose_pages_are_interrupted_is_saved_elsewhere(
    part: str, curated: CuratedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(*BROKEN[part], raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt) as error:
        not_laid_out(curated).save_to_disk(tmp_path / "sub" / "saved")
    (kept,) = tmp_path.glob("saved-*")
    assert str(kept) in " ".join(error.value.__notes__)
    assert CuratedDataset.load_from_disk(kept).rows.tolist() == curated.rows.tolist()
