"""Trains the adapters of a stack together: each takes its own steps, and one backward pass serves them all.

An adapter's step is what the trainer's would be: the mean loss over the learned tokens of its rows, its own learning
rate, its own clipping, its own moments. Rows are padded on the right and nothing is masked: in a causal model no token
sees what follows it, and attention without a mask has faster kernels. Nothing here waits for the device; transformers
does once a pass, to see that the mask is empty.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy
from torch.optim import SGD, AdamW, Optimizer
from transformers import PreTrainedModel, Trainer

from shed_hf.data.tokenization import IGNORED
from shed_hf.finetuning.batched_lora import Stack
from shed_hf.finetuning.schedule import NULL_ROW, schedule
from shed_hf.finetuning.schedule_factors import schedule_factors
from shed_hf.types import IntVector, TrainingSequence

LOGITS_AT_ONCE = 2**27
"""Over how many numbers the loss is computed at a time: half a gigabyte in float32."""


class Rows(Protocol):
    """The features of a row: its ``input_ids``, and its ``labels`` where not all of them are learned."""

    def __getitem__(self, row: int, /) -> Mapping[str, Any]: ...


class RowTable:
    """The tokens of rows, one line for each and a last, empty one, which fills up what is ragged.

    Args:
        rows: The features of a row, by row id.
        wanted: The row ids that get a line, ``(n,)``.
        first_counts: Whether the loss is also divided by a learned first token, which nothing predicts.

    Attributes:
        ids: Token ids, ``(n + 1, width)``.
        following: What is to be predicted after each token, −100 where nothing is, ``(n + 1, width)``.
        lengths: How many tokens stand before the last learned one, ``(n + 1,)``: as many are read.
        n_counted: By how many tokens the loss of a row is divided, ``(n + 1,)``.
    """

    def __init__(self, rows: Rows, wanted: IntVector, first_counts: bool = False) -> None:
        features = [rows[int(row)] for row in wanted]
        tokens = [np.asarray(of_row["input_ids"], dtype=np.int64) for of_row in features]
        labels = [
            np.asarray(of_row.get("labels", ids), dtype=np.int64) for of_row, ids in zip(features, tokens, strict=True)
        ]
        width = max(map(len, tokens))
        self.ids = np.zeros((len(wanted) + 1, width), dtype=np.int64)
        self.following = np.full((len(wanted) + 1, width), IGNORED)  # what is to be predicted after each token
        for line, (ids, of_row) in enumerate(zip(tokens, labels, strict=True)):
            self.ids[line, : len(ids)] = ids
            self.following[line, : len(ids) - 1] = of_row[1:]
        learned = self.following != IGNORED
        self.n_counted = learned.sum(axis=1)
        if first_counts:
            self.n_counted[:-1] += [of_row[0] != IGNORED for of_row in labels]
        self.lengths = np.where(learned.any(axis=1), width - learned[:, ::-1].argmax(axis=1), 0)
        self._line = {int(row): line for line, row in enumerate(wanted)} | {NULL_ROW: len(wanted)}

    def lines(self, rows: Sequence[int]) -> IntVector:
        """The lines of some rows; the null row's is the last.

        Args:
            rows: Row ids.

        Returns:
            Line numbers, one for each row.
        """
        return np.array([self._line[row] for row in rows], dtype=np.int64)

    @property
    def null(self) -> int:
        """The line without tokens."""
        return len(self.ids) - 1


def n_steps(sequence: TrainingSequence, trainer: Trainer) -> int:
    """How many optimizer steps a training sequence takes.

    Args:
        sequence: The blocks of rows to train on.
        trainer: The trainer, for batch size, accumulation and epochs.

    Returns:
        The number of steps.
    """
    return len(_scheduled(sequence, trainer).steps)


def train_batched(
    trainer: Trainer, stack: Stack, sequences: Sequence[TrainingSequence], table: RowTable, tokens_at_once: int
) -> None:
    """Train adapter k on the rows of sequence k.

    An adapter whose sequence has ended is left out of the steps that follow.

    Args:
        trainer: The trainer whose steps to take.
        stack: The adapters.
        sequences: One for each adapter, of one block each, those of most steps first.
        table: The tokens of all rows.
        tokens_at_once: About how many tokens are read in one pass; at least one row of each adapter is.
    """
    courses = [_course(sequence, trainer, table) for sequence in sequences]
    factors = _factors(trainer, [len(course) for course in courses], stack.weights.device)
    descent = _descent(trainer, stack)
    for step, factor in enumerate(factors):
        running = [course[step] for course in courses if len(course) > step]
        stack.show(0, len(running))
        stack.gradients.zero_()
        add_gradients(trainer, running, table, tokens_at_once)
        gradients = stack.gradients[: len(running)]
        if trainer.args.max_grad_norm:
            norms = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
            gradients *= (trainer.args.max_grad_norm / (norms + 1e-6)).clamp(max=1.0)  # as clip_grad_norm_
        descent.step(factor[: len(running)])


def add_gradients(trainer: Trainer, of_coalitions: Sequence[IntVector], table: RowTable, tokens_at_once: int) -> None:
    """Add the gradients of one step to those of the stack.

    Args:
        trainer: The trainer whose loss to take.
        of_coalitions: For each adapter the lines of its rows in the table.
        table: The tokens of all rows.
        tokens_at_once: About how many tokens are read in one pass.
    """
    n_tokens = np.array([max(int(table.n_counted[lines].sum()), 1) for lines in of_coalitions])
    for grid in _parts(of_coalitions, table, tokens_at_once):
        _Part(grid, table, 1 / n_tokens).descend(trainer)


class _Part:
    """Some rows of every adapter as one batch.

    It holds token ids, and of the learned tokens the places in the flat batch, the labels, and their shares in the
    loss of their adapter.
    """

    def __init__(self, grid: NDArray[np.int64], table: RowTable, share: NDArray[np.float64]) -> None:
        lines = grid.ravel()
        length = int(table.lengths[lines].max())
        following = table.following[lines, :length]
        learned = following != IGNORED
        self.ids = table.ids[lines, :length]
        self.places = np.flatnonzero(learned)
        self.labels = following[learned]
        self.shares = np.repeat(share, learned.reshape(len(grid), -1).sum(axis=1)).astype(np.float32)

    def descend(self, trainer: Trainer) -> None:
        """Backpropagate the sum of all adapters' losses; no weight has a part in two of them."""
        causal: PreTrainedModel = trainer.model.get_base_model()
        ids, places, labels, shares = (
            _sent(array, trainer.model.device) for array in (self.ids, self.places, self.labels, self.shares)
        )
        with trainer.accelerator.autocast():
            output = causal.base_model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
        states = output.last_hidden_state.flatten(0, 1).index_select(0, places)
        head = causal.get_output_embeddings()
        size = max(1, LOGITS_AT_ONCE // head.weight.shape[0])
        parts = [torch.split(tensor, size) for tensor in (states.detach(), labels, shares)]
        slopes = []
        for leaf, of_leaf, share in zip(*parts, strict=True):  # never the logits of all tokens at once
            with trainer.accelerator.autocast():
                logits = head(leaf.requires_grad_()).float()
            (cross_entropy(logits, of_leaf, reduction="none") @ share).backward()
            slopes.append(leaf.grad)
        states.backward(torch.cat(slopes))


def _parts(of_coalitions: Sequence[IntVector], table: RowTable, tokens_at_once: int) -> Iterator[NDArray[np.int64]]:
    """The rows of a step, ``(k, n)`` lines at a time: of every adapter the n longest that are left, as many as fit."""
    grid = np.full((len(of_coalitions), max(map(len, of_coalitions))), table.null)
    for coalition, lines in enumerate(of_coalitions):
        grid[coalition, : len(lines)] = lines[np.argsort(-table.lengths[lines], kind="stable")]
    longest = table.lengths[grid].max(axis=0)
    grid = grid[:, longest > 0]
    start = 0
    for end in range(1, grid.shape[1] + 1):
        if end == grid.shape[1] or (end + 1 - start) * len(grid) * longest[start] > tokens_at_once:
            yield grid[:, start:end]
            start = end


class _SGD:
    """SGD's step for one adapter, taken for all of them."""

    def __init__(self, stack: Stack, optimizer: Optimizer) -> None:
        self.stack, self.runs = stack, _runs(stack, optimizer)

    @torch.no_grad()
    def step(self, factors: torch.Tensor) -> None:
        """One step of the first k adapters; ``factors`` ``(k, 1)`` scale their learning rates."""
        for columns, group in self.runs:
            weights, gradients = (of[: len(factors), columns] for of in (self.stack.weights, self.stack.gradients))
            weights.sub_(gradients.add(weights, alpha=group["weight_decay"]) * (factors * _rate(group)))


class _AdamW:
    """AdamW's step for one adapter, taken for all of them."""

    def __init__(self, stack: Stack, optimizer: Optimizer) -> None:
        self.stack, self.runs = stack, _runs(stack, optimizer)
        self.n_steps = 0
        self.means, self.squares = torch.zeros_like(stack.weights), torch.zeros_like(stack.weights)

    @torch.no_grad()
    def step(self, factors: torch.Tensor) -> None:
        """One step of the first k adapters; ``factors`` ``(k, 1)`` scale their learning rates."""
        self.n_steps += 1
        lines = (self.stack.weights, self.stack.gradients, self.means, self.squares)
        for columns, group in self.runs:
            weights, gradients, means, squares = (of_all[: len(factors), columns] for of_all in lines)
            first, second = group["betas"]
            rates = factors * _rate(group)
            means.lerp_(gradients, 1 - first)
            squares.mul_(second).addcmul_(gradients, gradients, value=1 - second)
            spread = (squares.sqrt() / math.sqrt(1 - second**self.n_steps)).add_(group["eps"])
            if group["weight_decay"]:
                weights.mul_(1 - rates * group["weight_decay"])
            weights.addcmul_(torch.div(means, spread, out=spread), -rates / (1 - first**self.n_steps))


def unlike_optimizer(trainer: Trainer) -> str | None:
    """Why a stack cannot take the steps that the trainer's optimizer would.

    Args:
        trainer: The trainer with its optimizer, or with the name of the one it would make.

    Returns:
        The reason in a few words; None where it can.
    """
    optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
    if optimizer is None:
        chosen = str(getattr(trainer.args.optim, "value", trainer.args.optim))
        plain = chosen in ("adamw_torch", "adamw_torch_fused", "sgd") and trainer.optimizer_cls_and_kwargs is None
        plain &= type(trainer).create_optimizer is Trainer.create_optimizer
    else:
        unlike = ("amsgrad", "maximize", "momentum")
        plain = type(optimizer) in (AdamW, SGD) and not any(
            group.get(name) for group in optimizer.param_groups for name in unlike
        )
    return None if plain else "the optimizer is neither AdamW nor SGD without momentum"


def _descent(trainer: Trainer, stack: Stack) -> _SGD | _AdamW:
    optimizer = trainer.optimizer or trainer.create_optimizer()
    optimizer = getattr(optimizer, "optimizer", optimizer)
    return _SGD(stack, optimizer) if isinstance(optimizer, SGD) else _AdamW(stack, optimizer)


def _runs(stack: Stack, optimizer: Optimizer) -> list[tuple[slice, dict[str, Any]]]:
    """The columns of the stack, as long as they belong to one group of the optimizer, and that group."""
    groups = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    runs: list[tuple[slice, dict[str, Any]]] = []
    for parameter, columns in stack.columns.items():
        if runs and runs[-1][1] is groups[parameter]:
            columns = slice(runs.pop()[0].start, columns.stop)
        runs.append((columns, groups[parameter]))
    return runs


def _rate(group: Mapping[str, Any]) -> float:
    return float(group.get("initial_lr", group["lr"]))


def _scheduled(sequence: TrainingSequence, trainer: Trainer) -> Any:
    args = trainer.args
    size, accumulation = args.per_device_train_batch_size, args.gradient_accumulation_steps
    return schedule([sequence], size, accumulation, math.ceil(args.num_train_epochs))


def _course(sequence: TrainingSequence, trainer: Trainer, table: RowTable) -> list[IntVector]:
    """The lines of each step; the micro-batches of a step add up, so that it may be read in any parts."""
    batches, n = _scheduled(sequence, trainer).batches, trainer.args.gradient_accumulation_steps
    return [
        table.lines([row for batch in batches[first : first + n] for row in batch])
        for first in range(0, len(batches), n)
    ]


def _factors(trainer: Trainer, lengths: Sequence[int], device: torch.device) -> torch.Tensor:
    """By what the learning rate of each adapter is multiplied at each step, ``(n_steps, n_adapters, 1)``."""
    of_length = {length: schedule_factors(trainer.args, length) for length in set(lengths)}
    factors = np.zeros((max(lengths), len(lengths), 1), dtype=np.float32)
    for coalition, length in enumerate(lengths):
        factors[:length, coalition, 0] = of_length[length]
    return _sent(factors, device)


def _sent(array: NDArray[Any], device: torch.device) -> torch.Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
