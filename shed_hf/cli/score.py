"""`shed-hf score`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shed_hf.cli.config_file import takes_file
from shed_hf.cli.options import check_dataset
from shed_hf.cli.results import check_there, load_result
from shed_hf.cli.shell import AsJson, Debug, command, errors_in_one_line
from shed_hf.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

_WRITERS = {".jsonl": "to_json", ".json": "to_json", ".csv": "to_csv", ".parquet": "to_parquet"}


@command()
@takes_file()
def score(
    result: Annotated[str, typer.Argument(help="A folder that curate saved, or a repository that it published.")],
    new_rows: Annotated[str, typer.Argument(help="The rows to score: a Hub id, a folder or a file.")],
    output: Annotated[
        Path | None, typer.Option(help="A .jsonl, .csv or .parquet file, or a folder, to write them to.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="The split of NEW_ROWS.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Give every row of NEW_ROWS the value of the nearest cluster of RESULT.

    \f
    Args:
        result: A folder or a repository.
        new_rows: A Hub id, a folder or a file.
        output: The file or folder that rows are written to, with ``shed_cluster``, ``shed_value`` and so on.
        split: The split of the new rows.
        as_json: Whether to print one JSON object instead of words.
        debug: Whether errors show their traceback.
    """
    from shed_hf.data.loading import load_source
    from shed_hf.distributed.launch import is_main
    from shed_hf.storage.curated_folder import check_free

    if not is_main():
        return
    with errors_in_one_line(debug):
        check_there(result)
        check_dataset(new_rows, "NEW_ROWS")
        if output is None:
            raise InputError("there is no --output to write the rows to; pass a .jsonl, .csv or .parquet file")
        if output.suffix in _WRITERS and output.exists():
            raise InputError(f"{output} is there already; pass another path as --output")
        if output.suffix not in _WRITERS:
            if output.suffix:
                raise InputError(
                    f"--output {output} ends in {output.suffix!r}; pass a file that ends in {', '.join(_WRITERS)}, or "
                    "a folder whose name has no such ending"
                )
            check_free(output)
        scorer = load_result(result, None).scorer
        rows = load_source(new_rows, split, "NEW_ROWS")
        scored = rows.map(scorer, batched=True, desc="scoring")
        _write(scored, output)
        told = {"rows": len(scored), "saved_to": str(output), "values": _spread(scored["shed_value"])}
        print(json.dumps(told) if as_json else f"{told['rows']} rows with their values are in {output}")


def _write(scored: "Dataset", output: Path) -> None:
    try:
        if output.suffix in _WRITERS:
            output.parent.mkdir(parents=True, exist_ok=True)
            getattr(scored, _WRITERS[output.suffix])(str(output))
        else:
            scored.save_to_disk(str(output))
    except OSError as error:
        raise InputError(f"{output} cannot be written ({error}); pass another path as --output") from error


def _spread(values: Any) -> dict[str, float | None]:
    """The least, middle and largest value."""
    known = sorted(value for value in values if value is not None and value == value)
    if not known:
        return {"least": None, "median": None, "most": None}
    return {"least": known[0], "median": known[len(known) // 2], "most": known[-1]}
