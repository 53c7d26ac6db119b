"""`shed-hf compare`."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shed_hf.cli.config_file import takes_file
from shed_hf.cli.options import check_dataset, read_option, read_options, with_options
from shed_hf.cli.results import check_private
from shed_hf.cli.row_errors import Rows, row_errors_first, rows_named_by
from shed_hf.cli.shell import AsJson, Debug, command, errors_in_one_line
from shed_hf.config.shed_config import SETTINGS_BY_NAME, TUNING_NAMES
from shed_hf.errors import InputError

if TYPE_CHECKING:
    from shed_hf.comparison.comparison import Comparison
    from shed_hf.comparison.record import ComparisonRecord

SHARED = (
    "split", "columns", "eval_dataset", "eval_columns", "drop_invalid", "budget", "n_coalitions", "proxies_per_cluster",
    "proxy_sets", "ledger", "embedder", "clusterer", "n_clusters", "estimator", "objective", "seed", "precision",
    *(name for name, setting in SETTINGS_BY_NAME.items() if name in TUNING_NAMES and name != "precision"),
)  # fmt: skip
"""Settings of `curate` that all methods of a comparison share."""


@command()
@takes_file(size="sizes", sampler="methods", method="methods", model="models")
@with_options(*SHARED, "push_to_hub", "private")
def compare(
    dataset: Annotated[str, typer.Argument(help="A Hub id, a folder or a .jsonl, .json, .csv or .parquet file.")],
    *,
    test_dataset: Annotated[
        list[str] | None,
        typer.Option(help="Test items that no method chooses by, like DATASET; NAME=DATASET once for each of several."),
    ] = None,
    sizes: Annotated[
        list[str] | None, typer.Option(help="A number of rows (500) or a share (0.1, 10%); once for each.")
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(help="shed, qwcs, retrieval, rds, dsir, credit, dq, longest, ifd …; once for each."),
    ] = None,
    models: Annotated[list[str] | None, typer.Option(help="A Hub id, a path, or small; once for each.")] = None,
    seeds: Annotated[int, typer.Option(help="How many times every choice is tuned on.")] = 5,
    choosing_seeds: Annotated[int, typer.Option(help="How many games methods play that value clusters.")] = 1,
    test_objective: Annotated[
        list[str] | None, typer.Option(help="loss, choice, accuracy, contrast, macro or worst-group; once for each.")
    ] = None,
    test_columns: Annotated[list[str] | None, typer.Option(help="The same for --test-dataset alone.")] = None,
    output: Annotated[str | None, typer.Option(help="The folder to save the comparison to.")] = None,
    plot: Annotated[Path | None, typer.Option(help="The .png, .pdf or .svg to draw the comparison into.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
    **given: Any,
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
        test_objective: What is measured on test items.
        test_columns: The test datasets' columns, as ``part=column``.
        output: The folder to save the comparison to.
        plot: The picture to draw it into.
        as_json: Whether to print one JSON object instead of tables.
        debug: Whether errors show their traceback.
        **given: Settings of `curate` that all methods share, and where the comparison is published.
    """
    with errors_in_one_line(debug):
        shared = read_options(given)
        places = _Places(output, plot, shared.pop("push_to_hub", None), shared.pop("private", None))
        check_dataset(dataset)
        own = _own_arguments(test_dataset, sizes, methods, models, test_objective, test_columns)
        arguments = {**own, "seeds": seeds, "choosing_seeds": choosing_seeds, **shared}
        _compare(dataset, arguments, places, as_json)


@dataclass(frozen=True)
class _Places:
    """Where a comparison is kept.

    Attributes:
        output: The folder to save it to; None for none.
        plot: The picture to draw it into; None for none.
        push_to_hub: The repository to publish it in; None for none.
        private: Whether that is private where it is new; None for what its source is.
    """

    output: str | None
    plot: Path | None
    push_to_hub: str | None
    private: bool | None

    def check(self) -> None:
        """See that a comparison can be kept there, before anything is paid for."""
        from shed_hf.comparison.picture import format_of
        from shed_hf.comparison.storage import check_free
        from shed_hf.hub.client import check_push

        check_private(self.private, self.push_to_hub)
        if self.output is not None:
            check_free(self.output)
        if self.plot is not None:
            format_of(self.plot)
        if self.push_to_hub is not None:
            check_push(self.push_to_hub, None)

    def keep(self, comparison: "Comparison", quietly: bool) -> None:
        """Save, draw and publish a comparison, and say where it is published unless nothing is to be printed."""
        if self.output is not None:
            comparison.save_to_disk(self.output)
        if self.plot is not None:
            comparison.plot(self.plot)
        if self.push_to_hub is not None:
            address = comparison.push_to_hub(self.push_to_hub, private=self.private)
            if not quietly:
                print(f"published as {address}")


def _own_arguments(
    test_dataset: Any, sizes: Any, methods: Any, models: Any, test_objective: Any, test_columns: Any
) -> dict[str, Any]:
    """The arguments that `curate` has not, as `shed_hf.compare` takes them."""
    from shed_hf.comparison.compare import DEFAULT_SIZES
    from shed_hf.comparison.methods import DEFAULT_METHODS

    if not test_dataset:
        raise InputError("there is nothing to compare on; pass --test-dataset with items that no method chooses by")
    return {
        "test_dataset": _tests(test_dataset),
        "sizes": [read_option("size", size, "--sizes") for size in sizes] if sizes else DEFAULT_SIZES,
        "methods": methods or DEFAULT_METHODS,
        "models": models or None,
        "test_objective": test_objective or None,
        "test_columns": read_option("columns", test_columns, "--test-columns"),
    }


def _tests(given: Any) -> Any:
    """Test datasets by task, or a single one without a name; as a file has them, also as mappings."""
    from shed_hf.comparison.tasks import TEST

    if isinstance(given, Mapping):
        return given
    if len(given) == 1 and isinstance(given[0], Mapping):
        return {TEST: given[0]}
    if len(given) == 1 and ("=" not in given[0] or Path(given[0]).exists()):
        return given[0]
    found: dict[str, str] = {}
    for pair in given:
        name, sign, dataset = pair.partition("=")
        if not sign or not name.strip() or name.strip() in found:
            raise InputError(f"--test-dataset {pair!r} is not NAME=DATASET with a name of its own; pass one for each")
        found[name.strip()] = dataset
    return found


def _compare(dataset: str, arguments: dict[str, Any], places: _Places, as_json: bool) -> None:
    from shed_hf.comparison.compare import compare as compare_methods
    from shed_hf.distributed.launch import is_main

    tests = arguments["test_dataset"]
    named = list(tests.values()) if isinstance(tests, Mapping) else [tests]
    for test in named:
        check_dataset(test, "test_dataset")
    columns, test_columns = arguments.get("columns"), arguments["test_columns"]
    pool = rows_named_by({**arguments, "dataset": dataset}, "dataset", columns)
    of_tests = [Rows(test, test_columns, "test_dataset", argument="test_columns") for test in named if test_columns]
    with row_errors_first(pool, *of_tests):
        places.check()
    comparison = compare_methods(dataset, **arguments)
    if is_main():
        print(json.dumps(_plain(comparison)) if as_json else comparison)
        places.keep(comparison, quietly=as_json)


def _plain(comparison: "ComparisonRecord") -> dict[str, Any]:
    """Lines, failures and notes as JSON, with null for what is no number."""
    found = {name: part for name, part in comparison.as_json().items() if name in ("lines", "failures", "notes")}
    return {**found, "wins_and_losses": [asdict(tally) for tally in comparison.tallies]}
