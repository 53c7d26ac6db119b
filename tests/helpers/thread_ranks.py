"""Ranks of a launch as threads of this process, around a store of their own."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from torch.distributed import HashStore

from shed_hf.distributed.messages import Codec
from shed_hf.distributed.ranks import MultiProcess, SingleProcess, Workers


def at_once(*calls: Callable[[], Any], seconds: float = 60) -> list[Any]:
    """What calls return or raise, each in a thread of its own that is called ``rank 0``, ``rank 1`` and so on."""
    found: list[Any] = [None] * len(calls)

    def one(rank: int) -> None:
        try:
            found[rank] = calls[rank]()
        except BaseException as error:
            found[rank] = error

    threads = [
        threading.Thread(target=one, args=(rank,), name=f"rank {rank}", daemon=True) for rank in range(len(calls))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
        assert not thread.is_alive(), f"{thread.name} does not end"
    return found


class ThreadRanks:
    """Makes calls at once, each by a rank of its own.

    ``where`` are the names under which modules know `workers_of_launch`.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *where: str) -> None:
        self._here = threading.local()
        for name in where:
            monkeypatch.setattr(name, self._workers)

    def __call__(self, *calls: Callable[[], Any]) -> list[Any]:
        """What the calls return or raise, by rank."""
        store = HashStore()
        return at_once(*(partial(self._as_rank, (store, rank, len(calls)), call) for rank, call in enumerate(calls)))

    def _as_rank(self, place: tuple[HashStore, int, int], call: Callable[[], Any]) -> Any:
        self._here.place = place
        return call()

    def _workers(self, codec: Codec) -> Workers:
        return MultiProcess(*self._here.place, codec) if hasattr(self._here, "place") else SingleProcess()
