"""Where messages say that a setting of training is passed."""

from pathlib import Path

import pytest
from trl import SFTConfig

import shed_hf
from shed_hf import FineTune, ShedConfig
from shed_hf.cli.shell_words import in_shell_words
from shed_hf.finetuning.from_settings import fine_tune_from
from shed_hf.finetuning.given_args import in_full
from shed_hf.utils.setting_hint import setting_hint


@pytest.mark.parametrize(("name", "value"), [("max_length", 64), ("learning_rate", 2e-4)])
def test_both_ways_that_are_named_set_it(name: str, value: float) -> None:
    assert setting_hint(name) == f"{name}= of curate, or of FineTune(args=SFTConfig({name}=…))"
    assert f"--{name.replace('_', '-')} of curate" in in_shell_words(f"raise {setting_hint(name)}")
    assert getattr(ShedConfig(**{name: value}), name) == value
    for tuner in (fine_tune_from("m", None, {name: value}), FineTune("m", args=SFTConfig(bf16=False, **{name: value}))):
        assert getattr(in_full(tuner.args), name) == value


def test_no_message_puts_trainings_settings_into_the_args_of_curate() -> None:
    package = Path(shed_hf.__file__).parent
    said = {path.name: path.read_text("utf-8").replace("FineTune(args=SFTConfig", "") for path in package.rglob("*.py")}
    assert [name for name, text in said.items() if "args=SFTConfig(" in text or "raise it in args" in text] == []
