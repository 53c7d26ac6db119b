"""What the scripts of this folder share: how large a run is, the data, the methods of the paper, and the record.

A script is thin: it makes a pool and tests, calls `shed_hf.compare`, and writes what was measured.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from datasets import Dataset
from scales import SCALES, Scale

import shed_hf
from shed_hf.curation.recipe import device, versions

METHODS = {
    "SHED, QOCS": shed_hf.QOCS(1.0),
    "SHED, QWCS": shed_hf.QWCS(by_size=False),
    "random": "random",
    "DQ": "dq",
    "DSIR": "dsir",
    "full": "full",
}
"""The methods of tables 2 to 4."""

MEASURED = {
    "mmlu": [shed_hf.Macro("subject", "accuracy"), "choice"],
    "arc-challenge": ["accuracy", "normalised-accuracy"],
}
"""What is measured of each task; the first of them is the paper's accuracy."""


def arguments(description: str | None, **extra: dict[str, Any]) -> argparse.Namespace:
    """What every script is told, with its ``scale`` as a `Scale`.

    Args:
        description: The script's docstring.
        **extra: Further options of a script: name to keyword arguments of ``add_argument``.

    Returns:
        The parsed arguments; ``name`` is the scale's.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=SCALES, default="smoke", help="how large the run is; see scales.py")
    parser.add_argument("--data", type=Path, required=True, help="a folder with the files named in README.md")
    parser.add_argument("--out", type=Path, default=Path("paper"), help="the folder for results and ledgers")
    parser.add_argument("--model", help="another model than the scale's: a Hub id or a folder")
    parser.add_argument("--embedder", help="another embedder than the scale's")
    for name, options in extra.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **options)
    given = parser.parse_args()
    changed = {name: value for name in ("model", "embedder") if (value := getattr(given, name))}
    given.name, given.scale = given.scale, replace(SCALES[given.scale], **changed)
    (given.out / "ledgers").mkdir(parents=True, exist_ok=True)
    return given


class Data:
    """The pools and questions of a run.

    Args:
        folder: The folder of ``--data``.
        scale: How much of them is used.
    """

    def __init__(self, folder: Path, scale: Scale) -> None:
        self._folder, self._scale = folder, scale

    def rows(self, name: str) -> list[dict[str, Any]]:
        """All rows of a file.

        Args:
            name: The file's key in the scale's ``files``.
        """
        with (self._folder / self._scale.files[name]).open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def mmlu_pool(self) -> Dataset:
        """Questions of MMLU as rows to train on; those without a subject are miscellaneous."""
        rows = [{"subject": "miscellaneous", **row} for row in self.rows("mmlu pool")]
        return shed_hf.mmlu(balanced(rows, self._scale.pool, "subject")).remove_columns(["choices", "subject"])

    def instruction_pool(self) -> Dataset:
        """Instructions with their answers."""
        longest = self._scale.longest
        rows = [row for row in self.rows("instruction pool") if longest is None or _characters(row) <= longest]
        return instructions(rows[: self._scale.pool])

    def pools(self) -> dict[str, Dataset]:
        """Both pools of the paper by name."""
        return {"mmlu": self.mmlu_pool(), "instructions": self.instruction_pool()}

    def chosen_by(self) -> Dataset:
        """The questions that rows are chosen by: MMLU's dev split, every subject alike."""
        return shed_hf.mmlu(balanced(self.rows("mmlu dev"), self._scale.items, "subject"))

    def tests(self) -> dict[str, Dataset]:
        """Test questions by task."""
        scale, dev = self._scale, self.rows("mmlu dev")
        mmlu = shed_hf.mmlu(balanced(self.rows("mmlu test"), scale.tests, "subject"), shots=scale.shots, examples=dev)
        return {"mmlu": mmlu, "arc-challenge": shed_hf.arc(self.rows("arc test")[: scale.tests])}

    def mt_bench(self, count: int | None) -> list[dict[str, Any]]:
        """Questions of MT-Bench, of all categories in turn.

        Args:
            count: How many; None for all.
        """
        known = [{"reference": None, **row} for row in self.rows("mt-bench")]
        return balanced(known, count, "category")


def instructions(rows: Sequence[Mapping[str, Any]]) -> Dataset:
    """Rows of instruction, input and output, without other columns.

    Args:
        rows: Rows with these columns.
    """
    return Dataset.from_list([{name: row.get(name, "") for name in ("instruction", "input", "output")} for row in rows])


def _characters(row: Mapping[str, Any]) -> int:
    return sum(len(row.get(name, "")) for name in ("instruction", "input", "output"))


def balanced(rows: Iterable[dict[str, Any]], count: int | None, column: str) -> list[dict[str, Any]]:
    """The first rows of every group in turn.

    Args:
        rows: All rows.
        count: How many are wanted; None for all.
        column: The column of groups.

    Returns:
        ``count`` rows: each group has as many as the others, as far as its rows go.
    """
    groups: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    longest = max(map(len, groups.values()))
    in_turn = [group[place] for place in range(longest) for group in groups.values() if place < len(group)]
    return in_turn[:count]


def compared(name: str, pool: Dataset, given: argparse.Namespace, **changes: Any) -> shed_hf.Comparison:
    """`shed_hf.compare` with the scale's settings; the same call resumes from its ledgers.

    Args:
        name: What the ledgers are called.
        pool: The rows to choose from.
        given: The script's arguments.
        **changes: Arguments of `compare` that differ.

    Returns:
        The comparison.
    """
    data, scale = Data(given.data, given.scale), given.scale
    settings: dict[str, Any] = {
        **scale.game(),
        "eval_dataset": data.chosen_by(),
        "sizes": [min(size, len(pool) // 2) for size in scale.sizes],
        "methods": METHODS,
        "seeds": scale.seeds,
        "test_objective": MEASURED,
        "ledger": given.out / "ledgers" / f"{given.name} {name}",
    }
    if "test_dataset" not in changes:
        settings["test_dataset"] = data.tests()
    return shed_hf.compare(pool, **{**settings, **changes})


def by_pool(given: argparse.Namespace) -> dict[str, shed_hf.Comparison]:
    """The comparison of tables 2 to 4 on both pools: run once, then read from its ledgers.

    Args:
        given: The script's arguments.
    """
    return {name: compared(name, pool, given) for name, pool in Data(given.data, given.scale).pools().items()}


def first_figure(comparison: shed_hf.Comparison, task: str | None = None) -> list[Any]:
    """The lines of the figure that counts first.

    Args:
        comparison: A comparison.
        task: Of which task; None for the first.

    Returns:
        Its lines, the untuned model's and all rows' among them.
    """
    of_task = [line for line in comparison.lines if task in (None, line.task)]
    return [line for line in of_task if (line.task, line.figure) == (of_task[0].task, of_task[0].figure)]


def cells(line: Any) -> dict[str, Any]:
    """What a table says of a line.

    Args:
        line: A line of a comparison.
    """
    names = ("task", "figure", "method", "rows", "mean", "stderr", "gain", "low", "high", "verdict", "items", "seeds")
    return {name: getattr(line, name) for name in names}


def write(
    title: str, given: argparse.Namespace, table: list[dict[str, Any]], of: Mapping[str, shed_hf.Comparison]
) -> None:
    """Print a table and write it with everything behind it, the device and the date.

    Args:
        title: The table's name, and that of its file.
        given: The script's arguments.
        table: One dict a line, all of the same keys.
        of: The comparisons that the table is made of, by name.
    """
    print("\n" + title)
    for line in [list(table[0]), *[[_shown(cell) for cell in row.values()] for row in table]]:
        print(" | ".join(line))
    record = {
        "title": title,
        "scale": given.name,
        "settings": given.scale.described(),
        "date": time.strftime("%Y-%m-%d"),
        "device": device(),
        "versions": versions(),
        "table": table,
        "comparisons": {
            name: {
                "lines": [asdict(line) for line in one.lines],
                "failures": [asdict(failure) for failure in one.failures],
                "notes": list(one.notes),
                "recipe": one.recipe,
            }
            for name, one in of.items()
        },
    }
    path = given.out / f"{title.split(':')[0].replace(' ', '_').lower()}.json"
    text = json.dumps(_finite(record), indent=1, default=repr) + "\n"
    for local in (given.scale.model, *(vars(given).get("to") or [])):  # where a model lies says nothing to others
        text = text.replace(local, Path(local).name)
    path.write_text(text, encoding="utf-8")
    print(f"written to {path}")


def _finite(value: Any) -> Any:
    """The value with None for what is no number."""
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and value != value else value


def _shown(cell: Any) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
