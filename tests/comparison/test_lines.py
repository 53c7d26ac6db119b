"""Lines: gains with their errors, and what is charged."""

import numpy as np
import pytest

from shed_hf.comparison.design import Cell, ChoosingCost, Design
from shed_hf.comparison.lines import Line, lines_of
from shed_hf.comparison.measuring import Tuned
from shed_hf.comparison.methods import methods_from
from shed_hf.comparison.tasks import Column
from shed_hf.evaluation.item_groups import OverGroups
from shed_hf.verification.judge import judge

N_ITEMS, SEEDS = 30, 5


def tuned(gain: float = 0.3) -> Tuned:
    """Outcomes of one size: a method that gains on random rows, and two figures of every item."""
    rng = np.random.default_rng(1)
    items = rng.normal(size=2 * N_ITEMS)
    shift = {"mine": gain, "random": 0.0, "full": 0.1}
    cells = [Cell(name, 8 if name != "full" else 99, seed) for name in shift for seed in range(SEEDS)]
    outcomes = {cell: items + shift[cell.method] + 0.05 * rng.normal(size=2 * N_ITEMS) for cell in cells}
    return Tuned(outcomes, items - 0.5, {cell: 2.0 + cell.seed for cell in cells}, 0.1)


DESIGN = Design(methods_from({"mine": "retrieval"}), (8,), SEEDS, 1, 0, SEEDS)
COLUMNS = [Column("test", "one", np.arange(0, 2 * N_ITEMS, 2)), Column("test", "two", np.arange(1, 2 * N_ITEMS, 2))]


GROUPS = (np.arange(N_ITEMS) >= 10).astype(np.int64)


def lines(measured: Tuned) -> dict[tuple[str, str], Line]:
    found = lines_of("model", DESIGN, measured, COLUMNS, {"mine": ChoosingCost(3, 12.0)})
    return {(line.figure, line.method): line for line in found}


def test_a_gain_is_that_of_the_judge_on_the_figures_items() -> None:
    measured = tuned()
    own = np.stack([measured.outcomes[Cell("mine", 8, seed)][1::2] for seed in range(SEEDS)])
    random = np.stack([measured.outcomes[Cell("random", 8, seed)][1::2] for seed in range(SEEDS)])
    expected = judge(own, random, measured.untuned[1::2], rng=np.random.default_rng(0))
    line = lines(measured)["two", "mine"]
    assert (line.gain, line.gain_stderr) == (expected.over_random.gain, expected.over_random.stderr)
    assert line.low == pytest.approx(expected.low, abs=0.005)
    assert line.verdict == "better"
    assert line.wins
    assert not line.loses


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_wins_and_losses_are_counted_by_the_interval_and_the_p_value_that_are_told(seeds: int) -> None:
    kinds = set()
    for gain in np.linspace(-0.4, 0.4, 9).tolist():
        whole = tuned(gain)
        few = {cell: outcome for cell, outcome in whole.outcomes.items() if cell.seed < seeds}
        line = lines(Tuned(few, whole.untuned, whole.seconds, 0.1))["one", "mine"]
        assert (line.wins, line.loses) == (line.low > 0, line.high < 0)
        assert (line.wins or line.loses) == (line.p < 0.05)
        kinds.add((line.wins, line.loses))
    assert len(kinds) == 3


def test_with_few_items_nothing_is_won() -> None:
    few = [Column("test", "one", np.arange(0, 2 * 15, 2))]
    line = next(one for one in lines_of("model", DESIGN, tuned(2.0), few, {}) if one.method == "mine")
    assert line.low > 0
    assert not line.wins
    assert line.verdict == "not shown"


def test_a_loss_is_counted_as_one() -> None:
    line = lines(tuned(-0.3))["one", "mine"]
    assert line.loses
    assert line.verdict == "worse"


def test_no_tuning_and_all_rows_are_beside_random_rows_too() -> None:
    found = lines(tuned())
    assert found["one", "untuned"].gain == pytest.approx(-0.5, abs=0.05)
    assert found["one", "untuned"].high < 0
    assert found["one", "full"].gain == pytest.approx(0.1, abs=0.05)
    assert (found["one", "full"].rows, found["one", "full"].size) == (99, 8)
    assert found["one", "untuned"].verdict == found["one", "full"].verdict == ""


def test_choosing_and_tuning_are_charged_beside_each_other() -> None:
    line = lines(tuned())["one", "mine"]
    assert (line.choosing_fine_tunings, line.choosing_seconds, line.tuning_seconds) == (3, 12.0, 4.0)


def test_with_a_single_seed_there_is_a_mean_and_no_error() -> None:
    measured = tuned()
    single = {cell: outcome for cell, outcome in measured.outcomes.items() if not cell.seed}
    line = lines(Tuned(single, measured.untuned, measured.seconds, 0.1))["one", "mine"]
    assert np.isfinite(line.mean)
    assert np.isnan([line.stderr, line.gain, line.gain_stderr, line.p]).all()


def test_groups_of_items_count_alike_in_a_macro_figure() -> None:
    measured = tuned()
    column = Column("test", "macro one", COLUMNS[0].places, OverGroups("macro", GROUPS))
    found = lines_of("model", DESIGN, measured, [column], {})
    outcome = np.mean([measured.outcomes[Cell("mine", 8, seed)][::2] for seed in range(SEEDS)], axis=0)
    line = next(line for line in found if line.method == "mine")
    assert line.mean == pytest.approx((outcome[:10].mean() + outcome[10:].mean()) / 2)


def test_only_the_lowest_group_of_items_counts_in_a_worst_group_figure() -> None:
    measured = tuned()
    column = Column("test", "worst-group one", COLUMNS[0].places, OverGroups("worst-group", GROUPS))
    found = {line.method: line for line in lines_of("model", DESIGN, measured, [column], {})}
    lowest = {
        name: np.mean(
            [
                min(outcome[::2][group == GROUPS].mean() for group in (0, 1))
                for cell, outcome in measured.outcomes.items() if cell.method == name
            ]
        )
        for name in ("mine", "random")
    }  # fmt: skip
    assert found["mine"].mean == pytest.approx(lowest["mine"])
    assert found["mine"].gain == pytest.approx(lowest["mine"] - lowest["random"])
    untuned = measured.untuned[::2]
    assert found["untuned"].mean == pytest.approx(min(untuned[group == GROUPS].mean() for group in (0, 1)))
    assert found["mine"].items == int(((untuned[:10].mean() > untuned[10:].mean()) == GROUPS).sum())
