"""DSIR: importance resampling of rows by hashed n-grams (Xie et al. 2023, arXiv 2302.03169)."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from shed_hf.errors import InputError
from shed_hf.sampling.coverage import descending
from shed_hf.sampling.selectors import Need, RowSignals, Selection, TakesAnySize, known
from shed_hf.types import FloatVector, IntVector
from shed_hf.utils.checks import check_whole

SMOOTHING = 1e-8
"""Added to every probability, as the published code does, so that n-grams that one side lacks have a finite ratio."""


_TOKENS = re.compile(r"\w+|[^\w\s]+")
"""Words and runs of punctuation: the tokenizer of the published code."""


@dataclass(frozen=True)
class DSIR(TakesAnySize):
    """Draws rows whose n-grams are those of the evaluation items rather than of the pool, without replacement.

    A row's log weight is Σ over its n-grams of log p_items(bucket) − log p_pool(bucket), where n-grams are hashed into
    buckets; Gumbel noise on the log weights makes the draw. A long row's weight is a sum of many terms, so there the
    noise hardly counts.

    Attributes:
        ngrams: The longest n-grams that are counted; 2 for words and pairs.
        buckets: How many buckets n-grams are hashed into.

    Raises:
        InputError: For numbers that are not whole and at least 1.
    """

    ngrams: int = 2
    buckets: int = 10_000

    def __post_init__(self) -> None:
        check_whole(ngrams=self.ngrams, buckets=self.buckets)

    @property
    def needs(self) -> frozenset[Need]:
        """Texts of rows and of evaluation items."""
        return frozenset({"texts", "item_texts"})

    @property
    def paper(self) -> str:
        """Importance resampling."""
        return "importance resampling by hashed n-grams (DSIR: Xie et al. 2023, arXiv 2302.03169)"

    def select(self, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection:
        """Draw rows ∝ their importance weights.

        Args:
            signals: With ``texts`` and ``item_texts``.
            size: How many rows to draw.
            rng: Draws the Gumbel noise.

        Returns:
            The choice, with a note where no row has a word of the items.

        Raises:
            InputError: Where rows or items hold no word.
        """
        texts, item_texts = known(signals.texts, "texts"), known(signals.item_texts, "item_texts")
        weights = self.log_weights(texts, item_texts)
        return Selection(descending(weights + rng.gumbel(size=len(weights)))[:size], _of_strangers(texts, item_texts))

    def log_weights(self, texts: list[str], item_texts: list[str]) -> FloatVector:
        """The log importance weight of every row.

        Args:
            texts: The rows' texts, m of them.
            item_texts: The evaluation items' texts.

        Returns:
            Log weights ``(m,)``.

        Raises:
            InputError: Where rows or items hold no word.
        """
        pool, target = self._log_probabilities(texts, "rows"), self._log_probabilities(item_texts, "evaluation items")
        ratio = target - pool
        return np.array([ratio[buckets].sum() for buckets in self._buckets(texts)], dtype=np.float64)

    def _log_probabilities(self, texts: list[str], of: str) -> FloatVector:
        counts = np.zeros(self.buckets, dtype=np.int64)
        for buckets in self._buckets(texts):
            counts += np.bincount(buckets, minlength=self.buckets)
        if not counts.any():
            raise InputError(f"the {of} hold no word, so DSIR has nothing to count; pass another sampler=")
        return np.asarray(np.log(counts / counts.sum() + SMOOTHING), dtype=np.float64)

    def _buckets(self, texts: Iterable[str]) -> Iterator[IntVector]:
        """The bucket of every n-gram of every text."""
        for text in texts:
            words = _TOKENS.findall(text.lower())
            grams = (
                " ".join(words[start : start + n])
                for n in range(1, self.ngrams + 1)
                for start in range(len(words) - n + 1)
            )
            yield np.array([_hash(gram) % self.buckets for gram in grams], dtype=np.int64)


def _of_strangers(texts: list[str], item_texts: list[str]) -> tuple[str, ...]:
    wanted = {word for text in item_texts for word in _TOKENS.findall(text.lower()) if word.isalnum()}
    if any(word in wanted for text in texts for word in _TOKENS.findall(text.lower())):
        return ()
    return ("not a single row has a word in common with the evaluation items, so none is like them",)


@lru_cache(maxsize=2**16)
def _hash(gram: str) -> int:
    return int(hashlib.sha256(gram.encode("utf-8", "surrogatepass")).hexdigest(), 16)
