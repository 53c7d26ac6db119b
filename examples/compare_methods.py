"""Compare ways to choose rows of a dataset: the same tuning on what each chooses, measured on items none chose by.

python examples/compare_methods.py pool.jsonl --eval-dataset dev.jsonl --test-dataset test.jsonl
"""

import argparse
from typing import Any

import numpy as np

import shed_hf

parser = argparse.ArgumentParser(description="Compare ways to choose rows.")
parser.add_argument("dataset", help="what to choose from: a Hub id or a file")
parser.add_argument("--eval-dataset", help="what methods choose by")
parser.add_argument("--test-dataset", required=True, help="what they are compared on")
parser.add_argument("--model", default="HuggingFaceTB/SmolLM2-135M-Instruct", help="what to fine-tune")
parser.add_argument("--embedder", default="sentence-transformers/all-MiniLM-L6-v2", help="what embeds rows")
parser.add_argument("--sizes", nargs="+", type=float, default=[0.02, 0.05, 0.1], help="shares of the dataset")
parser.add_argument("--seeds", type=int, default=5, help="how many times every choice is tuned on")
parser.add_argument("--budget", type=int, default=None, help="the most fine-tunings of the game")
parser.add_argument("--picture", default="comparison.png", help="where the picture is drawn")
args = parser.parse_args()


def shortest(rows: Any, size: int, _rng: np.random.Generator) -> np.ndarray:
    """A way of one's own: the rows with the fewest characters."""
    return np.argsort([len(str(row)) for row in rows], kind="stable")[:size]


comparison = shed_hf.compare(
    args.dataset, test_dataset=args.test_dataset, eval_dataset=args.eval_dataset, sizes=args.sizes,
    methods=["shed", "retrieval", "dsir", shortest], models=[args.model], seeds=args.seeds,
    embedder=args.embedder, budget=args.budget, ledger="comparison.ledger",
)  # fmt: skip
print(comparison)
comparison.plot(args.picture)
