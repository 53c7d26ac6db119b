"""Coalitions abreast: several of them fine-tuned and evaluated side by side over one copy of the base weights.

A coalition of a small model leaves most of an accelerator idle. Here each of K coalitions has a *lane*: an adapter,
moments, a learning rate and clipping of its own. Its outcomes are those it has when it is trained alone, to float
tolerance. All functions are to be called within the utility's sandbox.
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
from shed_hf.finetuning.batched_training import RowTable, add_gradients, n_steps, train_lanes, unlike_optimizer
from shed_hf.finetuning.callback import told_to_lower
from shed_hf.finetuning.sft_trainer import LeanSFTTrainer
from shed_hf.game.utility import OutcomeCallback
from shed_hf.types import FloatVector, TrainingSequence

if TYPE_CHECKING:
    from shed_hf.finetuning.session import TrainingSession

Wanted: TypeAlias = int | Literal["auto"]
"""How many coalitions to train side by side: a number, or as many as there is room for."""


MOST_LANES = 64


SHARE_OF_MEMORY = 0.8


TOKENS_AT_ONCE, TOKENS_AT_ONCE_ON_CPU = 16384, 2048
"""How many tokens one pass reads, of all lanes together: enough to keep the device busy; more costs memory and padding.
"""


_Outcomes = list[tuple[FloatVector, dict[str, float]]]


_probed: "WeakKeyDictionary[nn.Module, str | None]" = WeakKeyDictionary()


def why_not_batched(utility: "TrainingSession") -> str | None:
    """Why this utility's coalitions must be trained one after another, in a few words; None where they need not.

    Settings are looked at first; then, once for each model, it is asked to read two rows abreast and alone.
    """
    trainer = utility.trainer
    if not isinstance(utility.evaluation.objective, LikelihoodObjective):
        return "the objective is not made of log-likelihoods"
    found = _unlike_trainer(trainer) or unlike_optimizer(trainer) or unstackable(trainer.model) or _random(trainer)
    if found is None and trainer.model not in _probed:
        _probed[trainer.model] = _unlike_alone(trainer)
    return found or _probed.get(trainer.model)


def check_wanted(wanted: Wanted) -> None:
    """Raise `InputError` for anything but a whole number >= 1 and ``"auto"``."""
    if wanted != "auto" and (isinstance(wanted, bool) or not isinstance(wanted, int | np.integer) or wanted < 1):
        raise InputError(f'coalitions_per_batch={wanted!r} counts no coalitions; pass a whole number >= 1 or "auto"')


def most_lanes(utility: "TrainingSession", wanted: Wanted) -> int:
    """How many lanes there can be, whatever memory allows."""
    if wanted == "auto":
        return MOST_LANES if _on_gpu(utility.trainer) else 1
    return int(wanted)


def lanes(utility: "TrainingSession", walks: Sequence[TrainingSequence], wanted: Wanted = "auto") -> int:
    """How many of these walks to measure at once, never more than there are.

    ``"auto"`` is 1 on a CPU and on a GPU as many as its free memory has room for, at most 64; for that one row is
    trained on. Raises `InputError` for any other ``wanted`` than a whole number >= 1.
    """
    check_wanted(wanted)
    suited = _suited(walks)
    if len(suited) < 2:
        return 1
    if wanted == "auto":
        wanted = 1
        if _on_gpu(utility.trainer):
            table = _table(utility, [walks[number] for number in suited])
            wanted = _Appetite.of(utility.trainer, table).lanes(int(table.lengths.max()))
    return min(int(wanted), len(suited))


def measure(
    utility: "TrainingSession", walks: Sequence[TrainingSequence], record: OutcomeCallback, lanes: int
) -> set[int]:
    """Measure the walks of one block with rows, ``lanes`` at a time, and give their numbers; leave the others.

    ``record`` is told the outcomes of a group when it is evaluated, walks of many steps before others, and what is not
    finite last. Where memory runs out, the group is measured again in halves. The model's own adapter is left at θ₀.
    Raises `Diverged` where ``record`` does, and `torch.OutOfMemoryError` where a single lane has no room.
    """
    suited = _suited(walks)
    if not suited:
        return set()
    trainer = utility.trainer
    utility.origin.restore(trainer.optimizer)
    table = _table(utility, [walks[number] for number in suited])
    tokens_at_once = _tokens_at_once(trainer, table, lanes)
    pending = sorted(suited, key=lambda number: -n_steps(walks[number], trainer))
    while pending:
        n_groups = math.ceil(len(pending) / lanes)
        group = pending[: math.ceil(len(pending) / n_groups)]
        outcomes = _attempt(utility, [walks[number] for number in group], table, tokens_at_once)
        if outcomes is None:
            lanes, tokens_at_once = math.ceil(len(group) / 2), tokens_at_once // 2
            continue
        _record(utility, group, outcomes, record)
        pending = pending[len(group) :]
    return set(suited)


def _attempt(
    utility: "TrainingSession", walks: Sequence[TrainingSequence], table: RowTable, tokens_at_once: int
) -> _Outcomes | None:
    """The outcomes of a group; None where memory ran out and a smaller group is left to try."""
    try:
        return _measured(utility, walks, table, tokens_at_once)
    except RuntimeError as error:
        if len(walks) == 1 or not out_of_memory(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _measured(
    utility: "TrainingSession", walks: Sequence[TrainingSequence], table: RowTable, tokens_at_once: int
) -> _Outcomes:
    trainer = utility.trainer
    with stacked(trainer.model, len(walks)) as stack:
        training = trainer.model.training
        trainer.model.train()
        try:
            train_lanes(trainer, stack, walks, table, tokens_at_once)
        finally:
            trainer.model.train(training)
        with trainer.accelerator.autocast():
            return utility.evaluation.measure_abreast(trainer.model, len(walks), stack.show)


def _record(utility: "TrainingSession", numbers: Sequence[int], outcomes: _Outcomes, record: OutcomeCallback) -> None:
    """Record finite outcomes first: one that is not ends the run, and those beside it would be lost."""
    finite = [np.isfinite(outcome).all() for outcome, _ in outcomes]
    for place in np.argsort(np.logical_not(finite), kind="stable"):
        with told_to_lower(utility.trainer.args.learning_rate):
            record(numbers[place], 0, *outcomes[place])


def _suited(walks: Sequence[TrainingSequence]) -> list[int]:
    """The numbers of the walks that are one block of rows; what continues a training is not begun anew."""
    return [number for number, walk in enumerate(walks) if len(walk) == 1 and len(walk[0])]


def _unlike_trainer(trainer: SFTTrainer) -> str | None:
    """What the trainer does that lanes would not."""
    kind, args = type(trainer), trainer.args
    known = (SFTTrainer.compute_loss, LeanSFTTrainer.compute_loss)
    own_loss = kind.compute_loss not in known or kind.training_step is not SFTTrainer.training_step
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


def _random(trainer: SFTTrainer) -> str | None:
    if trainer.args.neftune_noise_alpha:
        return "NEFTune draws other noise for each coalition"
    for module in trainer.model.modules():
        rates = [value for name, value in vars(module).items() if "drop" in name and isinstance(value, float)]
        if any(rate > 0 for rate in rates) or (isinstance(module, nn.Dropout) and module.p > 0):
            return "dropout draws other random numbers for each coalition"
    return None


@torch.no_grad()
def _unlike_alone(trainer: SFTTrainer) -> str | None:
    """What a model reads otherwise in a lane than alone, found by having it read two rows both ways."""
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
            in_lane = _in_a_lane(model, body, torch.where(mask.bool(), ids, 1))  # otherwise behind the end of a row
            from_states = head(alone).float()
    except RuntimeError:  # of shapes: a layer saw no rows of two lanes
        return _MIXES
    finally:
        model.train(training)
    apart = (in_lane - alone).float().norm(dim=-1) / alone.float().norm(dim=-1)
    if not (apart[mask.bool()] < 0.1).all():  # with the other adapter it is about 1
        return _MIXES
    if not torch.allclose(from_states, logits, rtol=1e-4, atol=1e-4 * float(logits.std())):
        return "the model does more to its logits than its output layer"
    return None


_MIXES = "the model mixes the rows of a batch, or looks ahead in them"


def _in_a_lane(model: nn.Module, body: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """The last hidden states of rows beside a lane that has other rows and another adapter."""
    noise = torch.Generator().manual_seed(0)
    both = torch.cat([ids, ids + 16])
    with stacked(model, 2) as stack:
        stack.weights[1] += 0.1 * torch.randn(stack.weights.shape[1], generator=noise).to(stack.weights.device)
        output = body(input_ids=both, attention_mask=torch.ones_like(both), use_cache=False)
    states: torch.Tensor = output.last_hidden_state
    return states[: len(ids)]


def _table(utility: "TrainingSession", walks: Sequence[TrainingSequence]) -> RowTable:
    rows = utility.trainer.train_dataset if utility.rows is None else utility.rows
    wanted = np.unique(np.concatenate([walk[0] for walk in walks]))
    return RowTable(rows, wanted, first_counts=not utility.trainer._loss_shifts_labels)


@dataclass(frozen=True)
class _Appetite:
    """What lanes take of a GPU's memory, and what is free of it, in bytes."""

    free: float
    lane: float
    token: float

    @classmethod
    def of(cls, trainer: SFTTrainer, table: RowTable) -> "_Appetite":
        """Measured on one lane that is trained on its longest row."""
        device, longest = trainer.model.device, np.array([table.lengths.argmax()])
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        with stacked(trainer.model, 1) as stack:
            add_gradients(trainer, [longest], table, TOKENS_AT_ONCE)
            lane = 6 * stack.weights.nbytes  # weights, gradients, two moments, and as much again while they are used
        token = (torch.cuda.max_memory_allocated(device) - before) / max(table.lengths.max(), 1)
        return cls(SHARE_OF_MEMORY * free, lane, token)

    def lanes(self, longest: int) -> int:
        """How many lanes there is room for when each reads a row of ``longest`` tokens."""
        return min(MOST_LANES, max(1, int(self.free / (self.lane + self.token * longest))))

    def tokens(self, n_lanes: int) -> int:
        """How many tokens may be read at once beside the adapters of as many lanes."""
        return min(TOKENS_AT_ONCE, max(1, int((self.free - n_lanes * self.lane) / self.token)))


def _tokens_at_once(trainer: SFTTrainer, table: RowTable, n_lanes: int) -> int:
    return _Appetite.of(trainer, table).tokens(n_lanes) if _on_gpu(trainer) else TOKENS_AT_ONCE_ON_CPU


def _on_gpu(trainer: SFTTrainer) -> bool:
    return bool(trainer.model.device.type == "cuda")
