"""`shed-hf report`."""

import json
from typing import Annotated

import typer

from shed_hf.cli.config_file import takes_file
from shed_hf.cli.results import check_private, check_there, load_result
from shed_hf.cli.shell import AsJson, Debug, command, errors_in_one_line


@command()
@takes_file()
def report(
    result: Annotated[str, typer.Argument(help="A folder that curate saved, or a repository that it published.")],
    output: Annotated[
        str | None,
        typer.Option(
            help="The page to write, where an earlier report is replaced; by default report.html, or a name after "
            "RESULT where report.html is not of this result."
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="The dataset that was curated, for texts of rows that were not kept.")
    ] = None,
    push_to_hub: Annotated[str | None, typer.Option(help="A static Space to publish the report as.")] = None,
    private: Annotated[
        bool | None, typer.Option(help="Whether a new Space is private; by default unless the source is public.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write RESULT as one page that opens without a network: verdict, clusters, map, rows, cost and recipe.

    \f
    Args:
        result: A folder or a repository.
        output: The page to write; None for a name that overwrites no report of another result.
        source: What was curated.
        push_to_hub: The Space to publish it as.
        private: Whether a new Space is private.
        as_json: Whether to print JSON.
        debug: Whether errors show their traceback.
    """
    from shed_hf.distributed.launch import is_main
    from shed_hf.report.page import free_path

    if not is_main():
        return
    with errors_in_one_line(debug):
        check_there(result)
        check_private(private, push_to_hub)
        curated = load_result(result, source)
        places = {"report": curated.report(free_path(curated) if output is None else output)}
        if push_to_hub is not None:
            places["space"] = curated.push_report_to_hub(push_to_hub, private=private)
    if as_json:
        print(json.dumps(places))
        return
    print(f"written to {places['report']}; open it in a browser")
    if "space" in places:
        print(f"published as {places['space']}")
