"""`FineTune` from settings."""

from typing import Any

import pytest
from datasets import Dataset
from peft import LoraConfig

from shed_hf import FineTune, InputError
from shed_hf.data.pool import read_pool
from shed_hf.finetuning.from_settings import fine_tune_from
from shed_hf.finetuning.given_args import in_full
from shed_hf.finetuning.trainer_settings import USUAL, default_args, default_peft_config
from tests.helpers.rows import make_rows


def test_nothing_said_is_the_default() -> None:
    assert fine_tune_from("m", None, {}) == FineTune("m")


def test_settings_are_fields_of_trl_and_peft() -> None:
    settings = {"learning_rate": 2e-4, "max_length": 64, "lora_r": 4, "lora_target_modules": ("q_proj",),
                "sft_config": {"adam_beta2": 0.95}, "lora_config": {"use_rslora": True}, "coalitions_per_batch": 3,
                "precision": "bfloat16"}  # fmt: skip
    tuner = fine_tune_from("m", "loss", settings)
    args, adapter = in_full(tuner.args), tuner.peft_config
    assert (args.learning_rate, args.max_length, args.adam_beta2, args.lr_scheduler_type) == (
        2e-4,
        64,
        0.95,
        "constant",
    )
    assert adapter is not None
    assert (adapter.r, adapter.target_modules, adapter.use_rslora, adapter.lora_alpha) == (4, {"q_proj"}, True, 16)
    assert (tuner.coalitions_per_batch, tuner.precision, tuner.objective) == (3, "bfloat16", "loss")
    assert fine_tune_from("m", None, {"lora_target_modules": ("all-linear",)}).peft_config == default_peft_config()


def test_settings_of_other_things_leave_the_precision_open(tiny_model: Any) -> None:
    for given, chosen in (({"learning_rate": 1e-4}, True), ({"bf16": True}, False), ({}, True)):
        assert (FineTune(str(tiny_model), args=given).choose_precision(None) is not None) == chosen
    assert FineTune(str(tiny_model), args=default_args()).choose_precision(None) is None


def test_a_dict_differs_from_the_default_alone() -> None:
    args = in_full({"weight_decay": 0.5})
    assert args.weight_decay == 0.5
    assert {name: getattr(getattr(args, name), "value", getattr(args, name)) for name in USUAL} == USUAL


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"sft_config": {"adam_beta": 1}}, r"sft_config\.adam_beta is not a field of SFTConfig; did you mean 'adam_b"),
        ({"sft_config": {"max_length": 1}, "max_length": 2}, r"sft_config\.max_length was given by itself too"),
        ({"lora_config": {"rank": 1}}, r"lora_config\.rank is not a field of LoraConfig"),
        ({"lora_config": {"r": 1}, "lora_r": 2}, r"lora_config\.r was given by itself too"),
        (
            {"lora_config": {"use_dora": True, "loftq_config": 5, "init_lora_weights": "loftq"}},
            "init_lora_weights='loftq' is refused by peft",
        ),
    ],
)
def test_what_is_no_setting_is_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        fine_tune_from("m", None, settings)


@pytest.mark.parametrize("changes", [{"lr_scheduler_type": "sideways"}, {"optim": "guess"}, {"adam_beta": 1}])
def test_arguments_that_trl_refuses_are_named(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=rf"^{next(iter(changes))}=.* is refused by transformers or trl"):
        in_full(changes)


@pytest.mark.parametrize(
    "adapter", [{"target_modules": ["nope"]}, {"target_modules": ["q_proj"], "layers_to_transform": [99]}]
)
def test_an_adapter_that_the_model_cannot_have_is_the_callers_error(tiny_model: Any, adapter: dict[str, Any]) -> None:
    rows = make_rows(4)
    tuner = FineTune(str(tiny_model), "loss", peft_config=LoraConfig(**adapter))
    pool = read_pool(Dataset.from_list(rows))
    with pytest.raises(InputError, match=r"can't have this adapter \(.+\); change lora_target_modules="):
        tuner.bind(pool, pool.examples(range(4)), 0)
