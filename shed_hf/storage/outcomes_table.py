"""The ledger as a table for others to read: a line per measured outcome, in players as well as in rows."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.game.coalitions import coalition_of
from shed_hf.game.entry import Entry
from shed_hf.game.ledger import Ledger
from shed_hf.game.players import Players

if TYPE_CHECKING:
    from datasets import Dataset, Features


def utilities_table(ledger: Ledger, players: Players) -> "Dataset":
    """A line per outcome: key, players, blocks, mean, outcome, seconds, beside.

    ``players`` are the clusters that took part, ascending, None where rows are not those of whole clusters. ``blocks``
    are the row ids in their order of training; several blocks are one training run, measured after each. ``outcome``
    has one number per evaluation item, ``mean`` is their mean; ``beside`` is JSON.

    Args:
        ledger: The outcomes.
        players: The clusters of the game with their rows.

    Returns:
        The table.
    """
    from datasets import Dataset

    entries = list(ledger)
    of_entry, clusters = coalition_of(players.rows), np.array(players.clusters)
    coalitions = [of_entry(entry) for entry in entries]
    columns = {
        "key": [entry.key for entry in entries],
        "players": [None if coalition is None else clusters[coalition].tolist() for coalition in coalitions],
        "blocks": [[list(block) for block in entry.blocks] for entry in entries],
        "mean": [float(entry.outcome.mean()) for entry in entries],
        "outcome": [entry.outcome.tolist() for entry in entries],
        "seconds": [round(entry.seconds, 4) for entry in entries],
        "beside": [json.dumps(dict(entry.extra_metrics)) for entry in entries],
    }
    return Dataset.from_dict(columns, features=utilities_features())


def utilities_features() -> "Features":
    """The columns of `utilities_table`."""
    from datasets import Features, List, Value

    types = {
        "key": Value("string"),
        "players": List(Value("int64")),
        "blocks": List(List(Value("int64"))),
        "mean": Value("float64"),
        "outcome": List(Value("float64")),
        "seconds": Value("float64"),
        "beside": Value("string"),
    }
    return Features(types)


def ledger_from(table: "Dataset", header: Mapping[str, Any]) -> Ledger:
    """The ledger that a table was made of, in memory.

    Args:
        table: What `utilities_table` made.
        header: The header of the ledger.

    Returns:
        The ledger.

    Raises:
        ValueError: For outcomes that are not finite or of different numbers of items, and lines that are none.
    """
    entries = [_entry(line) for line in table]
    if len({len(entry.outcome) for entry in entries}) > 1:
        raise ValueError("outcomes of different numbers of items")
    return Ledger.of(header, entries)


def _entry(line: dict[str, Any]) -> Entry:
    try:
        return Entry.parse({**line, "beside": json.loads(line["beside"])})
    except ValueError as error:
        raise ValueError(f"the outcome {line.get('key')} of the utilities cannot be read ({error})") from error
