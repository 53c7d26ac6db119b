"""What all prompts begin with, such as a chat template's system message, read once for each state of a model.

Its keys and values stand before every batch in the columns in which the batch would have had them, padding included:
a line that is shorter by s tokens has them s columns further right. So no token sees anything it did not see before.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from shed_hf.evaluation.batches import Batch, Candidate, worth_a_pass
from shed_hf.types import IntVector


def shared_prefix(candidates: Sequence[Candidate], n_lines: int, device: torch.device) -> IntVector:
    """The tokens that all prompts begin with, where reading them once pays.

    Args:
        candidates: The candidates; at least one token of each prompt is left to be read by itself.
        n_lines: How many lines the batches have, each of which would read the prefix.
        device: Where the model is.

    Returns:
        ``(p,)``; empty where fewer tokens would be saved than one more forward pass is worth.
    """
    first = candidates[0].ids
    longest = min(min(one.start, len(one.ids) - 1) for one in candidates) - 1
    alike = max(longest, 0)
    for one in candidates:
        unlike = np.flatnonzero(one.ids[:alike] != first[:alike])
        alike = int(unlike[0]) if len(unlike) else alike
    return first[:alike] if (n_lines - 1) * alike > worth_a_pass(device) else first[:0]


def plain_cache(output: Any) -> DynamicCache | None:
    """The keys and values of all tokens that a model has read.

    Args:
        output: What the model returned.

    Returns:
        The cache; None where the model keeps anything else, such as a recurrent state or a window of the last tokens.
    """
    cache: Any = getattr(output, "past_key_values", None)
    if type(cache) is not DynamicCache or any(type(layer) is not DynamicLayer for layer in cache.layers):
        return None
    return cache


def ahead_of(cache: DynamicCache, batch: Batch) -> DynamicCache:
    """The prefix's keys and values in the first columns of a batch.

    Args:
        cache: Those of the prefix, one line for each copy that the batch consists of.
        batch: The batch.

    Returns:
        A new cache with a line for each of the batch's; columns that are padding hold anything.
    """
    n_columns, n_lines = cache.get_seq_length(), len(batch.lines)
    padding = (batch.mask == 0).sum(dim=1, keepdim=True)
    columns = (torch.arange(n_columns, device=padding.device) - padding).clamp(min=0)  # (P, p)
    n_copies = next(len(layer.keys) for layer in cache.layers if layer.is_initialized)
    copies = torch.arange(n_lines, device=padding.device)[:, None] // (n_lines // n_copies)
    ahead = copy.copy(cache)
    ahead.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in ahead.layers:
        if layer.is_initialized:
            layer.keys = layer.keys[copies, :, columns].transpose(1, 2)
            layer.values = layer.values[copies, :, columns].transpose(1, 2)
    return ahead
