"""Valuing clusters: the players they send, the bill, the progress, and what is told when it is interrupted."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from shed_hf.errors import NoSignal
from shed_hf.estimators import Estimator, ValueEstimate
from shed_hf.estimators.base import Cost
from shed_hf.estimators.budget import Budget, cost_of, fine_tunings_of, speed_of
from shed_hf.estimators.significance import failed_checks, is_significant, suggestion, untested_reason
from shed_hf.game.game import Game
from shed_hf.game.ledger import Ledger, read_ledger, rescue
from shed_hf.game.utility import concurrency_of
from shed_hf.utils.console import duration, plural, progress, say


def bill(estimator: str, cost: Cost, n_players: int, n_rows: float, n_tokens: int, n_known: int) -> str:
    """What valuing will take, before anything is fine-tuned. ``n_tokens`` is what one fine-tuning on all players trains
    on.
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
    """Run the estimator on the game, with the bill before it and a progress bar during, and judge what came out.

    v(N) is measured twice more with its rows in other orders where the budget has room for it. When valuing ends early,
    by ctrl-C or an error, the user is told where the outcomes are and how to go on. Raises `NoSignal` where values
    can't be told from noise though ``require_signal`` asks for it.
    """
    with _keeping(game.ledger):
        # as when v(∅) and v(N) were measured, so that a run that goes on has the budget it began with
        most = fine_tunings_of(budget, estimator, game.n_players, lambda: speed_of(game))
        cost, repeats = cost_of(estimator, game.n_players, most)
        left = None if most is None else most - repeats
        rows = np.concatenate(game.players)
        say(bill(repr(estimator), cost, game.n_players, len(rows), game.utility.n_tokens(rows), len(game.ledger)))
        for line in parallelism_note(game):
            say(line)
        with progress(max(cost.fine_tunings + 1 - len(game.ledger), 1)) as advance:
            game.watch = advance
            speed = speed_of(game)
            say(f"time: about {duration(speed.seconds(cost, game.n_players))}, judged by v(∅) and v(N)")
            estimate = estimator(game, rng, left)
            estimate = replace(estimate, noise_floor=_noise_floor(game, repeats))
        _judge(estimate, require_signal)
    return estimate


def parallelism_note(game: Game) -> list[str]:
    """How coalitions are measured, where that is not plainly one after the other."""
    told = []
    if game.workers.size > 1:
        apart = (
            f"all {game.workers.size} train every coalition together" if game.together else "each fine-tunes its own"
        )
        told.append(f"ranks: {game.workers.size}, {apart}")
    note = concurrency_of(game.utility).note
    return [*told, note] if note else told


def _noise_floor(game: Game, repeats: int) -> float:
    if not repeats:
        return float("nan")
    again = np.append(game.in_other_orders(repeats), game.ends()[1])
    return float(again.std(ddof=1)) if len(again) > 1 else float("nan")


def _judge(estimate: ValueEstimate, require_signal: bool) -> None:
    problem = failed_checks(estimate)
    if require_signal and not is_significant(estimate):
        raise NoSignal(
            f"the values cannot be told from noise ({problem or untested_reason(estimate)}), and require_signal=True; "
            f"{suggestion(estimate)}, or pass require_signal=False to choose by them all the same"
        )
    if problem is None and not is_significant(estimate):
        warnings.warn(
            f"{untested_reason(estimate)} whether the values are more than noise; {suggestion(estimate)}", stacklevel=4
        )
    if problem and len(estimate.values) > 1:
        same = not np.ptp(estimate.values)
        what = "use smaller blocks of players, or an evaluation set that the rows can move"
        noise = (
            f"{problem}, so the choice among them is arbitrary"
            if same
            else (f"the values cannot be told from noise ({problem})")
        )
        warnings.warn(f"{noise}; {what if same else suggestion(estimate)}", stacklevel=4)


@contextmanager
def _keeping(ledger: Ledger) -> Iterator[None]:
    """Whatever ends the valuation early, its outcomes are in a file afterwards, and the user knows which."""
    try:
        yield
    except BaseException:
        if len(ledger):
            path = ledger.path or rescue(ledger)
            kept = len(read_ledger(path))  # with those of other ranks
            say(
                f"stopped; {plural(kept, 'outcome')} kept in {path}: repeat the call with ledger={str(path)!r} to go on"
            )
        raise
