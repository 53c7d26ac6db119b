"""What is said of the time before a game is measured, where a part of it is known."""

from dataclasses import replace

import pytest

from shed_hf.curation.shorter_runs import Measuring
from shed_hf.curation.valuation import time_in_words
from shed_hf.estimators import LeastSquares
from shed_hf.estimators.budget import Speed
from shed_hf.utils.console import duration

ANEW = Measuring(LeastSquares(20), 8, None, Speed(evaluating=1.0, training=20.0))
N = ANEW.estimator.cost(8, None).fine_tunings
WHOLE, HALF = duration(ANEW.seconds), duration(ANEW.seconds * (1 - (N // 2) / N))

NOTHING_LEFT = f"time: none, nothing is left to measure, unless other sets are asked for than were (about {WHOLE} then)"


@pytest.mark.parametrize(
    ("n_known", "told"),
    [
        (0, f"time: about {WHOLE}, judged by"),
        (N // 2, f"time: about {HALF} if all that is measured already is asked for again, about {WHOLE} if nothing is"),
        (N, NOTHING_LEFT),
        (
            N + 5,
            NOTHING_LEFT,
        ),
    ],
)
def test_what_is_measured_already_takes_no_time(n_known: int, told: str) -> None:
    assert time_in_words(replace(ANEW, n_known=n_known)).startswith(told)
