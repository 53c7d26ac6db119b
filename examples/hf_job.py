# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""Curate as a job on the Hub, on one GPU or several; `examples/README.md` says how to start it, and how it goes on."""

import argparse
import os
import sys
from contextlib import nullcontext

import torch
from huggingface_hub import CommitScheduler, HfApi, snapshot_download

import shed_hf

parser = argparse.ArgumentParser(description="Curate as a job on the Hub.")
parser.add_argument("dataset", help="what to curate: a Hub id")
parser.add_argument("target", help="where to publish, such as me/dolly-shed-10pct; the ledger goes to …-ledger")
parser.add_argument("--model", default="HuggingFaceTB/SmolLM2-135M-Instruct", help="what to fine-tune")
parser.add_argument("--embedder", default="sentence-transformers/all-MiniLM-L6-v2", help='or "lexical"')
parser.add_argument("--budget", default=None, help='the most fine-tunings, or a time such as "4h"')
parser.add_argument("--every", type=float, default=5, help="minutes between two commits of the ledger")
args = parser.parse_args()
if torch.cuda.device_count() > 1 and "RANK" not in os.environ:  # a rank for every GPU
    ranks = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(torch.cuda.device_count())]
    os.execv(sys.executable, [sys.executable, *ranks, *sys.argv])
first = os.environ.get("RANK", "0") == "0"
ledger = {"repo_id": f"{args.target}-ledger", "repo_type": "dataset", "allow_patterns": "run.ledger*"}
if first:
    HfApi().create_repo(ledger["repo_id"], repo_type="dataset", private=True, exist_ok=True)
    snapshot_download(**ledger, local_dir="shed_ledger")
budget = int(args.budget) if str(args.budget).isdigit() else args.budget
settings = {"embedder": args.embedder, "budget": budget, "ledger": "shed_ledger/run.ledger"}
with CommitScheduler(**ledger, folder_path="shed_ledger", every=args.every) if first else nullcontext():
    curated = shed_hf.curate(args.dataset, "10%", model=args.model, **settings)
if first:
    print("published as", curated.push_to_hub(args.target))
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
