"""Ranking at few fine-tunings: our regressions beside the estimators of shapiq and pyDVL, on real and made-up games.

Real games are replayed as they were recorded: where every coalition was trained in an order of its own, in two runs,
each seed draws an outcome from one of these runs for every coalition, and the values are those of the mean over all
runs. Rank correlation with the values, and how well damaged players rank last (AUC). The budget counts v(N) and every
coalition between the ends; v(∅) is free. ``--replicates`` keeps some of it for other ends.

    python examples/benchmarks/compare_few.py --seeds 10 --out examples/benchmarks/results/compare_few.json
"""

import argparse
import importlib.metadata
import importlib.util
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from few_games import FewGame, in_one_order, made_up, with_own_orders
from scipy.stats import spearmanr

import shed_hf
from shed_hf.curation.recipe import versions
from shed_hf.estimators.bayesian_regression import Observed
from shed_hf.estimators.coalition_design import draw_pairs

GAMES = Path(__file__).parent / "results" / "games"
BUDGETS = {10: (21, 41, 81), 40: (36, 72, 144)}
OURS = {
    "LeastSquares(embedding)": shed_hf.LeastSquares(),
    "LeastSquares(independent)": shed_hf.LeastSquares(prior="independent"),
    "LeastSquares(prior=None)": shed_hf.LeastSquares(prior=None),
}
RIVALS = (
    "shapiq kADDSHAP",
    "shapiq kADDSHAP, paired",
    "shapiq RegressionMSR",
    "shapiq ProxySHAP",
    "shapiq LeverageSHAP",
    "shapiq OddSHAP",
    "shapiq PolySHAP, paired",
    "shapiq KernelSHAP, paired",
    "shapiq SVARM",
    "shapiq PermutationSamplingSV",
    "pyDVL antithetic permutations",
    "pyDVL Banzhaf, sample reuse",
)


def main() -> None:
    """A table of means over the real and over the made-up games; save all figures under ``--out``."""
    arguments = _arguments()
    warnings.simplefilter("ignore")
    records = []
    for game in games(arguments.players):
        for name, run in methods(game, arguments).items():
            records += [compared(game, name, run, n, arguments.seeds) for n in BUDGETS[len(game.values)]]
        print(game.name, flush=True)
    show(records)
    if arguments.out:
        packages = versions() | _rivals_versions(arguments.rivals)
        arguments.out.write_text(json.dumps({"seeds": arguments.seeds, "versions": packages, "records": records}))


def games(players: int) -> Iterator[FewGame]:
    """All games of 10 players, real ones first, or of 40, all made up."""
    if players == 10:
        for path in sorted(GAMES.glob("*_orders.npz")):
            if "alike" not in path.stem:
                yield from with_own_orders(path)
        yield from (in_one_order(path) for path in sorted(GAMES.glob("exact_*.npz")))
    for number in range(2):
        yield from made_up(players, number)


def methods(game: FewGame, arguments: argparse.Namespace) -> dict[str, Callable[[int, int], Any]]:
    """Name → budget and seed → the values; None where the budget is too small."""

    def ours(estimator: Any) -> Callable[[int, int], Any]:
        def run(budget: int, seed: int) -> Any:
            return regressed(game, estimator, budget - arguments.replicates, seed)

        return run

    def theirs(rival: Any) -> Callable[[int, int], Any]:
        def run(budget: int, seed: int) -> Any:
            try:
                return rival.run(game.replay(seed), len(game.values), budget + 1, seed)
            except (ValueError, IndexError):
                return None

        return run

    found = {name: ours(estimator) for name, estimator in OURS.items()}
    if arguments.rivals:
        from rivals import available

        found |= {rival.name: theirs(rival) for rival in available() if rival.name in RIVALS}
    return found


def regressed(game: FewGame, estimator: Any, budget: int, seed: int) -> Any:
    """The values by our regression on the coalitions that it asks for."""
    n, utility = len(game.values), game.replay(seed)
    coalitions = draw_pairs(n, (budget - 1) // 2, np.random.default_rng(seed))
    ends = utility(np.stack([np.zeros(n, bool), np.ones(n, bool)]))
    observed = Observed(coalitions, utility(coalitions), np.ones(len(coalitions)), float(ends[0]), float(ends[1]))
    players = [np.array([player]) for player in range(n)]
    fresh = shed_hf.Game(players, lambda rows: np.zeros((len(rows), 1)), positions=game.positions)
    return estimator.fit(fresh, observed).mean


def compared(game: FewGame, name: str, run: Callable[[int, int], Any], budget: int, seeds: int) -> dict[str, Any]:
    """The means over seeds and their spread."""
    found = [values for seed in range(seeds) if (values := run(budget, seed)) is not None and np.ptp(values)]
    ranks = np.array([spearmanr(values, game.values)[0] for values in found])
    hurt = game.damaged
    aucs = np.array([(values[~hurt][:, None] > values[hurt][None]).mean() for values in found if hurt.any()])
    record = {"game": game.name, "real": game.real, "estimator": name, "budget": budget, "runs": len(found)}
    for figure, known in (("rank", ranks), ("auc", aucs)):
        record |= {figure: float(known.mean()) if len(known) else None}
        record |= {f"{figure} sd": float(known.std()) if len(known) else None}
    return record


def show(records: list[dict[str, Any]]) -> None:
    """Means over real games, over made-up ones and over all, then every game by itself."""
    budgets = sorted({record["budget"] for record in records})
    print(f"{'':32}{'real':>22}{'made up':>22}{'all':>22}{'AUC':>22}")
    for name in dict.fromkeys(record["estimator"] for record in records):
        lines = [record for record in records if record["estimator"] == name]
        cells = []
        for wanted, figure in (((True,), "rank"), ((False,), "rank"), ((True, False), "rank"), ((True, False), "auc")):
            cells.append(" / ".join(_mean(lines, budget, wanted, figure) for budget in budgets))
        print(f"{name:32}" + "".join(f"{cell:>22}" for cell in cells))


def _mean(lines: list[dict[str, Any]], budget: int, real: tuple[bool, ...], figure: str) -> str:
    chosen = [r[figure] for r in lines if r["budget"] == budget and r["real"] in real and r[figure] is not None]
    return f"{np.mean(chosen):.3f}" if chosen else "–"


def _rivals_versions(wanted: bool) -> dict[str, str]:
    found = [package for package in ("shapiq", "pydvl", "xgboost") if importlib.util.find_spec(package)]
    return {package: importlib.metadata.version(package) for package in found} if wanted else {}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--players", type=int, choices=sorted(BUDGETS), default=10)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--replicates", type=int, default=0, help="fine-tunings kept for measuring coalitions again")
    parser.add_argument("--rivals", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
