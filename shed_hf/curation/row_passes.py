"""How many rows the model is trained on or reads outside the game, so that rows can be chosen and ordered."""

from typing import TYPE_CHECKING

from shed_hf.curation.race_candidates import able_of
from shed_hf.curation.row_signals import needs_of, row_passes_of
from shed_hf.game.utility import ChecksCredit
from shed_hf.sampling.row_passes import RowPasses, rows_credited_for_merit
from shed_hf.sampling.row_ranking import CREDIT
from shed_hf.sampling.selectors import Need, RowSelector

if TYPE_CHECKING:
    from shed_hf.curation.prepare import PreparedCuration

SHARED: frozenset[Need] = frozenset({"credits", "hidden_states"})
"""The signals of all rows, which the candidates of a race have in common; a sample is each one's own."""


def row_passes(prepared: "PreparedCuration") -> RowPasses:
    """The rows of all training runs for credits, and those that are read for hidden states.

    Args:
        prepared: The curation.

    Returns:
        Their numbers; a race is reckoned as if every candidate took part.
    """
    n_rows, kind = len(prepared.candidates.rows), prepared.merit.kind
    if prepared.race is None:
        return RowPasses(rows_credited_for_merit(kind, n_rows)) + row_passes_of(
            prepared.sampler, prepared.problem, n_rows
        )
    return _in_race(prepared, n_rows)


def _in_race(prepared: "PreparedCuration", n_rows: int) -> RowPasses:
    assert prepared.race is not None
    problem, kind = prepared.problem, prepared.merit.kind
    shared: set[Need] = {"credits"} if kind == CREDIT else set()
    found = RowPasses(0 if kind == CREDIT else rows_credited_for_merit(kind, n_rows))
    for sampler in able_of(prepared.race, prepared)[0].values():
        if not isinstance(sampler, RowSelector):
            continue
        needs = needs_of(sampler, problem)
        if needs & SHARED:
            shared |= needs & SHARED
        else:
            found += row_passes_of(sampler, problem, n_rows)
    if isinstance(problem.utility, ChecksCredit) and not problem.utility.can_credit():
        shared -= {"credits"}
    return found + RowPasses(n_rows * ("credits" in shared), n_rows * ("hidden_states" in shared))
