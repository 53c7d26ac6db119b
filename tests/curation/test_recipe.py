"""What a curation is said to have cost: runs and tokens counted from the ledger."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from datasets import Dataset

from shed_hf.curation.recipe import bill_of
from shed_hf.game.game import Game
from shed_hf.game.ledger import Ledger
from shed_hf.results.cost import choosing_seconds
from tests.helpers.curations import ByTopic, curated_of
from tests.helpers.games import Training
from tests.helpers.rows import make_rows

PLAYERS = [np.array([3]), np.array([10, 11]), np.array([20, 21, 22])]
ALL = (np.arange(8)[:, None] >> np.arange(3)) & 1 == 1


def along(game: Game, *orders: Sequence[int]) -> Game:
    game.along([[np.array([player]) for player in order] for order in orders])
    return game


def test_every_retrained_coalition_is_billed_and_the_untouched_model_is_not() -> None:
    game = Game(PLAYERS, Training())
    game(ALL), game(ALL)
    bill = bill_of(game, 1.239)
    rows = sum(len(PLAYERS[player]) for line in ALL for player in np.flatnonzero(line))
    assert (bill["all_fine_tunings"], bill["fine_tunings"], bill["outcomes"], bill["tokens"]) == (7, 7, 8, 7 * rows)
    assert bill["seconds"] == 1.24
    assert bill["measuring_seconds"] == pytest.approx(sum(entry.seconds for entry in game.ledger), abs=0.01)


def test_the_untouched_model_alone_costs_no_fine_tuning() -> None:
    game = Game(PLAYERS, Training())
    game(ALL[:1])
    bill = bill_of(game, 0.0)
    assert (bill["all_fine_tunings"], bill["fine_tunings"], bill["outcomes"], bill["tokens"]) == (0, 0, 1, 0)


def test_a_walk_is_billed_once_however_many_outcomes_it_gave() -> None:
    game = Game(PLAYERS, Training())
    game.ends()
    along(game, [0, 1, 2], [2, 1, 0], [0, 1, 2])
    bill = bill_of(game, 0.0)
    assert (bill["all_fine_tunings"], bill["fine_tunings"], bill["outcomes"]) == (3, 3, 8)
    assert bill["tokens"] == 7 * 3 * 6


def test_walks_with_the_same_beginning_are_billed_each() -> None:
    players = [*PLAYERS, np.array([30])]
    game = along(Game(players, Training()), [0, 1, 2, 3], [0, 1, 3, 2])
    assert (bill_of(game, 0.0)["all_fine_tunings"], bill_of(game, 0.0)["tokens"]) == (2, 7 * 2 * 7)


def test_a_resumed_ledger_bills_all_runs_and_only_what_was_asked_for() -> None:
    ledger = Ledger()
    Game(PLAYERS, Training(), ledger)(ALL[:6])
    resumed = Game(PLAYERS, Training(), ledger)
    resumed(ALL[1:])
    bill = bill_of(resumed, 0.0)
    assert (bill["fine_tunings"], bill["all_fine_tunings"], bill["outcomes"]) == (2, 7, 7)
    other = Game(PLAYERS, Training(), ledger)
    other(ALL[:3])
    assert (bill_of(other, 0.0)["fine_tunings"], bill_of(other, 0.0)["all_fine_tunings"]) == (0, 2)


def test_a_resumed_ledger_bills_the_seconds_of_earlier_runs_apart() -> None:
    ledger = Ledger()
    before = Game(PLAYERS, Training(), ledger)
    before(ALL[:6])
    ledger = Ledger.of({}, [replace(entry, seconds=10.0) for entry in ledger])
    resumed = Game(PLAYERS, Training(), ledger)
    resumed(ALL[2:])
    bill = bill_of(resumed, 5.0)
    assert bill_of(before, 5.0)["earlier_seconds"] == 0
    assert bill["earlier_seconds"] == 40
    assert choosing_seconds(bill) == 45
    assert bill_of(resumed, 5.0, race=Game(PLAYERS, Training(), ledger))["earlier_seconds"] == 40


def test_an_interrupted_walk_that_was_resumed_is_billed_once() -> None:
    ledger = Ledger()
    with pytest.raises(MemoryError):
        along(Game(PLAYERS, Training(fails_at=2), ledger), [0, 1, 2], [2, 1, 0])
    game = along(Game(PLAYERS, Training(), ledger), [0, 1, 2], [2, 1, 0])
    bill = bill_of(game, 0.0)
    assert (bill["fine_tunings"], bill["all_fine_tunings"], bill["outcomes"], bill["tokens"]) == (1, 2, 6, 7 * 12)


def test_a_curation_bills_what_its_utility_was_asked_for_v_of_all_in_two_more_orders_too() -> None:
    pool = Dataset.from_list(make_rows(120))
    utility = ByTopic(pool)
    bill = curated_of(pool, utility=utility, proxies_per_cluster=2).recipe["bill"]
    assert (bill["all_fine_tunings"], bill["fine_tunings"], bill["outcomes"], bill["tokens"]) == (17, 17, 18, 0)
