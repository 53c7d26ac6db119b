"""The rows of a pool as a trainer wants them."""

from typing import TYPE_CHECKING

import numpy as np

from shed_hf.data.pool import Pool
from shed_hf.data.tokenization import Tokens, tokenise, warn_of_cuts
from shed_hf.types import IntVector

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TokenizedRows:
    """The rows of a pool as features for a trainer, each tokenised once, when first asked for.

    Args:
        pool: The rows.
        tokenizer: The model's tokenizer.
        max_length: After how many tokens a row is cut.
    """

    def __init__(self, pool: Pool, tokenizer: "PreTrainedTokenizerBase", max_length: int) -> None:
        self.pool, self.tokenizer, self.max_length = pool, tokenizer, max_length
        self._tokens: dict[int, Tokens] = {}
        self._warned = False

    def __getitem__(self, row: int) -> dict[str, list[int]]:
        tokens = self.tokens(np.array([row]))[0]
        return {"input_ids": tokens.ids.tolist(), "labels": tokens.labels.tolist()}

    def tokens(self, rows: IntVector) -> list[Tokens]:
        """The tokens of some rows.

        Args:
            rows: Row ids, ``(n,)``.

        Returns:
            The tokens of each row.
        """
        new = [int(row) for row in rows if int(row) not in self._tokens]
        if new:
            tokens = tokenise(self.pool.examples(new), self.tokenizer, self.max_length, new)
            self._tokens.update(zip(new, tokens, strict=True))
        return [self._tokens[int(row)] for row in rows]

    def length(self, row: int) -> int:
        """How many tokens a row has.

        Args:
            row: A row id.

        Returns:
            The number of its tokens, prompt included.
        """
        return len(self.tokens(np.array([row]))[0].ids)

    def read_tokens(self, rows: IntVector) -> list[Tokens]:
        """The tokens of some rows, which are not kept: a whole pool would fill the memory.

        Args:
            rows: Row ids, ``(n,)``.

        Returns:
            The tokens of each row.
        """
        return tokenise(self.pool.examples(rows), self.tokenizer, self.max_length, [int(row) for row in rows])

    def warn_of_cuts(self) -> None:
        """Warn once, the first time, with the number of rows cut so far."""
        if not self._warned:
            warn_of_cuts(list(self._tokens.values()), self.max_length, "rows looked at as proxies")
            self._warned = True
