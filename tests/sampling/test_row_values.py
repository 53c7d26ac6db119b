"""Rows by what their signals and clusters are worth: simulated games of which the truth is known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shed_hf import CreditCoverage, InputError, Retrieval, RowValues
from shed_hf.sampling.concave_greedy import take_greedily
from shed_hf.sampling.learned_worth import learn, worth_of_sets
from shed_hf.sampling.played_game import RowWorth
from shed_hf.sampling.selectors import RowSignals, Selection, select_rows
from shed_hf.sampling.signal_features import normal_scores, row_signal
from tests.helpers.simulated_games import N_CLUSTERS, N_ITEMS, N_ROWS, Simulated, simulated

SIZE = 20


def chosen(known: Simulated, selector: Any = None, seed: int = 0, **changes: Any) -> Selection:
    """What is chosen where the game is changed."""
    signals = replace(known.signals, outcomes=replace(known.game, **changes))
    return select_rows(selector or RowValues(), signals, SIZE, np.random.default_rng(seed))


def worth_of(selection: Selection) -> RowWorth:
    assert selection.worth is not None
    return selection.worth


@pytest.fixture(scope="module")
def credited() -> Simulated:
    return simulated(1, of_credit=0.5)


def test_where_signals_matter_they_are_found_and_the_choice_is_better_than_the_best_clusters(
    credited: Simulated,
) -> None:
    selection = chosen(credited, unproven="the values cannot be told from noise")
    weights = {each.signal: each for each in worth_of(selection).weights}
    assert worth_of(selection).p_value <= 0.01
    assert weights["credit"].weight > 5 * weights["credit"].stderr
    assert abs(weights["nearness"].weight) <= 3 * weights["nearness"].stderr
    assert selection.notes == ("clusters have no say in the choice: the values cannot be told from noise",)
    best_clusters = np.flatnonzero(np.isin(credited.game.labels, [0, 1]))[:SIZE]
    random = [np.random.default_rng(seed).permutation(N_ROWS)[:SIZE] for seed in range(20)]
    found = credited.truth(selection.places)
    assert found.mean() > 1.2 * max(credited.truth(rows).mean() for rows in (*random, best_clusters))
    assert found.min() > np.mean([credited.truth(rows).min() for rows in random])


def test_where_only_clusters_matter_their_part_is_found() -> None:
    known = simulated(2, of_clusters=1.0)
    selection = chosen(known, RowValues("length"))
    worth = worth_of(selection)
    of_cluster = worth.parts[:N_CLUSTERS, worth.names.index("of_cluster")]
    true = (known.of_clusters - known.of_clusters.mean()) / 4
    assert np.corrcoef(of_cluster, true)[0, 1] > 0.95
    assert (np.abs(of_cluster - true) <= 3 * worth.stderr[:N_CLUSTERS]).all()
    best = np.argsort(-known.of_clusters)[:3]
    assert set(known.game.labels[selection.places[:6]].tolist()) <= set(best.tolist())


def test_where_nothing_matters_the_best_cheap_selector_chooses_and_a_note_says_so() -> None:
    known = simulated(3)
    selection = chosen(known, unproven="the values cannot be told from noise")
    assert selection.notes[0].startswith("rows were chosen by credit for each evaluation item: signals explain the ")
    assert "and the values cannot be told from noise" in selection.notes[0]
    assert (selection.places == chosen(known, CreditCoverage()).places).all()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"harm": "fine-tuning on everything makes the model worse"},
            "fine-tuning on everything makes the model worse",
        ),
        ({"continued": True, "unproven": "noise"}, "outcomes along one training run share their luck"),
    ],
    ids=["harm", "continued"],
)
def test_what_cannot_be_trusted_has_no_say(credited: Simulated, changes: dict[str, Any], why: str) -> None:
    selection = chosen(credited, **changes)
    assert selection.notes[0].startswith(f"rows were chosen by credit for each evaluation item: {why}")
    assert (selection.places == chosen(credited, CreditCoverage()).places).all()


def test_without_credits_the_fallback_is_retrieval_and_without_items_chance(credited: Simulated) -> None:
    harmed = replace(credited, signals=replace(credited.signals, credits=None))
    selection = chosen(harmed, harm="worse")
    assert "by nearness to the evaluation items: worse" in selection.notes[0]
    assert (selection.places == chosen(harmed, Retrieval()).places).all()
    bare = replace(credited, signals=RowSignals(rows=np.arange(N_ROWS)))
    assert "rows were chosen by chance: " in chosen(bare, harm="worse").notes[0]


@pytest.mark.parametrize("n_sets", [0, 1, 2, 4])
def test_too_few_sets_are_said_to_be_too_few(credited: Simulated, n_sets: int) -> None:
    few: dict[str, Any] = {"row_sets": credited.game.row_sets[:n_sets], "outcomes": credited.game.outcomes[:n_sets]}
    selection = chosen(credited, unproven="fewer than 4 clusters", **few)
    assert "too few sets" in selection.notes[0] or "measured too little" in selection.notes[0]
    assert (selection.places == chosen(credited, CreditCoverage()).places).all()


def test_one_item_and_one_cluster_are_enough_to_choose(credited: Simulated) -> None:
    one = replace(credited.signals, credits=credited.credits[:, :1], item_embeddings=None)
    game = replace(credited.game, outcomes=credited.game.outcomes[:, :1], item_weights=np.ones(1))
    selection = select_rows(RowValues(), replace(one, outcomes=game), SIZE, np.random.default_rng(0))
    assert len(selection.places) == SIZE
    players = [np.concatenate(credited.game.players)]
    alone = chosen(credited, players=players, owners=np.zeros(1, np.int64), labels=np.zeros(N_ROWS, np.int64))
    assert worth_of(alone).p_value <= 0.05


def test_values_are_the_sum_of_their_parts_and_those_of_the_players_add_up_to_the_gain(credited: Simulated) -> None:
    worth = worth_of(chosen(credited))
    np.testing.assert_allclose(worth.parts.sum(axis=1), worth.values, atol=1e-12)
    assert worth.values[np.concatenate(credited.game.players)].sum() == pytest.approx(credited.game.gain)
    assert worth.names == ["any_row", "credit", "nearness", "mean_credit", "length", "of_cluster"]
    assert sorted(worth.order.tolist()) == list(range(N_ROWS))


def test_values_predict_what_rows_add_beside_the_measured_sets(credited: Simulated) -> None:
    worth = worth_of(chosen(credited))
    adds = np.mean(
        [
            [(credited.truth(np.append(rows, row)) - credited.truth(rows)).mean() for row in range(40, 100)]
            for rows in credited.game.row_sets[1:9]
        ],
        axis=0,
    )
    away = (worth.values - worth.values.mean())[40:100] - (adds - adds.mean())
    assert np.corrcoef(worth.values[40:100], adds)[0, 1] > 0.95
    assert np.sqrt(np.mean(away**2)) < 0.5 * adds.std()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"credits": np.ones((N_ROWS, N_ITEMS))}, "credit was left out: it is NaN, or the same for all rows"),
        ({"credits": np.full((N_ROWS, N_ITEMS), np.nan)}, "mean_credit was left out"),
        ({"completion_lengths": np.full(N_ROWS, 7.0)}, "length was left out: it is NaN, or the same for all rows"),
    ],
    ids=["constant", "NaN", "equal lengths"],
)
def test_signals_that_tell_nothing_are_left_out_and_named(credited: Simulated, bad: dict[str, Any], said: str) -> None:
    selection = chosen(replace(credited, signals=replace(credited.signals, **bad)))
    assert any(said in note for note in selection.notes)
    name = said.split()[0]
    assert name not in worth_of(selection).names
    assert np.isfinite(worth_of(selection).values).all()


def test_credits_of_some_items_and_rows_may_be_unknown(credited: Simulated) -> None:
    credits = credited.credits.copy()
    credits[:, 2], credits[5] = 1.0, np.nan
    selection = chosen(replace(credited, signals=replace(credited.signals, credits=credits)))
    assert f"credit of 1 of {N_ITEMS} evaluation items was left out" in " ".join(selection.notes)
    assert "credit of 1 row is unknown, and counts as nothing" in selection.notes
    assert worth_of(selection).p_value <= 0.01


def test_signals_of_other_items_than_the_outcomes_are_left_out_unless_it_is_known_which_were_kept(
    credited: Simulated,
) -> None:
    fewer: dict[str, Any] = {"outcomes": credited.game.outcomes[:, 1:]}
    fewer |= {"item_weights": np.full(N_ITEMS - 1, 1 / (N_ITEMS - 1))}
    told = f"nearness was left out: it is of {N_ITEMS} evaluation items and outcomes are of {N_ITEMS - 1}"
    without = replace(credited, signals=replace(credited.signals, credits=credited.credits[:, 1:]))
    assert any(told in note for note in chosen(without, **fewer).notes)
    kept = chosen(without, **fewer, kept_items=np.arange(1, N_ITEMS))
    assert "nearness" in worth_of(kept).names


def test_a_signal_of_rows_alone_adds_less_the_more_of_it_is_taken() -> None:
    known = simulated(6)
    length = known.signals.completion_lengths
    assert length is not None
    of_length = normal_scores(length[:, None])[:, 0]
    for rows, line in zip(known.game.row_sets, known.game.outcomes, strict=True):
        line -= of_length[rows].sum()
    game = known.game
    signal = row_signal("length", length)[0]
    assert signal is not None
    learned = learn(game, [signal], np.random.default_rng(0))
    assert learned is not None
    assert learned.natural == pytest.approx([-1], abs=0.15)
    worth = worth_of_sets(game, learned, signals=True, clusters=False)
    shortest, longest = np.argsort(of_length), np.argsort(-of_length)
    assert set(take_greedily(worth, 10).tolist()) == set(shortest[:10].tolist())
    firsts = [worth.of(shortest[:n]) - worth.of(shortest[: n - 1]) for n in range(1, 40)]
    assert (np.diff(firsts) < 0).all()
    assert worth.of(longest[:5]) == pytest.approx(learned.natural[0] * of_length[longest[:5]].sum())


def test_the_same_seed_chooses_the_same_rows(credited: Simulated) -> None:
    assert (chosen(credited, seed=4).places == chosen(credited, seed=4).places).all()


@pytest.mark.parametrize("signals", [(), ("credit", "credit"), ("luck",)])
def test_unknown_signals_are_refused(signals: Any) -> None:
    with pytest.raises(InputError, match="are not some of"):
        RowValues(signals)
