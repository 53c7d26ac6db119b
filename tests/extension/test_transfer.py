"""A ranking measured again by another utility: what it says, where it is kept, what can't be compared."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, FineTune, InputError, Named, ShedError, Transfer, curate
from tests.helpers.curations import ByTopic, curated_of
from tests.helpers.rows import make_rows
from tests.helpers.tiny_models import config

POOL = Dataset.from_list(make_rows(60))


class Reversed(ByTopic):
    """What is worth most is worth least, beyond a gain for every row."""

    def __call__(self, row_sets: Sequence[np.ndarray]) -> np.ndarray:
        return np.array([[5.0 * len(rows)] * 2 for rows in row_sets]) - super().__call__(row_sets)


def curated(**changes: Any) -> CuratedDataset:
    arguments: dict[str, Any] = {"estimator": "least-squares", "clusterer": "kmeans", "budget": 60}
    return curated_of(POOL, 12, **(arguments | changes))


def test_the_same_ranking_is_found_again_from_few_coalitions_and_remembered(tmp_path: Path) -> None:
    result = curated()
    found = result.transfer(budget=16)
    assert found.fine_tunings <= 16
    assert found.correlation > 0.8
    assert found.low > 0.5
    assert found.kept is not None
    assert found.kept_by_chance is not None
    assert found.kept > found.kept_by_chance
    assert found.claim in repr(result)
    result.save_to_disk(tmp_path / "saved", pages=False)
    assert CuratedDataset.load_from_disk(tmp_path / "saved").transfers == [found]
    smaller = result.resample(5).transfers[0]
    assert (smaller.correlation, smaller.kept) == (found.correlation, None)


def test_a_ranking_that_is_the_other_way_round_is_said_not_to_be_alike() -> None:
    found = curated().transfer(utility=Named("reversed", Reversed(POOL)), budget=16)
    assert found.correlation < -0.7
    assert found.high < 0
    assert "not alike" in found.claim


def test_only_what_is_not_in_its_file_is_measured_and_the_curations_ledger_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="shed_hf")
    path = tmp_path / "run.ledger"
    result = curated(ledger=path)
    before = path.read_bytes()
    first, second = (result.transfer(budget=10, ledger=path) for _ in range(2))
    assert (first.fine_tunings, second.fine_tunings) == (first.coalitions + 1, 0)
    assert (first.correlation, first.low, first.values) == (second.correlation, second.low, second.values)
    assert path.read_bytes() == before
    result.transfer(utility=Named("reversed", Reversed(POOL)), budget=10, ledger=path)
    assert len(list(tmp_path.glob("run.ledger.transfer-*"))) == 2
    caplog.clear()
    fewer = result.transfer(budget=8, ledger=path)
    (told,) = re.findall(r"bill: (\d+) outcomes .*; (\d+) in the ledger already", caplog.text)
    assert tuple(map(int, told)) == (fewer.coalitions + 1, fewer.coalitions + 1 - fewer.fine_tunings)


def test_another_model_is_tuned_in_the_same_way(tiny_model: Path, tmp_path: Path) -> None:
    items = Dataset.from_list(make_rows(6, seed=99))
    tuner = FineTune(str(tiny_model), args=config(learning_rate=1e-3))
    result = curate(
        POOL, 8, eval_dataset=items, utility=tuner, embedder="lexical", clusterer="topic", budget=8,
        proxies_per_cluster=1, merit=None,
    )  # fmt: skip
    result.save_to_disk(tmp_path / "saved", pages=False)
    found = result.transfer(model=str(tiny_model), budget=8)
    assert found.coalitions >= 6
    assert found.name == str(tiny_model)
    assert found.utility["training"]["learning_rate"] == 1e-3
    loaded = CuratedDataset.load_from_disk(tmp_path / "saved", POOL)
    with pytest.raises(InputError, match="eval_dataset="):
        loaded.transfer(budget=8)
    again = loaded.transfer(model=str(tiny_model), budget=8, eval_dataset=items)
    assert again.values == found.values


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param({"budget": 7}, "budget=7", id="too little to spend"),
        pytest.param({"budget": "4h"}, "budget", id="a time"),
        pytest.param({"model": "a/b", "utility": len}, "both", id="two of them"),
        pytest.param({"model": "a/b"}, "model= changes the model of a FineTune", id="no model to change"),
        pytest.param({"seed": -1}, "seed", id="no seed"),
        pytest.param({"ledger": 3}, "not a path", id="no path"),
        pytest.param({"eval_dataset": 5}, "eval_dataset= is for what fine-tunes", id="items of a callable"),
        pytest.param({"ledger": "."}, "is no path of a ledger", id="no name"),
    ],
)
def test_what_cannot_be_used_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ShedError, match=said):
        curated(clusterer="topic").transfer(**arguments)


def test_items_that_a_callable_does_not_read_are_refused_where_the_curation_had_some_too() -> None:
    chosen_by_items = curated(clusterer="topic", sampler="dsir", eval_dataset=Dataset.from_list(make_rows(4, seed=9)))
    assert chosen_by_items.recipe["evaluation"] is not None
    for utility in (None, Named("reversed", Reversed(POOL))):
        with pytest.raises(InputError, match="eval_dataset= is for what fine-tunes, and here a callable measures"):
            chosen_by_items.transfer(utility=utility, budget=8, eval_dataset=make_rows(4, seed=9))
    assert chosen_by_items.transfer(utility=Named("reversed", Reversed(POOL)), budget=8).coalitions


def test_without_a_source_at_hand_the_rows_are_asked_for(tmp_path: Path) -> None:
    curated(clusterer="topic").save_to_disk(tmp_path / "saved", pages=False)
    loaded = CuratedDataset.load_from_disk(tmp_path / "saved")
    with pytest.raises(InputError, match="source="):
        loaded.transfer(utility=Named("worth", ByTopic(POOL)))
    with pytest.raises(InputError, match="utility of this curation is not at hand"):
        loaded.transfer(source=POOL)


def test_where_all_clusters_are_worth_the_same_there_is_no_ranking_to_compare() -> None:
    flat = curated(clusterer="topic", utility=Named("flat", lambda sets: np.zeros((len(sets), 2))))
    with pytest.raises(InputError, match="no ranking to compare"):
        flat.transfer(budget=8)


@pytest.mark.parametrize(
    ("sampler", "said"),
    [("longest", "were chosen one by one by Longest(), which asks no model: another one would choose the same"),
     ("random", "were drawn at random")],
)  # fmt: skip
def test_what_becomes_of_rows_that_values_did_not_choose_is_said(sampler: str, said: str) -> None:
    found = curated(clusterer="topic", sampler=sampler).transfer(budget=8)
    assert found.kept is None
    assert f"the 12 chosen rows {said}" in str(found)


def test_a_model_that_cannot_be_had_is_named() -> None:
    with pytest.raises(InputError, match="no-such-folder"):
        curated(clusterer="topic").transfer(utility=FineTune("./no-such-folder"), eval_dataset=POOL.select(range(8)))


@pytest.mark.parametrize(
    ("low", "high", "gain", "said"),
    [
        pytest.param(0.8, 0.9, 1.0, "holds for the most part", id="clear"),
        pytest.param(0.4, 0.9, 1.0, "holds in part", id="in part"),
        pytest.param(0.1, 0.9, 1.0, "something in common", id="something"),
        pytest.param(-0.5, 0.9, 1.0, "is not known", id="unknown"),
        pytest.param(-0.5, 0.2, 1.0, "not alike", id="not"),
        pytest.param(0.8, 0.9, -1.0, "does not help", id="no help"),
    ],
)
def test_the_words_follow_the_interval(low: float, high: float, gain: float, said: str) -> None:
    found = Transfer(
        name="m", correlation=(low + high) / 2, low=low, high=high, estimated=None, kept=0.5, kept_low=0.2,
        kept_high=0.8, kept_by_chance=0.3, n_rows=10, n_clusters=8, coalitions=14, fine_tunings=15, seconds=1.0,
        gain=gain, values=(1.0, None), stderr=(0.1, None), seed=1, utility={},
    )  # fmt: skip
    assert said in found.claim
    assert str(found).splitlines() == [
        found.claim,
        f"  rank correlation of 8 clusters {(low + high) / 2:.2f} ({low:.2f} to {high:.2f})",
        "  of the 10 chosen rows 50% would also be chosen (20% to 80%; 30% by chance)",
        "  14 coalitions measured again, cost 15 outcomes, 1.0 s",
    ]
    unknown = replace(found, kept=None, kept_unknown="were raced for")
    assert str(unknown).splitlines()[2] == "  the 10 chosen rows were raced for"
    assert Transfer.from_json(found.as_json()) == found


def test_a_result_without_a_game_has_no_ranking_to_compare() -> None:
    with pytest.raises(InputError, match=r"^no game was played \(estimator=None\), so there is no ranking"):
        curated(estimator=None, sampler="random", budget=None).transfer()
