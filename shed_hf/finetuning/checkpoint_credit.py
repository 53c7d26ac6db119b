"""What every row would do for every evaluation item, all rows at one checkpoint; see `gradient_credit`.

The checkpoint is the end of one training run over the rows. Credits taken along the run depend on where a row stood in
it: the first rows are paid for the format that all items share. Here every row meets the same weights, the same
preconditioner and the same learning rate.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from shed_hf.finetuning.gradient_credit import check_precision, finite, item_blocks, n_steps, train_once
from shed_hf.finetuning.outcome_gradient import OutcomeGradient
from shed_hf.finetuning.row_gradients import RowGradientCallback, RowGradients, micro_batches
from shed_hf.finetuning.schedule import NULL_ROW, ByLength, grouped_by_length
from shed_hf.finetuning.session import InitialWeights
from shed_hf.types import FloatMatrix, IntVector

if TYPE_CHECKING:
    from shed_hf.finetuning.session import TrainingSession

OVERHEAD = 64.0
"""What one more micro-batch costs beside its tokens, in tokens, where the trainer's own are not grouped by length."""


def credits_per_item(utility: "TrainingSession", rows: IntVector, adam: bool) -> FloatMatrix:
    """The credit of every row for every item, at the end of one training run over the rows.

    Items are taken as many at a time as there is room for their gradients; rows are gone through once for each such
    block, so nothing is projected or dropped. A row that comes twice has the same credit twice.

    Args:
        utility: The trainer with its evaluation and rows.
        rows: The row ids in the order they are trained in, ``(n_rows,)``.
        adam: Whether to divide as Adam does.

    Returns:
        ``(n_rows, n_items)``, in units of the outcomes.

    Raises:
        InputError: For fp16, and objectives or models without credits.
        Diverged: Where a credit is not finite.
    """
    check_precision(utility.trainer)
    gradient = OutcomeGradient(utility.evaluation, utility.trainer)
    if not len(rows):
        return np.zeros((0, gradient.n_items))
    follower = RowGradients(gradient.maps, gradient.weights)
    run = RunMeans(follower, micro_batches(utility, rows), adam, n_steps(utility, rows))
    train_once(utility, rows, run)
    scale = run.scale() * math.ceil(utility.trainer.args.num_train_epochs)
    run.checkpoint().restore(utility.trainer.optimizer)
    of_blocks = []
    for items in item_blocks(gradient):
        toward = OutcomeGradient(utility.evaluation, utility.trainer, items).by_item()
        toward *= scale
        of_blocks.append(_credits(utility, rows, follower, toward))
    return finite(np.concatenate(of_blocks, axis=1), utility.trainer)


class RunMeans(RowGradientCallback):
    """What a training run was on average: learning rate, clipping, squared gradients; and the weights at its end.

    Args:
        rows: What keeps the rows' gradients.
        batches: Places of rows, one tuple for each micro-batch in order.
        adam: Whether Adam's second moments are needed.
        n_steps: How many steps the run has.
    """

    def __init__(self, rows: RowGradients, batches: Sequence[tuple[int, ...]], adam: bool, n_steps: int) -> None:
        super().__init__(rows, batches)
        self.adam, self.n_steps = adam, n_steps
        nothing = torch.zeros(1, device=rows.weights[0].device)
        self._rates: torch.Tensor = nothing
        self._mean_clipping: torch.Tensor = nothing
        self._squares: torch.Tensor = nothing
        self._moments, self._epsilons = self._squares, self._squares
        self._end: InitialWeights | None = None

    def take(self, places: Sequence[tuple[int, ...]], optimizer: torch.optim.Optimizer, clipping: torch.Tensor) -> None:
        """Add a step to the means; after the last one keep Adam's moments.

        Args:
            places: The places of the rows of each micro-batch.
            optimizer: The optimizer, which has taken the step.
            clipping: What clipping scaled the step's gradient by.
        """
        self._rates = self._rates + self.learning_rates(optimizer) / self.n_steps
        self._mean_clipping = self._mean_clipping + clipping / self.n_steps
        if self.adam:
            self._squares = self._squares + clipping**2 * self.sum_of_squares() / self.n_steps
            self._moments, self._epsilons = self.second_moments(optimizer), self.epsilons(optimizer)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Keep the weights after the last step, before the run goes back to where it began.

        Args:
            args: The trainer's arguments.
            state: How far the training is.
            control: The trainer's switches.
            kwargs: The trainer's model, optimizer and others.
        """
        if state.global_step == self.n_steps:
            self._end = InitialWeights(kwargs["model"])

    def scale(self) -> torch.Tensor:
        """η P with the clipping, ``(n_weights,)`` or a scalar."""
        scale: torch.Tensor = self._mean_clipping * self._rates
        if not self.adam:
            return scale
        divided: torch.Tensor = scale / (torch.maximum(self._moments, self._squares).sqrt() + self._epsilons)
        return divided

    def checkpoint(self) -> InitialWeights:
        """The weights at the end of the run.

        Raises:
            RuntimeError: Before the run is at its end.
        """
        if self._end is None:
            raise RuntimeError("the run has not come to its last step")
        return self._end


def _credits(utility: "TrainingSession", rows: IntVector, follower: RowGradients, toward: torch.Tensor) -> FloatMatrix:
    """−⟨g_i, h_j⟩ of every row's gradient at the weights as they are, ``(n_rows, k)``, with h ``(k, n_weights)``."""
    trainer = utility.trainer
    learned = [tokens.n_learned for tokens in utility.rows.tokens(rows)]
    of_step = len(rows) * math.ceil(trainer.args.num_train_epochs) / n_steps(utility, rows)
    by_tokens = trainer.model_accepts_loss_kwargs or trainer.compute_loss_func is not None
    n_tokens = torch.tensor(float(max(np.mean(learned) * of_step, 1.0))) if by_tokens else None
    found = np.zeros((len(rows), len(toward)))
    torch.manual_seed(trainer.args.seed)
    with follower.listening():
        for places in _batches(utility, rows, 0 if by_tokens else 1):
            follower.clear()
            room = follower.make_room(len(places))
            features = [_features(utility, int(row)) for row in rows[list(places)]]
            trainer.training_step(trainer.model, trainer.data_collator(features), n_tokens)
            found[list(places)] = -(room @ toward.mT).double().cpu().numpy()
            for weight in follower.weights:
                weight.grad = None
    follower.clear()
    return found if by_tokens else found / _rows_of_micro_batch(utility, rows)


def _rows_of_micro_batch(utility: "TrainingSession", rows: IntVector) -> float:
    """How many rows a micro-batch of the run has on average; the trainer divides by the number of micro-batches."""
    return float(np.mean([len(places) for places in micro_batches(utility, rows) if NULL_ROW not in places]))


def _batches(utility: "TrainingSession", rows: IntVector, at_most: int) -> Iterator[tuple[int, ...]]:
    """Places of rows of like length, as many at a time as the trainer takes.

    Where the trainer's loss is a mean over a micro-batch, whatever the rows beside it, ``at_most`` is 1.
    """
    lengths = [len(tokens.ids) for tokens in utility.rows.tokens(rows)]
    overhead = OVERHEAD if utility.by_length is None else utility.by_length.overhead
    most_rows = at_most or utility.trainer.args.per_device_train_batch_size
    yield from grouped_by_length(np.arange(len(rows)), ByLength(lengths.__getitem__, overhead), most_rows)


def _features(utility: "TrainingSession", row: int) -> dict[str, Any]:
    """What the collator takes of a row, as in a run."""
    features = utility.rows[row]
    return {name: features[name] for name in ("input_ids", "labels") if name in features}
