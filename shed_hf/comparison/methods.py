"""Methods of a comparison: what the caller names as a way to choose rows, and what each of them needs."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from shed_hf.clustering.clusterers import Given
from shed_hf.curated_dataset import CuratedDataset
from shed_hf.curation.request import Request
from shed_hf.errors import InputError
from shed_hf.estimators.budget import FineTunings, parse_budget
from shed_hf.estimators.no_game import plays
from shed_hf.estimators.registry import estimator_from
from shed_hf.sampling.registry import PRESETS, SAMPLERS, SELECTORS, sampler_from
from shed_hf.sampling.samplers import QOCS, Random, Sampler
from shed_hf.sampling.selectors import Full, Need, RowSelector, RowSignals, Selection, TakesAnySize
from shed_hf.utils.checks import check_known, check_takes, is_listed
from shed_hf.utils.naming import bare_name, plain, to_recipe_entry
from shed_hf.utils.nearest import unknown_name

if TYPE_CHECKING:
    from datasets import Dataset

UNTUNED, RANDOM, FULL, SHED = "untuned", "random", "full", "shed"
"""The names of the lines that every comparison has, and of the default's choice."""


ALIASES = {
    "dq": "dataset-quantization",
    "credit": "credit-coverage",
    "rs": "random",
    "all": "full",
}
"""Other names of methods; "rs" is the paper's random selection, and "all" are all rows."""


LEAST_PLAYERS = 2
"""A game of fewer clusters values nothing."""


DEFAULT_METHODS = (SHED, RANDOM, "retrieval", "dsir")


class ChoosesRows(Protocol):
    """A way of one's own to choose: positions of ``size`` different rows of ``rows``, those that may be chosen."""

    def __call__(self, rows: "Dataset", size: int, rng: np.random.Generator, /) -> Any: ...


@dataclass(frozen=True)
class RandomRows(TakesAnySize):
    """Draws rows with equal probability, anew for every seed."""

    @property
    def needs(self) -> frozenset[Need]:
        """Nothing."""
        return frozenset()

    @property
    def paper(self) -> str:
        """Random rows."""
        return "random rows"

    def select(self, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection:
        """Draw rows uniformly without replacement.

        Args:
            signals: The rows.
            size: How many to draw.
            rng: Draws them.

        Returns:
            The choice.
        """
        return Selection(rng.choice(len(signals), size=size, replace=False).astype(np.int64))


@dataclass(frozen=True)
class BySelector:
    """Rows by what is known of each.

    Attributes:
        selector: What chooses.
    """

    selector: RowSelector

    def described(self) -> dict[str, Any]:
        """The selector, as plain data."""
        return to_recipe_entry(self.selector)


@dataclass(frozen=True)
class ByGame:
    """Rows of clusters by their values: the game is played once for each model and choosing seed, for all sizes.

    Attributes:
        sampler: What draws rows from valued clusters.
        arguments: Arguments of `curate` for the game, beside those of the whole comparison.
    """

    sampler: Sampler
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """The sampler and the game's own arguments, as plain data."""
        return {"sampler": to_recipe_entry(self.sampler), **{name: plain(one) for name, one in self.arguments.items()}}


@dataclass(frozen=True)
class ByCallable:
    """Rows that a callable of the caller's chooses, for every size and seed anew.

    Attributes:
        function: What chooses.
    """

    function: ChoosesRows

    def described(self) -> dict[str, Any]:
        """The callable, by its name."""
        return {"name": bare_name(self.function)}


@dataclass(frozen=True, eq=False)
class ByResult:
    """Rows of a result of `curate`, resampled to every size.

    Attributes:
        curated: The result.
    """

    curated: CuratedDataset

    def described(self) -> dict[str, Any]:
        """The result's sampler and estimator, as plain data."""
        recipe = self.curated.recipe
        return {"name": "CuratedDataset", "sampler": recipe["sampler"], "estimator": recipe["estimator"]}


@dataclass(frozen=True)
class BySize:
    """Rows that `curate` keeps when it is called once for every size.

    Attributes:
        arguments: Arguments of `curate`, beside those of the whole comparison.
    """

    arguments: Mapping[str, Any]

    def described(self) -> dict[str, Any]:
        """The arguments, as plain data."""
        return {name: plain(one) for name, one in self.arguments.items()}


Method: TypeAlias = BySelector | ByGame | ByCallable | ByResult | BySize
"""One way to choose rows."""


def methods_from(asked: Any) -> dict[str, Method]:
    """The methods that a caller names.

    Args:
        asked: A list of names and objects, or a dict from names of the caller's to them; or a single one.

    Returns:
        Methods by name, in the caller's order, with ``random`` and ``full`` among them; ``untuned`` needs no method.

    Raises:
        InputError: For no method, an unknown one, and two of one name.
    """
    found: dict[str, Method] = {}
    for name, one in _named(asked):
        if name == UNTUNED and one == UNTUNED:
            continue
        if name in found or name == UNTUNED:
            raise InputError(
                f"methods= has two of the name {name!r}; give each its own name, as in methods={{{name!r}: …, "
                f"{name + ' 2'!r}: …}}"
            )
        found[name] = method_from(one, name)
    _check_lines(found)
    if not found:
        raise InputError('methods= names no way to choose rows; pass some, as in ["shed", "random", "retrieval"]')
    return {**found, **{name: line for name, line in _LINES.items() if name not in found}}


def check_methods(methods: Mapping[str, Method], common: Mapping[str, Any]) -> None:
    """Refuse games that no budget of theirs could play, before anything is loaded.

    Args:
        methods: The methods by name.
        common: The arguments of `curate` that all methods share.

    Raises:
        InputError: For an estimator or a budget that cannot be used.
    """
    for method in methods.values():
        if isinstance(method, ByGame | BySize):
            given = {**common, **method.arguments}
            estimator, budget = estimator_from(given["estimator"]), parse_budget(given["budget"])
            if plays(estimator) and isinstance(budget, FineTunings):
                estimator.cost(LEAST_PLAYERS, budget.count)


def names_asked(asked: Any) -> list[str]:
    """The names of the methods that a caller names, without the lines that every table has anyway.

    Args:
        asked: As in `methods_from`.
    """
    return [name for name, _ in _named(asked)]


_LINES: dict[str, Method] = {RANDOM: BySelector(RandomRows()), FULL: BySelector(Full())}


def _check_lines(found: Mapping[str, Method]) -> None:
    for name, line in _LINES.items():
        if name in found and found[name] != line:
            raise InputError(f"methods= has another method under the name {name!r}, which is a line of every table")


def _named(asked: Any) -> list[tuple[str, Any]]:
    if isinstance(asked, Mapping):
        wrong = [name for name in asked if not isinstance(name, str) or not name.strip()]
        if wrong:
            raise InputError(f"methods= has the key {wrong[0]!r}, which is no name; name every method by some text")
        return [(name.strip(), one) for name, one in asked.items()]
    if isinstance(asked, str | CuratedDataset) or not is_listed(asked):
        asked = [asked]
    return [(_name_of(one), one) for one in asked]


def _name_of(one: Any) -> str:
    if isinstance(one, str):
        name = one.strip().lower()
        return RANDOM if name == "rs" else FULL if name == "all" else name
    if isinstance(one, Mapping):
        raise InputError(f"methods= has arguments of curate without a name; pass {{'my name': {dict(one)!r}}}")
    if isinstance(one, Random):
        return RANDOM
    if isinstance(one, Full):
        return FULL
    if isinstance(one, Given | CuratedDataset):
        return "given" if isinstance(one, Given) else "curated"
    named = one if hasattr(one, "__name__") else type(one)
    return str(getattr(named, "__name__", "method")) if not _has_fields(one) else repr(one)


def _has_fields(one: Any) -> bool:
    """Whether a repr says more of a sampler or selector of this package than its class does."""
    return type(one).__module__.startswith("shed_hf.") and not isinstance(one, type)


def method_from(asked: Any, name: str) -> Method:
    """The method that a name or an object stands for.

    Args:
        asked: A name of a method, a sampler, a selector, ``Given(rows)``, a result of `curate`, a dict of arguments of
            `curate`, or a callable of the caller's.
        name: What the caller calls it, for errors.

    Returns:
        The method.

    Raises:
        InputError: For anything else.
    """
    if isinstance(asked, str):
        return _of_name(asked)
    if isinstance(asked, CuratedDataset):
        return ByResult(asked)
    if isinstance(asked, Mapping):
        return _of_arguments(asked, name)
    if isinstance(asked, Given | RowSelector):
        return _of_sampler(asked)
    if isinstance(asked, type) or not callable(asked):
        raise InputError(
            f"methods= has {name!r}, a {type(asked).__name__}; pass one of {_names()}, a sampler, a selector, "
            "Given(rows), a result of curate, a dict of arguments of curate, or a callable (rows, size, rng) -> row "
            "numbers"
        )
    if _is_sampler(asked):
        return _of_sampler(asked)
    check_takes("methods", asked, "rows", "size", "rng")
    return ByCallable(asked)


def _of_name(asked: str) -> Method:
    name = asked.strip().lower()
    name = ALIASES.get(name, name)
    if name == SHED:
        return ByGame(QOCS())
    if name not in SAMPLERS and name not in SELECTORS and name not in PRESETS:
        several = [each.strip() for each in asked.split(",") if each.strip()]
        if len(several) > 1:
            raise InputError(
                f"methods={asked!r} is not one method but {len(several)} in one text; pass a list of them, "
                f"methods={several!r}"
            )
        raise InputError(unknown_name("methods", asked, _names(), "objects"))
    return _of_sampler(name)


def _names() -> list[str]:
    return sorted({SHED, UNTUNED, *SAMPLERS, *SELECTORS, *PRESETS, *ALIASES})


def _of_sampler(asked: Any) -> Method:
    sampler = sampler_from(asked)
    if isinstance(sampler, RowSelector):
        needs: frozenset[str] = sampler.needs
        return BySize({"sampler": sampler}) if "outcomes" in needs else BySelector(sampler)
    return BySelector(RandomRows()) if isinstance(sampler, Random) else ByGame(sampler)


_OF_THE_COMPARISON = ("dataset", "size", "eval_dataset", "model", "utility", "objective", "ledger", "seed")


def _of_arguments(arguments: Mapping[str, Any], name: str) -> Method:
    taken = [argument for argument in _OF_THE_COMPARISON if argument in arguments]
    if taken:
        raise InputError(
            f"methods= has {name!r} with {taken[0]}=, which is the same for all methods; pass it to compare"
        )
    check_known(
        arguments, set(Request.__dataclass_fields__) - {*_OF_THE_COMPARISON, "test_dataset"}, f"methods[{name!r}]"
    )
    rest = {argument: value for argument, value in arguments.items() if argument != "sampler"}
    sampler = sampler_from(arguments.get("sampler", QOCS()))
    if isinstance(sampler, RowSelector) or "method" in rest:
        return BySize(dict(arguments))
    return ByGame(sampler, rest)


def _is_sampler(function: Callable[..., Any]) -> bool:
    """Whether a callable takes the members of clusters, as samplers do."""
    try:
        return "members" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some functions of C have none
        return False
