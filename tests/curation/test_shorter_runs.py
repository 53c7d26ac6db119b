"""Ways to make a long curation shorter: what each would take, and when they are told."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf.clustering.clusterers import KMeans
from shed_hf.curation.arguments import request_from
from shed_hf.curation.prepare import PreparedCuration, prepare
from shed_hf.curation.shorter_runs import LONG, Measuring, advice_on_time, shorter_ways
from shed_hf.data.examples import Example
from shed_hf.distributed.ranks import SingleProcess
from shed_hf.estimators import Exact, LeastSquares
from shed_hf.estimators.budget import Speed
from shed_hf.sampling.retrieval import Retrieval
from shed_hf.types import EmbeddingMatrix, IntVector
from tests.helpers.credited import Crediting
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(120))
ITEMS = Dataset.from_list(make_rows(15, seed=99))
SPEED = Speed(evaluating=1.0, training=20.0)


def prepared_of(**changes: Any) -> PreparedCuration:
    given = {"dataset": POOL, "size": 12, "embedder": "lexical", "utility": Crediting(), "eval_dataset": ITEMS}
    return prepare(request_from({**given, **changes}), SingleProcess())


def measuring(n_players: int = 6, **changes: Any) -> Measuring:
    return replace(Measuring(LeastSquares(60), n_players, None, SPEED), **changes)


def test_the_two_shortest_ways_are_told_with_what_they_would_take() -> None:
    prepared = prepared_of(sampler="qocs", clusterer=KMeans(8), merit=None)
    ways = shorter_ways(prepared, measuring(8))
    cost = LeastSquares(60).cost
    half_training, half = replace(SPEED, training=SPEED.training / 2), cost(8).fine_tunings // 2
    possible = {
        "n_clusters=4": half_training.seconds(cost(4), 4),
        "proxies_per_cluster=2": half_training.seconds(cost(8), 8),
        f"budget={half}": SPEED.seconds(cost(8, half), 8),
    }
    shortest = sorted(possible, key=lambda change: possible[change])[:2]
    assert {way.change: way.seconds for way in ways} == pytest.approx({change: possible[change] for change in shortest})
    assert [way.change for way in ways] == shortest


def test_without_a_game_only_the_choice_by_rows_is_left() -> None:
    prepared = prepared_of(sampler="credit-coverage")
    first = shorter_ways(prepared, measuring())[0]
    assert first.change == "estimator=None"
    rows = sum(len(of_player) for of_player in prepared.players.rows)
    assert first.seconds == pytest.approx(SPEED.training * len(prepared.candidates.rows) / rows)
    assert "clusters get no values" in str(first)
    by_value = shorter_ways(prepared_of(sampler="qocs", merit=None), measuring())
    assert all(way.change != "estimator=None" for way in by_value)


class WithModel(Crediting):
    """The same, with hidden states to compare rows by."""

    def hidden_states(self, rows: IntVector) -> EmbeddingMatrix:
        return np.eye(len(POOL), dtype=np.float32)[rows]

    def hidden_states_of(self, examples: Sequence[Example]) -> EmbeddingMatrix:
        return np.eye(len(POOL), dtype=np.float32)[: len(examples)]


@pytest.mark.parametrize(
    ("sampler", "runs"),
    [
        ("rds", 1 / 3),
        ("credit-coverage", 1.0),
        (Retrieval(vectors="embedder"), 0.0),
    ],
    ids=["hidden states", "credits", "neither"],
)
def test_choosing_alone_takes_a_run_for_credits_and_a_third_for_hidden_states(sampler: Any, runs: float) -> None:
    prepared = prepared_of(sampler=sampler, utility=WithModel())
    slow = replace(SPEED, training=60.0)
    ways = {way.change: way.seconds for way in shorter_ways(prepared, measuring(speed=slow))}
    share = len(prepared.candidates.rows) / sum(len(rows) for rows in prepared.players.rows)
    assert ways["estimator=None"] == pytest.approx(60.0 * share * runs)


def test_it_is_told_above_ten_minutes_and_at_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared, long = prepared_of(sampler="credit-coverage"), measuring()
    assert long.seconds > LONG > measuring(speed=Speed(1.0, 1.0)).seconds
    assert advice_on_time(prepared, long) == []
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    told = advice_on_time(prepared, long)
    assert len(told) == 2
    assert all(line.startswith("shorter: ") and " takes about " in line for line in told)
    assert advice_on_time(prepared, measuring(speed=Speed(1.0, 1.0))) == []


def test_what_saves_little_or_cannot_be_had_is_not_offered() -> None:
    prepared = prepared_of(sampler="qocs", merit=None, proxies_per_cluster=1, clusterer="topic")
    assert shorter_ways(prepared, measuring(4, estimator=Exact())) == []
