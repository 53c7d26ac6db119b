"""The verdict from outcomes alone: chosen rows beside random ones, beside no tuning and beside all rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator

from shed_hf.errors import InputError
from shed_hf.results.verdict import LEAST_ITEMS, Difference, Kind, Verdict
from shed_hf.types import FloatMatrix, FloatVector
from shed_hf.utils.checks import check_whole
from shed_hf.utils.console import plural
from shed_hf.verification.spread import Runs, Spread

MARGIN = 0.2
"""The share of what random rows gain over no tuning whose loss counts as none, unless a margin is given."""

MOST_SEEDS = 1_000
"""More seeds than this are not advised."""

MOST_ITEMS = 1_000_000
"""More test items than this are not advised."""


@dataclass(frozen=True)
class Criterion:
    """From when on a gain is shown, and a loss counts as none.

    Attributes:
        level: The confidence level of the intervals.
        margin: The loss against random rows that counts as none; None for a fifth of what these gain over no tuning.
    """

    level: float = 0.95
    margin: float | None = None

    def __post_init__(self) -> None:
        """Checks both.

        Raises:
            InputError: For one that can't be.
        """
        if not 0.5 <= self.level < 1:
            raise InputError(f"level={self.level!r} is no confidence level; pass one from 0.5 to below 1, such as 0.95")
        if self.margin is not None and not (np.isfinite(self.margin) and self.margin >= 0):
            raise InputError(f"margin={self.margin!r} is not a loss; pass a number >= 0, in the unit of outcomes")

    def margin_beside(self, random: FloatMatrix, untuned: FloatVector) -> float:
        """The margin, as a number.

        Args:
            random: ``(draws, n_items)`` outcomes of random subsets.
            untuned: ``(n_items,)`` outcomes of the model before tuning.
        """
        if self.margin is not None:
            return self.margin
        return MARGIN * max(float((random.mean(axis=0) - untuned).mean()), 0.0)


USUAL = Criterion()


def judge(
    chosen: FloatMatrix,
    random: FloatMatrix,
    untuned: FloatVector,
    full: FloatMatrix | None = None,
    *,
    ways_tried: int = 1,
    n_deciding: int | None = None,
    criterion: Criterion = USUAL,
    rng: Generator,
) -> Verdict:
    """The verdict on chosen rows, by paired differences on the same test items.

    The spread of items, of seeds and of draws is counted, and so is how little few of them tell of it
    (`shed_hf.verification.spread`). Chosen rows count as one draw among many: rows that were drawn at random are said
    to be better in at most (1 − level) / 2 of cases. Where they were picked as the best of k choices on these items,
    the level of each interval is ``level ** (1 / k)`` (Šidák).

    Args:
        chosen: ``(seeds, n_items)`` outcomes of the chosen rows, each line with another seed of training; higher is
            better.
        random: ``(draws, n_items)`` outcomes of random subsets of the same number of rows, each with its own seed.
        untuned: ``(n_items,)`` outcomes of the model before tuning.
        full: ``(runs, n_items)`` outcomes of all candidate rows; None where they were not measured.
        ways_tried: Among how many choices the chosen rows were picked by their outcomes on these items.
        n_deciding: How many items the means rest on; None for all, fewer where only some of them count.
        criterion: From when on a gain is shown.
        rng: The source of random numbers.

    Returns:
        The verdict, without costs, unit and dropped items.

    Raises:
        InputError: For fewer than two seeds or draws, and for outcomes that are not finite or not of the same items.
    """
    _check(chosen, random, untuned, full)
    check_whole(ways_tried=ways_tried)
    level_each, n_items = criterion.level ** (1 / ways_tried), n_deciding or chosen.shape[1]
    spread = spread_over_random(chosen, random, n_items)
    of_chosen = spread.chosen
    over_random = _difference(chosen, random, spread, level_each, rng)
    beside_untuned = Spread(_items(chosen, untuned[None]), n_items, of_chosen)
    over_untuned = _difference(chosen, untuned[None], beside_untuned, level_each, rng)
    over_full = None
    if full is not None:
        beside_full = Spread(_items(chosen, full), n_items, of_chosen, others=len(full))
        over_full = _difference(chosen, full, beside_full, level_each, rng)
    margin = criterion.margin_beside(random, untuned)
    kind = _kind(over_random, over_untuned, margin, n_items)
    asks = kind in ("not shown", "no worse")
    seeds_needed = _seeds_needed(over_random.gain, spread, level_each, rng) if asks else None
    items_needed = _items_needed(over_random.gain, spread, level_each, rng) if asks else None
    hopeless = asks and seeds_needed is None and items_needed is None and over_random.gain > 0
    return Verdict(
        kind=kind,
        over_random=over_random,
        over_untuned=over_untuned,
        over_full=over_full,
        level=criterion.level,
        margin=margin,
        n_items=chosen.shape[1],
        n_seeds=len(chosen),
        n_draws=len(random),
        ways_tried=int(ways_tried),
        seeds_needed=seeds_needed,
        items_needed=items_needed,
        n_deciding=None if n_items == chosen.shape[1] else n_items,
        beyond_draws=hopeless and spread.share_beyond(over_random.gain, level_each, rng) >= criterion.level,
    )


def check_two_items(n_items: int) -> None:
    """See that there are enough test items to tell how far they differ.

    Args:
        n_items: How many there are.

    Raises:
        InputError: For fewer than two.
    """
    if n_items < 2:
        raise InputError(
            f"got {plural(n_items, 'test item')}; pass 2 or more, and {LEAST_ITEMS} for a verdict that can be made"
        )


def spread_over_random(chosen: FloatMatrix, random: FloatMatrix, n_deciding: int | None = None) -> Spread:
    """Where the spread of the mean difference between chosen rows and random ones comes from.

    Args:
        chosen: ``(seeds, n_items)`` outcomes of the chosen rows.
        random: ``(draws, n_items)`` outcomes of random subsets.
        n_deciding: How many items the means rest on; None for all.

    Returns:
        The variance in its parts.
    """
    return Spread(_items(chosen, random), n_deciding or chosen.shape[1], Runs.of(chosen), draws=Runs.of(random))


def _items(chosen: FloatMatrix, other: FloatMatrix) -> float:
    """The variance that items bring to the mean of the paired differences."""
    differences = chosen.mean(axis=0) - other.mean(axis=0)
    return float(differences.var(ddof=1)) / len(differences)


def _difference(chosen: FloatMatrix, other: FloatMatrix, spread: Spread, level: float, rng: Generator) -> Difference:
    gain = float((chosen.mean(axis=0) - other.mean(axis=0)).mean())
    half = spread.half_width(level, rng)
    return Difference(gain, gain - half, gain + half, spread.stderr)


def _kind(over_random: Difference, over_untuned: Difference, margin: float, n_items: int) -> Kind:
    found: Literal["better", "no worse", "worse", "not shown"] = "not shown"
    if n_items < LEAST_ITEMS:
        return found
    if over_random.is_worse or over_untuned.is_worse:
        return "worse"
    if over_random.is_better:
        return "better"
    return "no worse" if -over_random.low <= margin else "not shown"


def _seeds_needed(gain: float, spread: Spread, level: float, rng: Generator) -> int | None:
    """The fewest more seeds, with as many more draws, whose expected interval lies above 0."""
    widths = _Widths(spread, level, rng)
    return _fewest(lambda more: widths(more, spread.n_items) < gain, 1, MOST_SEEDS)


def _items_needed(gain: float, spread: Spread, level: float, rng: Generator) -> int | None:
    """The fewest test items whose expected interval lies above 0; None where there are as many."""
    widths, least = _Widths(spread, level, rng), max(spread.n_items, LEAST_ITEMS)
    enough = _fewest(lambda n_items: widths(0, n_items) < gain, least, MOST_ITEMS)
    return None if enough == spread.n_items else enough


class _Widths:
    """Half widths to be expected, all with the same random numbers, so that more runs or items never seem worse."""

    def __init__(self, spread: Spread, level: float, rng: Generator) -> None:
        self._spread, self._level, self._seed = spread, level, int(rng.integers(2**32))

    def __call__(self, more_runs: int, n_items: int) -> float:
        return self._spread.expected(more_runs, n_items).half_width(self._level, np.random.default_rng(self._seed))


def _fewest(is_enough: Callable[[int], bool], least: int, most: int) -> int | None:
    """The least number from ``least`` to ``most`` that is enough, where every larger one is as well."""
    if not is_enough(most):
        return None
    while least < most:
        middle = (least + most) // 2
        least, most = (least, middle) if is_enough(middle) else (middle + 1, most)
    return least


def _check(chosen: FloatMatrix, random: FloatMatrix, untuned: FloatVector, full: FloatMatrix | None) -> None:
    n_items = np.size(untuned)
    given = {"chosen": chosen, "random": random, **({} if full is None else {"full": full})}
    for name, outcomes in given.items():
        shape = np.shape(outcomes)
        if len(shape) != 2 or shape[1] != n_items or not shape[0]:
            raise InputError(f"{name} has shape {shape}, untuned has {n_items} items; pass (runs, {n_items}) outcomes")
    check_two_items(n_items)
    for name, outcomes in {"chosen": chosen, "random": random}.items():
        if len(outcomes) < 2:
            raise InputError(f"{name} has 1 run, which does not show how far runs differ; pass 2 or more")
    for name, outcomes in {**given, "untuned": untuned}.items():
        if not np.isfinite(outcomes).all():
            raise InputError(f"{name} has outcomes that are not finite; leave those runs out")
