"""What is counted while a game is measured."""

from collections.abc import Callable

import numpy as np
import pytest

from shed_hf.game.counting import counting, n_known, n_trained
from shed_hf.game.game import Game
from shed_hf.testing import AdditiveGame, TableGame


def a_game() -> Game:
    return TableGame.of(3, AdditiveGame((0.5, -1.0, 2.0))).game()


def of_coalitions(game: Game) -> None:
    game.outcomes(np.array([[0, 0, 0], [1, 0, 0], [1, 1, 1]], dtype=np.bool_))


def along_orders(game: Game) -> None:
    game.outcomes_along([[np.array([player]) for player in order] for order in ([2, 0, 1], [1, 0, 2])])


@pytest.mark.parametrize("measure", [of_coalitions, along_orders])
def test_fine_tunings_are_counted_as_in_the_bill_and_the_untuned_model_is_none(measure: Callable[[Game], None]) -> None:
    game = a_game()
    with counting("measuring", game, 20, 3) as shown:
        measure(game)
        game.note_run(np.arange(3))  # a training run that is no part of the game
    assert (shown.total, shown.done, game.n_fine_tunings) == (17, 2, 3)


@pytest.mark.parametrize(("n_steps", "n_runs"), [(2, 2), (3, 3)])
def test_of_a_run_measured_along_its_way_the_end_counts_alone_once_it_is_there(n_steps: int, n_runs: int) -> None:
    """Of one that was stopped nothing counts: it is trained anew."""
    game = a_game()
    game.ends()
    along_orders(game)
    assert (n_trained(game.ledger), len(game.ledger)) == (3, 8)
    blocks = next(entry.blocks for entry in game.ledger if len(entry.blocks) == 3)
    stopped = [e for e in game.ledger if e.blocks[:1] != blocks[:1] or len(e.blocks) <= n_steps]
    assert n_trained(stopped) == n_runs


def test_of_what_a_ledger_holds_that_counts_which_is_asked_for() -> None:
    game = Game(np.split(np.arange(12), 3), lambda row_sets: np.zeros((len(row_sets), 2)))
    asked = np.array([[0, 0, 0], [1, 1, 0], [1, 1, 0], [1, 1, 1]], dtype=np.bool_)
    game.outcomes(asked, [0, 0, 3, 1])
    assert [n_known(game, asked, orders) for orders in ([0, 0, 3, 1], [0, 0, 1, 1], [2, 2, 2, 2])] == [3, 2, 0]
    along_orders(game)
    assert n_known(game, asked, [0, 0, 3, 1]) == 3
