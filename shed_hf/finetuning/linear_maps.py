"""The linear maps whose weights an adapter trains: which they are, and listening to what they read."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch import nn

from shed_hf.errors import InputError

Listener: TypeAlias = Callable[[Any, tuple[torch.Tensor, ...], torch.Tensor], None]
"""Called with a map, its inputs and its output after each forward pass."""


@contextlib.contextmanager
def hooked(maps: Sequence[nn.Linear], listener: Listener) -> Iterator[None]:
    """Within, a listener is called after every forward pass of the maps.

    Args:
        maps: The linear maps.
        listener: What is called.
    """
    hooks = [one.register_forward_hook(listener) for one in maps]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def weight_spans(weights: Sequence[torch.Tensor]) -> dict[int, slice]:
    """Where each weight is in a vector of all of them.

    Args:
        weights: The weights, each once, in the order of the vector.

    Returns:
        The ``id`` of each weight to its part of the vector.
    """
    spans: dict[int, slice] = {}
    end = 0
    for weight in weights:
        spans[id(weight)] = slice(end, end := end + weight.numel())
    return spans


def linear_maps(model: nn.Module) -> list[nn.Linear]:
    """The linear maps that are trained.

    Args:
        model: The model with its adapter.

    Returns:
        The modules, at least one.

    Raises:
        InputError: Where something else is trained as well, or nothing.
    """
    maps = [one for one in model.modules() if isinstance(one, nn.Linear) and one.weight.requires_grad]
    followed = {id(one.weight) for one in maps}
    others = [name for name, weight in model.named_parameters() if weight.requires_grad and id(weight) not in followed]
    if others or not maps:
        raise InputError(
            f"credits follow the weights of linear maps, and {len(others)} trainable parameters are none "
            f"({', '.join(others[:2])}); pass LoraConfig(target_modules=…) with linear layers only, without bias, DoRA "
            "and modules_to_save"
        )
    return maps
