"""What share of the kept rows each cluster or source has, how sure that is, and what each is worth."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.clustering.clusters import NOISE
from shed_hf.errors import InputError
from shed_hf.errors.safe_text import one_line
from shed_hf.results.curation import Curation
from shed_hf.results.mixture_files import Framework, GroupRows, write_mixture
from shed_hf.results.share_errors import share_errors
from shed_hf.types import FloatVector, IntVector
from shed_hf.utils.arrays import number_or_none

if TYPE_CHECKING:
    import pandas as pd

CLUSTER = "cluster"
"""What rows are grouped by unless a column is named."""


MOST_GROUPS = 1000
"""A column of more different values names rows rather than where they come from."""


@dataclass(frozen=True)
class MixtureGroup:
    """A cluster or a source, and its part of the kept rows.

    Attributes:
        name: What it is called.
        rows: How many rows of it were kept.
        share: Its share of the kept rows.
        share_stderr: The standard error of the share; see `Mixture.error_of`.
        pool_share: Its share of the rows that could be chosen; None where those are not at hand.
        gain: What its clusters add to the utility, in units of the outcome, higher is better: the mean value of the
            clusters of its kept rows. Without a game the mean of what its rows are worth by credit; None where neither
            is known, as where rows were chosen by their nearness to the evaluation items, which is no gain.
        gain_stderr: The standard error of the gain, as if clusters' errors were independent; None where unknown.
            Without a game it is at most this.
    """

    name: str
    rows: int
    share: float
    share_stderr: float
    pool_share: float | None
    gain: float | None
    gain_stderr: float | None


@dataclass(frozen=True, eq=False)
class Mixture:
    """The groups of a choice, the largest first.

    Attributes:
        by: ``"cluster"``, or the column whose values are the groups.
        groups: The groups that have a kept row.
        error_of: What the shares' standard errors are of: ``"values"``: how far the shares vary when clusters' values
            do within their standard errors, each independently; ``"rows"``, where rows are chosen by something else or
            values have no standard errors: how far they would vary among as many rows drawn from a large pool with
            these shares.
        curation: The choice.
        places: The kept rows of each group, as positions in its dataset, the best first.
    """

    by: str
    groups: tuple[MixtureGroup, ...]
    error_of: str
    curation: Curation = field(repr=False)
    places: tuple[IntVector, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.groups)

    def __str__(self) -> str:
        gains = "" if all(group.gain is None for group in self.groups) else ", gain per group"
        lines = [f"mixture by {one_line(self.by, 40)}: share of {len(self.curation):,} kept rows{gains}"]
        width = max(len(one_line(group.name, 40)) for group in self.groups)
        for group in self.groups:
            share = f"{100 * group.share:5.1f} ± {100 * group.share_stderr:.1f} %"
            pool = "" if group.pool_share is None else f", {100 * group.pool_share:.1f} % of the pool"
            lines.append(f"  {one_line(group.name, 40):<{width}}  {share}{pool}{_gain(group)}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def to_pandas(self) -> "pd.DataFrame":
        """A line for every group.

        Returns:
            A frame with the fields of `MixtureGroup` as columns, NaN where something is not known.
        """
        import pandas as pd

        frame = pd.DataFrame([vars(group) for group in self.groups])
        return frame.astype(dict.fromkeys(("pool_share", "gain", "gain_stderr"), float))

    def to_yaml(self, framework: Framework, path: str | os.PathLike[str], *, model: str | None = None) -> Path:
        """Write a configuration that trains on this mixture, and the rows of each group beside it.

        ``trl sft --config PATH`` and ``axolotl train PATH`` run it as it is. Model and training settings are those that
        rows were measured with. The rows are in a folder of the same name, a file for each group, the best first; with
        TRL the shares stand as ``fraction``, which can be changed: it takes the first rows of each file.

        Args:
            framework: ``"trl"`` or ``"axolotl"``.
            path: The file, which must not exist yet.
            model: The model to train; None for the one that was fine-tuned in the curation.

        Returns:
            The absolute path of the file.

        Raises:
            InputError: For another framework, where something is already, where nothing can be written, and without a
                model.
        """
        return write_mixture(self.curation, _shares(self), framework, path, model)


def mixture_of(curated: Curation, by: str = CLUSTER) -> Mixture:
    """The shares of clusters, or of the values of a column, among the kept rows.

    Args:
        curated: The result.
        by: ``"cluster"``, or a column of the rows.

    Returns:
        The mixture.

    Raises:
        InputError: For a column that there is not, one whose cells are no single values, and one of too many values.
    """
    kept, pool = _labels(curated, by)
    names, of_kept = np.unique(kept, return_inverse=True)
    counts = np.bincount(of_kept)
    shares, of_pool = counts / len(kept), None
    if pool is not None:
        of_pool = np.array([(pool == name).mean() for name in names])
    errors, error_of = share_errors(curated, names, shares, pool)
    gains, gain_errors = _gains(curated, of_kept, len(names))
    order = np.argsort(-counts, kind="stable")
    groups = tuple(
        MixtureGroup(
            name=_named(curated, str(names[i])) if by == CLUSTER else str(names[i]),
            rows=int(counts[i]),
            share=float(shares[i]),
            share_stderr=float(errors[i]),
            pool_share=None if of_pool is None else float(of_pool[i]),
            gain=number_or_none(gains[i]),
            gain_stderr=number_or_none(gain_errors[i]),
        )
        for i in order
    )
    return Mixture(by, groups, error_of, curated, tuple(np.flatnonzero(of_kept == i) for i in order))


def _shares(mixture: Mixture) -> list[GroupRows]:
    lines = [
        f"{one_line(group.name, 60)}: {100 * group.share:.1f} ± {100 * group.share_stderr:.1f} %{_gain(group)}"
        for group in mixture.groups
    ]
    return [
        GroupRows(group.name, group.share, line, places)
        for group, line, places in zip(mixture.groups, lines, mixture.places, strict=True)
    ]


def _gain(group: MixtureGroup) -> str:
    if group.gain is None:
        return ""
    spread = "" if group.gain_stderr is None else f" ± {group.gain_stderr:.4f}"
    return f", gain {group.gain:+.4f}{spread}"


def _labels(curated: Curation, by: str) -> tuple[Any, Any]:
    """The group of every kept row, and of every row of the pool where those are at hand, as text."""
    columns = curated.dataset.column_names
    if not isinstance(by, str) or by not in (CLUSTER, *columns):
        raise InputError(f'by={by!r} is neither "cluster" nor a column of the rows; pass one of {columns}')
    if by == CLUSTER:
        labels = curated.clustering.labels
        return labels[np.searchsorted(curated.pool_rows, curated.rows)].astype(str), labels.astype(str)
    kept = _as_text(curated.dataset[by], by)
    source = curated.valued.source
    pool = None if source is None or by not in source.column_names else _as_text(source[by], by, fewest=False)
    return kept, pool


def _as_text(cells: Any, by: str, fewest: bool = True) -> Any:
    listed = list(cells)
    if any(isinstance(cell, list | dict | tuple) for cell in listed):
        raise InputError(f"column {by!r} holds lists or dicts; pass one with a single value in every row")
    texts = np.array([str(cell) for cell in listed], dtype=object)
    if fewest and len(set(texts)) > min(MOST_GROUPS, max(len(texts) // 2, 20)):
        raise InputError(
            f"column {by!r} has {len(set(texts))} different values in {len(texts)} rows, which are no groups; pass a "
            "column that says where rows come from, or what they are about"
        )
    return texts


def _named(curated: Curation, number: str) -> str:
    if int(number) == NOISE:
        return "rows in no cluster"
    terms = curated.valued.terms[int(number)]
    return f"cluster {number}" + (f" ({', '.join(terms[:3])})" if terms else "")


def _gains(curated: Curation, of_kept: IntVector, n_groups: int) -> tuple[FloatVector, FloatVector]:
    """The gain of each group and its standard error, NaN where unknown."""
    valued = curated.valued
    places = np.searchsorted(curated.pool_rows, curated.rows)
    if not curated.estimate.played:
        worth = valued.worth
        of_rows = np.full((2, len(places)), np.nan)
        if worth is not None and worth.is_outcome:
            of_rows = np.stack([worth.values, worth.stderr])[:, places]
        means = [of_rows[:, of_kept == number].mean(axis=1) for number in range(n_groups)]
        return np.array([mean[0] for mean in means]), np.array([mean[1] for mean in means])
    values, stderr = np.append(valued.values, np.nan), np.append(valued.stderr, np.nan)
    clusters = valued.clustering.labels[places]
    weights = np.zeros((n_groups, len(values)))
    np.add.at(weights, (of_kept, clusters), 1.0)
    weights[:, np.isnan(values)] = 0
    totals = weights.sum(axis=1, keepdims=True)
    weights = np.divide(weights, totals, out=np.full_like(weights, np.nan), where=totals > 0)
    squares = np.where(weights > 0, weights * stderr, 0) ** 2
    gains = weights @ np.nan_to_num(values)
    return gains, np.where(np.isnan(gains), np.nan, np.sqrt(squares.sum(axis=1)))
