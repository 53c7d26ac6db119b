"""A ledger gives its outcomes to the same utility alone; those of earlier versions say what they leave open."""

import functools
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

import shed_hf
from shed_hf.errors import LedgerError
from shed_hf.game.ledger_header import check_header
from shed_hf.game.recorded_settings import BEGUN_WITH, comparable, line_on_unrecorded, unknown, unrecorded
from shed_hf.game.utility import as_trainable_utility
from shed_hf.types import FloatMatrix, IntVector
from shed_hf.utils.naming import bare_name
from tests.helpers.rows import make_rows

ROWS = Dataset.from_list(make_rows(24))


class Util:
    def __init__(self, sign: Any) -> None:
        self.sign = sign

    def __call__(self, row_sets: Sequence[IntVector]) -> FloatMatrix:
        return np.array([[float(self.sign) * sum(rows), len(rows)] for rows in row_sets])

    def measured(self, row_sets: Sequence[IntVector]) -> FloatMatrix:
        return self(row_sets)


@dataclass(frozen=True)
class Hidden(Util):
    sign: Any = field(repr=False)


def signed(row_sets: Sequence[IntVector], sign: float, table: Any = None) -> FloatMatrix:
    return Util(sign)(row_sets)


def closure(sign: float) -> Callable[..., FloatMatrix]:
    return lambda row_sets: signed(row_sets, sign)


def with_default(sign: float) -> Callable[..., FloatMatrix]:
    return lambda row_sets, by=sign: signed(row_sets, by)


class Reading(Util):
    """Holds a file, whose content can't be read without moving it."""

    def __init__(self, sign: Any) -> None:
        super().__init__(sign)
        self.file = os.fdopen(os.dup(0))


def curated(utility: Any, ledger: Path | None = None) -> Any:
    clusters = np.arange(24) % 3
    return shed_hf.curate(ROWS, 6, utility=utility, ledger=ledger, embedder=np.eye(24), clusterer=clusters, seed=0)


KINDS: dict[str, Callable[[Any], Any]] = {
    "an object": Util,
    "a hidden field": Hidden,
    "a partial": lambda sign: functools.partial(signed, sign=sign),
    "an array in a partial": lambda sign: functools.partial(signed, sign=1, table=np.array([0, sign])),
    "a closure": closure,
    "a default": with_default,
    "a bound method": lambda sign: Util(sign).measured,
}


@pytest.mark.parametrize("kind", KINDS, ids=[kind.replace(" ", "-") for kind in KINDS])
def test_a_utility_gets_its_own_outcomes_and_no_others(kind: str, tmp_path: Path) -> None:
    make, path = KINDS[kind], tmp_path / "run.ledger"
    first = curated(make(+1), path)
    again = curated(make(+1), path)
    assert again.recipe["bill"]["fine_tunings"] == 0
    assert again.estimate.values.tolist() == first.estimate.values.tolist()
    with pytest.raises(LedgerError, match=r"the state of utility= is another \([\w .]*(sign|table|by|class)\)"):
        curated(make(-1), path)


def test_a_utility_that_cannot_be_told_apart_goes_on_with_no_ledger(tmp_path: Path) -> None:
    assert len(curated(Reading(1)).rows) == 6
    path = tmp_path / "run.ledger"
    curated(Reading(1), path)
    with pytest.raises(LedgerError, match=r"utility state\.file cannot be told apart.*TextIOWrapper.*shed_hf\.Named\("):
        curated(Reading(1), path)


def test_a_named_utility_is_known_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    curated(shed_hf.Named("plus", Reading(1)), path)
    assert curated(shed_hf.Named("plus", Reading(1)), path).recipe["bill"]["fine_tunings"] == 0
    with pytest.raises(LedgerError, match="utility was 'plus', is now 'minus'"):
        curated(shed_hf.Named("minus", Reading(-1)), path)


def as_before(path: Path, utility: Any) -> None:
    """Give a ledger the header that version 0.1 wrote."""
    header = {**shed_hf.read_ledger(path).header}
    for name in ("identity", "utility state"):
        del header[name]
    entries = list(shed_hf.read_ledger(path))
    path.unlink()
    assert header["utility"] == bare_name(utility)
    shed_hf.Ledger.of(header, entries).dump(path)


def test_an_earlier_ledger_of_a_callable_is_gone_on_with_and_says_what_it_leaves_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shed_hf.utils.logs.quiet", lambda: False)
    path = tmp_path / "run.ledger"
    first = curated(Util(1), path)
    as_before(path, Util(1))
    capsys.readouterr()
    again = curated(Util(1), path)
    assert again.recipe["bill"]["fine_tunings"] == 0
    assert again.estimate.values.tolist() == first.estimate.values.tolist()
    lines = [line for line in capsys.readouterr().err.splitlines() if "earlier version" in line]
    assert len(lines) == 1
    assert f"{path} was recorded by an earlier version, which did not note 2 settings" in lines[0]
    assert "utility state.sign" in lines[0]
    with pytest.raises(LedgerError, match=r"utility was '.*Util', is now '.*<lambda>'"):
        curated(closure(1), path)


OLD = {"shed_ledger": 1, "utility": "fine-tune", "weights": "a", "training": {"learning_rate": 0.1, "seed": 3}}
NEW = {
    **OLD, "identity": 2, "parameters": "b", "trainer": {"class": "SFTTrainer"}, "adapter": {"default": {"r": 8}},
    "training": {"learning_rate": 0.1, "seed": 3, "adam_beta1": 0.9},
}  # fmt: skip


def test_what_an_earlier_header_does_not_say_is_left_out_of_the_comparison() -> None:
    expected = ["adapter.default.r", "identity", "parameters", "trainer.class", "training.adam_beta1"]
    assert unrecorded(OLD, NEW) == expected
    assert not set(expected) & comparable(OLD, NEW).keys()
    assert comparable(OLD, NEW)["training.learning_rate"] == 0.1
    line = line_on_unrecorded(OLD, NEW)
    assert "did not note 4 settings (parameters, trainer.class, the adapter's r …, training arguments such as" in line
    assert "\n" not in line
    assert unrecorded(NEW, NEW) == [] == unrecorded(OLD, OLD)
    assert line_on_unrecorded(NEW, NEW) == ""


def test_a_part_that_a_header_of_today_lacks_is_a_difference_but_for_settings_of_newer_libraries() -> None:
    assert unrecorded(NEW, {**NEW, "trainer": {"class": "SFTTrainer", "loss": "c"}}) == []
    newer = {**NEW, "training": {**NEW["training"], "invented": 1}}  # type: ignore[dict-item]
    assert unrecorded(NEW, newer) == ["training.invented"]
    assert unrecorded(newer, NEW) == []


def test_what_has_no_identity_is_found_anywhere_in_a_header() -> None:
    known = as_trainable_utility(Util(1)).describe()
    assert unknown(known) == ""
    assert "utility state.file" in unknown({"utility": "a", **as_trainable_utility(Reading(1)).describe()})
    assert json.dumps(as_trainable_utility(Reading(1)).describe())


def test_the_number_of_clusters_that_a_run_began_with_decides_no_outcome() -> None:
    begun, other = {**NEW, BEGUN_WITH: 7}, {**NEW, BEGUN_WITH: 12}
    for found, expected in ((begun, other), (begun, NEW), (NEW, begun), (OLD, {**OLD, BEGUN_WITH: 7})):
        check_header(Path("run.ledger"), found, expected)
        assert unrecorded(found, expected) == []
    with pytest.raises(LedgerError, match=r"parameters: ledger has 'b', this run has 'c'"):
        check_header(Path("run.ledger"), begun, {**other, "parameters": "c"})
