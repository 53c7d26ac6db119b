"""The crew: the processes of one launch, which measure for one game.

One rank leads: it runs a curation from top to bottom, as it would alone. The others follow: they hold the same pool and
the same utility, take tasks from the leader's list and hand back results. Everything passes through a store of keys and
values, never through a collective: shares may be uneven, ranks need not keep step, and nobody waits where a time limit
of the network ends the wait.
"""

import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

Task = TypeVar("Task")


Result = TypeVar("Result")


SHORTEST, LONGEST = 0.002, 0.1
"""Seconds between two looks into the store: short at first, longer the longer nothing comes."""


class Store(Protocol):
    """What a crew needs of ``torch.distributed``'s stores."""

    def set(self, key: str, value: bytes, /) -> None: ...

    def get(self, key: str, /) -> bytes: ...

    def add(self, key: str, amount: int, /) -> int: ...

    def check(self, keys: list[str], /) -> bool: ...

    def delete_key(self, key: str, /) -> bool: ...


class Workers(Protocol):
    """Who measures. ``size`` processes, of which this one ``leads`` or follows."""

    rank: int
    size: int

    @property
    def is_main(self) -> bool: ...

    def map(self, kind: str, tasks: Sequence[Task], here: Callable[[Task], Result]) -> Iterator[tuple[int, Result]]: ...

    def on_every_rank(self, kind: str, task: Task, here: Callable[[Task], Result]) -> list[Result]: ...


class SingleProcess:
    """A crew of one."""

    rank, size, is_main = 0, 1, True

    def map(self, kind: str, tasks: Sequence[Task], here: Callable[[Task], Result]) -> Iterator[tuple[int, Result]]:
        """Every task's number and result, in order."""
        for number, task in enumerate(tasks):
            yield number, here(task)

    def on_every_rank(self, kind: str, task: Task, here: Callable[[Task], Result]) -> list[Result]:
        """The result of the one process there is."""
        return [here(task)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def end(self, result: object) -> None:
        """Nobody follows."""


class MultiProcess:
    """Several processes around a store. The leader calls `share`, `each` and `end`, the others `follow`.

    ``with ranks:`` tells the others of an exception, which they raise in turn; a process that is killed is the
    launcher's business, which ends the rest.
    """

    def __init__(self, store: Store, rank: int, size: int) -> None:
        self.store, self.rank, self.size = store, rank, size
        self._n_jobs = 0

    @property
    def is_main(self) -> bool:
        """Whether this is the first rank, which decides what is measured."""
        return self.rank == 0

    def map(self, kind: str, tasks: Sequence[Task], here: Callable[[Task], Result]) -> Iterator[tuple[int, Result]]:
        """Every task's number and result, in the order in which they are done; who is free takes the next task."""
        job = self._post(kind, tasks)
        done = read = 0
        while done < len(tasks):
            number = self._take(job)
            if number < len(tasks):
                yield number, here(tasks[number])
                done += 1
            else:
                self._wait(f"{job}/result/{read}")
            while self.store.check([f"{job}/result/{read}"]):
                yield self._received(f"{job}/result/{read}")
                read, done = read + 1, done + 1
            self._check_others()

    def on_every_rank(self, kind: str, task: Task, here: Callable[[Task], Result]) -> list[Result]:
        """The same task on every rank at once; the results by rank."""
        job = self._post(kind, None, task)
        mine = here(task)
        return [mine, *(self._received(f"{job}/by/{rank}") for rank in range(1, self.size))]

    def end(self, result: object) -> None:
        """Send the followers home with the leader's result; wait until all have it, since the store ends with us."""
        self._post("end", None, result)
        pause = SHORTEST
        while self.store.add("home", 0) < self.size - 1:
            pause = self._pause(pause)

    def follow(self, handlers: Mapping[str, Callable[[Any], Any]]) -> Any:
        """Do what the leader posts, each kind of task by its handler, until it ends; returns the leader's result."""
        while True:
            job, (kind, tasks, task) = self._next_job()
            if kind == "end":
                self.store.add("home", 1)
                return task
            if tasks is None:
                self._send(f"{job}/by/{self.rank}", handlers[kind](task))
                continue
            while (number := self._take(job)) < len(tasks):
                result = (number, handlers[kind](tasks[number]))
                self._send(f"{job}/result/{self.store.add(f'{job}/done', 1) - 1}", result)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return
        try:
            if not self.store.check(["failed"]):
                self.store.set("failed", _pickled_error(error, self.rank))
        except RuntimeError as lost:  # it ends with the process that holds it
            raise RuntimeError(
                f"rank {self.rank} cannot reach the other ranks any more: rank 0 or the launcher is gone; start the "
                "same command again, what was measured is in the ledger"
            ) from lost

    def _post(self, kind: str, tasks: Sequence[Any] | None, task: Any = None) -> str:
        job = f"job/{self._n_jobs}"
        self._n_jobs += 1
        self._send(job, (kind, None if tasks is None else list(tasks), task))
        return job

    def _next_job(self) -> tuple[str, tuple[str, list[Any] | None, Any]]:
        job = f"job/{self._n_jobs}"
        self._n_jobs += 1
        self._wait(job)
        return job, pickle.loads(self.store.get(job))  # noqa: S301  # from a process of the same launch

    def _take(self, job: str) -> int:
        return self.store.add(f"{job}/taken", 1) - 1

    def _send(self, key: str, content: Any) -> None:
        self.store.set(key, pickle.dumps(content))

    def _received(self, key: str) -> Any:
        self._wait(key)
        content = pickle.loads(self.store.get(key))  # noqa: S301  # from a process of the same launch
        self.store.delete_key(key)
        return content

    def _wait(self, key: str) -> None:
        pause = SHORTEST
        while not self.store.check([key]):
            pause = self._pause(pause)

    def _pause(self, seconds: float) -> float:
        self._check_others()
        time.sleep(seconds)
        return min(2 * seconds, LONGEST)

    def _check_others(self) -> None:
        if self.store.check(["failed"]):
            rank, error = pickle.loads(self.store.get("failed"))  # noqa: S301  # from a process of the same launch
            error.add_note(f"(raised on rank {rank} of {self.size})")
            raise error


def _pickled_error(error: BaseException, rank: int) -> bytes:
    """The exception, or its words where it cannot travel; interruptions arrive as such."""
    try:
        found = pickle.dumps((rank, error))
        pickle.loads(found)  # noqa: S301  # our own; an exception may pickle and not unpickle
    except Exception:
        return pickle.dumps((rank, RuntimeError(f"{type(error).__name__}: {error}")))
    return found
