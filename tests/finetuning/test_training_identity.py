"""A header holds all that changes an outcome, and a ledger of another setting is refused by the setting's name."""

import copy
import dataclasses
import tempfile
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from peft import LoHaConfig, LoraConfig
from transformers import AutoTokenizer
from trl import SFTConfig

from shed_hf.data.formats import Example, Turn
from shed_hf.data.pool import read_pool
from shed_hf.errors import LedgerError
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.metrics import Metric
from shed_hf.evaluation.objectives import Contrast, Loss
from shed_hf.finetuning.digests import (
    dataset_digest,
    items_digest,
    sampled_weights_digest,
    vocabulary_digest,
    weights_digest,
)
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_args, default_peft_config
from shed_hf.finetuning.training_identity import (
    ADAPTER_LEFT_OUT,
    ARGUMENTS_LEFT_OUT,
    adapters,
    arguments,
    evaluation_parts,
    header_value,
    model_parts,
)
from shed_hf.game.ledger import Entry, Ledger
from tests.helpers.ledgers import an_entry
from tests.helpers.rows import make_rows
from tests.helpers.tiny_models import tiny

POOL = read_pool(Dataset.from_list(make_rows(16)))
ITEMS = read_pool(Dataset.from_list(make_rows(4, seed=99))).examples(np.arange(4))
ROWS = np.array([9, 2, 14, 5, 3])


def config(**fields: Any) -> SFTConfig:
    args = {"learning_rate": 1e-2, "per_device_train_batch_size": 2, "max_length": 96, "bf16": False, "seed": 7}
    args |= {"output_dir": tempfile.gettempdir(), "activation_checkpointing": False, "use_cpu": True, "report_to": []}
    args |= {"num_train_epochs": 1}
    return SFTConfig(**{**args, **fields})


def bound(model: Path, objective: Any = "loss", args: Any = None, peft: Any = None, items: Any = ITEMS) -> Any:
    return FineTune(str(model), objective, args=args or config(), peft_config=peft).bind(POOL, items, 0)


def another(value: Any) -> Any:
    """Some other value of the same kind."""
    if isinstance(value, Enum):
        return next(member for member in type(value) if member is not value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if value is None or isinstance(value, str):
        return f"{value or ''}other"
    if isinstance(value, dict):
        return {**value, "other": 1}
    if isinstance(value, list | set):
        return type(value)([*value, "other"])
    changed = copy.deepcopy(value)
    first = next(iter(vars(changed)))
    setattr(changed, first, another(getattr(changed, first)))
    return changed


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(SFTConfig)])
def test_every_training_argument_is_in_the_header_or_left_out_for_a_reason(name: str) -> None:
    args = default_args()
    changed = copy.deepcopy(args)
    vars(changed)[name] = another(getattr(args, name))
    assert (arguments(args) == arguments(changed)) == (name in ARGUMENTS_LEFT_OUT)


@pytest.mark.parametrize("kind", [LoraConfig, LoHaConfig])
def test_every_field_of_an_adapter_is_in_the_header_or_left_out_for_a_reason(kind: Any) -> None:
    for field in dataclasses.fields(kind):
        one = kind(r=4, target_modules=["q_proj", "v_proj"])
        other = copy.deepcopy(one)
        vars(other)[field.name] = another(getattr(one, field.name))
        described = [adapters(SimpleNamespace(peft_config={"default": each})) for each in (one, other)]
        assert (described[0] == described[1]) == (field.name in ADAPTER_LEFT_OUT), field.name


LEFT_OUT: list[dict[str, Any]] = [
    {
        "log_level": "error", "log_level_replica": "error", "disable_tqdm": True, "run_name": "a", "project": "b",
        "trackio_space_id": "c", "trackio_bucket_id": "d", "trackio_static_space_id": "e", "logging_strategy": "epoch",
        "logging_steps": 3, "logging_first_step": True, "log_on_each_node": False, "logging_nan_inf_filter": False,
        "include_num_input_tokens_seen": "all", "report_to": ["none"], "output_dir": "elsewhere",
        "skip_memory_metrics": False, "save_only_model": True, "save_steps": 7, "save_on_each_node": True,
        "save_total_limit": 2, "enable_jit_checkpoint": True, "hub_token": "hf_x", "hub_private_repo": True,
        "hub_model_id": "f", "hub_strategy": "end", "hub_always_push": True, "hub_revision": "g",
    },
    {
        "eval_steps": 3, "eval_delay": 2, "per_device_eval_batch_size": 3, "prediction_loss_only": True,
        "eval_do_concat_batches": False, "eval_use_gather_object": True, "eval_accumulation_steps": 2,
        "include_for_metrics": ["loss"], "batch_eval_metrics": True, "metric_for_best_model": "h",
        "greater_is_better": True, "save_strategy": "epoch", "ignore_data_skip": True, "do_predict": True,
        "restore_callback_states_from_checkpoint": True, "auto_find_batch_size": True, "do_train": True,
        "do_eval": True, "ddp_timeout": 60, "local_rank": 0, "data_seed": 9,
    },
    {
        "dataloader_num_workers": 1, "dataloader_pin_memory": True, "dataloader_persistent_workers": True,
        "dataloader_prefetch_factor": 3, "dataloader_multiprocessing_context": "spawn", "dataloader_in_order": False,
        "remove_unused_columns": False, "label_names": ["labels"], "length_column_name": "i", "dataset_num_proc": 2,
        "dataset_kwargs": {"add_special_tokens": False}, "packing_strategy": "wrapped", "eval_packing": True,
        "shuffle_dataset": True,
    },
]  # fmt: skip
"""Another value for each training argument that is left out of the header."""


def test_what_is_left_out_of_the_header_changes_no_bit_of_an_outcome(tiny_model: Path) -> None:
    assert {name for group in LEFT_OUT for name in group} == ARGUMENTS_LEFT_OUT
    expected = bound(tiny_model)([ROWS])
    for group in LEFT_OUT:
        args = config()
        for name, value in group.items():
            assert getattr(args, name) != value or name in ("disable_tqdm", "local_rank")
            setattr(args, name, value)
        np.testing.assert_array_equal(bound(tiny_model, args=args)([ROWS]), expected)
    adapter = default_peft_config()
    for name in ADAPTER_LEFT_OUT:
        setattr(adapter, name, {"a": "b"} if name == "auto_mapping" else "other")
    np.testing.assert_array_equal(bound(tiny_model, peft=adapter)([ROWS]), expected)


def lora(**fields: Any) -> LoraConfig:
    given = {"r": 8, "lora_alpha": 16, "lora_dropout": 0.0, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
    return LoraConfig(**{**given, **fields})


@pytest.fixture(scope="module")
def headers(tiny_model: Path) -> list[Any]:
    """Of the usual training, and of the same with its adapter given."""
    return [bound(tiny_model).describe(), bound(tiny_model, peft=lora()).describe()]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lora_alpha", 64), ("use_rslora", True), ("lora_dropout", 0.1), ("rank_pattern", {"q_proj": 2}),
        ("adam_beta1", 0.5), ("adam_beta2", 0.9), ("adam_epsilon", 1e-3), ("neftune_noise_alpha", 5.0),
        ("label_smoothing_factor", 0.1), ("learning_rate", 0.5), ("max_grad_norm", 0.1), ("bf16", True),
        ("optim_args", "eps=1e-3"), ("lr_scheduler_kwargs", {"num_cycles": 2}), ("loss_type", "dft"),
    ],
)  # fmt: skip
def test_a_ledger_of_another_setting_is_refused_by_its_name(
    name: str, value: Any, headers: list[Any], tiny_model: Path, tmp_path: Path
) -> None:
    adapter = name in {field.name for field in dataclasses.fields(LoraConfig)}
    other = (
        bound(tiny_model, peft=lora(**{name: value})) if adapter else bound(tiny_model, args=config(**{name: value}))
    )
    with Ledger(tmp_path / "run.ledger", headers[0]) as ledger:
        ledger.put(an_entry(1))
    Ledger(tmp_path / "run.ledger", headers[1]).close()
    field = f"adapter.default.{name}" if adapter else f"training.{name}"
    with pytest.raises(LedgerError, match=rf"{field}: ledger has .*, this run has "):
        Ledger(tmp_path / "run.ledger", other.describe())


def test_a_model_is_known_by_every_number_and_its_dtype() -> None:
    model = tiny("llama")
    before = weights_digest(model)
    assert before == weights_digest(tiny("llama")) == weights_digest(copy.deepcopy(model))
    half = copy.deepcopy(model).to(torch.bfloat16)
    assert sampled_weights_digest(half) == sampled_weights_digest(copy.deepcopy(half).float())
    assert weights_digest(half) != weights_digest(copy.deepcopy(half).float())
    for place in (1, -1, 777):
        changed = copy.deepcopy(model)
        weight = changed.model.embed_tokens.weight.data.flatten()
        weight[place] = torch.nextafter(weight[place], torch.tensor(2.0))
        assert weights_digest(changed) != before
    buffered = torch.nn.BatchNorm1d(3)
    first = weights_digest(buffered)
    buffered.running_mean[1] = 0.5
    assert weights_digest(buffered) != first


class Holding(torch.nn.Module):
    def __init__(self, numbers: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("numbers", numbers)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.uint8, torch.bool])
@pytest.mark.parametrize("length", [1, 7, 64])
def test_weights_of_any_kind_are_known_by_each_number_and_its_place(dtype: torch.dtype, length: int) -> None:
    numbers = (torch.arange(length) % 2 * 3 + 1).to(dtype)
    seen = {weights_digest(Holding(numbers))}
    for place in range(length):
        changed = numbers.clone()
        changed[place] = 0
        seen.add(weights_digest(Holding(changed)))
    assert len(seen) == 1 + length
    strided = torch.stack([numbers, numbers], dim=1)[:, 0]
    assert weights_digest(Holding(strided)) == weights_digest(Holding(numbers))
    assert weights_digest(Holding(numbers[None])) != weights_digest(Holding(numbers))


def test_items_are_known_by_every_field() -> None:
    turns = (Turn("user", "2 + 2?"), Turn("assistant", "4"))
    reference = Example(turns, options=("4", "5"), answer=0)
    changes: dict[str, Any] = {
        "turns": (Turn("system", "2 + 2?"), turns[1]), "verbatim": True, "options": ("4", "6"), "answer": 1, "given": 1,
    }  # fmt: skip
    digests = {items_digest([dataclasses.replace(reference, **{name: value})]) for name, value in changes.items()}
    assert len(digests | {items_digest([reference])}) == len(changes) + 1
    assert items_digest([reference]) == items_digest([dataclasses.replace(reference)])
    assert items_digest([reference, reference]) != items_digest([reference])


def test_what_is_evaluated_is_known_by_its_tokens_and_the_objective_by_its_state(tiny_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)

    def parts(objective: Any, max_length: int = 96, seed: int = 0) -> Any:
        return evaluation_parts(Evaluation(ITEMS, objective, tokenizer, max_length, seed))

    assert parts(Loss()) == parts(Loss())
    assert parts(Contrast(1), seed=0)["candidates"] != parts(Contrast(1), seed=1)["candidates"]
    assert parts(Loss(), max_length=30)["candidates"] != parts(Loss())["candidates"]

    def metric(offset: float) -> Metric:
        return Metric(lambda predictions, references: offset)

    def objective(offset: float) -> Any:
        return lambda model, tokenizer, items: np.full(len(items), offset)

    for make in (metric, objective):
        assert parts(make(1.0)) == parts(make(1.0))
        assert parts(make(1.0)) != parts(make(-1.0))


def test_a_tokenizer_is_known_by_all_that_makes_tokens(tiny_model: Path) -> None:
    reference, same = AutoTokenizer.from_pretrained(tiny_model), AutoTokenizer.from_pretrained(tiny_model)
    same("a text", truncation=True, max_length=1, padding="max_length")
    assert vocabulary_digest(reference) == vocabulary_digest(same)
    same.add_tokens(["another"])
    assert vocabulary_digest(reference) != vocabulary_digest(same)
    same = AutoTokenizer.from_pretrained(tiny_model)
    same.chat_template = "{{ messages[0]['content'] }}"
    assert vocabulary_digest(reference) != vocabulary_digest(same)


def test_a_models_configuration_belongs_to_it() -> None:
    assert model_parts(tiny("llama")) == model_parts(tiny("llama"))
    assert model_parts(tiny("llama")) != model_parts(tiny("llama", dropout=0.1))
    assert model_parts(tiny("llama")) != model_parts(tiny("qwen2"))
    theta = tiny("llama")
    theta.config.rms_norm_eps = 1e-3
    assert model_parts(theta) != model_parts(tiny("llama"))


def test_rows_of_a_prepared_dataset_are_known_by_their_tokens_in_any_order() -> None:
    rows = [{"input_ids": [1, 2, 3]}, {"input_ids": [4]}, {"input_ids": [4]}]
    reference = dataset_digest(Dataset.from_list(rows))
    assert dataset_digest(Dataset.from_list(rows[::-1])) == reference
    assert dataset_digest(Dataset.from_list(rows[:2])) != reference
    assert dataset_digest(Dataset.from_list([{"input_ids": [1, 2]}, {"input_ids": [3, 4]}, rows[1]])) != reference
    assert dataset_digest(Dataset.from_list([{**row, "labels": row["input_ids"]} for row in rows])) != reference


def test_a_setting_that_is_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "zero.json").write_text('{"stage": 2}')
    one, other = header_value(str(tmp_path / "a" / "zero.json")), header_value(str(tmp_path / "b" / "zero.json"))
    assert one == other
    assert str(tmp_path) not in one
    (tmp_path / "b" / "zero.json").write_text('{"stage": 3}')
    assert header_value(str(tmp_path / "b" / "zero.json")) != one
    assert str(tmp_path) not in str(header_value({"folder": str(tmp_path)}))


def test_going_on_with_what_was_noted_in_full_says_nothing(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = bound(tiny_model).describe()
    with Ledger(tmp_path / "run.ledger", header) as ledger:
        ledger.put(Entry("key", ((1, 2),), np.array([0.5]), 0.1, {}))
    with Ledger(tmp_path / "run.ledger", bound(tiny_model).describe()) as ledger:
        assert len(ledger) == 1
    assert "earlier version" not in capsys.readouterr().err
