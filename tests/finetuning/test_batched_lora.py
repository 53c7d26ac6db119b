"""Stacked adapters: each computes what the model with that adapter does, and the model itself is left alone."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from torch import nn

from shed_hf.finetuning.batched_lora import stacked, unstackable
from tests.helpers.tiny_models import TINY, tiny

N_ADAPTERS = 3
IDS = torch.arange(1, 41).view(4, 10)
PLAIN = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
UNEVEN = LoraConfig(
    r=4, use_rslora=True, rank_pattern={"up_proj": 2}, alpha_pattern={"q_proj": 32}, target_modules="all-linear"
)


def adapted(kind: str, config: LoraConfig = PLAIN) -> Any:
    torch.manual_seed(1)
    return get_peft_model(tiny(kind), copy.deepcopy(config))  # which peft fills in


def logits(model: Any, ids: torch.Tensor = IDS) -> torch.Tensor:
    return model(input_ids=ids, use_cache=False).logits


def put(model: Any, columns: dict[int, slice], line: torch.Tensor) -> None:
    """Make one adapter of the stack the model's own."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.copy_(line[columns[id(parameter)]].view_as(parameter))


@pytest.mark.parametrize("kind, config", [*((kind, PLAIN) for kind in TINY), ("llama", UNEVEN)])
@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_an_adapter_computes_and_learns_what_the_model_with_its_adapter_does(
    kind: str, config: LoraConfig, precision: torch.dtype | None
) -> None:
    model = adapted(kind, config)
    rough = {"atol": 1e-6, "rtol": 1e-4} if precision is None else {"atol": 2e-2, "rtol": 2e-2}
    of_gradient = 1e-4 if precision is None else 0.1  # bfloat16 rounds at every layer on the way back
    autocast = torch.autocast("cpu", precision or torch.bfloat16, enabled=precision is not None)
    with stacked(model, N_ADAPTERS) as stack, autocast:
        stack.weights += 0.05 * torch.randn_like(stack.weights)
        together = logits(model, IDS.repeat(N_ADAPTERS, 1)).float()
        together.square().sum().backward()
    adapters = together.detach().chunk(N_ADAPTERS)
    for adapter in range(N_ADAPTERS):
        put(model, stack.columns, stack.weights[adapter])
        model.zero_grad()
        with autocast:
            alone = logits(model).float()
        alone.square().sum().backward()
        torch.testing.assert_close(adapters[adapter], alone.detach(), **rough)
        for parameter in model.parameters():
            if parameter.requires_grad:
                found = stack.gradients[adapter, stack.columns[id(parameter)]].view_as(parameter)
                assert (found - parameter.grad).norm() <= of_gradient * parameter.grad.norm()
    assert (adapters[0] - adapters[1]).abs().max() > 10 * rough["atol"]


def test_adapters_can_be_shown_apart() -> None:
    model = adapted("llama")
    with stacked(model, N_ADAPTERS) as stack, torch.no_grad():
        stack.weights += 0.1 * torch.randn_like(stack.weights)
        together = logits(model, IDS.repeat(N_ADAPTERS, 1)).chunk(N_ADAPTERS)
        stack.show(1, 3)
        later = logits(model, IDS.repeat(2, 1)).chunk(2)
    torch.testing.assert_close(torch.cat(together[1:]), torch.cat(later))


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(fails: bool) -> None:
    model = adapted("gpt2")
    before = logits(model).detach()
    parameters = {name: (id(one), one.detach().clone()) for name, one in model.named_parameters()}
    with pytest.raises(KeyError) if fails else stacked(model, 1), stacked(model, N_ADAPTERS) as stack:
        logits(model, IDS.repeat(N_ADAPTERS, 1)).sum().backward()
        stack.weights += 1
        if fails:
            raise KeyError
    after = dict(model.named_parameters())
    assert list(after) == list(parameters)
    assert all(id(after[name]) == which and torch.equal(after[name], old) for name, (which, old) in parameters.items())
    assert all(one.grad is None for one in after.values())
    assert not any("forward" in vars(module) for module in model.modules())
    assert torch.equal(logits(model), before)


def test_a_forward_of_the_layers_own_is_put_back() -> None:
    model = adapted("llama")
    layer = model.get_base_model().model.layers[0].mlp.up_proj
    layer.forward = own = lambda x: layer.base_layer(x)
    with stacked(model, 1):
        assert layer.forward is not own
    assert layer.forward is own


def with_two_adapters() -> nn.Module:
    model = adapted("llama")
    model.add_adapter("other", copy.deepcopy(PLAIN))
    model.base_model.set_adapter(["default", "other"])
    return model


def with_frozen_factors() -> nn.Module:
    model = adapted("llama")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_B" in name)
    return model


def merged() -> nn.Module:
    model = adapted("llama")
    model.merge_adapter()
    return model


def with_shared_factors() -> nn.Module:
    model = adapted("llama")
    first, second = (layer.mlp.up_proj for layer in model.get_base_model().model.layers[:2])
    second.lora_A["default"].weight = first.lora_A["default"].weight
    return model


def lora(**fields: Any) -> Callable[[], nn.Module]:
    fields = {"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **fields}
    return lambda: adapted("llama", LoraConfig(**fields))


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "no adapter": (lambda: tiny("llama"), "the adapter is not LoRA on linear layers"),
    "DoRA": (lora(use_dora=True), "the adapter is not LoRA on linear layers"),
    "an embedding": (lora(target_modules=["embed_tokens", "q_proj"]), "the adapter is not LoRA on linear layers"),
    "another method": (
        lambda: get_peft_model(tiny("llama"), IA3Config(task_type="CAUSAL_LM")),
        "the adapter is not LoRA on linear layers",
    ),
    "two adapters": (with_two_adapters, "not exactly one adapter is active"),
    "merged": (merged, "not exactly one adapter is active"),
    "a saved module": (lora(modules_to_save=["norm"]), "no others"),
    "a bias": (lora(lora_bias=True), "no others"),
    "frozen factors": (with_frozen_factors, "all of them"),
    "shared factors": (with_shared_factors, "LoRA layers share their factors"),
    "bfloat16": (lambda: adapted("llama").to(torch.bfloat16), "not all of them float32"),
}


@pytest.mark.parametrize("build, reason", REFUSED.values(), ids=REFUSED)
@pytest.mark.filterwarnings("ignore")  # peft's, on layers of no use
def test_what_cannot_be_stacked_is_named(build: Callable[[], nn.Module], reason: str) -> None:
    assert reason in str(unstackable(build()))


@pytest.mark.parametrize("kind", TINY)
def test_lora_on_linear_layers_can_be_stacked(kind: str) -> None:
    assert unstackable(adapted(kind)) is None


def test_the_active_adapter_is_the_one_that_is_stacked() -> None:
    model = adapted("llama", LoraConfig(r=2, target_modules=["q_proj"]))
    model.add_adapter("other", LoraConfig(r=2, target_modules=["up_proj"]))
    model.set_adapter("other")
    assert unstackable(model) is None
    with stacked(model, 2) as stack:
        assert set(stack.columns) == {
            id(one) for name, one in model.named_parameters() if "lora" in name and "up_" in name
        }
