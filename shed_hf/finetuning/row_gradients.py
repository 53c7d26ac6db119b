"""Of every row of a training step its own gradient with respect to the trainable weights.

A linear map's gradient of one row is the product of what the row gave it and of what came back: hooks see both, so no
row needs a backward pass of its own.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from shed_hf.errors import InputError
from shed_hf.finetuning.linear_maps import hooked, weight_spans
from shed_hf.finetuning.schedule import NULL_ROW, ByLength, schedule
from shed_hf.types import IntVector

if TYPE_CHECKING:
    from shed_hf.finetuning.session import TrainingSession


class RowGradients:
    """Hooks on linear maps that keep the gradient of every row of a micro-batch.

    Args:
        maps: The linear maps that are trained.
        weights: Their weights, each once.

    Attributes:
        rooms: Of each micro-batch since `clear` the gradients of its rows ``(n_rows, n_weights)``.

    Raises:
        InputError: In a forward pass, where rows cannot be told apart in what a map sees.
    """

    def __init__(self, maps: Sequence[nn.Linear], weights: Sequence[torch.Tensor]) -> None:
        self.maps, self.weights = maps, weights
        self.n_weights = sum(weight.numel() for weight in weights)
        self.rooms: list[torch.Tensor] = []
        self._span = weight_spans(weights)

    def clear(self) -> None:
        """Forget all gradients."""
        self.rooms = []

    def make_room(self, n_rows: int) -> torch.Tensor:
        """Expect a micro-batch.

        Args:
            n_rows: How many rows it has; 0 for one that is not followed.

        Returns:
            Where the gradients will be, ``(n_rows, n_weights)``, all 0.
        """
        weight = self.weights[0]
        dtype = torch.promote_types(weight.dtype, torch.float32)
        self.rooms.append(torch.zeros(n_rows, self.n_weights, dtype=dtype, device=weight.device))
        return self.rooms[-1]

    def listening(self) -> AbstractContextManager[None]:
        """Within, what the maps read in train mode is followed."""
        return hooked(self.maps, self._listen)

    def _listen(self, module: nn.Linear, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if not (module.training and output.requires_grad):  # an evaluation
            return
        seen, room, span = inputs[0].detach(), self.rooms[-1], self._span[id(module.weight)]
        if not len(room):
            return
        if seen.ndim != 3 or len(seen) != len(room):
            raise InputError(
                f"a linear map of the adapter sees an input of shape {tuple(seen.shape)} for a batch of {len(room)} "
                "rows, so rows cannot be told apart; pass target_modules= without it in LoraConfig"
            )
        of_rows = room[:, span].view(-1, *module.weight.shape)

        def add(given: torch.Tensor) -> None:
            of_rows.baddbmm_(given.to(room).mT, seen.to(room))

        output.register_hook(add)  # type: ignore[no-untyped-call]


class RowGradientCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Follows the rows of one training run; what is made of a step's gradients is a subclass's `take`.

    The gradients are kept until the optimizer has taken the step and Adam's moments are known.

    Args:
        rows: What keeps the gradients.
        batches: Places of rows, one tuple for each micro-batch in order.

    Raises:
        InputError: While training, where the rows' gradients do not add up to the step's.
    """

    def __init__(self, rows: RowGradients, batches: Sequence[tuple[int, ...]]) -> None:
        self.rows, self.batches = rows, batches
        self._sizes = torch.tensor([weight.numel() for weight in rows.weights], device=rows.weights[0].device)
        self._next = 0

    def take(self, places: Sequence[tuple[int, ...]], optimizer: torch.optim.Optimizer, clipping: torch.Tensor) -> None:
        """Make use of the gradients of a step, which are in ``rows.rooms``.

        Args:
            places: The places of the rows of each micro-batch.
            optimizer: The optimizer, which has taken the step.
            clipping: What clipping scaled the step's gradient by.
        """
        raise NotImplementedError

    @contextlib.contextmanager
    def following(self, trainer: Trainer) -> Iterator[None]:
        """Within, the trainer calls this callback, and hooks on the model's linear maps give it what they read.

        Args:
            trainer: The trainer of the run.
        """
        with self.rows.listening():
            trainer.add_callback(self)
            try:
                yield
            finally:
                trainer.remove_callback(self)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Make room for the first micro-batch of a step.

        Args:
            args: The trainer's arguments.
            state: How far the training is.
            control: The trainer's switches.
            kwargs: The trainer's model, optimizer and others.
        """
        self.rows.clear()
        self._make_room()

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Make room for the next micro-batch of the same step.

        Args:
            args: The trainer's arguments.
            state: How far the training is.
            control: The trainer's switches.
            kwargs: The trainer's model, optimizer and others.
        """
        self._make_room()

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the step's gradients; the sum of them is still in the weights as the optimizer was given it.

        Args:
            args: The trainer's arguments.
            state: How far the training is.
            control: The trainer's switches.
            kwargs: The trainer's model, optimizer and others.
        """
        optimizer = getattr(kwargs["optimizer"], "optimizer", kwargs["optimizer"])
        n_batches = len(self.rows.rooms)
        self.take(self.batches[self._next : self._next + n_batches], optimizer, self._clipping())
        self._next += n_batches
        self.rows.clear()

    def spread_over_weights(self, numbers: Sequence[float]) -> torch.Tensor:
        """One number for each weight matrix, as one for each weight.

        Args:
            numbers: One for each matrix.

        Returns:
            ``(n_weights,)``; a scalar where all are the same.
        """
        weight = self.rows.weights[0]
        dtype = torch.promote_types(weight.dtype, torch.float32)
        if len(set(numbers)) == 1:
            return torch.tensor(numbers[0], dtype=dtype, device=weight.device)
        return torch.tensor(numbers, dtype=dtype, device=weight.device).repeat_interleave(self._sizes)

    def learning_rates(self, optimizer: torch.optim.Optimizer) -> torch.Tensor:
        """The learning rate of each weight in this step.

        Args:
            optimizer: The optimizer.

        Returns:
            ``(n_weights,)``, or a scalar.
        """
        return self.spread_over_weights([float(group["lr"]) for group in self._groups(optimizer)])

    def epsilons(self, optimizer: torch.optim.Optimizer) -> torch.Tensor:
        """Adam's ε of each weight.

        Args:
            optimizer: The optimizer.

        Returns:
            ``(n_weights,)``, or a scalar.
        """
        return self.spread_over_weights([group["eps"] for group in self._groups(optimizer)])

    def second_moments(self, optimizer: torch.optim.Optimizer) -> torch.Tensor:
        """Adam's second moments v̂, corrected for their start at 0.

        Args:
            optimizer: The optimizer.

        Returns:
            ``(n_weights,)``.

        Raises:
            InputError: For an optimizer without second moments.
        """
        weights = self.rows.weights
        states = [optimizer.state[weight] for weight in weights]
        if not any("exp_avg_sq" in state for state in states):
            raise InputError(
                f"the optimizer, {type(optimizer).__name__}, keeps no second moments to divide by; pass adam=False"
            )
        moments = [state.get("max_exp_avg_sq", state.get("exp_avg_sq")) for state in states]
        squares = [torch.zeros_like(w) if v is None else v for w, v in zip(weights, moments, strict=True)]
        steps = torch.stack([torch.as_tensor(state.get("step", 1.0)) for state in states]).tolist()
        groups = self._groups(optimizer)
        unseen = self.spread_over_weights([group["betas"][1] ** n for group, n in zip(groups, steps, strict=True)])
        dtype = torch.promote_types(weights[0].dtype, torch.float32)
        return torch.cat([square.flatten() for square in squares]).to(dtype) / (1 - unseen)

    def sum_of_squares(self) -> torch.Tensor:
        """Σ g_i² over the rows of the step, before clipping ``(n_weights,)``."""
        of_batches = [(rows * rows).sum(dim=0) for rows in self.rows.rooms if len(rows)]
        return torch.stack(of_batches).sum(dim=0)

    def _groups(self, optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
        groups = {id(weight): group for group in optimizer.param_groups for weight in group["params"]}
        return [groups[id(weight)] for weight in self.rows.weights]

    def _make_room(self) -> None:
        places = self.batches[self._next + len(self.rows.rooms)]
        self.rows.make_room(0 if NULL_ROW in places else len(places))

    def _clipping(self) -> torch.Tensor:
        """What clipping scaled the step's gradient by, from the rows' gradients, which were taken before it."""
        weights = self.rows.weights
        taken = torch.cat([torch.zeros_like(w).flatten() if w.grad is None else w.grad.flatten() for w in weights])
        rows = torch.stack([of_rows.sum(dim=0) for of_rows in self.rows.rooms]).sum(dim=0)
        taken = taken.to(rows)
        both, own, other = rows @ taken, rows @ rows, taken @ taken
        if both * both < 0.98 * own * other or (own == 0) != (other == 0):
            raise InputError(
                "the rows' gradients do not add up to the step's: the adapter's weights are used otherwise than by "
                "their linear maps; pass LoraConfig(target_modules=…) with linear layers only"
            )
        return torch.where(own > 0, both / own.clamp(min=torch.finfo(own.dtype).tiny), 1.0)


def micro_batches(utility: "TrainingSession", rows: IntVector) -> tuple[tuple[int, ...], ...]:
    """The micro-batches of a run over rows in order, as their places: a row that comes twice is followed twice.

    Args:
        utility: The trainer with its rows.
        rows: The row ids in the order they are trained in, ``(n_rows,)``.

    Returns:
        Places among ``rows``, a tuple for each micro-batch, as the run of `train_once` has them.
    """
    args, by_length = utility.trainer.args, utility.by_length
    of_places = by_length and ByLength(lambda place: by_length.n_tokens(int(rows[place])), by_length.overhead)
    return schedule(
        [[np.arange(len(rows))]],
        args.per_device_train_batch_size,
        args.gradient_accumulation_steps,
        math.ceil(args.num_train_epochs),
        by_length=of_places,
    ).batches
