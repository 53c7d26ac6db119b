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
from shed_hf.results.units import figure_in_words
from shed_hf.utils.console import duration, plural
from shed_hf.utils.decimals import decimals_of

HEADER = ("method", "mean", "over random ± s.e.", "95 % interval", "", "choosing", "one tuning")
TALLY_HEADER = ("method", "beyond 2 s.e.", "by 95 % intervals", "tables")

OF_GAINS = (
    "± is the standard error of the gain over random rows, paired by item: over items, seeds and draws of rows. The "
    "95 % intervals, of methods but not of untuned and full, are corrected for the number of methods."
)
OF_TALLIES = (
    "Where all methods are as good as random rows, luck makes a win or a loss beyond 2 s.e. in at least one line of "
    "twenty, by the intervals in about one table of twenty."
)


def text_of(comparison: ComparisonRecord) -> str:
    """The whole comparison as text.

    Args:
        comparison: What was found.

    Returns:
        Several lines.
    """
    groups = groups_of(comparison)
    parts = [f"{heading(group[0])}\n{_aligned([HEADER, *table_rows(group)])}" for group in groups]
    if any(not math.isnan(line.gain) for line in comparison.lines):
        parts.append(OF_GAINS)
    if comparison.tallies:
        parts += [*_tally_tables(comparison), OF_TALLIES]
    return "\n".join([*parts, *remarks_of(comparison)])


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
    """What a table is of, and which way its figures count: of ``loss`` they are minus the loss.

    Args:
        line: One of its lines.
    """
    words = figure_in_words(line.figure)
    figure = one_line(line.figure, 60) + (f" ({words})" if words else "")
    of = f"{one_line(line.model, 60)}, {one_line(line.task, 60)}: {figure}"
    return f"{of}, {plural(line.items, 'item')}; {plural(line.size, 'row')} chosen; higher is better"


def table_rows(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    """The lines of a table in words.

    Args:
        lines: The lines.

    Returns:
        For each line a text for each part of `HEADER`.
    """
    digits, seeds = _digits(lines), max((line.seeds for line in lines if line.method != FULL), default=0)
    return [
        (
            _named(line, seeds),
            f"{line.mean:.{digits}f}",
            *_gain(line, digits),
            _verdict(line),
            _choosing(line),
            "" if line.method == UNTUNED else duration(line.tuning_seconds),
        )
        for line in lines
    ]


def _digits(lines: Sequence[Line]) -> int:
    """How many decimals the figures of a table have; without standard errors three digits of the largest."""
    digits = decimals_of((line.gain_stderr for line in lines), [line.mean for line in lines])
    largest = max((abs(line.mean) for line in lines), default=1.0)
    return (decimals_of([largest / 100]) or 0) if digits is None else digits


def _gain(line: Line, digits: int) -> tuple[str, str]:
    if math.isnan(line.gain):
        return "", ""
    interval = f"{line.low:+.{digits}f} to {line.high:+.{digits}f}"
    return f"{line.gain:+.{digits}f} ± {line.gain_stderr:.{digits}f}", interval


def _verdict(line: Line) -> str:
    """The verdict, which says of what is not shown to be worse than random rows that it is worse than no tuning."""
    return "worse than untuned" if line.verdict == "worse" and not line.loses else line.verdict


def _named(line: Line, usual_seeds: int) -> str:
    """The method; with how many rows where these are all, and with how many seeds where others have more."""
    if line.method == FULL:
        return f"{line.method} ({plural(line.rows, 'row')})"
    fewer = line.method != UNTUNED and line.seeds < usual_seeds
    return f"{line.method} ({plural(line.seeds, 'seed')})" if fewer else line.method


def _choosing(line: Line) -> str:
    if line.method in (UNTUNED, FULL, RANDOM):
        return ""
    runs = f"{plural(line.choosing_fine_tunings, 'run')}, " if line.choosing_fine_tunings else ""
    return runs + duration(line.choosing_seconds)


def tally_rows(comparison: ComparisonRecord, figure: str) -> list[tuple[str, ...]]:
    """Wins and losses against random rows in words, the last line of all methods together.

    Args:
        comparison: What was found.
        figure: What was measured.

    Returns:
        For each method a text for each part of `TALLY_HEADER`.
    """
    return [
        (
            one_line(one.method, 60),
            f"{one.wins_beyond_two_stderr} : {one.losses_beyond_two_stderr}",
            f"{one.wins} : {one.losses}",
            str(one.cells),
        )
        for one in [*comparison.tallies, *comparison.totals]
        if one.figure == figure
    ]


def _tally_tables(comparison: ComparisonRecord) -> list[str]:
    return [
        f"wins : losses against random rows, {one_line(total.figure, 60)}\n"
        + _aligned([TALLY_HEADER, *tally_rows(comparison, total.figure)])
        for total in comparison.totals
    ]


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(f"  {line}" for line in lines)
