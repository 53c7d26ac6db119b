"""Values that an argument may be given by mistake, and which of them each argument accepts."""

import datetime
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict

import shed_hf
from tests.helpers.rows import make_rows

N = 24
ROWS = Dataset.from_list(make_rows(N))


class Opaque:
    """An object of no use anywhere."""

    def __repr__(self) -> str:
        return "<opaque>"


def anything() -> list[Any]:
    """What no argument is meant for, or few."""
    return [
        None, True, False, -1, 0, 1.5, -0.5, math.nan, math.inf, 10**30, 1j, "", "nonesuch", "\x00", "\ud800",
        b"bytes", Path("nonesuch"), [], [None], {}, {"a": 1}, {1, 2}, (), Opaque(), Opaque, len, object(),
        np.array([]), np.array([[np.nan, 1.0]]), np.float64(2.5), np.array("text"),
        torch.zeros(2, dtype=torch.bfloat16), datetime.date(2024, 1, 1), range(3), iter([1, 2]), lambda: None,
    ]  # fmt: skip


def is_whole(least: int, most: float = math.inf) -> Callable[[Any], bool]:
    """Accepts whole numbers of a range."""
    return lambda v: isinstance(v, int | np.integer) and not isinstance(v, bool) and least <= v <= most


def is_one_of(*values: Any) -> Callable[[Any], bool]:
    """Accepts the strings, booleans and None that are named."""
    return lambda v: (v is None and None in values) or (isinstance(v, str | bool) and v in values)


def either(*accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Accepts what any of these accepts."""
    return lambda v: any(accept(v) for accept in accepts)


def is_none(value: Any) -> bool:
    """Accepts None."""
    return value is None


def is_bool(value: Any) -> bool:
    """Accepts True and False."""
    return isinstance(value, bool | np.bool_)


def is_number(least: float, most: float) -> Callable[[Any], bool]:
    """Accepts finite numbers of a range, the least excluded."""
    return lambda v: (
        isinstance(v, int | float | np.number) and not isinstance(v, bool | complex) and bool(least < v <= most)
    )


@dataclass(frozen=True, eq=False)
class Argument:
    """An argument, further values to try, and which values are right.

    Attributes:
        name: The argument's name, which an error has to have.
        accepts: Whether a value is usable.
        more: Values to try besides `anything`.
        words: What an error may have instead of the name.
    """

    name: str
    accepts: Callable[[Any], bool]
    more: Sequence[Any] = ()
    words: tuple[str, ...] = ()

    def values(self) -> list[Any]:
        """All values to try."""
        return [*anything(), *self.more]


@dataclass(frozen=True)
class Call:
    """A call with something wrong in it, or with something odd that is right.

    Attributes:
        name: What is called with what.
        run: The call.
        right: Whether it may succeed; where it may not, success is a silent error.
        words: One of these must be in the error.
        own: Whether an exception of the caller's own is what should come out.
    """

    name: str
    run: Callable[[], Any] = field(repr=False)
    right: bool
    words: tuple[str, ...]
    own: bool = False


def _is_size(value: Any) -> bool:
    return is_whole(1, N)(value) or (isinstance(value, float) and 0 < value <= 1) or is_one_of("10%", "100%")(value)


def _is_labels(value: Any) -> bool:
    return isinstance(value, list) and len(value) == N and all(type(v) in (int, str) for v in value)


def _is_path(value: Any) -> bool:
    return value is None or (
        isinstance(value, str | Path) and "\x00" not in str(value) and str(value) not in ("", "\ud800")
    )


def _is_merit(value: Any) -> bool:
    if isinstance(value, str) or value is None:
        return value in (None, "auto")
    return isinstance(value, list) and len(value) == N and all(type(v) is float and math.isfinite(v) for v in value)


RAGGED = [[1.0], [1.0, 2.0]]
RECORDS = make_rows(4)
EMPTY_STREAM = ROWS.to_iterable_dataset().take(0)
SPLITS = DatasetDict({"a": ROWS, "b": ROWS})
ODD_DATASETS = [
    ROWS.select([]), EMPTY_STREAM, SPLITS, [1, 2], ["text"], [RECORDS[0], 5], [RECORDS[0], {"other": 1}], [{}], [[]],
    Dataset.from_dict({"number": [1, 2, 3]}), Dataset.from_dict({"instruction": [None] * 9, "output": ["x"] * 9}),
    Dataset.from_dict({"messages": [[{"role": "user"}]] * 3}), Dataset.from_dict({"messages": [5] * 3}),
    Dataset.from_dict({"messages": [[{"role": "robot", "content": "x"}]] * 3}),
    Dataset.from_dict({"instruction": [1, 2, 3], "output": [1, 2, 3]}),
    Dataset.from_dict({"instruction": [["a"]] * 3, "output": ["b"] * 3}), ROWS.rename_column("topic", "shed_row"),
    "nonesuch.jsonl", "/nonesuch/folder", "~/nonesuch", "a b/c d", "me/nonesuch", "me/none/such", "https://x.invalid/y",
]  # fmt: skip

DATASET = Argument("dataset", lambda v: False, ODD_DATASETS, ("nonesuch", "a b", "invalid", "instruction", "columns"))
EVAL_DATASET = Argument(
    "eval_dataset", is_none, ODD_DATASETS[:-7] + ODD_DATASETS[-6:], ("nonesuch", "a b", "invalid", "instruction")
)
ARGUMENTS = [
    Argument("size", _is_size, [N + 1, "10%", "100%", "0%", "101%", "-5%", "%", "ten%", "1e400%", 1e-300, np.nan]),
    Argument("model", is_none, ["/nonesuch", "me/nonesuch", 5]),
    Argument(
        "embedder",
        lambda v: v == "lexical" if isinstance(v, str) else isinstance(v, np.ndarray) and v.shape == (N, 3),
        ["lexical", np.ones((N, 3)), np.full((N, 4), np.nan), np.zeros((N, 5)), np.ones((N + 1, 3)), np.ones(N), RAGGED,
         [["a"] * 2] * N, np.ones((N, 0)), np.ones((N, 2), complex), "me/nonesuch", "/nonesuch", shed_hf.Lexical],
        ("embedding", "model", "nonesuch"),
    ),
    Argument(
        "clusterer",
        either(_is_labels, is_one_of("topic", "output", "kmeans", "agglomerative")),
        ["topic", "output", "no column", [0] * N,
         ["a", "b"] * (N // 2), [0] * (N - 1), [1.5] * N, [[0]] * N,
         [None] * N, [math.nan] * N, shed_hf.KMeans, lambda e, r: None, lambda e, r: ["a"] * len(e),
         lambda e, r: np.zeros(3), lambda e, r: np.full(len(e), 1.5), lambda e, r: np.full(len(e), -7)],
        ("labels", "label", "clusters"),
    ),
    Argument("features", is_none, ["loss", ("ifd", "loss"), ["nonesuch"], [5], ("length", "length")], ("feature",)),
    Argument("proxies_per_cluster", either(is_none, is_whole(1)), ["4", 2.0]),
    Argument("proxy_sets", is_whole(1), ["2", 2.0, None]),
    Argument("objective", is_none, ["loss", "macro", "choice", 7, shed_hf.Loss], ("utility",)),
    Argument("warmup", is_whole(0, 0), ["2", 3]),
    Argument(
        "estimator", is_one_of("exact", "least-squares", "banzhaf", "permutation"),
        ["exact", "in-run", shed_hf.Exact, shed_hf.KMeans(3), "EXACT"], ("credit",),
    ),
    Argument("budget", lambda v: v is None or is_whole(8)(v), ["0s", "4 parsecs", "-5min", "5", "infh", "h", 2, [4]]),
    Argument(
        "method", is_one_of("shapley"), ["race", "RACE", shed_hf.Race, shed_hf.Race(["longest"], 4)], ("eval_dataset",)
    ),
    Argument("require_signal", is_one_of(False, True), ["no", "yes", 1], ("noise",)),
    Argument(
        "sampler", is_one_of("qocs", "qwcs", "random", "longest", "dataset-quantization"),
        ["qocs", "QOCS", shed_hf.QOCS, shed_hf.KMeans(2), "longest", "dataset-quantization", "retrieval", "ifd", "full",
         "credit-coverage", shed_hf.Full(), shed_hf.Retrieval(), shed_hf.Longest, shed_hf.Given([0, 0]),
         shed_hf.Given([99]), shed_hf.Given("nonesuch"), shed_hf.Given(None), shed_hf.Given([1.5])],
        ("Given", "size", "eval_dataset", "credit", "model"),
    ),
    Argument(
        "merit", _is_merit,
        ["credit", "ifd", "loss", [1.0] * N, [1.0] * (N - 1), ["a"] * N, [math.nan] * N, [[1.0]] * N, [None] * N,
         RAGGED],
    ),
    Argument("seed", is_whole(0), ["1", 2.0, [1], np.int64(3), np.random.default_rng(0)]),
    Argument("ledger", _is_path, ["/proc/nonesuch", "/proc", "/dev/null/x", 3, ["a"]]),
    Argument("split", lambda v: v is None or (isinstance(v, str) and v != ""), ["train", 5]),
    Argument(
        "columns", lambda v: v is None or (isinstance(v, dict | list | tuple) and not v),
        [{"instruction": "nonesuch"}, {"nonesuch": "topic"}, {"instruction": 5}, {5: "topic"}, "instruction",
         ["instruction"], [("instruction", "output")], {"instruction": ["topic"]}, {"instruction": None}],
    ),
    Argument("drop_invalid", is_bool, ["no", 1]),
]  # fmt: skip

FIELDS: dict[str, tuple[Callable[..., Any], str, list[Argument]]] = {
    "KMeans": (shed_hf.KMeans, "clusterer", [
        Argument("n_clusters", either(is_none, is_whole(1, N)), ["3", 2.0, N + 1]),
        Argument("restarts", either(is_none, is_whole(1, 1000)), ["2"]),
        Argument("most", either(is_none, is_whole(1)), ["8"])]),
    "Agglomerative": (shed_hf.Agglomerative, "clusterer", [
        Argument("n_clusters", either(is_none, is_whole(1, N)), ["3", 2.0, N + 1])]),
    "HDBSCAN": (shed_hf.HDBSCAN, "clusterer", [Argument("min_cluster_size", is_whole(2), ["3", 2.0, 1, N + 1])]),
    "Given": (shed_hf.Given, "clusterer", [Argument("labels", _is_labels, [[0] * N, ["a"] * N, [0] * 3], ("label",))]),
    "Lexical": (shed_hf.Lexical, "embedder", [
        Argument("dimensions", is_whole(1), ["3", 2.0]), Argument("seed", is_whole(0, 2**32 - 1), ["3", 2**40])]),
    "Features": (shed_hf.Features, "features", [
        Argument("names", lambda v: False, ["loss", ["nonesuch"]], ("feature",)),
        Argument("scale", lambda v: False, ["1"], ("feature",))]),
    "LeastSquares": (shed_hf.LeastSquares, "estimator", [
        Argument("n_coalitions", either(is_none, is_whole(2, 1_000_000)), ["8", 8.0]),
        Argument("prior", is_one_of(None, "embedding", "independent"), ["Embedding"])]),
    "BanzhafMSR": (shed_hf.BanzhafMSR, "estimator", [
        Argument("n_coalitions", either(is_none, is_whole(2, 1_000_000)), ["8", 8.0])]),
    "Permutation": (shed_hf.Permutation, "estimator", [
        Argument("n_orders", is_whole(1, 10_000), ["2"]), Argument("block_size", is_whole(1), ["2"]),
        Argument("truncation", lambda v: is_number(-1e-9, 0.999)(v), ["0.1", 1]),
        Argument("antithetic", is_bool, ["no"]),
        Argument("continuing", is_bool, ["no"])]),
    "Shed": (shed_hf.Shed, "estimator", [
        Argument("iterations", is_whole(1, 10_000), ["2"]), Argument("group_size", either(is_none, is_whole(1)), ["2"]),
        Argument("continuing", is_bool, ["no"])]),
    "InRun": (shed_hf.InRun, "estimator", [
        Argument("adam", lambda v: False, ["no"], ("credit",)),
        Argument("every", lambda v: False, ["2"], ("credit",))]),
    "RegressionAdjusted": (shed_hf.RegressionAdjusted, "estimator", [
        Argument("surrogate", lambda v: isinstance(v, shed_hf.LeastSquares), [shed_hf.Exact(), "least-squares"])]),
    "QOCS": (shed_hf.QOCS, "sampler", [Argument("most", either(is_none, is_number(0, 1)), ["0.5", 2])]),
    "QWCS": (shed_hf.QWCS, "sampler", [
        Argument("factor", either(is_none, is_number(-1e-9, 1e300)), ["1"]), Argument("by_size", is_bool, ["no"])]),
    "Retrieval": (shed_hf.Retrieval, "sampler", [
        Argument("by", lambda v: False, ["items", "mean"], ("eval_dataset",)),
        Argument("near", lambda v: False, ["0.3", 2], ("eval_dataset",))]),
    "DSIR": (shed_hf.DSIR, "sampler", [
        Argument("ngrams", lambda v: False, ["2"], ("eval_dataset",)),
        Argument("buckets", lambda v: False, ["2"], ("eval_dataset",))]),
    "DatasetQuantization": (shed_hf.DatasetQuantization, "sampler", [Argument("bins", is_whole(1), ["2", 2.0])]),
    "Race": (shed_hf.Race, "method", [
        Argument("candidates", lambda v: False, ["qocs", ["nonesuch"], [shed_hf.Full()]], ("eval_dataset", "sampler")),
        Argument("budget", lambda v: False, ["9", 9.0], ("eval_dataset",)),
        Argument("level", lambda v: False, ["0.9", 0.4], ("eval_dataset",))]),
    "CreditCoverage": (shed_hf.CreditCoverage, "sampler", [
        Argument("cover", lambda v: False, ["round-robin", "greedy"], ("credit",))]),
}  # fmt: skip


class Mine(Exception):
    """What a callable of the caller's raises."""


def _raise(error: BaseException) -> Any:
    raise error


def outcomes() -> list[tuple[str, Callable[[int], Any], bool]]:
    """What a utility may return for m row sets: a name, the result, whether it is right."""
    date = np.datetime64("2024-01-01")
    return [
        ("floats", lambda m: np.arange(m * 2.0).reshape(m, 2), True),
        ("lists", lambda m: [[1.0, float(i)] for i in range(m)], True),
        ("integers", lambda m: np.arange(m * 2).reshape(m, 2), True),
        ("bfloat16 tensor", lambda m: torch.arange(m * 2, dtype=torch.bfloat16).reshape(m, 2), True),
        ("tensor with grad", lambda m: torch.arange(m * 2.0).reshape(m, 2).requires_grad_(), True),
        ("strings", lambda m: [["good"]] * m, False),
        ("number strings", lambda m: [["1.5"]] * m, False),
        ("bytes", lambda m: np.array([[b"1"]] * m), False),
        ("ragged", lambda m: [[1.0] * (1 + i % 2) for i in range(m)] + [[]] * (m == 1), False),
        ("None", lambda m: None, False),
        ("a None inside", lambda m: [[None]] * m, False),
        ("a scalar", lambda m: 1.0, False),
        ("a vector", lambda m: np.ones(m), False),
        ("a cube", lambda m: np.ones((m, 2, 2)), False),
        ("too many", lambda m: np.ones((m + 1, 2)), False),
        ("no items", lambda m: np.ones((m, 0)), False),
        ("NaN", lambda m: np.full((m, 2), np.nan), False),
        ("infinite", lambda m: np.full((m, 2), np.inf), False),
        ("complex", lambda m: np.full((m, 2), 1 + 2j), False),
        ("masked", lambda m: np.ma.masked_array(np.ones((m, 2)), mask=[[True, False]] * m), False),
        ("dates", lambda m: np.full((m, 2), date), False),
        ("durations", lambda m: np.full((m, 2), date - date), False),
        ("too large", lambda m: [[10**400]] * m, False),
        ("objects", lambda m: [[Opaque()]] * m, False),
        ("a dict", lambda m: dict.fromkeys(range(m), 1.0), False),
        ("a generator", lambda m: (x for x in [1.0]), False),
        ("an exception of the caller's", lambda m: _raise(Mine("mine")), False),
        ("a ValueError of the caller's", lambda m: _raise(ValueError("mine")), False),
        ("a KeyError of the caller's", lambda m: _raise(KeyError("mine")), False),
    ]
