"""Whether a curation needs the model at all, or can choose rows without loading it."""

from collections.abc import Sequence
from typing import Any

from shed_hf.curation.request import Request
from shed_hf.errors import InputError
from shed_hf.estimators.no_game import plays
from shed_hf.estimators.registry import estimator_from
from shed_hf.game.utility import OutcomeCallback, Untrained, UtilityFactory
from shed_hf.sampling.registry import AUTO, sampler_from
from shed_hf.sampling.selectors import Need, RowSelector, UsesWhatThereIs
from shed_hf.types import TrainingSequence

_OF_MODEL: frozenset[Need] = frozenset(
    {"hidden_states", "item_hidden_states", "features", "credits", "nearness_of", "credits_of"}
)
"""Signals that only a model gives."""


class NoModel(Untrained):
    """The utility of a curation that plays no game and needs no model: every row may be chosen, nothing is measured."""

    def measure(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        """Refuse, since no model was loaded.

        Args:
            walks: Not trained.
            record: Not called.

        Raises:
            InputError: Always.
        """
        raise InputError("estimator=None plays no game, so no model was loaded that could be tuned; pass an estimator")

    def describe(self) -> dict[str, Any]:
        """The header's entry of a utility that measures nothing."""
        return {"utility": "none"}


def needs_model(request: Request) -> bool:
    """Whether the model has to be loaded.

    Args:
        request: The arguments of `curate`.

    Returns:
        False where no game is played, single rows are chosen by what is known without a model, and nothing else that
        was asked for needs one. Completions are counted in tokens where a model was named.
    """
    left_open = isinstance(request.sampler, str) and request.sampler == AUTO
    if plays(estimator_from(request.estimator)) or left_open or request.method != "shapley":
        return True
    others = (request.features, request.constraints, request.test_dataset, request.ledger, request.objective)
    ordered = isinstance(request.merit, str) and request.merit != AUTO
    sampler = sampler_from(request.sampler)
    if any(each is not None for each in others) or ordered or request.warmup or not isinstance(sampler, RowSelector):
        return True
    reads = sampler.needs | (sampler.wants if isinstance(sampler, UsesWhatThereIs) else frozenset())
    named = request.model is not None or isinstance(request.utility, UtilityFactory)
    return bool(reads & (_OF_MODEL | {"outcomes"})) or (named and "completion_lengths" in reads)
