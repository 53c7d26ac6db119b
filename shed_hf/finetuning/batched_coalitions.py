"""Batched coalitions: several of them fine-tuned and evaluated in one batch over one copy of the base weights.

A coalition of a small model leaves most of an accelerator idle. Here each of K coalitions has an adapter, optimizer
moments, a learning rate and clipping of its own. Its outcomes are those it has when it is trained alone, to float
tolerance. All functions are to be called within the utility's isolation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn
from trl import SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from shed_hf.errors import InputError
from shed_hf.evaluation.memory import out_of_memory
from shed_hf.evaluation.objectives import LikelihoodObjective
from shed_hf.finetuning.batched_lora import stacked, unstackable
from shed_hf.finetuning.batched_training import RowTable, add_gradients, n_steps, train_batched, unlike_optimizer
from shed_hf.finetuning.callback import with_learning_rate_advice
from shed_hf.finetuning.sft_trainer import LearnedTokensSFTTrainer
from shed_hf.game.utility import OutcomeCallback
from shed_hf.types import FloatVector, TrainingSequence

if TYPE_CHECKING:
    from shed_hf.finetuning.session import TrainingSession

Wanted: TypeAlias = int | Literal["auto"]
"""How many coalitions to train in one batch: a number, or as many as there is room for."""


MAX_BATCHED = 64
"""The most coalitions in one batch where the caller leaves the number open."""


SHARE_OF_MEMORY = 0.8
"""How much of a GPU's free memory batches may take."""


TOKENS_AT_ONCE, TOKENS_AT_ONCE_ON_CPU = 16384, 2048
"""How many tokens one pass reads, of all coalitions together: enough to keep the device busy; more costs memory."""


_Outcomes = list[tuple[FloatVector, dict[str, float]]]


_probed: "WeakKeyDictionary[nn.Module, str | None]" = WeakKeyDictionary()


def why_not_batched(utility: "TrainingSession") -> str | None:
    """Why this utility's coalitions must be trained one after another.

    Settings are looked at first. Then, once for each model, the model reads two rows in a batch of two adapters and
    alone, and the hidden states are compared.

    Args:
        utility: The trainer with its evaluation and rows.

    Returns:
        The reason in a few words; None where coalitions can be batched.
    """
    trainer = utility.trainer
    if not isinstance(utility.evaluation.objective, LikelihoodObjective):
        return "the objective is not made of log-likelihoods"
    found = (
        _unlike_trainer(trainer)
        or unlike_optimizer(trainer)
        or unstackable(trainer.model)
        or random_in_training(trainer)
    )
    if found is None and trainer.model not in _probed:
        _probed[trainer.model] = _unlike_alone(trainer)
    return found or _probed.get(trainer.model)


def check_wanted(wanted: Wanted) -> None:
    """Check how many coalitions a batch should have.

    Args:
        wanted: The number asked for.

    Raises:
        InputError: For anything but a whole number >= 1 and ``"auto"``.
    """
    if wanted != "auto" and (isinstance(wanted, bool) or not isinstance(wanted, int | np.integer) or wanted < 1):
        raise InputError(f'coalitions_per_batch={wanted!r} counts no coalitions; pass a whole number >= 1 or "auto"')


def max_batched(utility: "TrainingSession", wanted: Wanted) -> int:
    """How many coalitions a batch can have, whatever memory allows.

    Args:
        utility: The trainer, for its device.
        wanted: The number asked for; ``"auto"`` is `MAX_BATCHED` on a GPU and 1 on a CPU.

    Returns:
        A whole number >= 1.
    """
    if wanted == "auto":
        return MAX_BATCHED if _on_gpu(utility.trainer) else 1
    return int(wanted)


def coalitions_at_once(
    utility: "TrainingSession", sequences: Sequence[TrainingSequence], wanted: Wanted = "auto"
) -> int:
    """How many of these sequences to measure at once, never more than there are.

    Args:
        utility: The trainer with its evaluation and rows.
        sequences: What is to be measured; only those of one block can be batched.
        wanted: How many to batch. ``"auto"`` is 1 on a CPU, and on a GPU as many as its free memory has room for, at
            most `MAX_BATCHED`; to find out, one row is trained on.

    Returns:
        A whole number >= 1.

    Raises:
        InputError: For any other ``wanted`` than a whole number >= 1 or ``"auto"``.
    """
    check_wanted(wanted)
    suited = _suited(sequences)
    if len(suited) < 2:
        return 1
    if wanted == "auto":
        wanted = 1
        if _on_gpu(utility.trainer):
            table = _table(utility, [sequences[number] for number in suited])
            wanted = _MemoryUse.of(utility.trainer, table).coalitions(int(table.lengths.max()))
    return min(int(wanted), len(suited))


def measure(
    utility: "TrainingSession", sequences: Sequence[TrainingSequence], record: OutcomeCallback, n_batched: int
) -> set[int]:
    """Measure the sequences that have one block of rows, several at a time; leave the others.

    Sequences of many steps come first. Where memory runs out, the group is measured again in halves. The model's own
    adapter is left at θ₀.

    Args:
        utility: The trainer with its evaluation and rows.
        sequences: What is to be measured.
        record: Called with the outcomes of a group when it is evaluated; those that are not finite come last.
        n_batched: How many sequences to train at a time.

    Returns:
        The numbers of the sequences that were measured.

    Raises:
        Diverged: Where ``record`` does.
        torch.OutOfMemoryError: Where there is no room for a single coalition.
    """
    suited = _suited(sequences)
    if not suited:
        return set()
    trainer = utility.trainer
    utility.origin.restore(trainer.optimizer)
    table = _table(utility, [sequences[number] for number in suited])
    tokens_at_once = _tokens_at_once(trainer, table, n_batched)
    pending = sorted(suited, key=lambda number: -n_steps(sequences[number], trainer))
    while pending:
        n_groups = math.ceil(len(pending) / n_batched)
        group = pending[: math.ceil(len(pending) / n_groups)]
        outcomes = _attempt(utility, [sequences[number] for number in group], table, tokens_at_once)
        if outcomes is None:
            n_batched, tokens_at_once = math.ceil(len(group) / 2), tokens_at_once // 2
            continue
        _record(utility, group, outcomes, record)
        pending = pending[len(group) :]
    return set(suited)


def _attempt(
    utility: "TrainingSession", sequences: Sequence[TrainingSequence], table: RowTable, tokens_at_once: int
) -> _Outcomes | None:
    """The outcomes of a group; None where memory ran out and a smaller group is left to try."""
    try:
        return _measured(utility, sequences, table, tokens_at_once)
    except RuntimeError as error:
        if len(sequences) == 1 or not out_of_memory(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _measured(
    utility: "TrainingSession", sequences: Sequence[TrainingSequence], table: RowTable, tokens_at_once: int
) -> _Outcomes:
    trainer = utility.trainer
    with stacked(trainer.model, len(sequences)) as stack:
        training = trainer.model.training
        trainer.model.train()
        try:
            train_batched(trainer, stack, sequences, table, tokens_at_once)
        finally:
            trainer.model.train(training)
        with trainer.accelerator.autocast():
            return utility.evaluation.measure_batched(trainer.model, len(sequences), stack.show)


def _record(utility: "TrainingSession", numbers: Sequence[int], outcomes: _Outcomes, record: OutcomeCallback) -> None:
    """Record finite outcomes first: one that is not ends the run, and those beside it would be lost."""
    finite = [np.isfinite(outcome).all() for outcome, _ in outcomes]
    for place in np.argsort(np.logical_not(finite), kind="stable"):
        with with_learning_rate_advice(utility.trainer.args.learning_rate):
            record(numbers[place], 0, *outcomes[place])


def _suited(sequences: Sequence[TrainingSequence]) -> list[int]:
    """The numbers of the sequences that are one block of rows; what continues a training is not begun anew."""
    return [number for number, sequence in enumerate(sequences) if len(sequence) == 1 and len(sequence[0])]


def _unlike_trainer(trainer: SFTTrainer) -> str | None:
    """What the trainer does that training in a batch would not."""
    kind, args = type(trainer), trainer.args
    known = (SFTTrainer.compute_loss, LearnedTokensSFTTrainer.compute_loss)
    steps = (SFTTrainer.training_step, LearnedTokensSFTTrainer.training_step)
    own_loss = kind.compute_loss not in known or kind.training_step not in steps
    own_loss |= args.loss_type != "nll" or trainer.label_smoother is not None or trainer.compute_loss_func is not None
    if own_loss or trainer.aux_loss_enabled or not trainer.model_accepts_loss_kwargs:
        return "the trainer's loss is its own"
    collator = trainer.data_collator
    if type(collator) is not DataCollatorForLanguageModeling or collator.padding_free:
        return "the trainer collates rows in its own way"
    if args.fp16:
        return "fp16 scales the loss"
    if args.activation_offloading:
        return "activations are offloaded"
    if trainer.accelerator.num_processes > 1 or trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        return "several processes train one model"
    callbacks = trainer.callback_handler.callbacks
    if any(type(one).__module__.split(".")[0] not in ("transformers", "trl", "shed_hf") for one in callbacks):
        return "the trainer has callbacks of its own"
    return None


def random_in_training(trainer: SFTTrainer) -> str | None:
    """What draws random numbers while a micro-batch is trained on, so that other micro-batches draw others.

    Args:
        trainer: The trainer with its model.

    Returns:
        A few words; None where nothing does.
    """
    if trainer.args.neftune_noise_alpha:
        return "NEFTune draws other noise for each coalition"
    for module in trainer.model.modules():
        rates = [value for name, value in vars(module).items() if "drop" in name and isinstance(value, float)]
        if any(rate > 0 for rate in rates) or (isinstance(module, nn.Dropout) and module.p > 0):
            return "dropout draws other random numbers for each coalition"
    return None


@torch.no_grad()
def _unlike_alone(trainer: SFTTrainer) -> str | None:
    """What a model reads otherwise in a batch of adapters than alone, found by having it read two rows both ways."""
    model, causal = trainer.model, trainer.model.get_base_model()
    body, head = causal.base_model, causal.get_output_embeddings()
    if body is causal or head is None:
        return "the model has no body and output layer of its own"
    ids = torch.arange(1, 17, device=model.device).view(2, 8)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    training = model.training
    model.eval()
    try:
        with trainer.accelerator.autocast():
            read = {"input_ids": ids, "attention_mask": mask, "use_cache": False}
            alone, logits = body(**read).last_hidden_state, model(**read).logits.float()
            in_batch = _in_a_batch(model, body, torch.where(mask.bool(), ids, 1))  # otherwise behind the end of a row
            from_states = head(alone).float()
    except RuntimeError:  # of shapes: a layer saw no rows of two adapters
        return _MIXES
    finally:
        model.train(training)
    apart = (in_batch - alone).float().norm(dim=-1) / alone.float().norm(dim=-1)
    if not (apart[mask.bool()] < 0.1).all():  # with the other adapter it is about 1
        return _MIXES
    if not torch.allclose(from_states, logits, rtol=1e-4, atol=1e-4 * float(logits.std())):
        return "the model does more to its logits than its output layer"
    return None


_MIXES = "the model mixes the rows of a batch, or looks ahead in them"


def _in_a_batch(model: nn.Module, body: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """The last hidden states of rows in a batch with other rows that another adapter reads."""
    noise = torch.Generator().manual_seed(0)
    both = torch.cat([ids, ids + 16])
    with stacked(model, 2) as stack:
        stack.weights[1] += 0.1 * torch.randn(stack.weights.shape[1], generator=noise).to(stack.weights.device)
        output = body(input_ids=both, attention_mask=torch.ones_like(both), use_cache=False)
    states: torch.Tensor = output.last_hidden_state
    return states[: len(ids)]


def _table(utility: "TrainingSession", sequences: Sequence[TrainingSequence]) -> RowTable:
    wanted = np.unique(np.concatenate([sequence[0] for sequence in sequences]))
    return RowTable(utility.rows, wanted, first_counts=not utility.trainer._loss_shifts_labels)


@dataclass(frozen=True)
class _MemoryUse:
    """What batched coalitions take of a GPU's memory, and what is free of it, in bytes."""

    free: float
    coalition: float
    token: float

    @classmethod
    def of(cls, trainer: SFTTrainer, table: RowTable) -> "_MemoryUse":
        """Measured on one coalition that is trained on its longest row."""
        device, longest = trainer.model.device, np.array([table.lengths.argmax()])
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        with stacked(trainer.model, 1) as stack:
            add_gradients(trainer, [longest], table, TOKENS_AT_ONCE)
            # weights, gradients, two moments, and as much again while they are used
            coalition = 6 * stack.weights.nbytes
        token = (torch.cuda.max_memory_allocated(device) - before) / max(table.lengths.max(), 1)
        return cls(SHARE_OF_MEMORY * free, coalition, token)

    def coalitions(self, longest: int) -> int:
        """How many coalitions there is room for when each reads a row of ``longest`` tokens."""
        return min(MAX_BATCHED, max(1, int(self.free / (self.coalition + self.token * longest))))

    def tokens(self, n_batched: int) -> int:
        """How many tokens may be read at once beside the adapters of as many coalitions."""
        return min(TOKENS_AT_ONCE, max(1, int((self.free - n_batched * self.coalition) / self.token)))


def _tokens_at_once(trainer: SFTTrainer, table: RowTable, n_batched: int) -> int:
    return _MemoryUse.of(trainer, table).tokens(n_batched) if _on_gpu(trainer) else TOKENS_AT_ONCE_ON_CPU


def _on_gpu(trainer: SFTTrainer) -> bool:
    return bool(trainer.args.device.type == "cuda")
