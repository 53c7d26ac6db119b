"""What a utility trains and measures with, and the weights each training run starts from."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn

from shed_hf.errors import InputError
from shed_hf.types import IntVector

if TYPE_CHECKING:
    from trl import SFTTrainer

    from shed_hf.data.tokenization import Tokens
    from shed_hf.evaluation.evaluator import Evaluation
    from shed_hf.finetuning.schedule import ByLength


class InitialWeights:
    """θ₀: the trainable parameters as they were when this was made, to go back to.

    Args:
        model: The model with its adapter.

    Attributes:
        parameters: The trainable parameters.

    Raises:
        InputError: For a model without a trainable parameter.
    """

    def __init__(self, model: nn.Module) -> None:
        self.parameters: list[torch.Tensor] = [p for p in model.parameters() if p.requires_grad]
        if not self.parameters:
            raise InputError("the model has no trainable parameter; attach an adapter with peft_config=LoraConfig(…)")
        self._start = [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def restore(self, optimizer: Any = None) -> None:
        """Copy θ₀ back in place and clear the optimizer's moments and all gradients.

        Args:
            optimizer: The optimizer; None where there is none yet.
        """
        torch._foreach_copy_(self.parameters, self._start)
        if optimizer is not None:
            getattr(optimizer, "optimizer", optimizer).state.clear()
        for parameter in self.parameters:
            parameter.grad = None


class RowSource(Protocol):
    """The rows that coalitions are made of, by row id: as features for a trainer, and as tokens."""

    def __getitem__(self, row: int, /) -> Mapping[str, Any]: ...

    def tokens(self, rows: IntVector) -> "list[Tokens]": ...

    def read_tokens(self, rows: IntVector) -> "list[Tokens]": ...

    def warn_of_cuts(self) -> None: ...


class TrainingSession(Protocol):
    """A trainer, the evaluation that follows each run, the rows it trains on, and the weights it starts from.

    Attributes:
        trainer: The trainer.
        evaluation: What is measured.
        rows: The rows by id.
        origin: θ₀.
        by_length: How the rows of a step are grouped by length; None where they are not.
    """

    trainer: "SFTTrainer"
    evaluation: "Evaluation"
    rows: RowSource
    origin: InitialWeights

    @property
    def by_length(self) -> "ByLength | None": ...

    def n_tokens(self, rows: IntVector) -> int: ...
