"""Running a race: candidate subsets are tuned on and measured, the best or random rows are kept."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from shed_hf.curation.default_sampler import is_auto
from shed_hf.curation.race import Race, check_items
from shed_hf.curation.race_candidates import Entrants, Halves, SignalsOnHalf, able_of, entrants_of, halves_of
from shed_hf.curation.row_signals import crediting
from shed_hf.errors import Diverged, InputError
from shed_hf.evaluation.item_halves import OnItems
from shed_hf.game.counting import counting, n_known
from shed_hf.game.game import Game
from shed_hf.game.ledger import Ledger
from shed_hf.game.utility import HasEvaluation, measurement_of
from shed_hf.results.curation import Curation
from shed_hf.results.learned_signal_entry import learned_signal_entry
from shed_hf.results.race import RANDOM, Contender, RaceResult, mean_and_stderr
from shed_hf.results.recipe import Recipe, updated
from shed_hf.results.tables import curation_of
from shed_hf.results.valued_pool import ValuedPool
from shed_hf.results.verdict import Verdict
from shed_hf.sampling.registry import AnySampler
from shed_hf.sampling.row_ranking import CREDIT, LEARNED_CREDIT
from shed_hf.sampling.samplers import Random, choose
from shed_hf.sampling.selectors import RowSelector
from shed_hf.sampling.successive_halving import BASELINE, Halving, Measure, schedule, successive_halving
from shed_hf.types import CoalitionMatrix, FloatMatrix, FloatVector, IntVector
from shed_hf.utils.console import plural, say
from shed_hf.utils.naming import to_recipe_entry
from shed_hf.utils.random_streams import Streams
from shed_hf.verification.judge import Criterion, judge

if TYPE_CHECKING:
    from shed_hf.curation.prepare import PreparedCuration


@dataclass(frozen=True, eq=False)
class Starters:
    """The subsets that a race measures.

    Attributes:
        rows: The row ids of every candidate, in the order they were taken, by name.
        draws: Random rows, a subset for every training order.
        left_out: Candidates that are not measured, and why.
    """

    rows: dict[str, IntVector]
    draws: list[IntVector]
    left_out: dict[str, str]


@dataclass(frozen=True, eq=False)
class EnteredRace:
    """A race whose selectors of single rows have chosen; samplers of clusters wait for their values.

    Attributes:
        race: How candidates compete.
        prepared: The curation.
        halves: Which evaluation items rank candidates, and which judge.
        signals: What is known of rows and items.
        entrants: The candidates.
    """

    race: Race
    prepared: "PreparedCuration"
    halves: Halves
    signals: SignalsOnHalf
    entrants: Entrants

    def run(self, valued: ValuedPool, ledger: Ledger) -> "FinishedRace":
        """Measure the candidates and decide.

        Args:
            valued: The pool with the values of its clusters, by the items that rank.
            ledger: Where outcomes are looked up and recorded.

        Returns:
            What was kept, and everything measured.

        Raises:
            Diverged: When an outcome is not finite; what was measured before is in the ledger.
            InputError: For a budget below the least that the candidates take.
        """
        starters = self._starters(valued)
        n, utility = len(starters.rows), self.prepared.problem.utility
        subsets = [*starters.rows.values(), *starters.draws]
        game = self.prepared.game_of([rows[utility.trainable(rows)] for rows in subsets], ledger, self.halves.ranking)
        for rows in self.signals.credit_runs:
            game.note_run(rows)
        budget = self.race.fine_tunings(n)
        spent = sum(each.measurements for each in schedule(n, budget))
        known = _n_known(game, n, budget, self.halves.ranking)
        n_runs = len(self.signals.credit_runs)
        training = "the training run" if n_runs == 1 else f"{n_runs} training runs"
        credits = f", beside {training} for credits" if n_runs else ""
        resumed = f" ({known} in the ledger already)" if known else ""
        say(
            f"race: {plural(n, 'candidate')} and random rows, {plural(spent, measurement_of(utility))}{resumed} on "
            f"{self.prepared.size} rows{credits}; {plural(len(self.halves.ranking.items), 'item')} to rank by, "
            f"{len(self.halves.judging)} to judge by; candidates: {', '.join(starters.rows)}"
        )
        untuned = game.outcomes(np.zeros((1, game.n_players), np.bool_))[0]
        with counting("race", game, spent, known):
            halving = successive_halving(n, budget, _measuring(game, list(starters.rows)), self.halves.ranking)
        return FinishedRace(self, starters, halving, untuned, game)

    def _starters(self, valued: ValuedPool) -> Starters:
        """Different subsets with a row that can be trained on, and random ones."""
        problem, left_out = self.prepared.problem, dict(self.entrants.left_out)
        found: dict[str, IntVector] = {}
        known: dict[bytes, str] = {}
        for name, sampler in self.entrants.samplers.items():
            if not isinstance(sampler, RowSelector) and np.isnan(valued.values).all():
                left_out[name] = "it goes by the values of clusters, and none has a value"
                continue
            rows = self._chosen(name, sampler, valued)
            content = b"".join(sorted(digest.tobytes() for digest in problem.pool.digests[rows]))
            if content in known:
                left_out[name] = f"the same rows as {known[content]}"
            elif not problem.utility.trainable(rows).any():
                left_out[name] = "none of its rows has a token to learn"
            else:
                found[name], known[content] = rows, name
        if not found:
            raise InputError(f"no candidate has rows that can be trained on: {left_out}; look at the rows")
        orders = sum(each.orders for each in schedule(len(found), self.race.fine_tunings(len(found))))
        rng, everything = self.prepared.streams.for_race, self.prepared.candidates.rows
        draws = [rng.choice(everything, size=self.prepared.size, replace=False) for _ in range(orders)]
        return Starters(found, draws, left_out)

    def _chosen(self, name: str, sampler: AnySampler, valued: ValuedPool) -> IntVector:
        if isinstance(sampler, RowSelector):
            return self.prepared.candidates.rows[self.entrants.selections[name].places]
        rng, values = Streams(self.prepared.request.seed).for_rows, np.append(valued.values, np.nan)
        return choose(sampler, values, valued.members, self.prepared.size, rng, valued.merits)


@dataclass(frozen=True, eq=False)
class FinishedRace:
    """A race that was measured.

    Attributes:
        entered: The race as it began.
        starters: The subsets that were measured.
        halving: What was measured of them.
        untuned: The outcome of the model before tuning ``(n_items,)``.
        game: The game of the subsets, with its bill.
    """

    entered: EnteredRace
    starters: Starters
    halving: Halving
    untuned: FloatVector
    game: Game

    def result(self) -> RaceResult:
        """The record of the race: means, what is kept, and the verdict."""
        entered, halving, names = self.entered, self.halving, list(self.starters.rows)
        ranking = entered.halves.ranking
        lines = [self._contender(number) for number in range(len(names))]
        in_order = sorted(lines, key=lambda line: (line.name != names[halving.winner], -line.rounds, -line.mean))
        evidence = self._judged(ranking.items, ways_tried=len(names))
        trained = [key for key in self.game.asked if any(self.game.ledger.entry(key).blocks)]
        return RaceResult(
            candidates=tuple(in_order),
            random=self._contender(BASELINE),
            untuned=float(ranking(self.untuned[None])[0]),
            left_out=self.starters.left_out,
            kept=names[halving.winner] if evidence.over_random.is_better else RANDOM,
            ranked_by=tuple(ranking.items.tolist()),
            n_items=ranking.n_items,
            fine_tunings=len(trained),
            evidence=evidence,
            # other items, but the same tunings, whose luck the winner may owe its place to
            verdict=self._judged(entered.halves.judging, ways_tried=len(names)),
            plan=entered.race.as_json(
                entered.prepared.size, entered.prepared.sampler, entered.entrants.samplers.values()
            ),
            credit_runs=len(self.game.extra_runs),
            measurement=measurement_of(self.game.utility),
        )

    def decided(self, valued: ValuedPool, recipe: Recipe, ledger: Ledger, asked: Mapping[str, None]) -> Curation:
        """The result of the curation: the rows that were kept, with what led to them.

        Args:
            valued: The valued pool, with its source.
            recipe: The recipe, as far as the game goes.
            ledger: Every outcome measured.
            asked: The keys of those that the game of the clusters asked for.

        Returns:
            The result; its ledger has the outcomes of the race as well.
        """
        result = self.result()
        name = result.kept
        sampler = Random() if result.kept_random else self.entered.entrants.samplers[name]
        rows = self.starters.draws[0] if result.kept_random else self.starters.rows[name]
        selection = self.entered.entrants.selections.get(name)
        kept = replace(
            valued,
            ledger=ledger.in_order({**asked, **self.game.asked}),
            taken=rows if result.kept_random or selection is not None else None,
        )
        new = updated(recipe, {"sampler": to_recipe_entry(sampler), "race": result.as_json()})
        new.pop("selection_notes", None)
        if selection is not None and selection.notes:
            new["selection_notes"] = list(selection.notes)
        if selection is not None and selection.learned is not None:
            new["learned_signal"] = learned_signal_entry(selection.learned)
        if not result.kept_random:
            new["verdict"] = result.verdict.as_json()
        return curation_of(kept, new, rows)

    def _contender(self, number: int) -> Contender:
        halving, is_random = self.halving, number == BASELINE
        name = RANDOM if is_random else list(self.starters.rows)[number]
        outcomes = halving.baseline if is_random else halving.outcomes[number]
        mean, stderr = mean_and_stderr(self.entered.halves.ranking(outcomes))
        sampler = Random() if is_random else self.entered.entrants.samplers[name]
        rounds = int(halving.rounds.max() if is_random else halving.rounds[number])
        key = self.game.entry(np.array([len(self.starters.rows) if is_random else number])).key
        return Contender(name, to_recipe_entry(sampler), mean, stderr, len(outcomes), rounds, key)

    def _judged(self, items: IntVector, ways_tried: int) -> Verdict:
        """The winner beside random rows on some of the items, each of which counts as in the utility."""
        ranking, race = self.entered.halves.ranking, self.entered.race
        weights = OnItems(items, ranking.n_items, ranking.grouping).weights()
        counts = np.ones(len(items)) if weights is None else weights[items] * len(items)
        rng = np.random.default_rng([int(self.entered.prepared.request.seed), ways_tried])
        chosen, untuned = self.halving.outcomes[self.halving.winner], self.untuned
        return judge(
            chosen[:, items] * counts,
            self.halving.baseline[:, items] * counts,
            untuned[items] * counts,
            ways_tried=ways_tried,
            criterion=Criterion(race.level),
            rng=rng,
        )


def check_race(prepared: "PreparedCuration") -> None:
    """Refuse a race that can't be held, before its ledger is opened and anything is trained or measured.

    Args:
        prepared: The curation.

    Raises:
        InputError: For a size that leaves nothing to choose, a budget below the least that the candidates take, too few
            evaluation items, and where no candidate can take part.
    """
    race, n_rows, problem = prepared.race or Race(), len(prepared.candidates.rows), prepared.problem
    if prepared.size >= n_rows:
        raise InputError(
            f'size={prepared.size} takes all {n_rows} rows that can be chosen, so all candidates of method="race" are '
            "equal; pass a smaller size"
        )
    if isinstance(problem.utility, HasEvaluation):
        check_items(len(problem.utility.evaluation.kept))
    if prepared.merit.kind in (CREDIT, LEARNED_CREDIT) and not is_auto(prepared.request.merit):
        crediting(problem.utility)  # the items that judge have no say in the order within clusters
    able_of(race, prepared)


def enter_race(prepared: "PreparedCuration", game: Game) -> EnteredRace:
    """Deal the evaluation items into halves, and let the selectors of single rows choose by the first.

    Args:
        prepared: The curation.
        game: A game of its utility, which tells how many items there are.

    Returns:
        The race, before anything is measured for it.

    Raises:
        InputError: For too few evaluation items, a budget below the least that the candidates take, and where no
            candidate can take part.
    """
    race, halves = prepared.race or Race(), halves_of(prepared, game)
    signals = SignalsOnHalf(prepared, halves)
    entrants = entrants_of(race, prepared, signals)
    return EnteredRace(race, prepared, halves, signals, entrants)


def _measuring(game: Game, names: Sequence[str]) -> Measure:
    """What measures the pairs of a round: a candidate's rows in a training order, or a draw of random rows."""

    def measure(pairs: Sequence[tuple[int, int]]) -> FloatMatrix:
        try:
            return game.outcomes(*_asked(game, len(names), pairs))
        except Diverged as error:
            raise Diverged(
                f"in the race, where players are {', '.join(names)} and then draws of random rows: {error}; leave a "
                "candidate out with Race(candidates=…), or lower the learning rate"
            ) from error

    return measure


def _asked(game: Game, n_candidates: int, pairs: Sequence[tuple[int, int]]) -> tuple[CoalitionMatrix, list[int]]:
    """The players of a round, each alone, and the numbers of their training orders."""
    alone = np.zeros((len(pairs), game.n_players), np.bool_)
    for line, (number, order) in zip(alone, pairs, strict=True):
        line[n_candidates + order if number == BASELINE else number] = True
    return alone, [order for _, order in pairs]


class _Unmeasured(Exception):
    """A round of a race isn't measured yet."""


def _n_known(game: Game, n_candidates: int, budget: int, utility_of: Callable[[FloatMatrix], FloatVector]) -> int:
    """How many measurements of a race the ledger holds, up to the first round that it lacks one of.

    Who takes part in the rounds after that one is not known.
    """
    found = []

    def recall(pairs: Sequence[tuple[int, int]]) -> FloatMatrix:
        alone, orders = _asked(game, n_candidates, pairs)
        found.append(n_known(game, alone, orders))
        if found[-1] < len(pairs):
            raise _Unmeasured
        players = np.argmax(alone, axis=1)[:, None]
        return np.stack([game.entry(player, order).outcome for player, order in zip(players, orders, strict=True)])

    with contextlib.suppress(_Unmeasured):
        successive_halving(n_candidates, budget, recall, utility_of)
    return sum(found)
