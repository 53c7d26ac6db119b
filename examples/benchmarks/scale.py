"""What a large pool costs: seconds and peak memory of a whole `curate`, beside reading, k-means and `Dataset.select`.

Rows of made-up words about 64 topics are written to a folder, with a matrix of embeddings near each topic's, as
sentence-transformers would make them. Two processes then begin with both files: one calls `curate` with the matrix and
a callable utility, and keeps a tenth; the other does by hand what any clustering of the pool takes: it reads all texts,
scales the vectors, runs scikit-learn's k-means with as many clusters and runs, and selects as many rows. Memory is the
operating system's peak of each process, its memory-mapped files counted. Every repeat measures the ways in turn, and
its ratio is that of its own figures; the ratios are told in order. Up to 20,000 rows there are four runs of k-means on
both sides; by hand with a single run, which is what scikit-learn does unless told, is timed too. A check of stability
is what `curate` does some times while it measures, to end early where the choice would stay the same. `Extrapolated`
chooses by the same matrix and a made-up signal of 4,000 rows for 64 items, without a model that measures it.

    OMP_NUM_THREADS=1 python examples/benchmarks/scale.py --rows 10000 100000 --repeats 5 --out FILE.json
    OMP_NUM_THREADS=1 python examples/benchmarks/scale.py --rows 1000000 --alone --most-gib 8
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets, disable_progress_bars, load_from_disk
from numpy.typing import NDArray

TOPICS, WORDS, ITEMS, SHARE, CHUNK = 64, 64 * 300, 64, 0.1, 50_000
FOUR_RUNS = 20_000
"""The most rows of which `KMeans` makes four runs unless told."""


def main() -> None:
    """Measure every size in processes of its own, print a line for each, save all under ``--out``."""
    arguments = _arguments()
    if arguments.part:
        print(json.dumps(PARTS[arguments.part](arguments.folder)))
        return
    lines = [_measured(n_rows, arguments) for n_rows in arguments.rows]
    if arguments.out:
        from shed_hf.curation.recipe import versions

        setting = {"dimensions": arguments.dimensions, "clusters": TOPICS, "share kept": SHARE, "seed": arguments.seed}
        arguments.out.write_text(json.dumps({"setting": setting, "versions": versions(), "sizes": lines}, indent=1))
    peak = max(line["curate"]["peak GiB"] for line in lines)
    if arguments.most_gib and peak > arguments.most_gib:
        raise SystemExit(f"curate took {peak} GiB at its peak, more than --most-gib {arguments.most_gib}")


def _measured(n_rows: int, arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="scale_") as folder:
        write_pool(Path(folder), n_rows, arguments.dimensions, arguments.seed)
        parts = (
            ["curate"] if arguments.alone else ["curate", "by hand", *(["by hand, one run"] * (n_rows <= FOUR_RUNS))]
        )
        repeats = [{part: _in_a_process(part, folder) for part in parts} for _ in range(arguments.repeats)]
        checks, chosen = _in_a_process("checks", folder), _in_a_process("extrapolated", folder)
    line = {"rows": n_rows, **{part: _middle([repeat[part] for repeat in repeats]) for part in parts}}
    for part in parts[1:]:
        ratios = [repeat["curate"]["CPU seconds"] / repeat[part]["CPU seconds"] for repeat in repeats]
        line[f"curate over {part}, CPU seconds"] = [round(ratio, 2) for ratio in sorted(ratios)]
    line |= {"a check of stability, CPU seconds": checks, "rows chosen by Extrapolated": chosen}
    print(json.dumps(line), flush=True)
    return line


def _middle(repeats: list[dict[str, float]]) -> dict[str, float]:
    """The repeat of median CPU seconds, the lower one of two."""
    return sorted(repeats, key=lambda repeat: repeat["CPU seconds"])[(len(repeats) - 1) // 2]


def _in_a_process(part: str, folder: str) -> Any:
    command = [sys.executable, __file__, "--part", part, "--folder", folder]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(printed.splitlines()[-1])


def write_pool(folder: Path, n_rows: int, dimensions: int, seed: int) -> None:
    """Write rows and their embeddings.

    Args:
        folder: Where to.
        n_rows: How many.
        dimensions: Of an embedding.
        seed: Of all random numbers.
    """
    rng = np.random.default_rng(seed)
    words = np.array(["".join(rng.choice(list("abcdefghijklmnop"), rng.integers(2, 9))) for _ in range(WORDS)])
    centres = rng.normal(size=(TOPICS, dimensions))
    matrix = np.lib.format.open_memmap(folder / "matrix.npy", "w+", np.float32, (n_rows, dimensions))
    parts = []
    for start in range(0, n_rows, CHUNK):
        topics = rng.integers(TOPICS, size=min(CHUNK, n_rows - start))
        matrix[start : start + len(topics)] = centres[topics] + 0.7 * rng.normal(size=(len(topics), dimensions))
        parts.append(Dataset.from_dict({"topic": topics.tolist(), **_texts(topics, words, rng)}))
    matrix.flush()
    concatenate_datasets(parts).save_to_disk(folder / "rows")


def _texts(topics: NDArray[np.int64], words: NDArray[Any], rng: np.random.Generator) -> dict[str, list[str]]:
    """Texts of about 12 and 50 words, half of them those of the row's topic."""
    own = words.reshape(TOPICS, -1)
    columns: dict[str, list[str]] = {}
    for name, mean in (("instruction", 12), ("output", 50)):
        lengths = 2 + rng.poisson(mean - 2, size=len(topics))
        drawn = words[rng.integers(WORDS, size=int(lengths.sum()))]
        of_topic = own[np.repeat(topics, lengths), rng.integers(own.shape[1], size=len(drawn))]
        mixed = np.where(rng.random(len(drawn)) < 0.5, drawn, of_topic)
        columns[name] = [" ".join(part) for part in np.split(mixed, np.cumsum(lengths)[:-1])]
    return columns


class Needed:
    """A utility that needs no training: an item asks for rows of one topic, the more the better, some topics more.

    Args:
        topics: ``(n_rows,)`` the topic of every row.
    """

    def __init__(self, topics: Sequence[int]) -> None:
        self.topics = np.asarray(topics)
        self.weights = np.random.default_rng(1).random(TOPICS)

    def __call__(self, row_sets: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
        """The outcomes of some row sets ``(m, n_items)``."""
        counts = np.stack([np.bincount(self.topics[rows], minlength=TOPICS) for rows in row_sets])
        return self.weights * (1 - np.exp(-counts / 4))[:, np.arange(ITEMS) % TOPICS]


def by_curate(folder: Path) -> dict[str, float]:
    """Curate the pool in a folder, and what it took."""
    from shed_hf import KMeans, curate

    def work() -> int:
        pool, matrix = load_from_disk(folder / "rows"), np.load(folder / "matrix.npy", mmap_mode="r")
        needed = Needed(pool["topic"][:])
        return len(curate(pool, SHARE, utility=needed, embedder=matrix, clusterer=KMeans(TOPICS), sampler="qocs"))

    return _costs(work)


def by_hand(folder: Path, n_runs: int | None = None) -> dict[str, float]:
    """Read, cluster and select the pool in a folder without shed_hf, and what it took; by as many runs as `curate`."""
    from sklearn.cluster import KMeans

    def work() -> int:
        pool, matrix = load_from_disk(folder / "rows"), np.load(folder / "matrix.npy")
        chunks = [pool[start : start + 1000] for start in range(0, len(pool), 1000)]
        texts = [a + b for chunk in chunks for a, b in zip(chunk["instruction"], chunk["output"], strict=True)]
        matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
        runs = n_runs or (4 if len(texts) <= FOUR_RUNS else 1)
        labels = KMeans(TOPICS, n_init=runs, random_state=0).fit_predict(matrix)
        rows = np.sort(np.argsort(labels, kind="stable")[: round(SHARE * len(labels))])
        return len(pool.select(rows).add_column("cluster", labels[rows].tolist()))

    return _costs(work)


def checks(folder: Path) -> dict[str, float]:
    """How long it takes to see how much of a tenth of the pool would stay, for clusters of the topics' sizes."""
    from shed_hf import QOCS, QWCS
    from shed_hf.sampling.stability import StableSelection

    sizes = np.bincount(load_from_disk(folder / "rows")["topic"][:], minlength=TOPICS)
    mean, covariance = np.random.default_rng(0).normal(size=TOPICS), np.eye(TOPICS) / 20
    taken = {}
    for sampler in (QOCS(), QWCS(), QWCS(by_size=False)):
        begun = time.process_time()
        StableSelection(sampler, sizes, round(SHARE * sizes.sum())).overlap(mean, covariance)
        taken[repr(sampler)] = round(time.process_time() - begun, 3)
    return taken


def by_extrapolation(folder: Path) -> dict[str, float]:
    """Let `Extrapolated` choose by the matrix in a folder, and what it took; no model reads the sample."""
    from shed_hf import Extrapolated
    from shed_hf.sampling.selectors import RowSignals, select_rows

    rng = np.random.default_rng(2)

    def work() -> int:
        matrix = np.load(folder / "matrix.npy", mmap_mode="r")
        items = rng.normal(size=(matrix.shape[1], ITEMS)).astype(np.float32)

        def nearness(places: NDArray[np.int64]) -> NDArray[np.float64]:
            return np.tanh(matrix[places] @ items / np.sqrt(len(items))) + 0.1 * rng.normal(size=(len(places), ITEMS))

        signals = RowSignals(rows=np.arange(len(matrix)), embeddings=matrix, nearness_of=nearness)
        return len(select_rows(Extrapolated(), signals, round(SHARE * len(matrix)), rng).places)

    return _costs(work)


PARTS: dict[str, Callable[[Path], dict[str, float]]] = {
    "curate": by_curate,
    "by hand": by_hand,
    "by hand, one run": partial(by_hand, n_runs=1),
    "checks": checks,
    "extrapolated": by_extrapolation,
}


def _costs(work: Callable[[], int]) -> dict[str, float]:
    disable_progress_bars()
    wall, cpu = time.perf_counter(), time.process_time()
    kept = work()
    return {
        "CPU seconds": round(time.process_time() - cpu, 2),
        "seconds": round(time.perf_counter() - wall, 1),
        "peak GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "rows kept": kept,
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--most-gib", type=float, help="fail where curate takes more memory at its peak")
    parser.add_argument("--alone", action="store_true", help="measure curate alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the pool is written for a while; a temporary folder else")
    parser.add_argument("--out", type=Path, help="where the figures go, as JSON")
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
