"""Flat clusters against hierarchical players at the same budget, on a large pool with damage inside its topics.

For each seed a pool is drawn from several files of rows and cut into many small groups by k-means on TF-IDF vectors.
Half of these groups, drawn at random, are damaged (answers from other rows, words shuffled, one boilerplate answer). So
damage lies inside topics, finer than a few clusters. Then a share of the rows is chosen with the same number of
fine-tunings, on as many rows: by flat clusters and `LeastSquares`, for each number in ``--flat``, and by ``--fine``
clusters with `Hierarchical`. From the latter's values rows are also chosen by groups: clusters that no measurement
told apart count as one; and by weighted draws of clusters (`QWCS`). To tell worth from coverage, rows are chosen by
values drawn at random. A model is tuned on each choice and on random rows, and measured on sound rows of the first
file, held out until then. Outcomes are kept in ``--folder``, so that a run goes on where it was stopped.

    python examples/benchmarks/hierarchy.py --rows a.jsonl b.jsonl --folder runs --out results/hierarchy.json
"""

import argparse
import hashlib
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
from shed_hf.game.coalitions import coalitions_of
from shed_hf.sampling.samplers import choose

RANDOM_DRAWS = 2
HIERARCHICAL, BY_GROUPS = "hierarchical", "hierarchical, by groups"
WEIGHTED = "hierarchical, QWCS(sharpness=3)"
OF_CHOICES = ("damaged_of_kept", "groups_of_kept")


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
    """All choices from one damaged pool, and what they are worth on held-out rows."""
    rng = np.random.default_rng(seed)
    sound, dev, test = sound_rows(arguments, rng)
    vectors, _ = embed(read_pool(Dataset.from_list(sound)), np.arange(len(sound)), "lexical")
    groups = shed_hf.KMeans(arguments.groups, restarts=1)(vectors, rng)
    hurt = rng.choice(arguments.groups, arguments.groups // 2, replace=False)
    rows = Dataset.from_list(damaged(sound, groups, hurt, rng))
    ways: dict[str, tuple[int, Any]] = {f"flat {k}": (k, shed_hf.LeastSquares()) for k in arguments.flat}
    ways[HIERARCHICAL] = (arguments.fine, shed_hf.Hierarchical())
    found: dict[str, dict[str, Any]] = {}
    chosen: dict[str, Any] = {}
    for way, (n_clusters, estimator) in ways.items():
        start = time.process_time()
        curated = curation(rows, dev, vectors, way, n_clusters, estimator, seed, arguments)
        chosen[way], chance = curated.rows, np.random.default_rng([seed, 2])
        found[way] = figures(curated) | effect_of_damage(curated, np.isin(groups, hurt))
        found[way]["processor_seconds"] = round(time.process_time() - start, 1)
        members = curated.valued.members[:-1]
        chosen[f"random clusters of {n_clusters}"] = by_values(chance.normal(size=len(members)), members, curated)
        if way == HIERARCHICAL:
            chosen[BY_GROUPS] = by_values(*of_groups(curated), curated)
            chosen[WEIGHTED] = by_values(curated.valued.values, members, curated, shed_hf.QWCS(sharpness=3.0))
    chosen |= {
        f"random {draw}": np.random.default_rng([seed, 1, draw]).choice(
            len(rows), size=len(curated.rows), replace=False
        )
        for draw in range(RANDOM_DRAWS)
    }
    for way, losses in held_out(rows, test, chosen, seed, arguments).items():
        found[way] = {**found.get(way, {}), "loss": losses}
        if way in chosen:
            shares = np.bincount(groups[chosen[way]]) / len(chosen[way])
            found[way] |= {
                "damaged_of_kept": round(float(np.isin(groups, hurt)[chosen[way]].mean()), 4),
                "groups_of_kept": round(float(1 / (shares**2).sum()), 1),
            }
    return {"seed": seed, **found}


def curation(rows: Any, dev: Any, vectors: Any, way: str, count: int, estimator: Any, seed: int, arguments: Any) -> Any:
    """The rows kept of clusters of equally many proxies."""
    return shed_hf.curate(
        rows,
        arguments.share,
        eval_dataset=Dataset.from_list(dev),
        embedder=vectors,
        clusterer=shed_hf.KMeans(count, restarts=1),
        proxies_per_cluster=arguments.proxies // count,
        utility=tuner(arguments),
        estimator=estimator,
        budget=arguments.budget,
        sampler="qocs",
        merit=None,
        seed=seed,
        ledger=arguments.folder / f"{way.replace(' ', '_')}_{seed}.ledger",
    )


def figures(curated: Any) -> dict[str, Any]:
    """What a curation cost, and how sure its values are."""
    return {
        "fine_tunings": curated.recipe["bill"]["all_fine_tunings"],
        "tokens": curated.recipe["bill"]["tokens"],
        "reliability": round(curated.estimate.reliability, 3),
        "p_value": curated.estimate.p_value,
        "n_groups": curated.estimate.n_groups,
    }


def effect_of_damage(curated: Any, is_hurt: Any) -> dict[str, float]:
    """What a damaged row changes in an outcome beside a sound one, by least squares, and the luck that is left."""
    measured = [entry for entry in curated.ledger if entry.blocks]
    runs = [np.concatenate([np.array(block, np.int64) for block in entry.blocks]) for entry in measured]
    outcomes, sizes = np.array([entry.outcome.mean() for entry in measured]), np.array([len(run) for run in runs])
    columns = [np.ones(len(runs)), sizes, np.sqrt(sizes), [is_hurt[run].sum() for run in runs]]
    design = np.stack(columns, axis=1).astype(np.float64)
    effects = np.linalg.lstsq(design, outcomes)[0]
    variance = float(((outcomes - design @ effects) ** 2).sum() / (len(runs) - design.shape[1]))
    error = np.sqrt(variance * np.linalg.inv(design.T @ design)[-1, -1])
    return {
        "damaged_row": round(float(effects[-1]), 4),
        "damaged_row_stderr": round(float(error), 4),
        "luck": round(variance**0.5, 4),
    }


def of_groups(curated: Any) -> tuple[Any, list[Any]]:
    """The mean value and the rows of every group of clusters that no measurement told apart."""
    coalitions, _ = coalitions_of(curated.ledger, curated.valued.players.rows)
    owners = np.unique(coalitions, axis=1, return_inverse=True)[1].ravel()
    members = curated.valued.members
    means = np.bincount(owners, curated.valued.values) / np.bincount(owners)
    return means, [np.concatenate([members[n] for n in np.flatnonzero(owners == group)]) for group in range(len(means))]


def by_values(values: Any, members: list[Any], curated: Any, sampler: Any = None) -> Any:
    """As many rows as a curation kept, of the clusters of highest value, none of them filling more than it may."""
    rng = np.random.default_rng(len(members))
    return choose(sampler or shed_hf.QOCS(), values, members, len(curated.rows), rng)


def held_out(rows: Dataset, test: list[Any], chosen: dict[str, Any], seed: int, arguments: argparse.Namespace) -> Any:
    """The loss on the test rows after tuning on each choice, and without tuning; kept in the folder one by one."""
    items = read_pool(Dataset.from_list(test))
    utility = tuner(arguments).bind(read_pool(rows), items.examples(np.arange(len(items))), seed)
    kept = arguments.folder / f"held_out_{seed}.json"
    known = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    losses = {}
    for way, of_way in {"untuned": np.empty(0, np.int64), **chosen}.items():
        rng = np.random.default_rng([seed, 5])
        order = rng.permutation(np.sort(of_way)).astype(np.int64)
        key = hashlib.sha256(order.tobytes()).hexdigest()
        if key not in known:
            known[key] = round(float(-utility([order]).mean()), 5)
            kept.write_text(json.dumps(known, indent=1), encoding="utf-8")
            print(f"seed {seed}, {way}: {known[key]}", flush=True)
        losses[way] = known[key]
    return losses


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
    ways = [way for way in records[0] if way != "seed"]
    found = {}
    for way in ways:
        beyond = np.array([record[way]["loss"] - record[HIERARCHICAL]["loss"] for record in records])
        error = float(beyond.std(ddof=1) / np.sqrt(len(beyond))) if len(beyond) > 1 else float("nan")
        found[way] = {"mean": round(float(beyond.mean()), 5), "stderr": round(error, 5)}
        shown = [{name: record[way].get(name) for name in ("loss", *OF_CHOICES)} for record in records]
        print(f"{way}: {found[way]['mean']} ± {found[way]['stderr']} above hierarchical; {shown}", flush=True)
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
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--pool", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=24)
    parser.add_argument("--test", type=int, default=150)
    parser.add_argument("--longest", type=int, default=200, help="characters of a row; longer ones are left out")
    parser.add_argument("--groups", type=int, default=100, help="groups of which half are damaged")
    parser.add_argument("--share", type=float, default=0.02, help="of the rows that are kept")
    parser.add_argument("--budget", type=int, default=48, help="fine-tunings")
    parser.add_argument("--flat", type=int, nargs="+", default=[16, 64], help="numbers of flat clusters")
    parser.add_argument("--fine", type=int, default=64, help="clusters of the hierarchy")
    parser.add_argument("--proxies", type=int, default=64, help="proxies of all clusters together")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    arguments = parser.parse_args()
    disable_progress_bars()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    records = []
    for seed in arguments.seeds:
        records.append(one_seed(seed, arguments))
        report(records, arguments)


if __name__ == "__main__":
    main()
