"""Players: several disjoint sets of proxies for a cluster, the way back, and what they say of mixed clusters."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf import CuratedDataset, InputError, curate
from shed_hf.game.players import Players, send_players
from shed_hf.results.summary import summary
from shed_hf.results.tables import MIXED, in_words
from tests.helpers.rows import make_rows

NAN = float("nan")
quick = settings(max_examples=60, deadline=None)
pytestmark = pytest.mark.filterwarnings("ignore:the values cannot be told from noise")


class Odd:
    """A utility that cannot train on even rows."""

    def trainable(self, rows: np.ndarray) -> np.ndarray:
        return rows % 2 == 1


class All:
    """A utility that can train on everything."""

    def trainable(self, rows: np.ndarray) -> np.ndarray:
        return np.ones(len(rows), dtype=np.bool_)


def clusters(*sizes: int) -> list[np.ndarray]:
    """Row ids in a random order, dealt to clusters of these sizes."""
    rows = np.random.default_rng(0).permutation(sum(sizes))
    return np.split(rows, np.cumsum(sizes)[:-1])


def players_of(*numbers: int, sets: int) -> Players:
    """Clusters with that many proxies each."""
    return Players(clusters(*numbers), sets)


# ---- the sets


@quick
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    count=st.integers(1, 4) | st.none(),
    sets=st.integers(1, 4),
)
def test_sets_are_disjoint_and_together_the_nearest_proxies(sizes: list[int], count: int | None, sets: int) -> None:
    nearest = clusters(*sizes)
    players = send_players(nearest, count, sets, All())  # type: ignore[arg-type]
    assert len(np.unique(np.concatenate(players.rows))) == sum(map(len, players.rows))
    for number, members in enumerate(nearest):
        of_cluster = [rows for rows, cluster in zip(players.rows, players.clusters, strict=True) if cluster == number]
        wanted = members if count is None else members[: count * sets]
        assert set(np.concatenate(of_cluster).tolist()) == set(wanted.tolist())
        assert len(of_cluster) == min(sets, len(wanted))
        sizes_of = [len(rows) for rows in of_cluster]
        assert max(sizes_of) - min(sizes_of) <= 1
        if count is not None:
            assert max(sizes_of) <= count
        assert [rows[0] for rows in of_cluster] == members[: len(of_cluster)].tolist()  # each has one of the nearest
    assert players.clusters == sorted(players.clusters)


def test_proxies_are_dealt_in_turn() -> None:
    players = send_players([np.array([9, 4, 7, 1, 3, 8]), np.array([5, 6])], 2, 2, All())  # type: ignore[arg-type]
    assert [rows.tolist() for rows in players.rows] == [[9, 7], [4, 1], [5], [6]]
    assert (players.clusters, [rows.tolist() for rows in players.proxies]) == ([0, 0, 1, 1], [[9, 4, 7, 1], [5, 6]])


def test_rows_that_cannot_be_trained_on_are_passed_over_and_clusters_of_them_send_nobody() -> None:
    players = send_players([np.array([2, 3, 4, 5, 7]), np.array([0, 6]), np.array([9])], 1, 2, Odd())  # type: ignore[arg-type]
    assert [rows.tolist() for rows in players.rows] == [[3], [5], [9]]
    assert players.clusters == [0, 0, 2]
    with pytest.raises(InputError, match=r"none of the 1 clusters has a row with a token to learn; .*max_length"):
        send_players([np.array([0, 2])], 1, 2, Odd())  # type: ignore[arg-type]


@pytest.mark.parametrize("sets", [0, -1, 1.5, "2", True, None])
def test_a_bad_number_of_sets_is_refused(sets: Any) -> None:
    with pytest.raises(InputError, match=r"proxy_sets=.* is not a whole number >= 1; pass one$"):
        send_players(clusters(3), 1, sets, All())  # type: ignore[arg-type]


# ---- the way back


def test_a_clusters_value_and_error_are_those_of_the_mean_of_its_players() -> None:
    players = players_of(2, 0, 1, 5, sets=2)
    values, errors = np.array([1.0, 3.0, -4.0, 0.5, 0.7]), np.array([0.3, 0.4, 0.2, 0.06, 0.08])
    np.testing.assert_allclose(players.means(values), [2.0, NAN, -4.0, 0.6])
    np.testing.assert_allclose(players.stderr(errors), [0.25, NAN, 0.2, 0.05])
    unknown = players.stderr(np.array([NAN, 0.4, 0.2, 0.06, 0.08]))
    np.testing.assert_allclose(unknown, [NAN, NAN, 0.2, 0.05])


def test_disagreement_by_hand() -> None:
    players = players_of(2, 0, 1, 3, sets=3)
    values = np.array([1.0, 3.0, 7.0, 1.0, 2.0, 6.0])
    errors = np.array([0.6, 0.8, 1.0, 2.0, 2.0, 2.0])
    two = 1 / np.sqrt(0.5 / 2)  # both are 1 from their mean; errors of variance 0.5 make that √(0.5/2) of the two
    three = np.sqrt((4 + 1 + 9) / 3 / (4 * 2 / 3))
    np.testing.assert_allclose(players.disagreement(values, errors), [two, NAN, NAN, three])


def test_sets_of_one_kind_disagree_about_as_much_as_their_errors_say() -> None:
    rng, players = np.random.default_rng(0), players_of(*[4] * 3000, sets=4)
    errors = np.full(12000, 0.3)
    of_one_kind = players.disagreement(np.repeat(rng.normal(size=3000), 4) + rng.normal(scale=0.3, size=12000), errors)
    assert np.sqrt((of_one_kind**2).mean()) == pytest.approx(1, abs=0.02)
    assert (of_one_kind > MIXED).mean() < 0.01


def test_without_errors_or_with_none_there_is_no_disagreement_to_speak_of() -> None:
    players = players_of(2, 2, sets=2)
    found = players.disagreement(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 0.0, NAN, 0.1]))
    assert np.isnan(found).all()


def test_in_words_only_a_mixed_cluster_is_called_so() -> None:
    assert in_words(0.5, 0.1, 1, 3, MIXED + 0.01) == "rank 1 of 3: adds 0.5000 ± 0.1000; mixed: its samples disagree"
    for alike in (MIXED, 0.3, NAN):
        assert in_words(0.5, 0.1, 1, 3, alike) == "rank 1 of 3: adds 0.5000 ± 0.1000"


# ---- from end to end

POOL = Dataset.from_list(make_rows(96))
TOPICS = POOL["topic"][:]
GOOD = {row for row in range(96) if TOPICS[row] == "cooking"} | {
    row for row in range(96) if TOPICS[row] == "animals" and row % 8 < 4
}
"""All of cooking and half of animals are worth something, the rest nothing."""


def worth(row_sets: Sequence[np.ndarray]) -> np.ndarray:
    """How many good rows there are, on 10 items, with noise that depends on the rows alone."""
    noise = [
        np.random.default_rng(np.sort(rows)).normal(scale=0.2, size=10) if len(rows) else np.zeros(10)
        for rows in row_sets
    ]
    return np.array([sum(int(row) in GOOD for row in rows) + noise[n] for n, rows in enumerate(row_sets)])


def mixed(**changes: Any) -> CuratedDataset:
    """Proxies are dealt so that one set of animals is good and the other bad: by the row id, which is their place."""
    matrix = np.zeros((96, 5))
    for row, topic in enumerate(TOPICS):
        matrix[row, sorted(set(TOPICS)).index(topic)] = 1
    arguments: dict[str, Any] = {"embedder": matrix, "clusterer": "topic", "utility": worth, "seed": 1}
    return curate(POOL, 12, **(arguments | {"proxies_per_cluster": 3, "proxy_sets": 2} | changes))


def test_a_mixed_cluster_is_told_from_the_others() -> None:
    curated = mixed()
    animals, cooking = curated.clusters[0], curated.clusters[1]
    assert curated.valued.players.clusters[:2] == [0, 0]
    good, bad = ([int(row) in GOOD for row in rows] for rows in curated.valued.players.rows[:2])
    assert all(good) and not any(bad)
    assert animals["disagreement"] > MIXED
    assert animals["in_words"].endswith("; mixed: its samples disagree")
    assert cooking["in_words"].startswith("rank 1 of 4: adds ")
    for line in curated.clusters.select([1, 2, 3]):
        assert line["disagreement"] < MIXED
        assert "mixed" not in line["in_words"]
    assert "1 cluster mixed (its samples differ in worth): more clusters" in summary(curated)
    np.testing.assert_allclose(curated.clusters["disagreement"][:], curated.valued.disagreement)


def test_the_values_of_clusters_are_the_means_over_their_sets_and_survive_the_disk(tmp_path: Path) -> None:
    curated = mixed(estimator="exact")
    assert curated.estimate.values.shape == (8,)
    np.testing.assert_allclose(curated.valued.values, [1.5, 3.0, 0.0, 0.0], atol=0.1)
    assert curated.recipe["proxy_sets"] == 2
    curated.save_to_disk(tmp_path / "saved", pages=False)
    loaded = CuratedDataset.load_from_disk(tmp_path / "saved", source=POOL)
    assert loaded.clusters.to_list() == curated.clusters.to_list()
    np.testing.assert_array_equal(loaded.valued.disagreement, curated.valued.disagreement)
    assert [rows.tolist() for rows in loaded.valued.players.rows] == [r.tolist() for r in curated.valued.players.rows]
    assert loaded.reestimate("least-squares").clusters["disagreement"][0] > MIXED


def test_one_set_says_nothing_of_mixtures() -> None:
    curated = mixed(proxy_sets=1)
    assert curated.clusters["disagreement"][:] == [None] * 4
    assert not any("mixed" in line for line in [*curated.clusters["in_words"], summary(curated)])
