"""TODO."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from accelerate.utils.memory import clear_device_cache
from transformers import PreTrainedModel

from shed_hf.errors import InputError
from shed_hf.utils.console import say
from shed_hf.utils.text import first_line

_T = TypeVar("_T")


SHARE_OF_FREE = 0.25
"""How much of the memory that is free an evaluation's batch may take, by an estimate that is rough."""


BYTES_PER_LOGIT = 16  # as the model gives it, in float32, and what the sum over the vocabulary makes of it


MOST_TOKENS, MOST_LOGITS = 2**16, 2**30  # a GPU is busy long before, and padding grows with a batch


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
                    f"memory ran out in an evaluation of one candidate at a time ({first_line(error)}); lower "
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


def _power_of_two(most: float, at_most: int) -> int:
    return min(1 << max(int(most).bit_length() - 1, 0), at_most)
