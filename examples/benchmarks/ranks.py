"""Several ranks: how much faster two are than one, and what being killed costs.

``speed``: the same coalitions on one rank and on two, each with one thread, and whether the outcomes are the same to
the last bit. ``killed``: a curation on two ranks is killed with ``kill -9`` at random moments, one rank or all, and
started again each time; counted is how many coalitions were measured more than once, and whether it ends with the rows
of a run that was left alone.

    python examples/benchmarks/ranks.py speed --coalitions 48 --out examples/benchmarks/results/ranks_speed.json
    python examples/benchmarks/ranks.py killed --kills 50 --out examples/benchmarks/results/ranks_killed.json
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node")


def main() -> None:
    """Run what was asked for, print a table, save it under ``--out``."""
    arguments = _arguments()
    if arguments.what == "one of the ranks":
        (_measure if arguments.part == "speed" else _curate)(arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        found = {"speed": speed, "killed": killed}[arguments.what](Path(folder), arguments)
    print("\n" + "\n".join(f"{name:46}{value}" for name, value in found.items()))
    if arguments.out:
        from shed_hf.curation.recipe import device, versions

        setting = {
            name: str(value) for name, value in vars(arguments).items() if name not in ("out", "model", "folder")
        }
        told = {"setting": setting, "model": arguments.model.name, "device": device(), "versions": versions()}
        arguments.out.write_text(json.dumps({**told, **found}, indent=1))


def speed(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds on one rank and on ``--ranks``, in turn; the best of ``--rounds`` of each."""
    seconds: dict[int, list[float]] = {1: [], arguments.ranks: []}
    outcomes = {}
    for _ in range(arguments.rounds):
        for n_ranks in seconds:
            _started(n_ranks, "speed", folder, arguments).wait()
            told = json.loads((folder / "speed.json").read_text())
            seconds[n_ranks].append(told["seconds"])
            outcomes[n_ranks] = told["outcomes"]
            print(f"{n_ranks} ranks: {told['seconds']:.2f} s", flush=True)
    best = {n_ranks: min(of_rank) for n_ranks, of_rank in seconds.items()}
    return {
        "coalitions": arguments.coalitions,
        "seconds on 1 rank": best[1],
        f"seconds on {arguments.ranks} ranks": best[arguments.ranks],
        "times faster": best[1] / best[arguments.ranks],
        "the same to the last bit": outcomes[1] == outcomes[arguments.ranks],
        "all rounds": seconds,
    }


def killed(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Kill ``--kills`` times, at moments spread over runs of one game after another."""
    rng = np.random.default_rng(arguments.seed)
    _started(1, "killed", folder, arguments).wait()
    alone = json.loads((folder / "0.json").read_text())
    kills = games = repeated = most = wrong = 0
    while kills < arguments.kills:
        for path in folder.glob("*"):
            path.unlink()
        while True:  # lives of one game
            before = _counted(folder)
            for path in folder.glob("pid*"):  # of processes that are gone
                path.unlink()
            process = _started(arguments.ranks, "killed", folder, arguments)
            moment = before[0] + int(rng.integers(0, arguments.coalitions // 4))
            reached = kills < arguments.kills and _reaches(
                process, arguments.ranks, folder, moment, float(rng.uniform(0, 0.3))
            )
            if not reached:
                break
            victims = [int(rng.integers(arguments.ranks))] if rng.random() < 0.5 else list(range(arguments.ranks))
            for rank in victims:
                with contextlib.suppress(ProcessLookupError):  # the launcher ends the others
                    os.kill(int((folder / f"pid{rank}").read_text()), signal.SIGKILL)
            process.wait()
            kills += 1
            measured, known = _counted(folder)
            most = max(most, (measured - known) - (before[0] - before[1]))
            print(f"kill {kills}: rank {victims}, {known} outcomes known", flush=True)
        code = process.wait()
        told = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(arguments.ranks)]
        measured, known = _counted(folder)
        games, repeated = games + 1, repeated + measured - known
        wrong += code != 0 or any(rank != alone for rank in told)
    return {
        "kills": kills,
        "games": games,
        "coalitions measured again": repeated,
        "most of them after one kill": most,
        "ranks": arguments.ranks,
        "games that ended otherwise than undisturbed": wrong,
    }


def _started(n_ranks: int, part: str, folder: Path, arguments: argparse.Namespace) -> "subprocess.Popen[bytes]":
    launcher = [*TORCHRUN, str(n_ranks)] if n_ranks > 1 else []
    settings = ["--part", part, "--folder", str(folder), "--model", str(arguments.model)]
    settings += [
        "--coalitions",
        str(arguments.coalitions),
        "--rows",
        str(arguments.rows),
        "--items",
        str(arguments.items),
    ]
    command = [sys.executable, *launcher, __file__, "one of the ranks", *settings]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)


def _counted(folder: Path) -> tuple[int, int]:
    """How many coalitions were measured in all lives so far, and how many different ones."""
    lines = [line for path in folder.glob("witness*") for line in path.read_text().splitlines()]
    return len(lines), len(set(lines))


def _reaches(process: "subprocess.Popen[bytes]", n_ranks: int, folder: Path, moment: int, delay: float) -> bool:
    """Wait until so many coalitions were measured, and a moment longer; False where the run ends before."""
    while _counted(folder)[0] < moment or len(list(folder.glob("pid*"))) < n_ranks:
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    time.sleep(delay)
    return process.poll() is None


def _pool(arguments: argparse.Namespace) -> tuple[Any, Any]:
    from datasets import Dataset

    from shed_hf.demo import pool as demo_pool

    return Dataset.from_list(demo_pool.rows("pool")), Dataset.from_list(demo_pool.rows("dev")[: arguments.items])


def _measure(arguments: argparse.Namespace) -> None:
    """The coalitions of a game, on as many ranks as this was started on."""
    import shed_hf
    from shed_hf.data.pool import read_pool
    from shed_hf.distributed.launch import workers_of_launch
    from shed_hf.game.measurement import measured

    rows, items = _pool(arguments)
    pool, evaluation = read_pool(rows), read_pool(items)
    n_players = 16
    players = [np.arange(n_players * arguments.rows).reshape(n_players, -1)[player] for player in range(n_players)]
    coalitions = np.random.default_rng(0).random((arguments.coalitions, n_players)) < 0.5
    with workers_of_launch() as workers:
        utility = shed_hf.FineTune(str(arguments.model), "loss").bind(
            pool, evaluation.examples(np.arange(len(items))), 0
        )
        utility([players[0]])  # what starts up, does so before
        if not workers.is_main:
            handlers = {"fine-tune": lambda batch: measured(utility, batch, players, lambda _: None), "ready": len}
            workers.follow(handlers)
            return
        game = shed_hf.Game(players, utility, digests=pool.digests_of(players), workers=workers)
        workers.on_every_rank("ready", "", len)
        start = time.perf_counter()
        outcomes = game.outcomes(coalitions)
        seconds = time.perf_counter() - start
        workers.end(None)
    told = {"seconds": seconds, "outcomes": [value.hex() for value in outcomes.ravel().tolist()]}
    (arguments.folder / "speed.json").write_text(json.dumps(told))


def _curate(arguments: argparse.Namespace) -> None:
    """A curation whose utility tells a witness of every outcome before it is written down."""
    import shed_hf

    folder, rank = arguments.folder, os.environ.get("RANK", "0")
    (folder / f"pid{rank}").write_text(str(os.getpid()))
    rows, items = _pool(arguments)

    class Witnessed(shed_hf.FineTune):
        def bind(self, *of: Any) -> Any:
            utility = super().bind(*of)
            measure = utility.measure

            def watched(walks: Any, record: Any) -> None:
                def tell(walk: int, block: int, outcome: Any, beside: Any) -> None:
                    with (folder / f"witness{rank}").open("a") as file:
                        file.write(",".join(map(str, np.concatenate(walks[walk][: block + 1]).tolist())) + "\n")
                    record(walk, block, outcome, beside)

                measure(walks, tell)

            utility.measure = watched
            return utility

    curated = shed_hf.curate(
        rows.select(range(240)), 24, eval_dataset=items, embedder="lexical", clusterer=shed_hf.KMeans(8),
        utility=Witnessed(str(arguments.model), "loss"), budget=arguments.coalitions, merit=None,
        estimator=shed_hf.LeastSquares(arguments.coalitions), ledger=folder / "run.ledger",
    )  # fmt: skip
    values = [value.hex() for value in curated.estimate.values.tolist()]
    (folder / f"{rank}.json").write_text(json.dumps({"rows": curated.rows.tolist(), "values": values}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "killed", "one of the ranks"])
    parser.add_argument("--model", type=Path, help="a folder with a model and its tokenizer; the shipped one otherwise")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--coalitions", type=int, default=48)
    parser.add_argument("--rows", type=int, default=6, help="rows a player brings (speed)")
    parser.add_argument("--items", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.model is None:
        from shed_hf.demo.models import SMALL_MODEL

        arguments.model = SMALL_MODEL
    return arguments


if __name__ == "__main__":
    main()
