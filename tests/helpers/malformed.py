"""Malformed calls of the whole interface, and what becomes of each.

To count them: ``python -m tests.helpers.malformed 1009 --seed 0``, at the root of a checkout.
"""

from tests.helpers.the_hub import HUB  # before any client asks where the Hub is

# isort: split
import argparse
import contextlib
import io
import os
import shutil
import signal
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

import shed_hf
from tests.helpers.malformed_files import damaged_files, damaged_ledgers, damaged_models
from tests.helpers.malformed_shell import Ended, of_command_lines
from tests.helpers.malformed_values import (
    ARGUMENTS,
    DATASET,
    EVAL_DATASET,
    FIELDS,
    ROWS,
    Argument,
    Call,
    Mine,
    outcomes,
)
from tests.helpers.rows import make_rows

GOOD = ("fine", "clear", "own")
"""Verdicts on calls that end as they should."""

LIMIT = 30
"""Seconds after which a call hangs."""


class TooLong(BaseException):
    """A call did not end in time."""


@dataclass(frozen=True)
class Verdict:
    """What became of a call: fine, clear, own, silent, unclear, raw or hang; with the error."""

    kind: str
    call: Call
    error: str = ""


def worth(row_sets: Any) -> Any:
    """A utility whose outcomes tell the rows apart."""
    return np.array([[float(np.sum(np.asarray(rows) % 7)), float(len(rows))] for rows in row_sets])


CHEAP: dict[str, Any] = {"utility": worth, "embedder": "lexical", "clusterer": "topic", "estimator": "exact"}


def curated(**arguments: Any) -> shed_hf.CuratedDataset:
    """A small curation with some arguments changed; its result is checked."""
    given = {"dataset": ROWS, "size": 6, **CHEAP, **arguments}
    result = shed_hf.curate(given.pop("dataset"), given.pop("size"), **given)
    rows = np.asarray(result.rows)
    assert len(set(rows.tolist())) == len(rows) > 0
    assert np.isfinite(result.estimate.values).all()
    return result


def all_calls(folder: Path, model: Path, seed: int) -> Iterator[Call]:
    """Every call of the tables in random order, then without end those with two or three arguments wrong at a time.

    Args:
        folder: Where damaged files are written.
        model: A folder with a small language model.
        seed: The seed of whatever is drawn.
    """
    rng = np.random.default_rng(seed)
    calls = [*of_arguments(), *of_fields(), *of_outcomes(), *of_files(folder, rng), *of_models(folder, model, rng)]
    calls += [*of_results(folder), *of_command_lines(folder, model)]
    yield from (calls[place] for place in rng.permutation(len(calls)))
    yield from of_several(rng)


def of_arguments() -> Iterator[Call]:
    """`curate` with one argument wrong."""
    for argument in [DATASET, EVAL_DATASET, *ARGUMENTS]:
        for value in argument.values():
            yield _with({argument: value})


def of_several(rng: np.random.Generator) -> Iterator[Call]:
    """`curate` and `plan` with two or three arguments wrong."""
    while True:
        chosen = rng.choice(len(ARGUMENTS), size=int(rng.integers(2, 4)), replace=False)
        given = {ARGUMENTS[i]: ARGUMENTS[i].values() for i in chosen}
        yield _with({argument: values[int(rng.integers(len(values)))] for argument, values in given.items()})


def _with(given: dict[Argument, Any]) -> Call:
    arguments = {argument.name: value for argument, value in given.items()}
    words = tuple(word for argument in given for word in (argument.name, *argument.words))
    right = all(argument.accepts(value) for argument, value in given.items())
    return Call(f"curate({_told(arguments)})", lambda: curated(**arguments), right, words)


def _told(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r:.60}" for name, value in arguments.items())


def of_fields() -> Iterator[Call]:
    """Objects with one field wrong, used in a curation where they can be made."""
    for name, (kind, argument, fields) in FIELDS.items():
        for one in fields:
            for value in one.values():

                def run(kind: Any = kind, argument: str = argument, one: Argument = one, value: Any = value) -> Any:
                    return curated(**{"estimator": "permutation", argument: kind(**{one.name: value})})

                words = (one.name, *one.words)
                yield Call(f"{name}({_told({one.name: value})})", run, one.accepts(value), words)


def of_outcomes() -> Iterator[Call]:
    """Utilities that return what is no outcome, or raise."""
    for name, result, right in outcomes():
        for estimator in ("exact", "least-squares"):

            def run(result: Any = result, estimator: str = estimator) -> Any:
                return curated(utility=lambda row_sets: result(len(row_sets)), estimator=estimator)

            own = "caller's" in name
            yield Call(f"utility returns {name}, {estimator}", run, right, ("utility", "outcome", "coalition"), own)


def of_files(folder: Path, rng: np.random.Generator) -> Iterator[Call]:
    """Damaged files as dataset, as eval_dataset, as ledger, as a saved result and as a scorer."""
    for path, readable in damaged_files(_made(folder / "files"), rng):
        words = (path.name, str(path), "columns of")
        for given in (path, str(path)):
            yield Call(
                f"dataset={given!r}", lambda p=given: curated(dataset=p, clusterer=shed_hf.KMeans(3)), readable, words
            )
        yield Call(
            f"eval_dataset={path.name}", lambda p=path: curated(eval_dataset=p), readable, (*words, "eval_dataset")
        )
        for load in (shed_hf.CuratedDataset.load_from_disk, shed_hf.ClusterScorer.from_pretrained, shed_hf.read_ledger):
            empty = load is shed_hf.read_ledger and not (path.is_file() and path.stat().st_size)
            yield Call(f"{load.__qualname__}({path.name})", lambda load=load, p=path: load(p), empty, words)
    curated(ledger=folder / "whole.ledger")
    for path in damaged_ledgers(_made(folder / "ledgers"), (folder / "whole.ledger").read_bytes(), rng):
        yield Call(f"ledger={path.name}", lambda p=path: curated(ledger=p), False, (path.name, "ledger"))


def of_models(folder: Path, model: Path, rng: np.random.Generator) -> Iterator[Call]:
    """Folders without a usable model, and names that are not on the Hub."""
    items = Dataset.from_list(make_rows(8, seed=99))
    names = ["me/nonesuch", "nonesuch", "me/none/such", "", "a b", "https://x.invalid", "\x00", "../nonesuch"]
    for given in [*damaged_models(_made(folder / "models"), model, rng), *names]:

        def run(given: Any = given) -> Any:
            return curated(utility="fine-tune", model=str(given), eval_dataset=items, merit=None)

        yield Call(f"model={given}", run, False, ("model", str(given)))
    for name in names:
        yield Call(f"embedder={name!r}", lambda n=name: curated(embedder=n), False, ("embedder",))


def of_results(folder: Path) -> Iterator[Call]:
    """What a result is asked for."""
    result = curated()
    sizes, samplers, seeds = (next(a for a in ARGUMENTS if a.name == name) for name in ("size", "sampler", "seed"))
    for argument in (sizes, samplers, seeds):
        for value in argument.values():
            given = {"size": 3, argument.name: value}
            right = argument.accepts(value) or (argument is not sizes and value is None)
            yield Call(f"resample({_told(given)})", lambda g=given: result.resample(**g), right, (argument.name,))
    for name in ("me/nonesuch", "a b", "", "nonesuch", "me/none/such", "../x"):
        for load in (shed_hf.CuratedDataset.from_hub, shed_hf.ClusterScorer.from_pretrained):
            yield Call(
                f"{load.__qualname__}({name!r})", lambda load=load, n=name: load(n), False, (name or "''", "repo")
            )
        yield Call(
            f"push_to_hub({name!r})", lambda n=name: result.push_to_hub(n), False, (name or "''", "logged", "token")
        )
    for path in ("", "/proc/x/y", "/dev/null", str(folder), "\x00", folder / "files" / "whole.csv"):
        yield Call(
            f"save_to_disk({path!r})", lambda p=path: result.save_to_disk(p), False, (repr(str(path))[1:-1], "path")
        )
    for batch in ({}, {"a": [1]}, {"instruction": [None], "output": ["x"]}, {"instruction": [5], "output": [5]}):
        yield Call(
            f"scorer({batch})", lambda b=batch: result.scorer(b), False, ("instruction", "column", "batch", "row")
        )


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def judged(call: Call) -> Verdict:
    """Makes the call and says what became of it."""

    def too_long(*_: Any) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LIMIT)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            call.run()
    except TooLong:
        return Verdict("hang", call)
    except (shed_hf.ShedError, Ended) as error:
        named = any(word in str(error) for word in call.words)
        return Verdict("own lost" if call.own else "clear" if named else "unclear", call, str(error))
    except Exception as error:
        if call.own and (isinstance(error, Mine) or "mine" in str(error)):
            return Verdict("own", call)
        last = traceback.extract_tb(error.__traceback__)[-1]
        return Verdict("raw", call, f"{type(error).__name__}: {error!s:.200} ({last.filename[-40:]}:{last.lineno})")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return Verdict("fine" if call.right else "silent", call)


def main() -> None:
    """Counts the verdicts, and prints every call that did not end as it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("calls", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, default=Path(shed_hf.__file__).parent / "demo" / "model")
    arguments = parser.parse_args()
    HUB.clear()
    folder = Path(tempfile.mkdtemp(prefix="shed_hf_malformed_"))
    try:
        verdicts = []
        os.chdir(folder)
        for call in islice(all_calls(folder, arguments.model, arguments.seed), arguments.calls):
            verdicts.append(verdict := judged(call))
            if verdict.kind not in GOOD:
                print(f"{verdict.kind:8} {verdict.call.name}: {verdict.error[:300]!r}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(dict(Counter(verdict.kind for verdict in verdicts)))


if __name__ == "__main__":
    main()
