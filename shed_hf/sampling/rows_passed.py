"""How many rows the model trains on, or reads, before rows can be chosen or ordered by what it says of them."""

from shed_hf.sampling.extrapolated import Extrapolated
from shed_hf.sampling.registry import AnySampler
from shed_hf.sampling.row_ranking import CREDIT, LEARNED_CREDIT, SAMPLE
from shed_hf.sampling.selectors import Need, RowSelector


def rows_credited(sampler: AnySampler, needs: frozenset[Need], n_rows: int) -> int:
    """The rows of the training run that gives a sampler its credits.

    Args:
        sampler: What chooses rows.
        needs: The signals that it reads.
        n_rows: How many rows may be chosen.

    Returns:
        All of them, those of the sample, or 0 where there is no such run.
    """
    return _passed(sampler, "credits" in needs, isinstance(sampler, Extrapolated) and "credits_of" in needs, n_rows)


def rows_read(sampler: AnySampler, needs: frozenset[Need], n_rows: int) -> int:
    """The rows that the model reads for a sampler that goes by its hidden states.

    Args:
        sampler: What chooses rows.
        needs: The signals that it reads.
        n_rows: How many rows may be chosen.

    Returns:
        All of them, those of the sample, or 0 where none is read.
    """
    whole = "hidden_states" in needs
    return _passed(sampler, whole, isinstance(sampler, Extrapolated) and "nearness_of" in needs, n_rows)


def rows_credited_for_merit(kind: str | None, n_rows: int) -> int:
    """The rows of the training run that orders rows within clusters.

    Args:
        kind: What orders them; see `shed_hf.sampling.row_ranking.KINDS`.
        n_rows: How many rows take part.

    Returns:
        All of them, those of the sample, or 0 where there is no such run.
    """
    return {CREDIT: n_rows, LEARNED_CREDIT: min(SAMPLE, n_rows)}.get(kind or "", 0)


def _passed(sampler: AnySampler, whole: bool, in_part: bool, n_rows: int) -> int:
    if not isinstance(sampler, RowSelector):
        return 0
    if whole:
        return n_rows
    return min(sampler.sample, n_rows) if in_part and isinstance(sampler, Extrapolated) else 0
