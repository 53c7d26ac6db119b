"""Every setting of a training is followed, cannot matter, or is refused by its name."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelerate.parallelism_config import ParallelismConfig
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from shed_hf.data.pool import read_pool
from shed_hf.errors import InputError
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.objectives import Loss
from shed_hf.finetuning import training_arguments
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_peft_config
from shed_hf.finetuning.trainer_utility import TrainerUtility
from shed_hf.finetuning.training_arguments import (
    APPLIED,
    REFUSED,
    REFUSED_BY_FINE_TUNE,
    WITHOUT_EFFECT,
    check_fine_tune,
    check_training,
)
from tests.helpers.rows import make_rows

POOL = read_pool(Dataset.from_list(make_rows(16)))
ITEMS = read_pool(Dataset.from_list(make_rows(4, seed=99))).examples(np.arange(4))
ROWS = np.array([9, 2, 14, 5, 3])


def config(folder: Path, **fields: Any) -> SFTConfig:
    args = {"learning_rate": 1e-2, "per_device_train_batch_size": 2, "max_length": 96, "bf16": False}
    args |= {"num_train_epochs": 1, "output_dir": str(folder), "use_cpu": True, "activation_checkpointing": False}
    return SFTConfig(**{**args, **fields})


def outcome(model: Path, folder: Path, **fields: Any) -> Any:
    return FineTune(str(model), "loss", args=config(folder, **fields)).bind(POOL, ITEMS, 0)([ROWS])


def test_every_field_has_a_place() -> None:
    places = [APPLIED, WITHOUT_EFFECT, set(REFUSED), set(REFUSED_BY_FINE_TUNE)]
    names = {field.name for field in dataclasses.fields(SFTConfig)}
    assert names == set().union(*places)
    assert sum(map(len, places)) == len(names)


REFUSALS: dict[str, Any] = {
    "max_steps": 5,
    "num_train_epochs": 0.5,
    "train_sampling_strategy": "group_by_length",
    "dataloader_drop_last": True,
    "accelerator_config": {"split_batches": True},
    "resume_from_checkpoint": "checkpoint-5",
    "packing": True,
    "padding_free": True,
}
REFUSALS_BY_FINE_TUNE: dict[str, Any] = {
    "load_best_model_at_end": True,
    "eval_strategy": "epoch",
    "eval_on_start": True,
    "bf16_full_eval": True,
    "fp16_full_eval": True,
    "push_to_hub": True,
    "truncation_mode": "keep_end",
    "completion_only_loss": False,
    "dataset_text_field": "body",
    "chat_template_path": "HuggingFaceTB/SmolLM2-135M-Instruct",
}
BESIDE = {"load_best_model_at_end": {"eval_strategy": "steps"}, "num_train_epochs": {}}


@pytest.mark.parametrize("name", [*REFUSALS, *REFUSALS_BY_FINE_TUNE])
def test_fine_tune_refuses_by_name(name: str, tmp_path: Path) -> None:
    asked = {**REFUSALS, **REFUSALS_BY_FINE_TUNE}[name]
    args = config(tmp_path, **{name: asked, **BESIDE.get(name, {})})
    with pytest.raises(InputError, match=rf"{name}=.* in SFTConfig"):
        FineTune("never loaded", "loss", args=args).bind(POOL, ITEMS, 0)


def test_parallel_training_of_other_kinds_is_refused(tmp_path: Path) -> None:
    args = config(tmp_path)
    args.parallelism_config = ParallelismConfig()
    with pytest.raises(InputError, match="parallelism_config="):
        check_training(args)
    assert set(REFUSALS) | {"parallelism_config"} == set(REFUSED)
    assert set(REFUSALS_BY_FINE_TUNE) == set(REFUSED_BY_FINE_TUNE)


@pytest.mark.parametrize("epochs", [0, -1, 1.5, 0.999])
def test_epochs_are_whole(epochs: float, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"num_train_epochs=.* whole number"):
        check_fine_tune(config(tmp_path, num_train_epochs=epochs))


@pytest.mark.parametrize("name", [*REFUSALS])
def test_a_trainer_of_ones_own_is_refused_by_name(name: str, tiny_model: Path, tmp_path: Path) -> None:
    if name in ("packing", "padding_free"):
        pytest.skip("TRL asks for attention kernels with it")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_model),
        args=config(tmp_path, **{name: REFUSALS[name]}),
        train_dataset=Dataset.from_list([{"text": row["output"]} for row in make_rows(8)]),
        processing_class=tokenizer,
        peft_config=default_peft_config(),
    )
    with pytest.raises(InputError, match=rf"{name}=.* in SFTConfig"):
        TrainerUtility(trainer, Evaluation(ITEMS, Loss(), tokenizer, 96))


@pytest.fixture(scope="module")
def plain(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The outcome with no setting changed."""
    return outcome(tiny_model, tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize(
    "fields",
    [
        {"save_strategy": "epoch", "save_total_limit": 1},
        {"logging_strategy": "steps", "logging_steps": 1, "logging_first_step": True, "report_to": []},
        {"save_strategy": "steps", "save_steps": 1, "save_only_model": True},
        {"data_seed": 3, "seed": 11, "shuffle_dataset": True, "train_sampling_strategy": "sequential"},
        {"remove_unused_columns": False, "dataloader_num_workers": 1, "auto_find_batch_size": True},
        {"metric_for_best_model": "loss", "greater_is_better": False, "per_device_eval_batch_size": 1},
        {"assistant_only_loss": True},
        {"completion_only_loss": True, "dataset_num_proc": 2},
    ],
    ids=lambda fields: " ".join(fields),
)
def test_what_is_said_to_have_no_effect_has_none(
    fields: dict[str, Any], plain: Any, tiny_model: Path, tmp_path: Path
) -> None:
    np.testing.assert_array_equal(outcome(tiny_model, tmp_path, **fields), plain)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "fields",
    [
        {"learning_rate": 2e-2},
        {"num_train_epochs": 2},
        {"per_device_train_batch_size": 1},
        {"gradient_accumulation_steps": 2},
        {"lr_scheduler_type": "cosine"},
        {"lr_scheduler_type": "cosine_with_restarts", "lr_scheduler_kwargs": {"num_cycles": 2}},
        {"warmup_steps": 2},
        {"optim": "sgd"},
        {"optim": "adamw_torch", "weight_decay": 0.5},
        {"adam_beta1": 0.5},
        {"adam_beta2": 0.5},
        {"adam_epsilon": 1e-2},
        {"max_grad_norm": 1e-3},
        {"label_smoothing_factor": 0.3},
        {"loss_type": "dft"},
        {"neftune_noise_alpha": 20.0},
        {"bf16": True},
        {"max_length": 24},
    ],
    ids=lambda fields: " ".join(fields),
)
@pytest.mark.filterwarnings("ignore:.*label_smoothing_factor.*:FutureWarning", "ignore:.*longer than max_length.*")
def test_what_is_said_to_be_applied_changes_outcomes(
    fields: dict[str, Any], plain: Any, tiny_model: Path, tmp_path: Path
) -> None:
    assert np.abs(outcome(tiny_model, tmp_path, **fields) - plain).max() > 1e-6


@pytest.mark.filterwarnings("ignore:.*label_smoothing_factor.*:FutureWarning")
def test_label_smoothing_is_trls(tiny_model: Path, tmp_path: Path) -> None:
    smooth = {"label_smoothing_factor": 0.3, "lr_scheduler_type": "constant"}
    turns = [[turn._asdict() for turn in example.turns] for example in POOL.examples(ROWS)]
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_model),
        args=config(tmp_path, train_sampling_strategy="sequential", save_strategy="no", seed=0, **smooth),
        train_dataset=Dataset.from_list([{"prompt": row[:-1], "completion": row[-1:]} for row in turns]),
        processing_class=tokenizer,
        peft_config=default_peft_config(),
    )
    trainer.train()
    expected = Evaluation(ITEMS, Loss(), tokenizer, 96)(trainer.model)
    np.testing.assert_allclose(outcome(tiny_model, tmp_path, **smooth)[0], expected, atol=1e-5)


def test_the_model_is_loaded_as_the_arguments_say(tiny_model: Path, tmp_path: Path) -> None:
    args = config(tmp_path, model_init_kwargs={"dtype": "bfloat16"})
    utility = FineTune(str(tiny_model), "loss", args=args).bind(POOL, ITEMS, 0)
    kinds = {str(weight.dtype) for weight in utility.trainer.model.parameters() if not weight.requires_grad}
    assert kinds == {"torch.bfloat16"}
    loaded, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_model), AutoTokenizer.from_pretrained(tiny_model)
    with pytest.raises(InputError, match="model_init_kwargs"):
        FineTune(loaded, "loss", tokenizer, args).bind(POOL, ITEMS, 0)


def test_a_template_from_a_file_is_applied_and_the_callers_tokenizer_left(tiny_model: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    own = tokenizer.chat_template
    (tmp_path / "other.jinja").write_text(own.replace("|>\n", "|> "))
    args = config(tmp_path, chat_template_path=str(tmp_path / "other.jinja"))
    utility = FineTune(str(tiny_model), "loss", tokenizer, args).bind(POOL, ITEMS, 0)
    assert tokenizer.chat_template == own
    plain = FineTune(str(tiny_model), "loss", tokenizer).bind(POOL, ITEMS, 0)
    ids = [one.rows.tokens(np.array([0]))[0].ids.tolist() for one in (utility, plain)]
    assert ids[0] != ids[1]


def test_a_field_that_is_not_known_must_be_left_alone(tmp_path: Path) -> None:
    @dataclasses.dataclass
    class Later(SFTConfig):  # type: ignore[misc]
        curriculum: str = "none"

    check_fine_tune(Later(str(tmp_path), bf16=False, use_cpu=True))
    with pytest.raises(InputError, match=r"curriculum='hard' .* does not know"):
        check_fine_tune(Later(str(tmp_path), bf16=False, use_cpu=True, curriculum="hard"))


def test_an_adapter_of_the_models_own_is_not_replaced_in_silence(tiny_model: Path) -> None:
    plain = AutoModelForCausalLM.from_pretrained(tiny_model)
    model = get_peft_model(plain, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    tune = FineTune(model, "loss", AutoTokenizer.from_pretrained(tiny_model), peft_config=LoraConfig(r=4))
    with pytest.raises(InputError, match=r"adapter of its own.*peft_config="):
        tune.bind(POOL, ITEMS, 0)


def test_the_arguments_themselves_are_left_as_they_were(tiny_model: Path, tmp_path: Path) -> None:
    args, peft = config(tmp_path, num_train_epochs=1.0), LoraConfig(r=2, target_modules="all-linear")
    before = args.to_dict(), peft.to_dict()
    FineTune(str(tiny_model), "loss", args=args, peft_config=peft).bind(POOL, ITEMS, 0)([ROWS])
    assert (args.to_dict(), peft.to_dict()) == before
    assert training_arguments.WHILE_MEASURING.keys() <= {field.name for field in dataclasses.fields(SFTConfig)}
