"""What luck does to the gate and to standard errors on fine-tunings that were recorded in several orders and seeds.

    python examples/benchmarks/luck_recorded.py

*Luck alone*: the differences of two runs of one game, over √2, beside the mean utility of each size: real luck, and
nobody is worth more than another, so the gate should pass one game in ten at most. Two runs in own orders leave
independent luck, two in common orders shared luck (and that of two adapters). *Dealt*: the rows of one topic dealt to
the players at random, 40 games. Their players are alike only before the deal: what the rows are worth differs, and
comes out alike in other orders (the correlation of exact values of two runs), so passing is no mistake there.

*Held*: values from coalitions of one run, each coalition in an order of its own, beside the exact values of every other
run; ±2 standard errors of the difference are those of the values (without the choice of evaluation items, which all
runs share) and of the luck in the exact values. Runs of one seed differ in the orders of training,
runs of other seeds in the adapter that training starts from as well, which no replicate of one run can show. *One
order* takes the coalitions from a run that trained all of them in subsequences of one order, as versions before did.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from recorded_orders import RecordedRuns, recorded_runs

from shed_hf import Game, LeastSquares
from shed_hf.estimators import BanzhafMSR, Estimator
from shed_hf.estimators.base import spread_over_items
from shed_hf.estimators.bayesian_regression import Observed, exact_posterior
from shed_hf.estimators.significance import verdict_of
from shed_hf.game.entry import Entry

GAMES = Path(__file__).parent / "results" / "games"
OUT = Path(__file__).parent / "results" / "luck_recorded.json"
BUDGETS = (31, 61, 101)


class RunsGame(Game):
    """A recorded game: replicate *r* of a coalition is its outcome in the *r*-th of some runs, the last from there on.

    Args:
        recorded: The game.
        runs: Positions of the runs.
    """

    def __init__(self, recorded: RecordedRuns, runs: Sequence[int]) -> None:
        n = recorded.coalitions.shape[1]
        super().__init__([np.array([player]) for player in range(n)], _never, positions=recorded.centroids)
        self.recorded, self.runs = recorded, list(runs)

    def measurements(self, coalitions: Any, replicate: Any = 0, common: bool = False) -> list[Entry]:
        """The recorded outcomes."""
        coalitions = np.atleast_2d(coalitions)
        numbers = np.broadcast_to(np.asarray(replicate), len(coalitions)).tolist()
        entries = []
        for place, number in zip(self.recorded.at(coalitions).tolist(), numbers, strict=True):
            run = self.runs[min(number, len(self.runs) - 1)] if place else self.runs[0]
            entries.append(Entry(f"{place} in {run}", ((place,),), self.recorded.outcomes[run, place], 0.0, {}))
        return entries


def _never(row_sets: Any) -> Any:  # noqa: ARG001  (a utility is called by position)
    raise AssertionError("everything was recorded")


def exact_values(recorded: RecordedRuns, run: int) -> tuple[Any, Any]:
    """The Shapley values of one run of all coalitions, and the sum of the squared weights of the utilities in them."""
    v = recorded.outcomes[run].mean(axis=1)
    observed = Observed(recorded.coalitions[1:-1], v[1:-1], np.ones(len(v) - 2), float(v[0]), float(v[-1]))
    fit = exact_posterior(observed)
    of_grand = 1 / len(fit.mean) - fit.weights @ observed.coalitions.mean(axis=1)
    return fit.mean, (fit.weights**2).sum(axis=1) + of_grand**2


def gate(estimator: Estimator, games: Sequence[tuple[RecordedRuns, Sequence[int]]], draws: int) -> dict[str, Any]:
    """How often the gate passes games, each from the runs that are named, and how often p <= 0.05."""
    passed, chance = [], []
    for number, (recorded, runs) in enumerate(games):
        for draw in range(draws):
            estimate = estimator(RunsGame(recorded, runs), np.random.default_rng([number, draw]), None)
            passed.append(verdict_of(replace(estimate, starts_untrained=False)).passes)
            chance.append(estimate.p_value <= 0.05)
    return {"games": len(passed), "passed": float(np.mean(passed)), "p <= 0.05": float(np.mean(chance))}


def luck_alone(recorded: RecordedRuns, one: int, other: int) -> RecordedRuns:
    """A game whose utilities are the mean of their size and the luck in which two runs differ, over √2."""
    sizes = recorded.coalitions.sum(axis=1)
    mean = recorded.outcomes[one].mean(axis=1)
    of_size = (np.bincount(sizes, weights=mean) / np.bincount(sizes))[sizes]
    luck = (recorded.outcomes[one] - recorded.outcomes[other]) / 2**0.5
    luck[0] = 0.0
    return replace(recorded, outcomes=(of_size[:, None] + luck)[None], runs=[recorded.runs[one]])


def games_of_luck(order: str) -> list[tuple[RecordedRuns, Sequence[int]]]:
    """The games of luck alone, from every two runs in one kind of order."""
    found: list[tuple[RecordedRuns, Sequence[int]]] = []
    for path in sorted(GAMES.glob("*_orders.npz")):
        for recorded in recorded_runs(path):
            pairs = combinations(_runs(recorded, order), 2)
            found += [(luck_alone(recorded, one, other), [0]) for one, other in pairs]
    return found


def held(recorded: RecordedRuns, order: str, budget: int, draws: int) -> dict[str, Any]:
    """How often ±2 standard errors of few coalitions of one run hold the exact values of the other runs."""
    own, common = (_runs(recorded, kind) for kind in ("own", "common"))
    first = own if order == "own orders" else common[:1] + own[1:]
    within: dict[str, list[Any]] = {"other orders": [], "other seeds": []}
    luck = float(np.mean((recorded.outcomes[own[0]] - recorded.outcomes[own[1]]).mean(axis=1)[1:] ** 2) / 2)
    for draw in range(draws):
        game = RunsGame(recorded, first)
        estimate = LeastSquares()(game, np.random.default_rng(draw), budget)
        variance = np.maximum(estimate.stderr**2 - spread_over_items(estimate.per_item, game) ** 2, 0)
        for run, line in enumerate(recorded.runs):
            if run == first[0] or (line["seed"] == recorded.runs[first[0]]["seed"] and line["order"] == "common"):
                continue
            kind = "other orders" if line["seed"] == recorded.runs[first[0]]["seed"] else "other seeds"
            exact, squares = exact_values(recorded, run)
            within[kind].append(np.abs(estimate.values - exact) <= 2 * np.sqrt(variance + luck * squares))
    return {kind: round(float(np.mean(found)), 3) for kind, found in within.items() if found}


def _runs(recorded: RecordedRuns, order: str) -> list[int]:
    return [number for number, run in enumerate(recorded.runs) if run["order"] == order]


def _write(found: list[dict[str, Any]]) -> None:
    """After every line, so that a run that is cut off leaves what it measured."""
    OUT.write_text(json.dumps(found, indent=1) + "\n")


def main(draws: int) -> None:
    found: list[dict[str, Any]] = []
    dealt = recorded_runs(GAMES / "small_alike_orders.npz")
    correlations = [np.corrcoef(*(exact_values(one, run)[0] for run in (0, 1)))[0, 1] for one in dealt]
    found.append({"game": "dealt", "correlation of two runs": round(float(np.mean(correlations)), 3)})
    for order, kind in (("own orders", "own"), ("one order", "common")):
        for estimator in (LeastSquares(), BanzhafMSR()):
            line = {"order": order, "estimator": type(estimator).__name__}
            found.append({"game": "luck alone", **line, **gate(estimator, games_of_luck(kind), draws)})
            games = [(one, sorted((0, 1), key=lambda run, one=one: one.runs[run]["order"] != kind)) for one in dealt]
            found.append({"game": "dealt", **line, **gate(estimator, games, 1)})
            _write(found)
            print(*found[-2].values(), "\n", *found[-1].values(), flush=True)
    for path in sorted(GAMES.glob("*_orders.npz")):
        if "alike" in path.stem:
            continue
        (recorded,) = recorded_runs(path)
        for order in ("own orders", "one order"):
            if order == "one order" and not _runs(recorded, "common"):
                continue
            for budget in BUDGETS:
                line = {"game": recorded.name, "order": order, "estimator": "LeastSquares", "budget": budget}
                found.append({**line, **held(recorded, order, budget, draws)})
                _write(found)
                print(*found[-1].values(), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10)
    main(parser.parse_args().draws)
