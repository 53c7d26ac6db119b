"""`shed_hf.compare` of all ways to choose rows, on a pool of `selector_pools.py`, at three sizes.

    python examples/benchmarks/compare_pools.py --folder POOLS/arc --model DIR --out OUT.json

Loss and choice (the log-likelihood of the right option among the options) are measured on the items of ``test.jsonl``,
which no method chooses by. ``--out`` has the printed table, every line, every run's figures, device and versions;
outcomes are in ledgers beside it, from which the same call goes on.
"""

import argparse
import json
from datetime import date
from pathlib import Path
from typing import Any

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
    """Compare, print, and write what was measured."""
    arguments = _arguments()
    disable_progress_bars()
    folder = arguments.folder
    rows, items, test = (read(folder / f"{part}.jsonl") for part in ("pool", "eval", "test"))
    comparison = shed_hf.compare(
        Dataset.from_list([{name: row[name] for name in COLUMNS} for row in rows]),
        eval_dataset=Dataset.from_list(items),
        test_dataset={folder.name: Dataset.from_list(test)},
        test_objective=["choice", "loss"] if "choices" in test[0] else ["loss"],
        sizes=arguments.sizes,
        methods={name: METHODS[name] for name in arguments.methods},
        seeds=arguments.seeds,
        utility=tuner(arguments),
        embedder=embedder(folder, rows, items, test),
        clusterer=shed_hf.KMeans(arguments.clusters),
        budget=arguments.budget,
        ledger=arguments.out.with_suffix(".ledger"),
    )
    print(comparison)
    plain = {
        "table": str(comparison).splitlines(),
        "lines": json.loads(comparison.to_pandas().to_json(orient="records")),
        "setting": {
            name: str(value) for name, value in vars(arguments).items() if name not in ("out", "folder", "model")
        },
        "model": Path(arguments.model).name,
        "pool": folder.name,
        "device": device(),
        "versions": versions(),
        "date": str(date.today()),
    }
    arguments.out.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def embedder(folder: Path, rows: list[Any], items: list[Any], test: list[Any]) -> Any:
    """The vectors of ``embeddings.npy``, or the rows' words where there is no such file."""
    path = folder / "embeddings.npy"
    if not path.exists():
        return "lexical"
    pool, of_items = bound(rows, items)
    return Precomputed(texts_to_embed(pool, of_items) + texts_of(pool, bound(rows, test)[1]), np.load(path))


def tuner(arguments: argparse.Namespace) -> shed_hf.FineTune:
    """The default fine-tuning of the model in float32."""
    args = default_args()
    args.learning_rate = arguments.learning_rate
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    if not arguments.own_template:
        tokenizer.chat_template = SHORT_TEMPLATE  # without a system prompt of 20 tokens before every row
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype="float32")
    return shed_hf.FineTune(model, "loss", tokenizer=tokenizer, args=args)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="a folder that selector_pools.py made")
    parser.add_argument("--model", required=True)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.02, 0.05, 0.1])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--budget", type=int, default=19, help="fine-tunings of a game")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--own-template", action="store_true", help="the model's chat template instead of a short one")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
