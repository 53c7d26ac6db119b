"""What grouping the rows of a step by length saves: the same coalitions with micro-batches as given, and grouped.

Random coalitions of a file's rows are measured both ways in turn, in CPU seconds of one process. Outcomes are compared.

    OMP_NUM_THREADS=1 python examples/benchmarks/padding.py ROWS.jsonl --model DIR --coalitions 6 --out FILE.json
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from datasets import Dataset, disable_progress_bars

from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import read_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.evaluation.objectives import Loss
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.micro_batches import by_length
from shed_hf.finetuning.schedule import NULL_ROW, ByLength, schedule

COLUMNS = ("instruction", "input", "output", "question", "choices", "answer")


def main() -> None:
    """Measure, print a line for each way, and save them under ``--out``."""
    arguments = _arguments()
    transformers.logging.set_verbosity_error()
    disable_progress_bars()
    lines = arguments.rows.read_text(encoding="utf-8").splitlines()[:600]
    rows = [{name: row[name] for name in COLUMNS if name in row} for row in map(json.loads, lines)]
    pool = read_pool(Dataset.from_list(rows))
    utility = FineTune(str(arguments.model), Loss()).bind(pool, pool.examples(np.arange(500, 500 + arguments.items)), 0)
    rng = np.random.default_rng(0)
    coalitions = [rng.choice(500, arguments.size, replace=False) for _ in range(arguments.coalitions)]
    with utility.isolation:
        grouping = by_length(utility.trainer, utility.rows.length)
    if grouping is None:
        raise SystemExit("rows are not grouped by length here: see by_length")
    found = []
    reference: Any = None
    for way, chosen in (("as given", None), ("grouped by length", grouping)):
        vars(utility)["by_length"] = chosen  # in the place of what it would choose itself
        utility(coalitions[:1])
        start = time.process_time()
        outcomes = utility(coalitions)
        seconds = time.process_time() - start
        reference = outcomes if reference is None else reference
        found.append(
            {
                "way": way,
                "cpu_seconds": seconds,
                "largest_difference": float(np.abs(outcomes - reference).max()),
                **_read(coalitions, chosen, grouping),
            }
        )
        print(found[-1], flush=True)
    print(f"{found[0]['cpu_seconds'] / found[1]['cpu_seconds']:.2f} times as fast")
    if arguments.out:
        setting = {"rows": arguments.rows.name, "model": arguments.model.name, "overhead_tokens": grouping.overhead}
        setting |= {"coalitions": arguments.coalitions, "size": arguments.size, "items": arguments.items}
        record = {**setting, "device": device(), "versions": versions(), "results": found}
        arguments.out.write_text(json.dumps(record, indent=1))


def _read(coalitions: list[Any], chosen: ByLength | None, lengths: ByLength) -> dict[str, float]:
    """Micro-batches, and the share of padding in the tokens that training reads."""
    batches = [b for b in schedule([[rows] for rows in coalitions], 8, by_length=chosen).batches if b != (NULL_ROW,)]
    read = sum(len(batch) * max(lengths.n_tokens(row) for row in batch) for batch in batches)
    real = sum(lengths.n_tokens(row) for batch in batches for row in batch)
    return {"micro_batches": len(batches), "padding": 1 - real / read}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="a JSON Lines file of instruction or question rows")
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder with a model and its tokenizer")
    parser.add_argument("--coalitions", type=int, default=6)
    parser.add_argument("--size", type=int, default=32, help="rows of a coalition")
    parser.add_argument("--items", type=int, default=16, help="evaluation items")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
