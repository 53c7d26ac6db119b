"""`shed-hf resample` and `shed-hf reestimate`: other rows, or other values, from what was measured."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from shed_hf.cli.config_file import takes_file
from shed_hf.cli.options import AS_BEFORE, as_part, read_options, with_options
from shed_hf.cli.results import Places, check_places, check_there, keep_and_tell, load_result
from shed_hf.cli.shell import AsJson, Debug, command, errors_in_one_line
from shed_hf.config.shed_config import DESTINATIONS, WAYS_TO_CHOOSE
from shed_hf.errors import InputError

if TYPE_CHECKING:
    from shed_hf.curated_dataset import CuratedDataset

Result = Annotated[str, typer.Argument(help="A folder that curate saved, or a repository that it published.")]
Source = Annotated[str | None, typer.Option(help="The dataset that was curated, where it is not on the Hub.")]


@command()
@takes_file()
@with_options(
    "size", "sampler", "constraints", "seed", *DESTINATIONS,
    defaults={"size": "", "sampler": AS_BEFORE, "constraints": AS_BEFORE, "seed": AS_BEFORE},
    helps={
        "size": "How much to keep: a number of rows (500) or a share (0.1, 10%). Must be passed.",
        "sampler": WAYS_TO_CHOOSE, "seed": "The seed of the draw.",
    },
)  # fmt: skip
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
        check_there(result)
        settings = read_options(given)
        if "size" not in settings:
            raise InputError("pass how many rows to keep as --size, such as 500, 0.1 or 10%")
        places = _places(settings)
        size = settings.pop("size")
        settings |= {name: as_part(name, settings[name]) for name in settings.keys() & {"sampler", "constraints"}}
        _keep_and_say(load_result(result, source).resample(size, **settings), places, as_json)


@command()
@takes_file(budget="budget")
@with_options(
    "estimator", "budget", "sampler", *DESTINATIONS,
    defaults={"estimator": "", "sampler": AS_BEFORE},
    helps={
        "estimator": "What values clusters: least-squares, regression-adjusted, banzhaf, permutation, exact, shed. "
        "Must be passed.",
        "budget": "The most measured sets of clusters to use (200), for estimators that ask for some.",
        "sampler": WAYS_TO_CHOOSE,
    },
)  # fmt: skip
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
        check_there(result)
        settings = read_options(given)
        if settings.get("estimator") is None:
            raise InputError("pass what values clusters as --estimator, such as banzhaf")
        places = _places(settings)
        estimator = as_part("estimator", settings.pop("estimator"))
        settings |= {name: as_part(name, settings[name]) for name in settings.keys() & {"sampler"}}
        _keep_and_say(load_result(result, source).reestimate(estimator, **settings), places, as_json)


def _keep_and_say(again: "CuratedDataset", places: Places, as_json: bool) -> None:
    """Tell what is kept now, as `curate` does, and keep it."""
    from shed_hf.distributed.launch import is_main
    from shed_hf.results.summary import summary
    from shed_hf.utils.console import say

    if is_main():
        say(summary(again))
    keep_and_tell(again, places, as_json)


def _places(settings: dict[str, Any]) -> Places:
    """Takes where a result is kept out of the settings, once it is seen that it can be."""
    output, repository, private = (settings.pop(name, None) for name in DESTINATIONS)
    check_places(output, repository, private, needed=True)
    return output, repository, private
