"""Waiting for other ranks ends: signs of life, who is named when, and a store that does not answer."""

import threading
import time
from typing import Any

import pytest
from torch.distributed import HashStore

from shed_hf import InputError, RankError
from shed_hf.distributed.launch import patience_of_environment
from shed_hf.distributed.messages import Codec
from shed_hf.distributed.ranks import MultiProcess
from shed_hf.distributed.store import Heartbeat, Mailbox, Patience, Silence

SHORT = Patience(0.8)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("shed_hf.distributed.store.time.monotonic", lambda: self.now)


@pytest.mark.parametrize(("limit", "notice", "beat"), [(1800, 60, 5), (100, 50, 5), (40, 20, 2), (0.8, 0.4, 0.04)])
def test_the_line_comes_after_a_minute_or_half_the_limit(limit: float, notice: float, beat: float) -> None:
    assert (Patience(limit).notice, Patience(limit).beat) == (notice, pytest.approx(beat))


@pytest.mark.parametrize(("value", "limit"), [(None, 1800.0), ("90", 90.0), ("0.5", 0.5), ("1e4", 10_000.0)])
def test_the_limit_is_the_environments(value: str | None, limit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHED_HF_RANK_TIMEOUT", raising=False)
    if value is not None:
        monkeypatch.setenv("SHED_HF_RANK_TIMEOUT", value)
    assert patience_of_environment() == Patience(limit)


@pytest.mark.parametrize("value", ["", "0", "-5", "nan", "inf", "soon", "30 min"])
def test_another_limit_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHED_HF_RANK_TIMEOUT", value)
    with pytest.raises(InputError, match=rf"SHED_HF_RANK_TIMEOUT='{value}' is no number of seconds above 0"):
        patience_of_environment()


def test_a_rank_is_named_once_and_given_up_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, signs = Clock(monkeypatch), {1: 0, 2: 0}
    silence = Silence([1, 2], Patience(1800))
    named: list[tuple[float, list[int]]] = []
    while not silence.given_up():
        signs[2] += 1  # rank 2 lives, rank 1 never came
        silence.look(signs.__getitem__)
        if new := silence.newly_silent():
            named.append((clock.now - 1000, new))
        clock.now += 5
    assert named == [(50.0, [1])]  # the first look counts for two beats
    assert silence.given_up() == [1]
    assert clock.now - 1000 == pytest.approx(1800, abs=15)


def test_a_rank_that_was_silent_and_comes_back_may_be_named_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, signs = Clock(monkeypatch), {0: 0}
    silence, named = Silence([0], Patience(1800)), []
    for second in range(0, 400, 5):
        signs[0] += second == 200
        silence.look(signs.__getitem__)
        named += [second] * len(silence.newly_silent())
        clock.now += 5
    assert named == [50, 260]


def test_a_process_that_was_stopped_itself_takes_nobody_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    silence = Silence([1], Patience(1800))
    silence.look(lambda _: 7)
    clock.now += 100_000  # stopped, or training for a day: it could not look
    silence.look(lambda _: 7)
    assert silence.given_up() == silence.newly_silent() == []


def test_a_look_into_the_store_is_taken_once_a_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, looks = Clock(monkeypatch), []
    silence = Silence([1], Patience(1800))
    for _ in range(101):
        silence.look(lambda rank: looks.append(rank) or 0)
        clock.now += 0.1
    assert len(looks) == 3


def test_signs_of_life_come_while_a_rank_is_busy_and_end_with_it() -> None:
    store = HashStore()
    heart = Heartbeat(store, "alive/3", 0.02)
    heart.start()
    time.sleep(0.3)
    heart.stop()
    time.sleep(0.05)
    given = store.add("alive/3", 0)
    assert 5 <= given <= 16
    time.sleep(0.1)
    assert store.add("alive/3", 0) == given


class Stopped(HashStore):  # type: ignore[misc]
    """A store whose process was stopped after some answers."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self.answers, self.goes_on = answers, threading.Event()

    def check(self, keys: list[str]) -> bool:
        self.answers -= 1
        if self.answers < 0:
            self.goes_on.wait(30)
        return bool(super().check(keys))


def test_a_store_that_does_not_answer_is_told_of_and_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    store, began = Stopped(5), time.monotonic()
    with (
        pytest.raises(RankError, match=r"gave rank 1 no answer for 1 s: rank 0 or the launcher is stopped.*start the"),
        MultiProcess(store, 1, 2, patience=SHORT) as workers,
    ):
        workers.work({})
    assert 0.7 < time.monotonic() - began < 10
    told = capsys.readouterr().err
    assert "rank 1 has waited 0 s for the store of the ranks, which rank 0 or the launcher holds" in told
    assert "SHED_HF_RANK_TIMEOUT" in told
    store.goes_on.set()


def test_a_store_that_goes_on_in_time_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    store = Stopped(0)
    mail = Mailbox(store, 1, Codec(), Patience(5))
    threading.Timer(0.2, store.goes_on.set).start()
    assert mail.has("nothing") is False
    assert capsys.readouterr().err == ""


# ---- ranks that never come, and ranks that go


def absent(main: Any, size: int = 3, patience: Patience = SHORT) -> BaseException | Any:
    """What rank 0 returns or raises where rank 2 never calls, and rank 1 works."""
    store = HashStore()

    def work() -> None:
        with pytest.raises(RankError, match=r"^rank 2 gave rank 0 no sign"), MultiProcess(store, 1, size) as workers:
            workers.work({"who": lambda task: task})

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        with MultiProcess(store, 0, size, patience=patience) as workers:
            return main(workers)
    except RankError as error:
        return error


def test_a_rank_that_never_comes_is_named_and_waiting_for_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    error = absent(lambda workers: workers.on_every_rank("who", 1, lambda task: task))
    assert isinstance(error, RankError)
    assert str(error).startswith(
        "rank 2 gave rank 0 no sign of life for 1 s: it has not called curate or plan yet, is stopped, or was killed; "
        "start the same command again on all ranks"
    )
    assert 0.6 < time.monotonic() - began < 10
    assert "rank 0 waits for rank 2, which has given no sign of life" in capsys.readouterr().err


def test_a_rank_that_goes_on_after_the_notice_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    store = HashStore()

    def late() -> None:
        time.sleep(0.8)
        with MultiProcess(store, 1, 2) as workers:
            workers.work({"who": lambda task: task + 1})

    thread = threading.Thread(target=late, daemon=True)
    thread.start()
    with MultiProcess(store, 0, 2, patience=Patience(1.2)) as workers:
        assert workers.on_every_rank("who", 1, lambda task: task) == [1, 2]
        workers.end(None)
    assert "rank 0 waits for rank 1" in capsys.readouterr().err


def test_a_rank_that_measures_for_longer_than_the_limit_is_waited_for() -> None:
    store = HashStore()

    def slow(task: int) -> int:
        time.sleep(1.5)
        return task + 1

    def work() -> None:
        with MultiProcess(store, 1, 2, patience=Patience(0.4)) as workers:
            workers.work({"who": slow})

    threading.Thread(target=work, daemon=True).start()
    with MultiProcess(store, 0, 2, patience=Patience(0.4)) as workers:
        assert workers.on_every_rank("who", 1, lambda task: task) == [1, 2]
        workers.end(None)


def test_a_finished_result_does_not_wait_for_the_dead_and_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    store = HashStore()
    with MultiProcess(store, 0, 2, patience=SHORT) as workers:
        workers.end("result")
    assert "rank 0 has ended without" in capsys.readouterr().err
