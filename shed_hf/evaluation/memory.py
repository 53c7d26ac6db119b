"""Batch sizes for evaluations that fit into a device's memory, and smaller ones when memory runs out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from accelerate.utils.memory import clear_device_cache
from transformers import PreTrainedModel

from shed_hf.errors import InputError
from shed_hf.utils.console import say
from shed_hf.utils.setting_hint import setting_hint
from shed_hf.utils.text import first_line

_T = TypeVar("_T")


SHARE_OF_FREE = 0.25
"""The share of the free memory that a batch may take; the estimate behind it is rough."""


BYTES_PER_LOGIT = 16  # as the model gives it, in float32, and what the sum over the vocabulary makes of it


MOST_TOKENS, MOST_LOGITS = 2**16, 2**30  # a GPU is busy long before, and padding grows with a batch


@dataclass(frozen=True)
class Budget:
    """The largest batch of an evaluation.

    Attributes:
        tokens: How many tokens it may hold, padding included.
        logits: How many logits it may produce: positions times vocabulary.
    """

    tokens: int
    logits: int

    def halved(self) -> "Budget":
        """Half of both, and at least one."""
        return Budget(max(self.tokens // 2, 1), max(self.logits // 2, 1))


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device, or the host, has no memory left.

    Args:
        error: What was raised.

    Returns:
        True for an out-of-memory error of CUDA, MPS, cuBLAS or the CPU allocator.
    """
    phrases = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "MPS backend out of memory")
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in phrases)
    )


def evaluated_within_memory(evaluate: Callable[[], _T], smaller: Callable[[], bool]) -> _T:
    """Evaluate, with smaller batches as often as memory runs out.

    Args:
        evaluate: What to do; it is called again after each reduction.
        smaller: Makes the batches smaller; returns False where they cannot be.

    Returns:
        What ``evaluate`` returns.

    Raises:
        InputError: Where memory runs out and the batches cannot be smaller.
    """
    while True:
        try:
            return evaluate()
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if not smaller():
                raise InputError(
                    f"memory ran out in an evaluation of one candidate at a time ({first_line(error)}); lower "
                    f"{setting_hint('max_length')}, or pass a smaller model"
                ) from error
        say("memory ran out in an evaluation: its batches are half as large from now on")
        clear_device_cache(garbage_collection=True)


def budget_on(model: PreTrainedModel, usual: Budget) -> Budget:
    """The largest batch for a model where it is: on a GPU by the free memory, elsewhere the usual one.

    It is rounded down to a power of two, so that the same GPU gives the same batches although a little more or less
    of it is free.

    Args:
        model: The model that will be evaluated.
        usual: The budget anywhere but on a GPU.

    Returns:
        The budget.
    """
    weight = next(model.parameters())
    if weight.device.type != "cuda":
        return usual
    free = torch.cuda.mem_get_info(weight.device)[0]
    free += torch.cuda.memory_reserved(weight.device) - torch.cuda.memory_allocated(weight.device)
    return budget_within(free, bytes_per_token(model.config.get_text_config(), weight.dtype.itemsize))


def budget_within(free: int, token_bytes: int) -> Budget:
    """The largest batch for an amount of free memory.

    Args:
        free: Bytes that are free.
        token_bytes: Bytes that the states of one token take.

    Returns:
        The budget, in powers of two.
    """
    room = SHARE_OF_FREE * free
    return Budget(
        _power_of_two(room / token_bytes, MOST_TOKENS),
        _power_of_two(room / BYTES_PER_LOGIT, MOST_LOGITS),
    )


def bytes_per_token(config: Any, itemsize: int) -> int:
    """About how much memory reading one token takes: keys and values of all layers, and one layer's activations.

    Args:
        config: The text configuration of a model.
        itemsize: Bytes per number of its weights.

    Returns:
        Bytes.
    """
    hidden = config.hidden_size
    heads = getattr(config, "num_attention_heads", None) or 1
    shared = getattr(config, "num_key_value_heads", None) or heads
    kept = 2 * config.num_hidden_layers * shared * (getattr(config, "head_dim", None) or hidden // heads)
    at_work = 8 * hidden + 3 * (getattr(config, "intermediate_size", None) or 4 * hidden)
    return int(itemsize * (kept + at_work))


def _power_of_two(most: float, at_most: int) -> int:
    return min(1 << max(int(most).bit_length() - 1, 0), at_most)
