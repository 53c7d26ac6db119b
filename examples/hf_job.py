# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""Curate a dataset as a job on the Hub, on one GPU or several, and go on wherever a job was cut short.

    pip wheel --no-deps --wheel-dir dist . && hf upload me/wheels dist . --repo-type dataset
    hf jobs uv run --flavor a10g-large --timeout 6h --secrets HF_TOKEN \
        --with "shed-hf @ https://huggingface.co/datasets/me/wheels/resolve/main/shed_hf-0.1.0-py3-none-any.whl" \
        examples/hf_job.py databricks/databricks-dolly-15k me/dolly-shed-10pct

shed_hf is not on PyPI yet: the first line builds a wheel from a checkout and puts it where the job can read it, into a
public dataset repository of your own.

The ledger goes to the dataset repository ``--ledger-repo`` every few minutes. A job that finds one there measures
nothing of it again, so that the same command goes on from where the last one ended, on whatever machine.
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path

import torch
from huggingface_hub import CommitScheduler, HfApi, snapshot_download

import shed_hf


def main() -> None:
    arguments = _arguments()
    first = os.environ.get("RANK", "0") == "0"
    folder = Path(arguments.folder)
    repo = arguments.ledger_repo or f"{arguments.target}-ledger"
    with _kept_on_the_hub(repo, folder, arguments.every) if first else contextlib.nullcontext():
        curated = shed_hf.curate(
            arguments.dataset,
            arguments.size,
            model=arguments.model,
            embedder=arguments.embedder,
            budget=arguments.budget,
            ledger=folder / "run.ledger",
        )
    if first:
        print("published as", curated.push_to_hub(arguments.target))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@contextlib.contextmanager
def _kept_on_the_hub(repo: str, folder: Path, every: float):
    """Fetch what earlier jobs measured, then commit what is new every so many minutes and at the end."""
    HfApi().create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
    snapshot_download(repo, repo_type="dataset", local_dir=folder, allow_patterns="run.ledger*")
    scheduler = CommitScheduler(
        repo_id=repo, repo_type="dataset", folder_path=folder, allow_patterns="run.ledger*", every=every
    )
    with scheduler:
        yield


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Curate as a job on the Hub.")
    parser.add_argument("dataset", help="what to curate: a Hub id")
    parser.add_argument("target", help="where to publish, such as me/dolly-shed-10pct")
    parser.add_argument("--ledger-repo", help="where the ledger is kept; the target with -ledger behind it otherwise")
    parser.add_argument("--size", type=float, default=0.1, help="the share of rows to keep")
    parser.add_argument("--model", default="HuggingFaceTB/SmolLM2-135M-Instruct", help="what to fine-tune")
    parser.add_argument("--embedder", default="sentence-transformers/all-MiniLM-L6-v2", help='or "lexical"')
    parser.add_argument("--budget", default=None, help='the most fine-tunings, or a time such as "4h"')
    parser.add_argument("--every", type=float, default=5, help="minutes between two commits of the ledger")
    parser.add_argument("--folder", default="shed_ledger", help="where the ledger is on the job's disk")
    arguments = parser.parse_args()
    if arguments.budget is not None and arguments.budget.isdigit():
        arguments.budget = int(arguments.budget)
    return arguments


if __name__ == "__main__":
    if torch.cuda.device_count() > 1 and "RANK" not in os.environ:  # a rank for every GPU
        ranks = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(torch.cuda.device_count())]
        os.execv(sys.executable, [sys.executable, *ranks, *sys.argv])
    main()
