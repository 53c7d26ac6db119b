"""`shed-hf verify`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from shed_hf.cli.config_file import takes_file
from shed_hf.cli.options import check_dataset, read_option
from shed_hf.cli.results import check_there, load_result
from shed_hf.cli.row_errors import row_errors_first, rows_named_by
from shed_hf.cli.shell import Debug, command, errors_in_one_line
from shed_hf.errors import InputError
from shed_hf.utils.console import say


@command()
@takes_file(model="model")
def verify(
    curated: Annotated[str, typer.Argument(help="A folder that was saved, or a repository of the Hub.")],
    test_dataset: Annotated[
        str | None, typer.Option(help="Rows that had no part in the choice: a Hub id, folder or file.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="The dataset that was curated, if not on the Hub.")] = None,
    eval_dataset: Annotated[str | None, typer.Option(help="The evaluation items that decided the choice.")] = None,
    seeds: Annotated[int, typer.Option(help="How many times the chosen rows are tuned on.")] = 5,
    draws: Annotated[int | None, typer.Option(help="How many random subsets; by default as many.")] = None,
    model: Annotated[str | None, typer.Option(help="Another model to tune: a Hub id, a path, or small.")] = None,
    full: Annotated[
        bool | None, typer.Option(help="Tune on all candidates as well; by default where that is affordable.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of draws and training orders.")] = None,
    ledger: Annotated[Path | None, typer.Option(help="Where outcomes are written, and resumed from.")] = None,
    columns: Annotated[
        list[str] | None, typer.Option(help="Where a part of a test row is, as in instruction=query.")
    ] = None,
    drop_invalid: Annotated[bool, typer.Option("--drop-invalid", help="Leave unreadable test rows out.")] = False,
    output: Annotated[str | None, typer.Option(help="A folder to save the result to, with its verdict.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Tell whether the rows of CURATED are better to tune on than random ones.

    \f
    Options are those of `CuratedDataset.verify` unless said otherwise.

    Args:
        curated: A folder, or a repository of the Hub.
        test_dataset: What tunings are measured on.
        source: The dataset that was curated.
        eval_dataset: The evaluation items.
        seeds: Tunings on the chosen rows.
        draws: Random subsets.
        model: A Hub id or a path.
        full: Whether all candidates are tuned on.
        seed: The seed of draws and training orders.
        ledger: The file that outcomes are written to and resumed from.
        columns: Where parts of a test row are, as ``part=column``.
        drop_invalid: Whether unreadable test rows are left out.
        output: The folder that the result with its verdict is saved to.
        as_json: Whether the verdict is printed as JSON.
        debug: Whether errors show their traceback.
    """
    with errors_in_one_line(debug):
        arguments = {
            "test_dataset": test_dataset,
            "eval_dataset": eval_dataset,
            "seeds": seeds,
            "draws": draws,
            "model": model,
            "full": "auto" if full is None else full,
            "seed": seed,
            "ledger": ledger,
            "columns": read_option("columns", columns),
            "drop_invalid": drop_invalid,
        }
        _verify(curated, source, arguments, output, as_json)


def _verify(name: str, source: str | None, arguments: dict[str, Any], output: str | None, as_json: bool) -> None:
    from shed_hf.distributed.launch import is_main
    from shed_hf.storage.curated_folder import check_free

    check_there(name)
    if arguments["test_dataset"] is None:
        raise InputError("there is nothing to measure on; pass --test-dataset with rows that had no part in the choice")
    for each in ("test_dataset", "eval_dataset"):
        check_dataset(arguments[each], each)
    check_dataset(source, "source")
    if output is not None:
        columns = arguments["columns"]  # by default they are the recipe's that are there
        with row_errors_first(*([] if columns is None else [rows_named_by(arguments, "test_dataset", columns)])):
            check_free(output)
    curated = load_result(name, source)
    verdict = curated.verify(**arguments)
    if not is_main():
        return
    print(json.dumps(verdict.as_json()) if as_json else verdict)
    if output is None:
        say("the verdict is not saved; --output FOLDER saves the result with it, for its report and its card")
    else:
        curated.save_to_disk(output)
