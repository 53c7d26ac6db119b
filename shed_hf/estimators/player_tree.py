"""Players in a tree: which of them stand together in one group, and into which two parts a group falls."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shed_hf.types import CoalitionMatrix, FloatMatrix, IntVector


@dataclass(frozen=True, eq=False)
class PlayerTree:
    """A binary tree over players, by Ward's criterion: each node is the union of the two that lie best together.

    Attributes:
        members: The players of every node, ascending; first those of the n leaves, the root last.
        children: The two nodes below each, or None for a leaf.
    """

    members: Sequence[IntVector]
    children: Sequence[tuple[int, int] | None]

    @classmethod
    def of(cls, positions: FloatMatrix | None, n_players: int) -> "PlayerTree":
        """The tree of players by where they are.

        Args:
            positions: ``(n, d)``; None where nothing is known, so that players of neighbouring numbers stand together.
            n_players: n.

        Returns:
            The tree.
        """
        from scipy.cluster.hierarchy import linkage  # slow to import

        places = np.arange(n_players, dtype=np.float64)[:, None] if positions is None else positions
        merges = linkage(places, "ward")[:, :2].astype(np.int64).tolist() if n_players > 1 else []
        members: list[IntVector] = [np.array([player]) for player in range(n_players)]
        for first, second in merges:
            members.append(np.sort(np.concatenate([members[first], members[second]])))
        return cls(members, [None] * n_players + [(first, second) for first, second in merges])

    def top(self, count: int) -> list[int]:
        """Nodes that together have every player once, the largest split first.

        Args:
            count: How many; all leaves where there are no more.

        Returns:
            Nodes, ascending.
        """
        nodes = [len(self.members) - 1]
        while len(nodes) < count:
            largest = max(nodes, key=lambda node: (len(self.members[node]), node))
            parts = self.children[largest]
            if parts is None:
                break
            nodes.remove(largest)
            nodes.extend(parts)
        return sorted(nodes)

    def split(self, nodes: Sequence[int], chosen: Sequence[int]) -> list[int]:
        """The nodes with some of them replaced by the two below each.

        Args:
            nodes: Nodes that together have every player once.
            chosen: Those to split, none of them a leaf.

        Returns:
            Nodes, ascending.
        """
        parts = [part for node in chosen for part in self.children[node] or (node,)]
        return sorted([*(node for node in nodes if node not in set(chosen)), *parts])

    def owners(self, nodes: Sequence[int]) -> IntVector:
        """Which of the nodes every player belongs to.

        Args:
            nodes: Nodes that together have every player once.

        Returns:
            ``(n,)`` positions in ``nodes``.
        """
        owners = np.empty(sum(len(self.members[node]) for node in nodes), dtype=np.int64)
        for place, node in enumerate(nodes):
            owners[self.members[node]] = place
        return owners


def n_groups_of(coalitions: CoalitionMatrix) -> int:
    """In how many groups the players of some coalitions stood.

    Args:
        coalitions: ``(m, n)`` boolean.

    Returns:
        The number of groups of players who were never apart; 0 where every player was apart from every other.
    """
    if not len(coalitions):
        return 0
    n_groups = len(np.unique(coalitions, axis=1).T)
    return n_groups if n_groups < coalitions.shape[1] else 0
