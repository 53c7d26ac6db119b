"""What a selector of rows may need of a utility, and whether this curation can have it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from shed_hf.curation.problem import Problem
from shed_hf.errors import InputError
from shed_hf.game.utility import SupportsCreditPerItem, TrainableUtility
from shed_hf.sampling.registry import AnySampler
from shed_hf.sampling.row_ranking import features_by
from shed_hf.sampling.selectors import RowSelector
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
    if {"item_embeddings", "item_texts"} & sampler.needs and problem.items is None:
        raise InputError(
            f"sampler={sampler} compares rows with evaluation items, and the utility brings none that are known; pass "
            "eval_dataset="
        )
    if "features" in sampler.needs:
        features_by(problem.utility)
    if "credits" in sampler.needs:
        crediting(problem.utility)


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
