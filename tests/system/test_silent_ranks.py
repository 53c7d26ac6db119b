"""Ranks without a launcher that are stopped or killed: the others name them, and end."""

import signal
from pathlib import Path

from tests.helpers.processes import Running, ranks

SCRIPT = """
import os, signal, sys, time
from pathlib import Path
import datasets, numpy as np
import shed_hf
from tests.helpers.rows import make_rows

signals = dict(pair.split("=") for pair in sys.argv[1:])
sent = {rank: Path(f"{os.environ['LEDGER']}.signal{rank}") for rank in signals}


def worth(row_sets):
    if any(4 < len(rows) < 16 for rows in row_sets):  # neither what ranks are compared by nor all, which is alone
        rank = os.environ["RANK"]  # in here, so that the callable is the same on every rank
        if rank in signals:
            sent[rank].touch()
        while not all(path.exists() for path in sent.values()):  # until each of them has something to measure
            time.sleep(0.01)
        if rank in signals:
            os.kill(os.getpid(), signal.Signals[signals[rank]])
    return np.array([[float(len(rows)), 1.0] for rows in row_sets])


shed_hf.curate(
    datasets.Dataset.from_list(make_rows(60)), 12, utility=worth, embedder="lexical", clusterer="topic",
    estimator=shed_hf.Permutation(20), ledger=os.environ["LEDGER"],
)
"""


def launched(tmp_path: Path, size: int, *signals: str) -> list[Running]:
    """Processes that meet by themselves; ``signals`` such as ``1=SIGSTOP`` are what each sends itself."""
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {"SHED_HF_RANK_TIMEOUT": "6", "LEDGER": str(tmp_path / "run.ledger")}
    return ranks(size, tmp_path / "script.py", list(signals), tmp_path, environment)


def buried(processes: list[Running]) -> None:
    for process in processes:
        if process.poll() is None:
            process.send(signal.SIGCONT)
            process.kill()
        process.wait()


def test_ranks_that_are_stopped_or_killed_are_named_and_waiting_for_them_ends(tmp_path: Path) -> None:
    processes = launched(tmp_path, 3, "1=SIGSTOP", "2=SIGKILL")
    try:
        assert processes[0].wait(120) == 1
        told = processes[0].stderr
        for silent in (1, 2):
            assert f"rank 0 waits for rank {silent}, which has given no sign of life for 3 s" in told
        assert "RankError: rank" in told
        assert "gave rank 0 no sign of life for 6 s: it has not called curate or plan yet, is stopped" in told
        assert "outcomes kept in" in told
        assert processes[2].wait(10) == -signal.SIGKILL
        processes[1].send(signal.SIGCONT)  # the store went with rank 0
        processes[1].wait(60)
        assert "RankError: rank 1 cannot reach the other ranks any more" in processes[1].stderr
    finally:
        buried(processes)


def test_where_the_rank_with_the_store_is_stopped_the_others_end_too(tmp_path: Path) -> None:
    processes = launched(tmp_path, 2, "0=SIGSTOP")
    try:
        assert processes[1].wait(120) == 1
        told = processes[1].stderr
        assert "rank 1 has waited 3 s for the store of the ranks, which rank 0 or the launcher holds" in told
        assert "RankError: the store of the ranks gave rank 1 no answer for 6 s" in told
    finally:
        buried(processes)
