"""Text from rows on a card: shown as it is, and never read as Markdown, HTML or the card's own structure."""

import re

from shed_hf.utils.text import excerpt

_PLAIN = set(" .,;?!'()/-+%=")


LONGEST_WORD = 40


def escaped(text: str) -> str:
    """The beginning of a text, on one line, such that Markdown shows every character and obeys none.

    All punctuation that could mean something becomes an HTML entity, which is never structure (CommonMark 0.31, 2.5);
    words that would not wrap on a phone are cut.
    """
    shown = re.sub(rf"\S{{{LONGEST_WORD},}}", lambda word: word[0][: LONGEST_WORD - 1] + "…", excerpt(text))
    literal = "".join(mark if _means_nothing(mark) else f"&#{ord(mark)};" for mark in shown)
    return re.sub(r"(?i)(www)\.", r"\1&#46;", literal)  # which would become a link


def _means_nothing(mark: str) -> bool:
    return mark.isalnum() or mark in _PLAIN or ord(mark) > 127


def as_code(text: str) -> str:
    """A short text as inline code that survives backticks and pipes in it."""
    line = excerpt(text).replace("|", "¦") or "(nothing)"
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{ticks} {line} {ticks}" if "`" in line else f"`{line}`"


def fenced(code: str, language: str = "python") -> str:
    """A block of code, with a fence longer than any inside it."""
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", code)), default=0))
    return f"{ticks}{language}\n{code}\n{ticks}"
