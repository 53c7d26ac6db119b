"""Several ranks around one store: who takes what, what arrives, and what happens when one fails."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from torch.distributed import HashStore

from shed_hf import InputError
from shed_hf.crew import Alone, Ranks


def crew_of(size: int, lead: Callable[[Ranks], Any], follow: Callable[[Ranks], Any]) -> list[Any]:
    """What each rank of a crew returns or raises, each in a thread of its own."""
    store, found = HashStore(), [None] * size

    def run(rank: int) -> None:
        try:
            with Ranks(store, rank, size) as crew:
                found[rank] = lead(crew) if crew.leads else follow(crew)
        except BaseException as error:
            found[rank] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return found


def squared(by: list[int], rank: int, seconds: Callable[[int], float] = lambda _: 0.0) -> Callable[[int], int]:
    def handle(task: int) -> int:
        time.sleep(seconds(task))
        by.append(rank)
        return task**2

    return handle


@pytest.mark.parametrize("size", [2, 3, 5])
def test_every_task_is_done_once_and_its_result_reaches_the_leader(size: int) -> None:
    by: list[int] = []

    def lead(crew: Ranks) -> Any:
        rounds = [dict(crew.share("square", range(n), squared(by, 0))) for n in (40, 0, 1, 7)]
        crew.end(rounds)
        return rounds

    found = crew_of(size, lead, lambda crew: crew.follow({"square": squared(by, crew.rank)}))
    assert found == [[{n: n**2 for n in range(count)} for count in (40, 0, 1, 7)]] * size
    assert len(by) == 48


def test_who_is_free_takes_the_next_task() -> None:
    by: list[int] = []

    def slow(task: int) -> float:
        return 0.4 if task == 0 else 0.005

    def lead(crew: Ranks) -> Any:
        results = list(crew.share("square", range(21), squared(by, 0, slow)))
        crew.end(None)
        return results

    found = crew_of(2, lead, lambda crew: crew.follow({"square": squared(by, 1, slow)}))
    assert sorted(found[0]) == [(n, n**2) for n in range(21)]
    assert sorted((by.count(0), by.count(1))) == [1, 20]  # one rank sat over the first, the other did the rest


def test_each_rank_does_what_is_for_all_and_the_leader_hears_from_all() -> None:
    def lead(crew: Ranks) -> Any:
        told = crew.each("who", "you", lambda you: (you, 0))
        crew.end("done")
        return told

    found = crew_of(3, lead, lambda crew: crew.follow({"who": lambda you: (you, crew.rank)}))
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

    def lead(crew: Ranks) -> None:
        list(crew.share("work", range(200), handle(0)))
        crew.end(None)

    found = crew_of(3, lead, lambda crew: crew.follow({"work": handle(crew.rank)}))
    assert [type(one) for one in found] == [type(error)] * 3
    assert [str(one) for one in found] == [str(error)] * 3
    assert all(f"rank {failing} of 3" in found[rank].__notes__[0] for rank in range(3) if rank != failing)


class Unsendable(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__("only words")


def test_an_exception_that_cannot_travel_arrives_in_words() -> None:
    def fail(_task: int) -> None:
        raise Unsendable(1, 2)

    found = crew_of(2, lambda crew: fail(0), lambda crew: crew.follow({}))
    assert isinstance(found[0], Unsendable)
    assert isinstance(found[1], RuntimeError)
    assert "Unsendable: only words" in str(found[1])


class Lost(HashStore):  # type: ignore[misc]
    """A store whose process is gone."""

    def check(self, keys: list[str]) -> bool:
        raise RuntimeError("Broken pipe")


def test_a_rank_that_lost_the_others_says_what_to_do() -> None:
    told = r"rank 1 cannot reach the other ranks any more.*start the same command again"
    with pytest.raises(RuntimeError, match=told), Ranks(Lost(), 1, 2) as crew:
        crew.follow({})


def test_a_leader_waits_until_all_have_its_result() -> None:
    ended: list[float] = []

    def lead(crew: Ranks) -> None:
        crew.end("result")
        ended.append(time.perf_counter())

    def follow(crew: Ranks) -> Any:
        time.sleep(0.3)
        before = time.perf_counter()
        assert not ended
        result = crew.follow({})
        return result, before

    found = crew_of(2, lead, follow)
    assert found[1][0] == "result"
    assert ended[0] > found[1][1]


def test_one_process_alone_does_all_in_order() -> None:
    with Alone() as crew:
        assert list(crew.share("square", [3, 1], lambda n: n**2)) == [(0, 9), (1, 1)]
        assert crew.each("square", 4, lambda n: n**2) == [16]
        crew.end(None)
    assert crew.leads
    assert crew.size == 1
