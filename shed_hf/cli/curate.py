"""`shed-hf curate`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from shed_hf.cli.arguments import columns_from, constraints_from, number_or_text, size_from
from shed_hf.cli.shell import Debug, app, errors_in_one_line
from shed_hf.errors import InputError


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
    test_dataset: Annotated[
        str | None, typer.Option(help="What the kept rows are compared with random ones on, like DATASET.")
    ] = None,
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
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            help="How far groups of evaluation items may fall, as in subject=0.01 (below untuned) or "
            "subject=0.01:random (below random rows); once for each column."
        ),
    ] = None,
    warmup: Annotated[int, typer.Option(help="Rows outside the game to train on beforehand.")] = 0,
    estimator: Annotated[
        str, typer.Option(help="least-squares, regression-adjusted, banzhaf, in-run, permutation, exact, shed, none.")
    ] = "least-squares",
    sampler: Annotated[
        str,
        typer.Option(
            help="By clusters: qocs, qwcs, random. By single rows: row-values, retrieval, rds, credit-coverage, "
            "dsir, dataset-quantization, longest, ifd, full. auto: credit-coverage where there are credits, else qocs."
        ),
    ] = "auto",
    method: Annotated[
        str,
        typer.Option(
            help="shapley: the sampler decides. race: subsets by all selectors and random rows are tuned and measured, "
            "and the best is kept."
        ),
    ] = "shapley",
    merit: Annotated[
        str, typer.Option(help="Which rows of a cluster come first: auto, credit, ifd, loss, none.")
    ] = "auto",
    budget: Annotated[str | None, typer.Option(help="The most fine-tunings to spend (200), or the time (4h).")] = None,
    require_signal: Annotated[
        bool, typer.Option("--require-signal", help="Fail where the values can't be told from noise.")
    ] = False,
    require_better: Annotated[
        bool, typer.Option("--require-better", help="Fail where the rows are not shown to beat random ones.")
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
        test_dataset: What the kept rows are compared with random ones on.
        model: A Hub id or a path.
        embedder: A sentence-transformers model, or ``"lexical"``.
        clusterer: A clusterer's name, or a column's.
        features: Names of features to cluster by, beside the embedding.
        proxies_per_cluster: Rows that stand for a cluster.
        proxy_sets: Disjoint sets of such rows.
        objective: An objective's name.
        constraint: Columns with tolerances, as ``column=0.01`` or ``column=0.01:random``.
        warmup: Rows outside the game to train on beforehand.
        estimator: An estimator's name; ``"none"`` to play no game.
        sampler: A sampler's name.
        method: ``"shapley"`` or ``"race"``.
        merit: How rows of a cluster are ranked; ``"none"`` for random ones.
        budget: Fine-tunings, or a time.
        require_signal: Whether values that can't be told from noise are an error.
        require_better: Whether rows that are not shown to be better than random ones are an error.
        seed: The seed of every draw.
        ledger: The file that outcomes are written to and resumed from.
        columns: Where parts of a row are, as ``part=column``.
        eval_columns: The same for the evaluation dataset alone.
        drop_invalid: Whether unreadable rows are left out.
        debug: Whether errors show their traceback.
    """
    from shed_hf.embedding.encoders import DEFAULT_EMBEDDER

    with errors_in_one_line(debug):
        arguments = {
            "dataset": dataset,
            "size": size_from(size),
            "split": split,
            "eval_dataset": eval_dataset,
            "test_dataset": test_dataset,
            "model": model,
            "embedder": DEFAULT_EMBEDDER if embedder is None else embedder,
            "clusterer": clusterer,
            "features": tuple(features) if features else None,
            "proxies_per_cluster": proxies_per_cluster,
            "proxy_sets": proxy_sets,
            "objective": objective,
            "constraints": constraints_from(constraint),
            "warmup": warmup,
            "estimator": None if estimator == "none" else estimator,
            "sampler": sampler,
            "method": method,
            "merit": None if merit == "none" else merit,
            "budget": number_or_text(budget),
            "require_signal": require_signal,
            "require_better": require_better,
            "seed": seed,
            "ledger": ledger,
            "columns": columns_from(columns, "--columns"),
            "eval_columns": columns_from(eval_columns, "--eval-columns"),
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
