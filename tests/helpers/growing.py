"""A pool that grows: rows of three topics, then those of a fourth, with a utility that knows all of them."""

from functools import cache
from typing import Any

from datasets import Dataset, concatenate_datasets

from shed_hf import CuratedDataset, Named
from tests.helpers.curations import ByTopic, curated_of
from tests.helpers.rows import make_rows

ROWS = make_rows(80)
OLD = Dataset.from_list([row for row in ROWS if row["topic"] != "music"])
NEW = Dataset.from_list([row for row in ROWS if row["topic"] == "music"])
GROWN = concatenate_datasets([OLD, NEW])


def by_topic() -> Named:
    """What a coalition of old and new rows is worth, under one name whatever it has seen."""
    return Named("worth by topic", ByTopic(GROWN))


@cache
def curated_before() -> CuratedDataset:
    """The three topics, each in several clusters, valued; shared, so a test must not measure into it."""
    return curated_of(OLD, 12, estimator="least-squares", clusterer="kmeans", budget=60, utility=by_topic())


def fresh(**changes: Any) -> CuratedDataset:
    """The same with a ledger, utility or sampler of its own, and clusters of the topics."""
    arguments: dict[str, Any] = {"estimator": "least-squares", "utility": by_topic()}
    return curated_of(OLD, 12, **(arguments | changes))
