"""`shed-hf`: a thin skin over the public functions, for shells."""

import json
import logging
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from shed_hf.errors import ShedError

app = typer.Typer(
    name="shed-hf",
    help="Find the part of an instruction dataset worth fine-tuning on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class DemoModel(StrEnum):
    """The demo's language models."""

    AUTO = "auto"
    SMOLLM2 = "smollm2"
    SMALL = "small"


def main() -> None:
    """The console script: errors that are the caller's end in one line, not in a traceback."""
    # Threads that wait by spinning for milliseconds stop each other when anything else runs on the machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        app()
    except ShedError as error:
        sys.exit(f"shed-hf: {error}")


@app.command()
def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    model: Annotated[DemoModel, typer.Option(help="auto is smollm2 where it is installed and fast.")] = DemoModel.AUTO,
    seed: Annotated[int, typer.Option(help="Which topics are damaged, and every other draw.", min=0)] = 0,
) -> None:
    """Curate a small damaged pool with a real language model, and compare with random rows. Needs no network."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from shed_hf.demo.run import run
    from shed_hf.demo.show import show

    result = run(model.value, seed)
    if as_json:
        print(json.dumps(result.as_json()))
    else:
        show(result)


@app.command()
def curate(
    dataset: Annotated[str, typer.Argument(help="A Hub id, a folder or a .jsonl, .json, .csv or .parquet file.")],
    output: Annotated[Path | None, typer.Option(help="The folder to save the result to.")] = None,
    push_to_hub: Annotated[str | None, typer.Option(help="The repository to publish the result in.")] = None,
    private: Annotated[
        bool | None, typer.Option(help="Whether a new repository is private; by default unless the source is public.")
    ] = None,
    size: Annotated[str, typer.Option(help="How much to keep: a number of rows (500) or a share (0.1).")] = "0.1",
    split: Annotated[str | None, typer.Option(help="The split to curate.")] = None,
    eval_dataset: Annotated[str | None, typer.Option(help="What to evaluate on, like DATASET.")] = None,
    model: Annotated[str | None, typer.Option(help="The model to fine-tune: a Hub id or a path.")] = None,
    embedder: Annotated[str | None, typer.Option(help='An embedding model, or "lexical".')] = None,
    clusterer: Annotated[str, typer.Option(help="kmeans, agglomerative, hdbscan or a column's name.")] = "kmeans",
    features: Annotated[
        list[str] | None, typer.Option(help="What the model makes of a row, for clustering: loss, ifd, length.")
    ] = None,
    proxies_per_cluster: Annotated[int, typer.Option(help="Rows that stand for a cluster.")] = 4,
    proxy_sets: Annotated[int, typer.Option(help="Disjoint sets of such rows, to tell mixed clusters.")] = 1,
    objective: Annotated[
        str | None, typer.Option(help="loss, choice, accuracy, contrast, macro or worst-group.")
    ] = None,
    warmup: Annotated[int, typer.Option(help="Rows outside the game to train on beforehand.")] = 0,
    estimator: Annotated[
        str, typer.Option(help="least-squares, regression-adjusted, banzhaf, in-run, permutation, exact or shed.")
    ] = "least-squares",
    sampler: Annotated[str, typer.Option(help="qocs, qwcs or random.")] = "qocs",
    merit: Annotated[
        str, typer.Option(help="Which rows of a cluster come first: auto, credit, ifd, loss, none.")
    ] = "auto",
    budget: Annotated[str | None, typer.Option(help="The most fine-tunings to spend (200), or the time (4h).")] = None,
    require_signal: Annotated[
        bool, typer.Option("--require-signal", help="Fail where the values can't be told from noise.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The seed of every draw.")] = 0,
    ledger: Annotated[Path | None, typer.Option(help="Where outcomes are written, and resumed from.")] = None,
    drop_invalid: Annotated[bool, typer.Option("--drop-invalid", help="Leave unreadable rows out.")] = False,
) -> None:
    """Keep the rows of DATASET most worth fine-tuning on, and save them with their values, or publish them."""
    from shed_hf.curation.curate import curate as curate_dataset
    from shed_hf.distributed.launch import is_main
    from shed_hf.embedding.encoders import DEFAULT_EMBEDDER
    from shed_hf.hub.client import check_name, client
    from shed_hf.storage.curated_folder import check_free

    if output is None and push_to_hub is None:
        raise typer.BadParameter("pass a folder as --output, a repository as --push-to-hub, or both")
    if output is not None:  # whatever can fail does so before anything is paid for
        check_free(output)
    if push_to_hub is not None:
        check_name(push_to_hub)
        client(None)
    curated = curate_dataset(
        dataset,
        _size(size),
        split=split,
        eval_dataset=eval_dataset,
        model=model,
        embedder=embedder or DEFAULT_EMBEDDER,
        clusterer=clusterer,
        features=tuple(features) if features else None,
        proxies_per_cluster=proxies_per_cluster,
        proxy_sets=proxy_sets,
        objective=objective,
        warmup=warmup,
        estimator=estimator,
        sampler=sampler,
        merit=None if merit == "none" else merit,
        budget=int(budget) if budget is not None and budget.lstrip("-").isdigit() else budget,
        require_signal=require_signal,
        seed=seed,
        ledger=ledger,
        drop_invalid=drop_invalid,
    )
    if not is_main():  # every rank of a launch has the result; one is enough to save and publish it
        return
    if output is not None:
        curated.save_to_disk(output)
        print(f"saved to {output}; load the rows with datasets.load_dataset({str(output)!r}, split='train')")
    if push_to_hub is not None:
        print(f"published as {curated.push_to_hub(push_to_hub, private=private)}")


def _size(text: str) -> int | float:
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a number of rows nor a share", param_hint="--size") from None
