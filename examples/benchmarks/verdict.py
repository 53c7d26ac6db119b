"""The verdict's own error rate, and how many seeds a known gain takes.

    python examples/benchmarks/verdict.py --sims 2000
    python examples/benchmarks/verdict.py --groups 500
    python examples/benchmarks/verdict.py --real 20 --model MODEL --data ROWS.jsonl

Simulated outcomes are item + subset + seed + (subset × item) + (seed × item), all normal, or whether that is above 0
(accuracy). *Random*: the chosen rows are drawn as the random ones are; the share of "better" should be at most 5 %.
*Gain*: a known gain is added to the chosen rows; how often it is shown, and what the first verdict says of the seeds it
would take. *Groups*: rows are random, and only the lowest group of items counts. *Real*: a model is tuned on random
subsets, one of which is called chosen, and measured on items apart.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from shed_hf.curation.recipe import device, versions
from shed_hf.evaluation.item_groups import OverGroups
from shed_hf.verification.judge import judge, spread_over_random
from shed_hf.verification.spread import Runs, Spread

OUT = Path(__file__).parent / "results" / "verdict.json"
WORLDS = {
    "draws differ": (0.10, 0.03, 0.10, 0.05, False),
    "draws and seeds differ": (0.05, 0.05, 0.10, 0.10, False),
    "seeds differ": (0.0, 0.10, 0.0, 0.10, False),
    "items differ": (0.0, 0.0, 0.30, 0.30, False),
    "runs move every item": (0.14, 0.0, 0.0, 1.0, False),
    "accuracy": (0.20, 0.10, 0.30, 0.20, True),
}
"""Standard deviations of subset, seed, subset × item and seed × item, where items have 1; then whether as accuracy."""


def subset(rng: Any, items: Any, runs: int, world: tuple[float, float, float, float, bool], gain: float = 0.0) -> Any:
    """Outcomes of one subset ``(runs, n_items)``."""
    of_subset, of_seed, of_item, of_both, accuracy = world
    base = items + rng.normal(0, of_subset) + rng.normal(0, of_item, len(items)) + gain
    found = base + rng.normal(0, of_seed, (runs, 1)) + rng.normal(0, of_both, (runs, len(items)))
    return (found > 0).astype(float) if accuracy else found


def case(rng: Any, world: Any, seeds: int, n_items: int, gain: float = 0.0) -> tuple[Any, Any, Any]:
    """Chosen, random and untuned outcomes."""
    items = rng.normal(0, 1, n_items)
    random = np.concatenate([subset(rng, items, 1, world) for _ in range(seeds)])
    return subset(rng, items, seeds, world, gain), random, items - 1


def rate(rng: Any, world: Any, seeds: int, n_items: int, gain: float, sims: int) -> float:
    """How often "better than random" is said, by the interval of `judge` without its advice."""
    better = 0
    for _ in range(sims):
        chosen, random, _ = case(rng, world, seeds, n_items, gain)
        differences = chosen.mean(axis=0) - random.mean(axis=0)
        spread = Spread(differences.var(ddof=1) / n_items, n_items, Runs.of(chosen), Runs.of(random))
        better += differences.mean() > spread.half_width(0.95, rng)
    return better / sims


def advised(rng: Any, world: Any, seeds: int, n_items: int, gain: float, sims: int) -> dict[str, Any]:
    """What verdicts that show no gain say of the seeds it would take."""
    found = [judge(*case(rng, world, seeds, n_items, gain), rng=rng) for _ in range(sims)]
    missed = [verdict for verdict in found if not verdict.over_random.is_better]
    more = [verdict.seeds_needed for verdict in missed if verdict.seeds_needed is not None]
    return {
        "not_shown": len(missed),
        "name_seeds": len(more),
        "median_more_seeds": float(np.median(more)) if more else None,
    }


def simulated(sims: int) -> dict[str, Any]:
    """Shares of "better" where rows are random, and where they have a known gain."""
    rng = np.random.default_rng(0)
    random = [
        {"world": name, "seeds": seeds, "items": items, "better": rate(rng, world, seeds, items, 0.0, sims)}
        for name, world in WORLDS.items()
        for seeds in (3, 5, 8)
        for items in (16, 40, 150)
    ]
    world = WORLDS["draws and seeds differ"]
    gains = [
        {"gain": gain, "seeds": seeds, "items": 40, "better": rate(rng, world, seeds, 40, gain, max(sims // 4, 50))}
        for gain in (0.1, 0.2, 0.4)
        for seeds in (3, 5, 8, 12, 16)
    ]
    advice = [{"gain": gain, "seeds": 3, **advised(rng, world, 3, 40, gain, 40)} for gain in (0.2, 0.4)]
    worst = max(line["better"] for line in random)
    print(f"random rows: better is said in at most {worst:.3f} of {sims}")
    return {"sims": sims, "random": random, "worst": worst, "gains": gains, "advice": advice}


GROUPS = {"three of 20": [20] * 3, "four of 40": [40] * 4, "five of 8": [8] * 5, "of 16, 32 and 64": [16, 32, 64]}
"""Sizes of the groups of test items."""


def lowest_group(sims: int) -> list[dict[str, Any]]:
    """Shares of "better" and "worse" where rows are random and only the lowest group counts, by the interval alone.

    Groups differ by ``apart`` (standard deviation) before tuning, and every subset moves each group by 0.1 on its own.
    """
    rng, found = np.random.default_rng(0), []
    for name, sizes in GROUPS.items():
        reduced = OverGroups("worst-group", np.repeat(np.arange(len(sizes)), sizes))
        for apart in (0.0, 0.3, 2.0):
            for world in ("draws and seeds differ", "items differ"):
                signs = [group_gain(rng, reduced, apart, WORLDS[world]) for _ in range(sims)]
                line = {"groups": name, "apart": apart, "world": world, "sims": sims}
                found.append({**line, "better": signs.count(1) / sims, "worse": signs.count(-1) / sims})
    print(f"lowest group: better is said in at most {max(line['better'] for line in found):.3f} of {sims}")
    return found


def group_gain(rng: Any, reduced: OverGroups, apart: float, world: Any, seeds: int = 5) -> int:
    """1 where chosen rows that are random are said to be better for the lowest group, −1 for worse, 0 for neither."""
    n_groups = len(np.unique(reduced.groups))

    def by_group(scale: float) -> Any:
        return rng.normal(0, scale, n_groups)[reduced.groups]

    items = rng.normal(0, 1, len(reduced.groups)) + by_group(apart)
    chosen = subset(rng, items + by_group(0.1), seeds, world)
    random = np.concatenate([subset(rng, items + by_group(0.1), 1, world) for _ in range(seeds)])
    outcomes = np.concatenate([chosen, random])
    own, others = np.split(reduced.contributions(outcomes), [seeds])
    half = spread_over_random(own, others, reduced.n_deciding(outcomes)).half_width(0.95, rng)
    gain = float(own.mean() - others.mean())
    return 0 if abs(gain) <= half else 1 if gain > 0 else -1


def real(n_cases: int, model: str, data: Path, size: int, seeds: int) -> dict[str, Any]:
    """Verdicts on random subsets of real rows, tuned on with a real model."""
    from datasets import Dataset

    from shed_hf.data.pool import read_pool
    from shed_hf.distributed.ranks import SingleProcess
    from shed_hf.finetuning.fine_tune import FineTune
    from shed_hf.game.ledger import Ledger
    from shed_hf.verification.trials import Trial, Trials

    rows = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    pool = read_pool(Dataset.from_list(rows[:400]))
    test = read_pool(Dataset.from_list(rows[400:440]))
    utility = FineTune(model).bind(pool, test.examples(np.arange(len(test))), 0)
    rng = np.random.default_rng(0)
    subsets = {n: np.sort(rng.choice(len(pool), size, replace=False)) for n in range(n_cases * (1 + seeds))}
    trials = {str(n): Trial(chosen, seeds if n < n_cases else 1) for n, chosen in subsets.items()}
    of_model = Trials(trials, utility, pool.digests_of(list(subsets.values())), pool.digest, 0)
    start = time.perf_counter()
    found, untuned = of_model.measure(of_model.game(Ledger(), SingleProcess()))
    verdicts = []
    for number in range(n_cases):
        others = range(n_cases + number * seeds, n_cases + (number + 1) * seeds)
        random = np.concatenate([found[str(other)].outcomes for other in others])
        verdicts.append(judge(found[str(number)].outcomes, random, untuned.outcome, rng=rng))
    return {
        "cases": n_cases,
        "rows": size,
        "seeds": seeds,
        "items": len(test),
        "tunings": of_model.n_runs,
        "seconds": round(time.perf_counter() - start, 1),
        "better": sum(verdict.over_random.is_better for verdict in verdicts),
        "worse": sum(verdict.over_random.is_worse for verdict in verdicts),
        "gains": [round(verdict.gain, 4) for verdict in verdicts],
        "half_widths": [round(verdict.high - verdict.gain, 4) for verdict in verdicts],
    }


def main() -> None:
    """Measure what was asked for, and write it beside what is there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sims", type=int, default=0)
    parser.add_argument("--groups", type=int, default=0)
    parser.add_argument("--real", type=int, default=0)
    parser.add_argument("--model")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    found = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    if arguments.sims:
        found["simulated"] = simulated(arguments.sims)
    if arguments.groups:
        found["lowest_group"] = lowest_group(arguments.groups)
    if arguments.real:
        given = (arguments.real, arguments.model, arguments.data, arguments.size, arguments.seeds)
        found["real"] = real(*given) | {"device": device()}
        print(json.dumps(found["real"]))
    found["versions"] = versions()
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
