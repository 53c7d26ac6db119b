"""A model that is fine-tuned in place and given back as it was: no copy of its weights is made."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from peft import PeftConfig
from torch import nn
from transformers import GenerationConfig, PretrainedConfig

from shed_hf.errors import InputError
from shed_hf.finetuning.digests import sampled_weights_digest

MOST_NUMBERS_IN_A_STATISTIC = 2**16
"""Buffers up to this size may be running statistics, which a training run changes in place."""

_CONFIGS = (PretrainedConfig, GenerationConfig, PeftConfig)
_CONTAINERS = (dict, list, set)


class BorrowedModel:
    """Within ``with``, a model is the trainer's, with its adapter attached; outside, it is what the caller had.

    The caller's modules, hooks, attributes, configurations, modes and tensors are noted on entry and put back on exit,
    also after an error. The adapter and whatever else the trainer put on the model are put on again on the next entry.
    Frozen weights are shared; weights that are trained, such as those of an adapter that the caller's model brings,
    are copied by `protect`.

    Args:
        model: The caller's model.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._outside: _State | None = None
        self._inside: _State | None = None
        self._known = ""

    def __enter__(self) -> "BorrowedModel":
        self._check_unchanged()
        self._outside = _State.of(self.model)
        if self._inside is not None:
            self._inside.put_back()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._outside is None:
            return
        self._inside = self._outside.as_now()
        self._outside.put_back()
        self._outside = None
        self._known = sampled_weights_digest(self.model)

    def protect(self) -> None:
        """Train copies of those of the caller's own weights that the trainer made trainable; the rest stay shared."""
        if self._outside is not None:
            for tensor in self._outside.tensors:
                if tensor.parameter.requires_grad:
                    tensor.parameter.data = tensor.data.clone()

    def _check_unchanged(self) -> None:
        if self._known and sampled_weights_digest(self.model) != self._known:
            raise InputError(
                "the model's weights were changed after the utility was bound to it, and outcomes before and after "
                "would be those of two models; call bind again, or pass a model that is left alone"
            )


@dataclass(frozen=True, eq=False)
class _Tensor:
    """A parameter with all that may be exchanged in it."""

    parameter: nn.Parameter
    data: torch.Tensor
    requires_grad: bool
    grad: torch.Tensor | None

    @classmethod
    def of(cls, parameter: nn.Parameter) -> "_Tensor":
        return cls(parameter, parameter.data, parameter.requires_grad, parameter.grad)

    def put_back(self) -> None:
        now = self.parameter.data
        if now.data_ptr() != self.data.data_ptr() or now.dtype != self.data.dtype or now.device != self.data.device:
            self.parameter.grad = None  # else torch compares the two
            self.parameter.data = self.data
        self.parameter.requires_grad_(self.requires_grad)
        self.parameter.grad = self.grad


@dataclass(frozen=True, eq=False)
class _Attributes:
    """The attributes of an object, and what was in those that are containers."""

    owner: Any
    kind: type
    values: dict[str, Any]
    contents: dict[str, Any]

    @classmethod
    def of(cls, owner: Any) -> "_Attributes":
        values = dict(vars(owner))
        contents = {name: value.copy() for name, value in values.items() if isinstance(value, _CONTAINERS)}
        return cls(owner, type(owner), values, contents)

    def put_back(self) -> None:
        if type(self.owner) is not self.kind:  # torch's parametrisations and FSDP exchange it
            self.owner.__class__ = self.kind
        vars(self.owner).clear()
        vars(self.owner).update(self.values)
        for name, content in self.contents.items():
            container = self.values[name]
            container.clear()
            (container.extend if isinstance(container, list) else container.update)(content)


@dataclass(frozen=True, eq=False)
class _State:
    """All that a trainer may change of some modules: attributes, configurations, tensors and small buffers."""

    attributes: list[_Attributes]
    tensors: list[_Tensor]
    statistics: list[tuple[torch.Tensor, torch.Tensor]]

    @classmethod
    def of(cls, model: nn.Module) -> "_State":
        modules = list(model.modules())
        small = [buffer for buffer in model.buffers() if buffer.numel() <= MOST_NUMBERS_IN_A_STATISTIC]
        return cls(
            [_Attributes.of(owner) for owner in [*modules, *_configs(modules)]],
            [_Tensor.of(parameter) for parameter in model.parameters()],
            [(buffer, buffer.clone()) for buffer in small],
        )

    def as_now(self) -> "_State":
        """The state that the same modules, configurations and tensors have now."""
        return _State(
            [_Attributes.of(part.owner) for part in self.attributes],
            [_Tensor.of(part.parameter) for part in self.tensors],
            [],
        )

    @torch.no_grad()
    def put_back(self) -> None:
        for part in self.attributes:
            part.put_back()
        for tensor in self.tensors:
            tensor.put_back()
        for buffer, content in self.statistics:
            if not torch.equal(buffer, content):
                buffer.copy_(content)


def _configs(modules: list[nn.Module]) -> list[Any]:
    """The configurations that modules refer to, those inside others too, each once."""
    found: dict[int, Any] = {}
    pending: list[Any] = list(modules)
    while pending:
        for value in _values(pending.pop()):
            if isinstance(value, _CONFIGS) and id(value) not in found:
                found[id(value)] = value
                pending.append(value)
    return list(found.values())


def _values(owner: Any) -> Iterator[Any]:
    for value in vars(owner).values():
        yield from value.values() if isinstance(value, dict) else (value,)
