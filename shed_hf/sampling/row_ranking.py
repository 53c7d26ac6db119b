"""Which rows of a cluster are taken first.

A value belongs to a cluster, but its rows are not alike: an answer that belongs to another question sits beside the
right ones of its topic. What a model makes of a row (see `Features`), or what the row did in one training run (see
`InRun`), orders the rows inside a cluster; values still decide between clusters.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shed_hf.distributed.ranks import SingleProcess, Workers
from shed_hf.embedding.row_features import Features, features_by_name
from shed_hf.errors import InputError
from shed_hf.game.utility import ChecksCredit, SupportsCredit, SupportsRowFeatures, TrainableUtility
from shed_hf.sampling.extrapolation import extrapolate
from shed_hf.sampling.learned_signal import LearnedSignal
from shed_hf.types import EmbeddingMatrix, FloatMatrix, FloatVector, IntVector
from shed_hf.utils.nearest import unknown_name
from shed_hf.utils.warn import warn

CREDIT = "credit"
LEARNED_CREDIT = "learned-credit"

KINDS = ("ifd", "loss", "credit", LEARNED_CREDIT)

SAMPLE = 4_000
"""On so many rows, drawn at random, credit is measured where it is learned for the others."""


CHUNK = 512


MOST_ROWS = 20_000
"""Of more rows than these that take part, none is trained on or read for its signal alone unless that is asked for."""


def is_large(n_rows: int) -> bool:
    """Whether a pool is too large for the model to go through all of it unasked.

    Args:
        n_rows: How many rows take part: readable, not held out, and not repeating evaluation items.

    Returns:
        Whether they are more than `MOST_ROWS`.
    """
    return n_rows > MOST_ROWS


CreditOf = Callable[[IntVector], FloatVector]


@dataclass(frozen=True, eq=False)
class MeasuredMerit:
    """The merit of rows, and what was measured for it.

    Attributes:
        values: ``(m,)`` higher is better; None where rows are taken at random.
        learned: How well it was learned; None where all rows were measured.
        credited: The ids of the rows of the training run that gave credits; none where there was no such run.
    """

    values: FloatVector | None
    learned: LearnedSignal | None = None
    credited: IntVector = field(default_factory=lambda: np.empty(0, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Merit:
    """How the rows that take part are ranked within their clusters.

    Attributes:
        kind: One of `KINDS`; None for numbers of the caller's, or for chance.
        given: The caller's numbers ``(m,)``, higher is better; None without them.
        features: What the model makes of each row ``(m, 3)``; ``(0, 3)`` where nothing needs it.
        utility: What gives credits.
        rows: The ids of the rows ``(m,)``.
        embed: Gives their embeddings ``(m, d)``, which credit is learned from; None where that is not asked for.
    """

    kind: str | None
    given: FloatVector | None
    features: FloatMatrix
    utility: TrainableUtility
    rows: IntVector
    embed: Callable[[], EmbeddingMatrix] | None = None

    def of_rows(self, rng: np.random.Generator) -> FloatVector | None:
        """The merit of every row.

        Args:
            rng: Draws the order of the rows in the training run that gives credits.

        Returns:
            Numbers ``(m,)``, higher is better; None where rows are taken at random.
        """
        return self.measured(rng).values

    def measured(self, rng: np.random.Generator, credit_of: CreditOf | None = None) -> MeasuredMerit:
        """The merit of every row, and how well it was learned where it was measured on a sample.

        Args:
            rng: Draws the sample, and the order of the rows in the training run that gives credits.
            credit_of: Gives the credits ``(s,)`` of a training run over rows, of which it gets the positions among
                `rows` in the order of the run; None for those for all evaluation items.

        Returns:
            The merit, and what was measured for it.
        """
        if self.kind == LEARNED_CREDIT:
            return self._learned(rng, credit_of or self._credit)
        if self.kind == "credit":
            places = np.arange(len(self.rows))
            return MeasuredMerit(_in_random_order(credit_of or self._credit, places, rng), None, self.rows)
        return MeasuredMerit(self._of_all())

    def _learned(self, rng: np.random.Generator, credit_of: CreditOf) -> MeasuredMerit:
        m = len(self.rows)
        places: IntVector = np.sort(rng.permutation(m)[:SAMPLE])
        credit = _in_random_order(credit_of, places, rng)
        assert self.embed is not None
        found = extrapolate(self.embed(), places, credit[:, None], rng.spawn(1)[0], noisy=True)
        used = found.usable
        learned = LearnedSignal("credit", found.n_sample, m, found.rank_correlation, found.r_squared, used)
        if not used:
            warn(f"{learned.why_not}, so rows within clusters are taken at random")
        values = np.asarray(found.predicted[:, 0], dtype=np.float64) if used else None
        return MeasuredMerit(values, learned, self.rows[places])

    def _credit(self, places: IntVector) -> FloatVector:
        return _must_credit(self.utility, str(self.kind)).credit(self.rows[places])

    def _of_all(self) -> FloatVector | None:
        if self.kind is not None:
            values = features_by_name(self.features)[self.kind]
            return -values if self.kind == "loss" else values
        return self.given


def merit_of(
    merit: Any,
    features: Features | None,
    utility: TrainableUtility,
    rows: IntVector,
    n_rows: int,
    workers: Workers | None = None,
    embed: Callable[[], EmbeddingMatrix] | None = None,
) -> Merit:
    """Measure what ``merit`` and ``features`` need of the rows; nothing is measured twice.

    Args:
        merit: None, one of `KINDS`, a number for each row of the dataset, or ``"auto"``: credit where the utility can
            give it and at most `MOST_ROWS` rows take part; else None, with a warning where it is for their number.
        features: Features that the clustering uses, from the same measurement; None without them.
        utility: The utility whose model measures.
        rows: The ids of the rows that take part ``(m,)``.
        n_rows: How many rows the dataset has.
        workers: The ranks that share the measurement; None for this process alone.
        embed: Gives the embeddings of those rows ``(m, d)``; None where there are none to learn from.

    Returns:
        What ranks the rows.

    Raises:
        InputError: For any other ``merit``, for numbers that are not finite, and for a utility that cannot measure it.
    """
    check_merit(merit, features, utility, n_rows)
    if isinstance(merit, str) and merit == "auto":
        merit = _usual(utility, len(rows))
    kind = merit if isinstance(merit, str) else None
    given = None if merit is None or kind is not None else _of_rows(_numbers(merit, n_rows), rows)
    measured = np.empty((0, 3))
    if _needs_features(kind, features):
        measured = measured_features(utility, rows, workers or SingleProcess())
    return Merit(kind, given, measured, utility, rows, embed)


def _usual(utility: TrainableUtility, n_rows: int) -> str | None:
    if not isinstance(utility, ChecksCredit) or not utility.can_credit():
        return None
    if not is_large(n_rows):
        return "credit"
    warn(
        f"of more than {MOST_ROWS:,} rows credit is not measured unasked, so rows within clusters are taken at random; "
        f'pass merit="{LEARNED_CREDIT}" to learn it from {SAMPLE:,} rows, or sampler="extrapolated" to choose single '
        "rows by what the model says of as many, or merit=None to say that chance is meant"
    )
    return None


def check_merit_name(merit: Any) -> None:
    """Refuse a word that names no order of rows.

    Args:
        merit: As in `merit_of`; whatever is no text passes.

    Raises:
        InputError: For an unknown word.
    """
    if isinstance(merit, str) and merit not in ("auto", *KINDS):
        raise InputError(unknown_name("merit", merit, ["auto", *KINDS], "a number for every row, or None"))


def check_merit(merit: Any, features: Features | None, utility: TrainableUtility, n_rows: int) -> None:
    """Raise where `merit_of` would for any rows, before anything is measured.

    Args:
        merit: As in `merit_of`.
        features: As in `merit_of`.
        utility: As in `merit_of`.
        n_rows: How many rows the dataset has.

    Raises:
        InputError: For an unknown ``merit``, and for a utility that cannot measure it.
    """
    check_merit_name(merit)
    kind = merit if isinstance(merit, str) else None
    if merit is not None and kind is None:
        _numbers(merit, n_rows)
    if kind in ("credit", LEARNED_CREDIT):
        _must_credit(utility, str(kind))
    if _needs_features(kind, features):
        features_by(utility)


def features_by(utility: TrainableUtility) -> Callable[[IntVector], FloatMatrix]:
    """The function that measures features of rows.

    Args:
        utility: The utility whose model measures.

    Returns:
        A function from row ids ``(n,)`` to features ``(n, 3)``.

    Raises:
        InputError: For a utility without a model.
    """
    if isinstance(utility, SupportsRowFeatures):
        return utility.row_features
    raise InputError(
        "features and merit are what a model makes of a row, and this utility has no model; pass "
        "utility=FineTune(…), or numbers of your own as merit="
    )


def _in_random_order(credit_of: CreditOf, places: IntVector, rng: np.random.Generator) -> FloatVector:
    order = rng.permutation(len(places))
    credit = np.empty(len(places))
    credit[order] = credit_of(places[order])
    return credit


def _must_credit(utility: TrainableUtility, merit: str) -> SupportsCredit:
    if isinstance(utility, SupportsCredit):
        return utility
    raise InputError(
        f'merit="{merit}" follows the rows through a training run, which this utility does not make; '
        "pass utility=FineTune(…), or numbers of your own"
    )


def _needs_features(kind: str | None, features: Features | None) -> bool:
    """Whether a model must read the rows."""
    return features is not None or kind in ("ifd", "loss")


def measured_features(utility: TrainableUtility, rows: IntVector, workers: Workers) -> FloatMatrix:
    """What the utility's model makes of rows, shared among the ranks.

    Args:
        utility: The utility whose model measures.
        rows: Row ids ``(n,)``.
        workers: The ranks that share the measurement.

    Returns:
        Features ``(n, 3)``; see `features_by_name`.

    Raises:
        InputError: For a utility without a model.
    """
    measured = np.full((len(rows), 3), np.nan)
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    for number, of_chunk in workers.map("features", chunks, features_by(utility)):
        measured[number * CHUNK : number * CHUNK + len(of_chunk)] = of_chunk
    return measured


def _numbers(merit: Any, n_rows: int) -> FloatVector:
    try:
        numbers = np.asarray(merit, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"merit is a {type(merit).__name__} that holds no numbers; pass one per row") from error
    if numbers.shape != (n_rows,):
        raise InputError(f"merit has shape {numbers.shape}; pass one number for each of the {n_rows} rows")
    return numbers


def _of_rows(numbers: FloatVector, rows: IntVector) -> FloatVector:
    bad = rows[~np.isfinite(numbers[rows])]
    if len(bad):
        raise InputError(
            f"merit of row {bad[0]} is {numbers[bad[0]]}, and {len(bad)} of the {len(rows)} rows that take part have "
            "none that is finite; pass a number for each, the lowest for rows to be taken last"
        )
    return numbers[rows]
