"""Vectors that were made before, with what made them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.embedding.encoders import Encoder, Lexical, encoder_from
from shed_hf.errors import InputError


@dataclass(frozen=True, eq=False)
class Embedded:
    """The vectors of a pool's rows, and the encoder that made them, for whatever else is to be embedded.

    A matrix alone says nothing of further texts: neither can rows be compared with evaluation items by their vectors,
    nor new rows be scored.

    Attributes:
        vectors: ``(n, d)``, a line for every row of the pool.
        encoder: What made them: an object with ``.encode(texts)``; of `Lexical` one that was fitted.

    Raises:
        InputError: For what embeds no texts as it is.
    """

    vectors: NDArray[np.floating[Any]] = field(repr=False)
    encoder: Encoder

    def __post_init__(self) -> None:
        found = encoder_from(self.encoder)
        if found is None or isinstance(found, Lexical):
            raise InputError(
                f"encoder={self.encoder!r:.60} of Embedded can't be what made the vectors; pass an object with "
                ".encode(texts), such as SentenceTransformerEncoder(name) or Lexical().fit(texts)"
            )
        object.__setattr__(self, "encoder", found)

    def encode(self, sentences: list[str], /) -> Any:
        """Embed further texts.

        Args:
            sentences: n texts.

        Returns:
            ``(n, d)``, by the encoder.
        """
        return self.encoder.encode(sentences)
