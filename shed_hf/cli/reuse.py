"""`shed-hf resample` and `shed-hf reestimate`: other rows, or other values, from what was measured."""

from typing import Annotated, Any

import typer

from shed_hf.cli.config_file import takes_file
from shed_hf.cli.options import made, read_options, with_options
from shed_hf.cli.results import Places, check_places, keep_and_tell, load_result
from shed_hf.cli.shell import AsJson, Debug, app, errors_in_one_line
from shed_hf.config.shed_config import DESTINATIONS
from shed_hf.errors import InputError

Result = Annotated[str, typer.Argument(help="A folder that curate saved, or a repository that it published.")]
Source = Annotated[str | None, typer.Option(help="The dataset that was curated, where it is not on the Hub.")]


@app.command()
@takes_file
@with_options("size", "sampler", "constraints", "seed", *DESTINATIONS)
def resample(
    result: Result,
    *,
    source: Source = None,
    as_json: AsJson = False,
    debug: Debug = False,
    **given: Any,
) -> None:
    """Choose another number of rows, or by another sampler, without a fine-tuning.

    \f
    Args:
        result: A folder or a repository.
        source: What was curated.
        as_json: Whether to print one JSON object instead of words.
        debug: Whether errors show their traceback.
        **given: How rows are chosen, and where the result is kept.
    """
    with errors_in_one_line(debug):
        settings = read_options(given)
        if "size" not in settings:
            raise InputError("pass how many rows to keep as --size, such as 500, 0.1 or 10%")
        places = _places(settings)
        size = settings.pop("size")
        settings |= {name: made(name, settings[name]) for name in settings.keys() & {"sampler", "constraints"}}
        keep_and_tell(load_result(result, source).resample(size, **settings), places, as_json)


@app.command()
@takes_file
@with_options("estimator", "budget", "sampler", *DESTINATIONS)
def reestimate(
    result: Result,
    *,
    source: Source = None,
    as_json: AsJson = False,
    debug: Debug = False,
    **given: Any,
) -> None:
    """Value clusters by another estimator, from the outcomes that were measured, without a fine-tuning.

    \f
    Args:
        result: A folder or a repository.
        source: What was curated.
        as_json: Whether to print one JSON object instead of words.
        debug: Whether errors show their traceback.
        **given: How clusters are valued, and where the result is kept.
    """
    with errors_in_one_line(debug):
        settings = read_options(given)
        if settings.get("estimator") is None:
            raise InputError("pass what values clusters as --estimator, such as banzhaf")
        places = _places(settings)
        estimator = made("estimator", settings.pop("estimator"))
        settings |= {name: made(name, settings[name]) for name in settings.keys() & {"sampler"}}
        keep_and_tell(load_result(result, source).reestimate(estimator, **settings), places, as_json)


def _places(settings: dict[str, Any]) -> Places:
    """Takes where a result is kept out of the settings, once it is seen that it can be."""
    output, repository, private = (settings.pop(name, None) for name in DESTINATIONS)
    check_places(output, repository, needed=True)
    return output, repository, private
