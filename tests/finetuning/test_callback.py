"""Many coalitions in one run: whatever was asked is measured, or it is an error; the trainer is given back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, EarlyStoppingCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from shed_hf.data.pool import read_pool
from shed_hf.errors import InputError
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.objectives import Loss
from shed_hf.finetuning.callback import ProxyValueCallback
from shed_hf.finetuning.trainer_settings import default_peft_config
from shed_hf.finetuning.trainer_utility import TrainerUtility
from shed_hf.game.game import Game
from tests.helpers.rows import make_rows

ITEMS = read_pool(Dataset.from_list(make_rows(4, seed=99))).examples(np.arange(4))
ROW_SETS = [np.array([0, 1, 2]), np.array([3, 4]), np.array([5, 6, 7, 8])]


class TimeLimit(TrainerCallback):  # type: ignore[misc]
    """Ends training after so many steps, at one event or another."""

    def __init__(self, n_steps: int, event: str, what: str) -> None:
        self.n_steps, self.event, self.what = n_steps, event, what

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.event == "step" and state.global_step >= self.n_steps:
            setattr(control, self.what, True)

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.event == "substep" and state.global_step >= self.n_steps:
            setattr(control, self.what, True)


def own_trainer(
    model: Path, folder: Path, callbacks: Sequence[TrainerCallback] = (), kind: type[SFTTrainer] = SFTTrainer,
    eval_dataset: Any = None, **fields: Any,
) -> tuple[SFTTrainer, Evaluation]:  # fmt: skip
    args = {"learning_rate": 1e-2, "per_device_train_batch_size": 2, "max_length": 96, "bf16": False, "seed": 7}
    args |= {"num_train_epochs": 1, "output_dir": str(folder), "use_cpu": True, "save_strategy": "no"}
    args |= {"activation_checkpointing": False, "disable_tqdm": True, **fields}
    tokenizer = AutoTokenizer.from_pretrained(model)
    trainer = kind(
        model=AutoModelForCausalLM.from_pretrained(model),
        args=SFTConfig(**args),
        train_dataset=Dataset.from_list([{"text": row["output"]} for row in make_rows(12)]),
        eval_dataset=eval_dataset,
        processing_class=tokenizer,
        peft_config=default_peft_config(),
        callbacks=list(callbacks),
    )
    return trainer, Evaluation(ITEMS, Loss(), tokenizer, 96)


@pytest.mark.parametrize(
    ("what", "n_steps", "measured"),
    [("should_training_stop", 1, 0), ("should_epoch_stop", 2, 1), ("should_training_stop", 4, 2)],
)
def test_a_callback_that_stops_training_is_named(
    what: str, n_steps: int, measured: int, tiny_model: Path, tmp_path: Path
) -> None:
    utility = TrainerUtility(*own_trainer(tiny_model, tmp_path, [TimeLimit(n_steps, "step", what)]))
    with pytest.raises(InputError, match=rf"after {measured} of 3 coalitions.*TimeLimit") as raised:
        utility(ROW_SETS)
    assert "remove_callback" in str(raised.value)
    utility.trainer.remove_callback(TimeLimit)
    assert np.isfinite(utility(ROW_SETS)).all()


def test_a_stop_between_micro_batches_is_an_error_too(tiny_model: Path, tmp_path: Path) -> None:
    limit = TimeLimit(1, "substep", "should_training_stop")
    utility = TrainerUtility(*own_trainer(tiny_model, tmp_path, [limit], gradient_accumulation_steps=2))
    with pytest.raises(InputError, match=r"of 3 coalitions.*TimeLimit"):
        utility(ROW_SETS)


def test_a_game_keeps_what_was_measured_before_the_stop(tiny_model: Path, tmp_path: Path) -> None:
    limit = TimeLimit(2, "step", "should_training_stop")
    utility = TrainerUtility(*own_trainer(tiny_model, tmp_path, [limit]))
    game = Game(ROW_SETS, utility)
    with pytest.raises(InputError, match=r"after 1 of 2 coalitions.*TimeLimit"):
        game(np.array([[True, False, False], [False, True, False]]))
    assert len(game.ledger) == 1
    assert all((entry.outcome != 0).all() for entry in game.ledger)


def test_stopping_at_the_very_end_loses_nothing(tiny_model: Path, tmp_path: Path) -> None:
    plain = TrainerUtility(*own_trainer(tiny_model, tmp_path))(ROW_SETS)
    limit = TimeLimit(5, "step", "should_training_stop")
    np.testing.assert_array_equal(TrainerUtility(*own_trainer(tiny_model, tmp_path, [limit]))(ROW_SETS), plain)


def test_early_stopping_is_refused_before_anything_is_trained(tiny_model: Path, tmp_path: Path) -> None:
    saving = {"eval_strategy": "steps", "save_strategy": "steps", "load_best_model_at_end": True, "eval_steps": 1}
    held_out = Dataset.from_list([{"text": "a b c d"}])
    trainer, evaluation = own_trainer(
        tiny_model, tmp_path, [EarlyStoppingCallback(1)], eval_dataset=held_out, save_steps=1, **saving
    )
    with pytest.raises(InputError, match=r"EarlyStoppingCallback .* 3 coalitions"):
        TrainerUtility(trainer, evaluation)(ROW_SETS)
    trainer.remove_callback(EarlyStoppingCallback)
    outcomes = TrainerUtility(trainer, evaluation)(ROW_SETS)
    np.testing.assert_array_equal(outcomes, TrainerUtility(*own_trainer(tiny_model, tmp_path))(ROW_SETS))
    assert not list(tmp_path.glob("checkpoint-*"))
    assert trainer.args.load_best_model_at_end
    assert (trainer.args.eval_strategy, trainer.args.save_strategy) == ("steps", "steps")


def test_a_training_step_that_ends_training_is_an_error(tiny_model: Path, tmp_path: Path) -> None:
    class Impatient(SFTTrainer):  # type: ignore[misc]
        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            self.control.should_training_stop = True
            return super().training_step(*args, **kwargs)

    utility = TrainerUtility(*own_trainer(tiny_model, tmp_path, kind=Impatient))
    with pytest.raises(InputError, match="of 3 coalitions"):
        utility(ROW_SETS)


def test_a_train_of_ones_own_that_returns_early_is_an_error(tiny_model: Path, tmp_path: Path) -> None:
    class Absent(SFTTrainer):  # type: ignore[misc]
        def train(self, *args: Any, **kwargs: Any) -> Any:
            return None

    utility = TrainerUtility(*own_trainer(tiny_model, tmp_path, kind=Absent))
    with pytest.raises(InputError, match="3 outcomes of 3 coalitions were not measured"):
        utility(ROW_SETS)


def test_credits_of_a_run_that_was_stopped_are_an_error(tiny_model: Path, tmp_path: Path) -> None:
    limit = TimeLimit(2, "step", "should_training_stop")
    utility = TrainerUtility(*own_trainer(tiny_model, tmp_path, [limit]))
    with pytest.raises(InputError, match="TimeLimit"):
        utility.credit(np.arange(8), every=1)


def test_detaching_gives_the_trainer_back(tiny_model: Path, tmp_path: Path) -> None:
    trainer, evaluation = own_trainer(tiny_model, tmp_path, lr_scheduler_type="linear", gradient_accumulation_steps=2)
    before, own = trainer.args.to_dict(), trainer.get_train_dataloader
    trainer.get_train_dataloader = own
    weights = {name: weight.clone() for name, weight in trainer.model.named_parameters()}
    callback = ProxyValueCallback(ROW_SETS, evaluation)
    callback.attach(trainer)
    assert trainer.args.max_steps == 3
    trainer.train()
    callback.detach(trainer)
    assert trainer.args.to_dict() == before
    assert trainer.get_train_dataloader is own
    assert callback not in trainer.callback_handler.callbacks
    assert {group["lr"] for group in trainer.optimizer.param_groups} == {1e-2}
    assert all((weight == weights[name]).all() for name, weight in trainer.model.named_parameters())
    trainer.train()
    assert trainer.state.global_step == 3  # its own: 12 rows, 4 a step
    callback.detach(trainer)  # once more changes nothing
    assert trainer.args.to_dict() == before


def test_a_trainer_trains_after_measuring_as_it_would_have_before(tiny_model: Path, tmp_path: Path) -> None:
    measured, evaluation = own_trainer(tiny_model, tmp_path, lr_scheduler_type="linear")
    TrainerUtility(measured, evaluation)(ROW_SETS)
    plain, _ = own_trainer(tiny_model, tmp_path, lr_scheduler_type="linear")
    for trainer in (measured, plain):
        trainer.train()
    assert evaluation(measured.model) == pytest.approx(evaluation(plain.model), abs=1e-6)
