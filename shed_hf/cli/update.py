"""`shed-hf update`."""

from pathlib import Path
from typing import Annotated

import typer

from shed_hf.cli.config_file import takes_file
from shed_hf.cli.options import as_part, check_dataset, read_option
from shed_hf.cli.results import Private, check_places, check_there, keep_and_tell, load_result
from shed_hf.cli.shell import AsJson, Debug, command, errors_in_one_line
from shed_hf.config.shed_config import WAYS_TO_CHOOSE


@command()
@takes_file(budget="budget")
def update(
    result: Annotated[str, typer.Argument(help="A folder that curate saved, or a repository that it published.")],
    new_rows: Annotated[str, typer.Argument(help="The new rows: a Hub id, a folder or a file.")],
    output: Annotated[str | None, typer.Option(help="The folder to save the new result to.")] = None,
    push_to_hub: Annotated[str | None, typer.Option(help="The repository to publish the new result in.")] = None,
    private: Private = None,
    budget: Annotated[int, typer.Option(help="The most fine-tunings of coalitions.")] = 20,
    size: Annotated[
        str | None, typer.Option(help="How much to keep: 500, 0.1 or 10%; by default as many rows as before.")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help=f"{WAYS_TO_CHOOSE} By default as before.")] = None,
    merit: Annotated[str, typer.Option(help="The order of rows within clusters: auto, as before, or none.")] = "auto",
    ledger: Annotated[Path | None, typer.Option(help="Where outcomes are written, and resumed from.")] = None,
    eval_dataset: Annotated[
        str | None, typer.Option(help="What curate evaluated on, where it was not held out or is not on the Hub.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="The dataset that was curated, where it is not on the Hub.")
    ] = None,
    drop_invalid: Annotated[bool, typer.Option("--drop-invalid", help="Leave unreadable new rows out.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Add NEW_ROWS to the pool of RESULT: what was measured is kept, and only what is new is measured.

    \f
    Options are those of `shed_hf.CuratedDataset.update` unless said otherwise.

    Args:
        result: A folder or a repository.
        new_rows: A Hub id, a folder or a file.
        output: The folder to save the new result to.
        push_to_hub: The repository to publish it in.
        private: Whether a new repository is private.
        budget: The most fine-tunings of coalitions.
        size: A number of rows or a share; None for as many as before.
        sampler: A sampler's name; None for the same.
        merit: ``"auto"``, or ``"none"`` for random rows of each cluster.
        ledger: The file that outcomes are written to and resumed from.
        eval_dataset: What was evaluated on.
        source: What was curated.
        drop_invalid: Whether unreadable new rows are left out.
        as_json: Whether to print one JSON object instead of words.
        debug: Whether errors show their traceback.
    """
    with errors_in_one_line(debug):
        check_there(result)
        check_dataset(new_rows, "NEW_ROWS")
        check_places(output, push_to_hub, private, needed=True)
        grown = load_result(result, source).update(
            new_rows,
            budget,
            size=read_option("size", size),
            sampler=as_part("sampler", sampler),
            merit=None if merit == "none" else merit,
            ledger=ledger,
            eval_dataset=eval_dataset,
            source=source,
            drop_invalid=drop_invalid,
        )
        keep_and_tell(grown, (output, push_to_hub, private), as_json)
