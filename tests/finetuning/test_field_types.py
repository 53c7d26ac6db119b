"""Values of another kind than a field of TRL's or peft's configuration takes are told before anything is trained."""

from typing import Any

import pytest
from peft import LoraConfig
from trl import SFTConfig

from shed_hf import InputError
from shed_hf.finetuning.field_types import check_types, culprit
from shed_hf.finetuning.trainer_settings import default_args


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        (SFTConfig, {"adam_beta2": "x"}, "c.adam_beta2='x' is not a number; pass one"),
        (SFTConfig, {"max_steps": 1.5}, "c.max_steps=1.5 is not "),
        (SFTConfig, {"packing": 1}, "c.packing=1 is not true or false"),
        (SFTConfig, {"packing": "yes"}, "c.packing='yes' is not true or false"),
        (SFTConfig, {"adam_beta2": 0.5, "seed": True}, "c.seed=True is not a whole number"),
        (LoraConfig, {"bias": "al"}, "c.bias='al' is unknown; did you mean 'all'? pass one of none, all, lora_only"),
        (SFTConfig, {"optim": "adamw_toch"}, "c.optim='adamw_toch' is unknown; did you mean 'adamw_torch'?"),
        (SFTConfig, {"lr_scheduler_type": "linar"}, "c.lr_scheduler_type='linar' is unknown; did you mean 'linear'?"),
        (LoraConfig, {"use_rslora": "maybe"}, "c.use_rslora='maybe' is not true or false"),
    ],
)
def test_a_value_of_another_kind_is_refused(kind: type, given: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as error:
        check_types("c", kind, given)
    assert str(error.value).startswith(told)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (SFTConfig, {"adam_beta2": 1, "seed": 3, "packing": None, "optim": "adamw_torch", "warmup_steps": 0.5}),
        (SFTConfig, {"model_init_kwargs": {"dtype": "float32"}, "lr_scheduler_kwargs": {}, "eos_token": "<e>"}),
        (LoraConfig, {"target_modules": ["q_proj"], "modules_to_save": ["head"], "rank_pattern": {"q": 4}}),
        (LoraConfig, {"init_lora_weights": "gaussian", "bias": "all", "layers_to_transform": [1]}),
    ],
)
def test_a_value_that_a_field_takes_passes(kind: type, given: dict[str, Any]) -> None:
    check_types("c", kind, given)
    (default_args if kind is SFTConfig else LoraConfig)(**given)


def test_the_value_that_is_refused_is_found_among_others() -> None:
    assert culprit(default_args, {"seed": 3, "lr_scheduler_type": "sideways"})[0] == "lr_scheduler_type"
    assert culprit(default_args, {"seed": 3}) == ("", "")
