"""Groups of players that lie together, and how they fall apart."""

import numpy as np
import pytest

from shed_hf.estimators.player_tree import PlayerTree, n_groups_of

POSITIONS = np.array([[0.0, 0.0], [9.0, 0.0], [0.1, 0.0], [9.1, 0.0], [9.0, 0.2], [0.0, 5.0]])
"""Two near each other, three near each other, and one alone."""


def groups(tree: PlayerTree, nodes: list[int]) -> set[tuple[int, ...]]:
    return {tuple(tree.members[node].tolist()) for node in nodes}


def test_players_that_lie_together_are_a_group() -> None:
    tree = PlayerTree.of(POSITIONS, 6)
    assert groups(tree, tree.top(2)) == {(0, 2, 5), (1, 3, 4)}
    assert groups(tree, tree.top(1)) == {(0, 1, 2, 3, 4, 5)}


def test_the_largest_group_falls_apart_first() -> None:
    rng = np.random.default_rng(0)
    tree = PlayerTree.of(rng.normal(size=(40, 3)), 40)
    for count in (1, 2, 7, 16, 40, 99):
        nodes = tree.top(count)
        assert len(nodes) == min(count, 40)
        assert sorted(np.concatenate([tree.members[node] for node in nodes])) == list(range(40))


def test_a_split_puts_the_two_parts_of_a_group_in_its_place() -> None:
    tree = PlayerTree.of(POSITIONS, 6)
    nodes = tree.top(2)
    first = next(node for node in nodes if 0 in tree.members[node])
    assert groups(tree, tree.split(nodes, [first])) == {(0, 2), (5,), (1, 3, 4)}
    assert groups(tree, tree.split(nodes, nodes)) == {(0, 2), (5,), (1, 3), (4,)}


def test_every_player_knows_its_group() -> None:
    tree = PlayerTree.of(POSITIONS, 6)
    nodes = tree.top(3)
    owners = tree.owners(nodes)
    for place, node in enumerate(nodes):
        assert np.flatnonzero(owners == place).tolist() == tree.members[node].tolist()


def test_players_without_positions_stand_with_their_neighbours_by_number() -> None:
    tree = PlayerTree.of(None, 8)
    assert all(np.ptp(tree.members[node]) == len(tree.members[node]) - 1 for node in range(8, 15))
    assert PlayerTree.of(None, 1).top(4) == [0]


@pytest.mark.parametrize(
    ("coalitions", "n_groups"),
    [
        ([[1, 1, 0, 0], [1, 1, 1, 0]], 3),
        ([[1, 1, 0, 0], [0, 0, 1, 1]], 2),
        ([[1, 0, 0, 1], [1, 1, 0, 0]], 0),
        (np.zeros((0, 4)), 0),
    ],
)
def test_players_who_were_never_apart_are_one_group(coalitions: list[list[int]], n_groups: int) -> None:
    assert n_groups_of(np.array(coalitions, dtype=np.bool_)) == n_groups
