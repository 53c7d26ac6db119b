"""`RowValues`: rows by what signals of them and their clusters turned out to be worth in the game."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from shed_hf.errors import InputError
from shed_hf.sampling.concave_greedy import take_greedily
from shed_hf.sampling.known_signals import SIGNALS, known_signals
from shed_hf.sampling.learned_worth import Learned, learn, row_worth, worth_of_sets
from shed_hf.sampling.played_game import PlayedGame
from shed_hf.sampling.retrieval import CreditCoverage, Retrieval
from shed_hf.sampling.selectors import MOST_ORDERED, Need, RowSelector, RowSignals, Selection, TakesAnySize, known
from shed_hf.types import IntVector

CHANCE = 0.05
"""Above this p-value signals are not shown to explain outcomes."""


@dataclass(frozen=True)
class RowValues(TakesAnySize):
    """Takes rows by what the game's outcomes say of their signals and of their clusters.

    Every row has signals that cost little: its credit for each evaluation item, its nearness to each, its length. What
    sets of rows brought by each signal is regressed on what they did in the game, item by item (`outcome_regression`).
    A row's value is what its signals are worth by these weights, and what its cluster is worth beyond them. Rows are
    then taken so that the whole subset is expected to do most, where an item that is well served counts less
    (`concave_greedy`).

    Clusters have a say only where their ranking passes its verdict, and signals only where they explain the outcomes
    better than chance (p <= 0.05). Where nothing has a say, or training on everything makes the model worse, rows are
    chosen by `CreditCoverage` where there are credits, else by `Retrieval`, else at random, and a note says so.

    Attributes:
        signals: Some of ``"credit"``, ``"nearness"``, ``"mean_credit"``, ``"length"`` and ``"ifd"``; what cannot be had
            here is left out. All but ``"ifd"``, for which a model must read every row twice, by default.

    Raises:
        InputError: For unknown, repeated or no signals.
    """

    signals: tuple[str, ...] = field(default=("credit", "nearness", "mean_credit", "length"))

    def __post_init__(self) -> None:
        names = _as_names(self.signals)
        if not names or len(set(names)) < len(names) or not set(names) <= set(SIGNALS):
            raise InputError(f"signals={self.signals!r} are not some of {list(SIGNALS)}, each once; pass some that are")
        object.__setattr__(self, "signals", names)

    @property
    def needs(self) -> frozenset[Need]:
        """The game's outcomes."""
        return frozenset({"outcomes"})

    @property
    def wants(self) -> frozenset[Need]:
        """What the signals are made of."""
        return frozenset().union(*(SIGNALS[name] for name in self.signals))

    @property
    def paper(self) -> str:
        """Signals and clusters, weighed by the game."""
        return "what signals of every row, and its cluster, turned out to be worth in the game"

    def select(self, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection:
        """Learn what signals are worth, and take the rows that are expected to do most together.

        Args:
            signals: With ``outcomes``, and of the others what there is.
            size: How many rows to take.
            rng: Deals outcomes for the test of the signals, and draws what `CreditCoverage` and `Retrieval` leave to
                chance.

        Returns:
            The choice, with what every row is worth, and with notes on what it was made by.
        """
        game, m = known(signals.outcomes, "outcomes"), len(signals)
        usable, notes = known_signals(self.signals, signals, game)
        learned = learn(game, usable, rng.spawn(1)[0])
        trusted, why_not = _trusted(game, learned)
        whole = m if m <= MOST_ORDERED else size
        if learned is None or why_not:
            order, by = _cheap_choice(signals, whole, rng)
            notes = [f"rows were chosen by {by}: {why_not}", *notes]
        else:
            order = take_greedily(worth_of_sets(game, learned, *trusted), whole)
            notes = [*_without_say(learned, *trusted, game), *notes]
        worth = None if learned is None else row_worth(game, learned, trusted[1], order)
        return Selection(order[:size], tuple(notes), worth)


def _as_names(signals: str | Iterable[str]) -> tuple[str, ...]:
    return (signals,) if isinstance(signals, str) else tuple(signals)


def _trusted(game: PlayedGame, learned: Learned | None) -> tuple[tuple[bool, bool], str]:
    """Whether signals have a say, and clusters; and why neither has, in words."""
    if game.harm:
        return (False, False), game.harm
    if learned is None:
        return (False, False), "the game measured too little for weights of signals"
    signals = learned.p_value <= CHANCE and not game.continued and learned.helps
    clusters = not game.unproven and bool(learned.clusters.at_zero.any())
    if signals or clusters:
        return (signals, clusters), ""
    return (False, False), f"{_of_signals(learned, game)}, and {game.unproven or 'clusters add nothing beyond them'}"


def _of_signals(learned: Learned, game: PlayedGame) -> str:
    if not learned.brought:
        return "there are no signals of single rows"
    if game.continued:
        return "outcomes along one training run share their luck, so that what signals explain cannot be judged"
    if np.isnan(learned.p_value):
        return "too few sets were measured to judge what signals explain"
    if not learned.helps:
        return "no signal was found to help"
    return f"signals explain the outcomes no better than chance (p = {learned.p_value:.2f} > {CHANCE})"


def _without_say(learned: Learned, signals: bool, clusters: bool, game: PlayedGame) -> list[str]:
    """What the choice was not made by, and why."""
    if not signals:
        return [f"signals have no say in the choice: {_of_signals(learned, game)}"]
    if not clusters:
        return [f"clusters have no say in the choice: {game.unproven or 'they add nothing beyond the signals'}"]
    return []


def _cheap_choice(signals: RowSignals, size: int, rng: np.random.Generator) -> tuple[IntVector, str]:
    """Rows by the best selector that needs no game, with its name."""
    choices: list[tuple[str, RowSelector]] = []
    if signals.credits is not None:
        choices.append(("credit for each evaluation item", CreditCoverage()))
    if signals.item_embeddings is not None and signals.embeddings is not None:
        choices.append(("nearness to the evaluation items", Retrieval()))
    for name, selector in choices:
        try:
            return selector.select(signals, size, rng).places, name
        except InputError:  # credits, or cosines, that do not tell rows apart
            continue
    return rng.permutation(len(signals))[:size], "chance"
