"""How many rows a curation's model goes through beside its game, so that rows can be chosen and ordered."""

from typing import TYPE_CHECKING

from shed_hf.curation.race_candidates import able_of
from shed_hf.curation.row_signals import needs_of, passed_by
from shed_hf.game.utility import ChecksCredit
from shed_hf.sampling.row_ranking import CREDIT
from shed_hf.sampling.rows_passed import RowsPassed, rows_credited_for_merit
from shed_hf.sampling.selectors import Need, RowSelector

if TYPE_CHECKING:
    from shed_hf.curation.prepare import PreparedCuration

SHARED: frozenset[Need] = frozenset({"credits", "hidden_states"})
"""The signals of all rows, which the candidates of a race have in common; a sample is each one's own."""


def rows_passed(prepared: "PreparedCuration") -> RowsPassed:
    """The rows of all training runs for credits, and those that are read for hidden states.

    Args:
        prepared: The curation.

    Returns:
        Their numbers; a race is reckoned as if every candidate took part.
    """
    n_rows, kind = len(prepared.candidates.rows), prepared.merit.kind
    if prepared.race is None:
        return RowsPassed(rows_credited_for_merit(kind, n_rows)) + passed_by(prepared.sampler, prepared.problem, n_rows)
    return _in_race(prepared, n_rows)


def _in_race(prepared: "PreparedCuration", n_rows: int) -> RowsPassed:
    assert prepared.race is not None
    problem, kind = prepared.problem, prepared.merit.kind
    shared: set[Need] = {"credits"} if kind == CREDIT else set()
    found = RowsPassed(0 if kind == CREDIT else rows_credited_for_merit(kind, n_rows))
    for sampler in able_of(prepared.race, prepared)[0].values():
        if not isinstance(sampler, RowSelector):
            continue
        needs = needs_of(sampler, problem)
        if needs & SHARED:
            shared |= needs & SHARED
        else:
            found += passed_by(sampler, problem, n_rows)
    if isinstance(problem.utility, ChecksCredit) and not problem.utility.can_credit():
        shared -= {"credits"}
    return found + RowsPassed(n_rows * ("credits" in shared), n_rows * ("hidden_states" in shared))
