"""A scorer for tests."""

import numpy as np
from datasets import Dataset

from shed_hf.cluster_scorer import ClusterScorer
from shed_hf.data.formats import detect
from shed_hf.embedding.embed import unit
from shed_hf.embedding.encoders import Lexical


def topic_scorer(rows: Dataset) -> ClusterScorer:
    """A scorer over the four topics, with words as the encoder."""
    texts = [f"{row['instruction']}\n{row['output']}" for row in rows]
    encoder = Lexical(16).fit(texts)
    vectors, topics = unit(encoder.encode(texts), np.arange(len(rows))), np.arange(len(rows)) % 4
    centroids = np.stack([vectors[topics == topic].mean(axis=0) for topic in range(4)])
    return ClusterScorer(centroids, np.arange(4.0), np.full(4, 0.5), encoder, detect(rows.column_names))
