"""Estimators side by side on recorded games: how well they rank for how many fine-tunings.

On games of which every coalition was recorded: rank correlation with the exact values, overlap of the best three
players, root-mean-square error, the share of exact values within two standard errors, and the regret of choosing by the
estimate: how much lower the outcome of its best three players is, on items that took no part, than that of the truly
best three. Rivals of other packages join where they are installed (see `rivals.py`).

    python examples/benchmarks/compare_estimators.py examples/benchmarks/results/games/exact_*.npz --seeds 30
"""

import argparse
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from recorded import RecordedGame
from scipy.stats import spearmanr

import shed_hf
from shed_hf.curation.recipe import versions
from shed_hf.errors import InputError

BUDGETS = (11, 21, 41, 81, 161, 321)
BEST = 3
FIGURES = ("rank", "best", "error", "covered elsewhere", "regret", "auc")
"""``auc``: how well damaged players rank last."""
OURS: dict[str, Any] = {
    "SHED, blocks of 1": shed_hf.Shed(group_size=1),
    "SHED, blocks of 2": shed_hf.Shed(group_size=2),
    "Permutation": shed_hf.Permutation(),
    "BanzhafMSR": shed_hf.BanzhafMSR(),
    "LeastSquares(prior=None)": shed_hf.LeastSquares(prior=None),
    "LeastSquares(independent)": shed_hf.LeastSquares(prior="independent"),
    "LeastSquares(embedding)": shed_hf.LeastSquares(),
    "RegressionAdjusted": shed_hf.RegressionAdjusted(),
}


def main() -> None:
    """Compare on every game, print a table for each, save all figures under ``--out``."""
    arguments = _arguments()
    warnings.simplefilter("ignore")
    records = []
    for path in arguments.games:
        compared = list(compare(path, arguments))
        show(path.stem, compared)
        records += compared
    if arguments.out:
        arguments.out.write_text(json.dumps({"seeds": arguments.seeds, "versions": versions(), "records": records}))


def compare(path: Path, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A record for every estimator and budget: each figure's mean over seeds, and its standard deviation."""
    n_items = RecordedGame(path).outcomes.shape[1]
    judged, others = RecordedGame(path, slice(0, n_items // 2)), RecordedGame(path, slice(n_items // 2, None))
    exact, elsewhere = judged.exact(), others.exact()
    runs: dict[str, Callable[[int, int], Any]] = {name: _ours(judged, e) for name, e in OURS.items()}
    runs |= _theirs(judged) if arguments.rivals else {}
    for name, run in runs.items():
        for budget in BUDGETS:
            found = [figures(run(budget, seed), exact, elsewhere, others) for seed in range(arguments.seeds)]
            record: dict[str, Any] = {"game": path.stem, "estimator": name, "budget": budget}
            for figure in found[0]:
                values = np.array([of_seed[figure] for of_seed in found])
                known = values[np.isfinite(values)]
                record[figure] = float(known.mean()) if len(known) else None
                record[f"{figure} sd"] = float(known.std()) if len(known) else None
                record[f"{figure} runs"] = len(known)
            yield record


def figures(found: tuple[Any, Any], exact: Any, elsewhere: Any, others: RecordedGame) -> dict[str, float]:
    """What one estimate is worth; NaN where the budget was too small for it."""
    values, stderr = found
    if values is None or not np.ptp(values):
        return dict.fromkeys((*FIGURES, "covered"), float("nan"))
    hurt = others.damaged
    best, chosen = np.argsort(-exact)[:BEST], np.argsort(-values)[:BEST]
    outcome = [float(others.of(_coalition(players, len(values))[None]).mean()) for players in (best, chosen)]
    known = stderr is not None and np.isfinite(stderr).all()
    return {
        "rank": float(spearmanr(values, exact)[0]),
        "best": len(np.intersect1d(best, chosen)) / BEST,
        "error": float(np.sqrt(np.mean((values - exact) ** 2))),
        "covered": float((np.abs(values - exact) <= 2 * stderr).mean()) if known else float("nan"),
        "covered elsewhere": float((np.abs(values - elsewhere) <= 2 * np.sqrt(2) * stderr).mean())
        if known
        else float("nan"),
        "regret": outcome[0] - outcome[1],
        "auc": float((values[~hurt][:, None] > values[hurt][None]).mean()) if hurt.any() else float("nan"),
    }


def show(name: str, records: list[dict[str, Any]]) -> None:
    """Rank correlation ± its spread over seeds by budget, then coverage and regret."""
    for figure in FIGURES:
        print(f"\n{name}: {figure}\n{'':32}" + "".join(f"{budget:>16}" for budget in BUDGETS))
        for estimator in dict.fromkeys(record["estimator"] for record in records):
            line = [record for record in records if record["estimator"] == estimator]
            cells = (
                "–" if r[figure] is None else f"{r[figure]:.4f} ± {r[f'{figure} sd']:.4f}"
                for r in line
            )  # fmt: skip
            print(f"{estimator:32}" + "".join(f"{cell:>16}" for cell in cells))


def _ours(recorded: RecordedGame, estimator: Any) -> Callable[[int, int], Any]:
    def run(budget: int, seed: int) -> Any:
        try:
            estimate = estimator(recorded.game(), np.random.default_rng(seed), budget)
        except InputError:
            return None, None
        return estimate.values, estimate.stderr

    return run


def _theirs(recorded: RecordedGame) -> dict[str, Callable[[int, int], Any]]:
    from rivals import available

    def runner(rival: Any) -> Callable[[int, int], Any]:
        def run(budget: int, seed: int) -> Any:
            try:
                return rival.run(lambda c: recorded.of(c).mean(axis=1), recorded.n, budget + 1, seed), None
            except (ValueError, IndexError):
                return None, None

        return run

    return {f"{rival.package} {rival.name}": runner(rival) for rival in available()}


def _coalition(players: Any, n: int) -> Any:
    return np.isin(np.arange(n), players)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("games", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rivals", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
