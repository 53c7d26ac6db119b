"""`Extrapolated`: rows by what the model says of a sample of them, learned for all others from their embeddings."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shed_hf.errors import InputError
from shed_hf.sampling.coverage import descending, highest_places, take_turns
from shed_hf.sampling.extrapolation import FEWEST, Extrapolation, extrapolate
from shed_hf.sampling.learned_signal import LearnedSignal
from shed_hf.sampling.played_game import RowWorth
from shed_hf.sampling.retrieval import Retrieval
from shed_hf.sampling.selectors import (
    MOST_ORDERED,
    Need,
    RowSignals,
    Selection,
    TakesAnySize,
    known,
)
from shed_hf.sampling.signal_worth import OverItems, worth_by_credit, worth_by_nearness
from shed_hf.types import BoolVector, FloatVector, IntVector
from shed_hf.utils.checks import check_whole

SignalName = Literal["nearness", "credit"]
WISHES = 2**26
"""So many positions of rows are held at most, over all items, while they take turns."""

_MEASURED_BY: dict[SignalName, Need] = {"nearness": "nearness_of", "credit": "credits_of"}


@dataclass(frozen=True)
class Extrapolated(TakesAnySize):
    """Takes rows of a large pool by what the model says of a sample of them.

    For each evaluation item the signal of the other rows is predicted by ridge regression on the rows' embeddings. The
    items then take turns, in random order, and each takes the row of its highest signal that is not taken yet, as with
    `Retrieval` and `CreditCoverage`. Nearness of the sample stands as it was measured; credit, which is mostly noise,
    is predicted of the sample too, unless all rows were measured. Beside the sample the pool is embedded once, and the
    model reads nothing of it. In five folds of the sample it is measured how well rows held out are ordered; where that
    is no better than chance, rows are chosen by `Retrieval` with the vectors of ``embedder=``, else at random, and a
    note says so.

    Attributes:
        signal: ``"nearness"``: the cosine of the model's hidden states with those of an item, as with
            ``Retrieval(vectors="model")``. ``"credit"``: what a row does for an item in a training run over the sample,
            as with `CreditCoverage`.
        sample: How many rows are measured, drawn at random; all, where there are fewer.

    Raises:
        InputError: For another signal, or a sample of fewer than 50 rows.
    """

    signal: SignalName = "nearness"
    sample: int = 4_000

    def __post_init__(self) -> None:
        if not isinstance(self.signal, str) or self.signal not in _MEASURED_BY:
            raise InputError(f"signal={self.signal!r} is unknown; pass one of {list(_MEASURED_BY)}")
        check_whole(FEWEST, sample=self.sample)

    @property
    def needs(self) -> frozenset[Need]:
        """Embeddings of rows, and the signal of some."""
        return frozenset({"embeddings", _MEASURED_BY[self.signal]})

    @property
    def wants(self) -> frozenset[Need]:
        """What rows are chosen by where the signal can't be learned."""
        return frozenset({"item_embeddings"})

    @property
    def paper(self) -> str:
        """The signal, and how it is had of all rows."""
        of = {"nearness": "nearness by the model's hidden states", "credit": "first-order training credit"}[self.signal]
        return f"{of} for each evaluation item, measured on a sample of rows and learned for the others from embeddings"

    def select(self, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection:
        """Measure a sample, learn from it, and let the items take turns.

        Args:
            signals: With ``embeddings``, and ``nearness_of`` or ``credits_of``; ``item_embeddings`` where there are
                any.
            size: How many rows to take.
            rng: Draws the sample, the folds and the order of the items' turns.

        Returns:
            The choice, with how well the signal was learned, and what every row is worth by it. The order of all rows
            is kept: of the first `MOST_ORDERED`, or of ``size`` where that is more, as the items take turns, of those
            behind them as their means over items fall.

        Raises:
            InputError: Where a signal is missing.
        """
        embeddings, m = known(signals.embeddings, "embeddings"), len(signals)
        places: IntVector = np.sort(rng.permutation(m)[: self.sample])
        name = _MEASURED_BY[self.signal]
        measure = known(signals.nearness_of if self.signal == "nearness" else signals.credits_of, name)
        noisy = self.signal == "credit"
        found = extrapolate(embeddings, places, np.asarray(measure(places)), rng.spawn(1)[0], noisy)
        figures = (found.n_sample, m, found.rank_correlation, found.r_squared)
        learned = LearnedSignal(self.signal, *figures, found.usable)
        if not found.usable:
            return _by_something_else(signals, size, rng, learned)
        over_items, order = self._in_turns(found, max(size, min(m, MOST_ORDERED)), rng)
        order = _and_the_others(order, over_items.values)
        return Selection(order[:size], (), self._worth(found, over_items, order), learned)

    def _in_turns(self, found: Extrapolation, size: int, rng: np.random.Generator) -> tuple[OverItems, IntVector]:
        """Means over items, and the rows that items take in turns; the signal is predicted for few items at once."""
        n_items, m, over_items = found.known.shape[1], len(found.vectors), OverItems(len(found.vectors))
        turns = rng.permutation(n_items)
        first_look = True

        def wishes_of(taken: BoolVector) -> list[NDArray[np.int32]]:
            nonlocal first_look
            free = np.flatnonzero(~taken).astype(np.int32)
            n_wishes, wishes = max(1, min(size, WISHES // n_items)), []
            for items in found.blocks():
                signal = found.predicted_for(items)
                if first_look:
                    over_items.add(signal, self._mean_row(signal))
                wishes += [free[highest_places(of_item[free], n_wishes)] for of_item in signal.T]
            first_look = False
            return [wishes[item] for item in turns.tolist()]

        return over_items, take_turns(wishes_of, m, size)

    def _mean_row(self, signal: NDArray[np.float32]) -> FloatVector:
        """What standard errors are of the difference from."""
        return np.zeros(signal.shape[1]) if self.signal == "nearness" else signal.mean(axis=0, dtype=np.float64)

    def _worth(self, found: Extrapolation, over_items: OverItems, order: IntVector) -> RowWorth:
        """The worth of rows by the signal; of those that were predicted the error of the prediction is added."""
        apart = np.where(found.as_measured, 0.0, found.residual)
        stderr = np.sqrt(over_items.stderr**2 + apart**2)
        worth_by = worth_by_nearness if self.signal == "nearness" else worth_by_credit
        return worth_by(over_items.values, stderr, order)


def _and_the_others(order: IntVector, values: FloatVector) -> IntVector:
    """Behind an order of some rows all others, by their mean over items."""
    others = np.setdiff1d(np.arange(len(values)), order)
    return np.concatenate([order, others[descending(values[others])]])


def _by_something_else(signals: RowSignals, size: int, rng: np.random.Generator, learned: LearnedSignal) -> Selection:
    """The choice where nothing was learned."""
    why = learned.why_not
    if signals.item_embeddings is not None:
        try:
            found = Retrieval().select(signals, size, rng)
        except InputError:  # cosines that do not tell rows apart
            pass
        else:
            note = f"{why}, so rows were chosen by their embeddings' nearness to the evaluation items"
            return Selection(found.places, (note, *found.notes), found.worth, learned)
    note = f"{why}, so rows were drawn at random"
    return Selection(rng.permutation(len(signals))[:size], (note,), None, learned)
