"""Errors about a setting of a file have its line, and stay what they are."""

import pytest

from shed_hf import InputError, LedgerError
from shed_hf.config.error_lines import naming_lines, with_line
from shed_hf.config.recipe_file import parse_recipe
from shed_hf.config.shed_config import SETTINGS_BY_NAME

TEXT = """size: 0.1
sampler:
  name: QOCS
  most: 5
sft_config: {adam_beta2: x,
             adam_epsilon: y}
objective:
  name: Macro
  objective:
    name: Contrast
"""
LINES = parse_recipe(TEXT, "r", SETTINGS_BY_NAME).places()


@pytest.mark.parametrize(
    ("message", "placed"),
    [
        ("size=0 is not in 1 … 20", "line 1 of r: size: 0 is not in 1 … 20"),
        ("sampler.most=5 is too much", "line 4 of r: sampler.most: 5 is too much"),
        ("sampler: QOCS cannot be made", "line 2 of r: sampler: QOCS cannot be made"),
        ("sampler.seed is no field of QOCS", "line 2 of r: sampler.seed is no field of QOCS"),
        ("adam_epsilon='y' is refused", "line 6 of r: sft_config.adam_epsilon: 'y' is refused"),
        ("objective.objective.name='x' is unknown", "line 10 of r: objective.objective.name: 'x' is unknown"),
        ("name='x' is unknown", None),  # which of them nobody knows
        ("seed=3 is not", None),
        ("the size is wrong", None),
        ("line 1 of r: size: 0", None),
        ("", None),
    ],
)
def test_a_message_that_begins_with_a_setting_has_the_line_of_it(message: str, placed: str | None) -> None:
    assert with_line(message, LINES) == placed


@pytest.mark.parametrize(
    ("message", "while_made"),
    [
        ("most has nothing to do with it", "line 4 of r: sampler.most has nothing to do with it"),
        ("most is a column of text", "line 4 of r: sampler.most is a column of text"),
        ("most=5 is more than there are", "line 4 of r: sampler.most: 5 is more than there are"),
        ("objective.name='x' is unknown", "line 10 of r: objective.objective.name: 'x' is unknown"),
        ("adam_beta2 has no effect", "line 5 of r: sft_config.adam_beta2 has no effect"),
    ],
)
def test_a_field_is_known_by_its_name_alone_only_while_parts_are_made(message: str, while_made: str) -> None:
    lines = {**LINES}
    lines.pop("objective")
    assert with_line(message, lines, making_parts=True) == while_made
    assert with_line(message, lines) is None


def test_what_training_refuses_has_its_line_whenever_it_does() -> None:
    assert with_line("adam_beta2='x' is no number", LINES) == "line 5 of r: sft_config.adam_beta2: 'x' is no number"


def test_what_was_passed_otherwise_has_no_line() -> None:
    lines = parse_recipe(TEXT, "r", SETTINGS_BY_NAME).places(["sampler"])
    assert with_line("sampler.most=5 is too much", lines) is None
    assert with_line("size=0 is", lines) == "line 1 of r: size: 0 is"


@pytest.mark.parametrize("kind", [InputError, LedgerError])
def test_an_error_stays_the_one_it_is(kind: type[Exception]) -> None:
    raised = kind("size=0 is not", 7)
    raised.add_note("kept")
    with pytest.raises(kind) as found, naming_lines(LINES):
        raise raised
    assert found.value is raised
    assert (found.value.args, found.value.__notes__) == (("line 1 of r: size: 0 is not", 7), ["kept"])


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError, match=r"^'size=0'$"), naming_lines(LINES):
        raise KeyError("size=0")
