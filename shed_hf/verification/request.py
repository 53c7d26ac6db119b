"""The arguments of one verdict as a record."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from shed_hf.errors import InputError
from shed_hf.utils.checks import check_flag, check_whole, is_one_of

MOST_TUNINGS = 10_000
"""The most tunings of one choice of rows: luck is then a hundredth of that of one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class VerdictRequest:
    """The arguments of `CuratedDataset.verify`, which documents them in full and has their defaults.

    Attributes:
        test_dataset: What tunings are measured on; None for a utility that brings its own items, unless rows
            were chosen by groups of items.
        seeds: How many times the chosen rows are tuned on.
        draws: How many random subsets are tuned on; None for as many as seeds.
        utility: What tunes and measures; None for the curation's own.
        model: Another model to tune; None for the curation's own.
        source: The dataset that was curated; None for the one at hand.
        full: Whether all candidate rows are tuned on as well; ``"auto"`` where that is affordable.
        eval_dataset: The evaluation items, where the result was read from a folder; None where they are at hand.
        columns: The test set's column for each part of a row; None where names are known.
        drop_invalid: Whether unreadable test rows are left out.
        seed: The seed of draws and training orders; None for the curation's own.
        ledger: Where outcomes are written and resumed from; None for memory.
        ways_tried: Among how many choices this one was picked on the same items.
    """

    test_dataset: Any
    seeds: int
    draws: int | None
    utility: Any
    model: Any
    source: Any
    full: bool | Literal["auto"]
    eval_dataset: Any
    columns: Mapping[str, str | None] | None
    drop_invalid: bool
    seed: int | None
    ledger: str | os.PathLike[str] | None
    ways_tried: int

    def __post_init__(self) -> None:
        """Checks the arguments that no later part checks.

        Raises:
            InputError: Naming the first that cannot be used.
        """
        check_flag(drop_invalid=self.drop_invalid)
        check_whole(ways_tried=self.ways_tried)
        check_whole(1, MOST_TUNINGS, seeds=self.seeds)
        if self.draws is not None:
            check_whole(1, MOST_TUNINGS, draws=self.draws, otherwise="None for as many as seeds")
        for name, count in (("seeds", self.seeds), ("draws", self.n_draws)):
            if count < 2:
                raise InputError(f"{name}={count} does not show how far tunings differ by luck; pass 2 or more")
        if self.seed is not None:
            check_whole(0, seed=self.seed)
        if not is_one_of(self.full, True, False, "auto"):
            raise InputError(f'full={self.full!r} is neither True, False nor "auto"; pass one of them')
        if self.ledger is not None and not isinstance(self.ledger, str | os.PathLike):
            raise InputError(f'ledger={self.ledger!r} is not a path; pass one, such as "verdict.ledger"')

    @property
    def n_draws(self) -> int:
        """How many random subsets are tuned on."""
        return self.seeds if self.draws is None else self.draws

    def measures_full(self, n_chosen: int, n_candidates: int) -> bool:
        """Whether all candidates are tuned on: where it takes no more rows than all other tunings together.

        Args:
            n_chosen: How many rows were chosen.
            n_candidates: How many could be.
        """
        affordable = n_candidates <= (self.seeds + self.n_draws) * n_chosen
        return affordable if self.full == "auto" else bool(self.full)

    def streams(self, seed: int) -> "VerdictStreams":
        """The sources of chance.

        Args:
            seed: The curation's seed.
        """
        return VerdictStreams(seed if self.seed is None else int(self.seed))


class VerdictStreams:
    """The generators of a verdict: none is one of the curation's, so that no luck of the choice comes back.

    Args:
        seed: A whole number >= 0.
    """

    _DRAWS, _TRAINING, _JUDGING = 101, 102, 103

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.training_seed = int(self._of(self._TRAINING).integers(2**31))
        self.for_judging = self._of(self._JUDGING)

    def draw(self, number: int, size: int, n_candidates: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """A random subset, the same however many are drawn.

        Args:
            number: Its number.
            size: How many rows it has.
            n_candidates: How many there are to draw from.

        Returns:
            ``(size,)`` positions among the candidates, ascending.
        """
        return np.sort(self._of(self._DRAWS, number).choice(n_candidates, size, replace=False)).astype(np.int64)

    def _of(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=key))
