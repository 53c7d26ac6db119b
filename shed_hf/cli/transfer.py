"""`shed-hf transfer`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from shed_hf.cli.config_file import takes_file
from shed_hf.cli.results import Private, check_places, check_there, keep, load_result
from shed_hf.cli.shell import Debug, command, errors_in_one_line


@command()
@takes_file(model="model", seed="seed", budget="budget")
def transfer(
    result: Annotated[str, typer.Argument(help="A folder that curate saved, or a repository that it published.")],
    model: Annotated[
        str | None,
        typer.Option(help="The other model: a Hub id, a path, or small; by default the same with another seed."),
    ] = None,
    budget: Annotated[int, typer.Option(help="The most fine-tunings, at least 8.")] = 16,
    seed: Annotated[int | None, typer.Option(help="The seed of the training orders.")] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="Outcomes are written beside this path, and resumed from there.")
    ] = None,
    eval_dataset: Annotated[
        str | None, typer.Option(help="What curate evaluated on, where it was not held out or is not on the Hub.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="The dataset that was curated, where it is not on the Hub.")
    ] = None,
    output: Annotated[str | None, typer.Option(help="A folder to save the result to that knows the answer.")] = None,
    push_to_hub: Annotated[str | None, typer.Option(help="The repository to publish it in.")] = None,
    private: Private = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of words.")] = False,
    debug: Debug = False,
) -> None:
    """Whether the ranking of RESULT's clusters holds for another model, by measuring a few coalitions again.

    \f
    Options are those of `shed_hf.CuratedDataset.transfer` unless said otherwise.

    Args:
        result: A folder or a repository.
        model: A Hub id or a path; None for the same model.
        budget: The most fine-tunings.
        seed: The seed of the training orders; None for one more than the curation's.
        ledger: What the name of the file begins with that outcomes are written to.
        eval_dataset: What was evaluated on.
        source: What was curated.
        output: A folder to save the result to, with the answer in it.
        push_to_hub: A repository to publish it in.
        private: Whether a new repository is private.
        as_json: Whether to print JSON.
        debug: Whether errors show their traceback.
    """
    from shed_hf.distributed.launch import is_main

    with errors_in_one_line(debug):
        check_there(result)
        check_places(output, push_to_hub, private, needed=False)
        curated = load_result(result, source)
        found = curated.transfer(
            model=model, budget=budget, seed=seed, ledger=ledger, eval_dataset=eval_dataset, source=source
        )
        if is_main():
            print(json.dumps(found.as_json()) if as_json else str(found))
        keep(curated, output, push_to_hub, private)
