"""`shed-hf compare`."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from shed_hf.cli.arguments import columns_from, number_or_text, size_from
from shed_hf.cli.shell import Debug, app, errors_in_one_line
from shed_hf.errors import InputError


@app.command()
def compare(
    dataset: Annotated[str, typer.Argument(help="A Hub id, a folder or a .jsonl, .json, .csv or .parquet file.")],
    test_dataset: Annotated[
        list[str],
        typer.Option(help="Test items that no method chooses by, like DATASET; NAME=DATASET once for each of several."),
    ],
    sizes: Annotated[
        list[str] | None, typer.Option(help="A number of rows (500) or a share (0.1, 10%); once for each.")
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(help="shed, qwcs, retrieval, dsir, credit, dq, longest, ifd …; once for each."),
    ] = None,
    models: Annotated[list[str] | None, typer.Option(help="A Hub id or a path; once for each.")] = None,
    seeds: Annotated[int, typer.Option(help="How many times every choice is tuned on.")] = 5,
    choosing_seeds: Annotated[int, typer.Option(help="How many games methods play that value clusters.")] = 1,
    eval_dataset: Annotated[str | None, typer.Option(help="What methods choose by, like DATASET.")] = None,
    test_objective: Annotated[
        list[str] | None, typer.Option(help="loss, choice, accuracy, contrast or macro; once for each.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="The split to choose from.")] = None,
    embedder: Annotated[str | None, typer.Option(help='An embedding model, or "lexical".')] = None,
    clusterer: Annotated[str, typer.Option(help="kmeans, agglomerative, hdbscan or a column's name.")] = "kmeans",
    objective: Annotated[
        str | None, typer.Option(help="What methods choose by: loss, choice, accuracy, contrast, macro or worst-group.")
    ] = None,
    estimator: Annotated[str, typer.Option(help="What values clusters in a game.")] = "least-squares",
    budget: Annotated[str | None, typer.Option(help="The most fine-tunings of a game (200), or the time (4h).")] = None,
    seed: Annotated[int, typer.Option(help="The seed of every draw.")] = 0,
    ledger: Annotated[
        Path | None, typer.Option(help="What the names of ledgers begin with: outcomes are written, and resumed from.")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option(help="Where a part of a row is, as in instruction=query; once for each part.")
    ] = None,
    eval_columns: Annotated[list[str] | None, typer.Option(help="The same for --eval-dataset alone.")] = None,
    test_columns: Annotated[list[str] | None, typer.Option(help="The same for --test-dataset alone.")] = None,
    drop_invalid: Annotated[bool, typer.Option("--drop-invalid", help="Leave unreadable rows out.")] = False,
    output: Annotated[str | None, typer.Option(help="The folder to save the comparison to.")] = None,
    plot: Annotated[Path | None, typer.Option(help="The PNG to draw the comparison into.")] = None,
    push_to_hub: Annotated[str | None, typer.Option(help="The repository to publish the comparison in.")] = None,
    private: Annotated[
        bool | None, typer.Option(help="Whether a new repository is private; by default unless the source is public.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    debug: Debug = False,
) -> None:
    """Compare ways to choose rows of DATASET: the same tuning on what each chooses, measured on test items.

    \f
    Options are those of `shed_hf.compare` unless said otherwise.

    Args:
        dataset: A Hub id, a folder or a file.
        test_dataset: Test items, as ``name=dataset`` where there are several tasks.
        sizes: Numbers of rows, or shares.
        methods: Names of methods.
        models: Hub ids or paths.
        seeds: How many times every choice is tuned on.
        choosing_seeds: How many games are played.
        eval_dataset: What methods choose by.
        test_objective: What is measured on test items.
        split: The split to choose from.
        embedder: A sentence-transformers model, or ``"lexical"``.
        clusterer: A clusterer's name, or a column's.
        objective: What methods choose by.
        estimator: An estimator's name.
        budget: Fine-tunings of a game, or a time.
        seed: The seed of every draw.
        ledger: The path that the names of ledgers begin with.
        columns: Where parts of a row are, as ``part=column``.
        eval_columns: The same for the evaluation dataset alone.
        test_columns: The same for the test datasets alone.
        drop_invalid: Whether unreadable rows are left out.
        output: The folder to save the comparison to.
        plot: The PNG to draw it into.
        push_to_hub: The repository to publish it in.
        private: Whether a new repository is private.
        as_json: Whether to print one JSON object instead of tables.
        debug: Whether errors show their traceback.
    """
    from shed_hf.comparison.compare import DEFAULT_SIZES
    from shed_hf.comparison.methods import DEFAULT_METHODS
    from shed_hf.embedding.encoders import DEFAULT_EMBEDDER

    with errors_in_one_line(debug):
        arguments = {
            "test_dataset": _tests(test_dataset),
            "sizes": [size_from(size) for size in sizes] if sizes else DEFAULT_SIZES,
            "methods": methods or DEFAULT_METHODS,
            "models": models or None,
            "seeds": seeds,
            "choosing_seeds": choosing_seeds,
            "eval_dataset": eval_dataset,
            "test_objective": test_objective or None,
            "split": split,
            "embedder": DEFAULT_EMBEDDER if embedder is None else embedder,
            "clusterer": clusterer,
            "objective": objective,
            "estimator": estimator,
            "budget": number_or_text(budget),
            "seed": seed,
            "ledger": ledger,
            "columns": columns_from(columns, "--columns"),
            "eval_columns": columns_from(eval_columns, "--eval-columns"),
            "test_columns": columns_from(test_columns, "--test-columns"),
            "drop_invalid": drop_invalid,
        }
        _compare(dataset, arguments, output, plot, push_to_hub, private, as_json)


def _tests(given: list[str]) -> Any:
    """Test datasets by task, or a single one without a name."""
    if len(given) == 1 and ("=" not in given[0] or Path(given[0]).exists()):
        return given[0]
    found: dict[str, str] = {}
    for pair in given:
        name, sign, dataset = pair.partition("=")
        if not sign or not name.strip() or name.strip() in found:
            raise InputError(f"--test-dataset {pair!r} is not NAME=DATASET with a name of its own; pass one for each")
        found[name.strip()] = dataset
    return found


def _compare(
    dataset: str,
    arguments: dict[str, Any],
    output: str | None,
    plot: Path | None,
    push_to_hub: str | None,
    private: bool | None,
    as_json: bool,
) -> None:
    from shed_hf.comparison.compare import compare as compare_methods
    from shed_hf.comparison.storage import check_free
    from shed_hf.distributed.launch import is_main
    from shed_hf.hub.client import check_name, client

    if output is not None:  # whatever can fail does so before anything is paid for
        check_free(output)
    if push_to_hub is not None:
        check_name(push_to_hub)
        client(None)
    comparison = compare_methods(dataset, **arguments)
    if not is_main():
        return
    if as_json:
        print(json.dumps(_plain(comparison)))
    else:
        print(comparison)
    if output is not None:
        comparison.save_to_disk(output)
    if plot is not None:
        comparison.plot(plot)
    if push_to_hub is not None:
        address = comparison.push_to_hub(push_to_hub, private=private)
        if not as_json:
            print(f"published as {address}")


def _plain(comparison: Any) -> dict[str, Any]:
    """Lines, failures and notes as JSON, with null for what is no number."""
    lines = [asdict(line) for line in comparison.lines]
    finite = [
        {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in line.items()}
        for line in lines
    ]
    return {
        "lines": finite,
        "wins_and_losses": [asdict(tally) for tally in comparison.tallies],
        "failures": [asdict(failure) for failure in comparison.failures],
        "notes": list(comparison.notes),
    }
