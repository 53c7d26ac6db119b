"""The processes of one launch, which measure for one game.

Rank 0 runs a curation from top to bottom, as it would alone. The others, its workers, hold the same pool and the same
utility, run the tasks that rank 0 posts and send back results. Everything passes through a store of keys and values,
never through a collective: shares may be uneven, ranks need not keep step, and no time limit of the network ends the
wait. Messages are plain data (see `messages`).
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from shed_hf.distributed.messages import Codec, error_from, plain_error
from shed_hf.distributed.store import (
    START_AGAIN,
    Heartbeat,
    Mailbox,
    Patience,
    Silence,
    Store,
    tell,
    unreadable,
    waiting_ends,
)
from shed_hf.errors import RankError

Task = TypeVar("Task")


Result = TypeVar("Result")


SHORTEST, LONGEST = 0.002, 0.1
"""Seconds between two looks into the store: short at first, longer the longer nothing comes."""


class Workers(Protocol):
    """Who measures: ``size`` processes, of which this one has number ``rank``."""

    rank: int
    size: int

    @property
    def is_main(self) -> bool: ...

    def map(self, kind: str, tasks: Sequence[Task], run: Callable[[Task], Result]) -> Iterator[tuple[int, Result]]: ...

    def on_every_rank(self, kind: str, task: Task, run: Callable[[Task], Result]) -> list[Result]: ...

    def broadcast(self, make: Callable[[], Result]) -> Result: ...


class SingleProcess:
    """One process alone."""

    rank, size, is_main = 0, 1, True

    def map(self, kind: str, tasks: Sequence[Task], run: Callable[[Task], Result]) -> Iterator[tuple[int, Result]]:
        """Run all tasks, in order.

        Args:
            kind: Which of the workers' handlers runs them; there are no workers.
            tasks: The tasks.
            run: What runs them here.

        Yields:
            A task's number and its result.
        """
        for number, task in enumerate(tasks):
            yield number, run(task)

    def on_every_rank(self, kind: str, task: Task, run: Callable[[Task], Result]) -> list[Result]:
        """Run one task.

        Args:
            kind: Which of the workers' handlers runs it; there are no workers.
            task: The task.
            run: What runs it here.

        Returns:
            Its result, in a list.
        """
        return [run(task)]

    def broadcast(self, make: Callable[[], Result]) -> Result:
        """Rank 0's value.

        Args:
            make: What makes it.

        Returns:
            The value.
        """
        return make()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def end(self, result: object) -> None:
        """No-op: there are no other ranks.

        Args:
            result: What other ranks would get.
        """


class MultiProcess:
    """Several processes around a store. Rank 0 calls `map`, `on_every_rank` and `end`, the others `work`.

    Inside ``with ranks:`` an exception on one rank is raised on all, and every rank gives signs of life, however long a
    task takes; a rank that gives none is named, and waiting for it ends.

    Args:
        store: Where all ranks meet.
        rank: This process's number.
        size: How many there are.
        codec: What turns tasks and results into bytes; by default plain data and arrays.
        patience: How long to wait for a rank that gives no sign of life.
    """

    def __init__(
        self, store: Store, rank: int, size: int, codec: Codec | None = None, patience: Patience | None = None
    ) -> None:
        self.rank, self.size = rank, size
        self._patience = Patience() if patience is None else patience
        self._mail = Mailbox(store, rank, Codec() if codec is None else codec, self._patience)
        self._heartbeat = Heartbeat(store, f"alive/{rank}", self._patience.beat)
        self._silence = Silence(range(1, size) if rank == 0 else [0], self._patience)
        self._n_jobs, self._n_broadcasts = 0, 0

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which decides what is measured."""
        return self.rank == 0

    def map(self, kind: str, tasks: Sequence[Task], run: Callable[[Task], Result]) -> Iterator[tuple[int, Result]]:
        """Share tasks among all ranks: who is free takes the next.

        Args:
            kind: Which of the workers' handlers runs them.
            tasks: The tasks.
            run: What runs them on this rank.

        Yields:
            A task's number and its result, in the order in which they are done.
        """
        job = self._post(kind, tasks)
        missing, read = set(range(len(tasks))), 0
        while missing:
            number = self._next_number(job)
            if number < len(tasks):
                yield number, run(tasks[number])
                missing.discard(number)
            else:
                self._wait(f"{job}/result/{read}")
            while self._mail.has(f"{job}/result/{read}"):
                number, result = self._numbered(f"{job}/result/{read}", missing)
                yield number, result
                missing.discard(number)
                read += 1
            self._check_others()

    def on_every_rank(self, kind: str, task: Task, run: Callable[[Task], Result]) -> list[Result]:
        """Run the same task on every rank at once.

        Args:
            kind: Which of the workers' handlers runs it.
            task: The task.
            run: What runs it on this rank.

        Returns:
            The results by rank.
        """
        job = self._post(kind, None, task)
        mine = run(task)
        return [mine, *(self._received(f"{job}/by/{rank}", type(mine)) for rank in range(1, self.size))]

    def broadcast(self, make: Callable[[], Result]) -> Result:
        """Rank 0's value on every rank; all ranks call this, in the same order.

        Args:
            make: What makes the value, on rank 0 alone.

        Returns:
            The value.
        """
        key = f"broadcast/{self._n_broadcasts}"
        self._n_broadcasts += 1
        if self.is_main:
            value = make()
            self._mail.send(key, value)
            return value
        self._wait(key)
        received: Result = self._mail.read(key)
        return received

    def end(self, result: object) -> None:
        """Send rank 0's result to the workers, and wait until all have it, since the store may end with this process.

        A worker that gives no sign of life does not keep rank 0 from ending.

        Args:
            result: What `work` returns on the other ranks.
        """
        self._post("end", None, result)
        pause = SHORTEST
        while self._mail.count("home", 0) < self.size - 1:
            self._check_others()
            if gone := self._given_up():
                tell(f"{gone}; rank 0 has ended without")
                return
            pause = _slept(pause)

    def work(self, handlers: Mapping[str, Callable[[Any], Any]]) -> Any:
        """Run the tasks that rank 0 posts until it ends.

        Args:
            handlers: What runs each kind of task.

        Returns:
            Rank 0's result.
        """
        while True:
            job, kind, tasks, task = self._next_job()
            if kind == "end":
                self._mail.count("home")
                return task
            if kind not in handlers:
                raise unreadable(job, f"no task is of the kind {kind!r}")
            if tasks is None:
                self._mail.send(f"{job}/by/{self.rank}", handlers[kind](task))
                continue
            while (number := self._next_number(job)) < len(tasks):
                result = (number, handlers[kind](tasks[number]))
                self._mail.send(f"{job}/result/{self._mail.count(f'{job}/done') - 1}", result)

    def __enter__(self) -> Self:
        self._heartbeat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._heartbeat.stop()
        if error is None:
            return
        try:
            if not self._mail.has("failed"):
                self._mail.send("failed", plain_error(error, self.rank))
        except RankError as lost:  # the store ends with the process that holds it
            if not isinstance(error, RankError):
                error.add_note(str(lost))

    def _post(self, kind: str, tasks: Sequence[Any] | None, task: Any = None) -> str:
        job = f"job/{self._n_jobs}"
        self._n_jobs += 1
        self._mail.send(job, (kind, None if tasks is None else list(tasks), task))
        return job

    def _next_job(self) -> tuple[str, str, list[Any] | None, Any]:
        job = f"job/{self._n_jobs}"
        self._n_jobs += 1
        self._wait(job)
        match self._mail.read(job):
            case (str(kind), None | list() as tasks, task):
                return job, kind, tasks, task
        raise unreadable(job, "it is no task")

    def _next_number(self, job: str) -> int:
        number = self._mail.count(f"{job}/taken") - 1
        if number < 0:
            raise unreadable(f"{job}/taken", f"task {number} does not exist")
        return number

    def _numbered(self, key: str, missing: set[int]) -> tuple[int, Any]:
        match self._mail.take(key):
            case (int(number), result) if number in missing:
                return number, result
        raise unreadable(key, "it is the result of no task that was given")

    def _received(self, key: str, kind: type[Any]) -> Any:
        self._wait(key)
        result = self._mail.take(key)
        if type(result) is not kind:
            raise unreadable(key, f"a {type(result).__name__} where rank 0 has a {kind.__name__}")
        return result

    def _wait(self, key: str) -> None:
        pause = SHORTEST
        while not self._mail.has(key):
            pause = self._pause(pause)

    def _pause(self, seconds: float) -> float:
        self._check_others()
        if gone := self._given_up():
            raise RankError(f"{gone}; {START_AGAIN}")
        return _slept(seconds)

    def _check_others(self) -> None:
        if not self._mail.has("failed"):
            return
        failure = self._mail.read("failed")
        try:
            rank, error = error_from(failure)
        except ValueError as wrong:
            raise unreadable("failed", str(wrong)) from wrong
        error.add_note(f"(raised on rank {rank} of {self.size})")
        raise error

    def _given_up(self) -> str:
        """Who has been silent up to the limit, in words; empty for nobody. Who is silent for a while is told of."""
        self._silence.look(lambda rank: self._mail.count(f"alive/{rank}", 0))
        for silent in self._silence.newly_silent():
            tell(
                f"rank {self.rank} waits for rank {silent}, which has given no sign of life for "
                f"{self._patience.notice:.0f} s: {_MAY_BE}. {waiting_ends(self._patience.limit)}"
            )
        gone = [str(rank) for rank in self._silence.given_up()]
        if not gone:
            return ""
        names = f"rank{'s' if len(gone) > 1 else ''} {', '.join(gone)}"
        return f"{names} gave rank {self.rank} no sign of life for {self._patience.limit:.0f} s: {_MAY_BE}"


def _slept(seconds: float) -> float:
    """Sleep; returns how long to sleep the next time."""
    time.sleep(seconds)
    return min(2 * seconds, LONGEST)


_MAY_BE = "it has not called curate or plan yet, is stopped, or was killed"
