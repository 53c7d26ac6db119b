"""What a push to the Hub costs, beside plain `Dataset.push_to_hub` of the same rows.

Both push the same 100,000 rows to a Hub on the loopback interface, each in a process of its own, in turn:

    python examples/benchmarks/push_speed.py --rows 100000 --rounds 3

Seconds are those of the call alone, the first in its process and the second. Memory is the most that the process held
at any moment (resident set).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WORDS = [f"{a}{b}{c}" for a in "bcdfghjklm" for b in "aeiou" for c in "nrst"]


def main() -> None:
    """Prepare, push in turn, print a table."""
    arguments = _arguments()
    if arguments.push:
        _push(arguments.push, Path(arguments.folder))
        return
    sys.path.insert(0, str(ROOT))
    from tests.helpers.loopback_hub import LoopbackHub

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "curated"
        subprocess.run(
            [
                sys.executable,
                __file__,
                "--prepare",
                str(folder),
                "--rows",
                str(arguments.rows),
                "--words",
                str(arguments.words),
            ],
            check=True,
        )
        with LoopbackHub(Path(place) / "hub", {"hf_benchmark": "me"}) as hub:
            measured = [
                {"how": how, **_measured(how, folder, hub, Path(place))}
                for _ in range(arguments.rounds)
                for how in ("plain", "shed")
            ]
    result = {
        "rows": arguments.rows,
        "words": arguments.words,
        "measured": measured,
        **_medians(measured),
        "versions": _versions(),
    }
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(result, indent=1) + "\n")
    _show(result)


def _prepare(folder: Path, n: int, n_words: int) -> None:
    """Curate four fifths of rows of that many words of three letters, with a utility that costs nothing."""
    import numpy as np
    from datasets import Dataset

    import shed_hf

    rng = np.random.default_rng(0)
    pool_size = n + n // 4
    words = np.array(WORDS)
    texts = [" ".join(line) for line in words[rng.integers(len(words), size=(pool_size, n_words))]]
    pool = Dataset.from_dict(
        {
            "instruction": [f"{number} {text[:120]}" for number, text in enumerate(texts)],
            "output": texts,
            "topic": rng.integers(50, size=pool_size).tolist(),
        }
    )
    worth = rng.normal(size=50)
    topics = np.array(pool["topic"])

    def utility(row_sets: Any) -> Any:
        return np.array([np.full(64, worth[topics[rows]].sum()) for rows in row_sets])

    vectors = rng.normal(size=(pool_size, 64)).astype(np.float32)
    curated = shed_hf.curate(pool, n, utility=utility, embedder=vectors, clusterer="topic", estimator="shed")
    curated.save_to_disk(folder)


def _push(how: str, folder: Path) -> None:
    import shed_hf

    curated = shed_hf.CuratedDataset.load_from_disk(folder)
    pushed = curated.dataset if how == "plain" else curated
    seconds = []
    for number in (1, 2):  # the first push also imports what it needs
        start = time.perf_counter()
        pushed.push_to_hub(f"me/{how}-{os.getpid()}-{number}")
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds[0], "again": seconds[1], "peak_mb": _peak()}))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _measured(how: str, folder: Path, hub: Any, place: Path) -> dict[str, float]:
    hub.clear()
    env = {"HF_ENDPOINT": hub.url, "HF_HOME": str(place / "home"), "HF_TOKEN": "hf_benchmark", "HF_HUB_OFFLINE": "0"}
    child = subprocess.run(
        [sys.executable, __file__, "--push", how, "--folder", str(folder)],
        env={**os.environ, **env, "HF_HUB_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    measured: dict[str, float] = json.loads(child.stdout.splitlines()[-1])
    return {**measured, "requests": len(hub.requests) / 2}


def _medians(measured: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("seconds", "again", "peak_mb", "requests")
    of = {
        how: {name: median(run[name] for run in measured if run["how"] == how) for name in names}
        for how in ("plain", "shed")
    }
    return {**of, "ratio": {name: of["shed"][name] / of["plain"][name] for name in names}}


def _show(result: dict[str, Any]) -> None:
    print(f"{result['rows']:,} rows         seconds  2nd push   peak MB   requests   (medians)")
    for how in ("plain", "shed", "ratio"):
        line = result[how]
        print(f"{how:16s} {line['seconds']:10.2f} {line['again']:9.2f} {line['peak_mb']:9.2f} {line['requests']:10.1f}")


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("shed-hf", "datasets", "huggingface-hub", "hf-xet", "pyarrow")}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--words", type=int, default=150, help="how long a row is")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", help="where to save the result")
    parser.add_argument("--push", choices=("plain", "shed"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--prepare", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.prepare:
        _prepare(Path(arguments.prepare), arguments.rows, arguments.words)
        sys.exit()
    return arguments


if __name__ == "__main__":
    main()
