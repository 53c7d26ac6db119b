"""K LoRA adapters in one tensor over one base model, so that one forward pass is that of K models.

A batch of ``K·B`` rows holds B rows for each of K adapters, one adapter after another. The base layers read it as one
batch; each LoRA layer applies the factors of adapter k to the rows of adapter k, in two batched matrix products.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora.layer import Linear, LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

_Factors = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Of one layer and the adapters shown: factors A ``(k, r, in)`` and B ``(k, out, r)``, and the gradients of both."""


class Stack:
    """Several adapters of one model in one tensor, all of them copies of the model's own to begin with.

    Args:
        layers: The model's LoRA layers.
        n_adapters: How many adapters to hold.

    Attributes:
        weights: ``(n_adapters, n_weights)``, one adapter a line.
        gradients: Of the same shape; backward passes add to it.
        columns: Where in a line the weights of a parameter of the model's own adapter are, by the parameter's ``id``.
    """

    def __init__(self, layers: Sequence[Linear], n_adapters: int) -> None:
        self.n_adapters = n_adapters
        pairs = [_factors(layer) for layer in layers]
        ordered = [pair[0] for pair in pairs] + [pair[1] for pair in pairs]  # one run for each of two learning rates
        own = torch.cat([parameter.detach().flatten() for parameter in ordered])
        self.weights = own.repeat(n_adapters, 1)
        self.gradients = torch.zeros_like(self.weights)
        self.columns: dict[int, slice] = {}
        end = 0
        for parameter in ordered:
            self.columns[id(parameter)] = slice(end, end := end + parameter.numel())
        self._pairs = pairs
        self._shown = (0, 0)
        self._factors: list[_Factors] = []
        self.show(0, n_adapters)

    def show(self, start: int, stop: int) -> None:
        """Choose the adapters that the next batches hold rows for.

        Args:
            start: The first of them.
            stop: One past the last of them.
        """
        if (start, stop) != self._shown:
            self._shown = (start, stop)
            self._factors = [
                (
                    self._of(self.weights, a).requires_grad_(),
                    self._of(self.weights, b).requires_grad_(),
                    self._of(self.gradients, a),
                    self._of(self.gradients, b),
                )
                for a, b in self._pairs
            ]

    def forward_of(self, layer: Linear, place: int) -> Callable[..., torch.Tensor]:
        """The forward function to put in place of a LoRA layer's own.

        Args:
            layer: The LoRA layer.
            place: Its place among the stack's layers.

        Returns:
            A function of a batch for all adapters shown, ``(k·B, …, in)``.
        """
        adapter = layer.active_adapters[0]
        dropout, scaling = layer.lora_dropout[adapter], float(layer.scaling[adapter])

        def forward(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            result = layer.base_layer(x, *args, **kwargs)
            added: torch.Tensor = _Added.apply(result, dropout(x), *self._factors[place], scaling)  # type: ignore[no-untyped-call]
            return added

        return forward

    def _of(self, lines: torch.Tensor, factor: nn.Parameter) -> torch.Tensor:
        start, stop = self._shown
        return lines[start:stop, self.columns[id(factor)]].view(stop - start, *factor.shape)


@contextlib.contextmanager
def stacked(model: nn.Module, n_adapters: int) -> Iterator[Stack]:
    """Replace the forward functions of a model's LoRA layers by those of a `Stack`; put them back afterwards.

    The model's own parameters are neither moved nor trained. `unstackable` must have found nothing against the model.

    Args:
        model: The model with one active LoRA adapter.
        n_adapters: How many adapters to hold.

    Yields:
        The stack.
    """
    layers = _layers(model)
    stack = Stack(layers, n_adapters)
    before = [layer.__dict__.get("forward") for layer in layers]
    try:
        for place, layer in enumerate(layers):
            layer.forward = stack.forward_of(layer, place)
        yield stack
    finally:
        for layer, forward in zip(layers, before, strict=True):
            layer.__dict__.pop("forward", None)
            if forward is not None:
                layer.forward = forward


def unstackable(model: nn.Module) -> str | None:
    """Why the model's adapter cannot be stacked.

    Args:
        model: The model with its adapter.

    Returns:
        The reason in a few words; None where it can be stacked.
    """
    tuned = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    if not isinstance(model, PeftModel) or any(type(layer) is not Linear or layer.lora_variant for layer in tuned):
        return "the adapter is not LoRA on linear layers"  # quantised layers, DoRA and other methods have other types
    if any(len(layer.active_adapters) != 1 or layer.merged or layer.disable_adapters for layer in tuned):
        return "not exactly one adapter is active"
    factors = [factor for layer in _layers(model) for factor in _factors(layer)]
    trained = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    if trained != {id(factor) for factor in factors}:
        return "the weights that are trained are not the LoRA factors, all of them and no others"
    if len(trained) < len(factors):
        return "LoRA layers share their factors"
    if {factor.dtype for factor in factors} != {torch.float32} or len({factor.device for factor in factors}) > 1:
        return "the LoRA factors are not all of them float32 and on one device"
    return None


def _layers(model: nn.Module) -> list[Linear]:
    """The LoRA layers in which the active adapter has factors."""
    lora = [module for module in model.modules() if isinstance(module, LoraLayer)]
    return [layer for layer in lora if layer.active_adapters[0] in layer.lora_A]


def _factors(layer: Linear) -> tuple[nn.Parameter, nn.Parameter]:
    adapter = layer.active_adapters[0]
    return layer.lora_A[adapter].weight, layer.lora_B[adapter].weight


class _Added(torch.autograd.Function):
    """``result + x Aᵀ Bᵀ · scaling`` for each adapter, in the precisions in which peft computes it.

    Gradients of the factors are added to the stack's in place: autograd would allocate memory for each weight and
    adapter, and keep ``x`` once more in the factors' precision.
    """

    @staticmethod
    def forward(
        ctx: Any,
        result: torch.Tensor,
        x: torch.Tensor,
        a: torch.Tensor,
        b: torch.Tensor,
        of_a: torch.Tensor,
        of_b: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else a.dtype
        low = torch.bmm(_by_adapter(x, len(a)).to(dtype), a.to(dtype).mT) * scaling  # (k, B·…, r)
        ctx.save_for_backward(x, low, a, b)
        ctx.of_factors, ctx.scaling = (of_a, of_b), scaling
        added = torch.bmm(low, b.to(dtype).mT).view(result.shape)
        return torch.add(result, added, out=torch.empty_like(result))

    @staticmethod
    def backward(ctx: Any, given: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, low, a, b = ctx.saved_tensors
        of_a, of_b = ctx.of_factors
        of_added = _by_adapter(given, len(a)).to(low.dtype)
        of_b += torch.bmm(of_added.mT, low)
        of_low = torch.bmm(of_added, b.to(low.dtype)) * ctx.scaling
        of_a += torch.bmm(of_low.mT, _by_adapter(x, len(a)).to(low.dtype))
        of_x = torch.bmm(of_low, a.to(low.dtype)).view(x.shape).to(x.dtype) if ctx.needs_input_grad[1] else None
        return given, of_x, None, None, None, None, None


def _by_adapter(batch: torch.Tensor, n_adapters: int) -> torch.Tensor:
    return batch.reshape(n_adapters, -1, batch.shape[-1])
