"""`shed-hf demo`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from shed_hf.cli.shell import Debug, command, errors_in_one_line


class DemoModel(StrEnum):
    """The demo's language models."""

    AUTO = "auto"
    SMOLLM2 = "smollm2"
    SMALL = "small"


@command()
def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    model: Annotated[
        DemoModel, typer.Option(help="auto is smollm2 where it can be had and takes at most 90 s here.")
    ] = DemoModel.AUTO,
    seed: Annotated[int, typer.Option(help="Which topics are damaged, and every other draw.", min=0)] = 0,
    ledger: Annotated[Path | None, typer.Option(help="Where outcomes are written, and resumed from.")] = None,
    debug: Debug = False,
) -> None:
    """Curate a small damaged pool with a real language model, and compare with random rows.

    The model is SmolLM2-135M, from the Hub's cache, the Hub or a package, or a small one that ships with shed_hf.

    \f
    Args:
        as_json: Whether to print one JSON object instead of tables.
        model: The language model; see `shed_hf.demo.run.run`.
        seed: Which topics are damaged, and every other draw.
        ledger: The file that outcomes are written to and resumed from.
        debug: Whether errors show their traceback.
    """
    with errors_in_one_line(debug):
        _demo(as_json, model, seed, ledger)


def _demo(as_json: bool, model: DemoModel, seed: int, ledger: Path | None) -> None:
    from shed_hf.demo.run import run
    from shed_hf.demo.show import show

    result = run(model.value, seed, ledger)
    if as_json:
        print(json.dumps(result.as_json()))
    else:
        show(result)
