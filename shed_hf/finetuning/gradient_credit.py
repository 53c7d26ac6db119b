"""What every row of one training run did for the evaluation, to first order.

Let g_i be row i's part of the gradient of step t as the optimizer takes it, and U the mean outcome, higher is better.
Over the steps t it is trained in, row i earns::

    φ_i = − Σ_t η_t ⟨P_t ∇U(w_t), g_i⟩      P_t = 1 for SGD, 1 / (√max(v̂_t, Σ_i g_i²) + ε) for Adam

(Wang et al. 2024, arXiv 2406.11011, first order, where P_t = 1). For SGD the rows of a step together earn the change of
U that it makes, to first order. Adam's second moments v̂_t have seen few steps at first: where the rows of a step cancel
they are almost zero, and 1/√v̂_t alone would credit everything to a few weights. With Σ_i g_i² as well no row moves a
weight further than η_t. Adam's momentum spreads a step over later ones; here it is counted at once.

Credits of single items, φ_ij, have ∇U_j in the place of ∇U. Early in a run every row is paid for teaching the format,
which all items have in common, so credits along a run depend on where a row stood in it. `credits_per_item` therefore
takes all of them at one checkpoint, the end of the run: with the same formula, where η_t, the clipping and Σ_i g_i² are
the run's means, v̂ is Adam's at its end, and g_i is divided by the tokens that a step learns on average.
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PreTrainedModel, TrainerControl, TrainerState, TrainingArguments

from shed_hf.errors import Diverged, InputError
from shed_hf.finetuning.callback import ProxyValueCallback
from shed_hf.finetuning.linear_maps import linear_maps
from shed_hf.finetuning.outcome_gradient import OutcomeGradient, differentiable
from shed_hf.finetuning.row_gradients import RowGradientCallback, RowGradients, micro_batches
from shed_hf.finetuning.schedule import NULL_ROW
from shed_hf.types import FloatMatrix, FloatVector, IntVector
from shed_hf.utils.setting_hint import setting_hint

if TYPE_CHECKING:
    from trl import SFTTrainer

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
    gradient = OutcomeGradient(utility.evaluation, utility.trainer)
    _check_every(every)
    if not len(rows):
        return np.zeros(0)
    return _along_run(utility, rows, adam, every, gradient, lambda: gradient()[None])[:, 0]


def credits_per_item_along(utility: "TrainingSession", rows: IntVector, adam: bool, every: int | None) -> FloatMatrix:
    """The credit of every row of one training run for every item; their mean over items is `credits_of`.

    The run is repeated for as many items at a time as there is room for.

    Args:
        utility: The trainer with its evaluation and rows.
        rows: The row ids in the order they are trained in, ``(n_rows,)``.
        adam: Whether to divide as Adam does.
        every: Every how many steps gradients of the items are taken, as in `credits_of`.

    Returns:
        ``(n_rows, n_items)``, in units of the outcomes.

    Raises:
        InputError: As in `credits_of`.
        Diverged: Where a credit is not finite.
    """
    all_items = OutcomeGradient(utility.evaluation, utility.trainer)
    _check_every(every)
    if not len(rows):
        return np.zeros((0, all_items.n_items))
    parts = []
    for items in item_blocks(all_items):
        gradient = OutcomeGradient(utility.evaluation, utility.trainer, items)
        parts.append(_along_run(utility, rows, adam, every, all_items, gradient.by_item))
    return np.concatenate(parts, axis=1)


def _along_run(
    utility: "TrainingSession",
    rows: IntVector,
    adam: bool,
    every: int | None,
    gradient: OutcomeGradient,
    toward: Callable[[], torch.Tensor],
) -> FloatMatrix:
    """Credits toward k outcomes, whose gradients ``(k, n_weights)`` are ``toward()``."""
    check_precision(utility.trainer)
    follower = RowGradients(gradient.maps, gradient.weights)
    callback = CreditCallback(follower, toward, micro_batches(utility, rows), adam, every or 1)
    if every is None:
        allowed = max(int(SHARE * utility.n_tokens(rows) / gradient.n_tokens), LEAST_GRADIENTS)
        callback.every = math.ceil(n_steps(utility, rows) / allowed)
    train_once(utility, rows, callback)
    return finite(callback.credits(len(rows)), utility.trainer)


def _check_every(every: int | None) -> None:
    if every is not None and (isinstance(every, bool) or not isinstance(every, int | np.integer) or every < 1):
        raise InputError(f"every={every!r} is no number of steps; pass a whole number >= 1 or None")


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


def check_precision(trainer: "SFTTrainer") -> None:
    """See that the trainer's precision allows for credits.

    Args:
        trainer: The trainer.

    Raises:
        InputError: For fp16.
    """
    if trainer.args.fp16:
        raise InputError("fp16 scales the loss, and credits with it; pass SFTConfig(bf16=True) or fp16=False")


def finite(credits: FloatMatrix, trainer: "SFTTrainer") -> FloatMatrix:
    """The credits, where all of them are finite.

    Args:
        credits: Of every row ``(n_rows, k)``.
        trainer: The trainer, for its learning rate.

    Returns:
        The same.

    Raises:
        Diverged: Where one is not.
    """
    wrong = int((~np.isfinite(credits).all(axis=1)).sum())
    if wrong:
        raise Diverged(
            f"the credits of {wrong} of {len(credits)} rows are not finite; training diverged "
            f"at learning_rate={trainer.args.learning_rate:g}: lower it, "
            f"{setting_hint('learning_rate')}"
        )
    return credits


def n_steps(utility: "TrainingSession", rows: IntVector) -> int:
    """How many steps one training run over some rows has.

    Args:
        utility: The trainer.
        rows: Row ids, ``(n_rows,)``.

    Returns:
        The number of steps over all epochs.
    """
    args = utility.trainer.args
    of_epoch = math.ceil(len(rows) / (args.per_device_train_batch_size * args.gradient_accumulation_steps))
    return int(of_epoch * math.ceil(args.num_train_epochs))


def train_once(utility: "TrainingSession", rows: IntVector, callback: RowGradientCallback | None = None) -> None:
    """One training run over ``rows`` from θ₀ in which nothing is measured.

    Args:
        utility: The trainer with its evaluation and rows.
        rows: The row ids in the order they are trained in, ``(n_rows,)``.
        callback: What follows the rows meanwhile; None for nothing.
    """
    trainer = utility.trainer
    runner = ProxyValueCallback.of_sequences(
        [[rows]], _Nothing(), lambda *_: None, utility.origin, by_length=utility.by_length
    )
    with contextlib.nullcontext() if callback is None else callback.following(trainer):
        runner.attach(trainer, utility.rows)  # behind the callback: it seeds each step after a gradient was taken
        try:
            trainer.train()
        finally:
            runner.detach(trainer)


class CreditCallback(RowGradientCallback):
    """Credits the rows of one training run.

    Args:
        rows: What keeps the rows' gradients.
        toward: Gives the gradients of k outcomes ``(k, n_weights)``.
        batches: Places of rows, one tuple for each micro-batch in order.
        adam: Whether to divide as Adam does.
        every: Every how many steps the outcomes' gradients are taken.

    Raises:
        InputError: While training, where rows cannot be told apart in what a map sees.
    """

    def __init__(
        self,
        rows: RowGradients,
        toward: Callable[[], torch.Tensor],
        batches: Sequence[tuple[int, ...]],
        adam: bool,
        every: int,
    ) -> None:
        super().__init__(rows, batches)
        self.toward, self.adam, self.every = toward, adam, every
        self._toward = torch.empty(0)
        self._earned: list[tuple[tuple[int, ...], torch.Tensor]] = []

    def credits(self, n_rows: int) -> FloatMatrix:
        """What each row earned so far.

        Args:
            n_rows: How many rows the run has.

        Returns:
            ``(n_rows, k)``, in units of the outcomes.
        """
        earned = np.zeros((n_rows, len(self._toward)))
        for places, credit in self._earned:
            np.add.at(earned, np.array(places), credit.double().cpu().numpy())
        return earned

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the outcomes' gradients where they are due.

        Args:
            args: The trainer's arguments.
            state: How far the training is.
            control: The trainer's switches.
            kwargs: The trainer's model, optimizer and others.
        """
        super().on_step_begin(args, state, control, **kwargs)
        if state.global_step % self.every == 0:
            self._toward = self.toward()

    def take(self, places: Sequence[tuple[int, ...]], optimizer: torch.optim.Optimizer, clipping: torch.Tensor) -> None:
        """Credit the rows of a step.

        Args:
            places: The places of the rows of each micro-batch.
            optimizer: The optimizer, which has taken the step.
            clipping: What clipping scaled the step's gradient by.
        """
        scale = clipping * self.learning_rates(optimizer)
        if self.adam:
            squares = torch.maximum(self.second_moments(optimizer), clipping**2 * self.sum_of_squares())
            scale = scale / (squares.sqrt() + self.epsilons(optimizer))
        for of_batch, of_rows in zip(places, self.rows.rooms, strict=True):
            if NULL_ROW not in of_batch:
                self._earned.append((of_batch, -((of_rows * scale) @ self._toward.mT)))


ITEMS_AT_ONCE = 2**30
"""How many bytes the gradients of evaluation items may take at a time."""


def item_blocks(gradient: OutcomeGradient) -> list[IntVector]:
    """The evaluation items, as many at a time as there is room for the gradients of.

    Args:
        gradient: The gradient of all items, for how many weights it has.

    Returns:
        Positions of items, in order; at least one in each block.
    """
    bytes_of_item = 4 * sum(weight.numel() for weight in gradient.weights)
    size = max(1, ITEMS_AT_ONCE // bytes_of_item)
    return [np.arange(start, min(start + size, gradient.n_items)) for start in range(0, gradient.n_items, size)]


class _Nothing:
    """No evaluation at the end of a run."""

    def measure(self, model: PreTrainedModel) -> tuple[FloatVector, dict[str, float]]:
        return np.zeros(0), {}
