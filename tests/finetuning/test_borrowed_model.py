"""A loaded model is fine-tuned in place and given back as it was: weights, modules, hooks, modes, outputs."""

import copy
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model, inject_adapter_in_model
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel

import shed_hf
from shed_hf.errors import InputError
from shed_hf.finetuning.borrowed_model import BorrowedModel
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_utility import TrainerUtility
from tests.helpers.rows import make_rows
from tests.helpers.tiny_models import ITEMS, POOL, TINY, config, tiny

ROW_SETS = [np.array([3, 1, 40, 22, 7]), np.array([5, 6])]
IDS = torch.arange(1, 33).view(2, 16)


def with_lora(kind: str = "llama") -> nn.Module:
    """A model with an adapter of its own that does something."""
    lora = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    return get_peft_model(tiny(kind), lora)


def with_injected_adapter() -> nn.Module:
    """A model with an adapter in its layers and no wrapper around it, as transformers puts them on."""
    lora = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    return inject_adapter_in_model(lora, tiny("llama"))


def with_hooks() -> nn.Module:
    """A model whose user has put hooks, a forward of their own, modes and gradients on it."""
    model = tiny("llama")
    layer = model.model.layers[0]
    layer.register_forward_hook(lambda _, __, output: output)
    model.model.norm.register_forward_pre_hook(lambda _, inputs: inputs)
    own = model.lm_head.forward
    model.lm_head.forward = lambda x: own(x) * 2
    model.eval()
    layer.self_attn.train()
    model.model.embed_tokens.weight.requires_grad_(False)
    model.lm_head.weight.grad = torch.ones_like(model.lm_head.weight)
    model.config.use_cache = True
    return model


MODELS: dict[str, Callable[[], nn.Module]] = {
    **{kind: lambda kind=kind: tiny(kind) for kind in TINY},  # type: ignore[misc]
    "its own adapter": with_lora,
    "an injected adapter": with_injected_adapter,
    "hooks": with_hooks,
    "bfloat16": lambda: tiny("qwen2").to(torch.bfloat16),
    "checkpoints": lambda: _checkpointing(tiny("llama")),
}


def _checkpointing(model: PreTrainedModel) -> PreTrainedModel:
    model.gradient_checkpointing_enable()
    return model


def seen(model: nn.Module) -> dict[str, Any]:
    """All that a user could tell a model by, without the model."""
    outputs = [model.training]
    with torch.no_grad():
        modes = {name: module.training for name, module in model.named_modules()}
        model.eval()
        outputs.append(model(IDS).logits.clone())
        for name, module in model.named_modules():
            module.training = modes[name]
    return {
        "weights": {name: (p.data_ptr(), p.dtype, p.requires_grad, p.clone()) for name, p in model.named_parameters()},
        "gradients": {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()},
        "buffers": {name: (buffer.data_ptr(), buffer.clone()) for name, buffer in model.named_buffers()},
        "modules": [(name, id(module), type(module)) for name, module in model.named_modules()],
        "modes": modes,
        "attributes": {
            name: {key: id(value) for key, value in vars(module).items() if key not in ("training",)}
            for name, module in model.named_modules()
        },
        "hooks": {
            name: [list(map(id, getattr(module, kind).values())) for kind in ("_forward_hooks", "_forward_pre_hooks")]
            for name, module in model.named_modules()
        },
        "configuration": copy.deepcopy(vars(model.config)),
        "generation": copy.deepcopy(vars(getattr(model, "generation_config", model.config))),
        "outputs": outputs,
    }


def assert_alike(before: Any, after: Any, where: str = "") -> None:
    assert type(before) is type(after), where
    if isinstance(before, dict):
        assert before.keys() == after.keys(), (where, before.keys() ^ after.keys())
        for key in before:
            assert_alike(before[key], after[key], f"{where}.{key}")
    elif isinstance(before, list | tuple):
        assert len(before) == len(after), where
        for number, (first, second) in enumerate(zip(before, after, strict=True)):
            assert_alike(first, second, f"{where}[{number}]")
    elif isinstance(before, torch.Tensor):
        assert torch.equal(before, after), where
    else:
        assert before == after, where


def bound(model: nn.Module, tokenizer: Path, peft: LoraConfig | None = None, **fields: Any) -> TrainerUtility:
    tune = FineTune(model, "loss", AutoTokenizer.from_pretrained(tokenizer), config(**fields), peft)
    return tune.bind(POOL, ITEMS, 0)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_after_each_use_what_it_was_before(name: str, tiny_model: Path) -> None:
    model = MODELS[name]()
    before = seen(model)
    utility = bound(model, tiny_model)
    assert_alike(before, seen(model), "bound")
    first = utility(ROW_SETS)
    assert_alike(before, seen(model), "measured")
    utility.row_features(np.arange(3))
    utility.flops(10, 1)
    utility.concurrency()
    utility.can_credit()
    assert_alike(before, seen(model), "asked")
    np.testing.assert_array_equal(utility(ROW_SETS), first)
    assert np.abs(first[0] - first[1]).max() > 1e-5
    assert np.isfinite(first).all()


@pytest.mark.parametrize("name", ["llama", "its own adapter"])
def test_outcomes_are_those_of_a_copy_that_is_fine_tuned(name: str, tiny_model: Path) -> None:
    model = MODELS[name]()
    untouched = copy.deepcopy(model)
    bound(model, tiny_model)(ROW_SETS)
    np.testing.assert_array_equal(bound(model, tiny_model)(ROW_SETS), bound(untouched, tiny_model)(ROW_SETS))


@pytest.mark.parametrize(
    "fields",
    [
        {"gradient_checkpointing": False},
        {"gradient_checkpointing": True},
        {"bf16": True},
        {"neftune_noise_alpha": 5.0},
        {"optim": "sgd", "num_train_epochs": 2},
    ],
    ids=lambda fields: " ".join(fields),
)
def test_no_setting_leaves_a_trace(fields: dict[str, Any], tiny_model: Path) -> None:
    model = tiny("llama")
    before = seen(model)
    bound(model, tiny_model, **fields)(ROW_SETS)
    assert_alike(before, seen(model))


@pytest.mark.parametrize(
    "peft",
    [
        LoraConfig(r=2, target_modules="all-linear", bias="all", task_type="CAUSAL_LM"),
        LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["norm"], task_type="CAUSAL_LM"),
        LoraConfig(r=2, target_modules="all-linear", use_dora=True, task_type="CAUSAL_LM"),
        LoraConfig(r=2, target_modules="all-linear", init_lora_weights="olora", task_type="CAUSAL_LM"),
        LoraConfig(r=2, target_modules="all-linear", init_lora_weights="pissa", task_type="CAUSAL_LM"),
        LoraConfig(r=2, target_modules=["q_proj"], trainable_token_indices=[1, 2], task_type="CAUSAL_LM"),
        LoraConfig(r=2, target_modules="all-linear", lora_dropout=0.2, use_rslora=True, task_type="CAUSAL_LM"),
    ],
    ids=["biases", "saved modules", "DoRA", "OLoRA", "PiSSA", "tokens", "dropout"],
)
def test_no_adapter_leaves_a_trace(peft: LoraConfig, tiny_model: Path) -> None:
    model = tiny("qwen2")  # its attention has biases
    before = seen(model)
    outcomes = bound(model, tiny_model, peft)(ROW_SETS)
    assert np.isfinite(outcomes).all()
    assert_alike(before, seen(model))


def test_weights_are_shared_and_not_copied(tiny_model: Path) -> None:
    model = tiny("llama")
    pointers = {parameter.data_ptr() for parameter in model.parameters()}
    utility = bound(model, tiny_model)
    with utility.isolation:
        inside = {p.data_ptr() for p in utility.trainer.model.parameters() if not p.requires_grad}
    assert inside == pointers


def test_an_adapter_of_ones_own_is_trained_as_a_copy(tiny_model: Path) -> None:
    model = with_lora()
    pointers = {name: parameter.data_ptr() for name, parameter in model.named_parameters()}
    utility = bound(model, tiny_model)
    with utility.isolation:
        shared = {n for n, p in utility.trainer.model.named_parameters() if p.data_ptr() == pointers[n]}
        assert shared == {n for n, p in model.named_parameters() if not p.requires_grad}
    untrained = utility([np.empty(0, np.int64)])
    plain = copy.deepcopy(model)
    np.testing.assert_allclose(untrained[0], utility.evaluation(plain), atol=1e-6)


@pytest.mark.parametrize("name", ["llama", "its own adapter"])
def test_an_error_leaves_the_model_as_it_was(name: str, tiny_model: Path) -> None:
    model = MODELS[name]()
    before = seen(model)
    with pytest.raises(InputError, match="max_steps"):
        bound(model, tiny_model, max_steps=3)
    assert_alike(before, seen(model))
    with pytest.raises(Exception, match="not_a_layer"):
        bound(tiny("llama"), tiny_model, LoraConfig(r=2, target_modules=["not_a_layer"], task_type="CAUSAL_LM"))
    utility = bound(model, tiny_model)

    def failing(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        utility.measure([[ROW_SETS[0]], [ROW_SETS[1]]], failing)
    assert_alike(before, seen(model))


def test_an_error_while_the_adapter_is_put_on_leaves_the_model_as_it_was(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("llama")
    before = seen(model)

    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr("shed_hf.finetuning.fine_tune.Evaluation", failing)
    with pytest.raises(RuntimeError, match="no room"):
        bound(model, tiny_model)
    assert_alike(before, seen(model))


def test_a_curation_leaves_the_model_as_it_was(tiny_model: Path) -> None:
    model = tiny("llama")
    before = seen(model)
    tune = FineTune(model, "loss", AutoTokenizer.from_pretrained(tiny_model), config())
    curated = shed_hf.curate(
        Dataset.from_list(make_rows(120)), 8, utility=tune, embedder="lexical", clusterer="topic", estimator="exact",
        proxies_per_cluster=2, warmup=4, merit="credit",
    )  # fmt: skip
    assert len(curated.rows) == 8
    assert_alike(before, seen(model))


def test_utilities_take_turns_with_one_model(tiny_model: Path) -> None:
    model = tiny("llama")
    before = seen(model)
    first = bound(model, tiny_model)
    second = bound(model, tiny_model, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    of_first, of_second = first(ROW_SETS), second(ROW_SETS)
    np.testing.assert_array_equal(first(ROW_SETS), of_first)
    np.testing.assert_array_equal(second(ROW_SETS), of_second)
    assert np.abs(of_first - of_second).max() > 1e-5
    del first, second
    gc.collect()
    assert_alike(before, seen(model))


def test_one_adapter_is_shared_by_utilities_without_a_trace(tiny_model: Path) -> None:
    model = with_lora()
    before = seen(model)
    first, second = bound(model, tiny_model), bound(model, tiny_model, learning_rate=5e-2)
    of_first, of_second = first(ROW_SETS), second(ROW_SETS)
    np.testing.assert_array_equal(first(ROW_SETS), of_first)
    assert np.abs(of_first - of_second).max() > 1e-5
    assert_alike(before, seen(model))


def test_a_warm_up_stays_with_the_utility(tiny_model: Path) -> None:
    model = with_lora()
    before = seen(model)
    utility = bound(model, tiny_model)
    cold = utility(ROW_SETS)
    utility.warm_up(np.arange(50, 60), "ten rows")
    assert_alike(before, seen(model))
    assert np.abs(utility(ROW_SETS) - cold).max() > 1e-5


def test_a_model_that_was_changed_meanwhile_is_refused(tiny_model: Path) -> None:
    model = tiny("llama")
    utility = bound(model, tiny_model)
    utility(ROW_SETS)
    with torch.no_grad():
        model.model.norm.weight.mul_(1.5)
    with pytest.raises(InputError, match=r"changed .* call bind again"):
        utility(ROW_SETS)
    assert np.isfinite(bound(model, tiny_model)(ROW_SETS)).all()


def test_moved_weights_are_put_back_where_they_were() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    tensors = [*model.parameters()]
    pointers = [tensor.data_ptr() for tensor in tensors]
    borrowed = BorrowedModel(model)
    with borrowed:
        model.to(torch.float64)
        model[1](torch.randn(8, 3, dtype=torch.float64))
    assert [tensor.data_ptr() for tensor in model.parameters()] == pointers
    assert all(now is then for now, then in zip(model.parameters(), tensors, strict=True))
    assert not model[1].running_mean.any()
    with borrowed:
        assert {tensor.dtype for tensor in model.parameters()} == {torch.float64}
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}


def test_a_four_bit_model_is_given_back_as_it_was(tiny_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    tiny("llama").save_pretrained(tmp_path)
    kinds = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.float32}
    four_bit = BitsAndBytesConfig(load_in_4bit=True, **kinds)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, quantization_config=four_bit)
    assert "Linear4bit" in {type(module).__name__ for module in model.modules()}
    before = seen(model)
    utility = bound(model, tiny_model)
    with utility.isolation:
        weights = {p.data_ptr() for p in utility.trainer.model.parameters() if not p.requires_grad}
    assert weights == {parameter.data_ptr() for parameter in model.parameters()}
    outcomes = utility(ROW_SETS)
    assert np.abs(outcomes[0] - outcomes[1]).max() > 1e-5
    np.testing.assert_array_equal(utility(ROW_SETS), outcomes)
    assert_alike(before, seen(model))
