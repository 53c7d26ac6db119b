"""`shed-hf curate` and `shed-hf resume`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shed_hf.cli.options import ALL, Config, Dataset, check_dataset, merged, settings_from, with_options
from shed_hf.cli.results import check_places, keep_and_tell
from shed_hf.cli.row_errors import row_errors_first, rows_named_by
from shed_hf.cli.shell import AsJson, Debug, command, errors_in_one_line
from shed_hf.config.error_lines import naming_lines
from shed_hf.config.shed_config import DESTINATIONS

if TYPE_CHECKING:
    from shed_hf.config.recipe_file import WrittenSettings


@command()
@with_options(*ALL, *DESTINATIONS)
def curate(
    dataset: Dataset = None, *, config: Config = None, as_json: AsJson = False, debug: Debug = False, **given: Any
) -> None:
    """Keep the rows of DATASET most worth fine-tuning on, and save them with their values, or publish them.

    \f
    Args:
        dataset: A Hub id, a folder or a file.
        config: A recipe file, or the folder or repository of a result.
        as_json: Whether to print one JSON object instead of words.
        debug: Whether errors show their traceback.
        **given: The fields of `ShedConfig` and `Destination` that were passed.
    """
    with errors_in_one_line(debug):
        _curate(settings_from(config, dataset, given), as_json)


@command()
@with_options(*ALL, *DESTINATIONS)
def resume(
    ledger_file: Annotated[Path, typer.Argument(metavar="LEDGER", help="The ledger of a run that was stopped.")],
    dataset: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="The dataset, where it could not be noted.")
    ] = None,
    *,
    as_json: AsJson = False,
    debug: Debug = False,
    **given: Any,
) -> None:
    """Go on with the run that LEDGER is of: the same call, with what was measured already.

    \f
    Args:
        ledger_file: The ledger.
        dataset: The dataset, where the settings beside the ledger don't say which.
        as_json: Whether to print one JSON object instead of words.
        debug: Whether errors show their traceback.
        **given: The fields of `ShedConfig` and `Destination` that were passed, in place of what was noted.
    """
    with errors_in_one_line(debug):
        from shed_hf.config.ledger_note import read_note

        _curate(merged(read_note(ledger_file), dataset, given), as_json)


def _curate(written: "WrittenSettings", as_json: bool) -> None:
    from shed_hf.curation.arguments import request_of
    from shed_hf.curation.components import check_arguments
    from shed_hf.curation.curate import curate as curate_dataset

    values = written.values
    output, repository, private = (values.get(name) for name in DESTINATIONS)
    columns, eval_columns = values.get("columns"), values.get("eval_columns")
    rows = [rows_named_by(values, "dataset", columns)]
    if eval_columns is not None:  # by default they are those of `columns` that are there
        rows += [rows_named_by(values, name, eval_columns) for name in ("eval_dataset", "test_dataset")]
    with naming_lines(written.places()):
        for name in ("dataset", "eval_dataset", "test_dataset"):
            check_dataset(values.get(name), name)
        check_arguments(request_of("curate", None, "auto", written, {}))
        with row_errors_first(*rows):
            check_places(output, repository, private, needed=True)  # before anything is paid for
    keep_and_tell(curate_dataset(args=written), (output, repository, private), as_json)
