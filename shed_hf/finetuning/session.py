"""What a utility trains and measures with, and the weights each training run starts from."""

from typing import TYPE_CHECKING, Any, Protocol

from torch import nn

from shed_hf.errors import InputError
from shed_hf.types import IntVector

if TYPE_CHECKING:
    from trl import SFTTrainer

    from shed_hf.evaluation.evaluator import Evaluation
    from shed_hf.finetuning.tokenized_rows import TokenizedRows

import torch


class InitialWeights:
    """θ₀: the trainable parameters as they were when this was made, to go back to."""

    def __init__(self, model: nn.Module) -> None:
        self.parameters: list[torch.Tensor] = [p for p in model.parameters() if p.requires_grad]
        if not self.parameters:
            raise InputError("the model has no trainable parameter; attach an adapter with peft_config=LoraConfig(…)")
        self._start = [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def restore(self, optimizer: Any = None) -> None:
        """Copy θ₀ back in place and forget the optimizer's moments and all gradients."""
        torch._foreach_copy_(self.parameters, self._start)
        if optimizer is not None:
            getattr(optimizer, "optimizer", optimizer).state.clear()
        for parameter in self.parameters:
            parameter.grad = None


class TrainingSession(Protocol):
    """A trainer, the evaluation that follows each run, the rows it trains on, and the weights it starts from."""

    trainer: "SFTTrainer"
    evaluation: "Evaluation"
    rows: "TokenizedRows | None"
    origin: InitialWeights

    def n_tokens(self, rows: IntVector) -> int: ...
