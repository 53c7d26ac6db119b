"""How well a signal of rows was learned that was measured on a sample of them."""

import math
from dataclasses import dataclass

from shed_hf.utils.console import plural


@dataclass(frozen=True)
class LearnedSignal:
    """A signal that was measured on a sample of rows, and how well it could be predicted of others.

    Attributes:
        signal: Its name.
        measured: How many rows were measured.
        rows: How many rows there are.
        rank_correlation: Spearman's, of predictions with what was measured of rows held out, the mean over evaluation
            items; NaN where nothing could be learned.
        r_squared: R² on the same rows.
        used: Whether rows were chosen by it.
    """

    signal: str
    measured: int
    rows: int
    rank_correlation: float
    r_squared: float
    used: bool

    @property
    def in_words(self) -> str:
        """What was learned, in part of a sentence."""
        if self.measured == self.rows:
            return f"{self.signal} was measured on all of {plural(self.rows, 'row')}"
        on = f"on {self.measured:,} of {plural(self.rows, 'row')}"
        if math.isnan(self.rank_correlation):
            return f"{self.signal} was measured {on}, which are too few to learn from, or all alike"
        return f"{self.signal} was learned {on}: rank correlation {self.rank_correlation:.2f} on rows held out"

    @property
    def why_not(self) -> str:
        """Why rows could not be chosen by it, in part of a sentence."""
        if self.measured == self.rows:
            return f"{self.in_words} and is the same for each"
        return self.in_words if math.isnan(self.rank_correlation) else f"{self.in_words}, no better than chance"
