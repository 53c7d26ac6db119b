"""A comparison as text: a table for each model, task, figure and size, the best line first."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from shed_hf.comparison.design import Failure
from shed_hf.comparison.lines import Line
from shed_hf.comparison.methods import FULL, RANDOM, UNTUNED
from shed_hf.comparison.record import ComparisonRecord
from shed_hf.errors.safe_text import one_line
from shed_hf.utils.console import duration, plural

HEADER = ("method", "mean ± s.e.", "over random (95 %)", "", "choosing", "one tuning")


def text_of(comparison: ComparisonRecord) -> str:
    """The whole comparison as text.

    Args:
        comparison: What was found.

    Returns:
        Several lines.
    """
    groups = groups_of(comparison)
    parts = [f"{heading(group[0])}\n{_aligned([HEADER, *rows_of(group)])}" for group in groups]
    parts += [*tally_lines(comparison), *remarks_of(comparison)]
    return "\n".join(parts)


def remarks_of(comparison: ComparisonRecord) -> list[str]:
    """What failed, with the seeds of one reason together, and what else to keep in mind.

    Args:
        comparison: What was found.
    """
    seeds: dict[Failure, list[int]] = {}
    for failure in comparison.failures:
        seeds.setdefault(replace(failure, seed=-1), []).append(failure.seed)
    failed = [one if of == [-1] else replace(one, seed=of[0]) for one, of in seeds.items() if len(of) == 1]
    several = {one: of for one, of in seeds.items() if len(of) > 1}
    told = [str(one) for one in failed]
    told += [f"{one} ({plural(len(of), 'seed')})" for one, of in several.items()]
    return [f"failed: {one_line(one, 300)}" for one in told] + [f"note: {one_line(n, 300)}" for n in comparison.notes]


def groups_of(comparison: ComparisonRecord) -> list[list[Line]]:
    """The lines of every table, the best first.

    Args:
        comparison: What was found.

    Returns:
        A list of lines for each model, task, figure and size.
    """
    groups = [list(group) for _, group in groupby(comparison.lines, _group)]
    return [sorted(group, key=lambda line: -line.mean) for group in groups]


def _group(line: Line) -> tuple[str, str, str, int]:
    return line.model, line.task, line.figure, line.size


def heading(line: Line) -> str:
    """What a table is of.

    Args:
        line: One of its lines.
    """
    of = f"{one_line(line.model, 60)}, {one_line(line.task, 60)}: {one_line(line.figure, 60)}"
    return f"{of}, {plural(line.items, 'item')}; {plural(line.size, 'row')} chosen"


def rows_of(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    """The lines of a table in words.

    Args:
        lines: The lines.

    Returns:
        For each line a text for each part of `HEADER`.
    """
    digits = _digits(lines)
    return [
        (
            _named(line),
            f"{line.mean:.{digits}f}" + ("" if math.isnan(line.stderr) else f" ± {line.stderr:.{digits}f}"),
            "" if math.isnan(line.gain) else f"{line.gain:+.{digits}f} "
            f"({line.low:+.{digits}f} to {line.high:+.{digits}f})",
            line.verdict,
            _choosing(line),
            "" if line.method == UNTUNED else duration(line.tuning_seconds),
        )
        for line in lines
    ]  # fmt: skip


def _digits(lines: Sequence[Line]) -> int:
    """How many decimals a table has, so that its smallest standard error has two digits that say something."""
    errors = [error for line in lines for error in (line.stderr, line.gain_stderr) if error > 0]
    scale = min(errors, default=max((abs(line.mean) for line in lines), default=1.0) / 100 or 1.0)
    return max(2, min(5, 1 - math.floor(math.log10(scale))))


def _named(line: Line) -> str:
    return f"{line.method} ({plural(line.rows, 'row')})" if line.method == FULL else line.method


def _choosing(line: Line) -> str:
    if line.method in (UNTUNED, FULL, RANDOM):
        return ""
    runs = f"{plural(line.choosing_fine_tunings, 'run')}, " if line.choosing_fine_tunings else ""
    return runs + duration(line.choosing_seconds)


def tally_lines(comparison: ComparisonRecord) -> list[str]:
    """Wins and losses against random rows in words, a line for each figure.

    Args:
        comparison: What was found.
    """
    figures = dict.fromkeys(tally.figure for tally in comparison.tallies)
    return [
        f"wins : losses against random rows by the 95 % intervals, {one_line(figure, 60)}: "
        + "; ".join(one_line(str(tally), 80) for tally in comparison.tallies if tally.figure == figure)
        for figure in figures
    ]


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(f"  {line}" for line in lines)
