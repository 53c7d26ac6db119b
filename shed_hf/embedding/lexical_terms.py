"""Splits text into the terms that `Lexical` counts: words, and character n-grams where a script has no blanks.

Chinese, Japanese, Thai, Lao, Khmer, Burmese and Tibetan put no blanks between words, so that a whole sentence would be
one word that no other text has.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from functools import cache

_HAN_KANA = (
    "\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
)
_THAI_TO_KHMER = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ede\u0f00-\u0fbc"  # Thai, Lao, Tibetan
    "\u1000-\u103f\u1050-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f\u1780-\u17d3"  # Burmese, Khmer
)
_UNSPACED = re.compile(f"(?P<characters>[{_HAN_KANA}]+)|(?P<alphabet>[{_THAI_TO_KHMER}]+)")
_ASCII_WORDS = re.compile(r"\w\w+", re.ASCII)
_LENGTHS = {"characters": (1, 2), "alphabet": (2, 3, 4)}
"""The n of the n-grams: a Chinese character is about a morpheme, a Thai one a letter."""


def terms_of(text: str) -> list[str]:
    """The terms of a text, in lower case and with accents composed.

    Words have at least two characters; English stop words are left out. A stretch of Chinese or Japanese gives its
    characters and pairs of characters; one of Thai, Lao, Khmer, Burmese or Tibetan its n-grams of 2 to 4 characters.

    Args:
        text: Any text.

    Returns:
        The terms in their order, repeated ones too; none for a text of signs and single letters alone.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    folded = unicodedata.normalize("NFC", text.lower())
    if folded.isascii():  # most texts, ten times as fast
        return [word for word in _ASCII_WORDS.findall(folded) if word not in ENGLISH_STOP_WORDS]
    words = _words().findall(folded)
    if _UNSPACED.search(folded) is None:
        return [word for word in words if len(word) > 1 and word not in ENGLISH_STOP_WORDS]
    return [term for word in words for term in _split(word) if term not in ENGLISH_STOP_WORDS]


def whole_words_of(text: str) -> list[str]:
    """The terms of a text as versions before n-grams split it, for the vocabularies that they saved.

    Args:
        text: Any text.

    Returns:
        Words of at least two characters, without English stop words.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return [word for word in re.findall(r"\b\w\w+\b", text.lower()) if word not in ENGLISH_STOP_WORDS]


def has_unsplit_words(vocabulary: Collection[str]) -> bool:
    """Whether a vocabulary was made before scripts without blanks were split into n-grams.

    Args:
        vocabulary: Terms.

    Returns:
        True where a term of such a script is longer than any n-gram.
    """
    return any(
        len(run.group()) > max(_LENGTHS[str(run.lastgroup)]) for term in vocabulary for run in _UNSPACED.finditer(term)
    )


@cache
def _words() -> re.Pattern[str]:
    """Letters, digits and the marks upon them: the vowel signs of Hindi or Thai are no ``\\w`` to Python."""
    marks = [code for code in range(0x300, 0x20000) if unicodedata.category(chr(code)) in ("Mn", "Mc")]
    return re.compile(f"[\\w{_as_ranges(marks)}]+")


def _as_ranges(codes: Sequence[int]) -> str:
    """Ascending characters as a class of a regular expression, which is searched range by range."""
    starts = [code for code, before in zip(codes, [-1, *codes], strict=False) if code != before + 1]
    ends = [code for code, after in zip(codes, [*codes[1:], -1], strict=True) if after != code + 1]
    return "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))


def _split(word: str) -> Iterator[str]:
    end = 0
    for run in _UNSPACED.finditer(word):
        yield from _whole(word[end : run.start()])
        yield from _ngrams(run.group(), _LENGTHS[str(run.lastgroup)])
        end = run.end()
    yield from _whole(word[end:])


def _whole(word: str) -> Iterator[str]:
    if len(word) > 1:
        yield word


def _ngrams(run: str, lengths: tuple[int, ...]) -> Iterator[str]:
    for length in lengths:
        for start in range(len(run) - length + 1):
            yield run[start : start + length]
    if len(run) < lengths[0]:
        yield run
