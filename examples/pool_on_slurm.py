"""Keep a tenth of a pool that outgrows one machine, on a Slurm cluster; the game is played on one machine.

python examples/pool_on_slurm.py embed /shared/pool /shared/work     # an array of jobs; then, when they are done,
python examples/pool_on_slurm.py curate /shared/pool /shared/work    # here, or wherever there is a GPU
python examples/pool_on_slurm.py keep /shared/pool /shared/work      # an array of jobs; the rows are in work/kept
"""

import argparse

from datatrove.executor import SlurmPipelineExecutor

import shed_hf
from shed_hf.datatrove import Embed, Keep, RowReader, RowWriter, Sample, Score, read_sample, shares_of

parser = argparse.ArgumentParser(description="Keep a tenth of a large pool, on Slurm.")
parser.add_argument("step", choices=["embed", "curate", "keep"])
parser.add_argument("pool", help="the folder of its Parquet shards")
parser.add_argument("work", help="a folder that all nodes see")
parser.add_argument("--tasks", type=int, default=64, help="as many as there are shards, or fewer")
parser.add_argument("--partition", default="gpu")
parser.add_argument("--embedder", default="sentence-transformers/all-MiniLM-L6-v2")
parser.add_argument("--model", default="HuggingFaceTB/SmolLM2-135M-Instruct", help="what to fine-tune")
args = parser.parse_args()
jobs = {"tasks": args.tasks, "partition": args.partition, "time": "10:00:00", "logging_dir": f"{args.work}/{args.step}"}
if args.step == "embed":
    reader = RowReader(args.pool)
    vectors, sample = (RowWriter(f"{args.work}/{name}", reader) for name in ("embedded", "sample"))
    steps = [reader, Embed(args.embedder), vectors, Sample(reader), sample]
    SlurmPipelineExecutor(steps, **jobs, gpus_per_task=1).run()
elif args.step == "curate":
    rows = read_sample(f"{args.work}/sample")
    settings = {"model": args.model, "embedder": rows.embedder, "columns": rows.columns, "sampler": "extrapolated"}
    curated = shed_hf.curate(rows.dataset, 0.1, **settings)
    curated.save_to_disk(f"{args.work}/curated")
    rows.scorer(curated).save_pretrained(f"{args.work}/scorer")
else:
    reader, curated = RowReader(f"{args.work}/embedded"), shed_hf.CuratedDataset.load_from_disk(f"{args.work}/curated")
    score = Score(f"{args.work}/scorer", order=read_sample(f"{args.work}/sample").order(curated))
    kept = RowWriter(f"{args.work}/kept", reader)
    SlurmPipelineExecutor([reader, score, Keep(shares_of(curated)), kept], **jobs).run()
