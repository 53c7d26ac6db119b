"""The columns that steps add to rows, and what rows that pass through datatrove have in common."""

import hashlib
from typing import Any

from datatrove.utils.hashes.sha1 import sha1_hash64

from shed_hf.embedding.encoders import Encoder, FittedLexical, SentenceTransformerEncoder
from shed_hf.errors import InputError

VECTOR = "shed_embedding"
"""The unit vector of a row."""


ENCODER = "shed_encoder"
"""What made the vector, by name."""


DRAW = "shed_draw"
"""The number that decides whether a row is in the sample."""


WANTED = "shed_sample_size"
"""How many rows the sample was asked to have, in each of its rows."""


RANK = "shed_rank"
"""What share of the rows of its cluster is better than a row."""


OWN = "own:"
"""What names of encoders begin with that are no model's."""


def name_of(encoder: Encoder) -> str:
    """What is written beside the vectors of an encoder, so that no other takes them for its own.

    Args:
        encoder: What made them.

    Returns:
        A model's name or path; of other encoders their class, and of `Lexical` a digest of its weights too.
    """
    if isinstance(encoder, SentenceTransformerEncoder):
        return str(encoder.model)
    if isinstance(encoder, FittedLexical):
        weights = hashlib.blake2b(encoder.components.tobytes() + encoder.idf.tobytes(), digest_size=6)
        return f"{OWN}{type(encoder).__name__} {weights.hexdigest()}"
    return f"{OWN}{type(encoder).__qualname__}"


def check_made_by(written: str, encoder: Encoder) -> None:
    """Refuse vectors of another encoder, which would be near the wrong clusters.

    Args:
        written: What stands beside the vectors.
        encoder: The encoder that clusters were made with.

    Raises:
        InputError: Where it is another one. A model may lie in another folder under the same name.
    """
    expected = name_of(encoder)
    if _last(written) != _last(expected):
        raise InputError(
            f"the rows were embedded by {written!r}, and the scorer's clusters are those of {expected!r}; embed the "
            "rows with the scorer's encoder, or pass a scorer of theirs"
        )


def draw_of(text: str, purpose: str, seed: int) -> float:
    """A number that is as if drawn at random, and always the same for the same text.

    Args:
        text: The text of a row: where its shard lies and who reads it make no difference.
        purpose: What is drawn; other draws are independent.
        seed: A seed.

    Returns:
        A number in [0, 1).
    """
    return float(sha1_hash64(f"{purpose} {seed} {text}") >> 11) / 2**53


def cells(rows: list[Any], column: str, missing: str) -> list[Any]:
    """A cell of every row.

    Args:
        rows: datatrove's documents.
        column: Its name.
        missing: What to do where rows lack it, for the error.

    Returns:
        The cells.

    Raises:
        InputError: Where a row lacks it, naming the first.
    """
    lacking = next((row.id for row in rows if column not in row.metadata), None)
    if lacking is not None:
        raise InputError(f"row {lacking} has no column {column!r}; {missing}")
    return [row.metadata[column] for row in rows]


def _last(name: str) -> str:
    return name if name.startswith(OWN) else name.replace("\\", "/").rstrip("/").rpartition("/")[2]
