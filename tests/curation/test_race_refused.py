"""Races that cannot be held: what is refused, when, and with what to do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shed_hf import (
    Full,
    InputError,
    InRun,
    Race,
    Random,
    RegressionAdjusted,
    read_ledger,
)
from tests.helpers.races import POOL, OnHalf, raced


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": Race(budget=14)}, "below the 15 that 5 candidates"),
        ({"method": Race(["longest", "dsir"], budget=4)}, "below the 5 that 2 candidates"),
        ({"utility": lambda row_sets: np.zeros((len(row_sets), 15)), "eval_dataset": None}, "there are 15 items"),
        ({"size": len(POOL)}, "pass a smaller size"),
        ({"budget": 1}, "budget=1 is too small"),
        ({"sampler": "qocss"}, r"did you mean 'qocs'\? pass one of auto, "),
    ],
)
def test_a_race_that_cannot_be_held_leaves_no_file_and_trains_nothing(
    changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for ledger in (None, tmp_path / "race.ledger"):
        with pytest.raises(InputError, match=message):
            raced(**{"ledger": ledger, **changes})
        assert not list(tmp_path.iterdir())


# ---- what cannot be used


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "races"}, r"method='races' is unknown; did you mean 'race'\? pass one of shapley, race"),
        ({"method": None}, r"method=None is unknown"),
        ({"method": Race}, r"method=<class .*Race'> is unknown"),
        ({"sampler": "full"}, r"Full\(\) takes all rows"),
        ({"method": Race(budget=5)}, "below the 15 that 5 candidates and random rows take"),
        ({"size": 160}, "takes all 160 rows that can be chosen"),
        ({"estimator": "in-run"}, r"estimator=InRun.* credits rows by all evaluation items"),
        ({"estimator": RegressionAdjusted(InRun())}, "credits rows by all evaluation items"),
        ({"method": Race(["ifd", "credit-coverage"])}, "no candidate can take part in the race: .*ifd"),
        ({"utility": OnHalf(range(15))}, r"there are 15 items; pass an eval_dataset= of at least 16"),
    ],
)
def test_what_cannot_be_raced_is_refused_with_what_to_do(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        raced(**{"ledger": tmp_path / "run.ledger", **changes})
    assert not (tmp_path / "run.ledger").exists() or len(read_ledger(tmp_path / "run.ledger")) <= 1  # v(∅) alone


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"candidates": "qocs"}, "is no list of samplers"),
        ({"candidates": {"a": "qocs"}}, "is no list of samplers"),
        ({"candidates": []}, "names none but random rows"),
        ({"candidates": [Random()]}, "names none but random rows"),
        ({"candidates": ["longest", "nearest"]}, "candidates='nearest' is unknown"),
        ({"candidates": ["longest", Full()]}, r"Full\(\) takes all rows"),
        ({"budget": 0}, "budget=0 is not a whole number"),
        ({"budget": True}, "budget=True is not a whole number"),
        ({"level": 95}, r"level=95 is not a confidence level"),
        ({"level": float("nan")}, r"level=nan is not a confidence level"),
    ],
)
def test_a_race_that_cannot_be_is_refused_at_birth(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Race(**arguments)
