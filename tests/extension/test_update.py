"""A pool that grows keeps its outcomes, and only what is new is measured."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, InputError, Ledger, LedgerError, Named, curate
from shed_hf.extension.choice_overlap import why_not_known
from shed_hf.results.cost import choosing_seconds
from tests.helpers.curations import WORTH, ByTopic, _assert_equal
from tests.helpers.growing import GROWN, NEW, OLD, ROWS, by_topic, curated_before, fresh
from tests.helpers.rows import make_rows


class Stops(ByTopic):
    """Fails once it has been asked for so many coalitions."""

    left = 10**9

    def __call__(self, row_sets: Any) -> Any:
        self.left -= len(row_sets)
        if self.left < 0:
            raise KeyboardInterrupt
        return super().__call__(row_sets)


def worth_of(curated: CuratedDataset, cluster: int) -> float:
    """The true value of a cluster of one player: what its proxies' topics are worth."""
    topics = GROWN["topic"]
    return sum(WORTH[topics[int(row)]] for row in curated.valued.players.proxies[cluster])


def test_a_new_topic_becomes_clusters_of_its_own_and_is_valued_within_the_budget() -> None:
    before = curated_before()
    grown = before.update(NEW, 12)
    n_before = before.clustering.n_clusters
    topics = np.array(GROWN["topic"])[grown.pool_rows]
    new = grown.clustering.labels >= n_before
    assert set(topics[new]) == {"music"}
    assert new.sum() > 15
    true = [worth_of(grown, cluster) for cluster in range(grown.clustering.n_clusters)]
    np.testing.assert_allclose(grown.valued.values, true, atol=0.5)
    assert len(grown.ledger) - len(before.ledger) == grown.recipe["bill"]["fine_tunings"] == 12


def test_outcomes_measured_before_stay_and_players_keep_their_proxies() -> None:
    before = curated_before()
    grown = before.update(NEW, 4)
    assert all((grown.ledger[entry.key] == entry.outcome).all() for entry in before.ledger)
    for old, now in zip(before.valued.players.proxies, grown.valued.players.proxies, strict=False):
        np.testing.assert_array_equal(old, now)
    np.testing.assert_array_equal(before.clustering.labels, grown.clustering.labels[: len(before.pool_rows)])
    assert grown.recipe["history"][0]["rows"] == len(OLD)
    assert grown.recipe["history"][1]["rows"] == len(GROWN)
    assert len(grown) == len(before)


def test_by_a_column_new_rows_go_to_the_cluster_of_their_value() -> None:
    few = NEW.select(range(4))
    old_topic = Dataset.from_list([row for row in make_rows(12, seed=5) if row["topic"] == "sports"])
    rows = Dataset.from_list([*few.to_list(), *old_topic.to_list()])
    grown = fresh(utility=Named("rows", AnyRows())).update(rows, 5)
    named = dict(zip(grown.clustering.labels.tolist(), grown.valued.source["topic"], strict=True))
    assert len(named) == len(set(named.values())) == 4
    assert (grown.clustering.labels[-3:] < 3).all()
    assert (grown.clustering.labels[-7:-3] == 3).all()


def test_no_more_is_announced_than_the_budget_where_all_new_rows_join(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shed_hf.utils.logs.quiet", lambda: False)
    before = fresh(utility=Named("rows", AnyRows()))
    capsys.readouterr()
    grown = before.update([row for row in make_rows(12, seed=5) if row["topic"] == "sports"], 3)
    spent = grown.recipe["bill"]["fine_tunings"]
    assert spent <= 3
    assert f"bill: at most {spent} outcome" in capsys.readouterr().err


def test_rows_that_the_pool_has_are_left_out_and_a_changed_row_is_new() -> None:
    changed = {"output": ROWS[0]["output"] + " Indeed.", "instruction": ROWS[0]["instruction"]}  # and without a topic
    whole = [*OLD.to_list(), {**ROWS[0], **changed}]
    alone = curated_before().update([changed], 3, utility=Named("worth by topic", AnyRows()))
    assert alone.valued.source["topic"][-1] is None and alone.recipe["history"][1]["added"] == 1
    grown = curated_before().update(whole, 3, utility=Named("worth by topic", AnyRows()))
    assert grown.recipe["history"][1]["left_out"]["in the pool already"] == len(OLD)
    assert grown.recipe["history"][1]["added"] == 1
    assert grown.recipe["history"][1]["near_repeats"] == 1
    assert grown.pool_rows[-1] == 2 * len(OLD)


def test_a_share_is_one_of_the_rows_that_are_not_there_twice() -> None:
    utility = Named("worth by topic", AnyRows())
    new = NEW.to_list()
    grown = fresh(utility=utility).update([*OLD.to_list(), *new, *new[:5]], 3, size=0.5, utility=utility)
    assert grown.recipe["history"][1]["left_out"]["repeating an earlier new row"] == 5
    assert len(grown.pool_rows) == len(GROWN)
    assert len(grown) == len(grown.resample("50%")) == len(GROWN) // 2
    assert f"kept {len(GROWN) // 2} of {len(GROWN)} rows" in repr(grown)


class AnyRows:
    """One for every row."""

    def __call__(self, row_sets: Any) -> Any:
        return np.array([[float(len(rows))] * 2 for rows in row_sets])


def test_a_grown_result_is_saved_loaded_resampled_and_grown_again(tmp_path: Path) -> None:
    grown = curated_before().update(NEW.select(range(12)), 4)
    grown.save_to_disk(tmp_path / "grown", pages=False)
    source = Dataset.from_list([*OLD.to_list(), *NEW.select(range(12)).to_list()])
    loaded = CuratedDataset.load_from_disk(tmp_path / "grown", source)
    _assert_equal(grown, loaded)
    np.testing.assert_array_equal(loaded.resample(5).rows, grown.resample(5).rows)
    again = loaded.update(NEW.select(range(12, 20)), 4, utility=by_topic())
    assert [entry["added"] for entry in again.recipe["history"]] == [60, 12, 8]
    assert len(again.ledger) > len(grown.ledger)


def test_an_update_that_was_stopped_goes_on_from_its_ledger(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="shed_hf")
    before, path = fresh(), tmp_path / "grown.ledger"
    whole = before.update(NEW, 8)
    stops = Stops(GROWN)
    stops.left = 3
    with pytest.raises(KeyboardInterrupt):
        before.update(NEW, 8, utility=Named("worth by topic", stops), ledger=path)
    with Ledger(path, whole.ledger.header) as kept:
        assert len(before.ledger) <= len(kept) < len(whole.ledger)
        n_kept = len(kept)
    caplog.clear()
    resumed = before.update(NEW, 8, ledger=path)
    assert f"; {n_kept - len(before.ledger)} in the ledger already" in caplog.text
    np.testing.assert_array_equal(resumed.estimate.values, whole.estimate.values)
    np.testing.assert_array_equal(resumed.rows, whole.rows)
    assert resumed.recipe["bill"]["fine_tunings"] == len(whole.ledger) - n_kept
    bill, since = resumed.recipe["bill"], resumed.recipe["history"][1]
    found = bill["earlier_seconds"] - before.recipe["bill"]["measuring_seconds"]
    assert since["seconds"] == pytest.approx(bill["seconds"] + found, abs=0.02)
    assert since["seconds"] >= bill["seconds"]


@pytest.mark.parametrize("earlier", [{}, {"earlier_seconds": 7.0}])
def test_what_was_measured_before_an_update_has_the_time_of_measuring_alone(earlier: dict[str, float]) -> None:
    before = curated_before()
    bill = {**before.recipe["bill"], "seconds": 900.0, "measuring_seconds": 64.0, **earlier}
    before = replace(before, recipe={**before.recipe, "bill": bill})
    grown = before.update(NEW.select(range(12)), 4)
    after, history = grown.recipe["bill"], grown.recipe["history"]
    assert after["earlier_seconds"] == 64.0
    assert after["earlier_seconds"] <= after["measuring_seconds"] <= after["earlier_seconds"] + after["seconds"]
    assert choosing_seconds(after) == pytest.approx(64.0 + after["seconds"])
    assert [entry["seconds"] for entry in history] == [choosing_seconds(bill), after["seconds"]]


def test_the_ledger_of_the_pool_before_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    before = fresh(ledger=path)
    with pytest.raises(LedgerError, match="dataset"):
        before.update(NEW, 8, ledger=path)


def test_what_was_measured_otherwise_is_refused() -> None:
    with pytest.raises(InputError, match=r"measured otherwise \(utility was '.*', is now 'another'\)"):
        curated_before().update(NEW, 8, utility=Named("another", ByTopic(GROWN)))


def test_a_result_without_a_game_is_grown_by_whatever_measures_now() -> None:
    before = fresh(estimator=None, sampler="random", utility=AnyRows())
    grown = before.update(NEW, 8, sampler="qocs", utility=by_topic())
    assert grown.estimate.played and len(grown.ledger) > 0


def test_another_state_of_the_same_callable_is_told_without_digests() -> None:
    before = fresh(utility=AnyRows())
    with pytest.raises(InputError, match=r"otherwise .*the code or the state of utility= is another") as refused:
        before.update(NEW, 8, utility=ByTopic(GROWN))
    assert "#" not in str(refused.value)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        pytest.param(OLD, "none of the 60 rows of new_rows is new", id="none is new"),
        pytest.param([{"messages": [{"role": "user", "content": "?"}]}], "rename columns", id="another format"),
        pytest.param([{"instruction": 3, "output": 4, "topic": "music"}, *ROWS[3:4]], "new_rows", id="other types"),
        pytest.param([], "0 rows", id="no rows"),
    ],
)
def test_rows_that_cannot_be_added_are_refused_before_anything_is_measured(rows: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        curated_before().update(rows, 8)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param({"budget": 2}, "budget", id="too little to spend"),
        pytest.param({"eval_dataset": ROWS[:4]}, "eval_dataset= is for what fine-tunes", id="items of a callable"),
        pytest.param({"sampler": "retrieval"}, "pass a sampler of clusters", id="rows one by one"),
        pytest.param({"merit": "loss"}, "merit", id="an order there was not"),
        pytest.param({"ledger": 7}, "not a path", id="no path"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        curated_before().update(NEW, **{"budget": 8, **arguments})


def test_a_matrix_of_embeddings_cannot_place_new_rows() -> None:
    vectors = np.random.default_rng(0).normal(size=(len(OLD), 4))
    before = fresh(embedder=vectors)
    with pytest.raises(InputError, match="placed among the clusters"):
        before.update(NEW, 8)


def test_rows_that_repeat_evaluation_items_are_left_out() -> None:
    items = NEW.select(range(5))
    before = curate(
        OLD, 12, eval_dataset=items, embedder="lexical", clusterer="topic", utility=by_topic(), budget=8, merit=None
    )
    grown = before.update(NEW, 4)
    assert grown.recipe["history"][1]["left_out"]["repeating evaluation items"] >= 5
    assert not set(items["output"]) & set(grown.valued.source["output"])


@pytest.mark.parametrize(
    ("objective", "sampler", "n_runs"), [("contrast", "CreditCoverage", 1), ("loss", "Retrieval", 0)]
)
def test_rows_that_the_model_chose_are_chosen_by_it_again(
    tiny_model: Path,
    objective: str,
    sampler: str,
    n_runs: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shed_hf.utils.logs.quiet", lambda: False)
    rows, items = make_rows(24), Dataset.from_list(make_rows(6, seed=9))
    with pytest.warns(UserWarning):  # of so few rows no ranking is shown to be real
        curated = curate(
            Dataset.from_list(rows),
            6,
            eval_dataset=items,
            model=str(tiny_model),
            embedder="lexical",
            clusterer=np.arange(24) % 3,
            objective=objective,
            budget=8,
        )
    assert "not known from values of clusters" in why_not_known(curated)
    more = make_rows(8, seed=77)
    capsys.readouterr()
    grown = curated.update(Dataset.from_list(more), budget=3)
    new = [entry for entry in grown.ledger if entry.key not in curated.ledger]
    assert f"bill: at most {len(new)} fine-tuning" in (said := capsys.readouterr().err)
    assert ("and 1 training run over all rows for credits" in said) == bool(n_runs)
    bills = [result.recipe["bill"] for result in (curated, grown)]
    spent = len(new) + n_runs
    assert bills[1]["fine_tunings"] == bills[1]["all_fine_tunings"] - bills[0]["all_fine_tunings"] == spent
    assert f"cost {spent} fine-tuning" in said
    assert grown.recipe["history"][1]["fine_tunings"] == spent
    assert grown.recipe["sampler"] == curated.recipe["sampler"]
    assert grown.recipe["sampler"]["name"] == sampler
    assert len(grown) == 6
    worth = dict(zip(grown.merits["shed_row"], grown.merits["value"], strict=True))
    assert len(worth) == 32
    assert np.isfinite(list(worth.values())).all()
    assert len(grown.resample(12).rows) == 12
