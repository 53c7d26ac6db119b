"""Evaluation items that decided a choice, found again for results that were read from a folder."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, InputError, curate
from shed_hf.errors import ShedWarning
from shed_hf.results.verdict import Verdict
from shed_hf.verification.items import recover_items
from shed_hf.verification.trials import Trials
from tests.helpers.rows import make_rows


@pytest.fixture(scope="module")
def held_out(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, set[str]]:
    """A folder of a choice by items that were held out, the file that was curated, and the texts of these items."""
    place = tmp_path_factory.mktemp("held_out")
    Dataset.from_list(make_rows(80)).to_json(place / "rows.jsonl")
    arguments = {"estimator": None, "sampler": "longest", "embedder": "lexical", "clusterer": "topic"}
    result = curate(str(place / "rows.jsonl"), 8, model=str(tiny_model), **arguments)
    result.save_to_disk(place / "kept", pages=False)
    measured_by = result.valued.measured_by
    assert measured_by is not None and measured_by.items is not None
    return place / "kept", place / "rows.jsonl", {item.text for item in measured_by.items.examples}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("passed_to", ["load_from_disk", "verify"])
def test_items_that_were_held_out_are_found_again_and_are_no_test_items(
    held_out: tuple[Path, Path, set[str]], passed_to: str
) -> None:
    folder, file, items = held_out
    source = str(file)
    loaded = CuratedDataset.load_from_disk(folder, source=source if passed_to == "load_from_disk" else None)
    passed = {"source": source} if passed_to == "verify" else {}
    with pytest.raises(
        InputError, match=rf"0 of 80 test items are left: \d+ repeat rows of the pool and {len(items)} "
    ):
        loaded.verify(source, seeds=2, full=False, **passed)
    if passed_to == "load_from_disk":
        verdict = loaded.verify([*make_rows(80), *make_rows(20, seed=7)], seeds=2, full=False)
        assert verdict.dropped["repeating evaluation items"] == len(items) == 8 and verdict.notes == ()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_items_that_were_held_out_of_a_file_are_found_in_its_rows_as_a_list(
    held_out: tuple[Path, Path, set[str]],
) -> None:
    folder, _, texts = held_out
    loaded = CuratedDataset.load_from_disk(folder)
    with pytest.raises(InputError, match=r"the dataset that was curated \(rows\.jsonl, 80 rows\), or eval_dataset="):
        recover_items(loaded, None, None, None)
    found = recover_items(loaded, None, None, make_rows(80))
    assert {item.text for item in found.examples} == texts


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_items_that_cannot_be_found_again_are_said_to_be_uncompared(
    held_out: tuple[Path, Path, set[str]], tmp_path: Path
) -> None:
    folder, _, _ = held_out
    Dataset.from_list(make_rows(80)[::-1]).to_json(tmp_path / "reversed.jsonl")
    loaded = CuratedDataset.load_from_disk(folder, source=str(tmp_path / "reversed.jsonl"))
    del loaded.recipe["evaluation"]["keys"]  # as earlier versions wrote it
    verdict = loaded.verify(make_rows(20, seed=7), seeds=2, full=False)
    assert verdict.dropped["repeating evaluation items"] is None
    assert "were not compared" in verdict.notes[0] and "pass the very dataset" in verdict.notes[0]
    assert Verdict.from_json(json.loads(json.dumps(verdict.as_json()))) == verdict
    assert "were not compared" in str(verdict)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_items_that_rows_were_chosen_by_are_no_test_set_even_where_they_are_not_at_hand(
    tiny_model: Path, tmp_path: Path
) -> None:
    items = make_rows(20, seed=9)
    arguments: dict[str, Any] = {"estimator": None, "sampler": "longest", "embedder": "lexical", "clusterer": "topic"}
    pool = Dataset.from_list(make_rows(40))
    kept = curate(pool, 4, eval_dataset=Dataset.from_list(items), model=str(tiny_model), **arguments)
    kept.save_to_disk(tmp_path / "kept", pages=False)
    loaded = CuratedDataset.load_from_disk(tmp_path / "kept", source=pool)
    with pytest.raises(InputError, match="the very items that the rows were chosen by"):
        loaded.verify(items, seeds=2, full=False)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_items_equal_to_one_that_is_not_at_hand_are_left_out_by_its_digest(tiny_model: Path, tmp_path: Path) -> None:
    items, pool = make_rows(20, seed=9), Dataset.from_list(make_rows(40))
    arguments: dict[str, Any] = {"estimator": None, "sampler": "longest", "embedder": "lexical", "clusterer": "topic"}
    kept = curate(pool, 4, eval_dataset=Dataset.from_list(items), model=str(tiny_model), **arguments)
    kept.save_to_disk(tmp_path / "kept", pages=False)
    loaded = CuratedDataset.load_from_disk(tmp_path / "kept", source=pool)
    shouted = [{**row, "instruction": f" {row['instruction'].upper()}\n"} for row in items[:5]]
    verdict = loaded.verify([*shouted, *make_rows(20, seed=7)], seeds=2, full=False)
    assert verdict.dropped["repeating evaluation items"] == 5
    assert verdict.on_unseen_items and "by digests alone" in verdict.notes[0]


def test_items_that_are_not_compared_are_told_of_before_anything_is_tuned(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Exception):
        pass

    def stopped(*_: Any) -> None:
        raise Stopped

    items, pool = make_rows(20, seed=9), Dataset.from_list(make_rows(40))
    test = [*items[:5], *make_rows(20, seed=7)]
    arguments: dict[str, Any] = {"estimator": None, "sampler": "longest", "embedder": "lexical", "clusterer": "topic"}
    kept = curate(pool, 4, eval_dataset=Dataset.from_list(items), model=str(tiny_model), **arguments)
    kept.save_to_disk(tmp_path / "kept", pages=False)
    loaded = CuratedDataset.load_from_disk(tmp_path / "kept", source=pool)
    monkeypatch.setattr(Trials, "measure", stopped)
    monkeypatch.setattr(Trials, "untuned", stopped)
    known = loaded.recipe["evaluation"]
    assert known is not None
    before_keys: Any = {name: part for name, part in known.items() if name != "keys"}
    for entry, told in [(known, "by digests alone, .*pass eval_dataset= as it was passed"),
                        (before_keys, "not compared with .*pass eval_dataset= as it was passed"),
                        (None, "not compared with .*they are not known")]:  # fmt: skip
        loaded.recipe["evaluation"] = entry
        with pytest.warns(UserWarning, match=told), pytest.raises(Stopped):
            loaded.verify(test, seeds=2, full=False)
    with warnings.catch_warnings(action="error", category=ShedWarning), pytest.raises(Stopped):
        kept.verify(test, seeds=2, full=False)
