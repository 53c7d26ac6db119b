"""Trials: tunings on subsets of rows, each in several training orders, measured as a game with a ledger and ranks.

Every subset is a player that plays alone, and every seed a training order of its rows. So what is measured is recorded,
resumed, batched and shared among ranks as the coalitions of a curation are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shed_hf.distributed.messages import Codec, record
from shed_hf.distributed.ranks import Workers
from shed_hf.errors import InputError
from shed_hf.game.counting import n_known
from shed_hf.game.entry import Entry
from shed_hf.game.execution import Precision
from shed_hf.game.game import Game
from shed_hf.game.game_worker import gather_outcomes
from shed_hf.game.ledger import Ledger
from shed_hf.game.measurement import Batch
from shed_hf.game.orders import order_entry
from shed_hf.game.rank_agreement import Probe, check_ranks_agree
from shed_hf.game.utility import TrainableUtility
from shed_hf.types import CoalitionMatrix, FloatMatrix, IntVector

CODEC = Codec([record(kind) for kind in (Batch, Entry, Probe, Precision)])
"""What the ranks of trials read and write messages with."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A subset of rows to tune on.

    Attributes:
        rows: ``(n,)`` the utility's row ids.
        runs: How many times, each in a training order of its own.
    """

    rows: IntVector
    runs: int = 1


@dataclass(frozen=True, eq=False)
class TrialOutcomes:
    """What was measured of a trial.

    Attributes:
        outcomes: ``(runs, n_items)``, higher is better.
        seconds: How long the runs took together, evaluation included.
    """

    outcomes: FloatMatrix
    seconds: float


class Trials:
    """Some trials with what measures them; the same on every rank.

    Args:
        trials: Subsets by name.
        utility: What tunes and measures.
        digests: Row id to the content of its row.
        dataset: What names the content of all rows in the ledger's header.
        seed: The seed of the training orders.

    Raises:
        InputError: For a subset of which no row can be learned from.
    """

    def __init__(
        self,
        trials: Mapping[str, Trial],
        utility: TrainableUtility,
        digests: Mapping[int, bytes],
        dataset: str,
        seed: int,
    ) -> None:
        self.utility, self.seed = utility, seed
        self._digests, self._dataset = digests, dataset
        self._runs = {name: trial.runs for name, trial in trials.items()}
        self.players = [_trainable(name, trial.rows, utility) for name, trial in trials.items()]

    @property
    def names(self) -> list[str]:
        """The names of the subsets."""
        return list(self._runs)

    @property
    def n_runs(self) -> int:
        """How many tunings there are."""
        return sum(self._runs.values())

    @property
    def n_rows(self) -> int:
        """How many rows they train on together."""
        return sum(len(rows) * runs for rows, runs in zip(self.players, self._runs.values(), strict=True))

    def header(self) -> dict[str, Any]:
        """What determines an outcome besides the rows, for the ledger's header."""
        return {"dataset": self._dataset, "order": order_entry(self.seed), **self.utility.describe()}

    def game(self, ledger: Ledger, workers: Workers) -> Game:
        """The game of the subsets, on rank 0; outcomes that other ranks find on their disks enter the ledger.

        Args:
            ledger: Where outcomes are looked up and recorded.
            workers: The ranks that measure.

        Returns:
            The game.

        Raises:
            InputError: Where another rank would measure something else.
        """
        gather_outcomes(ledger, self.header(), self.players, workers)
        game = Game(self.players, self.utility, ledger, self._digests, self.seed, workers=workers)
        check_ranks_agree(game)
        return game

    def untuned(self, game: Game) -> Entry:
        """Measure the model before tuning.

        Args:
            game: The game of these trials.

        Returns:
            The ledger's entry.

        Raises:
            Diverged: When an outcome is not finite.
        """
        return game.measurements(np.zeros((1, game.n_players), dtype=np.bool_))[0]

    def n_known(self, game: Game) -> int:
        """How many of the tunings the game's ledger holds already.

        Args:
            game: The game of these trials.
        """
        return n_known(game, *self._asked())

    def _asked(self) -> tuple[CoalitionMatrix, list[int]]:
        """Every subset alone, as often as it is tuned on, and the numbers of the training orders."""
        runs = list(self._runs.values())
        alone = np.repeat(np.eye(len(runs), dtype=np.bool_), runs, axis=0)
        return alone, [number for count in runs for number in range(count)]

    def measure(self, game: Game) -> tuple[dict[str, TrialOutcomes], Entry]:
        """Measure every trial, and the model before tuning.

        Args:
            game: The game of these trials.

        Returns:
            The outcomes by trial, and the ledger's entry of the untuned model.

        Raises:
            Diverged: When an outcome is not finite; what was measured before is in the ledger.
        """
        untuned, runs = self.untuned(game), list(self._runs.values())
        entries = game.measurements(*self._asked())
        parts = np.split(np.arange(len(entries)), np.cumsum(runs)[:-1])
        found = {
            name: _outcomes([entries[place] for place in part]) for name, part in zip(self._runs, parts, strict=True)
        }
        return found, untuned


def _trainable(name: str, rows: IntVector, utility: TrainableUtility) -> IntVector:
    kept = rows[utility.trainable(rows)]
    if not len(kept):
        raise InputError(
            f"none of the {len(rows)} {name} rows has a token that is learned within the model's maximum length; raise "
            "max_length"
        )
    return kept


def _outcomes(entries: Sequence[Entry]) -> TrialOutcomes:
    once = {entry.key: entry for entry in entries}  # few rows have few orders
    return TrialOutcomes(
        np.stack([entry.outcome for entry in entries]),
        sum(entry.seconds for entry in once.values()) * len(entries) / len(once),
    )
