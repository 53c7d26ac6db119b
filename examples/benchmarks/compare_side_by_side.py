"""`compare_pools.py` on several pools at once, in a given time; what is known is a table at any moment.

    python examples/benchmarks/compare_side_by_side.py --pools POOLS/arc POOLS/dolly POOLS/damaged --model DIR \\
        --out FOLDER --minutes 12

Every pool is a process of its own with ledgers of its own, since one process with a small model leaves most of a GPU
idle. Each compares all ways with few seeds first, then with more. Whenever one has got further, ``FOLDER/all.json`` and
the table are written anew. When time is up, processes are interrupted, which loses no outcome that was measured: the
same call, with the same FOLDER, goes on. ``--only-table`` prints what a folder, or some files, hold.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compare_pools import METHODS

GRACE = 30.0
"""Seconds that interrupted processes have to end by themselves."""


@dataclass(frozen=True)
class Part:
    """One pool.

    Attributes:
        pool: Its folder, of `selector_pools.py`.
        out: Where its process writes what it found.
    """

    pool: Path
    out: Path

    def start(self, arguments: argparse.Namespace) -> "subprocess.Popen[bytes]":
        """The process, which writes what it prints beside its results."""
        command = [sys.executable, str(Path(__file__).with_name("compare_pools.py")), "--folder", str(self.pool)]
        command += ["--model", str(arguments.model), "--out", str(self.out), "--sizes", *map(str, arguments.sizes)]
        command += ["--seeds", *map(str, arguments.seeds), "--methods", *arguments.methods]
        command += ["--budget", str(arguments.budget), "--clusters", str(arguments.clusters)]
        command += ["--batch", str(arguments.batch)] if arguments.batch else []
        command += ["--test-items", str(arguments.test_items)] if arguments.test_items else []
        environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads), "TOKENIZERS_PARALLELISM": "false"}
        with self.out.with_suffix(".log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def main() -> None:
    """Run all parts, as long as there is time; print the table of what was found."""
    arguments = _arguments()
    if arguments.only_table:
        print("\n".join(table(_found(arguments.only_table))))
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    waiting = [Part(pool, arguments.out / f"compare_pools_{pool.name}.json") for pool in arguments.pools]
    to_go = _run(waiting, arguments)
    print("\n".join(table(_found([arguments.out]))))
    if to_go:
        print(f"stopped with {to_go} pools to go; the same call goes on")


def _run(waiting: list[Part], arguments: argparse.Namespace) -> int:
    """Run all parts until they are done or time is up; returns how many are not done."""
    at_once = arguments.at_once or len(waiting)
    end, running, seen = time.monotonic() + 60 * arguments.minutes, {}, ""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever stops this, processes are interrupted
    try:
        while (waiting or running) and time.monotonic() < end:
            for part in waiting[: at_once - len(running)]:
                running[part] = part.start(arguments)
                waiting.remove(part)
            for part in [part for part, process in running.items() if process.poll() is not None]:
                print(_ended(part, running.pop(part)), flush=True)
            seen = _written(arguments.out, seen)
            time.sleep(arguments.every)
    finally:
        _interrupt(running)
        _written(arguments.out, seen)
    return len(waiting) + len(running)


def _ended(part: Part, process: "subprocess.Popen[bytes]") -> str:
    if process.returncode == 0:
        return f"{part.out.stem}: done"
    return f"{part.out.stem}: failed ({process.returncode}); see {part.out.with_suffix('.log')}"


def _interrupt(running: "dict[Part, subprocess.Popen[bytes]]") -> None:
    """End processes as Ctrl-C does, so that their ledgers are closed; by force where one does not end."""
    for process in running.values():
        process.send_signal(signal.SIGINT)
    end = time.monotonic() + GRACE
    for process in running.values():
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _written(folder: Path, seen: str) -> str:
    """Write what all parts have found so far to ``all.json``, where it is more than before; returns what was found."""
    found = _found([folder])
    state = str([(one["pool"], one["setting"]["seeds"]) for one in found])
    if state == seen or not found:
        return seen
    content = json.dumps({"table": table(found), "parts": found}, indent=1, ensure_ascii=False)
    unfinished = folder / "all.unfinished"
    unfinished.write_text(content + "\n", encoding="utf-8")
    unfinished.replace(folder / "all.json")
    return state


def _found(places: Sequence[Path]) -> list[dict[str, Any]]:
    """What folders and files hold of `compare_pools.py`."""
    listed = [sorted(place.glob("compare_pools_*.json")) if place.is_dir() else [place] for place in places]
    results = [path for of_place in listed for path in of_place if ".ledger." not in path.name]
    return [json.loads(path.read_text(encoding="utf-8")) for path in results]


def table(found: Sequence[dict[str, Any]]) -> list[str]:
    """A Markdown table for every pool: gains over random rows, in bold beyond two standard errors.

    A dagger marks gains whose interval, corrected for the number of ways that were tried, leaves out zero.
    """
    pools = dict.fromkeys(one["pool"] for one in found)
    return [text for pool in pools for text in _of_pool(pool, [one for one in found if one["pool"] == pool])]


def _of_pool(pool: str, found: Sequence[dict[str, Any]]) -> list[str]:
    lines = [line for one in found for line in one["lines"]]
    known = {(line["method"], line["figure"], line["size"]): line for line in lines}
    columns = sorted({(line["figure"], line["size"]) for line in lines}, key=lambda of: (of[0] != "loss", of))
    ways = [name for name in METHODS if name != "full" and any(of[0] == name for of in known)]
    told = [["gain over random", *(f"{figure}, {size} rows" for figure, size in columns)]]
    told += [["---"] * (1 + len(columns))]
    told += [[way, *(_cell(known.get((way, *column))) for column in columns)] for way in (*ways, "untuned", "full")]
    random = [known.get(("random", *column)) for column in columns]
    told += [["*random: the outcome itself*", *("" if one is None else f"{one['mean']:.2f}" for one in random)]]
    seeds = sorted({line["seeds"] for line in lines if line["method"] == "random"})
    title = f"{pool}: {lines[0]['items']} items, {' or '.join(map(str, seeds))} seeds, {found[0]['device']}"
    return [title, "", *(f"| {' | '.join(cells)} |" for cells in told), "", _counted(lines), ""]


def _cell(line: dict[str, Any] | None) -> str:
    if line is None or line["gain"] is None or line["gain_stderr"] is None:
        return "" if line is None or line["gain"] is None else f"{line['gain']:+.2f}"
    shown = f"{line['gain']:+.2f} ± {line['gain_stderr']:.2f}"
    shown = f"**{shown}**" if abs(line["gain"]) > 2 * line["gain_stderr"] else shown
    return shown + (" †" if _shown(line) else "")


def _shown(line: dict[str, Any]) -> bool:
    return line["low"] is not None and (line["low"] > 0 or line["high"] < 0)


def _counted(lines: Sequence[dict[str, Any]]) -> str:
    """Wins and losses of ways to choose, beyond two standard errors and by the corrected intervals."""
    ways = [line for line in lines if line["method"] not in ("untuned", "full", "random") and line["gain"] is not None]
    beyond = [line for line in ways if line["gain_stderr"] is not None and abs(line["gain"]) > 2 * line["gain_stderr"]]
    counts = [
        f"{sum(line['gain'] > 0 for line in some)} wins and {sum(line['gain'] < 0 for line in some)} losses"
        for some in (beyond, [line for line in ways if _shown(line)])
    ]
    return f"Of {len(ways)} cells {counts[0]} beyond two standard errors, {counts[1]} by corrected 95 % intervals."


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pools", type=Path, nargs="+", help="folders that selector_pools.py made")
    parser.add_argument("--model", help="a folder with a model and its tokenizer")
    parser.add_argument("--out", type=Path, help="a folder for ledgers, logs and results")
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.02, 0.05, 0.1])
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 5, 8], help="with so many one after another")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--budget", type=int, default=19, help="fine-tunings of a game")
    parser.add_argument("--batch", type=int, default=16, help="tunings in one batch on a GPU; 0 for as many as fit")
    parser.add_argument("--test-items", type=int, help="how many of the test items; all of them by default")
    parser.add_argument("--at-once", type=int, help="processes side by side; by default all")
    parser.add_argument("--threads", type=int, default=1, help="threads of each process")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between looks at what was found")
    parser.add_argument("--only-table", type=Path, nargs="+", help="print what these files or folders hold, and end")
    arguments = parser.parse_args()
    if not arguments.only_table and not (arguments.pools and arguments.model and arguments.out):
        parser.error("pass --pools, --model and --out, or --only-table")
    return arguments


if __name__ == "__main__":
    main()
