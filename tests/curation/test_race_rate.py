"""How often a race displaces random rows: at most as often as its level says where nothing is better, and often where
something is.
"""

import numpy as np

from shed_hf.sampling.successive_halving import BASELINE, successive_halving
from shed_hf.verification.judge import judge

N_CANDIDATES, N_ITEMS, BUDGET = 6, 24, 28


def displaced(gain: float, rng: np.random.Generator) -> bool:
    """One race on simulated outcomes: items, subsets, training orders and their luck on items all vary."""
    subsets = rng.normal(0, 0.5, N_CANDIDATES + BUDGET)
    subsets[0] += gain
    by_item = rng.normal(0, 0.5, (N_CANDIDATES + BUDGET, N_ITEMS))
    items = rng.normal(0, 1, N_ITEMS)

    def measure(pairs: list[tuple[int, int]]) -> np.ndarray:
        places = [N_CANDIDATES + order if number == BASELINE else number for number, order in pairs]
        luck = rng.normal(0, 0.5, (len(pairs), 1)) + rng.normal(0, 0.5, (len(pairs), N_ITEMS))
        return np.asarray(subsets[places][:, None] + by_item[places] + items + luck)

    found = successive_halving(N_CANDIDATES, BUDGET, measure, lambda outcomes: outcomes.mean(axis=1))
    chosen = found.outcomes[found.winner]
    verdict = judge(chosen, found.baseline, items, ways_tried=N_CANDIDATES, rng=rng)
    return verdict.over_random.is_better


def test_random_rows_are_displaced_by_candidates_that_are_alike_in_at_most_five_of_a_hundred_races() -> None:
    rng = np.random.default_rng(0)
    assert np.mean([displaced(0.0, rng) for _ in range(60)]) <= 0.05


def test_they_are_displaced_more_often_the_better_a_candidate_is() -> None:
    rng = np.random.default_rng(1)
    shares = [np.mean([displaced(gain, rng) for _ in range(9)]) for gain in (0.0, 2.0, 6.0)]
    assert shares[0] < shares[1] < shares[2]
    assert shares[2] == 1.0
