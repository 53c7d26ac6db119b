"""`shed-hf plan`."""

import dataclasses
import json
from typing import Annotated, Any

import typer

from shed_hf.cli.options import ALL, Config, Dataset, settings_from, with_options
from shed_hf.cli.shell import AsJson, Debug, command, errors_in_one_line
from shed_hf.cli.shell_words import in_shell_words


@command()
@with_options(*ALL)
def plan(
    dataset: Dataset = None,
    *,
    pilot: Annotated[
        int, typer.Option(help="How many fine-tunings to make now, 0 or at least 8, to tell how reliable it will be.")
    ] = 0,
    config: Config = None,
    as_json: AsJson = False,
    debug: Debug = False,
    **given: Any,
) -> None:
    """Say what curating DATASET with the same options would take: fine-tunings, tokens, time, memory.

    \f
    Args:
        dataset: A Hub id, a folder or a file.
        pilot: How many coalitions to measure now.
        config: A recipe file, or the folder or repository of a result.
        as_json: Whether to print one JSON object instead of words.
        debug: Whether errors show their traceback.
        **given: The fields of `ShedConfig` that were passed.
    """
    with errors_in_one_line(debug):
        from shed_hf.cli.json_output import finite
        from shed_hf.curation.curate import plan as plan_of
        from shed_hf.distributed.launch import is_main

        found = plan_of(args=settings_from(config, dataset, given), pilot=pilot)
        if is_main():
            print(json.dumps(finite(dataclasses.asdict(found))) if as_json else in_shell_words(str(found)))
