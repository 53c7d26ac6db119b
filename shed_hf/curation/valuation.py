"""Valuing clusters: the bill before, and the progress during."""

import warnings

import numpy as np

from shed_hf.errors import NoSignal
from shed_hf.estimators import Estimator, ValueEstimate
from shed_hf.estimators.base import Cost
from shed_hf.estimators.budget import Budget, fine_tunings_of, speed_of
from shed_hf.estimators.no_game import plays
from shed_hf.estimators.row_spread import checked_on_halves
from shed_hf.estimators.significance import verdict_of
from shed_hf.game.comparison import compare_ranks
from shed_hf.game.execution import execution_of
from shed_hf.game.game import Game
from shed_hf.game.utility import concurrency_of
from shed_hf.utils.console import duration, plural, progress, say


def bill(estimator: str, cost: Cost, n_players: int, n_rows: float, n_tokens: int, n_known: int) -> str:
    """What valuing will take, printed before anything is fine-tuned.

    Args:
        estimator: The estimator's name.
        cost: What it will ask for.
        n_players: The number of players.
        n_rows: How many rows they bring together.
        n_tokens: How many tokens one fine-tuning on all players trains on; 0 where the utility can't tell.
        n_known: How many outcomes the ledger holds already.

    Returns:
        One line.
    """
    share = cost.players_trained / n_players
    tokens = "" if not n_tokens else f", {share * n_tokens:,.0f} tokens"
    known = f"; {n_known} in the ledger already" if n_known else ""
    return (
        f"bill: {estimator} values {plural(n_players, 'cluster')} with at most "
        f"{plural(cost.fine_tunings, 'fine-tuning')} ({share * n_rows:,.0f} rows trained{tokens}){known}"
    )


def value(
    game: Game, estimator: Estimator, rng: np.random.Generator, budget: Budget | None, require_signal: bool = False
) -> ValueEstimate:
    """Run the estimator on the game, with the bill before it and a progress bar during it.

    Values that can't be told from noise are warned of.

    Args:
        game: The game to be valued.
        estimator: What values its players.
        rng: The generator that coalitions are drawn with.
        budget: The most that measuring may take; None for the estimator's own.
        require_signal: Whether values that can't be told from noise raise instead.

    Returns:
        A value for every player, with its standard error and the noise floor.

    Raises:
        InputError: For a budget below the least that the estimator can use, and where ranks measure differently.
        NoSignal: With ``require_signal``, for values that can't be told from noise.
    """
    if not plays(estimator):
        return estimator(game, rng, fine_tunings_of(budget, estimator, game.n_players, lambda: speed_of(game)))
    compare_ranks(game)
    named, estimator = repr(estimator), checked_on_halves(estimator, game)
    # as when v(∅) and v(N) were measured, so that a run that goes on has the budget it began with
    most = fine_tunings_of(budget, estimator, game.n_players, lambda: speed_of(game))
    cost = estimator.cost(game.n_players, most)
    rows = np.concatenate(game.players)
    say(bill(named, cost, game.n_players, len(rows), game.utility.n_tokens(rows), len(game.ledger)))
    for line in [*parallelism_note(game), *steps_note(game)]:
        say(line)
    with progress(max(cost.fine_tunings + 1 - len(game.ledger), 1)) as advance:
        game.watch = advance
        speed = speed_of(game)
        say(f"time: about {duration(speed.seconds(cost, game.n_players))}, judged by v(∅) and v(N)")
        estimate = estimator(game, rng, most)
    _judge(estimate, require_signal)
    return estimate


def parallelism_note(game: Game) -> list[str]:
    """How coalitions are measured, where that is not one after the other.

    Args:
        game: The game, with its ranks and its utility.

    Returns:
        No line, or one for several ranks and one for several coalitions at a time.
    """
    lines = []
    if game.workers.size > 1:
        apart = (
            f"all {game.workers.size} train every coalition together" if game.together else "each fine-tunes its own"
        )
        lines.append(f"ranks: {game.workers.size}, {apart}")
    note = concurrency_of(game.utility).note
    return [*lines, note] if note else lines


def steps_note(game: Game) -> list[str]:
    """In which precision, and through how much padding, the steps of fine-tunings go.

    Args:
        game: The game with its utility.

    Returns:
        One line; none where the utility can't tell.
    """
    told = execution_of(game.utility, np.concatenate(game.players))
    return [] if told is None else [str(told)]


def _judge(estimate: ValueEstimate, require_signal: bool) -> None:
    verdict = verdict_of(estimate)
    if verdict.passes:
        return
    if require_signal:
        raise NoSignal(
            f"{verdict.claim} ({verdict.failed or verdict.unknown}), and require_signal=True; {verdict.advice}, or "
            "pass require_signal=False to choose by them all the same"
        )
    if not verdict.failed:
        warnings.warn(f"{verdict.unknown} whether the values are more than noise; {verdict.advice}", stacklevel=7)
    elif verdict.equal and not verdict.no_help:
        if len(estimate.values) > 1:
            what = "use smaller blocks of players, or an evaluation set that the rows can move"
            warnings.warn(f"{verdict.equal}, so the choice among them is arbitrary; {what}", stacklevel=7)
    else:
        warnings.warn(f"{verdict.claim} ({verdict.failed}); {verdict.advice}", stacklevel=7)
