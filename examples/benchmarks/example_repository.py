"""Make the repository in hub_cards/example: a real curation of the demo's pool, as a push would publish it.

    python examples/benchmarks/example_repository.py hub_cards/example --smollm2 DIR --minilm DIR

Takes four minutes on two cores. The folders hold SmolLM2-135M-Instruct and all-MiniLM-L6-v2; without them both come
from the Hub.
"""

import argparse
import shutil
from pathlib import Path

from datasets import Dataset
from sentence_transformers import SentenceTransformer
from trl import SFTConfig

import shed_hf
from shed_hf.demo import pool as demo_pool
from shed_hf.embedding.encoders import SentenceTransformerEncoder
from shed_hf.hub.privacy import SourceAccess, as_published
from shed_hf.hub.publish import write_repository

SMOLLM2, MINILM = "HuggingFaceTB/SmolLM2-135M-Instruct", "sentence-transformers/all-MiniLM-L6-v2"
NAME = "me/everyday-tasks-shed"
CARD = {"language": ["en"], "license": ["cc-by-sa-3.0", "cc-by-sa-4.0", "mit", "apache-2.0"]}
"""What the card of the pool would say; the column ``licence`` says it of every row."""


def main() -> None:
    """Curate, and write the repository."""
    arguments = _arguments()
    rows = demo_pool.damaged(demo_pool.rows("pool"), ("answers shuffled", "words shuffled", "boilerplate"), seed=0)
    dataset = Dataset.from_list(rows)
    dataset.info.dataset_name = "everyday-tasks"
    curated = shed_hf.curate(
        dataset,
        40,
        eval_dataset=Dataset.from_list(demo_pool.rows("dev")[:24]),
        embedder=SentenceTransformerEncoder(MINILM, [SentenceTransformer(arguments.minilm)]),
        clusterer=shed_hf.KMeans(12),
        proxies_per_cluster=4,
        utility=shed_hf.FineTune(arguments.smollm2, args=_training()),
        estimator=shed_hf.LeastSquares(n_coalitions=24),
        sampler="qocs",
        ledger="example_repository.ledger",
    )
    test = demo_pool.spread(demo_pool.rows("test"), 36)
    curated.verify(Dataset.from_list(test), seeds=4, full=False, ledger="example_repository.verdict.ledger")
    folder = Path(arguments.folder)
    for part in ("data", "clusters", "utilities", "shed_hf", "assets"):
        shutil.rmtree(folder / part, ignore_errors=True)
    build_card = write_repository(as_published(curated, excerpts=True), NAME, SourceAccess(True, CARD), folder)
    (folder / "README.md").write_text(build_card(None), encoding="utf-8")
    print(curated)


def _training() -> SFTConfig:
    return SFTConfig(
        output_dir="unused",
        learning_rate=2e-3,
        lr_scheduler_type="constant",
        per_device_train_batch_size=4,
        num_train_epochs=1,
        max_length=512,
        bf16=False,
        activation_checkpointing=False,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--smollm2", default=SMOLLM2)
    parser.add_argument("--minilm", default=MINILM)
    return parser.parse_args()


if __name__ == "__main__":
    main()
