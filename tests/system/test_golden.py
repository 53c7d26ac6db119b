"""The repository in hub_cards/example: what this version reads and writes is what an earlier one published."""

from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard

from shed_hf import CuratedDataset
from shed_hf.hub.card import dataset_card, pictures_of
from shed_hf.hub.privacy import as_published
from shed_hf.hub.readme import parsed
from shed_hf.storage.curated_folder import read

EXAMPLE = Path(__file__).parents[2] / "hub_cards" / "example"
NAME = "me/everyday-tasks-shed"


@pytest.fixture(scope="module")
def curated() -> CuratedDataset:
    return read(EXAMPLE, NAME)


def test_the_card_comes_out_as_it_stands(curated: CuratedDataset) -> None:
    names = sorted(path.name for path in (EXAMPLE / "assets").iterdir())
    written = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    published, of_source = as_published(curated, excerpts=True), parsed(written)[0]
    pictures = list(pictures_of(published))
    assert sorted(pictures) == names
    assert dataset_card(published, NAME, of_source, pictures, None) == written
    assert dataset_card(published, NAME, {}, pictures, written) == written


def test_its_rows_are_sound_ones_and_were_compared_with_random_rows(curated: CuratedDataset) -> None:
    assert set(curated.dataset["damage"]) == {""}
    assert curated.verdict is not None
    data = parsed((EXAMPLE / "README.md").read_text(encoding="utf-8"))[0]
    assert data["language"] == ["en"] and data["license"] and data["pretty_name"] == "Everyday tasks shed"


def test_the_card_passes_the_hubs_validation() -> None:
    DatasetCard.load(EXAMPLE / "README.md").validate()


def test_every_configuration_loads_without_shed_hf(curated: CuratedDataset) -> None:
    rows, clusters, utilities = (
        load_dataset(str(EXAMPLE), name, split="train") for name in ("default", "clusters", "utilities")
    )
    assert rows["shed_row"][:] == curated.rows.tolist()
    assert None not in rows["x"][:] + rows["y"][:]  # the map shows the whole pool
    assert clusters.to_list() == curated.clusters.to_list()
    assert len(utilities) == len(curated.ledger)


def test_every_row_names_its_licence(curated: CuratedDataset) -> None:
    assert all(row["source"] and row["licence"] for row in curated.dataset)
    assert (EXAMPLE.parent / "LICENSES.md").is_file()


def test_nothing_of_the_machine_it_was_made_on_is_in_it() -> None:
    for path in EXAMPLE.rglob("*"):
        if path.is_file():
            content = path.read_bytes().replace(b"/home/user/", b"")  # of a row about shell scripts
            assert not any(word in content for word in (b"/home/", b"/root", b"/tmp", b"site-packages")), path


def test_values_can_be_had_again_from_its_utilities(curated: CuratedDataset) -> None:
    again = as_published(curated, excerpts=True)
    np.testing.assert_array_equal(again.valued.values, curated.valued.values)
    assert again.clusters.to_list() == curated.clusters.to_list()
    gain = curated.estimate.v_grand - curated.estimate.v_empty
    assert curated.estimate.values.sum() == pytest.approx(gain)  # efficiency
