"""`Extrapolated`: rows by what the model says of a sample of them, learned for all others from their embeddings."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from shed_hf.errors import InputError
from shed_hf.sampling.coverage import round_robin
from shed_hf.sampling.extrapolation import FEWEST, Extrapolation, extrapolate
from shed_hf.sampling.learned_signal import LearnedSignal
from shed_hf.sampling.played_game import RowWorth
from shed_hf.sampling.retrieval import Retrieval, credit_worth, nearness_worth
from shed_hf.sampling.selectors import (
    MOST_ORDERED,
    Need,
    RowSignals,
    Selection,
    TakesAnySize,
    known,
)
from shed_hf.types import IntVector
from shed_hf.utils.checks import check_whole

SignalName = Literal["nearness", "credit"]
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
            The choice, with how well the signal was learned, and what every row is worth by it. The order of at most
            `MOST_ORDERED` rows is kept, or of ``size`` where that is more.

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
        turns = rng.permutation(found.predicted.shape[1])
        order = round_robin(found.predicted, max(size, min(m, MOST_ORDERED)), turns)
        return Selection(order[:size], (), self._worth(found, order), learned)

    def _worth(self, found: Extrapolation, order: IntVector) -> RowWorth:
        """The worth of rows by the signal; of those that were predicted the error of the prediction is added."""
        of_signal = nearness_worth if self.signal == "nearness" else credit_worth
        worth = of_signal(found.predicted, order)
        apart = np.where(found.as_measured, 0.0, found.residual)
        stderr = np.sqrt(worth.stderr**2 + apart**2)
        return RowWorth(worth.values, stderr, worth.parts, worth.names, order, worth.weights)


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
