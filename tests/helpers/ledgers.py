"""Ledgers to be read back, cut short and damaged."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shed_hf.errors import LedgerError
from shed_hf.game.entry import Entry
from shed_hf.game.ledger import Ledger, read_ledger

HEADER = {"dataset": "d1", "order": 3, "model": {"name": "llama", "lora": {"r": 8, "modules": ["q", "v"]}}}


def an_entry(number: int, outcome: Any = (-1.5, 0.1)) -> Entry:
    blocks = ((number, number + 1), (99,))
    return Entry(f"key-{number}", blocks, np.array(outcome, dtype=np.float64), 0.25, {"accuracy": 0.4})


def filled(path: Path, n: int = 3, header: Mapping[str, Any] = HEADER) -> bytes:
    """A ledger of n outcomes in a file, and the file's content."""
    with Ledger(path, header) as ledger:
        for number in range(n):
            ledger.put(an_entry(number))
    return path.read_bytes()


def line_of(entry: Entry) -> bytes:
    """An outcome as version 0.1 wrote it."""
    fields = {
        "key": entry.key,
        "blocks": entry.blocks,
        "seconds": entry.seconds,
        "beside": dict(entry.extra_metrics),
        "outcome": entry.outcome.tolist(),
    }
    return json.dumps(fields).encode() + b"\n"


def lines_of(entries: Iterable[Entry], header: Mapping[str, Any] = HEADER) -> bytes:
    """A ledger's file as version 0.1 wrote it."""
    return json.dumps({"shed_ledger": 1, **header}).encode() + b"\n" + b"".join(map(line_of, entries))


def keys(ledger: Ledger) -> list[str]:
    return [entry.key for entry in ledger]


def alike(a: Entry, b: Entry) -> bool:
    """Whether two outcomes are the same to the last bit, with all that was recorded of them."""
    return a.record() == b.record()


def outcomes_in(path: Path) -> int:
    """How many outcomes a ledger's file and those beside it hold by now; 0 while there is none."""
    try:
        return len(read_ledger(path))
    except LedgerError:
        return 0
