"""`verify`: tunes on the chosen rows and on random ones, measures both on unseen items, and judges."""

from dataclasses import replace
from typing import Any, cast

import numpy as np

from shed_hf.config.ledger_refusal import telling_what_changed
from shed_hf.distributed.launch import workers_of_launch
from shed_hf.distributed.ranks import MultiProcess
from shed_hf.errors import RankError
from shed_hf.game.counting import counting
from shed_hf.game.entry import Entry
from shed_hf.game.game import Game
from shed_hf.game.interruption import outcomes_kept
from shed_hf.game.ledger import Ledger
from shed_hf.game.utility import concurrency_of, measurement_of
from shed_hf.results.cost import choosing_seconds
from shed_hf.results.curation import Curation
from shed_hf.results.recipe import Recipe
from shed_hf.results.units import measurement
from shed_hf.results.verdict import LEAST_ITEMS, Verdict, VerdictCost
from shed_hf.results.verdict_entry import VerdictEntry
from shed_hf.utils.console import plural, say
from shed_hf.verification.judge import check_two_items, judge
from shed_hf.verification.request import VerdictRequest, VerdictStreams
from shed_hf.verification.subject import CHOSEN, DRAW, FULL, Subject, subject_of
from shed_hf.verification.subsets_worker import work_on_subsets
from shed_hf.verification.trials import CODEC, TrialOutcomes


def verify(curation: Curation, request: VerdictRequest) -> Verdict:
    """Judge whether the chosen rows are better than random ones. Every rank of a launch calls this.

    Args:
        curation: The result.
        request: The arguments.

    Returns:
        The verdict, the same on every rank.

    Raises:
        InputError: For what cannot be used.
        LedgerError: For a ledger of another run, or one that cannot be written.
        Diverged: When training ends in outcomes that are not finite; what was measured before is kept.
    """
    streams = request.streams(curation.recipe["seed"])
    with workers_of_launch(CODEC) as workers:
        subject = subject_of(curation, request, streams, workers)
        if isinstance(workers, MultiProcess) and not workers.is_main:
            return _received(work_on_subsets(subject.trials, workers, request.ledger))
        with telling_what_changed():
            opened = Ledger(request.ledger, subject.trials.header())
        with opened as ledger, outcomes_kept(ledger):
            game = subject.trials.game(ledger, workers)
            verdict = _measured(subject, game, request, streams, curation.recipe)
        workers.end(verdict.as_json())
    return verdict


def _measured(
    subject: Subject, game: Game, request: VerdictRequest, streams: VerdictStreams, recipe: Recipe
) -> Verdict:
    trials = subject.trials
    for line in _bill_lines(subject, game, request):
        say(line)
    with counting("verifying", game, trials.n_runs, trials.n_known(game)):
        _check_items(subject, trials.untuned(game))  # other items are refused before rows are tuned on
        found, untuned = trials.measure(game)
    verdict = _judged(subject, found, untuned, ways_tried=request.ways_tried, rng=streams.for_judging)
    cost = _cost(subject, found, untuned, recipe)
    return replace(verdict, unit=subject.unit, dropped=subject.dropped, notes=subject.notes, cost=cost)


def _check_items(subject: Subject, untuned: Entry) -> None:
    outcome = untuned.outcome[None]
    n_items = (outcome if subject.judged is None else subject.judged.of(outcome)).shape[1]
    check_two_items(n_items)
    if n_items < LEAST_ITEMS:
        say(f"too few to tell a gain from luck: {plural(n_items, 'test item')}; pass {LEAST_ITEMS}")


def _judged(subject: Subject, found: dict[str, TrialOutcomes], untuned: Entry, **settings: Any) -> Verdict:
    """The verdict by what is judged of outcomes: the mean over test items, or what their groups say."""
    chosen, full = found[CHOSEN].outcomes, found.get(FULL)
    random = np.concatenate([of.outcomes for name, of in found.items() if name.startswith(DRAW)])
    of_full = np.empty((0, chosen.shape[1])) if full is None else full.outcomes
    every = np.concatenate([chosen, random, untuned.outcome[None], of_full])
    grouping = subject.grouping
    if subject.judged is not None:
        every = subject.judged.of(every)
    if grouping is not None:
        settings["n_deciding"], every = grouping.n_deciding(every), grouping.contributions(every)
    chosen, random, (of_untuned,), of_full = np.split(every, np.cumsum([len(chosen), len(random), 1]))
    return judge(chosen, random, of_untuned, of_full if len(of_full) else None, **settings)


def _bill_lines(subject: Subject, game: Game, request: VerdictRequest) -> list[str]:
    trials = subject.trials
    n_known = trials.n_known(game)
    full = f", 1 on all {subject.n_candidates:,} candidates" if FULL in trials.names else ""
    known = f"; {n_known} in the ledger already" if n_known else ""
    left_out = ", ".join(f"{count} {reason}" for reason, count in subject.dropped.items() if count)
    note = concurrency_of(trials.utility).note
    return [
        f"bill: a verdict takes {plural(trials.n_runs, measurement_of(trials.utility))}: {request.seeds} on the "
        f"{subject.n_chosen:,} chosen rows, {request.n_draws} on as many random ones{full} ({trials.n_rows:,} rows "
        f"trained){known}",
        *([f"test items left out: {left_out}"] if left_out else []),
        *([note] if note else []),
    ]


def _cost(subject: Subject, found: dict[str, TrialOutcomes], untuned: Entry, recipe: Recipe) -> VerdictCost:
    bill = recipe["bill"]
    small = [of for name, of in found.items() if name != FULL]
    runs = sum(len(of.outcomes) for of in small)
    evaluating = untuned.seconds
    seconds = sum(of.seconds for of in small)
    mean = seconds / runs
    tuning = mean - evaluating if mean > evaluating else mean
    full = found.get(FULL)
    of_full = tuning * subject.n_candidates / subject.n_chosen if full is None else full.seconds - evaluating
    return VerdictCost(
        choosing_fine_tunings=bill["all_fine_tunings"],
        choosing_seconds=choosing_seconds(bill),
        verifying_fine_tunings=subject.trials.n_runs,
        verifying_seconds=round(seconds + evaluating + (0.0 if full is None else full.seconds), 2),
        tuning_seconds=round(tuning, 4),
        full_seconds=round(max(of_full, 0.0), 4),
        full_is_measured=full is not None,
        chosen_by=measurement(recipe),
        verified_by=measurement_of(subject.trials.utility),
    )


def _received(content: Any) -> Verdict:
    if not isinstance(content, dict):
        raise RankError(
            f"rank 0 sent a {type(content).__name__} at its end, where a verdict was due; call verify in the same "
            "place on every rank"
        )
    return Verdict.from_json(cast(VerdictEntry, content))
