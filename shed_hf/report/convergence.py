"""How the clusters' values moved as the budget was spent: estimates from the first outcomes of the ledger alone."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from shed_hf.estimators.banzhaf import BanzhafMSR
from shed_hf.estimators.hierarchical import Hierarchical
from shed_hf.estimators.least_squares import LeastSquares, PriorName
from shed_hf.estimators.outcomes import outcomes_in_ledger
from shed_hf.estimators.significance import IN_RUN
from shed_hf.game.coalitions import coalition_of
from shed_hf.game.entry import Entry
from shed_hf.game.ledger import Ledger
from shed_hf.results.curation import Curation
from shed_hf.results.reuse import game_of_ledger
from shed_hf.types import FloatMatrix, FloatVector
from shed_hf.utils.old_entries import with_old_defaults

N_POINTS = 8
"""At how many budgets values are estimated."""

LEAST_COALITIONS = 4
"""With fewer coalitions nothing can be said of values."""


@dataclass(frozen=True, eq=False)
class Convergence:
    """The clusters' values as more was measured.

    Attributes:
        measured: ``(p,)`` how many outcomes each estimate is from, ascending.
        values: ``(p, c)`` the clusters' values; NaN for those that did not play. The last line is the result's.
    """

    measured: FloatVector
    values: FloatMatrix = field(repr=False)


def convergence_of(curated: Curation) -> Convergence | None:
    """The values from more and more of the outcomes, in the order in which they were measured.

    Estimators that are means over replicates give running means; of others the first coalitions are taken, and
    `LeastSquares` values the clusters by them, with the prior of the result's estimator where that has one.

    Args:
        curated: The result.

    Returns:
        The values; None where too little was measured, or by one training run alone.
    """
    estimate, of_clusters = curated.estimate, curated.valued.players.means
    if len(estimate.replicates) > 1:
        counts = np.arange(1, len(estimate.replicates) + 1)
        means = np.cumsum(estimate.replicates, axis=0) / counts[:, None]
        spent = np.round(estimate.n_evaluations * counts / len(counts))
        places = np.unique(np.linspace(0, len(counts) - 1, 4 * N_POINTS).astype(np.int64))
        return Convergence(spent[places], np.stack([of_clusters(means[place]) for place in places]))
    entries = _of_coalitions(curated) if estimate.played else []
    if estimate.semivalue == IN_RUN or len(entries) < 2 * LEAST_COALITIONS:
        return None
    stops = np.unique(np.linspace(LEAST_COALITIONS + 2, len(entries), N_POINTS).astype(np.int64))
    before = [of_clusters(_values(curated, entries[:stop])) for stop in stops[:-1]]
    return Convergence(stops.astype(np.float64), np.stack([*before, curated.valued.values]))


def _of_coalitions(curated: Curation) -> list[Entry]:
    """The outcomes of coalitions in the order in which they were measured, those of none and of all players first."""
    coalition = coalition_of(curated.valued.players.rows)
    found = [(of, entry) for entry in curated.ledger if len(entry.blocks) == 1 and (of := coalition(entry)) is not None]
    empty, grand = ([entry for of, entry in found if test(of)] for test in (lambda of: not of.any(), np.all))
    if not empty or not grand:
        return []
    first = {id(entry) for entry in (empty[0], grand[0])}
    return [empty[0], grand[0], *(entry for _, entry in found if id(entry) not in first)]


def _values(curated: Curation, entries: Sequence[Entry]) -> FloatVector:
    """The players' values by some of the outcomes."""
    ledger = Ledger.of(curated.ledger.header, entries)
    game, _ = game_of_ledger(replace(curated, valued=replace(curated.valued, ledger=ledger)))
    if curated.estimate.semivalue == "banzhaf":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they say that little was measured, which is what is to be seen
            return BanzhafMSR().from_ledger(game).values
    observed = outcomes_in_ledger(game).observed(game)
    fit = LeastSquares(prior=_prior(curated)).fit(game, observed)
    total = (observed.v_grand - observed.v_empty) / game.n_players
    return np.asarray(total + fit.weights @ observed.beyond_size, dtype=np.float64)


def _prior(curated: Curation) -> PriorName | None:
    entry = with_old_defaults((curated.recipe["reestimate"] or curated.recipe)["estimator"])
    named = entry["name"] in (LeastSquares.__name__, Hierarchical.__name__)
    prior: PriorName | None = entry["prior"] if named else "embedding"
    return prior
