"""Estimators on a large recorded game, where no values are known exactly.

`record_games.py large` measured a bank of coalitions with their complements and random orders walked both ways. An
estimator gets some of them, chosen anew for every seed: LeastSquares those of the bank that `draw_pairs` would take.
Its values are held against those that least squares gives from the other pairs and orders, and, where players were
damaged on purpose, against which ones those are (AUC). SHED removes blocks of a tenth of the players, as it does by
default.

    python examples/benchmarks/compare_large.py examples/benchmarks/results/games/large_damaged.npz --seeds 20
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from record_games import wanted
from recorded import RecordedGame
from scipy.stats import spearmanr

import shed_hf
from shed_hf.curation.recipe import versions
from shed_hf.estimators.coalition_design import choose_pairs
from shed_hf.estimators.outcomes import measure

BUDGETS = (36, 72, 144, 288, 600)


def main() -> None:
    """A table of rank correlation and AUC by budget; save it under ``--out``."""
    arguments = _arguments()
    records = []
    for path in arguments.games:
        game = RecordedGame(path)
        for name, run in methods(game).items():
            for budget in BUDGETS:
                found = [run(budget, np.random.default_rng(seed)) for seed in range(arguments.seeds)]
                known = np.array([figures(game, *one) for one in found if one is not None])
                if not len(known):
                    continue
                mean, spread = known.mean(axis=0).tolist(), known.std(axis=0).tolist()
                line = {"game": game.name, "estimator": name, "budget": budget, "rank": mean[0], "rank sd": spread[0]}
                records.append(line | {"auc": mean[1], "auc sd": spread[1]})
        show([record for record in records if record["game"] == game.name])
    if arguments.out:
        arguments.out.write_text(json.dumps({"seeds": arguments.seeds, "versions": versions(), "records": records}))


def methods(game: RecordedGame) -> dict[str, Callable[[int, Any], Any]]:
    """Name → budget and generator → the values, and the recorded coalitions that the reference is to do without."""
    setting = argparse.Namespace(
        game="large", players=game.n, **{n: int(game.setting[n]) for n in ("bank", "orders")}
    )  # fmt: skip
    bank, *walks = wanted(setting)
    group = -(-game.n // 10)

    def pairs(estimator: Any, designed: bool = True) -> Callable[[int, Any], Any]:
        def run(budget: int, rng: Any) -> Any:
            if budget > len(bank):
                return None
            order = rng.permutation(len(bank) // 2)
            best = choose_pairs(bank[2 * order], budget // 2, bank[:0]) if designed else slice(budget // 2)
            chosen = order[best]
            coalitions = bank[np.sort(np.concatenate([2 * chosen, 2 * chosen + 1]))]
            return regressed(game, estimator, coalitions), coalitions

        return run

    def along(step: int) -> Callable[[int, Any], Any]:
        def run(budget: int, rng: Any) -> Any:
            each = -(-game.n // step) - 1
            if not 1 <= budget // each <= len(walks):
                return None
            chosen = [walks[place] for place in rng.permutation(len(walks))[: budget // each]]
            steps = [walk[sorted({*range(0, game.n, step), game.n})] for walk in chosen]
            return walked(game, steps), np.concatenate(chosen)  # neighbours on a walk share the luck of its order

        return run

    return {
        f"SHED, blocks of {group}": along(group),
        "Permutation": along(1),
        "LeastSquares(prior=None)": pairs(shed_hf.LeastSquares(prior=None)),
        "LeastSquares(independent)": pairs(shed_hf.LeastSquares(prior="independent")),
        "LeastSquares(embedding)": pairs(shed_hf.LeastSquares()),
        "the same, random pairs": pairs(shed_hf.LeastSquares(), designed=False),
    }


def regressed(game: RecordedGame, estimator: Any, coalitions: Any) -> Any:
    """The estimator's values from these coalitions."""
    fresh = game.game()
    return estimator.fit(fresh, measure(fresh, coalitions).observed(fresh)).mean


def walked(game: RecordedGame, walks: list[Any]) -> Any:
    """The mean share of every player in its block's marginal contribution along walks of growing coalitions."""
    shares = np.zeros((len(walks), game.n))
    for line, walk in zip(shares, walks, strict=True):
        for joining, marginal in zip(walk[1:] & ~walk[:-1], np.diff(game.of(walk).mean(axis=1)), strict=True):
            line[joining] = marginal / joining.sum()
    return shares.mean(axis=0)


def figures(game: RecordedGame, values: Any, used: Any) -> tuple[float, float]:
    """Rank correlation with the values from coalitions other than ``used``, and how well damaged players rank last."""
    taken = {line.tobytes() for line in used}
    inner = game.coalitions[game.coalitions.any(axis=1) & ~game.coalitions.all(axis=1)]
    rest = inner[[line.tobytes() not in taken for line in inner]]
    reference = regressed(game, shed_hf.LeastSquares(prior=None), rest)
    hurt = game.damaged
    auc = float((values[~hurt][:, None] > values[hurt][None]).mean()) if hurt.any() else float("nan")
    return float(spearmanr(values, reference)[0]), auc


def show(records: list[dict[str, Any]]) -> None:
    """One line per estimator: mean ± spread over seeds at each budget."""
    for figure in ("rank", "auc"):
        print(f"\n{records[0]['game']}: {figure}\n{'':28}" + "".join(f"{budget:>16}" for budget in BUDGETS))
        for name in dict.fromkeys(record["estimator"] for record in records):
            by = {record["budget"]: record for record in records if record["estimator"] == name}
            cells = (f"{by[b][figure]:.2f} ± {by[b][f'{figure} sd']:.2f}" if b in by else "–" for b in BUDGETS)
            print(f"{name:28}" + "".join(f"{cell:>16}" for cell in cells))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("games", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
