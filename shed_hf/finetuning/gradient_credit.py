"""What every row of one training run did for the evaluation, to first order.

Let g_i be row i's part of the gradient of step t as the optimizer takes it, and U the mean outcome, higher is better.
Over the steps t it is trained in, row i earns::

    φ_i = − Σ_t η_t ⟨P_t ∇U(w_t), g_i⟩      P_t = 1 for SGD, 1 / (√max(v̂_t, Σ_i g_i²) + ε) for Adam

(Wang et al. 2024, arXiv 2406.11011, first order, where P_t = 1). For SGD the rows of a step together earn the change of
U that it makes, to first order. Adam's second moments v̂_t have seen few steps at first: where the rows of a step cancel
they are almost zero, and 1/√v̂_t alone would credit everything to a few weights. With Σ_i g_i² as well no row moves a
weight further than η_t. Adam's momentum spreads a step over later ones; here it is counted at once.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from shed_hf.errors import Diverged, InputError
from shed_hf.finetuning.callback import ProxyValueCallback
from shed_hf.finetuning.outcome_gradient import OutcomeGradient, differentiable, linear_maps
from shed_hf.finetuning.schedule import NULL_ROW, schedule
from shed_hf.types import FloatVector, IntVector

if TYPE_CHECKING:
    from shed_hf.finetuning.session import TrainingSession

SHARE = 0.1
"""How much of the run's tokens the evaluation's gradients may read, where the caller leaves it open."""


LEAST_GRADIENTS = 3
"""How many gradients are taken even where they cost more: at θ₀ alone LoRA's second factor is zero, and so is the
gradient of the first."""


def credits_of(utility: "TrainingSession", rows: IntVector, adam: bool, every: int | None) -> FloatVector:
    """The credit of every row of one training run; see the module.

    Args:
        utility: The trainer with its evaluation and rows.
        rows: The row ids in the order they are trained in, ``(n_rows,)``.
        adam: Whether to divide as Adam does.
        every: Every how many steps ∇U is taken; None spends `SHARE` of the run's tokens on it.

    Returns:
        ``(n_rows,)``, in units of the utility.

    Raises:
        InputError: For a wrong ``every``, fp16, and objectives or models without credits.
        Diverged: Where a credit is not finite.
    """
    trainer = utility.trainer
    if every is not None and (isinstance(every, bool) or not isinstance(every, int | np.integer) or every < 1):
        raise InputError(f"every={every!r} is no number of steps; pass a whole number >= 1 or None")
    if trainer.args.fp16:
        raise InputError("fp16 scales the loss, and credits with it; pass SFTConfig(bf16=True) or fp16=False")
    gradient = OutcomeGradient(utility.evaluation, trainer)
    if not len(rows):
        return np.zeros(0)
    callback = CreditCallback(gradient, _batches(trainer, len(rows)), adam, every or 1)
    if every is None:
        allowed = max(int(SHARE * utility.n_tokens(rows) / gradient.n_tokens), LEAST_GRADIENTS)
        callback.every = math.ceil(len(callback.batches) / trainer.args.gradient_accumulation_steps / allowed)
    train_once(utility, rows, callback)
    earned = callback.credits(len(rows))
    if not np.isfinite(earned).all():
        raise Diverged(
            f"the credits of {int((~np.isfinite(earned)).sum())} of {len(rows)} rows are not finite; training diverged "
            f"at learning_rate={trainer.args.learning_rate:g}: lower it, in args=SFTConfig(learning_rate=…)"
        )
    return earned


def creditable(utility: "TrainingSession") -> bool:
    """Whether objective, model and training allow for credits.

    Args:
        utility: The trainer with its evaluation and rows.

    Returns:
        True where `credits_of` can be called.
    """
    optimizers = ("adamw_torch", "adamw_torch_fused", "adam", "adamw_hf")
    try:
        differentiable(utility.evaluation.objective)
        linear_maps(utility.trainer.model)
    except InputError:
        return False
    return not utility.trainer.args.fp16 and str(getattr(utility.trainer.args.optim, "value", "")) in optimizers


def train_once(utility: "TrainingSession", rows: IntVector, callback: "CreditCallback | None" = None) -> None:
    """One training run over ``rows`` from θ₀ in which nothing is measured.

    Args:
        utility: The trainer with its evaluation and rows.
        rows: The row ids in the order they are trained in, ``(n_rows,)``.
        callback: What credits the rows meanwhile; None for nothing.
    """
    trainer = utility.trainer
    runner = ProxyValueCallback.of_sequences([[rows]], _Nothing(), lambda *_: None, utility.origin)
    with contextlib.nullcontext() if callback is None else callback.following(trainer):
        runner.attach(trainer, utility.rows)  # behind the callback: it seeds each step after a gradient was taken
        try:
            trainer.train()
        finally:
            runner.detach(trainer)


class CreditCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Credits the rows of one training run.

    Of every row of a step it keeps the gradient with respect to the trainable weights, from the inputs and the output
    gradients of the linear maps that hold them, until the optimizer has taken the step and Adam's moments are known.

    Args:
        gradient: ∇U.
        batches: Places of rows, one tuple for each micro-batch in order.
        adam: Whether to divide as Adam does.
        every: Every how many steps ∇U is taken.

    Raises:
        InputError: While training, where rows cannot be told apart in what a map sees.
    """

    def __init__(self, gradient: OutcomeGradient, batches: Sequence[tuple[int, ...]], adam: bool, every: int) -> None:
        self.gradient, self.batches, self.adam, self.every = gradient, batches, adam, every
        self._sizes = torch.tensor([weight.numel() for weight in gradient.weights], device=gradient.weights[0].device)
        ends = np.cumsum(self._sizes.tolist()).tolist()
        self._span = {id(w): slice(end - w.numel(), end) for w, end in zip(gradient.weights, ends, strict=True)}
        self._toward = torch.empty(0)  # ∇U
        self._of_rows: list[torch.Tensor] = []  # of each micro-batch of this step: (n_rows, n_weights)
        self._next = 0
        self._earned: list[tuple[tuple[int, ...], torch.Tensor]] = []

    def credits(self, n_rows: int) -> FloatVector:
        """What each row earned so far.

        Args:
            n_rows: How many rows the run has.

        Returns:
            ``(n_rows,)``, in units of the utility.
        """
        earned = np.zeros(n_rows)
        for places, credit in self._earned:
            np.add.at(earned, np.array(places), credit.double().cpu().numpy())
        return earned

    @contextlib.contextmanager
    def following(self, trainer: Trainer) -> Iterator[None]:
        """Within, the trainer calls this callback, and hooks on the model's linear maps give it what they read.

        Args:
            trainer: The trainer of the run.
        """
        hooks = [one.register_forward_hook(self._listen) for one in self.gradient.maps]
        trainer.add_callback(self)
        try:
            yield
        finally:
            trainer.remove_callback(self)
            for hook in hooks:
                hook.remove()

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take ∇U where it is due.

        Args:
            args: The trainer's arguments.
            state: How far the training is.
            control: The trainer's switches.
            kwargs: The trainer's model, optimizer and others.
        """
        self._of_rows = [self._room()]
        if state.global_step % self.every == 0:
            self._toward = self.gradient()

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
        self._of_rows.append(self._room())

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Credit the rows of the step, whose gradient is still in the weights as the optimizer was given it.

        Args:
            args: The trainer's arguments.
            state: How far the training is.
            control: The trainer's switches.
            kwargs: The trainer's model, optimizer and others.
        """
        optimizer = getattr(kwargs["optimizer"], "optimizer", kwargs["optimizer"])
        clipping = self._clipping()
        direction = clipping * self._direction(optimizer, clipping)
        for places, of_rows in zip(self.batches[self._next :], self._of_rows, strict=False):
            if NULL_ROW not in places:
                self._earned.append((places, -(of_rows @ direction)))
        self._next += len(self._of_rows)
        self._of_rows = []

    def _room(self) -> torch.Tensor:
        n_rows, weight = len(self.batches[self._next + len(self._of_rows)]), self.gradient.weights[0]
        dtype = torch.promote_types(weight.dtype, torch.float32)
        return torch.zeros(n_rows, int(self._sizes.sum()), dtype=dtype, device=weight.device)

    def _listen(self, module: nn.Linear, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if not (module.training and output.requires_grad):  # an evaluation
            return
        seen, room, span = inputs[0].detach(), self._of_rows[-1], self._span[id(module.weight)]
        if seen.ndim != 3 or len(seen) != len(room):
            raise InputError(
                f"a linear map of the adapter sees an input of shape {tuple(seen.shape)} for a batch of {len(room)} "
                "rows, so rows cannot be told apart; pass target_modules= without it in LoraConfig"
            )
        of_rows = room[:, span].view(-1, *module.weight.shape)

        def add(given: torch.Tensor) -> None:
            of_rows.baddbmm_(given.to(room).mT, seen.to(room))

        output.register_hook(add)  # type: ignore[no-untyped-call]

    def _clipping(self) -> torch.Tensor:
        """What clipping scaled the step's gradient by, from the rows' gradients, which were taken before it."""
        weights = self.gradient.weights
        taken = torch.cat([torch.zeros_like(w).flatten() if w.grad is None else w.grad.flatten() for w in weights])
        rows = torch.stack([of_rows.sum(dim=0) for of_rows in self._of_rows]).sum(dim=0)
        taken = taken.to(rows)
        both, own, other = rows @ taken, rows @ rows, taken @ taken
        if both * both < 0.98 * own * other or (own == 0) != (other == 0):
            raise InputError(
                "the rows' gradients do not add up to the step's: the adapter's weights are used otherwise than by "
                "their linear maps; pass LoraConfig(target_modules=…) with linear layers only"
            )
        return torch.where(own > 0, both / own.clamp(min=torch.finfo(own.dtype).tiny), 1.0)

    def _direction(self, optimizer: torch.optim.Optimizer, clipping: torch.Tensor) -> torch.Tensor:
        """η_t P_t ∇U, ``(n_weights,)``."""
        groups = {id(weight): group for group in optimizer.param_groups for weight in group["params"]}
        of = [groups[id(weight)] for weight in self.gradient.weights]
        rates = self._spread([float(group["lr"]) for group in of])
        if not self.adam:
            return rates * self._toward
        states = [optimizer.state[weight] for weight in self.gradient.weights]
        if not any("exp_avg_sq" in state for state in states):
            raise InputError(
                f"the optimizer, {type(optimizer).__name__}, keeps no second moments to divide by; pass adam=False"
            )
        moments = [state.get("max_exp_avg_sq", state.get("exp_avg_sq")) for state in states]
        squares = [torch.zeros_like(w) if v is None else v for w, v in zip(self.gradient.weights, moments, strict=True)]
        steps = torch.stack([torch.as_tensor(state.get("step", 1.0)) for state in states]).tolist()
        unseen = self._spread([group["betas"][1] ** step for group, step in zip(of, steps, strict=True)])
        corrected = torch.cat([square.flatten() for square in squares]).to(self._toward) / (1 - unseen)
        of_rows = sum((rows * rows).sum(dim=0) for rows in self._of_rows) * clipping**2
        spread = torch.maximum(corrected, of_rows).sqrt() + self._spread([group["eps"] for group in of])
        return rates * self._toward / spread

    def _spread(self, numbers: list[float]) -> torch.Tensor:
        """One number per weight matrix, as one per weight."""
        if len(set(numbers)) == 1:
            return torch.tensor(numbers[0], dtype=self._toward.dtype, device=self._toward.device)
        return torch.tensor(numbers).to(self._toward).repeat_interleave(self._sizes)


def _batches(trainer: Trainer, n_rows: int) -> tuple[tuple[int, ...], ...]:
    """The micro-batches of a run over rows in order, as their places: a row that comes twice is credited twice."""
    args = trainer.args
    size, accumulation = args.per_device_train_batch_size, args.gradient_accumulation_steps
    return schedule([[np.arange(n_rows)]], size, accumulation, math.ceil(args.num_train_epochs)).batches


class _Nothing:
    """No evaluation at the end of a run."""

    def measure(self, model: PreTrainedModel) -> tuple[FloatVector, dict[str, float]]:
        return np.zeros(0), {}
