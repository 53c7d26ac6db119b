"""The outcomes of a game by the rows behind them, as selectors of rows read them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from shed_hf.curation.problem import Problem
from shed_hf.estimators import ValueEstimate
from shed_hf.estimators.significance import harm_of, verdict_of
from shed_hf.game.entry import Entry
from shed_hf.game.game import Game, WeightedAggregate
from shed_hf.game.players import Players
from shed_hf.game.utility import HasEvaluation
from shed_hf.sampling.played_game import PlayedGame
from shed_hf.types import FloatVector, IntVector

if TYPE_CHECKING:
    from shed_hf.curation.prepare import PreparedCuration


def played_game(prepared: "PreparedCuration", game: Game, estimate: ValueEstimate) -> PlayedGame:
    """The outcomes that a game asked for, by the rows behind them.

    Args:
        prepared: The curation.
        game: Its game, after it was valued.
        estimate: The values of its players.

    Returns:
        What a selector of rows reads of them.
    """
    asked = [game.ledger.entry(key) for key in game.asked if key in game.ledger]
    weights = game.aggregate.weights() if isinstance(game.aggregate, WeightedAggregate) else None
    kept = _kept_items(prepared.problem)
    return played_from(
        asked, prepared.candidates.rows, prepared.players, prepared.clustering.labels, estimate, weights, kept
    )


def played_from(
    entries: Sequence[Entry],
    rows: IntVector,
    players: Players,
    labels: IntVector,
    estimate: ValueEstimate,
    item_weights: FloatVector | None = None,
    kept_items: IntVector | None = None,
) -> PlayedGame:
    """Outcomes of whole coalitions and of halves of them, by the rows behind them.

    v(∅) is left out: what the first rows of all teach is not what further ones do. Prefixes of continued training runs
    count only where little else was measured.

    Args:
        entries: What was measured.
        rows: The ids of the candidates ``(m,)``, ascending.
        players: The clusters' players.
        labels: The cluster of each candidate ``(m,)``.
        estimate: The values of the players.
        item_weights: How much each item counts ``(n_items,)``; None for all alike, or for no weighted mean.
        kept_items: Which of the known items the outcomes are of; None for all.

    Returns:
        What a selector of rows reads of them.
    """
    trained, continued = _trained(entries)
    verdict = verdict_of(estimate)
    n_items = len(entries[0].outcome) if entries else 0
    of_entries = [np.array([row for block in entry.blocks for row in block], dtype=np.int64) for entry in trained]
    return PlayedGame(
        row_sets=[np.searchsorted(rows, of_entry) for of_entry in of_entries],
        outcomes=np.stack([entry.outcome for entry in trained]) if trained else np.empty((0, n_items)),
        players=[np.searchsorted(rows, of_player) for of_player in players.rows],
        owners=np.array(players.clusters, dtype=np.int64),
        labels=labels,
        gain=estimate.v_grand - estimate.v_empty,
        item_weights=np.full(n_items, 1 / max(n_items, 1)) if item_weights is None else item_weights,
        kept_items=kept_items,
        harm=harm_of(estimate),
        unproven="" if verdict.passes else f"{verdict.claim} ({verdict.failed or verdict.in_brief})",
        continued=continued,
    )


def _trained(entries: Sequence[Entry]) -> tuple[list[Entry], bool]:
    """The entries that were trained on rows, from θ₀ where there are several, and whether they are not."""
    trained = [entry for entry in entries if any(entry.blocks)]
    alone = [entry for entry in trained if len(entry.blocks) == 1]
    continued = len(alone) <= len(trained) - len(alone)
    return (trained, True) if continued else (alone, False)


def _kept_items(problem: Problem) -> IntVector | None:
    """Which of the known items the utility evaluates on; None where it is all of them, or unknown."""
    items, utility = problem.items, problem.utility
    if items is None or not isinstance(utility, HasEvaluation) or len(utility.evaluation.kept) == len(items.examples):
        return None
    return utility.evaluation.kept
