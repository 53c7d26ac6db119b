"""Samplers and row selectors by name, from objects, and from what a recipe says of them."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from shed_hf.clustering.clusterers import Given
from shed_hf.errors import InputError
from shed_hf.sampling.dataset_quantization import DatasetQuantization
from shed_hf.sampling.dsir import DSIR
from shed_hf.sampling.extrapolated import Extrapolated
from shed_hf.sampling.given_rows import GivenRows
from shed_hf.sampling.retrieval import CreditCoverage, Retrieval
from shed_hf.sampling.row_values import RowValues
from shed_hf.sampling.samplers import QOCS, QWCS, Random, Sampler
from shed_hf.sampling.selectors import IFD, Full, Longest, RowSelector
from shed_hf.sampling.sizes import resolve_size
from shed_hf.utils.checks import check_takes
from shed_hf.utils.nearest import unknown_name
from shed_hf.utils.old_entries import with_old_defaults

AnySampler: TypeAlias = Sampler | RowSelector
"""What decides which rows are kept: by the values of clusters, or by what is known of each row."""


SAMPLERS: dict[str, type[Sampler]] = {"qocs": QOCS, "qwcs": QWCS, "random": Random}
"""Samplers of clusters by name."""


SELECTORS: dict[str, type[RowSelector]] = {
    "retrieval": Retrieval,
    "credit-coverage": CreditCoverage,
    "dsir": DSIR,
    "dataset-quantization": DatasetQuantization,
    "longest": Longest,
    "ifd": IFD,
    "full": Full,
    "row-values": RowValues,
    "extrapolated": Extrapolated,
}
"""Row selectors by name."""


PRESETS: dict[str, RowSelector] = {"rds": Retrieval(vectors="model")}
"""Names of selectors with settings other than their defaults."""


_KINDS: dict[str, type[AnySampler]] = {**SAMPLERS, **SELECTORS}


AUTO = "auto"
"""The word that leaves an argument open: what chooses rows, or how many the sampler takes."""


DEFAULT_SIZE = 0.1
"""The share of the dataset that is kept where nobody says how much."""


def sampler_from(
    name_or_object: "str | AnySampler | Given", also: Sequence[str] = (), argument: str = "sampler"
) -> AnySampler:
    """The sampler that a short name or an object stands for.

    Args:
        name_or_object: A key of `SAMPLERS`, `SELECTORS` or `PRESETS`, a `RowSelector`, `Given` rows, or any callable
            like a `Sampler`.
        also: What else the caller takes, for errors.
        argument: What errors call it: the name of the caller's argument.

    Returns:
        The sampler.

    Raises:
        InputError: For an unknown name, a class, or what cannot be called.
    """
    others = "".join(f"{name!r}, " for name in also)
    names = f"{others}one of {sorted(SAMPLERS)}, one of {sorted([*SELECTORS, *PRESETS])}, which choose single rows,"
    if isinstance(name_or_object, str):
        if name_or_object in PRESETS:
            return PRESETS[name_or_object]
        if name_or_object not in _KINDS:
            known = [*also, *sorted(SAMPLERS), *sorted([*SELECTORS, *PRESETS])]
            raise InputError(unknown_name(argument, name_or_object, known, "an object"))
        return _KINDS[name_or_object]()
    if isinstance(name_or_object, Given):
        return GivenRows(name_or_object.labels)
    if isinstance(name_or_object, type):
        raise InputError(f"{argument}={name_or_object!r} cannot be called; pass {names} or an object")
    if isinstance(name_or_object, RowSelector):
        return name_or_object
    if not callable(name_or_object):
        raise InputError(f"{argument}={name_or_object!r} cannot be called; pass {names} or an object")
    check_takes(argument, name_or_object, "values", "members", "size", "rng")
    return name_or_object


def name_of(sampler: AnySampler) -> str | None:
    """The short name that stands for a sampler.

    Args:
        sampler: What chooses.

    Returns:
        A key of `SAMPLERS`, `SELECTORS` or `PRESETS`; None for one with other settings than a name stands for.
    """
    presets = [name for name, preset in PRESETS.items() if preset == sampler]
    usual = [name for name, kind in _KINDS.items() if type(sampler) is kind and sampler == kind()]
    return next(iter([*presets, *usual]), None)


def as_passed(sampler: AnySampler) -> str:
    """A sampler as a caller would pass it, for errors.

    Args:
        sampler: What chooses.

    Returns:
        Its short name in quotes where one stands for it, else what it says of itself.
    """
    name = name_of(sampler)
    return str(sampler) if name is None else repr(name)


def shown_name(description: Mapping[str, Any]) -> str:
    """What people know a recipe's sampler by.

    Args:
        description: As `sampler_of` takes it.

    Returns:
        Its short name where it has one, else that of its class.
    """
    sampler = known_sampler(description)
    return (None if sampler is None else name_of(sampler)) or str(description["name"])


def needs_values(sampler: AnySampler) -> bool:
    """Whether a choice depends on what a game measures.

    Args:
        sampler: What chooses.

    Returns:
        False for selectors of rows that look at rows alone, and for `Random`.
    """
    if isinstance(sampler, RowSelector):
        return "outcomes" in sampler.needs
    return not isinstance(sampler, Random)


def by_values(sampler: AnySampler | None, constrained: bool = False) -> Sampler | None:
    """The sampler where clusters' values alone decide which rows it takes.

    Args:
        sampler: What chooses; None for what is not known here.
        constrained: Whether constraints over groups have a say too.

    Returns:
        The same sampler; None for selectors of single rows, for `Random`, and under constraints.
    """
    return None if sampler is None or isinstance(sampler, RowSelector | Random) or constrained else sampler


def known_sampler(description: Mapping[str, Any]) -> AnySampler | None:
    """The sampler that a recipe describes, where it is of this package.

    Args:
        description: As `sampler_of` takes it.

    Returns:
        The sampler; None for one of the caller's own, which a recipe only names.
    """
    try:
        return sampler_of(description)
    except InputError:
        return None


def sampler_of(description: Mapping[str, Any]) -> AnySampler:
    """The sampler that a recipe describes, as it was when the recipe was written.

    Args:
        description: The class's name under ``"name"``, and its fields.

    Returns:
        The sampler.

    Raises:
        InputError: For a sampler that is not of this package.
    """
    kinds = {kind.__name__: kind for kind in _KINDS.values()}
    try:
        fields = with_old_defaults(description)
        return kinds[fields.pop("name")](**fields)
    except (KeyError, TypeError) as error:
        raise InputError(f"the sampler {dict(description)} is unknown here; pass sampler=") from error


def size_asked(size: int | float | str, n_rows: int) -> int | None:
    """How many rows the caller wants.

    Args:
        size: What the caller said: ``"auto"``, or what `resolve_size` takes.
        n_rows: How many rows the dataset has.

    Returns:
        The number; None for ``"auto"``.

    Raises:
        InputError: For any other size.
    """
    return None if isinstance(size, str) and size == AUTO else resolve_size(size, n_rows)


def rows_to_choose(
    sampler: AnySampler, size: int | float | str, n_rows: int, available: int, left_out: str = ""
) -> int:
    """How many rows are chosen.

    Args:
        sampler: What chooses them.
        size: What the caller wants, as `resolve_size` takes it; ``"auto"`` for a tenth, or for as many as the sampler
            takes.
        n_rows: How many rows the dataset has.
        available: How many of them can be chosen.
        left_out: Why it is not all of them, for the error.

    Returns:
        The number.

    Raises:
        InputError: Where the sampler takes another number than was asked for, or there are too few rows.
    """
    asked = size_asked(size, n_rows)
    fixed = sampler.wanted(available) if isinstance(sampler, RowSelector) else None
    if fixed is not None:
        if asked not in (None, fixed):
            raise InputError(
                f"size={size} asks for {asked} rows, and sampler={as_passed(sampler)} "
                f"takes {fixed} of the {available} that can "
                'be chosen; pass size="auto", or another sampler='
            )
        return fixed
    wanted = resolve_size(DEFAULT_SIZE, n_rows) if asked is None else asked
    check_available(wanted, available, left_out)
    return wanted


def check_available(wanted: int, available: int, left_out: str = "") -> None:
    """Refuse to choose more rows than can be chosen.

    Args:
        wanted: How many rows are asked for.
        available: How many can be chosen.
        left_out: Why it is not all of them, for the error.

    Raises:
        InputError: Where there are too few.
    """
    if wanted > available:
        raise InputError(
            f"size={wanted} exceeds the {available} rows that can be chosen ("
            f"{left_out or 'held-out, leaking and invalid rows never are'}); pass size <= {available}"
        )
