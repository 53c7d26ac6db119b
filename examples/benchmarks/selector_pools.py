"""Makes the pools of `compare_selectors.py`: rows, items to choose by, items to judge by, and their embeddings.

    python examples/benchmarks/selector_pools.py --data DIR --embedder DIR --out FOLDER

Each pool is a folder with ``pool.jsonl``, ``eval.jsonl``, ``test.jsonl`` and ``embeddings.npy`` (a line for every row
of the pool, then one for every item of ``eval``, then of ``test``), so that a machine without a network or an embedder
can go on:

- ``arc`` and ``csqa``: as many short rows of each of seven public sources, for ARC-easy and for CommonsenseQA;
- ``dolly``: short rows of Dolly for other rows of Dolly, a target like the pool itself;
- ``damaged``: the pool of `end_to_end.py`, 40 % of every source with the answer of another row, for CommonsenseQA.

``--data`` holds the files that `end_to_end.py` names, `arc_easy_val.jsonl` and `csqa_dev.jsonl`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, disable_progress_bars

from shed_hf.data.evaluation_items import EvaluationItems, items_from
from shed_hf.data.pool import Pool, read_pool
from shed_hf.embedding.encoders import SentenceTransformerEncoder

SOURCES = (
    "csqa_train", "arc_easy_train", "openbookqa_train", "dolly_3k", "gpteacher_codegen", "gsm8k_train",
    "alpaca_random9k",
)  # fmt: skip
COLUMNS = ("instruction", "input", "output")
SHORT = (20, 230)
"""How many characters a row has, between."""

Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    """The rows of a JSONL file."""
    with path.open(encoding="utf-8") as file:  # splitlines() would break at separators inside strings
        return [json.loads(line) for line in file]


def bound(pool_rows: list[Row], eval_rows: list[Row]) -> tuple[Pool, EvaluationItems]:
    """Rows and items as `curate` reads them; only the columns that hold text are read of the pool."""
    pool = read_pool(Dataset.from_list([{name: row[name] for name in COLUMNS} for row in pool_rows]))
    items = items_from(Dataset.from_list(eval_rows), pool, None, False, np.random.default_rng(0))
    return pool.with_preambles(items.preambles), items


def texts_to_embed(pool: Pool, items: EvaluationItems) -> list[str]:
    """The texts of all rows, then of all items, in the order of ``embeddings.npy``."""
    return [*pool.texts(np.arange(len(pool))), *texts_of(pool, items)]


def texts_of(pool: Pool, items: EvaluationItems) -> list[str]:
    """The texts of items."""
    return [pool.format.text_of(item) for item in items.examples]


def mixture(data: Path, n_rows: int, damage: float, seed: int) -> list[Row]:
    """As many short rows of every source, a share of each with the answer of another of its rows."""
    rng = np.random.default_rng(seed)
    pool: list[Row] = []
    for source in SOURCES:
        rows = [_as_instruction(row) for row in read(data / f"{source}.jsonl")]
        short = [row for row in rows if _is_short(row)]
        few = [short[place] for place in rng.permutation(len(short))[: n_rows // len(SOURCES)]]
        hurt = rng.permutation(len(few))[: int(damage * len(few))]
        moved = dict(zip(hurt.tolist(), [few[place]["output"] for place in np.roll(hurt, 1)], strict=True))
        pool += [
            row | {"output": moved.get(place, row["output"]), "source": source, "damaged": place in moved}
            for place, row in enumerate(few)
        ]
    return [pool[place] for place in rng.permutation(len(pool))]


def questions(path: Path, n_eval: int, n_test: int) -> tuple[list[Row], list[Row]]:
    """Short multiple-choice items: some to choose by, others to judge by."""
    rows = [row for row in read(path) if len(row["question"]) < 130]
    items = [{name: row[name] for name in ("question", "choices", "answer")} for row in rows]
    picked = np.random.default_rng(7).permutation(len(items))[: n_eval + n_test]
    return [items[place] for place in picked[:n_eval]], [items[place] for place in picked[n_eval:]]


def dolly(data: Path, n_rows: int, n_eval: int, n_test: int, seed: int) -> tuple[list[Row], list[Row], list[Row]]:
    """Short rows of Dolly: to choose from, to choose by, to judge by."""
    rows = [_as_instruction(row) | {"source": "dolly_3k", "damaged": False} for row in read(data / "dolly_3k.jsonl")]
    short = [row for row in rows if _is_short(row)]
    picked = [short[place] for place in np.random.default_rng(seed).permutation(len(short))]
    items = [{name: row[name] for name in COLUMNS} for row in picked[n_rows : n_rows + n_eval + n_test]]
    return picked[:n_rows], items[:n_eval], items[n_eval:]


def main() -> None:
    """Make every pool that is asked for."""
    arguments = _arguments()
    disable_progress_bars()
    encoder = SentenceTransformerEncoder(str(arguments.embedder))
    sizes = arguments.eval_items, arguments.test_items
    made = {
        "arc": lambda: (mixture(arguments.data, arguments.rows, 0.0, arguments.seed),
                        *questions(arguments.data / "arc_easy_val.jsonl", *sizes)),
        "csqa": lambda: (mixture(arguments.data, arguments.rows, 0.0, arguments.seed),
                         *questions(arguments.data / "csqa_dev.jsonl", *sizes)),
        "dolly": lambda: dolly(arguments.data, arguments.rows, *sizes, arguments.seed),
        "damaged": lambda: (mixture(arguments.data, arguments.damaged_rows, arguments.damage, arguments.seed),
                            *questions(arguments.data / "csqa_dev.jsonl", *sizes)),
    }  # fmt: skip
    for name in arguments.pools:
        folder = arguments.out / name
        folder.mkdir(parents=True, exist_ok=True)
        pool_rows, eval_rows, test_rows = made[name]()
        pool, items = bound(pool_rows, eval_rows)
        _, tests = bound(pool_rows, test_rows)
        np.save(folder / "embeddings.npy", encoder.encode(texts_to_embed(pool, items) + texts_of(pool, tests)))
        for part, rows in (("pool", pool_rows), ("eval", eval_rows), ("test", test_rows)):
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (folder / f"{part}.jsonl").write_text(lines, encoding="utf-8")
        print(f"{folder}: {len(pool_rows)} rows, {len(eval_rows)} items to choose by, {len(test_rows)} to judge by")


def _is_short(row: Row) -> bool:
    return bool(row["output"].strip()) and SHORT[0] < sum(len(row[name]) for name in COLUMNS) < SHORT[1]


def _as_instruction(row: Row) -> Row:
    if "question" not in row:
        return {name: str(row.get(name) or "") for name in COLUMNS}
    answer = row["choices"][row["answer"]] if "choices" in row else row["answer"]
    return {"instruction": row["question"], "input": "", "output": str(answer)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--embedder", type=Path, required=True, help="a folder with a sentence-transformers model")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pools", nargs="+", default=["arc", "csqa", "dolly", "damaged"])
    parser.add_argument("--rows", type=int, default=490)
    parser.add_argument("--damaged-rows", type=int, default=840)
    parser.add_argument("--damage", type=float, default=0.4)
    parser.add_argument("--eval-items", type=int, default=40)
    parser.add_argument("--test-items", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
