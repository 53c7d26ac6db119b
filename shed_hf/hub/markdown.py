"""Escapes text for a card: it is shown as it is, and never read as Markdown, HTML or the card's own structure."""

import re

from shed_hf.utils.text import excerpt

_PLAIN = set(" .,;?!'()/-+%=")


LONGEST_WORD = 40
"""Longer words are cut: they would widen the columns of a table."""


def escaped(text: str) -> str:
    """The beginning of a text, on one line, such that Markdown shows every character and obeys none.

    All punctuation that could mean something becomes an HTML entity, which is never structure (CommonMark 0.31, 2.5);
    words that would not wrap on a phone are cut.

    Args:
        text: Any text.

    Returns:
        At most 160 characters of it, as Markdown.
    """
    shown = re.sub(rf"\S{{{LONGEST_WORD},}}", lambda word: word[0][: LONGEST_WORD - 1] + "…", excerpt(text))
    literal = "".join(mark if _means_nothing(mark) else f"&#{ord(mark)};" for mark in shown)
    return re.sub(r"(?i)(www)\.", r"\1&#46;", literal)  # which would become a link


def _means_nothing(mark: str) -> bool:
    return mark.isalnum() or mark in _PLAIN or ord(mark) > 127


def as_code(text: str) -> str:
    """A short text as inline code that survives backticks and pipes in it.

    Args:
        text: Any text.

    Returns:
        At most 160 characters of it, as Markdown.
    """
    line = excerpt(text).replace("|", "¦") or "(nothing)"
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{ticks} {line} {ticks}" if "`" in line else f"`{line}`"


def plain_name(text: str) -> str:
    """A name or a version: as it is where it has only letters, digits and ``. _ + / - : ,`` and blanks, else escaped.

    Args:
        text: Any text, such as a device or a package's version.

    Returns:
        The text, as Markdown that is read as itself.
    """
    return text if re.fullmatch(r"[\w .+/:,()-]*", text, re.ASCII) and "//" not in text else escaped(text)


def fenced(code: str, language: str = "python") -> str:
    """A block of code, with a fence longer than any inside it.

    Args:
        code: The lines of the block.
        language: What the block is highlighted as.

    Returns:
        The block, as Markdown.
    """
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", code)), default=0))
    return f"{ticks}{language}\n{code}\n{ticks}"
