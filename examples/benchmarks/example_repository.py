"""Make the repository in hub_cards/example: a real curation of the demo's pool, as a push would publish it.

    python examples/benchmarks/example_repository.py hub_cards/example --minilm DIR

Run it in the root of a checkout; it takes a few minutes of one core. The model is the small one that comes with
shed_hf. The folder holds all-MiniLM-L6-v2; without it that comes from the Hub.

The task: a model that answers everyday questions in JSON, from a pool that is about other things too and has bad
answers among those. Another task was tried first, all nine topics at once with 60 of the rows: those were not shown to
be better than random ones. The seed was the same, and no other was tried.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from trl import SFTConfig

import shed_hf
from shed_hf.demo import pool as demo_pool
from shed_hf.embedding.encoders import SentenceTransformerEncoder
from shed_hf.hub.privacy import SourceAccess, as_published
from shed_hf.hub.publish import write_repository

MODEL, MINILM = "small", "sentence-transformers/all-MiniLM-L6-v2"
NAME = "me/everyday-tasks-shed"
CARD = {"language": ["en"], "license": ["cc-by-sa-3.0", "cc-by-sa-4.0", "mit", "apache-2.0"]}
"""What the card of the pool would say; the column ``licence`` says it of every row."""

WANTED = ("animals", "cooking", "geography", "music", "sports")
"""The topics of the questions that the model is to answer: of the evaluation items and of the test items."""

DAMAGE = {
    "programming": "boilerplate",
    "shell": "words shuffled",
    "science": "plain text",
    "arithmetic": "answers shuffled",
}
"""What was done to the answers of the other topics, and is not told to the curation."""

ROWS_KEPT, SEED = 80, 0


def main() -> None:
    """Curate, verify, and write the repository."""
    arguments = _arguments()
    curated = shed_hf.curate(
        _pool(),
        ROWS_KEPT,
        eval_dataset=_items("dev"),
        embedder=SentenceTransformerEncoder(MINILM, [SentenceTransformer(arguments.minilm)]),
        clusterer=shed_hf.KMeans(12),
        proxies_per_cluster=6,
        utility=shed_hf.FineTune(MODEL, args=_training()),
        budget=40,
        sampler="qocs",
        seed=SEED,
    )
    curated.verify(_items("test"), seeds=6, draws=12)
    print(curated)
    _write(curated, Path(arguments.folder))


def _pool() -> Dataset:
    """324 rows whose answers are JSON objects, those of four topics damaged."""
    sound = demo_pool.as_json(demo_pool.rows("pool"))
    dataset = Dataset.from_list(demo_pool.damage(sound, DAMAGE, np.random.default_rng(SEED)))
    dataset.info.dataset_name = "everyday-tasks"
    return dataset


def _items(split: str) -> Dataset:
    wanted = [row for row in demo_pool.rows(split) if row["topic"] in WANTED]
    return Dataset.from_list(demo_pool.as_json(wanted))


def _write(curated: shed_hf.CuratedDataset, folder: Path) -> None:
    for part in ("data", "clusters", "utilities", "shed_hf", "assets"):
        shutil.rmtree(folder / part, ignore_errors=True)
    build_card = write_repository(as_published(curated, excerpts=True), NAME, SourceAccess(True, CARD), folder)
    (folder / "README.md").write_text(build_card(None), encoding="utf-8")


def _training() -> SFTConfig:
    return SFTConfig(
        output_dir="unused",
        learning_rate=3e-3,
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
    parser.add_argument("--minilm", default=MINILM)
    return parser.parse_args()


if __name__ == "__main__":
    main()
