"""What a ledger costs: bytes beside the raw numbers, seconds to open, merge and order it; and whether it finds damage.

A ledger of random outcomes is written, each of a random half of the players. Its size is set beside that of the
outcomes as float64 and of the JSON lines that earlier versions wrote. Then bits of a smaller ledger are flipped one at
a time, and counted is how often what is read changes without an error.

    python examples/benchmarks/ledger_size.py --out examples/benchmarks/results/ledger_size.json
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from shed_hf import Ledger, LedgerError, read_ledger
from shed_hf.game.entry import Entry

HEADER = {"dataset": "4220e93b256af33841e8050cef658fd4", "model": {"name": "random numbers"}, "order": 7}


def main() -> None:
    """Measure, print a table, save it under ``--out``."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        found = {**_costs(Path(folder), arguments), **_flips(Path(folder), arguments)}
    print("\n".join(f"{name:60}{value}" for name, value in found.items()))
    if arguments.out:
        from shed_hf.curation.recipe import versions

        setting = {name: value for name, value in vars(arguments).items() if name not in ("out", "folder")}
        arguments.out.write_text(json.dumps({"setting": setting, "versions": versions(), **found}, indent=1))


def _costs(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    entries = list(_entries(arguments.outcomes, arguments))
    raw = 8 * arguments.items * len(entries)
    whole = Ledger.of(HEADER, entries)
    paths = [folder / name for name in ("whole.ledger", "first.ledger", "second.ledger")]
    dumped, _ = _timed(lambda: whole.dump(paths[0]))
    for path, part in zip(paths[1:], (entries[: len(entries) // 2], entries[len(entries) // 2 :]), strict=True):
        Ledger.of(HEADER, part).dump(path)
    opened, ledger = _timed(lambda: Ledger(paths[0], HEADER))
    ledger.close()
    read, _ = _timed(lambda: read_ledger(paths[0]))
    merged, both = _timed(lambda: Ledger.merge(paths[1:]))
    ordered, _ = _timed(lambda: both.in_order(sorted(entry.key for entry in both)))
    lines = sum(len(_line(entry)) for entry in entries)
    old = folder / "old.ledger"
    old.write_bytes(json.dumps({"shed_ledger": 1, **HEADER}).encode() + b"\n" + b"".join(map(_line, entries)))
    converted, ledger = _timed(lambda: Ledger(old, HEADER))
    ledger.close()
    return {
        "rows in a coalition, mean": float(np.mean([len(entry.blocks[0]) for entry in entries])),
        "size over that of the outcomes as float64": round(paths[0].stat().st_size / raw, 3),
        "the same of earlier versions' JSON lines": round(lines / raw, 3),
        "seconds to open": opened,
        "seconds to read": read,
        "seconds to merge two halves": merged,
        "seconds to order": ordered,
        "seconds to dump": dumped,
        "seconds to open and convert earlier JSON lines": converted,
        "milliseconds to write an outcome, median": _put(folder, entries[:200]),
    }


def _put(folder: Path, entries: list[Entry]) -> float:
    with Ledger(folder / "put.ledger", HEADER) as ledger:
        return round(
            1000 * float(np.median([_timed(lambda entry=entry: ledger.put(entry))[0] for entry in entries])), 3
        )


def _flips(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """How many single flipped bits were reported, changed nothing, or changed what is read in silence."""
    path, rng = folder / "flipped.ledger", np.random.default_rng(arguments.seed)
    small = argparse.Namespace(**{**vars(arguments), "items": 24, "players": 12})
    Ledger.of(HEADER, _entries(20, small)).dump(path)
    content, whole = path.read_bytes(), _state(path)
    counts: Counter[str] = Counter()
    for place in rng.integers(8 * len(content), size=arguments.flips).tolist():
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            counts["without effect" if _state(path) == whole else "silent"] += 1
        except LedgerError as error:
            counts["reported" if str(path) in str(error) else "reported without the file's name"] += 1
    return {
        f"of {arguments.flips} flipped bits: {name}": counts[name]
        for name in ("reported", "reported without the file's name", "without effect", "silent")
    }


def _state(path: Path) -> Any:
    ledger = read_ledger(path)
    return ledger.header, [entry.record() for entry in ledger]


def _entries(count: int, arguments: argparse.Namespace) -> Iterator[Entry]:
    rng = np.random.default_rng(arguments.seed)
    rows = rng.permutation(arguments.pool)[: arguments.players * arguments.rows].reshape(arguments.players, -1)
    for number in range(count):
        block = rng.permutation(rows[rng.random(len(rows)) < 0.5].ravel())
        outcome = -np.abs(rng.normal(size=arguments.items))
        yield Entry(f"{number:032x}", (tuple(block.tolist()),), outcome, 3.1415, {"accuracy": float(rng.random())})


def _line(entry: Entry) -> bytes:
    fields = {"key": entry.key, "blocks": entry.blocks, "seconds": entry.seconds, "beside": dict(entry.extra_metrics)}
    return json.dumps({**fields, "outcome": entry.outcome.tolist()}).encode() + b"\n"


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return round(time.perf_counter() - start, 3 if time.perf_counter() - start > 0.1 else 6), result


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outcomes", type=int, default=5000)
    parser.add_argument("--items", type=int, default=1531, help="evaluation items of an outcome")
    parser.add_argument("--players", type=int, default=360)
    parser.add_argument("--rows", type=int, default=1, help="rows of a player")
    parser.add_argument("--pool", type=int, default=15_000, help="rows of the dataset")
    parser.add_argument("--flips", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the ledgers are written; a temporary folder otherwise")
    parser.add_argument("--out", type=Path, help="where the figures go, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
