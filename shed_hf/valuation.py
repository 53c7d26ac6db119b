"""Valuing clusters: the players they send, the bill, the progress, and what is told when it is interrupted."""

import hashlib
import itertools
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from shed_hf.budget import Speed, fine_tunings_within, seconds_of
from shed_hf.errors import InputError, NoSignal
from shed_hf.estimators import Cost, Estimator, ValueEstimate
from shed_hf.estimators.estimate import check_budget
from shed_hf.game import Game
from shed_hf.ledger import Ledger, read_ledger
from shed_hf.report import bill, duration, plural, progress, say
from shed_hf.signal import lacking, passed, remedy, unasked

REPEATS = 2
"""How often v(N) is measured again, its rows in other orders, to see how far chance alone moves a utility."""
AFFORDS_REPEATS = 20
"""The least budget that pays for these as well."""


def value(
    game: Game, estimator: Estimator, rng: np.random.Generator, budget: int | str | None, require_signal: bool = False
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
        for line in told_of(game):
            say(line)
        with progress(max(cost.fine_tunings + 1 - len(game.ledger), 1)) as advance:
            game.watch = advance
            speed = speed_of(game)
            say(f"time: about {duration(speed.seconds(cost, game.n_players))}, judged by v(∅) and v(N)")
            estimate = estimator(game, rng, left)
            estimate = replace(estimate, noise_floor=_noise_floor(game, repeats))
        _judge(estimate, require_signal)
    return estimate


def cost_of(estimator: Estimator, n_players: int, budget: int | None) -> tuple[Cost, int]:
    """What valuing takes, and how often v(N) is repeated: not at all where the estimator needs the whole budget."""
    if budget is None:
        return with_repeats(estimator.cost(n_players, None), REPEATS, n_players), REPEATS
    if budget >= AFFORDS_REPEATS:
        try:
            return with_repeats(estimator.cost(n_players, budget - REPEATS), REPEATS, n_players), REPEATS
        except InputError:
            pass
    return estimator.cost(n_players, budget), 0


def with_repeats(cost: Cost, repeats: int, n_players: int) -> Cost:
    """The cost with v(N) measured that many times more."""
    return Cost(cost.fine_tunings + repeats, cost.players_trained + repeats * n_players)


def speed_of(game: Game) -> Speed:
    """From the seconds of v(∅), which is only evaluated, and v(N), which is trained on everything first; ranks that
    measure apart divide both.
    """
    empty, grand = game.seconds_of_ends()
    return Speed(empty / game.n_apart, max(grand - empty, 0.0) / game.n_apart)


def told_of(game: Game) -> list[str]:
    """How coalitions are measured, where that is not plainly one after the other."""
    told = []
    if game.crew.size > 1:
        apart = f"all {game.crew.size} train every coalition together" if game.together else "each fine-tunes its own"
        told.append(f"ranks: {game.crew.size}, {apart}")
    lanes = getattr(game.utility, "told_of_lanes", "")
    return [*told, lanes] if lanes else told


def fine_tunings_of(
    budget: int | str | None, estimator: Estimator, n_players: int, speed: Callable[[], Speed]
) -> int | None:
    """The budget in fine-tunings; the ``speed`` is asked for where it is a time."""
    seconds = seconds_of(budget)
    if seconds is None:
        most: int | None = budget  # type: ignore[assignment]  # a string has its seconds
        check_budget(most, 1, "one fine-tuning")
        return most
    return fine_tunings_within(seconds, estimator, n_players, speed())


def _noise_floor(game: Game, repeats: int) -> float:
    if not repeats:
        return float("nan")
    again = np.append(game.in_other_orders(repeats), game.ends()[1])
    return float(again.std(ddof=1)) if len(again) > 1 else float("nan")


def _judge(estimate: ValueEstimate, require_signal: bool) -> None:
    problem = lacking(estimate)
    if require_signal and not passed(estimate):
        raise NoSignal(
            f"the values cannot be told from noise ({problem or unasked(estimate)}), and require_signal=True; "
            f"{remedy(estimate)}, or pass require_signal=False to choose by them all the same"
        )
    if problem is None and not passed(estimate):
        warnings.warn(f"{unasked(estimate)} whether the values are more than noise; {remedy(estimate)}", stacklevel=4)
    if problem and len(estimate.values) > 1:
        same = not np.ptp(estimate.values)
        what = "use smaller blocks of players, or an evaluation set that the rows can move"
        noise = (
            f"{problem}, so the choice among them is arbitrary"
            if same
            else (f"the values cannot be told from noise ({problem})")
        )
        warnings.warn(f"{noise}; {what if same else remedy(estimate)}", stacklevel=4)


@contextmanager
def _keeping(ledger: Ledger) -> Iterator[None]:
    """Whatever ends the valuation early, its outcomes are in a file afterwards, and the user knows which."""
    try:
        yield
    except BaseException:
        if len(ledger):
            path = ledger.path or _rescued(ledger)
            kept = len(read_ledger(path))  # with those of other ranks
            say(
                f"stopped; {plural(kept, 'outcome')} kept in {path}: repeat the call with ledger={str(path)!r} to go on"
            )
        raise


def _rescued(ledger: Ledger) -> Path:
    name = f"shed-{hashlib.blake2b(json.dumps(ledger.header).encode(), digest_size=4).hexdigest()}"
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        numbered = (folder / f"{name}-{number}.ledger" for number in itertools.count(2))
        path = next(path for path in itertools.chain([folder / f"{name}.ledger"], numbered) if not path.exists())
        try:
            ledger.dump(path)
        except OSError:
            continue
        return path
    raise OSError(
        f"neither the working folder nor {tempfile.gettempdir()} can be written; pass ledger= with a path that can"
    )
