"""Keep a tenth of a pool that outgrows one machine, on a Ray cluster; the game is played where this script runs.

pip install 'ray[default]'
python examples/pool_on_ray.py /shared/pool /shared/work     # the rows are in work/kept; started again, it goes on
"""

import argparse

import ray
from datatrove.executor.ray import RayPipelineExecutor

import shed_hf
from shed_hf.datatrove import Embed, Keep, RowReader, RowWriter, Sample, Score, read_sample, shares_of

parser = argparse.ArgumentParser(description="Keep a tenth of a large pool, on Ray.")
parser.add_argument("pool", help="the folder of its Parquet shards")
parser.add_argument("work", help="a folder that all nodes see")
parser.add_argument("--tasks", type=int, default=64, help="as many as there are shards, or fewer")
parser.add_argument("--workers", type=int, default=8, help="how many tasks run at a time")
parser.add_argument("--gpus", type=float, default=1, help="how many GPUs a worker takes to embed with; 0 for none")
parser.add_argument("--address", help="the cluster's; by default the one that is at hand, or this machine")
parser.add_argument("--embedder", default="sentence-transformers/all-MiniLM-L6-v2")
parser.add_argument("--model", default="HuggingFaceTB/SmolLM2-135M-Instruct", help="what to fine-tune")
args = parser.parse_args()
ray.init(address=args.address)
workers = {"tasks": args.tasks, "workers": args.workers}

reader = RowReader(args.pool)
vectors, sample = (RowWriter(f"{args.work}/{name}", reader) for name in ("embedded", "sample"))
steps = [reader, Embed(args.embedder), vectors, Sample(reader), sample]
RayPipelineExecutor(steps, **workers, gpus_per_task=args.gpus, logging_dir=f"{args.work}/embed").run()

rows = read_sample(f"{args.work}/sample")
settings = {"model": args.model, "embedder": rows.embedder, "columns": rows.columns, "sampler": "extrapolated"}
curated = shed_hf.curate(rows.dataset, 0.1, ledger=f"{args.work}/run.ledger", **settings)

reader = RowReader(f"{args.work}/embedded")
score = Score(rows.scorer(curated), order=rows.order(curated))
steps = [reader, score, Keep(shares_of(curated)), RowWriter(f"{args.work}/kept", reader)]
RayPipelineExecutor(steps, **workers, logging_dir=f"{args.work}/keep").run()
