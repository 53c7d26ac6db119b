"""The store of keys and values through which ranks speak, in a form that never blocks for ever."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from shed_hf.distributed.messages import Codec
from shed_hf.errors import RankError

Result = TypeVar("Result")


class Store(Protocol):
    """What ranks need of ``torch.distributed``'s stores."""

    def set(self, key: str, value: bytes, /) -> None: ...

    def get(self, key: str, /) -> bytes: ...

    def add(self, key: str, amount: int, /) -> int: ...

    def check(self, keys: list[str], /) -> bool: ...

    def delete_key(self, key: str, /) -> bool: ...


@dataclass(frozen=True)
class Patience:
    """How long a rank waits for another that gives no sign of life.

    Attributes:
        limit: Seconds after which waiting ends with an error.
    """

    limit: float = 1800.0

    @property
    def notice(self) -> float:
        """Seconds after which a line says who is waited for: a minute, or half the limit where that is less."""
        return min(60.0, self.limit / 2)

    @property
    def beat(self) -> float:
        """Seconds between two signs of life."""
        return min(5.0, self.limit / 20)


def tell(line: str) -> None:
    """Log a line as a warning, which is seen even where progress is not.

    Args:
        line: The line.
    """
    logging.getLogger("shed_hf").warning(line)


class Mailbox:
    """Messages and counters of all ranks, by key.

    A store blocks for as long as the process that holds it is stopped, and no exception reaches a thread inside it.
    So a thread of its own asks the store, and whoever waits for the answer waits no longer than ``patience``.

    Args:
        store: The store.
        rank: This process's number.
        codec: What turns messages into bytes.
        patience: How long to wait.
    """

    def __init__(self, store: Store, rank: int, codec: Codec, patience: Patience) -> None:
        self._store, self._rank, self._codec, self._patience = store, rank, codec, patience
        self._requests: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._asker: threading.Thread | None = None

    def send(self, key: str, content: Any) -> None:
        """Put a message under a key.

        Args:
            key: Where to put it.
            content: What a `Codec` can encode.
        """
        self._ask(self._store.set, key, self._codec.encode(content))

    def read(self, key: str) -> Any:
        """The message under a key that is there.

        Args:
            key: Where it is.

        Returns:
            Its content.

        Raises:
            RankError: Where it is none of ours.
        """
        message = self._ask(self._store.get, key)
        try:
            return self._codec.decode(message)
        except ValueError as error:
            raise unreadable(key, str(error)) from error

    def take(self, key: str) -> Any:
        """The message under a key that is there, which is removed.

        Args:
            key: Where it is.

        Returns:
            Its content.

        Raises:
            RankError: Where it is none of ours.
        """
        content = self.read(key)
        self._ask(self._store.delete_key, key)
        return content

    def has(self, key: str) -> bool:
        """Whether there is a message under a key.

        Args:
            key: Where to look.

        Returns:
            Whether there is.
        """
        return self._ask(self._store.check, [key])

    def count(self, key: str, amount: int = 1) -> int:
        """Add to a counter.

        Args:
            key: The counter's key.
            amount: What to add.

        Returns:
            The sum.
        """
        return self._ask(self._store.add, key, amount)

    def _ask(self, operation: Callable[..., Result], *arguments: Any) -> Result:
        """What the store answers. Raises `RankError` where it can't be reached or stays silent."""
        if self._asker is None:
            self._asker = threading.Thread(target=self._answer, name="shed_hf store", daemon=True)
            self._asker.start()
        answers: list[Result | Exception] = []
        answered = threading.Event()

        def request() -> None:
            try:
                answers.append(operation(*arguments))
            except Exception as error:  # raised again below, in the thread that asked
                answers.append(error)
            answered.set()

        self._requests.put(request)
        self._await(answered)
        answer = answers[0]
        if isinstance(answer, RuntimeError):  # torch's errors of a network and of a store are these
            raise unreachable(self._rank) from answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _answer(self) -> None:
        while True:
            self._requests.get()()

    def _await(self, answered: threading.Event) -> None:
        if answered.wait(self._patience.notice):
            return
        tell(
            f"rank {self._rank} has waited {self._patience.notice:.0f} s for the store of the ranks, which rank 0 or "
            f"the launcher holds; it may be stopped. {waiting_ends(self._patience.limit)}"
        )
        if not answered.wait(self._patience.limit - self._patience.notice):
            raise RankError(
                f"the store of the ranks gave rank {self._rank} no answer for {self._patience.limit:.0f} s: rank 0 or "
                f"the launcher is stopped or cannot be reached; {START_AGAIN}"
            )


class Heartbeat:
    """Signs of life: a thread adds to this rank's counter, whatever else the rank does.

    Args:
        store: The store.
        key: The counter's key.
        seconds: The time between two signs.
    """

    def __init__(self, store: Store, key: str, seconds: float) -> None:
        self._store, self._key, self._seconds = store, key, seconds
        self._ended = threading.Event()

    def start(self) -> None:
        """Give signs from now on."""
        threading.Thread(target=self._beat, name="shed_hf heartbeat", daemon=True).start()

    def stop(self) -> None:
        """Give no more."""
        self._ended.set()

    def _beat(self) -> None:
        while not self._ended.is_set():
            try:
                self._store.add(self._key, 1)
            except RuntimeError:  # the store is gone; whoever waits for it says so
                return
            self._ended.wait(self._seconds)


class Silence:
    """For how long other ranks have given no sign of life.

    Only time spent looking counts, so that a process that was stopped and goes on does not take others for dead.

    Args:
        ranks: The ranks that are waited for.
        patience: How long to wait.
    """

    def __init__(self, ranks: Sequence[int], patience: Patience) -> None:
        self._patience = patience
        self._seconds = dict.fromkeys(ranks, 0.0)
        self._signs = dict.fromkeys(ranks, 0)
        self._named: set[int] = set()
        self._looked = -float("inf")

    def look(self, signs_of: Callable[[int], int]) -> None:
        """Look for signs of life, where it is time to.

        Args:
            signs_of: The number of signs that a rank has given.
        """
        now = time.monotonic()
        since = now - self._looked
        if since < self._patience.beat:
            return
        self._looked = now
        for rank, before in self._signs.items():
            self._signs[rank] = signs_of(rank)
            heard = self._signs[rank] != before
            self._seconds[rank] = 0.0 if heard else self._seconds[rank] + min(since, 2 * self._patience.beat)

    def newly_silent(self) -> list[int]:
        """The ranks to tell of.

        Returns:
            Those that have been silent for long enough and were not returned before.
        """
        named = [rank for rank, seconds in self._seconds.items() if seconds >= self._patience.notice]
        new = [rank for rank in named if rank not in self._named]
        self._named = set(named)
        return new

    def given_up(self) -> list[int]:
        """The ranks to wait for no longer.

        Returns:
            Those that have been silent up to the limit.
        """
        return [rank for rank, seconds in self._seconds.items() if seconds >= self._patience.limit]


TIMEOUT = "SHED_HF_RANK_TIMEOUT"
"""The environment variable that says after how many seconds of silence waiting for a rank ends."""


START_AGAIN = "start the same command again on all ranks, what was measured is in the ledger"


def waiting_ends(limit: float) -> str:
    """How long waiting goes on, in words.

    Args:
        limit: Seconds.

    Returns:
        A sentence.
    """
    return f"Waiting ends after {limit:.0f} s ({TIMEOUT} sets how many)"


def unreachable(rank: int) -> RankError:
    """The error of a rank whose store is gone.

    Args:
        rank: This process's number.

    Returns:
        An error that says what to do.
    """
    return RankError(
        f"rank {rank} cannot reach the other ranks any more: rank 0 or the launcher is gone; start the same command "
        "again, what was measured is in the ledger"
    )


def unreadable(key: str, why: str) -> RankError:
    """The error of a message that no rank of this launch can have sent.

    Args:
        key: Where it was found.
        why: What is wrong with it.

    Returns:
        An error that says what to do.
    """
    return RankError(
        f"what is under {key!r} in the store of the ranks is no message of shed_hf ({why[:200]}); nothing of it was "
        "run. Another process writes to the store's port, or the ranks have different versions of shed_hf: give all "
        f"ranks the same version and a network that others cannot reach, and {START_AGAIN}"
    )
