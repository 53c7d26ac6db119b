"""An identity is code and state: equal for what gives equal outcomes, another for whatever differs."""

import functools
import operator
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from shed_hf import Named
from shed_hf.errors import InputError
from shed_hf.utils.identity import UNKNOWN, Unidentifiable, description, digest
from shed_hf.utils.naming import bare_name, stable_name

SCALE = 1.0


def plus(rows: Any, offset: float = 0.0, *, factor: float = 1.0) -> float:
    return (len(rows) + offset) * factor


def scaled(rows: Any) -> float:
    return SCALE * len(rows)


class Plain:
    def __init__(self, offset: Any) -> None:
        self.offset = offset

    def __call__(self, rows: Any) -> Any:
        return self.offset

    def twice(self, rows: Any) -> Any:
        return 2 * self.offset

    @functools.cached_property
    def table(self) -> list[int]:
        return [1, 2, 3]


@dataclass(frozen=True)
class Frozen:
    offset: Any
    hidden: Any = field(default=None, repr=False)


class Slots:
    __slots__ = ("offset",)

    def __init__(self, offset: Any) -> None:
        self.offset = offset


@dataclass(slots=True)
class SlottedDataclass:
    offset: Any


class Colour(Enum):
    RED = 1
    BLUE = 2


class Listing(list[int]):
    offset = 0


class SaysItsState:
    """What is open is no part of its state."""

    def __init__(self, offset: int) -> None:
        self.offset, self.file = offset, Path(__file__).open()  # noqa: SIM115

    def __getstate__(self) -> dict[str, Any]:
        return {"offset": self.offset}


def closing_over(offset: Any) -> Callable[[Any], Any]:
    return lambda rows: offset


def nested_function(constant: int) -> Callable[[Any], Any]:
    def outer(rows: Any) -> Any:
        def inner() -> Any:
            return constant

        return inner()

    return outer


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def linear(weight: float) -> torch.nn.Module:
    layer = torch.nn.Linear(2, 1)
    torch.nn.init.constant_(layer.weight, weight)
    torch.nn.init.constant_(layer.bias, 0.0)
    return layer


KINDS: dict[str, Callable[[Any], Any]] = {
    "an attribute": Plain,
    "a dataclass": Frozen,
    "a hidden field": lambda x: Frozen(0, x),
    "a slot": Slots,
    "a slotted dataclass": SlottedDataclass,
    "a positional argument": lambda x: functools.partial(plus, [1], x),
    "a keyword argument": lambda x: functools.partial(plus, factor=x),
    "a partial of an object": lambda x: functools.partial(Plain(x), 1),
    "a nested partial": lambda x: functools.partial(functools.partial(plus, offset=x), factor=2),
    "a closure": closing_over,
    "a nested function": nested_function,
    "a bound method": lambda x: Plain(x).twice,
    "an object in an object": lambda x: Plain(Plain(x)),
    "a list": lambda x: [1, x],
    "a tuple": lambda x: (x, 1),
    "a dict": lambda x: {"a": x},
    "a key": lambda x: {x: 1},
    "a set": lambda x: {x, "a", "b"},
    "a deque": lambda x: deque([x]),
    "a default dict": lambda x: defaultdict(list, {"a": [x]}),
    "an ordered dict": lambda x: OrderedDict(a=x),
    "a counter": lambda x: Counter([x]),
    "a subclass of list": lambda x: Listing([x]),
    "a namespace": lambda x: SimpleNamespace(offset=x),
    "an array": lambda x: np.array([0.5, x]),
    "an array of objects": lambda x: np.array([Plain(x), None]),
    "a number of numpy": np.float64,
    "a masked array": lambda x: np.ma.array([1.0, 2.0], mask=[x == 1, False]),
    "a random generator": generator,
    "a tensor": lambda x: torch.tensor([x]),
    "a brain float": lambda x: torch.tensor([x], dtype=torch.bfloat16),
    "a module": linear,
    "a decimal": lambda x: Decimal(x),
    "a path": lambda x: Path(f"/data/{x}"),
    "a pattern": lambda x: re.compile(f"a{x}"),
    "an item getter": lambda x: operator.itemgetter(x),
    "a lambda's default": lambda x: lambda rows, offset=x: offset,
    "a cached function": lambda x: functools.lru_cache(closing_over(x)),
    "a wrapped function": lambda x: functools.wraps(plus)(closing_over(x)),
    "a decorated function": lambda x: torch.no_grad()(closing_over(x)),
    "a state of its own": SaysItsState,
    "a class": lambda x: type("Made", (), {"offset": x}),
    "an instance of a class made": lambda x: type("Made", (), {"offset": x, "__module__": __name__})(),
    "a bound built-in": lambda x: [x].index,
    "a type and a value": lambda x: (float, x),
}


@pytest.mark.parametrize("kind", KINDS, ids=[name.replace(" ", "-") for name in KINDS])
def test_a_difference_in_state_is_a_difference_in_identity(kind: str) -> None:
    make = KINDS[kind]
    assert digest(make(1)) == digest(make(1))
    assert digest(make(1)) != digest(make(2))
    assert description(make(1)) == description(make(1))
    assert description(make(1)) != description(make(2))
    assert "0x" not in f"{description(make(1))}{stable_name(make(1))}{bare_name(make(1))}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda rows: rows + 1, lambda rows: rows - 1),
        (lambda rows: rows[0], lambda rows: rows[1]),
        (lambda rows: rows.mean(), lambda rows: rows.sum()),
        (lambda rows: rows in {"a", "b"}, lambda rows: rows in {"a", "c"}),
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ("1", 1),
        ("a", b"a"),
        ([1], (1,)),
        ([[1], 2], [[1, 2]]),
        (None, "None"),
        (np.float32(1), np.float64(1)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (torch.ones(2), torch.ones(2, dtype=torch.bfloat16)),
        (torch.ones(2), np.ones(2, np.float32)),
        (Colour.RED, Colour.BLUE),
        (Plain(1), Frozen(1)),
        (Plain(1).twice, Plain(1).__call__),
        (len, max),
        (np.mean, np.median),
        (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)),
        (functools.partial(plus, 1), functools.partial(plus, offset=1)),
    ],
)
def test_what_is_alike_but_not_the_same_is_told_apart(one: Any, other: Any) -> None:
    assert digest(one) != digest(other)


def test_what_makes_no_difference_makes_none() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(np.arange(6).reshape(2, 3).T) == digest(np.ascontiguousarray(np.arange(6).reshape(2, 3).T))
    shared = [1, 2]
    assert digest([shared, shared]) == digest([[1, 2], [1, 2]])
    used, fresh = Plain(1), Plain(1)
    assert used.table == [1, 2, 3]
    assert digest(used) == digest(fresh)
    locked = Plain(threading.Lock())
    assert digest(locked) == digest(Plain(threading.Lock()))


def test_a_global_that_a_function_reads_belongs_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(scaled)
    of_other, described = digest(plus), description(scaled)
    monkeypatch.setattr(f"{__name__}.SCALE", 2.0)
    assert digest(scaled) != before
    assert digest(plus) == of_other
    changed = description(scaled)
    assert {name for name in changed if changed[name] != described[name]} == {"global SCALE"}


def test_the_functions_that_a_function_calls_belong_to_it() -> None:
    def module(step: str) -> Any:
        names: dict[str, Any] = {"__name__": "written"}
        exec(f"def helper(x):\n    return x {step}\n\ndef worth(rows):\n    return helper(len(rows))\n", names)
        return names["worth"]

    assert digest(module("+ 1")) == digest(module("+ 1"))
    assert digest(module("+ 1")) != digest(module("+ 2"))


def test_things_inside_themselves_have_an_identity() -> None:
    one: list[Any] = [1]
    one.append(one)
    other: list[Any] = [2]
    other.append(other)
    same: list[Any] = [1]
    same.append(same)
    assert digest(one) == digest(same) != digest(other)
    child, parent = Plain(None), Plain(None)
    child.offset, parent.offset = parent, child
    assert digest(parent) == digest(parent)


@pytest.mark.parametrize(
    "unreadable",
    [lambda: os.fdopen(os.dup(0)), lambda: (x for x in [1]), lambda: threading.local(), lambda: memoryview(b"a")],
    ids=["file", "generator", "thread-local", "memory view"],
)
def test_what_cannot_be_read_has_no_identity_and_is_named(unreadable: Callable[[], Any]) -> None:
    thing = unreadable()
    with pytest.raises(Unidentifiable, match=type(thing).__qualname__):
        digest(Plain(thing))
    described = description(Plain(thing))
    assert described["offset"].startswith(f"{UNKNOWN}: it is a {type(thing).__qualname__}")
    assert "0x" not in f"{described}{stable_name(Plain(thing))}{stable_name([thing])}"


def test_a_name_stands_for_what_cannot_be_read() -> None:
    with Path(__file__).open() as file:
        assert digest(Named("first", Plain(file))) == digest(Named("first", Plain(2))) != digest(Named("second", plus))
        assert stable_name(Named("first", Plain(file))) == "first"
        assert description(Named("first", Plain(file))) == {}
    assert Named("sum", plus)([1, 2], offset=3) == 5
    for name, thing in (("", plus), (" ", plus), (3, plus), ("a", 3)):
        with pytest.raises(InputError, match="pass a name and a callable"):
            Named(name, thing)  # type: ignore[arg-type]


def test_the_part_that_differs_has_a_name() -> None:
    def differing(one: Any, other: Any) -> list[str]:
        left, right = description(one), description(other)
        return [name for name in left if left[name] != right[name]]

    assert differing(Plain(1), Plain(-1)) == ["offset"]
    assert differing(Slots("a"), Slots("b")) == ["offset"]
    assert differing(closing_over(1), closing_over(2)) == ["closure offset"]
    assert differing(functools.partial(plus, offset=1), functools.partial(plus, offset=2)) == ["argument offset"]
    assert description(Plain(-1))["offset"] == -1
    secret = description(Plain("hf_secret"))
    assert "secret" not in str(secret)


def test_an_identity_is_the_same_in_another_process(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        textwrap.dedent(
            """
            import functools

            import numpy as np

            WORDS = {"alpha", "beta", "gamma", "delta"}

            class Util:
                def __init__(self, offset):
                    self.offset, self.words, self.table = offset, {"x", "y", "z"}, np.arange(5)

                def __call__(self, sets):
                    return [[self.offset + (len(rows) in {"a", "b", "c"})] for rows in sets if rows not in WORDS]

            things = [Util(1), Util.__call__, functools.partial(Util(1), 2), lambda sets: sets in WORDS]
            """
        )
    )
    program = "import mine; from shed_hf.utils.naming import *; from shed_hf.utils.identity import digest; "
    program += "print([(digest(t), stable_name(t), bare_name(t)) for t in mine.things])"
    shown = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert shown[0] == shown[1] != ""
