"""Row features: a model's loss, instruction-following difficulty and length of a row, as columns beside its embedding.

Damaged rows lie among sound ones of the same topic, so values of clusters by topic cannot separate them; a model finds
their completions harder, or no easier with the prompt than without it (Li et al. 2023, arXiv 2308.12032).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from shed_hf.errors import InputError
from shed_hf.types import EmbeddingMatrix, FloatMatrix, FloatVector
from shed_hf.utils.nearest import unknown_name

FEATURES = ("loss", "ifd", "length")
"""A completion's loss, by how much its prompt lowers it (instruction-following difficulty), the log of its tokens."""


CHUNK = 2048


@dataclass(frozen=True)
class Features:
    """Which features stand beside the embedding, and how much they weigh.

    Attributes:
        names: Some of ``"loss"``, ``"ifd"`` and ``"length"``.
        scale: How widely they spread together, relative to the embedding: 1 is as widely, 0 not at all.

    Raises:
        InputError: For unknown, repeated or no names, or a scale that is negative or not finite.
    """

    names: tuple[str, ...] = FEATURES
    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", _checked_names(self.names))
        _check_scale(self.scale)


def features_from(argument: "str | Sequence[str] | Features | None") -> Features | None:
    """The features that the caller means.

    Args:
        argument: One name, several, the object itself, or None.

    Returns:
        The object; None for None.
    """
    if argument is None or isinstance(argument, Features):
        return argument
    return Features((argument,)) if isinstance(argument, str) else Features(_checked_names(argument))


def features_by_name(features: FloatMatrix) -> dict[str, FloatVector]:
    """A utility's row features by name.

    ``ifd`` is the unconditional loss less the loss, in nats a token: how far the prompt helps. Well above 0 it does;
    near 0 or below, the completion may not belong to it. Li et al. 2023 (arXiv 2308.12032) divide the second by the
    first, so that difficult rows have a *high* ratio; here they have a low difference.

    Args:
        features: ``(n, 3)``: loss, unconditional loss and length, as ``utility.row_features(rows)`` returns them.

    Returns:
        ``(n,)`` for each name; NaN where a row has no completion to learn.

    Raises:
        InputError: For another shape.
    """
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or features.shape[1] != 3:
        raise InputError(
            f"features have shape {features.shape}; pass (n, 3), the loss, the unconditional loss and the length of "
            "each row, as utility.row_features(rows) returns them"
        )
    loss, unconditional, length = features.T
    return {"loss": loss, "ifd": unconditional - loss, "length": length}


def with_features(
    embeddings: EmbeddingMatrix, features: FloatMatrix, names: Sequence[str], scale: float
) -> EmbeddingMatrix:
    """The embeddings with a column for each named feature.

    A feature counts by its normal scores, the quantiles of a normal at its ranks, 0 where it is NaN. They have mean 0
    and the root-mean-square ``scale`` · s / √len(names), where s is the root-mean-square distance of the embeddings
    from their mean. So at ``scale=1`` the features together spread as widely as the embedding. A feature that is the
    same everywhere is a column of zeros.

    Args:
        embeddings: ``(n, d)`` unit vectors.
        features: ``(n, 3)``, as `features_by_name` takes them.
        names: Which features.
        scale: How widely they spread together, relative to the embedding.

    Returns:
        ``(n, d + len(names))``.

    Raises:
        InputError: For unknown names, another number of rows, or a negative or non-finite scale.
    """
    names = _checked_names(names)
    _check_scale(scale)
    by_name = features_by_name(features)
    if len(features) != len(embeddings):
        raise InputError(f"features have {len(features)} rows, the embeddings {len(embeddings)}; pass one line per row")
    width = scale * spread(embeddings) / math.sqrt(len(names))
    columns = np.stack([width * _normal_scores(by_name[name]) for name in names], axis=1)
    return np.concatenate([embeddings, columns.astype(np.float32)], axis=1, dtype=np.float32)


def spread(embeddings: EmbeddingMatrix) -> float:
    """The root-mean-square distance of the vectors from their mean.

    Args:
        embeddings: ``(n, d)``.

    Returns:
        The distance; 0 for no vectors.
    """
    if not len(embeddings):
        return 0.0
    mean = embeddings.mean(axis=0, dtype=np.float64)
    chunks = (embeddings[start : start + CHUNK] - mean for start in range(0, len(embeddings), CHUNK))
    return math.sqrt(sum(float(np.sum(chunk**2)) for chunk in chunks) / len(embeddings))


def _normal_scores(values: FloatVector) -> FloatVector:
    """Quantiles of a normal at the ranks, mean 0 and root-mean-square 1, so that no value is an outlier.

    Equal values share the rank in their middle; rows without a finite value are at 0.
    """
    scores = np.zeros(len(values))
    known = np.isfinite(values)
    distinct, places, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    if len(distinct) < 2:
        return scores
    middles = (np.cumsum(counts) - counts / 2) / counts.sum()
    at = np.array([NormalDist().inv_cdf(float(middle)) for middle in middles])[places]
    scores[known] = at - at.mean()
    return np.asarray(scores / np.sqrt(np.mean(scores**2)), dtype=np.float64)


def _checked_names(names: Any) -> tuple[str, ...]:
    if isinstance(names, str | Mapping) or not isinstance(names, Sequence):
        raise InputError(f"features={names!r} is no list of names; pass some of {list(FEATURES)}")
    unknown = [name for name in names if name not in FEATURES]
    if unknown:
        raise InputError(unknown_name("features", unknown[0], FEATURES))
    if not names or len(set(names)) < len(names):
        raise InputError(
            f"features={list(names)} names {'one twice' if names else 'none'}; pass some of {list(FEATURES)}"
        )
    return tuple(names)


def _check_scale(scale: Any) -> None:
    if isinstance(scale, bool) or not isinstance(scale, int | float | np.number) or not 0 <= scale < math.inf:
        raise InputError(f"scale={scale!r} is not a finite number >= 0; pass one, 1 for the spread of the embedding")
