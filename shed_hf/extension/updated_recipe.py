"""The recipe of a pool that has grown: what came when, and what all of it cost."""

from typing import cast

import numpy as np

from shed_hf.extension.grown_pool import GrownPool
from shed_hf.game.entry import Entry
from shed_hf.game.game import Game
from shed_hf.results.cost import choosing_seconds
from shed_hf.results.curation import Curation
from shed_hf.results.recipe import Bill, HistoryEntry, Recipe, SourceEntry

OUTDATED = (
    *("transfers", "verdict", "race", "row_values", "groups"),
    *("selection_notes", "learned_signal", "learned_merit"),
)
"""What was said of the values or of the choice before."""


def updated_recipe(
    curated: Curation,
    digest: str,
    n_rows: int,
    pool: GrownPool,
    left_out: dict[str, int],
    game: Game,
    seconds: float,
) -> Recipe:
    """The recipe after an update.

    Args:
        curated: The result before.
        digest: The digest of the grown source.
        n_rows: How many rows it has.
        pool: The grown pool.
        left_out: How many new rows were left out, by reason.
        game: The grown game, with everything measured.
        seconds: How long the update took.

    Returns:
        A new recipe with a line more in its history.
    """
    recipe = curated.recipe
    source: SourceEntry = {**recipe["source"], "rows": n_rows, "digest": digest, "hub": None}
    new = [entry for entry in game.ledger if entry.key in game.asked and entry.key not in curated.ledger]
    found = sum(entry.seconds for entry in new if entry.key not in game.measured)
    bill = _bill(recipe["bill"], new, game, seconds, found)
    added: HistoryEntry = {
        "rows": n_rows,
        "digest": digest,
        "added": len(pool.joined.labels),
        "joined": pool.joined.n_joined,
        "near_repeats": pool.near_repeats,
        "clusters": pool.joined.n_new,
        "left_out": left_out,
        "fine_tunings": bill["all_fine_tunings"] - recipe["bill"]["all_fine_tunings"],
        "outcomes": bill["outcomes"] - recipe["bill"]["outcomes"],
        "seconds": round(seconds + found, 2),
    }
    reasons = recipe["left_out"].keys() | left_out.keys()
    together = {why: recipe["left_out"].get(why, 0) + left_out.get(why, 0) for why in sorted(reasons)}
    history = [*(recipe.get("history") or [_first(curated)]), added]
    kept = {name: field for name, field in recipe.items() if name not in OUTDATED}
    return cast(Recipe, {**kept, "source": source, "left_out": together, "bill": bill, "history": history})


def _first(curated: Curation) -> HistoryEntry:
    """The line of the history that says what the curation began with."""
    recipe = curated.recipe
    return {
        "rows": recipe["source"]["rows"],
        "digest": recipe["source"]["digest"],
        "added": len(curated.pool_rows),
        "joined": 0,
        "near_repeats": 0,
        "clusters": curated.clustering.n_clusters,
        "left_out": dict(recipe["left_out"]),
        "fine_tunings": recipe["bill"]["all_fine_tunings"],
        "outcomes": recipe["bill"]["outcomes"],
        "seconds": round(choosing_seconds(recipe["bill"]), 2),
    }


def _bill(before: Bill, new: list[Entry], game: Game, seconds: float, found: float) -> Bill:
    """What this update took, and with what was measured before all of it.

    The time of what was measured before is that of measuring alone, as in a curation that goes on with a ledger.
    """
    trained = [np.concatenate([np.array(block, dtype=np.int64) for block in entry.blocks]) for entry in new]
    runs = [rows for rows in trained if len(rows)] + game.extra_runs
    return {
        **before,
        "fine_tunings": game.n_fine_tunings,
        "outcomes": before["outcomes"] + len(new),
        "seconds": round(seconds, 2),
        "all_fine_tunings": before["all_fine_tunings"] + len(runs),
        "measuring_seconds": round(before["measuring_seconds"] + sum(entry.seconds for entry in new), 2),
        "earlier_seconds": round(before["measuring_seconds"] + found, 2),
        "tokens": before["tokens"] + int(sum(game.utility.n_tokens(rows) for rows in runs)),
    }
