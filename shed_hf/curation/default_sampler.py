"""The sampler of ``sampler="auto"``."""

from shed_hf.curation.problem import Problem
from shed_hf.curation.race import Race
from shed_hf.curation.request import Request
from shed_hf.estimators import Estimator, LeastSquares
from shed_hf.estimators.no_game import plays
from shed_hf.game.utility import (
    ChecksCredit,
    ComparesCandidates,
    SupportsConcurrency,
    SupportsCreditPerItem,
    SupportsHiddenStates,
)
from shed_hf.sampling.extrapolated import Extrapolated
from shed_hf.sampling.registry import AUTO, AnySampler
from shed_hf.sampling.retrieval import CreditCoverage, Retrieval
from shed_hf.sampling.row_ranking import is_large
from shed_hf.sampling.samplers import QOCS


def is_auto(argument: object) -> bool:
    """Whether an argument leaves the choice to `curate`.

    Args:
        argument: What was passed as ``sampler`` or ``merit``.

    Returns:
        Whether it is ``"auto"``.
    """
    return isinstance(argument, str) and argument == AUTO


def default_sampler(
    request: Request, problem: Problem, estimator: Estimator, race: Race | None, n_rows: int
) -> AnySampler:
    """The sampler that ``sampler="auto"`` stands for.

    Args:
        request: The arguments of `curate`.
        problem: The pool and what measures its rows.
        estimator: What values clusters, if anything does.
        race: The race among candidate subsets; None for no race.
        n_rows: How many rows take part; all of the pool, where that is not known yet.

    Returns:
        What chooses single rows by the model that is fine-tuned, where there is one, the evaluation items are known and
        nothing was asked for that is about clusters (constraints, an order within them, the worst group, a race, an
        estimator other than the default one): `CreditCoverage` for outcomes that compare the options of an item, and
        `Retrieval` by the model's hidden states for any other, or `Extrapolated` of a large pool (see `is_large`), of
        which credits are not measured unasked. Else `QOCS`, or without a game `Retrieval` by embeddings.
    """
    by_model = _by_model(problem)
    if is_large(n_rows):
        by_model = _of_many(by_model)
    if not plays(estimator):
        return Retrieval() if by_model is None else by_model
    of_worst_group = problem.grouping is not None and problem.grouping.weights() is None
    asked = bool(problem.constraints) or race is not None or not is_auto(request.merit)
    of_clusters = asked or of_worst_group or not isinstance(estimator, LeastSquares)
    return QOCS() if by_model is None or of_clusters else by_model


def _by_model(problem: Problem) -> AnySampler | None:
    """What did best in ``examples/benchmarks/compare_selectors.py`` for an outcome like this; None without a model."""
    utility = problem.utility
    if problem.items is None or not isinstance(utility, SupportsHiddenStates):
        return None
    if isinstance(utility, SupportsConcurrency) and utility.concurrency().lockstep:  # no rank has the whole model
        return None
    compares = isinstance(utility, ComparesCandidates) and utility.compares_candidates()
    return CreditCoverage() if compares and _can_credit(utility) else Retrieval(vectors="model")


def _of_many(by_model: AnySampler | None) -> AnySampler | None:
    """The same for a large pool, as far as ``examples/benchmarks/learned_order.py`` measured it."""
    return Extrapolated() if isinstance(by_model, Retrieval) else None


def _can_credit(utility: object) -> bool:
    return isinstance(utility, SupportsCreditPerItem) and isinstance(utility, ChecksCredit) and utility.can_credit()
