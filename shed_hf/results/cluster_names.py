"""What clusters are called where people read of them: by their top terms, with the number behind."""

from collections.abc import Sequence

from shed_hf.clustering.clusters import NOISE
from shed_hf.clustering.topic_terms import NAMED
from shed_hf.errors.safe_text import one_line


def cluster_name(number: int, terms: Sequence[str]) -> str:
    """A cluster's name, such as ``pizza, salad, cheese (cluster 4)``.

    Args:
        number: The number of the cluster; -1 for noise.
        terms: Its top terms, the first before the others; words of rows, on one line here and not yet escaped.

    Returns:
        The name: of a cluster without terms the number alone.
    """
    if number == NOISE:
        return "rows in no cluster"
    named = ", ".join(one_line(term, 30) for term in terms[:NAMED])
    return f"{named} (cluster {number})" if named else f"cluster {number}"
