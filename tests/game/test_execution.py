"""How fine-tunings are computed, in words."""

import numpy as np
import pytest

from shed_hf.game.execution import Execution, Precision, execution_of

MEASURED = Precision("float32", speeds={"float32": 1060.4, "bfloat16": 3.14})


@pytest.mark.parametrize(
    ("precision", "words"),
    [
        (MEASURED, "float32 (1,060 GFLOP/s against 3.1 in bfloat16)"),
        (Precision("bfloat16", "as in the ledger"), "bfloat16 (as in the ledger)"),
        (Precision("float32"), "float32"),
    ],
    ids=["measured", "recorded", "given"],
)
def test_a_precision_says_why(precision: Precision, words: str) -> None:
    assert str(precision) == words


@pytest.mark.parametrize(
    ("execution", "words"),
    [
        (Execution(Precision("float32"), True, 0.586, 0.011), "rows grouped by length, 1% of padding instead of 59%"),
        (Execution(Precision("float32"), False, 0.34, 0.34), "rows as they come, 34% of padding"),
    ],
    ids=["grouped", "as given"],
)
def test_steps_are_one_line(execution: Execution, words: str) -> None:
    assert str(execution) == f"steps: float32; {words}"


def test_without_padding_the_precision_is_named_alone() -> None:
    assert str(Execution(Precision("bfloat16", "as in the ledger"))) == "steps: bfloat16 (as in the ledger)"


def test_a_plain_callable_tells_nothing() -> None:
    assert execution_of(lambda row_sets: np.ones((len(row_sets), 1)), np.arange(3)) is None
