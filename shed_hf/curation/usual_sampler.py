"""What chooses rows where the caller leaves it open."""

from shed_hf.curation.problem import Problem
from shed_hf.curation.race import Race
from shed_hf.curation.request import Request
from shed_hf.estimators import Estimator, LeastSquares
from shed_hf.estimators.no_game import plays
from shed_hf.game.utility import ChecksCredit, SupportsCreditPerItem
from shed_hf.sampling.registry import AnySampler
from shed_hf.sampling.retrieval import CreditCoverage, Retrieval
from shed_hf.sampling.row_ranking import MOST_ROWS
from shed_hf.sampling.samplers import QOCS

AUTO = "auto"
"""The word that leaves an argument open."""


def is_open(argument: object) -> bool:
    """Whether the caller left it open what chooses rows, or what orders them.

    Args:
        argument: What was passed as ``sampler`` or ``merit``.

    Returns:
        Whether it is ``"auto"``.
    """
    return isinstance(argument, str) and argument == AUTO


def usual_sampler(request: Request, problem: Problem, estimator: Estimator, race: Race | None) -> AnySampler:
    """The sampler of a curation whose caller left it open.

    Args:
        request: The arguments of `curate`.
        problem: The pool and what measures its rows.
        estimator: What values clusters, if anything does.
        race: The race among candidate subsets; None for no race.

    Returns:
        `CreditCoverage` where every row can be credited for each evaluation item, and nothing was asked for that is
        about clusters (constraints, an order within them, the worst group, a race, an estimator other than the default
        one); else `QOCS`. Without a game `CreditCoverage`, or
        `Retrieval` where there are no credits.
    """
    credited = _can_credit(problem) and len(problem.pool) <= MOST_ROWS
    if not plays(estimator):
        return CreditCoverage() if credited else Retrieval()
    of_worst_group = problem.grouping is not None and problem.grouping.weights() is None
    asked = bool(problem.constraints) or race is not None or not is_open(request.merit)
    of_clusters = asked or of_worst_group or not isinstance(estimator, LeastSquares)
    return CreditCoverage() if credited and not of_clusters else QOCS()


def _can_credit(problem: Problem) -> bool:
    utility = problem.utility
    return (
        problem.items is not None
        and isinstance(utility, SupportsCreditPerItem)
        and isinstance(utility, ChecksCredit)
        and utility.can_credit()
    )
