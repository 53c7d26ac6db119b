"""Another process writes into the store of the ranks, whose port has no password: nothing of it runs, and all ranks
end with an error that says what happened.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from torch.distributed import PrefixStore, TCPStore

from shed_hf import RankError
from shed_hf.distributed.ranks import MultiProcess
from shed_hf.distributed.store import Patience

ATTACKER = """
import json, pickle, sys
from pathlib import Path
import numpy as np
from safetensors.numpy import save
from torch.distributed import PrefixStore, TCPStore

port, marker, wishes = int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])


class Evil:
    def __init__(self, name):
        self.name = name

    def __reduce__(self):
        return Path.touch, (marker / self.name,)


def message(content):
    return save({"content": np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)})


PAYLOADS = {
    "pickle": lambda name: pickle.dumps(Evil(name)),
    "old pickle": lambda name: pickle.dumps(("fine-tune", [Evil(name)], None), 0),
    "empty": lambda name: b"",
    "noise": lambda name: bytes(range(256)) * 9,
    "object array": lambda name: pickle.dumps(np.array([Evil(name)], dtype=object)),
    "a class by its name": lambda name: message({"record": ["Popen", {"args": ["touch", str(marker / name)]}]}),
    "another content": lambda name: message({"tuple": [1, 2, 3, 4]}),
    "another task": lambda name: message({"tuple": ["os.system", None, f"touch {marker / name}"]}),
    "another error": lambda name: message({"dict": [["rank", 1], ["classes", [["SystemExit"]]]]}),
    "text": lambda name: b"1 and more",
}
store = TCPStore("127.0.0.1", port, is_master=False, wait_for_workers=False)
for name, key, payload in wishes:
    PrefixStore(name, store).set(key, PAYLOADS[payload](name))
"""

MESSAGES = ["pickle", "old pickle", "empty", "noise", "object array", "a class by its name", "another content"]
ATTACKS = [
    *((key, payload) for key in ("job/0", "job/0/by/1", "job/1/result/0", "failed") for payload in MESSAGES),
    ("job/0", "another task"),
    ("failed", "another error"),
]
NAMES = {attack: f"attack{number}" for number, attack in enumerate(ATTACKS)}


@dataclass(frozen=True)
class Attacked:
    """A store that an attacker has written to, and where its code would leave files."""

    store: TCPStore
    marker: Path


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    marker = tmp_path_factory.mktemp("marker")
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=20))
    wishes = [(name, key, payload) for (key, payload), name in NAMES.items()]
    command = [sys.executable, "-c", ATTACKER, str(store.port), str(marker), json.dumps(wishes)]
    subprocess.run(command, check=True, timeout=120)
    yield Attacked(store, marker)


def ended(store: Any, head_start: float = 0.0) -> list[BaseException | Any]:
    """How two ranks end that share two jobs through this store; the worker is slow, and may begin before rank 0."""
    found: list[Any] = [None, None]
    worker_ended = threading.Event()

    def slow(task: int) -> int:
        threading.Event().wait(0.2)
        return task

    def run(rank: int) -> None:
        try:
            with MultiProcess(store, rank, 2, patience=Patience(20)) as workers:
                if rank == 0:
                    worker_ended.wait(head_start)
                    told = workers.on_every_rank("who", 7, lambda task: task)
                    results = sorted(workers.map("who", [1, 2, 3], lambda task: task))
                    workers.end("result")
                    found[0] = (told, results)
                else:
                    found[1] = workers.work({"who": slow})
        except BaseException as error:
            found[rank] = error
        finally:
            worker_ended.set()

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in (1, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(25)
        assert not thread.is_alive(), "a rank waits for ever"
    return found


@pytest.mark.parametrize(("key", "payload"), ATTACKS)
def test_what_another_process_wrote_is_not_run_and_ends_all_ranks(key: str, payload: str, attacked: Attacked) -> None:
    found = ended(PrefixStore(NAMES[key, payload], attacked.store), head_start=5.0 if key == "job/0" else 0.0)
    assert list(attacked.marker.iterdir()) == []
    for error in found:
        assert isinstance(error, RankError)
        assert f"what is under '{key}' in the store of the ranks is no message of shed_hf" in str(error)
        assert "nothing of it was run. Another process writes to the store's port" in str(error)


def test_ranks_that_nobody_disturbs_end_well(attacked: Attacked) -> None:
    told, result = ended(PrefixStore("alone", attacked.store))
    assert (told, result) == (([7, 7], [(0, 1), (1, 2), (2, 3)]), "result")


@pytest.mark.parametrize(("turned", "words"), [(-100, "task -"), (1, "cannot reach the other ranks any more")])
def test_a_counter_that_was_tampered_with_is_noticed(turned: int, words: str) -> None:
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=20))
    if turned < 0:
        store.add("job/1/taken", turned)
    else:
        store.set("job/1/taken", "no number")
    found = ended(store)
    assert all(isinstance(error, RankError) for error in found)
    assert words in str(found[0])
