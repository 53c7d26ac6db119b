"""What ranks of a curation send each other: whole results, as they were, and both ranks end with the same."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, InputError, Lexical, Permutation, Plan, RankError, curate, plan
from shed_hf.curation.wire import CODEC
from shed_hf.data.formats import RowFormat
from shed_hf.data.preambles import Preambles
from shed_hf.embedding.encoders import FittedLexical
from shed_hf.game.entry import Entry
from shed_hf.game.measurement import Batch
from shed_hf.results.wire import to_workers
from tests.helpers.curations import ByTopic, curated_of
from tests.helpers.rows import make_rows
from tests.helpers.thread_ranks import ThreadRanks

POOL = Dataset.from_list(make_rows(60))


@pytest.fixture
def ranks(monkeypatch: pytest.MonkeyPatch) -> ThreadRanks:
    """What calls return or raise that are made at once, each by a rank of its own, in threads of this process."""
    return ThreadRanks(monkeypatch, "shed_hf.curation.curate.workers_of_launch")


def assert_equal(one: CuratedDataset, two: CuratedDataset) -> None:
    assert one.dataset.to_list() == two.dataset.to_list()
    assert (one.clusters.to_list(), one.clusters.features) == (two.clusters.to_list(), two.clusters.features)
    assert one.recipe | {"bill": None} == two.recipe | {"bill": None}
    for name in ("values", "stderr", "counts", "replicates", "halves", "per_item"):
        np.testing.assert_array_equal(getattr(one.estimate, name), getattr(two.estimate, name), strict=True)
    for name in ("pool_rows", "digests"):
        np.testing.assert_array_equal(getattr(one.valued, name), getattr(two.valued, name), strict=True)
    np.testing.assert_equal((one.valued.merit, one.valued.taken), (two.valued.merit, two.valued.taken))
    assert one.merits.to_list() == two.merits.to_list()
    assert one.ledger.header == two.ledger.header
    assert [(e.key, e.blocks, e.outcome.tolist()) for e in one.ledger] == [
        (e.key, e.blocks, e.outcome.tolist()) for e in two.ledger
    ]
    new = Dataset.from_list(make_rows(9, seed=5))[:]
    assert one.scorer(new) == two.scorer(new)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"estimator": Permutation(6)},
        {"proxy_sets": 2, "proxies_per_cluster": 2},
        {"merit": np.arange(60.0)},
        {"sampler": "dataset-quantization"},
        {"eval_dataset": Dataset.from_list(make_rows(2, seed=99)), "constraints": {"topic": 0.5}},
        {"sampler": "row-values"},
    ],
    ids=["exact", "orders", "two sets of proxies", "ranked rows", "single rows", "groups of items", "values of rows"],
)
def test_two_ranks_end_with_the_result_of_one(changes: dict[str, Any], ranks: Callable[..., list[Any]]) -> None:
    alone = curated_of(POOL, 12, **changes)
    found = ranks(*[lambda: curated_of(POOL, 12, **changes)] * 2)
    for rank in found:
        assert isinstance(rank, CuratedDataset), rank
        assert_equal(rank, alone)


def test_two_ranks_end_with_one_plan(ranks: Callable[..., list[Any]]) -> None:
    one, two = ranks(*[lambda: plan(POOL, 12, utility=ByTopic(POOL), embedder="lexical", clusterer="topic")] * 2)
    assert isinstance(one, Plan)
    assert one == two


class Elsewhere(ByTopic):
    """One object on all ranks, so alike by name and state, that measures something else on one of them."""

    def __init__(self, dataset: Dataset, rank: int, factor: float, by: float) -> None:
        super().__init__(dataset)
        self.rank, self.factor, self.by = rank, factor, by

    def __call__(self, row_sets: Sequence[np.ndarray]) -> np.ndarray:
        outcomes = super().__call__(row_sets)
        here = threading.current_thread().name == f"rank {self.rank}"
        return self.factor * outcomes + self.by if here else outcomes


@pytest.mark.parametrize("call", [curate, plan])
@pytest.mark.parametrize("by", [2.0**-60, 1.0])
def test_a_callable_that_differs_on_one_rank_is_refused_on_all(
    call: Callable[..., Any], by: float, ranks: Callable[..., list[Any]]
) -> None:
    utility = Elsewhere(POOL, rank=2, factor=1.0, by=by)
    found = ranks(*[lambda: call(POOL, 12, utility=utility, embedder=Lexical(8), clusterer="topic")] * 3)
    assert [type(error) for error in found] == [InputError] * 3
    words = f"rank 2 measures something else than rank 0 (v(∅) on item 0: {by:.17g} there, 0 on rank 0)"
    assert [words in str(error) for error in found] == [True] * 3


def test_a_callable_that_is_worth_the_same_of_nothing_is_refused_too(ranks: Callable[..., list[Any]]) -> None:
    utility = Elsewhere(POOL, rank=1, factor=-1.0, by=0.0)
    found = ranks(*[lambda: curate(POOL, 12, utility=utility, embedder=Lexical(8), clusterer="topic")] * 2)
    assert [type(error) for error in found] == [InputError] * 2
    assert "the outcome of the first player on item 0" in str(found[1])


def test_a_callable_of_another_state_is_refused_too(ranks: Callable[..., list[Any]]) -> None:
    given = {"embedder": Lexical(8), "clusterer": "topic"}
    found = ranks(
        lambda: curate(POOL, 12, utility=Elsewhere(POOL, 9, 1.0, 0.5), **given),
        lambda: curate(POOL, 12, utility=Elsewhere(POOL, 9, 1.0, 0.25), **given),
    )
    assert [type(error) for error in found] == [InputError] * 2
    assert all("rank 1 would measure another game than rank 0" in str(error) for error in found)


def test_plan_on_one_rank_and_curate_on_another_is_an_error(ranks: Callable[..., list[Any]]) -> None:
    given = {"utility": ByTopic(POOL), "embedder": "lexical", "clusterer": "topic"}
    found = ranks(lambda: plan(POOL, 12, **given), lambda: curate(POOL, 12, **given))
    assert isinstance(found[0], Plan)
    assert isinstance(found[1], RankError)
    assert (
        "rank 0 sent a Plan at its end, where a CurationResult was due; call curate and plan in the same order"
        in str(found[1])
    )


def test_a_result_arrives_whole() -> None:
    curated = curated_of(POOL, 12, estimator=Permutation(4))
    sent = to_workers(curated)
    arrived = CODEC.decode(CODEC.encode(sent))
    assert arrived.recipe == sent.recipe
    assert isinstance(arrived.valued.encoder, FittedLexical)
    assert arrived.valued.encoder.vocabulary == sent.valued.encoder.vocabulary
    assert arrived.valued.source is None
    assert (arrived.valued.terms, arrived.valued.excerpts) == (sent.valued.terms, sent.valued.excerpts)
    assert arrived.valued.format == sent.valued.format
    np.testing.assert_array_equal(arrived.valued.encoder.components, sent.valued.encoder.components, strict=True)
    np.testing.assert_array_equal(
        arrived.valued.embedding_map.coordinates, sent.valued.embedding_map.coordinates, strict=True
    )
    assert [entry.record() for entry in arrived.valued.ledger] == [entry.record() for entry in sent.valued.ledger]


def test_what_rows_share_arrives_whole() -> None:
    found = Preambles(frozenset({"0a", "1b"}), frozenset({(3, "2c"), (700, "3d")}))
    sent = RowFormat("text", {"text": "body"}, found)
    assert CODEC.decode(CODEC.encode(sent)) == sent


def test_tasks_and_entries_arrive_whole() -> None:
    batch = Batch([[np.array([3, 1]), np.array([7])], [np.empty(0, dtype=np.int64)]], [["a", "b"], ["c"]])
    arrived = CODEC.decode(CODEC.encode(batch))
    assert [[block.tolist() for block in walk] for walk in arrived.walks] == [[[3, 1], [7]], [[]]]
    assert arrived.keys == batch.keys
    entry = Entry("k", ((3, 1), (7,)), np.array([0.1, 1e-320]), 1.25, {"accuracy": 0.1})
    assert CODEC.decode(CODEC.encode([entry]))[0].record() == entry.record()
