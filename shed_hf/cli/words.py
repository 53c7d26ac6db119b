"""What Python functions say, errors and other lines, in the words of a shell."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

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


def in_shell_words(message: str) -> str:
    """What a Python function says with options in the place of arguments.

    Args:
        message: Such as ``size=0 is not in 1 … 20``, or ``pass drop_invalid=True``.

    Returns:
        Such as ``--size 0 is not in 1 … 20``, or ``pass --drop-invalid``.
    """
    for call, option in _CALLS:
        message = call.sub(option, message)
    message = _CHANGED.sub(lambda found: _shown(found[1]), message)
    return _ARGUMENT.sub(_option, message)


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


class _InShellWords(logging.Filter):
    """Passes every line on, in the words of a shell."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = in_shell_words(record.getMessage()), None
        return True


@contextmanager
def lines_in_shell_words() -> Iterator[None]:
    """What shed_hf logs inside, information and warnings, has options in the place of arguments."""
    words = _InShellWords()
    logger.addFilter(words)
    try:
        yield
    finally:
        logger.removeFilter(words)
