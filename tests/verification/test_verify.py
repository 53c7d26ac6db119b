"""`CuratedDataset.verify`: on callables whose worth is known, and once with a real model."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from typer.testing import CliRunner

from shed_hf import CuratedDataset, FineTune, InputError, Named, curate, read_ledger
from shed_hf.cli import app
from shed_hf.hub.card import page
from shed_hf.report.headline import headline_of
from shed_hf.results.verdict import Verdict
from tests.helpers.curations import WORTH, curated_of
from tests.helpers.rows import make_rows
from tests.helpers.verified import N_ITEMS, OnTestItems


@pytest.fixture
def curated(pool: Dataset) -> CuratedDataset:
    return curated_of(pool)


def test_rows_of_the_best_topic_are_better_than_random_ones(curated: CuratedDataset, pool: Dataset) -> None:
    verdict = curated.verify(utility=OnTestItems(pool))
    assert verdict.kind == "better" and verdict.over_untuned.is_better
    assert verdict.gain == pytest.approx(3.0 - np.mean(list(WORTH.values())), abs=0.5)
    assert (verdict.n_items, verdict.n_seeds, verdict.n_draws) == (N_ITEMS, 5, 5)


def test_what_a_callable_measures_is_called_no_fine_tuning(
    curated: CuratedDataset, pool: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="shed_hf")
    verdict = curated.verify(utility=OnTestItems(pool), seeds=2, full=False)
    assert "a verdict takes 4 outcomes: 2 on the 30 chosen rows" in caplog.text
    assert verdict.cost is not None and (verdict.cost.chosen_by, verdict.cost.verified_by) == ("outcome", "outcome")
    assert "fine-tuning" not in str(verdict)
    assert Verdict.from_json(json.loads(json.dumps(verdict.as_json()))) == verdict


def test_rows_that_hurt_are_worse_than_no_tuning(curated: CuratedDataset, pool: Dataset) -> None:
    assert curated.verify(utility=OnTestItems(pool, sign=-1.0)).claim.startswith("worse than not tuning at all")


def test_every_tuning_has_as_many_rows_and_full_all_of_them(curated: CuratedDataset, pool: Dataset) -> None:
    utility = OnTestItems(pool)
    verdict = curated.verify(utility=utility, seeds=3, draws=4)
    assert utility.sizes == {0, 30, 120} and utility.n_sets == 1 + 3 + 4 + 1
    assert verdict.over_full is not None and verdict.cost is not None and verdict.cost.full_is_measured
    assert curated.verify(utility=OnTestItems(pool), full=False).over_full is None


def test_full_is_left_out_where_it_costs_more_than_the_rest(pool: Dataset) -> None:
    small = curated_of(pool, size=3)
    verdict = small.verify(utility=OnTestItems(pool), seeds=2)
    assert verdict.over_full is None and verdict.cost is not None
    assert verdict.cost.full_seconds == pytest.approx(verdict.cost.tuning_seconds * 40, rel=0.1, abs=0.01)


def test_the_verdict_stays_with_the_result(curated: CuratedDataset, pool: Dataset, tmp_path: Path) -> None:
    assert curated.verdict is None and "verdict" not in repr(curated)
    verdict = curated.verify(utility=OnTestItems(pool))
    assert curated.verdict == verdict and f"verdict: {verdict.claim}" in repr(curated)
    curated.save_to_disk(tmp_path / "kept", pages=False)
    assert CuratedDataset.load_from_disk(tmp_path / "kept").verdict == verdict
    assert curated.resample(0.1).verdict is None  # other rows


def test_a_ledger_answers_the_second_time_and_more_draws_go_on_from_it(
    curated: CuratedDataset, pool: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="shed_hf")
    path = tmp_path / "verdict.ledger"
    first, again, more = OnTestItems(pool), OnTestItems(pool), OnTestItems(pool)
    one = curated.verify(utility=first, ledger=path)
    assert curated.verify(utility=again, ledger=path) == one and again.n_sets == 0
    curated.verify(utility=more, seeds=6, draws=7, ledger=path)
    assert more.n_sets == 1 + 2
    assert len(read_ledger(path)) == 1 + 6 + 7 + 1
    curated.verify(utility=again, seeds=3, draws=3, ledger=path)
    counts = re.findall(r"takes (\d+) .* trained\)(?:; (\d+) in the ledger already)?", caplog.text)
    assert counts == [("11", ""), ("11", "11"), ("14", "11"), ("7", "7")]


def test_what_was_measured_before_an_error_is_kept(curated: CuratedDataset, pool: Dataset, tmp_path: Path) -> None:
    class Stops(OnTestItems):
        def _of(self, rows: np.ndarray) -> np.ndarray:
            if len(rows) == 120:
                raise KeyboardInterrupt
            return super()._of(rows)

    path = tmp_path / "verdict.ledger"
    with pytest.raises(KeyboardInterrupt):
        curated.verify(utility=Stops(pool), ledger=path)
    assert curated.verdict is None
    assert len(read_ledger(path)) >= 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"seeds": 1}, "seeds=1 does not show"),
        ({"draws": 1}, "draws=1 does not show"),
        ({"seeds": 2.5}, "seeds=2.5"),
        ({"full": np.array([True, False])}, r"full=array\(.* is neither True, False nor"),
        ({"seeds": 10**30}, f"seeds={10**30} is more than can be of use"),
        ({"draws": 10_001}, "draws=10001 is more than can be of use; pass at most 10000"),
        ({"full": "yes"}, "full='yes'"),
        ({"seed": -1}, "seed=-1"),
        ({"ledger": 3}, "ledger=3"),
        ({}, "brings its own items"),
        ({"utility": "fine-tune"}, "utility='fine-tune' is a word"),
        ({"utility": FineTune(), "model": "other"}, "model= and utility="),
        ({"utility": FineTune()}, "there is nothing to measure on"),
        ({"utility": lambda row_sets: row_sets, "test_dataset": make_rows(20)}, "test_dataset= can't be bound"),
    ],
)
def test_what_cannot_be_verified_is_refused(curated: CuratedDataset, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        curated.verify(**arguments)


def test_all_rows_cannot_be_compared_with_random_ones(pool: Dataset) -> None:
    everything = curated_of(pool, size=1.0, sampler="full")
    with pytest.raises(InputError, match="no random subset of that size differs"):
        everything.verify(utility=OnTestItems(pool))


def test_without_its_source_a_result_asks_for_it(curated: CuratedDataset, pool: Dataset, tmp_path: Path) -> None:
    curated.save_to_disk(tmp_path / "kept", pages=False)
    loaded = CuratedDataset.load_from_disk(tmp_path / "kept")
    with pytest.raises(InputError, match="pass source="):
        loaded.verify(utility=OnTestItems(pool))
    assert loaded.verify(utility=OnTestItems(pool), source=pool).kind == "better"


@pytest.fixture(scope="module")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[CuratedDataset, Path]:
    """A curation with a real model, and its folder."""
    pool, items = (Dataset.from_list(make_rows(count, seed=seed)) for count, seed in ((40, 0), (8, 99)))
    arguments = {"embedder": "lexical", "clusterer": "topic", "merit": None, "proxies_per_cluster": 1, "budget": 3}
    result = curate(pool, 8, eval_dataset=items, model=str(tiny_model), **arguments)
    folder = tmp_path_factory.mktemp("verify") / "kept"
    result.save_to_disk(folder, pages=False)
    return result, folder


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_model_is_tuned_and_measured_on_unseen_items(trained: tuple[CuratedDataset, Path], tmp_path: Path) -> None:
    curated, folder = trained
    seen = [*make_rows(3), *make_rows(2, seed=99)]
    others = make_rows(30, seed=7)
    test = [*seen, *others, *others[:4], {**others[0], "instruction": "Why? " * 3000}]
    verdict = curated.verify(test, seeds=2, full=False, ledger=tmp_path / "v.ledger")
    assert verdict.unit == "nats a token"
    assert verdict.n_items + sum(count or 0 for count in verdict.dropped.values()) == len(test)
    assert verdict.dropped["repeating rows of the pool"] >= 3 and verdict.dropped["repeating evaluation items"] >= 2
    assert verdict.dropped["repeating an earlier test item"] == 4  # one question is not two
    assert verdict.dropped["too long for the model"] == 1
    assert verdict.notes == () and np.isfinite(verdict.gain)

    loaded = CuratedDataset.load_from_disk(folder, source=Dataset.from_list(make_rows(40)))
    again = loaded.verify(test, seeds=2, full=False, ledger=tmp_path / "v.ledger", eval_dataset=make_rows(8, seed=99))
    assert replaced(again) == replaced(verdict)  # the tuner was made again from the recipe, and the ledger is of it
    assert loaded.verdict == again


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_evaluation_items_that_did_not_decide_the_choice_are_refused(trained: tuple[CuratedDataset, Path]) -> None:
    loaded = CuratedDataset.load_from_disk(trained[1], source=Dataset.from_list(make_rows(40)))
    for others in (make_rows(8, seed=98), make_rows(7, seed=99), [*make_rows(7, seed=99), make_rows(9, seed=99)[8]]):
        with pytest.raises(InputError, match="not what the rows were chosen by"):
            loaded.verify(make_rows(30, seed=7), seeds=2, eval_dataset=others)
    assert loaded.verdict is None
    loaded.recipe["evaluation"].pop("digest")
    with pytest.raises(InputError, match="7 items and is not what"):
        loaded.verify(make_rows(30, seed=7), seeds=2, eval_dataset=make_rows(7, seed=99))
    with pytest.warns(UserWarning, match="could not be checked"):
        verdict = loaded.verify(make_rows(30, seed=7), seeds=2, full=False, eval_dataset=make_rows(8, seed=98))
    assert any("could not be checked" in note for note in verdict.notes)


def replaced(verdict: Verdict) -> dict[str, Any]:
    return {name: value for name, value in vars(verdict).items() if name != "cost"}


def test_the_card_tells_the_verdict(curated: CuratedDataset, pool: Dataset) -> None:
    assert "Are the rows better than random ones?" not in page(curated, "me/rows", [])
    verdict = curated.verify(utility=OnTestItems(pool))
    shown = page(curated, "me/rows", [])
    assert "<summary>Are the rows better than random ones?</summary>" in shown
    assert "**Better than random rows by" in shown.split("<details>")[0]
    untuned, random = verdict.over_untuned.gain, verdict.over_untuned.gain - verdict.over_random.gain
    assert f"**{untuned:+.4f}** (95%: " in shown and f"5 draws | {random:+.4f} |" in shown
    assert f"On {verdict.n_items} test items." in shown  # a callable's items may have had a say
    section = shown.split("<summary>Are the rows better")[1].split("</details>")[0]
    assert "…" not in section and "this verdict took 11 outcomes" in section  # a callable may tune nothing


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_shell_prints_the_verdict_and_saves_it(trained: tuple[CuratedDataset, Path], tmp_path: Path) -> None:
    Dataset.from_list(make_rows(40)).to_json(tmp_path / "pool.jsonl")
    Dataset.from_list(make_rows(30, seed=7)).to_json(tmp_path / "test.jsonl")
    arguments = ["verify", str(trained[1]), "--test-dataset", str(tmp_path / "test.jsonl"), "--seeds", "2", "--no-full"]
    arguments += ["--source", str(tmp_path / "pool.jsonl"), "--json", "--output", str(tmp_path / "with")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    verdict = Verdict.from_json(json.loads(result.stdout))
    assert (verdict.n_seeds, verdict.n_draws, verdict.over_full) == (2, 2, None)
    assert "pass eval_dataset=" in verdict.notes[0]  # the items are not in the folder
    assert CuratedDataset.load_from_disk(tmp_path / "with").verdict == verdict


def test_what_the_rows_were_chosen_by_is_no_test_of_them(curated: CuratedDataset) -> None:
    held = curated.valued.measured_by
    assert held is not None
    with pytest.raises(InputError, match="what the rows were chosen by"):
        curated.verify(utility=held.utility)


@pytest.mark.parametrize("n_items", [1, 3])
def test_few_test_items_are_told_of_before_rows_are_tuned_on(
    curated: CuratedDataset, pool: Dataset, n_items: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="shed_hf")
    utility, told = OnTestItems(pool, sign=-1.0), []

    def few(row_sets: list[np.ndarray]) -> np.ndarray:
        told.append("too few to tell a gain from luck" in caplog.text)
        return utility(row_sets)[:, :n_items]

    measures = Named("few items", few)
    if n_items == 1:
        with pytest.raises(InputError, match="got 1 test item; pass 2 or more"):
            curated.verify(utility=measures)
        assert utility.sizes == {0}
        return
    verdict = curated.verify(utility=measures)
    assert told[0] is False and all(told[1:])
    assert (verdict.kind, verdict.is_worse_than_untuned) == ("not shown", False)
    assert "3 test items can't tell" in verdict.claim
    assert "It is not shown that" in headline_of(curated).sentence
    card = page(curated, "me/rows", [])
    assert "had no say" not in card and "On 3 test items." in card
