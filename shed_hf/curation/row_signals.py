"""What a selector of rows may need of a utility, and whether this curation can have it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from shed_hf.curation.problem import Problem
from shed_hf.curation.race import Race
from shed_hf.curation.request import Request
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator
from shed_hf.estimators.no_game import plays
from shed_hf.game.utility import (
    ChecksCredit,
    SupportsCreditPerItem,
    SupportsRowFeatures,
    TrainableUtility,
    UtilityFactory,
)
from shed_hf.sampling.model_vectors import hidden_states_by
from shed_hf.sampling.registry import AnySampler, as_passed, needs_values
from shed_hf.sampling.row_passes import RowPasses, row_passes_for
from shed_hf.sampling.row_ranking import features_by
from shed_hf.sampling.selectors import Need, RowSelector, UsesWhatThereIs
from shed_hf.types import IntVector

if TYPE_CHECKING:
    from shed_hf.data.tokenization import Tokens


@runtime_checkable
class ReadsTokens(Protocol):
    """Rows by id, as the tokens that a model is trained on."""

    def read_tokens(self, rows: IntVector) -> "Sequence[Tokens]": ...


@runtime_checkable
class HasTokens(Protocol):
    """A utility whose rows are tokens."""

    @property
    def rows(self) -> ReadsTokens: ...


def needs_of(selector: RowSelector, problem: Problem) -> frozenset[Need]:
    """What a selector reads here: what it needs, and of what it merely wants, all that this curation can have.

    Args:
        selector: What will choose rows.
        problem: The pool and what measures its rows.

    Returns:
        Fields of `RowSignals`.
    """
    wanted = selector.wants if isinstance(selector, UsesWhatThereIs) else frozenset()
    return selector.needs | {need for need in wanted if _can_have(need, problem)}


def row_passes_of(sampler: AnySampler, problem: Problem, n_rows: int) -> RowPasses:
    """What the model goes through so that a sampler can choose.

    Args:
        sampler: What will choose rows.
        problem: The pool and what measures its rows.
        n_rows: How many rows may be chosen.

    Returns:
        The rows, none for a sampler of clusters.
    """
    needs: frozenset[Need] = needs_of(sampler, problem) if isinstance(sampler, RowSelector) else frozenset()
    return row_passes_for(sampler, needs, n_rows)


def _can_have(need: Need, problem: Problem) -> bool:
    utility = problem.utility
    if need == "credits":
        return isinstance(utility, SupportsCreditPerItem) and (
            not isinstance(utility, ChecksCredit) or utility.can_credit()
        )
    if need == "features":
        return isinstance(utility, SupportsRowFeatures)
    return problem.items is not None or need not in ("item_embeddings", "item_texts")


def check_signals(sampler: AnySampler, problem: Problem) -> None:
    """Raise where a selector needs what this curation cannot have, before anything is embedded or measured.

    Args:
        sampler: What will choose rows.
        problem: The pool and what measures its rows.

    Raises:
        InputError: For a selector that needs evaluation items, a model or credits, where there are none.
    """
    if not isinstance(sampler, RowSelector):
        return
    if {"item_embeddings", "item_hidden_states", "item_texts", "nearness_of"} & sampler.needs and problem.items is None:
        raise InputError(
            f"sampler={as_passed(sampler)} "
            "compares rows with evaluation items, and the utility brings none that are known; pass "
            "eval_dataset="
        )
    if {"hidden_states", "item_hidden_states", "nearness_of"} & sampler.needs:
        hidden_states_by(problem.utility)
    if "features" in sampler.needs:
        features_by(problem.utility)
    if {"credits", "credits_of"} & sampler.needs:
        crediting(problem.utility)


def check_values(estimator: Estimator, sampler: AnySampler, request: Request) -> None:
    """Raise where no game is to be played, and something needs one.

    Args:
        estimator: What values clusters, if anything does.
        sampler: What will choose rows.
        request: The arguments of the curation.

    Raises:
        InputError: For a sampler that needs values or outcomes, and for arguments that are about a game.
    """
    if plays(estimator):
        return
    if needs_values(sampler):
        raise InputError(
            f"sampler={as_passed(sampler)} "
            "chooses by what a game measures, and estimator=None plays none; pass an estimator, or "
            'what chooses rows by itself, such as sampler="retrieval"'
        )
    games = {"budget": request.budget is not None, "require_signal": request.require_signal}
    games |= {"warmup": isinstance(request.warmup, int) and request.warmup > 0}
    for name in (name for name, given in games.items() if given):
        raise InputError(f"{name}= is about a game, and estimator=None plays none; leave one of them out")


def sure_candidates(race: Race, sampler: AnySampler, request: Request) -> int:
    """How many candidates of a race take part for certain, as far as the arguments tell.

    Args:
        race: The race.
        sampler: The curation's own sampler.
        request: The arguments of the curation.

    Returns:
        Those that were named; of the usual ones those that need nothing which this curation might lack.
    """
    if race.candidates is not None:
        return len(race.named(sampler, large=False))
    perhaps: set[Need] = {"credits", "credits_of"}  # of too many rows they are not made unasked
    if not isinstance(request.utility, str | UtilityFactory):
        perhaps |= {"features", "hidden_states", "item_hidden_states", "nearness_of"}
        perhaps |= {"item_embeddings", "item_texts"} if request.eval_dataset is None else set()
    return min(  # the number of rows is not known yet
        sum(
            not isinstance(each, RowSelector) or not perhaps & each.needs
            for each in race.named(sampler, large).values()
        )
        for large in (False, True)
    )


def check_group_outcomes(problem: Problem, sampler: AnySampler, race: object) -> None:
    """Raise where what is asked of groups of evaluation items would not be kept, before anything is measured.

    Args:
        problem: The pool, with its constraints and groups.
        sampler: What will choose rows.
        race: The race among candidate subsets; None for no race.

    Raises:
        InputError: For constraints in a race, and for the worst group's outcome where means over items decide.
    """
    if race is not None and problem.constraints:
        raise InputError(
            'constraints= decide how many rows each cluster gives, and method="race" keeps whichever subset wins; pass '
            'method="shapley", or no constraints'
        )
    if problem.grouping is None or problem.grouping.weights() is not None:
        return
    if race is not None or (isinstance(sampler, RowSelector) and "outcomes" in sampler.needs):
        what = 'method="race" compares' if race is not None else f"sampler={as_passed(sampler)} goes by"
        raise InputError(
            f'{what} means over evaluation items, and objective="worst-group" is none; pass objective="macro", or '
            'sampler="qocs" without a race'
        )


def crediting(utility: TrainableUtility) -> SupportsCreditPerItem:
    """The utility as one that credits every row for each evaluation item.

    Args:
        utility: What measures rows.

    Returns:
        The same utility.

    Raises:
        InputError: Where it gives no such credits.
    """
    if isinstance(utility, SupportsCreditPerItem):
        return utility
    raise InputError(
        "credits per row and evaluation item come from a training run, which this utility does not make; pass "
        "utility=FineTune(…), or another sampler="
    )
