"""Pools that outgrow one machine: steps for datatrove, whose executors run them on one machine, on Slurm or on Ray.

::

    reader = RowReader("pool/")
    embed = [reader, Embed(), RowWriter("embedded/", reader), Sample(reader), RowWriter("sample/", reader)]
    LocalPipelineExecutor(embed, tasks=64, workers=8, logging_dir="logs/embed").run()

    sample = read_sample("sample/")                                   # at most a million rows, on any machine
    curated = shed_hf.curate(sample.dataset, 0.1, embedder=sample.embedder, sampler="extrapolated", eval_dataset=…)

    reader = RowReader("embedded/")
    score = Score(sample.scorer(curated), order=sample.order(curated))
    keep = [reader, score, Keep(shares_of(curated)), RowWriter("kept/", reader)]
    LocalPipelineExecutor(keep, tasks=64, workers=8, logging_dir="logs/keep").run()

datatrove notes which tasks are done in the folder of their logs, and a run that goes on with that folder leaves them
out. A folder belongs to one run: with other settings take another. What a run left unfinished is refused by `RowReader`
and `read_sample`, with the tasks that lack rows.
"""

from importlib.util import find_spec

if find_spec("datatrove") is None:
    raise ModuleNotFoundError(
        "shed_hf.datatrove needs datatrove, which is not installed; install it with pip install 'datatrove>=0.10.1'",
        name="datatrove",
    )

from shed_hf.datatrove.embed import Embed
from shed_hf.datatrove.keep import Keep, shares_of
from shed_hf.datatrove.order import RowOrder
from shed_hf.datatrove.reader import RowReader
from shed_hf.datatrove.sample import Sample, SampledRows, read_sample
from shed_hf.datatrove.score import Score
from shed_hf.datatrove.writer import RowWriter

__all__ = [
    "Embed",
    "Keep",
    "RowOrder",
    "RowReader",
    "RowWriter",
    "Sample",
    "SampledRows",
    "Score",
    "read_sample",
    "shares_of",
]
