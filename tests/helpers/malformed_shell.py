"""Command lines with something wrong in them."""

import contextlib
import io
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from datasets import Dataset

from shed_hf.cli import main as shell
from tests.helpers.malformed_values import Call, N
from tests.helpers.rows import make_rows


class Ended(Exception):
    """The shell ended with an error."""


def of_command_lines(folder: Path, model: Path) -> Iterator[Call]:
    """The shell, with one option wrong."""
    for name, seed in (("rows.jsonl", 0), ("dev.jsonl", 99)):
        Dataset.from_list(make_rows(N if not seed else 8, seed=seed)).to_json(folder / name)
    rows, out = str(folder / "rows.jsonl"), str(folder / "out")
    base = {
        "--model": str(model),
        "--embedder": "lexical",
        "--eval-dataset": str(folder / "dev.jsonl"),
        "--output": out,
    }
    words = ["", "-5", "nan", "inf", "1e400", "nonesuch", "/nonesuch", "me/nonesuch", "0", "ü", "--", "None", "5%%"]
    options = ["size", "split", "eval-dataset", "model", "embedder", "clusterer", "features", "proxies-per-cluster",
               "proxy-sets", "objective", "warmup", "estimator", "sampler", "method", "merit", "budget", "seed",
               "output", "push-to-hub", "columns", "eval-columns", "n-clusters", "n-coalitions", "learning-rate",
               "max-length", "lora-r", "config"]  # fmt: skip
    usable = {("warmup", "0"), ("seed", "0")} | {("output", word) for word in words if word}
    for option, word in product(options, words):
        if (option, word) in usable:
            continue
        given = {**base, "--output": str(folder / f"out {option} {words.index(word)}")}
        given.pop(f"--{option}", None)
        line = ["curate", rows, *_flat(given), f"--{option}={word}"]
        named = ("token", option, option.replace("-", "_"), word or "''")
        yield Call(f"shed-hf --{option}={word!r}", lambda a=line: _shell(a), False, named)
    lines = [[], ["nonesuch"], ["curate"], ["curate", rows], ["curate", rows, "--nonesuch"],
             ["curate", rows, "--output"], ["--debug"], ["curate", rows, "--columns", "nonesuch"],
             ["demo", "--model", "nonesuch"], ["demo", "--seed", "-1"], ["demo", "--seed", "x"],
             ["curate", "nonesuch.jsonl", "--output", out], ["curate", "me/nonesuch", "--output", out],
             ["curate", "", "--output", out], ["curate", str(folder), "--output", out], ["demo", "extra"]]  # fmt: skip
    for path in sorted((folder / "files").iterdir()):
        if path.name not in ("whole.jsonl", "whole.csv", "whole.parquet", "bom.jsonl", "list.json"):
            lines.append(["curate", str(path), *_flat(base)])
    for line in lines:
        yield Call(f"shed-hf {line}", lambda a=line: _shell(a), line == [], ("",))


def _flat(options: dict[str, str]) -> list[str]:
    return [word for option in options.items() for word in option]


def _shell(arguments: list[str]) -> None:
    """Runs the console script in this process. Raises `Ended` where it ended with an error that is told properly."""
    out, told = sys.argv, io.StringIO()
    sys.argv = ["shed-hf", *arguments]
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            shell()
    except SystemExit as end:
        if end.code in (None, 0):
            return
        text = told.getvalue() + (end.code if isinstance(end.code, str) else "")
        assert "Traceback" not in text and text.strip(), f"no error, or a traceback: {text[:300]}"
        assert "this is a bug" not in text, text
        raise Ended(text) from None
    finally:
        sys.argv = out
