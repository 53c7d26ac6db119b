"""What ranks tell each other as bytes: it arrives as it was, and bytes that are none of ours run nothing."""

import ast
import math
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

import shed_hf
from shed_hf import Diverged, HubError, InputError, LedgerError, NoSignal, RankError
from shed_hf.data.formats import InvalidCell
from shed_hf.distributed.messages import Codec, RecordType, error_from, plain_error, record

NUMBERS = [
    np.arange(6, dtype=np.int64).reshape(2, 3),
    np.array([0.1, -0.0, np.inf, np.nan, 5e-324]),
    np.array([[True], [False]]),
    np.array([1.5, -2], dtype=np.float32),
    np.empty((0, 4), dtype=np.float16),
    np.array(7, dtype=np.uint8),
    np.arange(10)[::-2],
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array([1, 2], dtype=">i4"),
]


@dataclass(frozen=True, eq=False)
class Point:
    x: float
    where: Any = None


@dataclass(frozen=True)
class Stranger:
    x: float = 0.0


class Colour(StrEnum):
    RED = "red"


class Bag:
    """No dataclass: it says itself what it is made of."""

    def __init__(self, things: list[Any]) -> None:
        self.things = list(things)


CODEC = Codec([record(Point), RecordType(Bag, lambda bag: {"things": bag.things}, Bag)])


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(found, expected)
        assert (found.dtype, found.shape) == (expected.dtype.newbyteorder("="), expected.shape)
        assert found.flags.writeable
    elif isinstance(expected, Point):
        assert_same((found.x, found.where), (expected.x, expected.where))
    elif isinstance(expected, Mapping):
        assert list(found) == list(expected)
        assert_same(list(found.values()), list(expected.values()))
    elif isinstance(expected, list | tuple):
        assert (type(found), len(found)) == (type(expected), len(expected))
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        assert (type(found), repr(found)) == (type(expected), repr(expected))


@pytest.mark.parametrize(
    "content",
    [
        None, True, 0, -(2**70), 0.1, -0.0, math.inf, math.nan, 5e-324, "", "ü ∅ \x00 \ud800", "array", [], (), {},
        [1, (2, [3, ()]), None], {"a": {"b": (1, 2)}, 3: None, (1, "x"): [], None: 0}, {"array": "0", "tuple": [1]},
        np.float64(0.1), np.int32(-3), np.bool_(True), *NUMBERS, [NUMBERS[0], {"x": NUMBERS[1]}, NUMBERS[0]],
        Point(1.5), Point(0.0, [Point(2.0, NUMBERS[1])]),
    ],
    ids=lambda content: repr(content)[:20],
)  # fmt: skip
def test_what_is_sent_arrives_as_it_was(content: Any) -> None:
    assert_same(CODEC.decode(CODEC.encode(content)), content)


def test_an_object_that_is_no_dataclass_arrives_too() -> None:
    assert CODEC.decode(CODEC.encode(Bag([1, "two"]))).things == [1, "two"]


def test_words_of_an_enumeration_arrive_as_words() -> None:
    assert CODEC.decode(CODEC.encode({"c": Colour.RED})) == {"c": "red"}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (np.array([{}, 1], dtype=object), "array of object"),
        (np.array(["a"]), "array of <U1"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "array of datetime64"),
        (np.array([1j]), "array of complex128"),
        ([1, {2}], "a set"),
        (Stranger(), "a Stranger"),
        (b"bytes", "a bytes"),
        (print, "a builtin_function_or_method"),
        ({"x": Path("here")}, "a PosixPath"),
    ],
)
def test_anything_else_is_not_sent(content: Any, named: str) -> None:
    with pytest.raises(TypeError, match=rf"{named}.* cannot be sent to another rank"):
        CODEC.encode(content)


class Evil:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def of_json(text: str, **arrays: np.ndarray) -> bytes:
    return bytes(save({"content": np.frombuffer(text.encode(), dtype=np.uint8), **arrays}))


GOOD = CODEC.encode([Point(1.0, np.arange(9)), "text"])
MALFORMED = {
    "empty": b"",
    "noise": bytes(range(256)),
    "cut": GOOD[:-3],
    "longer": GOOD + b"x",
    "head only": GOOD[:30],
    "a promise of 2**62 bytes": (2**62).to_bytes(8, "little") + GOOD[8:],
    "no content": bytes(save({"0": np.arange(3)})),
    "no JSON": of_json("{"),
    "no text": bytes(save({"content": np.array([255, 254], dtype=np.uint8)})),
    "floats for text": bytes(save({"content": np.array([1.5])})),
    "deep": of_json("[" * 100_000 + "]" * 100_000),
    "an unknown form": of_json('{"call": ["os.system", "true"]}'),
    "an unknown record": of_json('{"record": ["Popen", {"args": "true"}]}'),
    "a record without its parts": of_json('{"record": ["Point", {}]}'),
    "a record with other parts": of_json('{"record": ["Point", {"x": 1, "y": 2}]}'),
    "a missing array": of_json('{"array": "7"}'),
    "a name that is a number": of_json('{"array": 0}'),
    "pairs that are none": of_json('{"dict": [[1, 2, 3]]}'),
    "keys that can't be": of_json('{"dict": [[[1], 2]]}'),
    "parts of the wrong kind": of_json('{"record": ["Bag", {"things": 3}]}'),
    "a huge number": of_json("1" * 5000),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_bytes_end_in_one_kind_of_error(name: str) -> None:
    with pytest.raises(ValueError, match=r"^\w+: "):
        CODEC.decode(MALFORMED[name])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_not_run(protocol: int, tmp_path: Path) -> None:
    message = pickle.dumps(Evil(tmp_path / "ran"), protocol)
    with pytest.raises(ValueError, match="SafetensorError"):
        CODEC.decode(message)
    assert not (tmp_path / "ran").exists()
    pickle.loads(message)
    assert (tmp_path / "ran").exists()  # it would have run


def test_flipped_bytes_never_raise_anything_else() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        altered = bytearray(GOOD)
        for place in rng.integers(len(altered), size=rng.integers(1, 4)):
            altered[place] = rng.integers(256)
        try:
            CODEC.decode(bytes(altered))
        except ValueError:
            continue


@pytest.mark.parametrize(
    "error",
    [
        InputError("row 3"), LedgerError("a line"), Diverged("NaN"), NoSignal("noise"), HubError("503"),
        RankError("gone"), KeyboardInterrupt(), KeyboardInterrupt("by hand"),
    ],
    ids=repr,
)  # fmt: skip
def test_our_own_errors_arrive_as_they_were(error: BaseException) -> None:
    error.add_note("a note")
    rank, found = error_from(CODEC.decode(CODEC.encode(plain_error(error, 3))))
    assert (rank, type(found), str(found), found.__notes__) == (3, type(error), str(error), ["a note"])


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (InvalidCell("text", "is empty"), InputError, "column 'text' is empty"),
        (KeyError("subject"), RuntimeError, "KeyError: 'subject'"),
        (ZeroDivisionError("division by zero"), RuntimeError, "ZeroDivisionError: division by zero"),
        (SystemExit(3), RuntimeError, "SystemExit: 3"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), RuntimeError, "UnicodeDecodeError: 'utf-8' codec"),
    ],
    ids=repr,
)
def test_other_errors_arrive_as_the_nearest_of_ours_or_in_words(
    error: BaseException, kind: type[BaseException], words: str
) -> None:
    _, found = error_from(plain_error(error, 1))
    assert type(found) is kind
    assert str(found).startswith(words)


@pytest.mark.parametrize("kind", [ValueError, InputError, OSError])
def test_no_secret_and_nothing_that_acts_on_a_terminal_travels_in_an_error(kind: type[Exception]) -> None:
    error = kind(f"no \x1b[2Jaccess with hf_{'a' * 30}")
    error.add_note(f"\x07 hf_{'b' * 30}")
    sent = plain_error(error, 1)
    assert "hf_" not in str(sent)
    _, found = error_from({**sent, "notes": ["\x1b[2J"]})
    assert str(found).endswith("no \\x1b[2Jaccess with ***")
    assert (sent["notes"], found.__notes__) == (["\\x07 ***"], ["\\x1b[2J"])


@pytest.mark.parametrize("plain", [None, [], {"rank": 1}, {"rank": 1, "classes": [], "message": "", "notes": []}])
def test_what_is_no_error_is_not_raised(plain: Any) -> None:
    with pytest.raises(ValueError, match="is no exception"):
        error_from(plain)


def test_a_class_is_never_looked_up_by_its_name_alone() -> None:
    plain = {"rank": 1, "classes": ["SystemExit", "eval", "object"], "message": "1", "notes": []}
    assert type(error_from(plain)[1]) is RuntimeError


RUNS_CODE = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "jsonpickle"}


LOADS = {"torch.load": ("weights_only", "True"), "np.load": ("allow_pickle", "False")}
LOADS["numpy.load"] = LOADS["np.load"]


def runs_code(tree: ast.Module) -> Iterator[str]:
    """What a module imports or calls that may run code out of data."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in RUNS_CODE)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in RUNS_CODE:
            yield f"from {node.module}"
        elif isinstance(node, ast.Call):
            called, given = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
            name, safe = LOADS.get(called, ("allow_pickle", given.get("allow_pickle") and "False"))
            if called in ("eval", "exec", "__import__") or given.get(name) != safe:
                yield ast.unparse(node)


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "import numpy, joblib", "from dill.source import getsource", "eval(text)", "__import__(name)",
        "np.load(path)", "numpy.load(path, allow_pickle=True)", "torch.load(path)", "read(path, allow_pickle=yes)",
        "torch.load(path, weights_only=False)",
    ],
)  # fmt: skip
def test_what_runs_code_is_seen(line: str) -> None:
    assert len(list(runs_code(ast.parse(line)))) == 1


def test_no_module_of_the_package_reads_what_runs_code() -> None:
    folder = Path(shed_hf.__file__).parent
    trees = {path.relative_to(folder): ast.parse(path.read_text(encoding="utf-8")) for path in folder.rglob("*.py")}
    assert {path: found for path, tree in trees.items() if (found := list(runs_code(tree)))} == {}
