"""Ranks of a launch as threads of this process, around a store of their own."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from torch.distributed import HashStore

from shed_hf.distributed.messages import Codec
from shed_hf.distributed.ranks import MultiProcess, SingleProcess, Workers


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
        store, found = HashStore(), [None] * len(calls)

        def one(rank: int) -> None:
            self._here.place = (store, rank, len(calls))
            try:
                found[rank] = calls[rank]()
            except Exception as error:
                found[rank] = error

        threads = [
            threading.Thread(target=one, args=(rank,), name=f"rank {rank}", daemon=True) for rank in range(len(calls))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        return found

    def _workers(self, codec: Codec) -> Workers:
        return MultiProcess(*self._here.place, codec) if hasattr(self._here, "place") else SingleProcess()
