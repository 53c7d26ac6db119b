"""What `ClusterScorer` costs beside a plain `Dataset.map` that finds the nearest centroid of the same vectors.

Rows of made-up words, as those of `scale.py`, are scored twice in turn, in one process: by the scorer, and by a
function that joins the two texts, embeds them, scales the vectors and takes the largest cosine. Two encoders: TF-IDF
with a projection (`Lexical`), and mean vectors of words from a table, about the cheapest that anybody uses. A model
that takes milliseconds a row hides whatever is added to it.

    OMP_NUM_THREADS=1 python examples/benchmarks/scorer_speed.py --rows 20000 --out FILE.json
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, disable_caching, disable_progress_bars, load_from_disk
from numpy.typing import NDArray
from scale import TOPICS, write_pool
from sklearn.cluster import KMeans

from shed_hf import ClusterScorer
from shed_hf.curation.recipe import versions
from shed_hf.data.formats import detect
from shed_hf.embedding.encoders import Encoder, Lexical

FITTED_ON, DIMENSIONS = 2000, 128


@dataclass(frozen=True, eq=False)
class WordVectors:
    """The mean of the vectors of a text's words.

    Attributes:
        lines: Words to lines of ``vectors``.
        vectors: ``(words + 1, d)``; the last is that of every other word, zeros.
    """

    lines: dict[str, int] = field(repr=False)
    vectors: NDArray[np.float32] = field(repr=False)

    def encode(self, sentences: list[str], /) -> NDArray[np.float32]:
        """The vectors ``(n, d)`` of some texts, none of them empty."""
        words = [text.split() for text in sentences]
        counts = np.array([len(of_text) for of_text in words])
        lines = [self.lines.get(word, len(self.lines)) for of_text in words for word in of_text]
        return np.add.reduceat(self.vectors[lines], np.cumsum(counts) - counts) / counts[:, None]


def main() -> None:
    """Score the pool both ways with both encoders, print the ratios, and save them under ``--out``."""
    arguments = _arguments()
    disable_progress_bars()
    disable_caching()
    with tempfile.TemporaryDirectory() as folder:
        write_pool(Path(folder), arguments.rows, DIMENSIONS, seed=0)
        pool = load_from_disk(Path(folder) / "rows")
        texts = _joined(pool[:FITTED_ON])
        encoders = {"lexical": Lexical(DIMENSIONS).fit(texts), "word vectors": _word_vectors(texts)}
        found = {name: _measured(pool, texts, encoder, arguments.repeats) for name, encoder in encoders.items()}
    if arguments.out:
        setting = {"rows": arguments.rows, "clusters": TOPICS, "dimensions": DIMENSIONS, "batch": 1000}
        arguments.out.write_text(json.dumps({"setting": setting, "versions": versions(), "encoders": found}, indent=1))


def _measured(pool: Dataset, texts: list[str], encoder: Encoder, repeats: int) -> dict[str, Any]:
    vectors = np.asarray(encoder.encode(texts), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    clusters = KMeans(TOPICS, n_init=1, random_state=0).fit(vectors)
    values = np.random.default_rng(0).random(TOPICS)
    scorer = ClusterScorer(clusters.cluster_centers_, values, values, encoder, detect(pool.column_names))
    plain = _plain(clusters.cluster_centers_, values, encoder)
    seconds: dict[str, list[float]] = {"plain map": [], "scorer": []}
    for turn in range(repeats):
        ways: list[tuple[str, Callable[..., Any]]] = [("plain map", plain), ("scorer", scorer)]
        for name, function in ways if turn % 2 else reversed(ways):
            begun = time.process_time()
            pool.map(function, batched=True)
            seconds[name].append(time.process_time() - begun)
    ratios = [own / other for own, other in zip(seconds["scorer"], seconds["plain map"], strict=True)]
    found = {
        **{
            f"{name}, microseconds a row": round(statistics.median(taken) / len(pool) * 1e6, 1)
            for name, taken in seconds.items()
        },
        "scorer over plain map": [round(ratio, 3) for ratio in sorted(ratios)],
        "median": round(statistics.median(ratios), 3),
    }
    print(json.dumps(found), flush=True)
    return found


def _plain(
    centroids: NDArray[np.float32], values: NDArray[np.float64], encoder: Encoder
) -> Callable[[dict[str, list[str]]], dict[str, Any]]:
    """A function for `Dataset.map` that gives the nearest cluster, its value and the distance."""
    directions = centroids / np.linalg.norm(centroids, axis=1, keepdims=True)

    def score(batch: dict[str, list[str]]) -> dict[str, Any]:
        vectors = np.asarray(encoder.encode(_joined(batch)), dtype=np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        cosines = vectors @ directions.T
        nearest = cosines.argmax(axis=1)
        return {
            "cluster": nearest,
            "value": values[nearest],
            "stderr": values[nearest],
            "distance": 1 - cosines.max(axis=1),
        }

    return score


def _joined(batch: dict[str, list[str]]) -> list[str]:
    return [f"{a}\n\n{b}" for a, b in zip(batch["instruction"], batch["output"], strict=True)]


def _word_vectors(texts: list[str]) -> WordVectors:
    words = sorted({word for text in texts for word in text.split()})
    vectors = np.random.default_rng(0).normal(size=(len(words) + 1, DIMENSIONS)).astype(np.float32)
    vectors[-1] = 0
    return WordVectors({word: line for line, word in enumerate(words)}, vectors)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="where the figures go, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
