"""How many rows the model trains on, or reads, before rows can be chosen or ordered by what it says of them."""

from dataclasses import dataclass

from shed_hf.sampling.extrapolated import Extrapolated
from shed_hf.sampling.registry import AnySampler
from shed_hf.sampling.row_ranking import CREDIT, LEARNED_CREDIT, SAMPLE
from shed_hf.sampling.selectors import Need, RowSelector

READING = 1 / 3
"""What a forward pass costs beside a step of training, which has a backward pass of twice the operations."""


@dataclass(frozen=True)
class RowPasses:
    """How many rows the model goes through beside the game, so that rows can be chosen or ordered.

    Attributes:
        credited: Rows of training runs that give credits.
        read: Rows that are read for their hidden states.
    """

    credited: int = 0
    read: int = 0

    def __add__(self, other: "RowPasses") -> "RowPasses":
        return RowPasses(self.credited + other.credited, self.read + other.read)

    @property
    def as_trained(self) -> float:
        """So many rows take as long to train on."""
        return self.credited + READING * self.read


def row_passes_for(sampler: AnySampler, needs: frozenset[Need], n_rows: int) -> RowPasses:
    """What the model goes through so that a sampler can choose.

    Args:
        sampler: What chooses rows.
        needs: The signals that it reads.
        n_rows: How many rows may be chosen.

    Returns:
        All of them, those of the sample, or none; none also for a sampler of clusters.
    """
    if not isinstance(sampler, RowSelector):
        return RowPasses()
    part = min(sampler.sample, n_rows) if isinstance(sampler, Extrapolated) else 0
    return RowPasses(
        credited=n_rows if "credits" in needs else part * ("credits_of" in needs),
        read=n_rows if "hidden_states" in needs else part * ("nearness_of" in needs),
    )


def rows_credited_for_merit(kind: str | None, n_rows: int) -> int:
    """The rows of the training run that orders rows within clusters.

    Args:
        kind: What orders them; see `shed_hf.sampling.row_ranking.KINDS`.
        n_rows: How many rows take part.

    Returns:
        All of them, those of the sample, or 0 where there is no such run.
    """
    return {CREDIT: n_rows, LEARNED_CREDIT: min(SAMPLE, n_rows)}.get(kind or "", 0)
