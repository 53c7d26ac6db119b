"""`shed-hf`: the public functions for shells."""

import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from shed_hf.errors import InputError, ShedError

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


Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def main() -> None:
    """The console script: errors end in one line, not in a traceback, unless ``--debug`` asks for it."""
    # Threads that wait by spinning for milliseconds stop each other when anything else runs on the machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    app()


@contextmanager
def _errors_in_one_line(debug: bool) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever it is, a shell's user is told in one line
        if debug:
            raise
        line = " ".join(str(error).split())
        if not isinstance(error, ShedError):
            line = f"{type(error).__name__}: {line}; this is a bug, or a library failed: run with --debug to see where"
        print(f"error: {line}", file=sys.stderr)
        raise typer.Exit(1) from None


@app.command()
def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    model: Annotated[
        DemoModel, typer.Option(help="auto is smollm2 where it can be had and takes at most 90 s here.")
    ] = DemoModel.AUTO,
    seed: Annotated[int, typer.Option(help="Which topics are damaged, and every other draw.", min=0)] = 0,
    debug: Debug = False,
) -> None:
    """Curate a small damaged pool with a real language model, and compare with random rows.

    The model is SmolLM2-135M, from the Hub's cache, the Hub or a package, or a small one that ships with shed_hf.

    \f
    Args:
        as_json: Whether to print one JSON object instead of tables.
        model: The language model; see `shed_hf.demo.run.run`.
        seed: Which topics are damaged, and every other draw.
        debug: Whether errors show their traceback.
    """
    with _errors_in_one_line(debug):
        _demo(as_json, model, seed)


def _demo(as_json: bool, model: DemoModel, seed: int) -> None:
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
    output: Annotated[str | None, typer.Option(help="The folder to save the result to.")] = None,
    push_to_hub: Annotated[str | None, typer.Option(help="The repository to publish the result in.")] = None,
    private: Annotated[
        bool | None, typer.Option(help="Whether a new repository is private; by default unless the source is public.")
    ] = None,
    size: Annotated[
        str, typer.Option(help="How much to keep: a number of rows (500) or a share (0.1, 10%); auto is a tenth.")
    ] = "auto",
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
    sampler: Annotated[
        str,
        typer.Option(
            help="By clusters: qocs, qwcs, random. By single rows: retrieval, credit-coverage, dsir, "
            "dataset-quantization, longest, ifd, full."
        ),
    ] = "qocs",
    merit: Annotated[
        str, typer.Option(help="Which rows of a cluster come first: auto, credit, ifd, loss, none.")
    ] = "auto",
    budget: Annotated[str | None, typer.Option(help="The most fine-tunings to spend (200), or the time (4h).")] = None,
    require_signal: Annotated[
        bool, typer.Option("--require-signal", help="Fail where the values can't be told from noise.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The seed of every draw.")] = 0,
    ledger: Annotated[Path | None, typer.Option(help="Where outcomes are written, and resumed from.")] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(help="Where a part of a row is, as in instruction=query; once for each part."),
    ] = None,
    eval_columns: Annotated[
        list[str] | None,
        typer.Option(help="The same for --eval-dataset alone; by default --columns is used there too."),
    ] = None,
    drop_invalid: Annotated[bool, typer.Option("--drop-invalid", help="Leave unreadable rows out.")] = False,
    debug: Debug = False,
) -> None:
    """Keep the rows of DATASET most worth fine-tuning on, and save them with their values, or publish them.

    \f
    Options are those of `shed_hf.curate` unless said otherwise.

    Args:
        dataset: A Hub id, a folder or a file.
        output: The folder to save the result to.
        push_to_hub: The repository to publish the result in.
        private: Whether a new repository is private.
        size: A number of rows, or a share; a tenth by default.
        split: The split to curate.
        eval_dataset: What to evaluate on: a Hub id, a folder or a file.
        model: A Hub id or a path.
        embedder: A sentence-transformers model, or ``"lexical"``.
        clusterer: A clusterer's name, or a column's.
        features: Names of features to cluster by, beside the embedding.
        proxies_per_cluster: Rows that stand for a cluster.
        proxy_sets: Disjoint sets of such rows.
        objective: An objective's name.
        warmup: Rows outside the game to train on beforehand.
        estimator: An estimator's name.
        sampler: A sampler's name.
        merit: How rows of a cluster are ranked; ``"none"`` for random ones.
        budget: Fine-tunings, or a time.
        require_signal: Whether values that can't be told from noise are an error.
        seed: The seed of every draw.
        ledger: The file that outcomes are written to and resumed from.
        columns: Where parts of a row are, as ``part=column``.
        eval_columns: The same for the evaluation dataset alone.
        drop_invalid: Whether unreadable rows are left out.
        debug: Whether errors show their traceback.
    """
    from shed_hf.embedding.encoders import DEFAULT_EMBEDDER

    with _errors_in_one_line(debug):
        arguments = {
            "dataset": dataset,
            "size": _size(size),
            "split": split,
            "eval_dataset": eval_dataset,
            "model": model,
            "embedder": DEFAULT_EMBEDDER if embedder is None else embedder,
            "clusterer": clusterer,
            "features": tuple(features) if features else None,
            "proxies_per_cluster": proxies_per_cluster,
            "proxy_sets": proxy_sets,
            "objective": objective,
            "warmup": warmup,
            "estimator": estimator,
            "sampler": sampler,
            "merit": None if merit == "none" else merit,
            "budget": _number_or_text(budget),
            "require_signal": require_signal,
            "seed": seed,
            "ledger": ledger,
            "columns": _columns(columns, "--columns"),
            "eval_columns": _columns(eval_columns, "--eval-columns"),
            "drop_invalid": drop_invalid,
        }
        _curate(arguments, output, push_to_hub, private)


def _curate(arguments: dict[str, Any], output: str | None, push_to_hub: str | None, private: bool | None) -> None:
    from shed_hf.curation.curate import curate as curate_dataset
    from shed_hf.distributed.launch import is_main
    from shed_hf.hub.client import check_name, client
    from shed_hf.storage.curated_folder import check_free

    if output is None and push_to_hub is None:
        raise InputError("pass a folder as --output, a repository as --push-to-hub, or both")
    if output is not None:  # whatever can fail does so before anything is paid for
        check_free(output)
    if push_to_hub is not None:
        check_name(push_to_hub)
        client(None)
    curated = curate_dataset(**arguments)
    if not is_main():  # every rank of a launch has the result; one is enough to save and publish it
        return
    if output is not None:
        curated.save_to_disk(output)
        print(f"saved to {output}; load the rows with datasets.load_dataset({str(output)!r}, split='train')")
    if push_to_hub is not None:
        print(f"published as {curated.push_to_hub(push_to_hub, private=private)}")


def _columns(pairs: list[str] | None, option: str) -> dict[str, str | None] | None:
    """Parts of a row to columns, from ``part=column`` each; nothing behind the sign leaves the part out."""
    if not pairs:
        return None
    found: dict[str, str | None] = {}
    for pair in pairs:
        part, sign, column = pair.partition("=")
        if not sign or not part.strip() or part.strip() in found:
            problem = "names a part twice" if part.strip() in found else "is not PART=COLUMN"
            raise InputError(f"{option} {pair!r} {problem}; pass each part once, as in {option} instruction=query")
        found[part.strip()] = column.strip() or None
    return found


def _size(text: str) -> int | float | str:
    """A number of rows or a share; a percentage and ``auto`` stay text."""
    number: int | str = _number_or_text(text)
    if isinstance(number, str) and number != "auto" and not number.strip().endswith("%"):
        try:
            return float(number)
        except ValueError:
            raise InputError(
                f'size={text!r} is neither a number of rows nor a share; pass 500, 0.1 or "10%" as --size'
            ) from None
    return number


def _number_or_text(text: Any) -> Any:
    """A whole number where the text is one, else the text; None for None."""
    return int(text) if isinstance(text, str) and re.fullmatch(r"-?[0-9]{1,18}", text) else text
