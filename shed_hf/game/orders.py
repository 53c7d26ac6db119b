"""The orders in which rows are trained, and the keys of what was measured in them.

What a fine-tuning reaches depends on the order of its rows: part of every outcome is luck. Coalitions that train in
subsequences of one order share much of it, and luck that follows the players looks like worth. So every coalition
trains in an order of its own, and a replicate of it in another. Where differences along one walk are wanted, its
coalitions may instead share an order, that of all players' rows. Every order is a function of content and seed alone,
so an outcome does not depend on who asks for it or when.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from shed_hf.types import IntVector, TrainingSequence
from shed_hf.utils.checks import check_whole

_FEW = 6
"""With more rows than this, two orders drawn at random are hardly ever the same."""

_HALVES = b"halves"

_OWN = "each coalition's own, seed "


@dataclass
class _DifferentOrders:
    """The orders of one set of few rows that were found so far.

    Attributes:
        orders: The row ids in each order, by the order's number.
        contents: The content of each, by which they differ.
        attempts: How many orders were drawn to find them.
    """

    orders: list[IntVector] = field(default_factory=list)
    contents: set[tuple[bytes, ...]] = field(default_factory=set)
    attempts: int = 0


class TrainingOrders:
    """The training orders of a game's rows.

    Args:
        digests: Row id to its digest (`hashed`), for all rows of the game.
        seed: The seed of all orders.
    """

    def __init__(self, digests: Mapping[int, bytes], seed: int) -> None:
        check_whole(0, 2**127, seed=seed)
        self._digests, self._seed = digests, int(seed)
        self._common: dict[int, dict[int, int]] = {}
        self._of_few: dict[bytes, _DifferentOrders] = {}

    def own(self, rows: Iterable[int], replicate: int = 0) -> IntVector:
        """The rows in an order of their own, which no other set of rows shares.

        Args:
            rows: Row ids, each once.
            replicate: The number of the order. Different numbers are different orders, as far as there are as many.

        Returns:
            ``(n_rows,)`` the row ids in their order of training.
        """
        listed = sorted(rows)
        of_set = hashlib.blake2b(b"".join(sorted(self._digests[row] for row in listed)), digest_size=16).digest()
        if len(listed) > _FEW or not replicate:
            return self._shuffled(listed, of_set, replicate)
        return self._different(listed, of_set, replicate)

    def common(self, rows: Iterable[int], replicate: int = 0) -> IntVector:
        """The rows in the order in which all rows of the game train by themselves.

        Args:
            rows: Row ids, each once.
            replicate: The number of that order.

        Returns:
            ``(n_rows,)`` the row ids in their order of training.
        """
        if replicate not in self._common:
            everything = self.own(self._digests, replicate).tolist()
            self._common[replicate] = {row: place for place, row in enumerate(everything)}
        return np.array(sorted(rows, key=self._common[replicate].__getitem__), dtype=np.int64)

    def halves(self, players: Sequence[IntVector], number: int) -> tuple[IntVector, IntVector]:
        """Every player's rows dealt into two halves at random.

        Args:
            players: The row ids that each player brings.
            number: Which way of dealing; another number deals the rows of every player otherwise.

        Returns:
            The row ids of either half in an order of their own. Of an odd number of rows one is in neither; a row
            that two players bring counts for the first of them.
        """
        parts: tuple[list[int], list[int]] = ([], [])
        dealt: set[int] = set()
        key = _HALVES + self._seed.to_bytes(16, "little") + number.to_bytes(8, "little")
        for of_player in players:
            rows = sorted(set(of_player.tolist()) - dealt, key=lambda row: _hash(self._digests[row], key))
            dealt.update(rows)
            half = len(rows) // 2
            parts[0].extend(rows[:half])
            parts[1].extend(rows[half : 2 * half])
        return self.own(parts[0]), self.own(parts[1])

    def _different(self, rows: Sequence[int], of_set: bytes, replicate: int) -> IntVector:
        """The order of few rows with this number among orders that all differ; from the first again after the last."""
        n_orders = math.factorial(len({self._digests[row] for row in rows}))  # rows of one content stay together
        found = self._of_few.setdefault(of_set, _DifferentOrders())
        while len(found.orders) <= replicate % n_orders:
            order = self._shuffled(rows, of_set, found.attempts)
            found.attempts += 1
            contents = tuple(self._digests[row] for row in order.tolist())
            if contents not in found.contents:
                found.contents.add(contents)
                found.orders.append(order)
        return found.orders[replicate % n_orders]

    def _shuffled(self, rows: Sequence[int], of_set: bytes, replicate: int) -> IntVector:
        key = self._seed.to_bytes(16, "little") + of_set + replicate.to_bytes(8, "little")
        rank = {row: _hash(self._digests[row], key) for row in rows}
        return np.array(sorted(rows, key=rank.__getitem__), dtype=np.int64)


def order_entry(seed: int) -> str:
    """How a ledger's header says in which orders rows were trained.

    Args:
        seed: The seed of the orders.

    Returns:
        The entry in words, with the seed.
    """
    return f"{_OWN}{seed}"


def seed_of_entry(entry: object) -> int:
    """The seed in a ledger's header.

    Args:
        entry: What `order_entry` gave, or a number, as in ledgers whose coalitions all trained in one order.

    Returns:
        The seed; 0 where the header has none.
    """
    if isinstance(entry, int):
        return entry
    number = entry.removeprefix(_OWN) if isinstance(entry, str) else ""
    return int(number) if number.isdecimal() else 0


def hashed(contents: Mapping[int, bytes]) -> dict[int, bytes]:
    """The digests that `keys_of` takes.

    Args:
        contents: Row id to the content of its row.

    Returns:
        Row id to a digest of 16 bytes.
    """
    return {row: _hash(content, bytes(16)) for row, content in contents.items()}


def keys_of(walk: TrainingSequence | Sequence[Sequence[int]], digests: Mapping[int, bytes]) -> list[str]:
    """The ledger's key after each block: the rows' content in their order of training, block by block.

    Args:
        walk: Blocks of row ids in their order of training.
        digests: Row id to its digest (`hashed`).

    Returns:
        One key of 32 hexadecimal digits per block.
    """
    keys = []
    hasher = hashlib.blake2b(digest_size=16)
    for block in walk:
        hasher.update(b"|%d:" % len(block))
        hasher.update(b"".join([digests[row] for row in np.asarray(block).tolist()]))
        keys.append(hasher.hexdigest())
    return keys


def _hash(content: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16, key=key).digest()
