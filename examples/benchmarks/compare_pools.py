"""`shed_hf.compare` of all ways to choose rows, on a pool of `selector_pools.py`, at three sizes.

    python examples/benchmarks/compare_pools.py --folder POOLS/arc --model DIR --out OUT.json

Loss and choice (the log-likelihood of the right option among the options) are measured on the items of ``test.jsonl``,
which no method chooses by. ``--out`` has the printed table, wins and losses, every line, device and versions;
outcomes are in ledgers beside it, from which the same call goes on. With several ``--seeds`` what is known with few is
written before it goes on to more. `compare_side_by_side.py` runs several of these at once.
"""

import argparse
import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
from datasets import Dataset, disable_progress_bars
from selector_pools import COLUMNS, bound, read, texts_of, texts_to_embed
from selector_ways import Precomputed
from transformers import AutoModelForCausalLM, AutoTokenizer

import shed_hf
from shed_hf.curation.recipe import device, versions
from shed_hf.demo.settings import SHORT_TEMPLATE
from shed_hf.finetuning.trainer_settings import default_args

METHODS: dict[str, Any] = {
    "credit coverage": "credit",
    "retrieval": "retrieval",
    "RDS": shed_hf.Retrieval(vectors="model"),
    "DSIR": "dsir",
    "DQ": "dq",
    "longest": "longest",
    "IFD": "ifd",
    "QOCS": "qocs",
    "QWCS": "qwcs",
    "paper QOCS": shed_hf.QOCS(1.0),
    "row values": "row-values",
    "full": "full",
}

PATHS = ("out", "folder", "model")
"""Arguments that say where things are on this machine."""


def main() -> None:
    """Compare with few seeds, then with more; print, and write what was measured, after each."""
    arguments = _arguments()
    disable_progress_bars()
    settings = _settings(arguments)
    for seeds in sorted(arguments.seeds):
        comparison = shed_hf.compare(**settings, seeds=seeds)
        print(comparison, flush=True)
        plain = {
            "table": str(comparison).splitlines(),
            "wins_and_losses": [asdict(tally) for tally in (*comparison.tallies, *comparison.totals)],
            "lines": json.loads(comparison.to_pandas().to_json(orient="records")),
            "setting": {name: str(value) for name, value in vars(arguments).items() if name not in PATHS}
            | {"seeds": str(seeds)},
            "model": Path(arguments.model).name,
            "pool": arguments.folder.name,
            "device": device(),
            "versions": versions(),
            "date": str(date.today()),
        }
        content = json.dumps(plain, indent=1, ensure_ascii=False) + "\n"
        unfinished = arguments.out.with_suffix(".unfinished")
        unfinished.write_text(content, encoding="utf-8")
        unfinished.replace(arguments.out)  # whole at any time, whenever this is stopped


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What is compared, but for the number of seeds."""
    folder = arguments.folder
    rows, items, test = (read(folder / f"{part}.jsonl") for part in ("pool", "eval", "test"))
    vectors = embedder(folder, rows, items, test)
    test = test[: arguments.test_items]
    return {
        "dataset": Dataset.from_list([{name: row[name] for name in COLUMNS} for row in rows]),
        "eval_dataset": Dataset.from_list(items),
        "test_dataset": {folder.name: Dataset.from_list(test)},
        "test_objective": ["choice", "loss"] if "choices" in test[0] else ["loss"],
        "sizes": arguments.sizes,
        "methods": {name: METHODS[name] for name in arguments.methods},
        "utility": tuner(arguments, arguments.batch or "auto"),
        "embedder": vectors,
        "clusterer": shed_hf.KMeans(arguments.clusters),
        "budget": arguments.budget,
        "ledger": arguments.out.with_suffix(".ledger"),
    }


def embedder(folder: Path, rows: list[Any], items: list[Any], test: list[Any]) -> Any:
    """The vectors of ``embeddings.npy``, or the rows' words where there is no such file."""
    path = folder / "embeddings.npy"
    if not path.exists():
        return "lexical"
    pool, of_items = bound(rows, items)
    return Precomputed(texts_to_embed(pool, of_items) + texts_of(pool, bound(rows, test)[1]), np.load(path))


def tuner(arguments: argparse.Namespace, batch: int | Literal["auto"] = "auto") -> shed_hf.FineTune:
    """The default fine-tuning of the model in float32."""
    args = default_args()
    args.learning_rate = arguments.learning_rate
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    if not arguments.own_template:
        tokenizer.chat_template = SHORT_TEMPLATE  # without a system prompt of 20 tokens before every row
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype="float32")
    return shed_hf.FineTune(model, "loss", tokenizer=tokenizer, args=args, coalitions_per_batch=batch)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="a folder that selector_pools.py made")
    parser.add_argument("--model", required=True)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.02, 0.05, 0.1])
    parser.add_argument("--seeds", type=int, nargs="+", default=[5], help="several: first with few, then with more")
    parser.add_argument("--test-items", type=int, help="how many of the test items; all of them by default")
    parser.add_argument(
        "--batch", type=int, help="tunings in one batch; by default one on a CPU, as many as fit on a GPU"
    )
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--budget", type=int, default=19, help="fine-tunings of a game")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--own-template", action="store_true", help="the model's chat template instead of a short one")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
