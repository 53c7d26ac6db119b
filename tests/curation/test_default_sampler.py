"""What chooses rows where the caller leaves it open."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

import shed_hf
from shed_hf import CuratedDataset, Retrieval, curate
from shed_hf.curation.arguments import request_from
from shed_hf.curation.prepare import PreparedCuration, prepare
from shed_hf.distributed.ranks import SingleProcess
from tests.helpers.rows import make_rows

ROWS, ITEMS = make_rows(24), make_rows(6, seed=9)


def arguments_of(model: Path) -> dict[str, Any]:
    return {"eval_dataset": Dataset.from_list(ITEMS), "model": str(model), "embedder": "lexical", "budget": 8}


def curated_by_model(model: Path, **changes: Any) -> CuratedDataset:
    with pytest.warns(UserWarning):  # of so few rows no ranking is shown to be real
        return curate(Dataset.from_list(ROWS), 6, **arguments_of(model) | {"clusterer": np.arange(24) % 3} | changes)


def prepared_by_model(model: Path, rows: list[dict[str, Any]] = ROWS, **changes: Any) -> PreparedCuration:
    """All that is settled before anything is trained."""
    given = {"dataset": Dataset.from_list(rows), "size": 6, "clusterer": np.arange(len(rows)) % 3}
    return prepare(request_from(arguments_of(model) | given | changes), SingleProcess())


@pytest.fixture(scope="module")
def by_states(tiny_model: Path) -> CuratedDataset:
    return curated_by_model(tiny_model)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "Retrieval"),
        ({"objective": "contrast"}, "CreditCoverage"),
        ({"merit": "loss"}, "QOCS"),
        ({"constraints": {"topic": 9.0}}, "QOCS"),
        ({"sampler": "qwcs"}, "QWCS"),
    ],
    ids=[
        "a likelihood",
        "candidates that are compared",
        "an order within clusters",
        "constraints",
        "a sampler that was asked for",
    ],
)
def test_rows_are_valued_unless_something_is_asked_of_clusters(
    tiny_model: Path, changes: dict[str, Any], name: str
) -> None:
    assert type(prepared_by_model(tiny_model, **changes).sampler).__name__ == name


@pytest.mark.parametrize(
    ("changes", "name"),
    [({}, "Extrapolated"), ({"objective": "contrast"}, "QOCS"), ({"merit": "loss"}, "QOCS")],
    ids=["a likelihood", "candidates that are compared", "an order within clusters"],
)
def test_of_many_rows_a_sample_is_read_for_the_signal_of_all(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], name: str
) -> None:
    monkeypatch.setattr("shed_hf.sampling.row_ranking.MOST_ROWS", 23)
    assert type(prepared_by_model(tiny_model, **changes).sampler).__name__ == name


@pytest.mark.parametrize(
    ("row", "changes"),
    [
        (ITEMS[0], {}),
        ({**ROWS[0], "output": None}, {"drop_invalid": True}),
    ],
    ids=["it repeats an item", "it can't be read"],
)
@pytest.mark.parametrize("taking_part", [23, 24])
def test_a_row_that_takes_no_part_makes_no_pool_large(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], changes: dict[str, Any], taking_part: int
) -> None:
    monkeypatch.setattr("shed_hf.sampling.row_ranking.MOST_ROWS", 23)
    changes = {**changes, "estimator": None, "budget": None}
    prepared = prepared_by_model(tiny_model, [*make_rows(taking_part), row], **changes)
    assert len(prepared.candidates.rows) == taking_part
    assert type(prepared.sampler).__name__ == ("Retrieval" if taking_part == 23 else "Extrapolated")


def test_the_plan_tells_of_the_sample_that_is_read(tiny_model: Path) -> None:
    pool, arguments = Dataset.from_list(make_rows(80)), {"model": str(tiny_model), "embedder": "lexical"}
    settings: dict[str, Any] = {"eval_dataset": Dataset.from_list(ITEMS), "clusterer": np.arange(80) % 3, "budget": 8}
    found = shed_hf.plan(pool, 6, sampler=shed_hf.Extrapolated(sample=50), **settings, **arguments)
    assert found.rows_read == 50
    assert "rows trained, 50 read, " in str(found)
    assert " read" not in str(shed_hf.plan(pool, 6, sampler="random", merit=None, **settings, **arguments))


def test_without_a_game_credit_chooses_and_without_credit_nearness() -> None:
    rows = Dataset.from_list(ROWS)

    def unused(row_sets: Any) -> Any:
        raise AssertionError(f"nothing is measured, not even {row_sets}")

    curated = curate(rows, 6, eval_dataset=Dataset.from_list(ITEMS), utility=unused, embedder="lexical", estimator=None)
    assert curated.recipe["sampler"]["name"] == "Retrieval"


def test_rows_near_the_items_by_the_models_states_have_their_nearness_as_value(
    by_states: CuratedDataset, tiny_model: Path
) -> None:
    curated = by_states
    assert curated.recipe["sampler"]["name"] == "Retrieval"
    assert curated.recipe["sampler"]["vectors"] == "model"
    merits = curated.merits.to_pandas()
    assert merits["value"].equals(merits["nearness"])
    assert merits["nearness"].between(-1, 1).all()
    nearest = merits.sort_values("nearness", ascending=False)["shed_row"]
    by_mean = curated_by_model(tiny_model, sampler=Retrieval("mean", vectors="model"))
    assert by_mean.rows.tolist() == nearest[:6].tolist()


@pytest.mark.parametrize("name", ["Retrieval", "CreditCoverage"])
def test_other_sizes_are_chosen_as_the_first_one_was(
    by_states: CuratedDataset, name: str, tiny_model: Path, tmp_path: Path
) -> None:
    first = by_states if name == "Retrieval" else curated_by_model(tiny_model, objective="contrast")
    assert first.recipe["sampler"]["name"] == name
    first.save_to_disk(tmp_path / "saved", pages=False)
    curated = CuratedDataset.load_from_disk(tmp_path / "saved", Dataset.from_list(ROWS))
    fewer = curated.resample(3)
    assert fewer.recipe["sampler"] == curated.recipe["sampler"]
    assert set(fewer.rows.tolist()) < set(curated.rows.tolist())
    assert set(curated.resample(9).rows.tolist()) > set(curated.rows.tolist())


@pytest.mark.parametrize(
    ("sampler", "merit", "cost"),
    [
        ("longest", "credit", "costs a training run over all rows"),
        ("ifd", "credit", "costs a training run over all rows"),
        ("longest", "loss", "costs a pass over all rows"),
        ("ifd", "loss", None),
        ("random", "credit", None),
        ("longest", None, None),
    ],
)
def test_an_order_within_clusters_that_nothing_reads_is_warned_of(
    tiny_model: Path, recwarn: pytest.WarningsRecorder, sampler: str, merit: str | None, cost: str | None
) -> None:
    arguments = {"eval_dataset": ITEMS, "model": str(tiny_model), "embedder": "lexical", "estimator": None}
    shed_hf.plan(Dataset.from_list(ROWS), 6, sampler=sampler, merit=merit, clusterer=np.arange(24) % 3, **arguments)
    told = [str(found.message) for found in recwarn if "leave merit= out" in str(found.message)]
    assert len(told) == (0 if cost is None else 1) and all(f"merit={merit!r} {cost}" in line for line in told)
