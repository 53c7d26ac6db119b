"""Other subsets of a result, of every size, by samplers that need nothing measured anew.

The page redraws them: for each sampler it knows, at some sizes, how many rows every cluster gives, and for every row on
the page its place in the order of its cluster or of all rows. They are the rows that `CuratedDataset.resample` chooses.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from shed_hf.results.curation import Curation
from shed_hf.results.valued_pool import ValuedPool
from shed_hf.sampling.registry import AnySampler, known_sampler, shown_name
from shed_hf.sampling.samplers import QOCS, QWCS, Random, choose
from shed_hf.sampling.selectors import RowSelector
from shed_hf.types import BoolVector, FloatVector, IntVector
from shed_hf.utils.random_streams import Streams

N_SIZES = 60
"""At about how many sizes a subset can be redrawn."""

Way = Literal["best clusters", "weighted draw", "row by row", "chance"]
"""How a sampler decides: clusters from the best down, a draw in which better ones are likelier, an order of single
rows, or chance alone."""


@dataclass(frozen=True, eq=False)
class Alternative:
    """What a sampler takes at some sizes.

    Attributes:
        name: What it is called.
        argument: What `resample` is given for it, as Python; empty for the sampler of the result.
        way: How it decides.
        sizes: ``(s,)`` the sizes, ascending.
        counts: ``(s, c + 1)`` how many rows each cluster gives, noise last.
        caps: ``(s,)`` the most rows that a cluster may give; 0 where no cluster is held back by it.
        places: ``(m,)`` the place of each row of the pool from 0: in the order of all rows for ``"row by row"`` and
            ``"chance"``, else in that of its cluster. Rows that are never taken come after all others.
    """

    name: str
    argument: str
    way: Way
    sizes: IntVector
    counts: IntVector = field(repr=False)
    caps: IntVector = field(repr=False)
    places: IntVector = field(repr=False)

    def takes(self, size: int, labels: IntVector) -> BoolVector:
        """Which rows of the pool are taken.

        Args:
            size: One of the sizes.
            labels: ``(m,)`` the cluster of each row, -1 for none.

        Returns:
            ``(m,)`` True for those that are.
        """
        in_order = self.way in ("row by row", "chance")
        limits = size if in_order else self.counts[int(np.searchsorted(self.sizes, size))][labels]
        return np.asarray(self.places < limits, dtype=np.bool_)


def alternatives_of(curated: Curation) -> list[Alternative]:
    """The samplers that a result can be sampled by anew, its own first.

    Constraints over groups are not kept by them.

    Args:
        curated: The result.

    Returns:
        At least random rows.
    """
    valued, drawn = curated.valued, _Order()
    seed = curated.recipe["sampling_seed"]
    padded = np.append(valued.values, np.nan)
    choose(drawn, padded, valued.members, 1, Streams(seed).for_rows, valued.merits)
    own = known_sampler(curated.recipe["sampler"])
    found = [_row_by_row(curated, name, argument, rows) for name, argument, rows in _orders(curated, own)]
    if curated.estimate.played:
        best_first = own if isinstance(own, QOCS) else QOCS()
        weighted = own if isinstance(own, QWCS) else QWCS()
        found.append(_best_clusters(curated, best_first, "" if own is best_first else '"qocs"', drawn))
        found.append(_weighted_draw(curated, weighted, "" if own is weighted else '"qwcs"', drawn))
    found.sort(key=lambda alternative: alternative.argument != "")
    return [*found, _by_chance(curated, "" if isinstance(own, Random) else '"random"', drawn)]


class _Order:
    """A sampler that remembers the order of each cluster's rows, and the generator that a sampler is given."""

    def __init__(self) -> None:
        self.members: list[IntVector] = []
        self._rng = np.random.default_rng()

    def __call__(
        self, values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator
    ) -> IntVector:
        self.members, self._rng = list(members), copy.deepcopy(rng)
        return np.concatenate(self.members)[:size]

    @property
    def rng(self) -> np.random.Generator:
        """The generator as the sampler got it, anew for each."""
        return copy.deepcopy(self._rng)


def _orders(curated: Curation, own: AnySampler | None) -> list[tuple[str, str, IntVector]]:
    """The orders of single rows that a result knows: name, argument of `resample`, and row ids."""
    valued, recipe = curated.valued, curated.recipe
    entry, worth, found = recipe.get("row_values"), valued.worth, []
    if entry is not None and worth is not None and entry["seed"] == recipe["sampling_seed"]:
        argument = "" if entry["selector"] == recipe["sampler"] else _as_argument(entry["selector"])
        found.append((shown_name(entry["selector"]), argument, valued.pool_rows[worth.order]))
    elif isinstance(own, RowSelector) and valued.taken is not None and own.wanted(len(valued.pool_rows)) is None:
        found.append((shown_name(recipe["sampler"]), "", valued.taken))
    return found


def _as_argument(described: dict[str, object]) -> str:
    fields = ", ".join(f"{name}={value!r}" for name, value in described.items() if name != "name")
    return f"shed_hf.{described['name']}({fields})"


def _row_by_row(curated: Curation, name: str, argument: str, rows: IntVector) -> Alternative:
    return _in_order(curated, name, argument, "row by row", rows)


def _by_chance(curated: Curation, argument: str, drawn: _Order) -> Alternative:
    return _in_order(curated, "random", argument, "chance", drawn.rng.permutation(np.concatenate(drawn.members)))


def _in_order(curated: Curation, name: str, argument: str, way: Way, rows: IntVector) -> Alternative:
    """The first rows of an order of single rows."""
    valued, sizes = curated.valued, _sizes(curated, len(rows))
    places = np.full(len(valued.pool_rows), len(valued.pool_rows), dtype=np.int64)
    places[np.searchsorted(valued.pool_rows, rows)] = np.arange(len(rows))
    return Alternative(name, argument, way, sizes, _counts(valued, rows, sizes), np.zeros_like(sizes), places)


def _best_clusters(curated: Curation, sampler: QOCS, argument: str, drawn: _Order) -> Alternative:
    valued, sizes = curated.valued, _sizes(curated, len(curated.pool_rows))
    of_clusters = np.array([len(rows) for rows in drawn.members])
    values = np.append(valued.values, np.nan)
    limits = np.stack([sampler.limits(values, of_clusters, int(size)) for size in sizes])
    counts = np.stack([sampler.quotas(values, of_clusters, int(size)) for size in sizes])
    caps = np.where(limits < of_clusters, limits, 0).max(axis=1)
    return Alternative("qocs", argument, "best clusters", sizes, counts, caps, _places(valued, drawn))


def _weighted_draw(curated: Curation, sampler: QWCS, argument: str, drawn: _Order) -> Alternative:
    valued, sizes = curated.valued, _sizes(curated, len(curated.pool_rows))
    values = np.append(valued.values, np.nan)
    if sampler.by_size:  # the first rows of a longer draw are a shorter one
        counts = _counts(valued, sampler(values, drawn.members, int(sizes[-1]), drawn.rng), sizes)
    else:
        draws = [sampler(values, drawn.members, int(size), drawn.rng) for size in sizes]
        counts = np.stack([_counts(valued, rows, np.array([len(rows)]))[0] for rows in draws])
    return Alternative("qwcs", argument, "weighted draw", sizes, counts, np.zeros_like(sizes), _places(valued, drawn))


def _places(valued: ValuedPool, drawn: _Order) -> IntVector:
    """The place of each row in the order of its cluster."""
    places = np.empty(len(valued.pool_rows), dtype=np.int64)
    for rows in drawn.members:
        places[np.searchsorted(valued.pool_rows, rows)] = np.arange(len(rows))
    return places


def _counts(valued: ValuedPool, rows: IntVector, sizes: IntVector) -> IntVector:
    """How many of the first rows of an order are of each cluster, noise last ``(s, c + 1)``."""
    clusters = valued.clustering.labels[np.searchsorted(valued.pool_rows, rows)]
    n_clusters = valued.clustering.n_clusters
    shelves = np.where(clusters < 0, n_clusters, clusters)
    parts = np.split(shelves, sizes[:-1])
    return np.cumsum([np.bincount(part[: sizes[-1]], minlength=n_clusters + 1) for part in parts], axis=0)


def _sizes(curated: Curation, most: int) -> IntVector:
    """About `N_SIZES` sizes up to the most there can be, closer together where they are small, with the one kept."""
    least = max(1, len(curated.pool_rows) // 200)
    spread = np.geomspace(min(least, most), most, N_SIZES)
    sizes = np.append(np.round(spread).astype(np.int64), len(curated))
    return np.unique(sizes[sizes <= most])
