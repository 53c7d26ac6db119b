"""Ranks without a launcher that are stopped or killed: the others name them, and end."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, signal, sys, time
import datasets, numpy as np
import shed_hf
from tests.helpers.rows import make_rows

signals = dict(pair.split("=") for pair in sys.argv[1:])


def worth(row_sets):
    if any(len(rows) > 4 for rows in row_sets):  # more than what ranks are compared by
        rank = os.environ["RANK"]  # in here, so that the callable is the same on every rank
        if rank in signals:
            os.kill(os.getpid(), signal.Signals[signals[rank]])
        time.sleep(0.5)  # so that every rank gets something to measure
    return np.array([[float(len(rows)), 1.0] for rows in row_sets])


shed_hf.curate(
    datasets.Dataset.from_list(make_rows(60)), 12, utility=worth, embedder="lexical", clusterer="topic",
    estimator=shed_hf.Permutation(20), ledger=os.environ["LEDGER"],
)
"""


def launched(tmp_path: Path, size: int, *signals: str) -> list[subprocess.Popen[str]]:
    """Processes that meet by themselves; ``signals`` such as ``1=SIGSTOP`` are what each sends itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    (tmp_path / "script.py").write_text(SCRIPT)
    common = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    common |= {"SHED_HF_RANK_TIMEOUT": "6", "LEDGER": str(tmp_path / "run.ledger")}
    common |= {"PYTHONPATH": str(Path(__file__).parents[2])}
    return [
        subprocess.Popen(
            [sys.executable, str(tmp_path / "script.py"), *signals],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]


def buried(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.communicate()


def test_ranks_that_are_stopped_or_killed_are_named_and_waiting_for_them_ends(tmp_path: Path) -> None:
    processes = launched(tmp_path, 3, "1=SIGSTOP", "2=SIGKILL")
    try:
        _, told = processes[0].communicate(timeout=120)
        assert processes[0].returncode == 1
        for silent in (1, 2):
            assert f"rank 0 waits for rank {silent}, which has given no sign of life for 3 s" in told
        assert "RankError: rank" in told
        assert "gave rank 0 no sign of life for 6 s: it has not called curate or plan yet, is stopped" in told
        assert "outcomes kept in" in told
        assert processes[2].wait(10) == -signal.SIGKILL
        processes[1].send_signal(signal.SIGCONT)  # the store went with rank 0
        _, told = processes[1].communicate(timeout=60)
        assert "RankError: rank 1 cannot reach the other ranks any more" in told
    finally:
        buried(processes)


def test_where_the_rank_with_the_store_is_stopped_the_others_end_too(tmp_path: Path) -> None:
    processes = launched(tmp_path, 2, "0=SIGSTOP")
    try:
        _, told = processes[1].communicate(timeout=120)
        assert processes[1].returncode == 1
        assert "rank 1 has waited 3 s for the store of the ranks, which rank 0 or the launcher holds" in told
        assert "RankError: the store of the ranks gave rank 1 no answer for 6 s" in told
    finally:
        buried(processes)
