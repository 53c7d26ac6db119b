"""What reading a pool costs: CPU seconds a row of `read_pool`, by format, the first time and once more.

Rows are those of a JSONL file of instructions and answers, repeated, in each layout, saved by ``save_to_disk``. Reading
again finds what was kept by the content of the rows. Beside both stands a loop by hand that knows nothing of formats:
Arrow's cells as Python texts, and two BLAKE2 digests of as many bytes as a row has, one of what the model is shown and
one of its folded text. The best of ``--runs`` is told.

    OMP_NUM_THREADS=1 python examples/benchmarks/read_speed.py --rows-of FILE.jsonl --out FILE.json
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datasets
from datasets import Dataset

from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import read_pool

LAYOUTS: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "instruction + output": lambda asked, said: {"instruction": asked, "input": "", "output": said},
    "with a system prompt": lambda asked, said: {"system": "Be brief.", "instruction": asked, "output": said},
    "prompt + completion": lambda asked, said: {"prompt": asked, "completion": said},
    "question + answer": lambda asked, said: {"question": asked, "answer": said},
    "text": lambda asked, said: {"text": f"{asked}\n{said}"},
    "messages": lambda asked, said: {"messages": messages(asked, said)},
    "messages, four turns": lambda asked, said: {"messages": messages(asked, said) * 2},
    "ShareGPT": lambda asked, said: {
        "conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": said}]
    },
    "prompt + completion as messages": lambda asked, said: {
        "prompt": messages(asked, said)[:1],
        "completion": messages(asked, said)[1:],
    },
    "question + choices + answer": lambda asked, said: {"question": asked, "choices": [said, asked], "answer": said},
}


def messages(asked: str, said: str) -> list[dict[str, str]]:
    """A question and its answer as OpenAI writes them."""
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]


def main() -> None:
    """Print a line for each layout, and save all under ``--out``."""
    arguments = _arguments()
    datasets.disable_progress_bars()
    rows = [json.loads(line) for line in arguments.rows_of.read_text().strip().split("\n")]
    texts = [(row["instruction"], row["output"]) for row in rows]
    pairs = [pair for pair in texts if all(text.strip() for text in pair)]
    pairs = (pairs * (arguments.rows // len(pairs) + 1))[: arguments.rows]
    lines = []
    for name, layout in LAYOUTS.items():
        with TemporaryDirectory() as folder:
            line = {"layout": name} | measured([layout(*pair) for pair in pairs], Path(folder), arguments)
        print(json.dumps(line), flush=True)
        lines.append(line)
    if arguments.out:
        setting = {
            "rows": arguments.rows,
            "characters a row": round(sum(len(asked) + len(said) for asked, said in pairs) / len(pairs)),
        }
        found = {"setting": setting, "device": device(), "versions": versions(), "microseconds of CPU a row": lines}
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")


def measured(rows: list[dict[str, Any]], folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Microseconds of CPU a row of each way to read the rows."""
    Dataset.from_list(rows).save_to_disk(folder / "rows")
    dataset = datasets.load_from_disk(folder / "rows")
    datasets.config.HF_DATASETS_CACHE = folder / "cache"
    datasets.disable_caching()
    found = {"read_pool": best(partial(read_pool, dataset), arguments)}
    datasets.enable_caching()
    read_pool(dataset)
    found["again"] = best(partial(read_pool, dataset), arguments)
    return found | {"by hand": best(partial(by_hand, dataset), arguments)}


def by_hand(dataset: Dataset) -> None:
    """Cells as texts, and two digests of their bytes."""
    columns = [column.combine_chunks().to_pylist() for column in dataset.with_format("arrow")[:].columns]
    for cells in zip(*columns, strict=True):
        written = str(cells).encode("utf-8", "surrogatepass")
        hashlib.blake2b(written, digest_size=16).digest()
        hashlib.blake2b(written, digest_size=16).digest()


def best(work: Callable[[], Any], arguments: argparse.Namespace) -> float:
    """Microseconds of CPU a row, of the quickest run."""
    taken = []
    for _ in range(arguments.runs):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return round(min(taken) / arguments.rows * 1e6, 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows-of", type=Path, required=True, help="a JSONL file with instruction and output")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--out", type=Path, help="where the figures go, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
