"""How many rows a second datatrove's steps take on one worker and on two.

The rows of a file are written to eight shards. One run embeds them, writes them with their vectors and draws a sample;
clusters of the sample are given values at random, since no game is timed here; another run scores all rows, keeps a
share of each cluster and writes those. Both are datatrove's local executor, a task a shard, on one worker, which is
this process, and on two, which are started for it. CPU seconds are those of all processes, their start counted.
Without --embedder vectors cost next to nothing, and the rate is that of reading, drawing and writing.

    OMP_NUM_THREADS=1 python examples/benchmarks/datatrove_rate.py ROWS.jsonl --copies 10
    OMP_NUM_THREADS=1 python examples/benchmarks/datatrove_rate.py ROWS.jsonl --embedder MODEL --out FILE.json
"""

import argparse
import json
import os
import resource
import tempfile
import time
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, disable_progress_bars
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from shed_hf import ClusterScorer, KMeans
from shed_hf.clustering.clusterers import cluster
from shed_hf.curation.recipe import versions
from shed_hf.datatrove import Embed, Keep, RowReader, RowWriter, Sample, Score, read_sample
from shed_hf.distributed.launch import hardware

SHARDS, SAMPLE, CLUSTERS, SHARE = 8, 2000, 64, 0.1


class Letters:
    """Vectors of 384 dimensions that cost next to nothing: how often each byte occurs."""

    def encode(self, texts: list[str]) -> Any:
        """Embed some texts ``(n, 384)``."""
        return np.stack([np.bincount(np.frombuffer(text.encode(), np.uint8), minlength=384) for text in texts])


def main() -> None:
    """Measure one worker and two, print both, save them under ``--out``."""
    arguments = _arguments()
    disable_progress_bars()
    rows = Dataset.from_json(str(arguments.rows)).to_list() * arguments.copies
    encoder = arguments.embedder or Letters()
    with tempfile.TemporaryDirectory(prefix="datatrove_rate_") as folder:
        for number in range(SHARDS):
            (Path(folder) / "pool").mkdir(exist_ok=True)
            Dataset.from_list(rows[number::SHARDS]).to_parquet(f"{folder}/pool/{number}.parquet")
        lines = [_measured(Path(folder), encoder, workers) for workers in (1, 2)]
    setting = {"rows": len(rows), "shards": SHARDS, "embedder": Path(arguments.embedder or "bytes").name}
    found = {"setting": setting, "device": hardware(), "cores": os.cpu_count(), "date": date.today().isoformat()}
    found |= {"load before": round(arguments.load, 1), "load after": round(os.getloadavg()[0], 1)}
    found |= {"versions": versions(), "runs": lines}
    print(json.dumps(found["runs"], indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1))


def _measured(folder: Path, encoder: Any, workers: int) -> dict[str, Any]:
    own = folder / str(workers)
    reader = RowReader(str(folder / "pool"))
    writers = [RowWriter(str(own / name), reader) for name in ("embedded", "sample")]
    embedding = [reader, Embed(encoder), writers[0], Sample(reader, SAMPLE), writers[1]]
    embed = _run(embedding, own / "embed", workers, reader.shards.n_rows)
    scorer = _scorer(own / "sample", None if isinstance(encoder, str) else encoder)
    reader = RowReader(str(own / "embedded"))
    shares = dict.fromkeys(range(CLUSTERS), SHARE)
    keeping = [reader, Score(scorer), Keep(shares), RowWriter(str(own / "kept"), reader)]
    return {"workers": workers, "embed": embed, "keep": _run(keeping, own / "keep", workers, reader.shards.n_rows)}


def _scorer(folder: Path, encoder: Any) -> ClusterScorer:
    sample = read_sample(folder, encoder=encoder)
    rng = np.random.default_rng(0)
    found = cluster(sample.embedder.vectors, KMeans(CLUSTERS), rng)
    values = rng.normal(size=found.n_clusters)
    return ClusterScorer(found.centroids, values, np.ones(len(values)), sample.embedder.encoder, sample.format)


def _run(steps: list[PipelineStep], logs: Path, workers: int, n_rows: int) -> dict[str, float]:
    begun, cpu = time.monotonic(), _cpu_seconds()
    executor = LocalPipelineExecutor(
        steps, tasks=SHARDS, workers=workers, logging_dir=str(logs), start_method="spawn"
    )  # whose workers are children of this process, so that their CPU seconds are counted
    executor.run()
    whole, cpu = time.monotonic() - begun, _cpu_seconds() - cpu
    starts = [datetime.fromisoformat(path.read_text()[:23]).timestamp() for path in (logs / "logs").iterdir()]
    ends = [path.stat().st_mtime for path in (logs / "completions").iterdir()]
    working = max(ends) - min(starts)
    return {
        "seconds": round(whole, 2),
        "seconds from the first task on": round(working, 2),
        "rows a second": round(n_rows / working),
        "CPU seconds": round(cpu, 2),
    }


def _cpu_seconds() -> float:
    """What this process and its children that ended have taken."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="a .jsonl file of instruction data")
    parser.add_argument("--copies", type=int, default=1, help="how often its rows are repeated")
    parser.add_argument("--embedder", help="the name or path of a sentence-transformers model")
    parser.add_argument("--out", type=Path, help="a file to save to")
    parser.set_defaults(load=os.getloadavg()[0])
    return parser.parse_args()


if __name__ == "__main__":
    main()
