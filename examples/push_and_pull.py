"""Curate a dataset, publish it, pull it again, and take another subset of it without a fine-tuning.

Needs a login (`hf auth login`) and, for Dolly, an hour or two without a GPU:

    python examples/push_and_pull.py me/dolly-shed-10pct
    python examples/push_and_pull.py me/small-shed --dataset rows.jsonl --embedder lexical --size 40
"""

import argparse

from datasets import load_dataset

import shed_hf

parser = argparse.ArgumentParser(description="Curate, publish, pull, resample.")
parser.add_argument("repo", help="where to publish, such as me/dolly-shed-10pct")
parser.add_argument("--dataset", default="databricks/databricks-dolly-15k", help="a Hub id, a folder or a file")
parser.add_argument("--model", default="HuggingFaceTB/SmolLM2-135M-Instruct", help="what to fine-tune")
parser.add_argument("--embedder", default="sentence-transformers/all-MiniLM-L6-v2", help='or "lexical"')
parser.add_argument("--size", type=int, default=1500, help="how many rows to keep")
args = parser.parse_args()

curated = shed_hf.curate(args.dataset, args.size, model=args.model, embedder=args.embedder, ledger="push.ledger")
print("published as", curated.push_to_hub(args.repo))

# Anyone: the rows, the clusters, every measured utility. No shed_hf needed.
rows = load_dataset(args.repo, split="train")
clusters = load_dataset(args.repo, "clusters", split="train")
utilities = load_dataset(args.repo, "utilities", split="train")
print(len(rows), "rows;", len(clusters), "clusters;", len(utilities), "utilities")

# With shed_hf: other subsets and other values from the same outcomes.
again = shed_hf.CuratedDataset.from_hub(args.repo, source=args.dataset)
half = again.resample(size=args.size // 2, sampler="qwcs")
banzhaf = again.reestimate("banzhaf")
print("half as many rows:", len(half))
print("in both choices:", len(set(again.rows.tolist()) & set(banzhaf.rows.tolist())), "of", len(again))
