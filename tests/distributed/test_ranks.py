"""Several ranks around one store: who takes what, what arrives, and what happens when one fails."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from torch.distributed import HashStore

from shed_hf import InputError, RankError
from shed_hf.distributed.ranks import MultiProcess, SingleProcess
from tests.helpers.thread_ranks import at_once


def ranks_of(size: int, main: Callable[[MultiProcess], Any], work: Callable[[MultiProcess], Any]) -> list[Any]:
    """What each rank returns or raises, each in a thread of its own."""
    store = HashStore()

    def run(rank: int) -> Any:
        with MultiProcess(store, rank, size) as workers:
            return main(workers) if workers.is_main else work(workers)

    return at_once(*(partial(run, rank) for rank in range(size)))


def squared(by: list[int], rank: int, seconds: Callable[[int], float] = lambda _: 0.0) -> Callable[[int], int]:
    def handle(task: int) -> int:
        time.sleep(seconds(task))
        by.append(rank)
        return task**2

    return handle


@pytest.mark.parametrize("size", [2, 3, 5])
def test_every_task_is_done_once_and_its_result_reaches_rank_0(size: int) -> None:
    by: list[int] = []

    def main(workers: MultiProcess) -> Any:
        rounds = [dict(workers.map("square", range(n), squared(by, 0))) for n in (40, 0, 1, 7)]
        workers.end(rounds)
        return rounds

    found = ranks_of(size, main, lambda workers: workers.work({"square": squared(by, workers.rank)}))
    assert found == [[{n: n**2 for n in range(count)} for count in (40, 0, 1, 7)]] * size
    assert len(by) == 48


def test_who_is_free_takes_the_next_task() -> None:
    by: list[int] = []

    def slow(task: int) -> float:
        return 0.4 if task == 0 else 0.005

    def main(workers: MultiProcess) -> Any:
        results = list(workers.map("square", range(21), squared(by, 0, slow)))
        workers.end(None)
        return results

    found = ranks_of(2, main, lambda workers: workers.work({"square": squared(by, 1, slow)}))
    assert sorted(found[0]) == [(n, n**2) for n in range(21)]
    assert sorted((by.count(0), by.count(1))) == [1, 20]  # one rank sat over the first, the other did the rest


def test_each_rank_does_what_is_for_all_and_rank_0_hears_from_all() -> None:
    def main(workers: MultiProcess) -> Any:
        told = workers.on_every_rank("who", "you", lambda you: (you, 0))
        workers.end("done")
        return told

    found = ranks_of(3, main, lambda workers: workers.work({"who": lambda you: (you, workers.rank)}))
    assert found == [[("you", 0), ("you", 1), ("you", 2)], "done", "done"]


@pytest.mark.parametrize("failing", [0, 1, 2])
@pytest.mark.parametrize("error", [InputError("row 3 is bad; mend it"), KeyboardInterrupt()])
def test_an_exception_on_one_rank_ends_all_with_the_same(failing: int, error: BaseException) -> None:
    def handle(rank: int) -> Callable[[int], int]:
        def fail(task: int) -> int:
            time.sleep(0.01)
            if rank == failing:
                raise error
            return task

        return fail

    def main(workers: MultiProcess) -> None:
        list(workers.map("work", range(200), handle(0)))
        workers.end(None)

    found = ranks_of(3, main, lambda workers: workers.work({"work": handle(workers.rank)}))
    assert [type(one) for one in found] == [type(error)] * 3
    assert [str(one) for one in found] == [str(error)] * 3
    assert all(f"rank {failing} of 3" in found[rank].__notes__[0] for rank in range(3) if rank != failing)


class Unsendable(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__("only words")


def test_an_exception_of_the_callers_arrives_in_words() -> None:
    def fail(_task: int) -> None:
        raise Unsendable(1, 2)

    found = ranks_of(2, lambda workers: fail(0), lambda workers: workers.work({}))
    assert isinstance(found[0], Unsendable)
    assert isinstance(found[1], RuntimeError)
    assert "Unsendable: only words" in str(found[1])


class Lost(HashStore):  # type: ignore[misc]
    """A store whose process is gone."""

    def check(self, keys: list[str]) -> bool:
        raise RuntimeError("Broken pipe")


def test_a_rank_that_lost_the_others_says_what_to_do() -> None:
    told = r"rank 1 cannot reach the other ranks any more.*start the same command again"
    with pytest.raises(RankError, match=told), MultiProcess(Lost(), 1, 2) as workers:
        workers.work({})


def test_rank_0_waits_until_all_have_its_result() -> None:
    ended: list[float] = []

    def main(workers: MultiProcess) -> None:
        workers.end("result")
        ended.append(time.perf_counter())

    def work(workers: MultiProcess) -> Any:
        time.sleep(0.3)
        before = time.perf_counter()
        assert not ended
        result = workers.work({})
        return result, before

    found = ranks_of(2, main, work)
    assert found[1][0] == "result"
    assert ended[0] > found[1][1]


def test_one_process_alone_does_all_in_order() -> None:
    with SingleProcess() as workers:
        assert list(workers.map("square", [3, 1], lambda n: n**2)) == [(0, 9), (1, 1)]
        assert workers.on_every_rank("square", 4, lambda n: n**2) == [16]
        workers.end(None)
    assert workers.is_main
    assert workers.size == 1


def test_every_rank_has_the_value_that_rank_0_makes() -> None:
    made: list[int] = []

    def both(workers: MultiProcess) -> Any:
        def make(value: int) -> Callable[[], int]:
            def of_rank() -> int:
                made.append(workers.rank)
                return value

            return of_rank

        return [workers.broadcast(make(10 + workers.rank)), workers.broadcast(make(20 + workers.rank))]

    assert ranks_of(3, both, both) == [[10, 20]] * 3
    assert made == [0, 0]
    assert SingleProcess().broadcast(lambda: 7) == 7
