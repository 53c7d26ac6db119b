"""The rows that a pool grows by: read as the pool was, known by content, and free of what was evaluated on."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.clustering.clusters import Clustering
from shed_hf.data.content_arrays import content_numbers
from shed_hf.data.evaluation_items import EvaluationItems
from shed_hf.data.loading import load_source
from shed_hf.data.pool import Pool, read_pool
from shed_hf.embedding.decontamination import NEAR_REPEAT, Candidates, decontaminate
from shed_hf.embedding.embed import encode_rows, encode_texts
from shed_hf.embedding.encoders import Encoder, FittedLexical, Lexical
from shed_hf.errors import InputError
from shed_hf.game.utility import UtilityFactory
from shed_hf.results.curation import Curation
from shed_hf.results.history import KNOWN, REPEATED
from shed_hf.results.source_rows import places_of
from shed_hf.results.tables import COLUMNS
from shed_hf.types import EmbeddingMatrix, IntVector
from shed_hf.utils.console import plural
from shed_hf.verification.tuners import screen_rows

if TYPE_CHECKING:
    from datasets import Dataset

BLOCK = 1024


@dataclass(frozen=True, eq=False)
class NewRows:
    """Rows that a pool grows by, numbered from 0.

    Attributes:
        pool: All of them, read; those that take no part are marked as invalid.
        n_known: How many the pool has already, by content.
        n_repeated: How many repeat an earlier one of these, by content.
    """

    pool: Pool
    n_known: int
    n_repeated: int = 0


def read_new_rows(curated: Curation, new_rows: Any, tuner: UtilityFactory | None, drop_invalid: bool) -> NewRows:
    """Read new rows in the format of a curation, and leave out those that its pool has, and all but one of each.

    Args:
        curated: The result, with its source.
        new_rows: The rows, as `curate` takes a dataset.
        tuner: What binds the utility, which may refuse rows.
        drop_invalid: Whether rows that can't be read are left out.

    Returns:
        The rows.

    Raises:
        InputError: For rows of another format or with other columns, rows that can't be read, and where none is new.
    """
    dataset = _like_source(curated, load_source(new_rows, name="new_rows"))
    pool = read_pool(dataset, curated.valued.format, drop_invalid, "new_rows")
    known = (places_of(pool.digests, curated.valued.digests) >= 0) & ~pool.invalid
    if (known | pool.invalid).all():
        raise InputError(
            f"none of the {plural(len(pool), 'row')} of new_rows is new: {known.sum()} in the pool already, "
            f"{pool.invalid.sum()} can't be read; pass rows that the pool does not have"
        )
    first = np.zeros(len(pool), dtype=np.bool_)
    first[np.unique(content_numbers(pool.digests), return_index=True)[1]] = True
    repeated = ~first & ~known & ~pool.invalid
    pool = replace(pool, invalid=pool.invalid | known | repeated)
    return NewRows(screen_rows(tuner, pool, drop_invalid, "new_rows"), int(known.sum()), int(repeated.sum()))


def without_items(new: NewRows, items: EvaluationItems | None, encoder: Encoder) -> tuple[Candidates, dict[str, int]]:
    """Embed new rows, and leave out those that repeat evaluation items.

    Args:
        new: The rows.
        items: The evaluation items; None where only the utility knows.
        encoder: What embedded the pool.

    Returns:
        The rows that take part, and how many were left out, by reason.

    Raises:
        InputError: Where none is left, or embedding fails.
    """
    apart = None if items is None else replace(items, held_out=np.empty(0, dtype=np.int64))
    found = decontaminate(new.pool, apart, encoder)
    left_out = {why: count for why, count in found.left_out.items() if why != "held out"}
    left_out["invalid"] -= new.n_known + new.n_repeated
    repeated = {REPEATED: new.n_repeated} if new.n_repeated else {}
    return found, {KNOWN: new.n_known, **repeated, **left_out}


def with_refitted_encoder(curated: Curation, pool: Pool, new_rows: IntVector) -> Curation:
    """A result whose encoder knows the words of new rows too.

    `Lexical` knows the words of the rows that it was fitted on. It is fitted on old and new rows together; the clusters
    keep their rows, and their centroids are taken anew. Other encoders stay as they are.

    Args:
        curated: The result.
        pool: Old and new rows.
        new_rows: ``(k,)`` the ids of the new ones.

    Returns:
        The same result, its encoder and centroids fitted again where they need it.

    Raises:
        InputError: Where nothing can embed rows.
    """
    encoder, valued = encoder_of(curated), curated.valued
    if not isinstance(encoder, FittedLexical):
        return curated
    texts = pool.texts(np.concatenate([valued.pool_rows, new_rows]))
    fitted = Lexical(encoder.dimensions, encoder.seed).fit(texts)
    vectors = encode_texts(fitted, texts[: len(valued.pool_rows)], valued.pool_rows)
    labels = valued.clustering.labels
    centroids = [vectors[labels == n].mean(axis=0, dtype=np.float64) for n in range(valued.clustering.n_clusters)]
    clustering = Clustering(labels, np.stack(centroids).astype(np.float32))
    return replace(curated, valued=replace(valued, encoder=fitted, clustering=clustering))


def near_repeats(embeddings: EmbeddingMatrix, of_pool: EmbeddingMatrix) -> int:
    """How many new rows nearly repeat a row of the pool: changed rows, for the most part.

    Args:
        embeddings: ``(k, d)`` unit vectors of the new rows.
        of_pool: ``(m, d)`` those of rows of the pool.

    Returns:
        The number of rows with a cosine of at least 0.95 to one of them.
    """
    blocks = range(0, len(embeddings), BLOCK)
    return sum(
        int((embeddings[start : start + BLOCK] @ of_pool.T >= NEAR_REPEAT).any(axis=1).sum()) for start in blocks
    )


def embedded(curated: Curation, pool: Pool, rows: IntVector) -> EmbeddingMatrix:
    """The vectors of rows of the pool.

    Args:
        curated: The result, with its encoder.
        pool: The rows, numbered as the source.
        rows: ``(k,)`` row ids.

    Returns:
        ``(k, d)`` unit vectors.

    Raises:
        InputError: Where nothing can embed rows.
    """
    return encode_rows(pool, rows, encoder_of(curated))


def encoder_of(curated: Curation) -> Encoder:
    """What embedded the rows of a curation.

    Args:
        curated: The result.

    Returns:
        The encoder.

    Raises:
        InputError: Where there is none: the embeddings were a matrix, or the encoder was not saved.
    """
    if curated.valued.encoder is None:
        raise InputError(
            "new rows can't be placed among the clusters: the embeddings were given as a matrix, or the encoder was "
            "not saved; curate with an embedder's name to be able to update"
        )
    return curated.valued.encoder


def _like_source(curated: Curation, dataset: "Dataset") -> "Dataset":
    """The new rows with the columns of the source, in their types; columns that nothing reads are left out."""
    source, row_format = curated.valued.source, curated.valued.format
    if source is None:
        raise InputError("the rows are not at hand; pass source= with the dataset that was curated")
    if not len(dataset):
        raise InputError("new_rows has 0 rows; pass the rows to add")
    missing = [column for column in row_format.read_columns if column not in dataset.column_names]
    if missing:
        raise InputError(
            f"new_rows have columns {dataset.column_names}, the curated rows were read from "
            f"{list(row_format.read_columns)} (format {row_format.name!r}); rename columns to those, or bring the rows "
            "into that format"
        )
    names = [name for name in source.column_names if name not in COLUMNS]
    kept = dataset.with_format(None).select_columns([name for name in names if name in dataset.column_names])
    types = {name: source.features[name] for name in kept.column_names}
    try:
        like = kept.cast(type(source.features)(types))
        for name in names:
            if name not in like.column_names:
                like = like.add_column(name, [None] * len(like), feature=source.features[name])
        return like.select_columns(names)
    except (ValueError, TypeError, ArithmeticError, KeyError) as error:  # Arrow's errors are these
        raise InputError(
            f"the columns of new_rows are of other types than those of the curated rows ({error}); bring them into the "
            "same types"
        ) from error
