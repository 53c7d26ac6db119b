"""`Race`: how a curation lets candidate subsets compete, and which candidates there are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from shed_hf.clustering.clusterers import Given
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator, InRun, RegressionAdjusted
from shed_hf.results.race import RANDOM, USUAL_LEVEL
from shed_hf.results.recipe import RacePlanEntry
from shed_hf.sampling.given_rows import GivenRows
from shed_hf.sampling.registry import PRESETS, SAMPLERS, SELECTORS, AnySampler, sampler_from
from shed_hf.sampling.samplers import Random
from shed_hf.sampling.selectors import Full, RowSelector
from shed_hf.sampling.successive_halving import schedule
from shed_hf.utils.checks import check_whole, is_finite_number
from shed_hf.utils.console import plural
from shed_hf.utils.naming import bare_name, to_recipe_entry
from shed_hf.utils.nearest import unknown_name

METHODS = ("shapley", "race")
"""Short names of the ways of deciding what is kept."""


PER_CANDIDATE = 4
"""So many fine-tunings for every candidate, and for random rows, are a race's default budget."""


LEAST_ITEMS = 16
"""With fewer evaluation items there is no race: neither half could tell one subset from another."""


Candidate: TypeAlias = "str | AnySampler | Given"


@dataclass(frozen=True)
class Race:
    """Lets candidate subsets compete, random rows among them, and keeps the one that tunes the model best.

    Half of the evaluation items rank the candidates, by successive halving: every round measures those that are left
    in some more training orders, and drops the worse half. Whatever a candidate is chosen by (nearness to evaluation
    items, credits, the values of clusters) is taken from the same half. The best is kept if it is better than random
    rows there, by an interval that is corrected for the number of candidates; else random rows are kept. The other half
    of the items has no say in any of this, and gives the verdict.

    Attributes:
        candidates: Samplers and selectors as `curate` takes them for ``sampler``, in order; of candidates that end
            equal the first is kept. None: the curation's own ``sampler``, unless it goes by outcomes on all items;
            ``"qocs"`` by the values of clusters, ``"retrieval"``, ``"rds"``, ``"credit-coverage"``, ``"dsir"``,
            ``"dataset-quantization"``, ``"longest"`` and ``"ifd"``; of more than 20,000 rows ``"extrapolated"``, for
            which the model reads a sample, in place of ``"rds"`` and ``"credit-coverage"``. Random rows always take
            part. What this curation cannot feed is left out and named.
        budget: The most fine-tunings of the race, beside those of the game that values clusters and the training run
            for credits. None: four for every candidate and for random rows.
        level: The confidence level at which the best must be better than random rows to be kept, and that of the
            verdict; 0.95 by default.

    Raises:
        InputError: For candidates, a budget or a level that cannot be used.
    """

    candidates: Sequence[Candidate] | None = None
    budget: int | None = None
    level: float = USUAL_LEVEL

    def __post_init__(self) -> None:
        if self.budget is not None:
            check_whole(budget=self.budget, otherwise="None for four a candidate")
            schedule(1, int(self.budget))
        if not is_finite_number(self.level) or not 0.5 <= self.level < 1:
            raise InputError(f"level={self.level!r} is not a confidence level in [0.5, 1); pass 0.95")
        if self.candidates is None:
            return
        if isinstance(self.candidates, str | Mapping) or not isinstance(self.candidates, Sequence):
            raise InputError(
                f'candidates={self.candidates!r:.100} is no list of samplers; pass one, as in Race(["qocs", "dsir"])'
            )
        if not self.named(Random(), large=False):
            raise InputError("candidates= names none but random rows, which take part anyway; name at least one other")

    def named(self, sampler: AnySampler, large: bool) -> dict[str, AnySampler]:
        """The candidates beside random rows, each once.

        Args:
            sampler: The curation's own sampler.
            large: Whether the pool is too large for the model to go through all of it unasked (see `is_large`).

        Returns:
            Samplers by the names they have in the race.

        Raises:
            InputError: For a candidate that is no sampler, and for all rows, which are no subset.
        """
        own = [] if _looks_at_all_items(sampler) else [sampler]
        names = list(dict.fromkeys([*SAMPLERS, "retrieval", *PRESETS, *SELECTORS]))
        usual = [*own, *(name for name in names if name not in (*_NOT_USUAL, _UNUSUAL[large]))]
        found: dict[str, AnySampler] = {}
        for candidate in usual if self.candidates is None else self.candidates:
            made = sampler_from(candidate, argument="candidates")
            if isinstance(made, Full):
                raise InputError(f"{candidate!r} takes all rows, and a race is between subsets; leave it out")
            if not isinstance(made, Random) and not any(_same(made, other) for other in found.values()):
                found[_free(_name(made), found)] = made
        return found

    def fine_tunings(self, n_candidates: int) -> int:
        """The most fine-tunings of the race.

        Args:
            n_candidates: How many candidates there are, random rows not counted.

        Returns:
            The budget that was given, or the default.
        """
        return PER_CANDIDATE * (n_candidates + 1) if self.budget is None else int(self.budget)

    def check_budget(self, n_candidates: int) -> None:
        """Refuse a budget that does not measure every candidate.

        Args:
            n_candidates: How many candidates there are, random rows not counted.

        Raises:
            InputError: For a budget below the least that they take.
        """
        if n_candidates:
            schedule(n_candidates, self.fine_tunings(n_candidates))

    def as_json(self, size: int, sampler: AnySampler, able: Iterable[AnySampler]) -> RacePlanEntry:
        """The race as its entry in a recipe.

        Args:
            size: How many rows every candidate has.
            sampler: The curation's own sampler.
            able: The candidates that this curation could feed, in order; noted where none were named, since which are
                the usual ones depends on the version and on the number of rows.
        """
        given = self.candidates
        entry: RacePlanEntry = {
            "candidates": None if given is None else [to_recipe_entry(sampler_from(each)) for each in given],
            "budget": self.budget,
            "level": self.level,
            "size": size,
            "sampler": to_recipe_entry(sampler),
        }
        if given is None:
            entry["usual"] = [to_recipe_entry(each) for each in able]
        return entry


_NOT_USUAL = ("qwcs", "random", "full", "row-values")
"""Samplers that take part only where they are named, as random rows do anyway and all rows never."""

_UNUSUAL = {False: "extrapolated", True: "rds"}
"""The same of pools that are not large, and of large ones.

What is learned from a sample stands in for what the model says of every row, and of few rows is the same.
"""


def check_items(n_items: int) -> None:
    """Refuse a race by too few evaluation items.

    Args:
        n_items: How many there are.

    Raises:
        InputError: For fewer than `LEAST_ITEMS`.
    """
    if n_items < LEAST_ITEMS:
        raise InputError(
            f'method="race" chooses by one half of the evaluation items and judges by the other, and there are '
            f'{plural(n_items, "item")}; pass an eval_dataset= of at least {LEAST_ITEMS}, or method="shapley"'
        )


def race_from(method: "str | Race") -> Race | None:
    """The race that a method stands for.

    Args:
        method: ``"shapley"``, ``"race"`` or a `Race`.

    Returns:
        The race; None for ``"shapley"``, where the sampler alone decides.

    Raises:
        InputError: For anything else.
    """
    if isinstance(method, Race):
        return method
    if not isinstance(method, str) or method not in METHODS:
        raise InputError(unknown_name("method", method, METHODS, "Race(…)"))
    return Race() if method == "race" else None


def check_ranks_by_half(estimator: Estimator) -> None:
    """Refuse an estimator whose values are of all evaluation items, where half of them must have no say.

    Args:
        estimator: What values the clusters.

    Raises:
        InputError: For one that credits the rows of a training run.
    """
    surrogate = estimator.surrogate if isinstance(estimator, RegressionAdjusted) else None
    if isinstance(estimator, InRun) or isinstance(surrogate, InRun):
        raise InputError(
            f"estimator={estimator} credits rows by all evaluation items, and in a race half of them must have no say; "
            'pass estimator="least-squares", or method="shapley"'
        )


def _looks_at_all_items(sampler: AnySampler) -> bool:
    return isinstance(sampler, RowSelector) and "outcomes" in sampler.needs


def _name(sampler: AnySampler) -> str:
    preset = next((name for name, made in PRESETS.items() if _same(sampler, made)), None)
    if preset is not None:
        return preset
    kinds: dict[str, type[AnySampler]] = {**SAMPLERS, **SELECTORS}
    for name, kind in kinds.items():
        if sampler == kind():
            return name
    return bare_name(sampler)


def _same(one: AnySampler, other: AnySampler) -> bool:
    """Whether two candidates would choose the same rows; of given rows and callables only the very object is known."""
    if one is other:
        return True
    return type(one) is type(other) and not isinstance(one, GivenRows) and bool(one == other)


def _free(name: str, taken: Mapping[str, object]) -> str:
    """The name, with a number where it is taken."""
    numbered = (name if number == 1 else f"{name} {number}" for number in range(1, len(taken) + 3))
    return next(each for each in numbered if each not in taken and each != RANDOM)
