"""Valuing clusters: the bill before, and the progress during."""

from collections.abc import Callable, Sequence

import numpy as np

from shed_hf.curation.early_warning import harm_note
from shed_hf.curation.running_values import RunningValues
from shed_hf.curation.shorter_runs import Measuring
from shed_hf.curation.trackers import Trackers
from shed_hf.errors import NoSignal
from shed_hf.estimators import Estimator, ValueEstimate
from shed_hf.estimators.base import Cost
from shed_hf.estimators.budget import Budget, fine_tunings_of, speed_of
from shed_hf.estimators.no_game import plays
from shed_hf.estimators.row_spread import checked_on_halves
from shed_hf.estimators.significance import is_unmoved, verdict_of
from shed_hf.game.coalitions import entries_of
from shed_hf.game.counting import n_trained
from shed_hf.game.execution import execution_of
from shed_hf.game.game import Game
from shed_hf.game.rank_agreement import check_ranks_agree
from shed_hf.game.utility import concurrency_of, measurement_of
from shed_hf.utils.console import duration, plural, say
from shed_hf.utils.progress import progress
from shed_hf.utils.warn import warn


def bill(
    estimator: str,
    cost: Cost,
    n_players: int,
    n_rows: float,
    n_tokens: int,
    n_known: int,
    measurement: str = "fine-tuning",
) -> str:
    """What valuing will take, printed before anything is fine-tuned.

    Args:
        estimator: The estimator's name.
        cost: What it will ask for.
        n_players: The number of players.
        n_rows: How many rows they bring together.
        n_tokens: How many tokens one fine-tuning on all players trains on; 0 where the utility can't tell.
        n_known: How many outcomes of this game's fine-tunings the ledger holds already.
        measurement: What one measurement is called.

    Returns:
        One line.
    """
    share = cost.players_trained / n_players
    tokens = "" if not n_tokens else f", {share * n_tokens:,.0f} tokens"
    known = f"; {n_known} measured already" if n_known else ""
    return (
        f"bill: at most {plural(cost.fine_tunings, measurement)} on samples of {plural(n_players, 'cluster')} "
        f"({share * n_rows:,.0f} rows in all{tokens}), by {estimator}{known}"
    )


def value(
    game: Game,
    estimator: Estimator,
    rng: np.random.Generator,
    budget: Budget | None,
    require_signal: bool = False,
    advise: Callable[[Measuring], list[str]] | None = None,
    *,
    names: Sequence[str] | None = None,
    trackers: Trackers | None = None,
) -> ValueEstimate:
    """Run the estimator on the game, with the bill before it and the progress during it.

    Once v(∅) and v(N) are known, and before the rest is measured, it is said how long that takes, how it could be
    shorter, and whether tuning makes the model worse.

    Values that can't be told from noise are warned of.

    Args:
        game: The game to be valued.
        estimator: What values its players.
        rng: The generator that coalitions are drawn with.
        budget: The most that measuring may take; None for the estimator's own.
        require_signal: Whether values that can't be told from noise raise instead.
        advise: Gives lines on how to make it shorter; None for no such lines.
        names: What every player is called; by default ``cluster 0`` and so on.
        trackers: What is reported to while it is measured; None for nothing.

    Returns:
        A value for every player, with its standard error and the noise floor.

    Raises:
        InputError: For a budget below the least that the estimator can use, and where ranks measure differently.
        NoSignal: With ``require_signal``, for values that can't be told from noise.
    """
    if not plays(estimator):
        return estimator(game, rng, fine_tunings_of(budget, estimator, game.n_players, lambda: speed_of(game)))
    check_ranks_agree(game)
    unchecked, named, estimator = estimator, repr(estimator), checked_on_halves(estimator, game)
    # as when v(∅) and v(N) were measured, so that a run that goes on has the budget it began with
    most = fine_tunings_of(budget, estimator, game.n_players, lambda: speed_of(game))
    cost = estimator.cost(game.n_players, most)
    rows = np.concatenate(game.players)
    n_known = n_trained(entries_of(game.ledger, game.players))
    tokens, one = game.utility.n_tokens(rows), measurement_of(game.utility)
    say(bill(named, cost, game.n_players, len(rows), tokens, n_known, one))
    for line in [*parallelism_note(game), *steps_note(game)]:
        say(line)
    called = [f"cluster {number}" for number in range(game.n_players)] if names is None else names
    with progress("measuring", max(cost.fine_tunings - n_known, 0), one) as shown:
        game.watch = running = RunningValues(game, unchecked, called, shown, trackers or Trackers())
        speed = speed_of(game)
        measuring = Measuring(estimator, game.n_players, most, speed, n_known)
        say(time_in_words(measuring))
        advice = [] if advise is None else advise(measuring)
        for line in [*advice, *filter(None, [harm_note(game)])]:
            say(line)
        estimate = estimator(game, rng, most)
        running.ended(estimate)
    _judge(estimate, require_signal)
    return estimate


def time_in_words(measuring: Measuring) -> str:
    """How long measuring will take, printed once v(∅) and v(N) are known.

    Args:
        measuring: What decides it.

    Returns:
        One line.
    """
    judged = "judged by no rows (v(∅)) and a sample of every cluster (v(N))"
    whole, left = (duration(seconds) for seconds in (measuring.seconds, measuring.seconds_left))
    if left == whole:
        return f"time: about {whole}, {judged}"
    if not measuring.seconds_left:
        return f"time: none, nothing is left to measure, unless other sets are asked for than were (about {whole} then)"
    return (
        f"time: about {left} if all that is measured already is asked for again, about {whole} if nothing is, {judged}"
    )


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
            f"all {game.workers.size} train on every set of rows together"
            if game.together
            else "each fine-tunes on sets of its own"
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
        warn(f"{verdict.unknown} whether the values are more than noise; {verdict.advice}")
    elif verdict.equal and not verdict.no_help:
        if len(estimate.values) > 1:
            what = "use smaller blocks of clusters, or an evaluation set that the rows can move"
            what = verdict.advice if is_unmoved(estimate) else what
            warn(f"{verdict.equal}, so the choice among them is arbitrary; {what}")
    else:
        warn(f"{verdict.claim} ({verdict.failed}); {verdict.advice}")
