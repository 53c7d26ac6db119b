"""What a cluster is about, in a few words: its top terms by class-based TF-IDF, and the beginning of a row."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from shed_hf.data.pool import Pool
from shed_hf.types import BoolVector, FloatVector, IntVector
from shed_hf.utils.text import excerpt

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

TERMS = 6
NAMED = 3
"""How many of a cluster's terms, the first, make its name."""
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
    texts = map(pool.format.preambles.shown, pool.examples(playing))
    return terms, [excerpt(next(texts)) if len(rows) else None for rows in proxies]


def top_terms(texts: Sequence[str], clusters: IntVector, n_clusters: int) -> list[list[str]]:
    """The words that distinguish each cluster from the others, by class-based TF-IDF.

    A word counts once per text. A word that occurs f times in a cluster and F times in all weighs f·log(1 + m/F), with
    m the mean number of words in a cluster (Grootendorst 2022, arXiv 2203.05794, eq. 2). Words that most texts of most
    clusters share, such as those of a template, come after all others. Clusters whose first three words are the same
    ones would have one name: the third is then the word by whose share of texts the cluster exceeds each of the others
    most, where there is one.

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
    shared = _shared(of_clusters, np.bincount(clusters, minlength=n_clusters))
    lines = [of_clusters[cluster] for cluster in range(n_clusters)]
    ranked = [_ranked(line.indices, line.data * rarity[line.indices], shared[line.indices]) for line in lines]
    shares = of_clusters.multiply(1 / np.maximum(np.bincount(clusters, minlength=n_clusters), 1)[:, None]).tocsr()
    return [[str(vocabulary[word]) for word in words[:TERMS]] for words in _set_apart(ranked, shares, shared)]


def _shared(counts: "csr_matrix", n_texts: IntVector) -> BoolVector:
    """Which words more than half of the texts have, in more than half of the clusters; of a single cluster none."""
    common = counts.data > np.repeat(n_texts, np.diff(counts.indptr)) / 2
    n_clusters = np.bincount(counts.indices[common], minlength=counts.shape[1])
    return np.asarray(n_clusters > max(np.count_nonzero(n_texts) / 2, 1), dtype=np.bool_)


def _ranked(words: IntVector, weights: FloatVector, shared: BoolVector) -> list[int]:
    """The words of most weight, shared ones last; ties in alphabetical order, which is the order of their indices."""
    return list(words[np.lexsort((words, -weights, shared))].tolist())


def _set_apart(ranked: Sequence[list[int]], shares: "csr_matrix", shared: BoolVector) -> list[list[int]]:
    """The words of each cluster, with another as the third where clusters have the same first three."""
    named: dict[frozenset[int], list[int]] = {}
    for cluster, words in enumerate(ranked):
        named.setdefault(frozenset(words[:NAMED]), []).append(cluster)
    found, names = list(ranked), set(named)
    for group in named.values():
        for cluster, leads in zip(group, _leads(shares[group]), strict=True) if len(group) > 1 else ():
            words = ranked[cluster]
            own = [word for word in words[NAMED:] if word in leads and not shared[word]]
            first = words[: NAMED - 1]
            free = [word for word in own if frozenset([*first, word]) not in names]
            third = max(free, key=leads.__getitem__, default=None)
            if third is not None:
                found[cluster] = [*first, third, *(word for word in words[NAMED - 1 :] if word != third)]
                names.add(frozenset([*first, third]))
    return found


def _leads(shares: "csr_matrix") -> list[dict[int, float]]:
    """For each cluster the words that more of its texts have than of any other's, and by what share more."""
    table = shares.tocoo()
    order = np.lexsort((-table.data, table.col))
    clusters, words, most = table.row[order], table.col[order], table.data[order]
    is_first = np.diff(words, prepend=-1) != 0
    next_most = np.where(np.append(is_first[1:], True), 0.0, np.append(most[1:], 0.0))
    leads: list[dict[int, float]] = [{} for _ in range(table.shape[0])]
    for at in np.flatnonzero(is_first & (most > next_most)):
        leads[clusters[at]][int(words[at])] = float(most[at] - next_most[at])
    return leads
