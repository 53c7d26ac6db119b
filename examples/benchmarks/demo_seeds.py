"""The demo on seeds that it does not use: how its settings were chosen, and how often it wins.

Settings are compared on seeds from 100 to 199, and the one that is taken is judged on seeds from 200 on; `shed-hf demo`
has seed 0. A setting is better where more verdicts are earned ("better than random rows", and not worse than no
tuning), then by the mean gain over random rows. `results/demo_seeds.json` has the runs of the shipped settings
and, under `tried_before`, those of earlier ones.

    python examples/benchmarks/demo_seeds.py --seeds 100 101 102 --learning-rate 3e-3 1e-2 --epochs 2 3
    python examples/benchmarks/demo_seeds.py --seeds 205 206 207 208 209 --out results/demo_seeds.json   # as it ships
"""

import argparse
import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from datasets import disable_progress_bars

from shed_hf.curation.recipe import versions
from shed_hf.demo import choice, settings
from shed_hf.demo.run import run

GRID = (
    "learning_rate", "epochs", "batch_size", "proxies", "n_items", "n_test", "budget", "share", "sampler", "tunings",
    "draws",
)  # fmt: skip


def main() -> None:
    """Run every setting on every seed, print a line for each, save them under ``--out``."""
    arguments = _arguments()
    disable_progress_bars()
    shipped = {"small": settings.SMALL, "smollm2": settings.SMOLLM2}[arguments.model]
    tried = {name: values for name in GRID if (values := getattr(arguments, name))}
    records = []
    for combination in product(*tried.values()):
        changed = dict(zip(tried, combination, strict=True))
        records += [_record(replace(shipped, **changed), changed, seed, arguments.model) for seed in arguments.seeds]
        _tell(changed, records[-len(arguments.seeds) :])
    if arguments.out:
        arguments.out.write_text(json.dumps({"versions": versions(), "runs": records}, indent=1), encoding="utf-8")


def _record(setting: settings.Setting, changed: dict[str, Any], seed: int, model: str) -> dict[str, Any]:
    name = {"small": "SMALL", "smollm2": "SMOLLM2"}[model]
    for module in (settings, choice):
        if hasattr(module, name):
            setattr(module, name, setting)
    result = run(model, seed)
    kept = [str(result.damaged[row]) for row in result.curated.rows]
    return {
        "seed": seed,
        "changed": changed,
        **result.as_json(),
        "damage_of_kept": {damage: kept.count(damage) for damage in sorted(set(kept))},
    }


def _tell(changed: dict[str, Any], records: list[dict[str, Any]]) -> None:
    def mean(name: str) -> float:
        return float(sum(record[name] for record in records) / len(records))

    losses = [mean(f"heldout_loss_{kind}") for kind in ("untuned", "random", "curated")]
    print(
        changed, f"untuned {losses[0]:.3f}, random {losses[1]:.3f}, kept {losses[2]:.3f};",
        f"{sum(record['better_than_random'] for record in records)} of {len(records)} verdicts earned;",
        f"AUC {mean('auc_damaged_last'):.2f}, damaged among kept {mean('damaged_share_after'):.2f},",
        f"{mean('seconds'):.0f} s", flush=True,
    )  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=("small", "smollm2"), default="small")
    parser.add_argument("--seeds", type=int, nargs="+", default=[200, 201, 202, 203, 204])
    for name in GRID:
        kind = {"learning_rate": float, "share": float, "sampler": str}.get(name, int)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, nargs="+", default=None)
    parser.add_argument("--out", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
