"""Finds the preambles that rows of a dataset share, so that rows are compared by what differs among them.

A system prompt or an instruction before every question makes all vectors alike: distinct rows then look like repeats of
one another, and an encoder that reads 256 tokens may see nothing else. What models are shown is never changed.
"""

import hashlib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import takewhile
from typing import Any

from shed_hf.data.examples import Example

LONG, COMMON = 160, 0.1
"""A beginning of at least 160 characters is a preamble where at least a tenth of the rows share it,"""


SHORT, FREQUENT = 40, 0.25
"""and one of at least 40 characters where at least a quarter do."""


FEWEST = 4
"""The fewest rows that share a beginning."""


SAMPLE = 4096
"""How many rows, evenly spaced, beginnings are looked for in."""


MOST = 64

BEFORE = ("system", "developer")
"""The roles of a system prompt."""


@dataclass(frozen=True)
class Preambles:
    """The preambles of a dataset, as digests: their text is in its rows alone.

    Attributes:
        systems: The digests of system prompts that at least two rows share.
        beginnings: Length in characters and digest of the other preambles; a row loses the longest that it begins with.
    """

    systems: frozenset[str] = frozenset()
    beginnings: frozenset[tuple[int, str]] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.systems or self.beginnings)

    def __or__(self, other: "Preambles") -> "Preambles":
        return Preambles(self.systems | other.systems, self.beginnings | other.beginnings)

    def text_of(self, example: Example) -> str:
        """The text of a row without its preamble.

        Args:
            example: The row.

        Returns:
            The text to embed and to compare. A row of nothing but a preamble keeps it.
        """
        if not self:
            return example.text
        system, prompt, completion = _parts(*turns_of(example))
        if system and _digest(system) in self.systems:
            system = ""
        begun = _joined(system, prompt)
        whole = _joined(begun, completion)
        rest = whole[self._length(begun or completion) :].lstrip()
        return rest or example.text

    def shown(self, example: Example) -> str:
        """The text of a row for people to read.

        Args:
            example: The row.

        Returns:
            As `text_of`, after an ellipsis where a beginning that rows share is left out.
        """
        text = self.text_of(example)
        return text if text == example.text else f"… {text}"

    def _length(self, text: str) -> int:
        lengths = sorted({length for length, _ in self.beginnings if length <= len(text)}, reverse=True)
        return next((length for length in lengths if (length, _digest(text[:length])) in self.beginnings), 0)

    def as_json(self) -> dict[str, Any]:
        """The preambles as JSON, which `from_json` reads."""
        return {"systems": sorted(self.systems), "beginnings": [list(one) for one in sorted(self.beginnings)]}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Preambles":
        """The preambles that `as_json` wrote.

        Args:
            written: What was written.

        Returns:
            The preambles.

        Raises:
            ValueError: For anything else.
        """
        beginnings = [(length, digest) for length, digest in written["beginnings"]]
        digests = [*written["systems"], *(digest for _, digest in beginnings)]
        whole = all(type(length) is int and length > 0 for length, _ in beginnings)
        if not whole or not all(isinstance(digest, str) for digest in digests):
            raise ValueError(f"preambles that are no lengths and digests: {str(written)[:80]}")
        return cls(frozenset(written["systems"]), frozenset(beginnings))


@dataclass
class PreambleFinder:
    """Looks at the rows of a dataset one after the other, at some of them closely, then tells what they share.

    Attributes:
        n_rows: How many rows there will be at most.
    """

    n_rows: int
    _step: int = field(init=False)
    _seen: int = field(default=0, init=False)
    _systems: Counter[str] = field(default_factory=Counter, init=False)
    _sample: list[tuple[str, str]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._step = max(1, -(-self.n_rows // SAMPLE))

    def add(self, example: Example) -> None:
        """Look at a row.

        Args:
            example: The row.
        """
        self.count(system_of(example), 1, example.verbatim)
        if self.sampled(1):
            self.sample(*turns_of(example))

    def count(self, system: str, n_rows: int, verbatim: bool) -> None:
        """Count a system prompt.

        Args:
            system: Its text; empty where rows have none.
            n_rows: How many rows have it.
            verbatim: Whether the model reads their texts as they are; then a column says that it is a preamble.
        """
        if system:
            self._systems[_digest(system)] += 2 * n_rows if verbatim else n_rows

    def sampled(self, n_rows: int) -> range:
        """Which of the next rows are looked at closely.

        Args:
            n_rows: How many rows follow those asked about before.

        Returns:
            Places among them.
        """
        first = -self._seen % self._step
        self._seen += n_rows
        return range(first, n_rows, self._step)

    def sample(self, first_role: str, texts: Sequence[str]) -> None:
        """Look closely at a row, whose system prompt is counted by itself.

        Args:
            first_role: Who speaks first.
            texts: What is said in each turn.
        """
        system, prompt, completion = _parts(first_role, texts)
        self._sample.append((system, prompt or ("" if system else completion)))

    def found(self) -> Preambles:
        """The preambles of all rows so far."""
        systems = frozenset(digest for digest, count in self._systems.items() if count > 1)
        begun = [
            _joined("" if system and _digest(system) in systems else system, prompt) for system, prompt in self._sample
        ]
        by_rows = sorted(_beginnings(begun), key=lambda one: (-one[1], one[0]))[:MOST]
        return Preambles(systems, frozenset((len(text), _digest(text)) for text, _ in by_rows))


def preambles_of(examples: Sequence[Example]) -> Preambles:
    """The preambles that some rows share.

    Args:
        examples: The rows.

    Returns:
        The preambles.
    """
    finder = PreambleFinder(len(examples))
    for example in examples:
        finder.add(example)
    return finder.found()


def system_of(example: Example) -> str:
    """The system prompt of a row.

    Args:
        example: The row.

    Returns:
        Its text; empty where there is none.
    """
    first = example.turns[0]
    return first.text if len(example.turns) > 1 and first.role in BEFORE else ""


def turns_of(example: Example) -> tuple[str, list[str]]:
    """Who speaks first in a row, and what is said in each turn.

    Args:
        example: The row.

    Returns:
        A role, and a text for each turn.
    """
    return example.turns[0].role, [turn.text for turn in example.turns]


def _parts(first_role: str, texts: Sequence[str]) -> tuple[str, str, str]:
    """The system prompt, what stands between it and the completion, and the completion."""
    system = texts[0] if len(texts) > 1 and first_role in BEFORE else ""
    return system, _joined(*texts[1 if system else 0 : -1]), texts[-1]


def _joined(*texts: str) -> str:
    return "\n".join(filter(None, texts))


@lru_cache(maxsize=64)  # system prompts repeat
def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _beginnings(texts: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The beginnings that enough texts share, each with how many share it; longer ones of a part of those too."""
    groups = [(texts, 0, 0)]  # texts that agree in so many characters, of which so many are a preamble
    while groups:
        members, agreed, known = groups.pop()
        by_next: dict[str, list[str]] = defaultdict(list)
        for text in members:
            if len(text) >= agreed + SHORT:
                by_next[text[agreed : agreed + SHORT]].append(text)
        for group in by_next.values():
            if len(group) < max(FEWEST, COMMON * len(texts)):
                continue
            length = _up_to_a_word(group, _n_common(min(group), max(group)))
            if length <= agreed:
                continue
            least = SHORT if len(group) >= FREQUENT * len(texts) else LONG
            if length - known >= least:
                known_now = length
                yield group[0][:length], len(group)
            else:
                known_now = known
            groups.append((group, length, known_now))


def _n_common(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _up_to_a_word(texts: Sequence[str], length: int) -> int:
    """The length cut back so that no text is parted inside a word; scripts without blanks have none to part."""
    nexts = {text[length : length + 1] for text in texts}
    first = texts[0]
    while length and _in_word(first[length - 1]) and any(map(_in_word, nexts)):
        length -= 1
        nexts = {first[length]}
    return length


def _in_word(character: str) -> bool:
    return character.isalnum() and unicodedata.category(character) != "Lo"
