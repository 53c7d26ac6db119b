"""What fits into a device's memory: smaller micro-batches of the same steps, smaller batches of the same evaluation.

How large a batch may be is not known before it was tried, least of all where others use the same GPU. So a run begins
with the caller's batches; where memory runs out they are made smaller, what was under way is done again, and what was
recorded stays. Sums over a step's or an evaluation's tokens are the same in any batches but for the last digits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from accelerate.utils.memory import clear_device_cache
from transformers import PreTrainedModel, Trainer

from shed_hf.arrays import FloatVector, Walk
from shed_hf.callbacks import Measure, Origin, ProxyValueCallback
from shed_hf.errors import InputError
from shed_hf.game import Record
from shed_hf.report import say
from shed_hf.utilities.settings import frozen_garbage

_T = TypeVar("_T")

SHARE_OF_FREE = 0.25
"""How much of the memory that is free an evaluation's batch may take, by an estimate that is rough."""
BYTES_PER_LOGIT = 16  # as the model gives it, in float32, and what the sum over the vocabulary makes of it
MOST_TOKENS, MOST_LOGITS = 2**16, 2**30  # a GPU is busy long before, and padding grows with a batch


@dataclass
class MicroBatches:
    """Into how many times more micro-batches than a trainer's arguments say its steps are ``split``, to fit."""

    split: int = 1


@dataclass(frozen=True)
class Budget:
    """How many tokens, and how many logits, a batch of an evaluation may hold."""

    tokens: int
    logits: int

    def halved(self) -> "Budget":
        """Half of both, and at least one."""
        return Budget(max(self.tokens // 2, 1), max(self.logits // 2, 1))


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device, or the host in its place, has no memory left."""
    told = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "MPS backend out of memory")
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in told)
    )


def measured_within_memory(
    trainer: Trainer,
    rows: Any,
    walks: Sequence[Walk],
    evaluation: Measure,
    record: Record,
    origin: Origin,
    steps: MicroBatches,
) -> None:
    """Train every walk from θ₀ in one run, reporting each outcome; where memory runs out, in smaller micro-batches.

    ``rows[row]`` are the features of a row. A step keeps its rows and its mean over all their learned tokens. Only
    walks with outcomes not yet recorded are trained again, and ``steps`` stay split for later calls. With dropout the
    random numbers of a step that is split are others. Raises `InputError` where a single row does not fit.
    """
    course = _Course(walks, record)
    while course.left:
        callback = ProxyValueCallback.of_walks(
            course.left, evaluation, course.recorder(), origin, recorded=course.recorded, split=steps.split
        )
        callback.attach(trainer, rows)
        try:
            with frozen_garbage():
                trainer.train()
        except RuntimeError as error:
            if not (out_of_memory(error) and _divisible(trainer)):
                raise
            _split_further(steps, trainer, rows, course.left[0], error)
        else:
            return
        finally:
            callback.detach(trainer)
        clear_device_cache(garbage_collection=True)  # here the error, which holds on to the batch, is gone


def evaluated_within_memory(evaluate: Callable[[], _T], smaller: Callable[[], bool]) -> _T:
    """What ``evaluate`` gives, after ``smaller`` as often as memory runs out.

    ``smaller`` makes the batches smaller, or says with False that they cannot be. Raises `InputError` then.
    """
    while True:
        try:
            return evaluate()
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if not smaller():
                raise InputError(
                    f"memory ran out in an evaluation of one candidate at a time ({_first_line(error)}); lower "
                    "max_length, in args=SFTConfig(max_length=…), or pass a smaller model"
                ) from error
        say("memory ran out in an evaluation: its batches are half as large from now on")
        clear_device_cache(garbage_collection=True)


def budget_on(model: PreTrainedModel, usual: Budget) -> Budget:
    """How large the batches of an evaluation may be where ``model`` is: ``usual`` but on a GPU, whose free memory says.

    In whole powers of two, so that the same GPU gives the same batches although a little more or less of it is free.
    """
    weight = next(model.parameters())
    if weight.device.type != "cuda":
        return usual
    free = torch.cuda.mem_get_info(weight.device)[0]
    free += torch.cuda.memory_reserved(weight.device) - torch.cuda.memory_allocated(weight.device)
    return budget_within(free, bytes_per_token(model.config.get_text_config(), weight.dtype.itemsize))


def budget_within(free: int, token_bytes: int) -> Budget:
    """The budget of a batch where ``free`` bytes are free and a token's states take ``token_bytes``."""
    room = SHARE_OF_FREE * free
    return Budget(
        _power_of_two(room / token_bytes, MOST_TOKENS),
        _power_of_two(room / BYTES_PER_LOGIT, MOST_LOGITS),
    )


def bytes_per_token(config: Any, itemsize: int) -> int:
    """What reading a token takes, about: keys and values of all layers, and the states of the layer at work."""
    hidden = config.hidden_size
    heads = getattr(config, "num_attention_heads", None) or 1
    shared = getattr(config, "num_key_value_heads", None) or heads
    kept = 2 * config.num_hidden_layers * shared * (getattr(config, "head_dim", None) or hidden // heads)
    at_work = 8 * hidden + 3 * (getattr(config, "intermediate_size", None) or 4 * hidden)
    return int(itemsize * (kept + at_work))


class _Course:
    """How far the walks of one call have come: those in order before ``left`` are recorded whole, and of the first of
    these ``recorded`` blocks.
    """

    def __init__(self, walks: Sequence[Walk], record: Record) -> None:
        self.left, self.recorded = list(walks), 0
        self._record, self._n_walks = record, len(walks)

    def recorder(self) -> Record:
        """What a run over the walks that are left now reports to."""
        return partial(self._note, self._n_walks - len(self.left), self.left)

    def _note(
        self,
        before: int,
        walks: Sequence[Walk],
        walk: int,
        block: int,
        outcome: FloatVector,
        beside: Mapping[str, float],
    ) -> None:
        self._record(before + walk, block, outcome, beside)
        whole = block + 1 == len(walks[walk])
        self.left, self.recorded = list(walks[walk + whole :]), 0 if whole else block + 1


def _divisible(trainer: Trainer) -> bool:
    """Whether a step's loss stays what it is in more micro-batches: where its tokens are counted over all of them."""
    counted = trainer.model_accepts_loss_kwargs or trainer.compute_loss_func is not None
    return bool(counted and trainer.accelerator.num_processes == 1)


def _split_further(steps: MicroBatches, trainer: Trainer, rows: Any, walk: Walk, error: RuntimeError) -> None:
    size, of_split = trainer.args.per_device_train_batch_size, steps.split
    if of_split >= size:
        longest = max(len(rows[int(row)]["input_ids"]) for block in walk for row in block)
        raise InputError(
            f"memory ran out while training one row at a time ({_first_line(error)}); the longest row of the coalition "
            f"has {longest} tokens: lower max_length={trainer.args.max_length}, in args=SFTConfig(max_length=…), or "
            "pass a smaller model"
        ) from error
    steps.split = min(2 * of_split, size)
    say(
        f"memory ran out with {-(-size // of_split)} rows at a time: steps are gone through {-(-size // steps.split)} "
        "rows at a time from now on, and the coalition under way is trained again"
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _power_of_two(most: float, at_most: int) -> int:
    return min(1 << max(int(most).bit_length() - 1, 0), at_most)
