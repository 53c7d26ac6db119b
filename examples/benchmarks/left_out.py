"""How many distinct rows are left out as repeats of evaluation items, and how many clusters are left, once every row
begins with the same system prompt: compared with that prompt, and without it as `curate` does.

python examples/benchmarks/left_out.py --rows ROWS.jsonl --items ITEMS.jsonl --embedder MODEL [--out OUT.json]

Both files have question, choices and answer; no row of one is in the other.
"""

import argparse
import json
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from shed_hf.clustering.clusterers import KMeans, cluster
from shed_hf.curation.recipe import versions
from shed_hf.data.evaluation_items import items_from
from shed_hf.data.pool import read_pool
from shed_hf.data.preambles import Preambles
from shed_hf.embedding.decontamination import decontaminate
from shed_hf.errors import InputError

RULE = "You answer questions of common sense for people who learn English as adults and want one clear and short reply."
LENGTHS = (0, 160, 388)


def prompt_of(n_words: int) -> str:
    """A system prompt of so many words: numbered rules."""
    words = " ".join(f"Rule {number}: {RULE}" for number in range(1, 40)).split()
    return " ".join(words[:n_words])


def dataset_of(path: Path, count: int, system: str) -> Dataset:
    """The first rows of a file as conversations that begin with a system prompt."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[:count]]
    before = [{"role": "system", "content": system}] if system else []
    turns = [
        [
            *before,
            {"role": "user", "content": row["question"]},
            {"role": "assistant", "content": row["choices"][row["answer"]]},
        ]
        for row in rows
    ]
    return Dataset.from_dict({"messages": turns})


def measured(rows: Dataset, items: Dataset, embedder: Any, without_preambles: bool) -> dict[str, Any]:
    """What one curation would leave out, and the clusters of the rest."""
    pool = read_pool(rows)
    evaluation = items_from(items, pool, None, False, np.random.default_rng(0))
    if without_preambles:
        pool = pool.with_preambles(evaluation.preambles)
    else:
        pool = replace(pool, format=replace(pool.format, preambles=Preambles()))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            candidates = decontaminate(pool, evaluation, embedder)
        except InputError as error:  # all of them repeat an item
            left_out, spread, clusters, said = len(pool), 0.0, 0, str(error)
        else:
            left_out, said = candidates.left_out["repeating evaluation items"], ""
            vectors = candidates.embeddings
            spread = float(1 - (vectors @ vectors.mean(axis=0)).mean())
            clusters = cluster(vectors, KMeans(), np.random.default_rng(0)).n_clusters
    return {
        "rows": len(pool), "left out": left_out, "mean cosine distance": round(spread, 3), "clusters": clusters,
        "unread": [_unread(str(one.message)) for one in warned if "tokens" in str(one.message)], "error": said,
    }  # fmt: skip


def _unread(warning: str) -> str:
    """The figures of a warning about what the embedder cuts off: how many rows, and how much of them."""
    rows, share = re.search(r"^(\d+ of \d+ rows)", warning), re.search(r"(\d+%) of the tokens", warning)
    return f"{rows.group(1) if rows else '?'}: {share.group(1) if share else '?'} of their tokens are not read"


def main() -> None:
    """Measure every length, print a table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--items", type=Path, required=True)
    parser.add_argument("--embedder", required=True, help="a sentence-transformers model: a folder or a Hub id")
    parser.add_argument("--n-rows", type=int, default=300)
    parser.add_argument("--n-items", type=int, default=100)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = []
    for n_words in LENGTHS:
        system = prompt_of(n_words)
        rows = dataset_of(arguments.rows, arguments.n_rows, system)
        items = dataset_of(arguments.items, arguments.n_items, system)
        for without in (False, True):
            found = measured(rows, items, arguments.embedder, without)
            results.append({"words": n_words, "without preamble": without, **found})
            print(
                f"{n_words:4} words, compared {'without' if without else 'with':7} them: {found['left out']:3} of "
                f"{found['rows']} left out, mean cosine distance {found['mean cosine distance']:.3f}, "
                f"{found['clusters']} clusters; {' '.join(found['unread'])}",
                flush=True,
            )
    if arguments.out is not None:
        head = {"n_items": arguments.n_items, "versions": versions()}
        arguments.out.write_text(json.dumps({**head, "results": results}, indent=1))


if __name__ == "__main__":
    main()
