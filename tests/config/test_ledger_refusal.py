"""A ledger of another run is refused in the words of the caller: which argument was what, and is what now."""

from pathlib import Path
from typing import Any

import pytest

from shed_hf import Ledger, LedgerError
from shed_hf.config.ledger_note import write_note
from shed_hf.config.ledger_refusal import telling_what_changed
from shed_hf.config.recipe_file import WrittenSettings
from tests.helpers.ledgers import an_entry

HEADER: dict[str, Any] = {
    "dataset": "d1", "order": "each coalition's own, seed 77", "utility": "fine-tune", "identity": 2, "model": "me/a",
    "training": {"learning_rate": 0.001, "max_length": 512, "adam_beta2": 0.999, "precision": "float32", "seed": 77,
                 "lr_scheduler_type": "SchedulerType.CONSTANT"},
    "adapter": {"default": {"r": 8, "use_dora": False}}, "weights": "w1", "parameters": "p1", "items": "i1",
    "objective": "Loss()",
}  # fmt: skip


def refused(tmp_path: Path, changes: dict[str, Any], noted: dict[str, Any] | None, now: dict[str, Any] | None) -> str:
    """What a ledger is refused with."""
    path = tmp_path / "run.ledger"
    with Ledger(path, HEADER) as ledger:
        ledger.put(an_entry(1))
    if noted is not None:
        write_note(path, WrittenSettings(noted))
    with pytest.raises(LedgerError) as error, telling_what_changed(None if now is None else WrittenSettings(now)):
        Ledger(path, {**HEADER, **changes})
    start, _, told = str(error.value).partition(" holds the outcomes of another run: ")
    assert start == str(path)
    changed, _, rest = told.partition("; repeat that run's arguments, or pass another path as ledger=")
    assert rest == ""
    return changed


TRAINING = HEADER["training"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"order": "each coalition's own, seed 5"}, "seed= was another"),
        ({"dataset": "d2"}, "the rows of dataset= are others, or in another order"),
        ({"training": {**TRAINING, "learning_rate": 0.1}}, "learning_rate was 0.001, is now 0.1"),
        ({"training": {**TRAINING, "adam_beta2": 0.9}}, "sft_config.adam_beta2 was 0.999, is now 0.9"),
        ({"training": {**TRAINING, "precision": "bfloat16"}}, "precision was 'float32', is now 'bfloat16'"),
        ({"training": {**TRAINING, "lr_scheduler_type": "SchedulerType.LINEAR"}},
         "lr_scheduler_type was 'constant', is now 'linear'"),
        ({"adapter": {"default": {"r": 4, "use_dora": True}}},
         "lora_r was 8, is now 4; lora_config.use_dora was False, is now True"),
        ({"model": "me/b", "weights": "w2", "parameters": "p2"},
         "model was 'me/a', is now 'me/b'; the weights of model= are others"),
        ({"order": "each coalition's own, seed 5", "weights": "w2", "parameters": "p2",
          "training": {**TRAINING, "seed": 5}}, "seed= was another"),
        ({"training": {**TRAINING, "seed": 5}}, "seed= was another"),
        ({"model": "/in/full/me/a", "items": "i2", "parameters": "p2"},
         "the evaluation items are others; the weights of model= are others"),
        ({"items": "i2"}, "the evaluation items are others"),
        ({"order": 3}, "seed= was another"),
        ({"objective": "mine.f#0123456789ab"}, "objective was 'Loss()', is now 'mine.f'"),
        ({"utility state": {"a": {"b": 1}}}, "the code or the state of utility= is another (a.b)"),
        ({"objective": "Choice()"}, "objective was 'Loss()', is now 'Choice()'"),
    ],
)  # fmt: skip
def test_without_a_note_the_header_is_put_in_words(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    assert refused(tmp_path, changes, None, {"seed": 3}) == told


WITHOUT_ADAPTER = {**HEADER, "adapter": {}}


@pytest.mark.parametrize("changed", [("parameters",), ("weights",), ("parameters", "weights")], ids=" ".join)
def test_another_seed_hides_no_weights_of_a_model_without_an_adapter(changed: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    with Ledger(path, WITHOUT_ADAPTER) as ledger:
        ledger.put(an_entry(1))
    others = {"order": "each coalition's own, seed 5", **dict.fromkeys(changed, "other")}
    with (
        pytest.raises(LedgerError, match="run: seed= was another; the weights of model= are others; repeat"),
        telling_what_changed(),
    ):
        Ledger(path, {**WITHOUT_ADAPTER, **others})


@pytest.mark.parametrize(
    ("before", "now"), [("me/a", "/in/full/me/a"), ("./a", "/in/full/a"), ("/in/full/me/a", "me/a")]
)
def test_a_refusal_says_what_differs_where_that_is_only_how_the_model_is_called(
    before: str, now: str, tmp_path: Path
) -> None:
    """So does a ledger of an earlier version, which has no digest of all weights."""
    path, header = tmp_path / "run.ledger", {name: part for name, part in HEADER.items() if name != "parameters"}
    with Ledger(path, {**header, "model": before}) as ledger:
        ledger.put(an_entry(1))
    with pytest.raises(LedgerError) as error, telling_what_changed(WrittenSettings({"model": now})):
        Ledger(path, {**header, "model": now})
    assert f"another run (model: ledger has {before!r}, this run has {now!r}); pass another" in str(error.value)


def test_a_note_says_what_the_argument_was(tmp_path: Path) -> None:
    changes = {"order": "each coalition's own, seed 5", "items": "i2"}
    assert refused(tmp_path, changes, {"size": 5, "seed": 1}, {"size": 9, "seed": 3}) == "seed was 1, is now 3"


def test_a_note_and_the_header_are_told_together(tmp_path: Path) -> None:
    changes = {"order": "each coalition's own, seed 5", "objective": "Choice()"}
    assert refused(tmp_path, changes, {"size": 5}, {"size": 5, "seed": 3}) == (
        "seed was 0, is now 3; objective was 'Loss()', is now 'Choice()'"
    )


def test_a_path_that_is_noted_in_full_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").touch()
    settings = {"dataset": "rows.jsonl", "size": 5}
    assert refused(tmp_path, {"dataset": "d2"}, settings, settings).startswith("the rows of dataset= are others")


def test_a_note_that_cannot_be_read_is_no_reason(tmp_path: Path) -> None:
    (tmp_path / "run.ledger.yaml").write_text("size: [")
    assert refused(tmp_path, {"dataset": "d2"}, None, {"seed": 3}).startswith("the rows of dataset= are others")


def test_a_model_is_known_by_its_weights_whatever_it_is_called(tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    with Ledger(path, HEADER) as ledger:
        ledger.put(an_entry(1))
    assert len(Ledger(path, {**HEADER, "model": "/elsewhere/a"})) == 1
    without = {name: part for name, part in HEADER.items() if name != "parameters"}
    (tmp_path / "old").mkdir()
    with Ledger(tmp_path / "old" / "run.ledger", without) as ledger:
        ledger.put(an_entry(1))
    with pytest.raises(LedgerError, match="model: ledger has 'me/a', this run has '/elsewhere/a'"):
        Ledger(tmp_path / "old" / "run.ledger", {**without, "model": "/elsewhere/a"})


def test_an_earlier_versions_order_and_code_that_changed_are_told(tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    before = {**HEADER, "order": 3, "utility": "mine.f#0123456789ab"}
    with Ledger(path, before) as ledger:
        ledger.put(an_entry(1))
    with pytest.raises(LedgerError) as error, telling_what_changed():
        Ledger(path, {**HEADER, "utility": "mine.f#ba9876543210"})
    assert "run: an earlier version trained all sets of rows in one order; the code or the state of utility= is" in str(
        error.value
    )
