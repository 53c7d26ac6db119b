"""The ledger as a table, and back; and the coalitions behind its outcomes."""

import json
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, List, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf.estimators import Exact, Permutation
from shed_hf.game.coalitions import coalition_of, coalitions_of
from shed_hf.game.entry import Entry
from shed_hf.game.game import Game
from shed_hf.game.ledger import Ledger
from shed_hf.game.players import Players
from shed_hf.storage.outcomes_table import ledger_from, utilities_table

PLAYERS = Players([np.array(rows, dtype=np.int64) for rows in ([5, 2], [], [7], [9, 1, 4])])
"""Players 0, 1 and 2 are clusters 0, 2 and 3."""

quick = settings(max_examples=40, deadline=None)
row_ids = st.integers(0, 2**62)
blocks = st.lists(st.lists(row_ids, max_size=4).map(tuple), min_size=1, max_size=4).map(tuple)
finite = st.floats(-1e300, 1e300)


def entries(n_items: int) -> st.SearchStrategy[Entry]:
    return st.builds(
        Entry,
        key=st.uuids().map(str),
        blocks=blocks,
        outcome=st.lists(finite, min_size=n_items, max_size=n_items).map(np.array),
        seconds=st.floats(0, 1e6).map(lambda seconds: round(seconds, 4)),
        extra_metrics=st.dictionaries(st.text(max_size=5), finite, max_size=3),
    )


lists_of_entries = st.integers(1, 5).flatmap(lambda n_items: st.lists(entries(n_items), max_size=6))


def entry(*of_blocks: tuple[int, ...], outcome: Any = (0.5,), key: str = "", **more: Any) -> Entry:
    return Entry(key or repr(of_blocks), of_blocks, np.array(outcome, dtype=np.float64), 0.0, more)


def ledger_of(*found: Entry, **header: Any) -> Ledger:
    ledger = Ledger(header=header)
    for one in found:
        ledger.put(one)
    return ledger


def through_parquet(table: Dataset, folder: Any) -> Dataset:
    table.to_parquet(folder / "table.parquet")
    return Dataset.from_parquet(str(folder / "table.parquet"))


@quick
@given(found=lists_of_entries, header=st.dictionaries(st.text(max_size=5), finite | st.text(), max_size=3))
def test_a_ledger_survives_the_table_bit_by_bit(found: list[Entry], header: dict[str, Any]) -> None:
    ledger = ledger_of(*found, **header)
    back = ledger_from(utilities_table(ledger, PLAYERS), ledger.header)
    assert [one.record() for one in back] == [one.record() for one in ledger]
    assert all(one.outcome.tobytes() == ledger[one.key].tobytes() for one in back)
    assert back.header == ledger.header


def test_a_table_from_parquet_is_the_ledger_too(tmp_path: Any) -> None:
    extremes = [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3]
    ledger = ledger_of(
        entry((), outcome=extremes),
        entry((5, 2), (7,), (9, 4, 1), outcome=extremes, accuracy=0.1 + 0.2, ünïcode=-0.0),
        entry((2,), outcome=extremes),
        order=3,
        model={"name": "x"},
    )
    table = through_parquet(utilities_table(ledger, PLAYERS), tmp_path)
    back = ledger_from(table, ledger.header)
    assert [one.record() for one in back] == [one.record() for one in ledger]
    assert [one.blocks for one in back] == [((),), ((5, 2), (7,), (9, 4, 1)), ((2,),)]
    assert back["((5, 2), (7,), (9, 4, 1))"].tobytes() == np.array(extremes).tobytes()
    assert back.entry("((5, 2), (7,), (9, 4, 1))").extra_metrics == {"accuracy": 0.1 + 0.2, "ünïcode": -0.0}
    assert table["players"][:] == [[], [0, 2, 3], None]
    assert (back.path, back.header) == (None, ledger.header)


def test_the_table_says_who_took_part_in_clusters(tmp_path: Any) -> None:
    ledger = ledger_of(
        entry(()),
        entry((2, 5)),
        entry((7,)),
        entry((4, 7, 1, 9)),
        entry((7,), (5, 2)),  # after a second block, both have been trained on
        entry((5,), (2,)),
        entry((5,)),  # half of cluster 0
        entry((7, 100)),  # a row that nobody brought
        entry((9, 1, 4, 5, 2, 7)),
    )
    expected = [[], [0], [2], [2, 3], [0, 2], [0], None, None, [0, 2, 3]]
    table = utilities_table(ledger, PLAYERS)
    assert table["players"][:] == expected
    assert through_parquet(table, tmp_path)["players"][:] == expected
    assert table["blocks"][4] == [[7], [5, 2]]


def test_the_columns_have_these_types_and_means() -> None:
    table = utilities_table(ledger_of(entry((7,), outcome=[1.0, 2.0, 6.0], accuracy=0.5)), PLAYERS)
    assert table.column_names == ["key", "players", "blocks", "mean", "outcome", "seconds", "beside"]
    assert (table[0]["mean"], table[0]["outcome"]) == (3.0, [1.0, 2.0, 6.0])
    assert json.loads(table[0]["beside"]) == {"accuracy": 0.5}
    assert table.features["players"] == List(Value("int64"))
    assert table.features["blocks"] == List(List(Value("int64")))


def test_an_empty_ledger_is_an_empty_table_of_the_same_types() -> None:
    empty, full = utilities_table(Ledger(), PLAYERS), utilities_table(ledger_of(entry((7,))), PLAYERS)
    assert (len(empty), empty.features) == (0, full.features)
    assert len(ledger_from(empty, {})) == 0


@pytest.mark.parametrize("outcome", [[float("nan")], [1.0, float("inf")], [1.0, None], [], None])
def test_an_outcome_that_is_not_a_finite_number_per_item_is_refused(outcome: Any) -> None:
    line = {"key": "k", "blocks": [[7]], "outcome": outcome, "seconds": 0.0, "beside": "{}"}
    with pytest.raises(ValueError, match="the outcome k of the utilities cannot be read"):
        ledger_from(Dataset.from_list([line]), {})


# ---- coalitions


def game_of(n_players: int, rows_each: int) -> Game:
    players = [np.arange(rows_each) + 10 * player for player in range(n_players)]
    return Game(players, lambda row_sets: np.array([[rows.sum(), 1.0] for rows in row_sets], dtype=np.float64))


def test_every_coalition_that_was_measured_is_found_with_its_outcome() -> None:
    game = game_of(4, 3)
    Exact()(game, np.random.default_rng(0))
    coalitions, outcomes = coalitions_of(game.ledger, game.players)
    assert (coalitions.shape, coalitions.dtype, outcomes.shape) == ((18, 4), np.bool_, (18, 2))
    assert len(np.unique(coalitions, axis=0)) == 16
    np.testing.assert_array_equal(outcomes[:, 0], coalitions @ [rows.sum() for rows in game.players])
    np.testing.assert_array_equal(game.outcomes(coalitions), outcomes)  # v(N) three times, in other orders


@pytest.mark.parametrize("block_size", [1, 2, 5])
def test_outcomes_along_a_continued_walk_are_left_out(block_size: int) -> None:
    game = game_of(5, 2)
    Permutation(4, block_size, continuing=True)(game, np.random.default_rng(0))
    coalitions, _ = coalitions_of(game.ledger, game.players)
    sizes = set(coalitions.sum(axis=1).tolist())
    assert sizes == {0, block_size, 5}  # v(∅), the first block of each order, v(N)
    assert len(coalitions) == sum(len(one.blocks) == 1 for one in game.ledger)


def test_rows_that_are_not_whole_players_are_left_out() -> None:
    ledger = ledger_of(entry((5,)), entry((7, 100)), entry((9, 1)), entry((5, 2), outcome=[0.25]))
    coalitions, outcomes = coalitions_of(ledger, PLAYERS.rows)
    assert (coalitions.tolist(), outcomes.tolist()) == ([[True, False, False]], [[0.25]])


@pytest.mark.parametrize("ledger", [Ledger(), ledger_of(entry((100,))), ledger_of(entry((7,), (5, 2)))])
def test_a_ledger_without_such_outcomes_gives_none(ledger: Ledger) -> None:
    coalitions, outcomes = coalitions_of(ledger, PLAYERS.rows)
    assert (coalitions.shape, coalitions.dtype, len(outcomes)) == ((0, 3), np.bool_, 0)


@quick
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=6), seed=st.integers(0, 2**32 - 1))
def test_a_coalition_is_told_from_its_rows_in_any_order(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    players = np.split(rng.permutation(100)[: sum(sizes)], np.cumsum(sizes)[:-1])
    inside = rng.random(len(sizes)) < 0.5
    rows = rng.permutation(np.concatenate([np.empty(0, dtype=np.int64), *(players[i] for i in np.flatnonzero(inside))]))
    found = coalition_of(players)(entry(tuple(rows.tolist())))
    assert found is not None
    assert found.tolist() == inside.tolist()
    broken = coalition_of(players)(entry(tuple(rows.tolist()[1:])))
    whole = len(rows) == 0 or sizes[next(i for i, of in enumerate(players) if rows[0] in of)] == 1
    assert (broken is not None) == whole
