"""Puts errors and other lines of the Python functions into the syntax of the shell."""

import ast
import logging
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shed_hf.config.kinds import FLAG
from shed_hf.config.shed_config import DESTINATIONS, SETTINGS_BY_NAME
from shed_hf.utils.logs import logger

_OTHERS = ("choosing_seeds", "draws", "methods", "models", "pilot", "seeds", "sizes", "source", "test_columns",
           "test_objective")  # fmt: skip
"""Arguments beside the settings that are options of some command too."""

_ARGUMENTS = {
    "dataset": "DATASET", "new_rows": "NEW_ROWS", "NEW_ROWS": "NEW_ROWS", "repo_id": "--push-to-hub",
}  # fmt: skip
"""Arguments that a command line has by their place, or under another name."""

_NAMES = {*SETTINGS_BY_NAME, *DESTINATIONS, *_OTHERS, *_ARGUMENTS}

_OUTSIDE = r"""(?<![\w(.,'"=/-])(?<!, )"""
"""Not inside of a call such as ``Race(budget=20)``, nor of a path."""

_CALLS = (
    (re.compile(rf"{_OUTSIDE}clusterer=KMeans\((?:n_clusters=)?(\d+)\)"), r"--n-clusters \1"),
    (
        re.compile(rf"{_OUTSIDE}clusterer=Agglomerative\((?:n_clusters=)?(\d+)\)"),
        r"--clusterer agglomerative --n-clusters \1",
    ),
    (re.compile(rf"{_OUTSIDE}estimator=LeastSquares\((?:n_coalitions=)?(\d+)\)"), r"--n-coalitions \1"),
    (
        re.compile(rf"{_OUTSIDE}estimator=BanzhafMSR\((?:n_coalitions=)?(\d+)\)"),
        r"--estimator banzhaf --n-coalitions \1",
    ),
    (re.compile(r"curated\.verify\(test_dataset\)"), "shed-hf verify --test-dataset"),
    (re.compile(r"curated\.resample\(([\d.]+)\)"), r"shed-hf resample --size \1"),
    (re.compile(r"pass a list of them, (?=[a-z_]+=\[)"), "pass each by itself, as in "),
    (re.compile(r"[a-z_]+=, in the shell (?=--)"), ""),
    (re.compile(r", or (?:labels or an object|an object|objects|Race\(…\)|Metric\(…\)[\w ]*)(?=[;.]|$)"), ""),
    (re.compile(r", or several, or None(?=[;.]|$)"), ", once for each of several"),
    (re.compile(r", or a number for every row, or None(?=[;.]|$)"), ", or none"),
)
"""Calls in Python with what a shell has in their place."""

_ARGUMENT = re.compile(
    rf"""{_OUTSIDE}({"|".join(sorted(_NAMES, key=len, reverse=True))})"""
    r"=(?!=)(None\b|True\b|False\b)?(?=(\S?))"
)
"""An argument with its sign and None, True or False behind it, but not inside of a call such as ``Race(budget=20)``."""

_CHANGED = re.compile(rf"(?<=[:;] )({'|'.join(sorted(_NAMES, key=len, reverse=True))})(?= was [^;]*, is now )")
"""An argument that a ledger's run had at another value."""

_SETTINGS = {**SETTINGS_BY_NAME, **DESTINATIONS}

_BOUND = re.compile(
    rf"(?<![\w.,'\"=/-])({'|'.join(sorted(_NAMES, key=len, reverse=True))})"
    r" (>=|<=) (\d[\d,]*(?:\.\d+)?%?)"
)
"""An argument with the least or the most that it may be."""

_BARE = re.compile(
    rf"(?<![\w.'\"=/\[{{-])({'|'.join(sorted((name for name in _NAMES if '_' in name), key=len, reverse=True))})"
    r"(?![\w=:'\"(\[/-]|\.\w|(?:, \w+)* of \S*[./]\S*: )"
)
"""An argument in the midst of words, but not as a file has it. Names of one word may be those words."""

_UTILITY = re.compile(rf"{_OUTSIDE}utility=")
_PYTHON_ALONE = " (utility= is an argument in Python; a shell has no option for it)"
"""What follows where callables are asked for."""

_IN_CALL = re.compile(r"\w\([^()]*$")
"""What stands before an argument inside of a call."""

_OF_FILE = re.compile(r"line \d+ of .*: $")
"""What stands before a setting of a file, which is named as the file has it."""

_REPEATED = {
    *(_name.replace("_", "-") for _name, _setting in SETTINGS_BY_NAME.items() if _setting.kind.repeats),
    "methods", "models", "sizes", "test-columns", "test-objective",
}  # fmt: skip
"""Options that are passed once for each of several values."""

_SEVERAL = re.compile(rf"--({'|'.join(sorted(_REPEATED, key=len, reverse=True))})(, for example)? (?=[{{\[])")
"""An option in front of several values as Python has them."""


def in_shell_words(message: str) -> str:
    """A message of a Python function, with options in the place of arguments.

    Args:
        message: Such as ``size=0 is not in 1 … 20``, or ``pass drop_invalid=True``.

    Returns:
        Such as ``--size 0 is not in 1 … 20``, or ``pass --drop-invalid``.
    """
    for call, option in _CALLS:
        message = call.sub(option, message)
    message = _CHANGED.sub(lambda found: _shown(found[1]), message)
    message = _BOUND.sub(_bound, message)
    message = _BARE.sub(_bare, _ARGUMENT.sub(_option, message))
    return _several(message) + (_PYTHON_ALONE if _UTILITY.search(message) else "")


def _shown(name: str) -> str:
    return _ARGUMENTS.get(name) or f"--{name.replace('_', '-')}"


def _option(found: re.Match[str]) -> str:
    name, word, following = found.groups()
    setting = _SETTINGS.get(name)
    if setting is not None and setting.kind is FLAG and word in ("True", "False"):
        return setting.option if word == "True" else setting.option.replace("--", "--no-", 1)
    shown = _shown(name)
    if word is not None:
        return f"{shown} {(word == 'None' and setting is not None and setting.none) or word}"
    return f"{shown} " if following and following not in ".;,:" else shown


def _bound(found: re.Match[str]) -> str:
    name, sign, number = found.groups()
    return f"{_shown(name)} {number} or {'more' if sign == '>=' else 'less'}"


def _bare(found: re.Match[str]) -> str:
    before, behind = found.string[: found.start()], found.string[found.end() :]
    of_file = _OF_FILE.match(before) or (not before and behind.startswith(" of "))
    return found[0] if of_file or _IN_CALL.search(before) else _shown(found[1])


def _several(message: str) -> str:
    """Mappings and lists behind an option as the option once for each value."""
    parts, end = [], 0
    for found in _SEVERAL.finditer(message):
        value, behind = _literal(message, found.end())
        if not value:
            continue
        pairs = (
            [f"{key}={'' if given is None else given}" for key, given in value.items()]
            if isinstance(value, dict)
            else map(str, value)
        )
        each = " ".join(f"--{found[1]} {pair if pair.endswith('…') else shlex.quote(pair)}" for pair in pairs)
        parts += [message[end : found.start()], f"--{found[1]}, for example " if found[2] else "", each]
        end = behind
    return "".join([*parts, message[end:]])


def _literal(message: str, start: int) -> tuple[Any, int]:
    """The mapping or list that begins at a place of a message, and where it ends; None where none is whole."""
    closing = "}" if message[start] == "{" else "]"
    end = message.find(closing, start) + 1
    while end:
        try:
            return ast.literal_eval(message[start:end].replace(": …}", ": '…'}")), end
        except (SyntaxError, ValueError):
            end = message.find(closing, end) + 1
    return None, start


class _InShellWords(logging.Filter):
    """Passes every line on, in the words of a shell."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = in_shell_words(record.getMessage()), None
        return True


@contextmanager
def lines_in_shell_words() -> Iterator[None]:
    """Within, log lines of shed_hf name options instead of arguments."""
    words = _InShellWords()
    logger.addFilter(words)
    try:
        yield
    finally:
        logger.removeFilter(words)
