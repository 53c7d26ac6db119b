"""What `curate` was told, by keywords and in writing, as one `Request`."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from shed_hf.clustering.clusterers import CLUSTERERS, Agglomerative, Clusterer, Given, KMeans
from shed_hf.config.error_lines import naming_lines
from shed_hf.config.parts import check_fields, part_from, tolerances_of
from shed_hf.config.recipe_file import WrittenSettings, name_hint
from shed_hf.config.setting import shown
from shed_hf.config.shed_config import DESTINATIONS, SETTINGS_BY_NAME, TUNING_NAMES, Part, ShedConfig
from shed_hf.curation.race import Race
from shed_hf.curation.request import Request
from shed_hf.curation.sources import is_recipe, settings_from_args
from shed_hf.curation.written_arguments import PYTHON_ONLY, as_written
from shed_hf.embedding.encoders import Encoder
from shed_hf.embedding.row_features import Features
from shed_hf.errors import InputError
from shed_hf.errors.safe_text import one_line
from shed_hf.estimators import BanzhafMSR, Estimator, Hierarchical, LeastSquares
from shed_hf.estimators.no_game import plays
from shed_hf.estimators.registry import estimator_from
from shed_hf.evaluation.constraints import Constraints
from shed_hf.evaluation.item_groups import Grouped
from shed_hf.evaluation.objectives import Objective
from shed_hf.game.utility import TrainableUtility, Utility
from shed_hf.sampling.registry import AUTO, AnySampler
from shed_hf.utils.naming import plain
from shed_hf.utils.warn import warn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from shed_hf.finetuning.fine_tune import FineTune

Columns = Mapping[str, str | None]


class CurateArguments(TypedDict, total=False):
    """The keywords of `curate`: the fields of `ShedConfig`, which also take objects, and ``utility``.

    Attributes:
        utility: What measures a set of rows: ``"fine-tune"``, the default, ``FineTune(…)``, ``TrainerUtility(…)``, or a
            callable from a list of m arrays of row numbers to outcomes ``(m, n_items)``, higher is better.
    """

    split: str | None
    columns: Columns | None
    eval_dataset: Any
    eval_columns: Columns | None
    test_dataset: Any
    drop_invalid: bool
    sampler: "Part | AnySampler | Given"
    merit: "str | NDArray[Any] | None"
    constraints: "Constraints | Mapping[str, float | str] | None"
    require_signal: bool
    require_better: bool
    budget: int | str | None
    n_coalitions: int | None
    proxies_per_cluster: int | None
    proxy_sets: int
    warmup: int
    ledger: str | os.PathLike[str] | None
    report_to: str | Sequence[str] | None
    method: "Part | Race"
    embedder: "Part | Encoder | NDArray[Any]"
    clusterer: "Part | Clusterer | Any"
    n_clusters: int | None
    features: "Part | Sequence[str] | Features | None"
    estimator: "Part | Estimator | None"
    objective: "Part | Objective | Grouped | None"
    seed: int
    model: "str | PreTrainedModel | None"
    precision: str
    learning_rate: float | None
    num_train_epochs: int | None
    lr_scheduler_type: str | None
    warmup_steps: int | None
    weight_decay: float | None
    max_grad_norm: float | None
    optim: str | None
    per_device_train_batch_size: int | None
    gradient_accumulation_steps: int | None
    gradient_checkpointing: bool | None
    max_length: int | None
    lora_r: int | None
    lora_alpha: int | None
    lora_dropout: float | None
    lora_target_modules: str | Sequence[str] | None
    sft_config: Mapping[str, Any] | None
    lora_config: Mapping[str, Any] | None
    coalitions_per_batch: int | None
    utility: "str | FineTune | Utility | TrainableUtility"


Args = ShedConfig | WrittenSettings | str | os.PathLike[str] | None
"""What ``args=`` takes."""


def defaults() -> dict[str, Any]:
    """The keywords of `curate` with their defaults.

    Returns:
        A new dict, without ``dataset`` and ``size``.
    """
    known = {name: setting.default for name, setting in SETTINGS_BY_NAME.items() if name not in ("dataset", "size")}
    return {**known, **PYTHON_ONLY}


def request_of(function: str, dataset: Any, size: Any, args: Args, given: Mapping[str, Any]) -> Request:
    """The request that a call makes: what is written in ``args``, and what was passed beside it, which counts more.

    Args:
        function: The name of the function that was called, for errors.
        dataset: The rows; None for those that ``args`` names.
        size: How many rows to keep; ``"auto"`` leaves it to ``args``.
        args: A `ShedConfig`, a recipe file, or the folder or repository of a result.
        given: The other keywords that were passed.

    Returns:
        The request.

    Raises:
        InputError: For what cannot be used.
        HubError: For a repository that cannot be reached.
        TypeError: For a keyword that there is not, naming the nearest.
    """
    _check_known(function, given)
    if args is None and is_recipe(size):
        args, size = size, AUTO
    if args is None and isinstance(dataset, str | os.PathLike) and str(dataset).lower().endswith((".yaml", ".yml")):
        raise InputError(f"dataset={str(dataset)!r} is a recipe, not rows; pass args={str(dataset)!r}")
    written = settings_from_args(args)
    kept = {name: value for name, value in written.values.items() if name in DESTINATIONS}
    if kept and not isinstance(args, WrittenSettings):
        warn(
            f"{', '.join(kept)} in {written.name} are for the shell: {function}() returns the result, which "
            "save_to_disk and push_to_hub keep"
        )
    passed = {
        **given,
        **({} if dataset is None else {"dataset": dataset}),
        **({} if _is_auto(size) else {"size": size}),
    }
    _check_complete(written, passed)
    merged = {**written.values, **passed}
    arguments = {"size": AUTO, **{name: value for name, value in merged.items() if name not in DESTINATIONS}}
    lines = written.places(passed)
    with naming_lines(lines, making_parts=True):
        return replace(request_from(arguments, as_written(merged)), lines=lines)


def _is_auto(size: Any) -> bool:
    return isinstance(size, str) and size == AUTO


def _check_known(function: str, given: Mapping[str, Any]) -> None:
    """Check that keywords are those of `curate`.

    Args:
        function: The name of the function that was called, for the error.
        given: The keywords.

    Raises:
        TypeError: For another keyword, naming the nearest.
    """
    known = ["size", *defaults()]
    for name in given:
        if name not in known:
            raise TypeError(f"{function}() has no argument {name!r}; {name_hint(name, known)}")


def _check_complete(written: WrittenSettings, passed: Mapping[str, Any]) -> None:
    """See that what could not be written down was passed."""
    for name, words in written.not_written.items():
        if name not in passed:
            raise InputError(
                f"{name} of {written.name} could not be written down ({one_line(words, 120)}); pass {name}="
            )
    if "dataset" not in passed and "dataset" not in written.values:
        raise InputError("there is no dataset to curate; pass one as dataset=, or args= that name one")


def request_from(arguments: Mapping[str, Any], written: WrittenSettings | None = None) -> Request:
    """The request of arguments that were put together.

    Args:
        arguments: All arguments that are not at their default, ``dataset`` and ``size`` among them.
        written: What of them could be written down, to be noted beside the ledger; None to note nothing.

    Returns:
        The request, with objects in the place of mappings, ``n_clusters`` and ``n_coalitions``.

    Raises:
        InputError: For what cannot be used.
    """
    merged = {**defaults(), **{name: _as_setting(name, value) for name, value in arguments.items()}}
    tuning = {name: _setting_of(name, merged.pop(name)) for name in sorted(TUNING_NAMES)}
    n_clusters, n_coalitions = (_setting_of(name, merged.pop(name)) for name in ("n_clusters", "n_coalitions"))
    for name in ("embedder", "clusterer", "features", "estimator", "objective", "sampler"):
        if isinstance(merged[name], Mapping):
            with _naming_the_argument(name, merged[name]):
                merged[name] = part_from(name, _setting_of(name, merged[name]))
    if n_clusters is not None:
        merged["clusterer"] = _clusterer(merged["clusterer"], n_clusters)
    if n_coalitions is not None:
        merged["estimator"] = _estimator(merged["estimator"], n_coalitions)
    if isinstance(merged["method"], Mapping):
        with _naming_the_argument("method", merged["method"]):
            merged["method"] = _race(_setting_of("method", merged["method"]))
    merged["constraints"] = _tolerances(merged["constraints"])
    changed = {name: value for name, value in tuning.items() if value != SETTINGS_BY_NAME[name].default}
    return Request(**merged, tuning=changed, written=written)


_COLLECTIONS = ("columns", "eval_columns", "constraints", "features", "report_to")
"""Arguments whose mappings and lists are settings."""


def _as_setting(name: str, value: Any) -> Any:
    """A word, a number or a short collection as `ShedConfig` and files read it, so that "10" and "none" mean the same.

    What the setting does not take is left to the checks of each part, which know what would be right there.
    """
    said = value.item() if isinstance(value, np.generic) else value
    collected = isinstance(said, Mapping | list | tuple) and name in _COLLECTIONS
    if name not in SETTINGS_BY_NAME or not (isinstance(said, str | bool | int | float) or collected):
        return value
    try:
        return SETTINGS_BY_NAME[name].read(said)
    except ValueError:
        return value


def _setting_of(name: str, value: Any) -> Any:
    try:
        return SETTINGS_BY_NAME[name].read(plain(value))
    except ValueError as error:
        raise InputError(f"{name}={shown(value)} is not {error}; pass one that is, or leave it out") from None


@contextmanager
def _naming_the_argument(name: str, entry: Mapping[str, Any]) -> Iterator[None]:
    """Errors of a part name the argument before its field."""
    try:
        yield
    except InputError as error:
        message = str(error)
        field = message.partition("=")[0]
        own = f"{name}." if field in entry else "" if message.startswith(name) else f"{name}: "
        raise InputError(f"{own}{message}") from error


def _clusterer(clusterer: Any, n_clusters: int) -> Clusterer:
    made = CLUSTERERS[clusterer]() if isinstance(clusterer, str) and clusterer in CLUSTERERS else clusterer
    if not isinstance(made, KMeans | Agglomerative):
        raise InputError(
            f'n_clusters={n_clusters} goes with clusterer="kmeans" or "agglomerative", and clusterer is '
            f"{shown(clusterer)}; leave one of them out, or pass clusterer=KMeans({n_clusters})"
        )
    return replace(made, n_clusters=n_clusters)


def _estimator(estimator: Any, n_coalitions: int) -> Estimator:
    made = estimator_from(estimator) if isinstance(estimator, str) or estimator is None else estimator
    if not plays(made):
        raise InputError(
            f"n_coalitions={n_coalitions} is about a game, and estimator=None plays none; leave one of them out"
        )
    if not isinstance(made, LeastSquares | Hierarchical | BanzhafMSR):
        raise InputError(
            f'n_coalitions={n_coalitions} goes with estimator="least-squares", "hierarchical" or "banzhaf", and '
            f"estimator is {shown(estimator)}; leave it out, and pass budget={n_coalitions} as the most fine-tunings"
        )
    return replace(made, n_coalitions=n_coalitions)


def _race(entry: Mapping[str, Any]) -> Race:
    fields = {name: value for name, value in entry.items() if name != "name"}
    if entry["name"].lower() != "race":
        raise InputError(
            f"method is {dict(entry)!r:.100}; as a mapping it has the name Race, candidates, budget, level"
        )
    check_fields("method", "Race", fields, ("candidates", "budget", "level"))
    if isinstance(fields.get("candidates"), Sequence) and not isinstance(fields["candidates"], str):
        fields["candidates"] = [
            part_from("sampler", each) if isinstance(each, Mapping) and "name" in each else each
            for each in fields["candidates"]
        ]
    return Race(**fields)


def _tolerances(constraints: Any) -> Any:
    """Tolerances that are text, such as ``0.01:random``, as objects."""
    if not isinstance(constraints, Mapping) or not any(isinstance(given, str) for given in constraints.values()):
        return constraints
    return tolerances_of(_setting_of("constraints", constraints))
