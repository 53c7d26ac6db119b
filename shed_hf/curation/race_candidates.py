"""The candidates of a race: what each chooses by one half of the evaluation items."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.curation.legacy_defaults import has_legacy_defaults
from shed_hf.curation.race import Race, check_items
from shed_hf.curation.row_choice import needs_here, signal, sources_of
from shed_hf.curation.row_signals import check_signals
from shed_hf.data.evaluation_items import first_alike
from shed_hf.errors import InputError
from shed_hf.evaluation.item_halves import OnItems, groups_of_items, in_halves
from shed_hf.game.game import Game
from shed_hf.game.utility import HasEvaluation, SupportsCreditPerItem
from shed_hf.sampling.registry import AnySampler, rows_to_choose
from shed_hf.sampling.row_ranking import LEARNED_CREDIT, MeasuredMerit, is_large
from shed_hf.sampling.selectors import Need, RowSelector, RowSignals, Selection, select_rows
from shed_hf.types import FloatMatrix, FloatVector, IntVector
from shed_hf.utils.random_streams import Streams
from shed_hf.utils.text import first_line

if TYPE_CHECKING:
    from shed_hf.curation.prepare import PreparedCuration


@dataclass(frozen=True, eq=False)
class Halves:
    """The evaluation items in two halves.

    Attributes:
        ranking: Reduces outcomes to utilities by the items that candidates are chosen and ranked by.
        judging: The positions of the other items, which have no say in what is kept, ascending.
        kept: The positions among all evaluation items of those that are measured; None where that is unknown.
    """

    ranking: OnItems
    judging: IntVector
    kept: IntVector | None


@dataclass(eq=False)
class SignalsOnHalf:
    """What is known of the rows, and of the evaluation items that rank; each part is computed when first needed.

    Attributes:
        prepared: The curation.
        halves: Which items rank.
    """

    prepared: "PreparedCuration"
    halves: Halves

    def __post_init__(self) -> None:
        self._parts: dict[Need, Any] = {}
        self.credit_runs: list[IntVector] = []
        """The ids of the rows of every training run that was made for credits."""

    def part(self, need: Need) -> Any:
        """A field of `RowSignals`; of evaluation items those that rank.

        Args:
            need: The field's name.

        Returns:
            Its content.

        Raises:
            InputError: Where this curation cannot have it.
        """
        if need not in self._parts:
            self._parts[need] = self._on_half(need, signal(sources_of(self.prepared), need))
        return self._parts[need]

    def of(self, selector: RowSelector) -> RowSignals:
        """What a selector reads.

        Args:
            selector: What chooses rows.

        Returns:
            The signals.

        Raises:
            InputError: Where this curation cannot have one of them.
        """
        needs = needs_here(selector, sources_of(self.prepared))
        return RowSignals(rows=self.prepared.candidates.rows, **{need: self.part(need) for need in sorted(needs)})

    @cached_property
    def merit(self) -> MeasuredMerit:
        """The merit of every row, of credits the mean over the items that rank."""
        merit, rng = self.prepared.merit, self.prepared.streams.for_merit
        if merit.kind == LEARNED_CREDIT:
            credits_of = self.part("credits_of")
            return merit.measured(rng, lambda places: self._mean(credits_of(places)))
        if merit.kind != "credit":
            return merit.measured(rng)
        if self.prepared.request.merit == "auto" and not isinstance(merit.utility, SupportsCreditPerItem):
            return MeasuredMerit(None)
        return MeasuredMerit(self._mean(self.part("credits")), None, self.prepared.candidates.rows)

    def _mean(self, credits: FloatMatrix) -> FloatVector:
        """Of credits for the items that rank, each of which counts as in the utility."""
        ranking = self.halves.ranking
        weights = ranking.weights()
        return np.asarray(credits.mean(axis=1) if weights is None else credits @ weights[ranking.items])

    def _on_half(self, need: Need, content: Any) -> Any:
        ranking, kept, rows = self.halves.ranking.items, self.halves.kept, self.prepared.candidates.rows
        if need == "credits":
            self.credit_runs.append(rows)
            return content[:, ranking]
        if need == "credits_of":

            def credits_of(places: IntVector) -> FloatMatrix:
                credits = content(places)[:, ranking]
                self.credit_runs.append(rows[places])
                return np.asarray(credits)

            return credits_of
        if need not in ("item_embeddings", "item_texts", "item_hidden_states", "nearness_of"):
            return content
        if kept is None:
            raise InputError(
                f"the utility measures {self.halves.ranking.n_items} items, and it is unknown which of the "
                f"{len(content)} evaluation items they are"
            )
        places = kept[ranking]
        if need == "nearness_of":
            return lambda rows: content(rows)[:, places]
        return [content[place] for place in places.tolist()] if need == "item_texts" else content[places]


def halves_of(prepared: "PreparedCuration", game: Game) -> Halves:
    """Deal the evaluation items into halves, by the seed, balanced over their groups.

    Items that are given several times are dealt as one: all of them rank, or one of them judges.

    Args:
        prepared: The curation.
        game: A game of its utility, which tells how many items there are.

    Returns:
        The halves.

    Raises:
        InputError: For too few items.
    """
    n_items = game.outcomes(np.zeros((1, game.n_players), np.bool_)).shape[1]
    items, grouping, utility = prepared.problem.items, prepared.problem.grouping, prepared.problem.utility
    n_known = -1 if items is None else len(items.examples)
    kept = np.arange(n_items) if n_known == n_items else None
    if isinstance(utility, HasEvaluation):
        kept = np.asarray(utility.evaluation.kept)
    if grouping is not None:
        groups = grouping.groups.tolist()
    else:
        groups = [""] * n_items if items is None or kept is None else groups_of_items(items.columns, kept)
    known = None if items is None or kept is None else [items.examples[place] for place in kept.tolist()]
    first = np.arange(n_items) if known is None else first_alike(known)
    own = np.unique(first)
    check_items(len(own))
    ranking, judging = in_halves([groups[place] for place in own.tolist()], prepared.streams.for_race)
    return Halves(OnItems(np.flatnonzero(np.isin(first, own[ranking])), n_items, grouping), own[judging], kept)


@dataclass(frozen=True, eq=False)
class Entrants:
    """The candidates of a race before it begins.

    Attributes:
        samplers: What chooses the rows of each, by name, in order.
        selections: What those that choose single rows chose, as positions among the rows that may be chosen.
        left_out: Candidates that cannot take part, and why.
    """

    samplers: dict[str, AnySampler]
    selections: dict[str, Selection]
    left_out: dict[str, str]


def entrants_of(race: Race, prepared: "PreparedCuration", signals: SignalsOnHalf) -> Entrants:
    """Let every selector of single rows choose; what cannot is left out.

    Every candidate has the same random numbers as if it were the curation's own sampler.

    Args:
        race: Which candidates there are.
        prepared: The curation.
        signals: What is known of rows and items.

    Returns:
        The candidates.

    Raises:
        InputError: Where none is left.
    """
    samplers, left_out = able_of(race, prepared)
    selections = {}
    for name, sampler in list(samplers.items()):
        if not isinstance(sampler, RowSelector):
            continue
        try:
            rng = Streams(prepared.request.seed).for_rows
            selections[name] = select_rows(sampler, signals.of(sampler), prepared.size, rng)
        except InputError as error:
            left_out[name] = first_line(error)
            del samplers[name]
    _require_some(samplers, left_out)
    return Entrants(samplers, selections, left_out)


def able_of(race: Race, prepared: "PreparedCuration") -> tuple[dict[str, AnySampler], dict[str, str]]:
    """The candidates that this curation can feed, as far as can be told before anything is trained or measured.

    Args:
        race: Which candidates there are.
        prepared: The curation.

    Returns:
        What chooses the rows of each, and why others cannot take part.

    Raises:
        InputError: Where none is left, and for a budget below the least that those take that are.
    """
    samplers, left_out = race.named(prepared.sampler, reads_a_sample(prepared)), {}
    for name, sampler in list(samplers.items()):
        try:
            _check_able(sampler, race, prepared)
        except InputError as error:
            left_out[name] = first_line(error)
            del samplers[name]
    _require_some(samplers, left_out)
    race.check_budget(len(samplers))
    return samplers, left_out


def reads_a_sample(prepared: "PreparedCuration") -> bool:
    """Whether the usual candidates are those of a large pool, of which the model reads a sample.

    Args:
        prepared: The curation.

    Returns:
        Whether they are; not where a ledger goes on that was begun before there were such candidates.
    """
    is_legacy = has_legacy_defaults(prepared.request.ledger, len(prepared.problem.pool))
    return is_large(len(prepared.candidates.rows)) and not is_legacy


def _require_some(samplers: dict[str, AnySampler], left_out: dict[str, str]) -> None:
    if not samplers:
        raise InputError(f"no candidate can take part in the race: {left_out}; name others in Race(candidates=…)")


def _check_able(sampler: AnySampler, race: Race, prepared: "PreparedCuration") -> None:
    if not isinstance(sampler, RowSelector):
        return
    rows = prepared.candidates.rows
    rows_to_choose(sampler, prepared.size, len(prepared.problem.pool), len(rows))
    if race.candidates is None and "credits" in sampler.needs and is_large(len(rows)) and sampler != prepared.sampler:
        raise InputError(f"credits take a training run over all {len(rows)} rows; name it in Race(candidates=…)")
    if "outcomes" in sampler.needs:
        raise InputError("it chooses by outcomes on all evaluation items, and in a race half of them have no say")
    check_signals(sampler, prepared.problem)
