"""What a cluster is about, in a few words: its top terms by class-based TF-IDF, and the beginning of a row."""

from collections.abc import Sequence

import numpy as np

from shed_hf.data.pool import Pool
from shed_hf.types import FloatVector, IntVector
from shed_hf.utils.text import excerpt

TERMS = 6
LOOKED_AT = 32
_WORD = r"(?u)\b[^\W\d_]\w{2,}\b"


def describe_clusters(
    pool: Pool, nearest: Sequence[IntVector], proxies: Sequence[IntVector]
) -> tuple[list[list[str]], list[str | None]]:
    """Every cluster's top terms, and an excerpt of its first proxy.

    Args:
        pool: The rows' texts.
        nearest: For each cluster its row ids, nearest to the centroid first; the first 32 are read.
        proxies: For each cluster the row ids of its player; may be empty.

    Returns:
        For each cluster at most six terms, and an excerpt or, without proxies, None.
    """
    looked_at = [rows[:LOOKED_AT] for rows in nearest]
    clusters = np.repeat(np.arange(len(nearest)), [len(rows) for rows in looked_at])
    terms = top_terms(pool.texts(np.concatenate(looked_at)), clusters, len(nearest))
    playing = [rows[0] for rows in proxies if len(rows)]
    texts = iter(pool.texts(np.array(playing, dtype=np.int64)))
    return terms, [excerpt(next(texts)) if len(rows) else None for rows in proxies]


def top_terms(texts: Sequence[str], clusters: IntVector, n_clusters: int) -> list[list[str]]:
    """The words that distinguish each cluster from the others, by class-based TF-IDF.

    A word counts once per text. A word that occurs f times in a cluster and F times in all weighs f·log(1 + m/F), with
    m the mean number of words in a cluster (Grootendorst 2022, arXiv 2203.05794, eq. 2).

    Args:
        texts: The texts of all clusters.
        clusters: ``(len(texts),)``, the cluster of each text, from 0.
        n_clusters: How many clusters there are.

    Returns:
        For each cluster at most six words, of most weight first; none where its texts hold no words.
    """
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(stop_words="english", binary=True, token_pattern=_WORD)
    try:
        words = counter.fit_transform(texts)
    except ValueError:  # not one word in all the texts
        return [[] for _ in range(n_clusters)]
    vocabulary = counter.get_feature_names_out()
    membership = csr_matrix((np.ones(len(texts)), (clusters, np.arange(len(texts)))), (n_clusters, len(texts)))
    of_clusters = csr_matrix(membership @ words)
    rarity = np.log1p(of_clusters.sum() / n_clusters / np.asarray(of_clusters.sum(axis=0)).ravel())
    lines = [of_clusters[cluster] for cluster in range(n_clusters)]
    return [[str(vocabulary[w]) for w in _best(line.indices, line.data * rarity[line.indices])] for line in lines]


def _best(words: IntVector, weights: FloatVector) -> IntVector:
    """The words of most weight; ties in alphabetical order, which is the order of their indices."""
    return words[np.lexsort((words, -weights))][:TERMS]
