"""The value function: what one long training run measures is what a fresh trainer for every coalition would."""

import random
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer

import shed_hf
from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool, read_pool
from shed_hf.errors import Diverged, InputError
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.objectives import Choice, Loss
from shed_hf.finetuning.callback import ProxyValueCallback
from shed_hf.finetuning.digests import weights_digest
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.schedule import NULL_ROW, schedule
from shed_hf.finetuning.schedule_factors import schedule_factors
from shed_hf.finetuning.session import InitialWeights
from shed_hf.finetuning.trainer_settings import default_args, default_peft_config
from shed_hf.finetuning.trainer_utility import TrainerUtility
from shed_hf.game.game import Game
from tests.helpers.rows import make_rows

ROW_SETS = [np.array([3, 1, 40, 22, 7]), np.array([5]), np.array([9, 8, 60, 61, 62, 63, 64, 65, 66, 67, 68])]


@pytest.fixture(scope="module")
def rows() -> Pool:
    return read_pool(Dataset.from_list(make_rows(80)))


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return read_pool(Dataset.from_list(make_rows(12, seed=99))).examples(np.arange(12))


def config(tmp_path: Path, **fields: Any) -> SFTConfig:
    args = {"learning_rate": 1e-2, "per_device_train_batch_size": 4, "max_length": 128, "bf16": False, "seed": 7}
    args |= {"output_dir": str(tmp_path), "activation_checkpointing": False, "use_cpu": True, "report_to": []}
    return SFTConfig(**{**args, **fields})


def fresh_outcomes(
    model: Path, pool: Pool, items: Sequence[Example], args: SFTConfig, peft: LoraConfig, row_sets: Sequence[Any]
) -> np.ndarray[Any, Any]:
    """A model loaded anew and a trainer of its own for every row set, from the rows' text."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    outcomes = []
    for row_set in row_sets:
        turns = [[turn._asdict() for turn in example.turns] for example in pool.examples(row_set)]
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(model),
            args=args,
            train_dataset=Dataset.from_list([{"prompt": row[:-1], "completion": row[-1:]} for row in turns]),
            processing_class=tokenizer,
            peft_config=peft,
        )
        trainer.train()
        outcomes.append(Evaluation(items, Loss(), tokenizer, 128)(trainer.model))
    return np.stack(outcomes)


@pytest.mark.parametrize(
    "fields",
    [
        {"num_train_epochs": 1},
        {
            "num_train_epochs": 2,
            "lr_scheduler_type": "linear",
            "warmup_steps": 1,
            "gradient_accumulation_steps": 2,
            "weight_decay": 0.1,
        },
    ],
    ids=["one epoch", "epochs, schedule and accumulation"],
)
def test_one_run_measures_what_fresh_trainers_do(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path, fields: dict[str, Any]
) -> None:
    seed = 7
    args = config(tmp_path, **fields)
    utility = FineTune(str(tiny_model), "loss", args=args).bind(rows, examples, seed)
    filling = [np.array([3, 1, 40, 22, 7, 30, 31, 32]), np.array([5]), np.r_[9, 8, 60:69, 70:75]]  # of 8, 1 and 16 rows
    measured = utility(filling)
    naive = config(tmp_path, train_sampling_strategy="sequential", save_strategy="no", **fields)
    expected = fresh_outcomes(tiny_model, rows, examples, naive, default_peft_config(), filling)
    np.testing.assert_allclose(measured, expected, atol=1e-5)
    assert np.abs(measured[0] - measured[1]).max() > 1e-3  # the row sets do differ


def test_outcomes_do_not_depend_on_what_was_measured_before(
    tiny_model: Path, rows: Pool, examples: list[Example]
) -> None:
    peft = LoraConfig(r=4, lora_dropout=0.3, target_modules="all-linear", task_type="CAUSAL_LM")
    utility = FineTune(str(tiny_model), "loss", peft_config=peft).bind(rows, examples, 0)
    together = utility(ROW_SETS)
    alone = np.concatenate([utility([row_set]) for row_set in reversed(ROW_SETS)])[::-1]
    np.testing.assert_array_equal(together, alone)


def test_a_reloaded_model_gives_what_a_restored_adapter_gives(
    tiny_model: Path, rows: Pool, examples: list[Example]
) -> None:
    once = FineTune(str(tiny_model), "loss").bind(rows, examples, 3)
    once(ROW_SETS)
    again = FineTune(str(tiny_model), "loss").bind(rows, examples, 3)
    np.testing.assert_array_equal(once(ROW_SETS), again(ROW_SETS))


def test_no_rows_are_worth_what_the_untouched_model_is(tiny_model: Path, rows: Pool, examples: list[Example]) -> None:
    utility = FineTune(str(tiny_model), "loss").bind(rows, examples, 0)
    utility(ROW_SETS)
    plain = AutoModelForCausalLM.from_pretrained(tiny_model)
    expected = Evaluation(examples, Loss(), AutoTokenizer.from_pretrained(tiny_model), 512)(plain)
    np.testing.assert_allclose(utility([np.empty(0, np.int64)])[0], expected, atol=1e-5)


def test_continuing_trains_on_from_block_to_block(tiny_model: Path, rows: Pool, examples: list[Example]) -> None:
    utility = FineTune(str(tiny_model), "loss", args=None).bind(rows, examples, 0)
    game = Game([np.arange(0, 8), np.arange(8, 16)], utility)
    first, both = game.along([[np.array([0]), np.array([1])]])[0]
    alone, grand = game(np.array([[True, False], [True, True]]), common=True)
    assert first == pytest.approx(alone, abs=1e-9)  # before anything follows, continuing is retraining
    assert both != pytest.approx(first, abs=1e-4)
    assert abs(both - grand) < abs(first - grand)


def test_measuring_leaves_the_caller_as_it_was(tiny_model: Path, rows: Pool, examples: list[Example]) -> None:
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=3)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    before = weights_digest(model)
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    expected = (random.random(), np.random.random(), float(torch.rand(1)))
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    FineTune(model, "loss", AutoTokenizer.from_pretrained(tiny_model)).bind(rows, examples, 0)(ROW_SETS[:1])
    assert (random.random(), np.random.random(), float(torch.rand(1))) == expected
    assert weights_digest(model) == before
    assert accelerator.gradient_accumulation_steps == 3
    assert accelerator.mixed_precision == "no"


def test_a_trainer_of_ones_own_measures_a_game_and_prints_nothing(
    tiny_model: Path, examples: list[Example], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    texts = Dataset.from_list([{"text": f"{row['instruction']} {row['output']}"} for row in make_rows(24)])
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_model),
        args=config(tmp_path, save_strategy="no", disable_tqdm=True),
        train_dataset=texts,
        processing_class=tokenizer,
        peft_config=default_peft_config(),
    )
    evaluation = Evaluation(examples, Loss(), tokenizer, 128)
    callback = ProxyValueCallback([[0, 1, 2], [2, 3]], evaluation)
    trainer.add_callback(callback)
    callback.attach(trainer)
    trainer.train()
    by_callback = np.stack(callback.outcomes)
    callback.detach(trainer)
    callbacks = list(trainer.callback_handler.callbacks)
    capsys.readouterr()
    by_utility = TrainerUtility(trainer, evaluation)([np.array([0, 1, 2]), np.array([2, 3])])
    np.testing.assert_array_equal(by_callback, by_utility)
    curated = shed_hf.curate(
        texts, 6, utility=TrainerUtility(trainer, evaluation), embedder="lexical", clusterer=shed_hf.KMeans(3), budget=5
    )
    assert len(curated.rows) == 6
    assert "train_runtime" not in "".join(capsys.readouterr())
    assert trainer.callback_handler.callbacks == callbacks  # its own printing is back


def test_an_unattached_callback_says_what_to_do(tiny_model: Path, examples: list[Example], tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    callback = ProxyValueCallback([[0]], Evaluation(examples, Loss(), tokenizer, 128))
    trainer = SFTTrainer(
        model=str(tiny_model),
        args=config(tmp_path, max_steps=1),
        train_dataset=Dataset.from_dict({"text": ["a b c d"]}),
        processing_class=tokenizer,
        callbacks=[callback],
    )
    with pytest.raises(InputError, match=r"callback\.attach\(trainer\)"):
        trainer.train()


def test_a_diverging_model_names_coalition_and_learning_rate(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path
) -> None:
    utility = FineTune(str(tiny_model), "loss", args=config(tmp_path, learning_rate=1e30)).bind(rows, examples, 0)
    game = Game([np.arange(8), np.arange(8, 16)], utility)
    v_empty = game(np.array([[False, False]]))
    with pytest.raises(Diverged, match=r"players \[0\].*8 rows.*learning_rate=1e\+30.*lower it"):
        game(np.array([[True, False]]))
    assert len(game.ledger) == 1
    assert game(np.array([[False, False]])) == v_empty


def test_accuracy_is_recorded_beside_a_choice(tiny_model: Path, rows: Pool) -> None:
    quiz = [{"question": f"q{n}", "choices": ["salt", "dog fur", "goal"], "answer": n % 3} for n in range(9)]
    items = read_pool(Dataset.from_list(quiz)).examples(np.arange(9))
    utility = FineTune(str(tiny_model)).bind(rows, items, 0)
    assert isinstance(utility.evaluation.objective, Choice)
    game = Game([np.arange(4)], utility)
    game.ends()
    assert all(0 <= entry.extra_metrics["accuracy"] <= 1 for entry in game.ledger)


def test_rows_cut_before_their_completion_are_not_trained_on(tiny_model: Path, examples: list[Example]) -> None:
    long = [{"prompt": "word " * 300, "completion": "lost"}, {"prompt": "short", "completion": "kept"}]
    pool = read_pool(Dataset.from_list(long))
    utility = FineTune(str(tiny_model), "loss").bind(pool, examples, 0)
    assert utility.trainable(np.array([0, 1])).tolist() == [False, True]
    with pytest.warns(UserWarning, match=r"1 of 2 rows .* 1 lost their whole completion"):
        utility([np.array([1])])


@pytest.mark.parametrize("fields", [{"packing": True}, {"padding_free": True}])
def test_packing_is_refused(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path, fields: dict[str, Any]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        args = config(tmp_path, **fields)
        with pytest.raises(InputError, match="packing=False"):
            FineTune(str(tiny_model), "loss", args=args).bind(rows, examples, 0)


def test_the_identity_tells_models_trainings_and_items_apart(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path
) -> None:
    reference = FineTune(str(tiny_model), "loss").bind(rows, examples, 0).describe()
    assert reference == FineTune(str(tiny_model), "loss").bind(rows, examples, 0).describe()
    other_rate = FineTune(str(tiny_model), "loss", args=config(tmp_path, learning_rate=0.5)).bind(rows, examples, 0)
    assert other_rate.describe()["training"] != reference["training"]
    assert (
        FineTune(str(tiny_model), "contrast").bind(rows, examples, 0).describe()["objective"] != reference["objective"]
    )
    assert (
        FineTune(str(tiny_model), "loss").bind(rows, examples[1:], 0).describe()["evaluation"]
        != reference["evaluation"]
    )
    template = AutoTokenizer.from_pretrained(tiny_model)
    template.chat_template = template.chat_template.replace("|>\n", "|> ")
    spaced = FineTune(str(tiny_model), "loss", template).bind(rows, examples, 0)
    assert spaced.describe()["tokenizer"] != reference["tokenizer"]
    wider = FineTune(str(tiny_model), "loss", peft_config=LoraConfig(r=2, target_modules="all-linear"))
    assert wider.bind(rows, examples, 0).describe()["weights"] != reference["weights"]


def test_a_schedule_never_lets_a_step_straddle_blocks() -> None:
    plan = schedule([[np.arange(5), np.arange(5, 8)], [np.arange(9)]], batch_size=2, accumulation=2, epochs=2)
    ends = [(step.sequence, step.ends_block) for step in plan.steps if step.ends_block is not None]
    assert ends == [(0, 0), (0, 1), (1, 0)]
    assert [step.ends_sequence for step in plan.steps] == [False] * 5 + [True] + [False] * 5 + [True]
    assert len(plan.batches) == 2 * len(plan.steps)
    first_block = [row for batch in plan.batches[:8] for row in batch if row != NULL_ROW]
    assert first_block == [0, 1, 2, 3, 4] * 2


def test_schedule_factors_are_those_of_the_trainer(tiny_model: Path, tmp_path: Path) -> None:
    seen: list[float] = []

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            seen.append(kwargs["optimizer"].param_groups[0]["lr"])

    args = config(tmp_path, learning_rate=1.0, max_steps=7, lr_scheduler_type="cosine", warmup_steps=2)
    SFTTrainer(
        model=str(tiny_model),
        args=args,
        train_dataset=Dataset.from_dict({"text": ["a b c d"] * 28}),
        processing_class=AutoTokenizer.from_pretrained(tiny_model),
        callbacks=[Watch()],
    ).train()
    assert schedule_factors(args, 7) == pytest.approx(seen)


def test_a_model_without_trainable_parameters_is_refused(tiny_model: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model).requires_grad_(False)
    with pytest.raises(InputError, match="LoraConfig"):
        InitialWeights(model)


def test_default_arguments_train_at_the_weights_precision() -> None:
    args = default_args()
    assert not args.bf16
    assert not args.fp16
