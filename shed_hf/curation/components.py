"""The estimator, sampler, features, budget and race of a curation, made from its arguments and checked."""

import sys
from dataclasses import dataclass

import numpy as np

from shed_hf.curation.default_sampler import is_auto
from shed_hf.curation.early_checks import check_words
from shed_hf.curation.race import Race, check_ranks_by_half, race_from
from shed_hf.curation.request import Request
from shed_hf.curation.row_signals import check_values, sure_candidates
from shed_hf.embedding.row_features import Features, features_from
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator
from shed_hf.estimators.budget import Budget, FineTunings, parse_budget
from shed_hf.estimators.no_game import plays
from shed_hf.estimators.registry import estimator_from
from shed_hf.sampling.registry import AUTO, AnySampler, sampler_from, size_asked
from shed_hf.sampling.samplers import QOCS


@dataclass(frozen=True, kw_only=True)
class Components:
    """The parts of a curation that its arguments name; ``sampler="auto"`` is resolved once the pool is known.

    Attributes:
        estimator: What values clusters.
        sampler: What chooses rows.
        features: What clustering looks at beside embeddings; None for nothing.
        budget: The most that measuring may take; None for the estimator's own.
        race: How candidate subsets compete; None for no race.
    """

    estimator: Estimator
    sampler: AnySampler
    features: Features | None
    budget: Budget | None
    race: Race | None


def components_of(request: Request) -> Components:
    """Make the components, refusing what the arguments alone rule out, before anything is loaded.

    Args:
        request: The arguments of `curate`.

    Returns:
        The components.

    Raises:
        InputError: Naming the first that cannot be used.
        LedgerError: For a path where no ledger can be.
    """
    check_words(request)
    estimator = estimator_from(request.estimator)
    sampler: AnySampler = QOCS() if is_auto(request.sampler) else sampler_from(request.sampler, [AUTO])
    features = features_from(request.features)
    budget, race = parse_budget(request.budget), race_from(request.method)
    if race is not None:
        race.check_budget(sure_candidates(race, sampler, request))
        check_ranks_by_half(estimator)
    if not is_auto(request.sampler):
        check_values(estimator, sampler, request)
    check_cost(estimator, budget, 1)
    return Components(estimator=estimator, sampler=sampler, features=features, budget=budget, race=race)


def check_cost(estimator: Estimator, budget: Budget | None, n_players: int) -> None:
    """Refuse a budget that is too small for the number of players, before anything is measured.

    Args:
        estimator: What values them.
        budget: The most that measuring may take.
        n_players: How many there are.

    Raises:
        InputError: For a budget that is too small.
    """
    if plays(estimator) and isinstance(budget, FineTunings):
        estimator.cost(n_players, budget.count)


def check_arguments(request: Request) -> None:
    """Refuse what the arguments rule out for any dataset; nothing is read or loaded.

    Args:
        request: The arguments of `curate`.

    Raises:
        InputError: Naming the first that cannot be used.
        LedgerError: For a path where no ledger can be.
    """
    size = request.size
    if isinstance(size, int | np.integer) and size < 1:
        raise InputError(f"size={size} is not a number of rows; pass one such as 500, or a share such as 10%")
    size_asked(size, sys.maxsize)
    components_of(request)
