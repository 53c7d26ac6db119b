"""Flat clusters against hierarchical players at the same budget, on a large pool with damage inside its topics.

For each seed a pool is drawn from several files of rows and cut into many small groups by k-means on TF-IDF vectors.
Half of these groups, drawn at random, are damaged (answers from other rows, words shuffled, one boilerplate answer). So
damage lies inside topics, finer than a few clusters. Then a share of the rows is chosen with the same number of
fine-tunings, on as many rows: by flat clusters and `LeastSquares`, for each number in ``--flat``, and by ``--fine``
clusters with `Hierarchical`. A model is tuned on each choice and on random rows, and measured on sound rows of the
first file, held out until then. Outcomes are kept in ``--folder``, so that a run goes on where it was stopped.

    python examples/benchmarks/hierarchy.py --rows a.jsonl b.jsonl --folder runs --out results/hierarchy.json
"""

import argparse
import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, disable_progress_bars

import shed_hf
from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.embedding.embed import embed
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_args

RANDOM_DRAWS = 2
HIERARCHICAL = "hierarchical"


def sound_rows(arguments: argparse.Namespace, rng: np.random.Generator) -> tuple[list[Any], list[Any], list[Any]]:
    """Rows of all files to choose from, and rows of the first file to value on and to judge by."""
    of_files = [short_rows(path, arguments.longest) for path in arguments.rows]
    target = [of_files[0][place] for place in rng.permutation(len(of_files[0]))]
    n_held = arguments.items + arguments.test
    rest = [*target[n_held:], *(row for of_file in of_files[1:] for row in of_file)]
    if len(rest) < arguments.pool:
        raise SystemExit(f"{len(rest)} rows of at most {arguments.longest} characters; {arguments.pool} are needed")
    pool = [rest[place] for place in rng.permutation(len(rest))[: arguments.pool]]
    return pool, target[: arguments.items], target[arguments.items : n_held]


def short_rows(path: Path, longest: int) -> list[Any]:
    """The rows of a file up to a length; a question with options has the text of the right one as answer."""
    rows = []
    for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        if "choices" in row:
            answer = row["answer"]
            place = answer if isinstance(answer, int) else "ABCDEFGH".index(answer)
            prompt, output = row["question"], str(row["choices"][place])
        else:
            prompt, output = " ".join(filter(None, [row["instruction"], row.get("input", "")])), row["output"]
        if output.split() and len(prompt + output) <= longest:
            rows.append({"instruction": prompt, "output": output})
    return rows


def one_seed(seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Both choices from one damaged pool, and what they are worth on held-out rows."""
    rng = np.random.default_rng(seed)
    sound, dev, test = sound_rows(arguments, rng)
    vectors, _ = embed(read_pool(Dataset.from_list(sound)), np.arange(len(sound)), "lexical")
    groups = shed_hf.KMeans(arguments.groups, restarts=1)(vectors, rng)
    hurt = rng.choice(arguments.groups, arguments.groups // 2, replace=False)
    rows = Dataset.from_list(damaged(sound, groups, hurt, rng))
    is_hurt = np.isin(groups, hurt)
    ways: dict[str, tuple[int, Any]] = {f"flat {k}": (k, shed_hf.LeastSquares()) for k in arguments.flat}
    ways[HIERARCHICAL] = (arguments.fine, shed_hf.Hierarchical())
    found, chosen = {}, {}
    for way, (n_clusters, estimator) in ways.items():
        start = time.process_time()
        curated = shed_hf.curate(
            rows,
            arguments.share,
            eval_dataset=Dataset.from_list(dev),
            embedder=vectors,
            clusterer=shed_hf.KMeans(n_clusters, restarts=1),
            proxies_per_cluster=arguments.proxies // n_clusters,
            utility=tuner(arguments),
            estimator=estimator,
            budget=arguments.budget,
            sampler="qocs",
            merit=None,
            seed=seed,
            ledger=arguments.folder / f"{way.replace(' ', '_')}_{seed}.ledger",
        )
        chosen[way] = curated.rows
        found[way] = {
            "fine_tunings": curated.recipe["bill"]["all_fine_tunings"],
            "tokens": curated.recipe["bill"]["tokens"],
            "processor_seconds": round(time.process_time() - start, 1),
            "reliability": round(curated.estimate.reliability, 3),
            "p_value": curated.estimate.p_value,
            "n_groups": curated.estimate.n_groups,
            "damaged_of_kept": round(float(is_hurt[curated.rows].mean()), 4),
        }
    losses = held_out(rows, test, chosen, seed, arguments)
    found["random"] = {"damaged_of_kept": round(float(is_hurt.mean()), 4)}
    return {"seed": seed, **{way: {**figures, "loss": losses[way]} for way, figures in found.items()}} | {
        "untuned": losses["untuned"]
    }


def held_out(rows: Dataset, test: list[Any], chosen: dict[str, Any], seed: int, arguments: argparse.Namespace) -> Any:
    """The loss on the test rows after tuning on each choice, on random rows, and without tuning."""
    items = read_pool(Dataset.from_list(test))
    utility = tuner(arguments).bind(read_pool(rows), items.examples(np.arange(len(items))), seed)
    rng, size = np.random.default_rng([seed, 1]), len(next(iter(chosen.values())))
    random = [rng.choice(len(rows), size=size, replace=False) for _ in range(RANDOM_DRAWS)]
    row_sets = [np.empty(0, np.int64), *(rng.permutation(of_way) for of_way in chosen.values()), *random]
    untuned, *losses = (-utility(row_sets).mean(axis=1)).round(5).tolist()
    by_way = dict(zip(chosen, losses, strict=False))
    return {"untuned": untuned, **by_way, "random": losses[len(chosen) :]}


def damaged(sound: list[Any], groups: Any, hurt: Any, rng: np.random.Generator) -> list[Any]:
    """The rows with those of some groups damaged, each group in one of three ways."""
    rows, way_of = list(sound), {group: place % 3 for place, group in enumerate(hurt.tolist())}
    places = np.flatnonzero(np.isin(groups, hurt))
    for place, other in zip(places, rng.permutation(places), strict=True):
        words = " ".join(rng.permutation(sound[place]["output"].split()).tolist())
        outputs = (sound[other]["output"], words, demo_pool.BOILERPLATE)
        rows[place] = {**sound[place], "output": outputs[way_of[int(groups[place])]]}
    return rows


def tuner(arguments: argparse.Namespace) -> FineTune:
    """The model, tuned in the same way for valuing and for judging."""
    return FineTune(str(arguments.model), "loss", args=default_args(learning_rate=arguments.learning_rate))


def report(records: list[Any], arguments: argparse.Namespace) -> None:
    """Print the table, and write it with the setting under ``--out``."""
    ways = [way for way in records[0] if way not in ("seed", "untuned")]
    for record in records:
        losses = {way: record[way]["loss"] for way in ways}
        kept = {way: record[way]["damaged_of_kept"] for way in ways}
        print(f"seed {record['seed']}: held-out loss {losses}, untuned {record['untuned']}; damaged of kept {kept}")
    found = {}
    for way in ways:
        of_way = np.array([np.mean(record[way]["loss"]) - record[HIERARCHICAL]["loss"] for record in records])
        error = float(of_way.std(ddof=1) / np.sqrt(len(of_way))) if len(of_way) > 1 else float("nan")
        found[way] = {"mean": round(float(of_way.mean()), 5), "stderr": round(error, 5)}
    print(f"loss above that of hierarchical players: {found}", flush=True)
    if arguments.out:
        left_out = ("out", "folder", "model", "rows")
        setting = {name: value for name, value in vars(arguments).items() if name not in left_out}
        setting |= {"model": arguments.model.name, "rows": [path.name for path in arguments.rows]}
        head = {"setting": setting, "date": date.today().isoformat(), "device": device(), "versions": versions()}
        content = {**head, "loss above hierarchical": found, "records": records}
        arguments.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run every seed, print and save the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, nargs="+", required=True, help="files of rows, .jsonl")
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder with a model and its tokenizer")
    parser.add_argument("--folder", type=Path, required=True, help="where outcomes are kept")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pool", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=24)
    parser.add_argument("--test", type=int, default=150)
    parser.add_argument("--longest", type=int, default=200, help="characters of a row; longer ones are left out")
    parser.add_argument("--groups", type=int, default=100, help="groups of which half are damaged")
    parser.add_argument("--share", type=float, default=0.02, help="of the rows that are kept")
    parser.add_argument("--budget", type=int, default=48, help="fine-tunings")
    parser.add_argument("--flat", type=int, nargs="+", default=[16], help="numbers of flat clusters")
    parser.add_argument("--fine", type=int, default=64, help="clusters of the hierarchy")
    parser.add_argument("--proxies", type=int, default=64, help="proxies of all clusters together")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    arguments = parser.parse_args()
    disable_progress_bars()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    records = []
    for seed in range(arguments.seeds):
        records.append(one_seed(seed, arguments))
        report(records, arguments)


if __name__ == "__main__":
    main()
