"""``report_to``: names, trackers that fail, and TensorBoard's files."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from accelerate.state import PartialState
from datasets import Dataset

import shed_hf
from shed_hf.curation import trackers
from shed_hf.curation.trackers import Trackers, tracker_names, tracking
from shed_hf.errors import InputError, ShedWarning
from shed_hf.game.utility import OutcomeCallback
from shed_hf.types import FloatMatrix, IntVector, TrainingSequence
from tests.helpers.credited import N_ITEMS, Crediting
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows
from tests.helpers.trackers import Recording


@pytest.fixture
def all_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: name)


@pytest.mark.parametrize(
    ("report_to", "names"),
    [
        (None, ()),
        ("none", ()),
        ([], ()),
        ("wandb", ("wandb",)),
        (["trackio", "tensorboard", "trackio"], ("trackio", "tensorboard")),
        (("tensorboard",), ("tensorboard",)),
    ],
    ids=str,
)
def test_one_tracker_several_or_none_are_named(all_installed: None, report_to: Any, names: tuple[str, ...]) -> None:
    assert tracker_names(report_to) == names


@pytest.mark.parametrize("report_to", ["tensorbord", ["wandb", "none"], 3, True, {"wandb"}, [None], ""], ids=str)
def test_other_names_are_refused_before_anything_is_read(all_installed: None, report_to: Any) -> None:
    with pytest.raises(InputError, match=r"^report_to=.* is unknown; .*pass one of tensorboard, .*, or several"):
        shed_hf.curate("no/such-dataset", report_to=report_to)


def test_a_tracker_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"report_to='trackio' needs a package .*`pip install trackio`"):
        tracker_names("trackio")


def test_a_tracker_that_fails_is_left_out_and_the_others_go_on() -> None:
    failing, going_on = Recording(fails_at=2), Recording()
    several = Trackers({"failing": failing, "going on": going_on})
    for step in (1, 2, 3):
        if step == 2:
            with pytest.warns(ShedWarning, match="report_to='failing' failed to log .*the disk is full"):
                several.log({"utility": 0.5}, step)
        else:
            several.log({"utility": 0.5}, step)
    several.finish()
    assert [step for step, _ in failing.logged] == [1]
    assert [step for step, _ in going_on.logged] == [1, 2, 3]
    assert not several.is_used


def test_a_tracker_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "a file").touch()
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "a file"))
    with pytest.raises(InputError, match="report_to='tensorboard' could not be started"), tracking(["tensorboard"], {}):
        pass


class Opened:
    """A tracker that says what was done to it; one of them can't be logged in to, or refuses the settings."""

    def __init__(self, done: list[str], name: str, fails_to: str = "") -> None:
        self.done, self.name, self.fails_to = done, name, fails_to

    def _do(self, what: str) -> None:
        if what == self.fails_to:
            raise OSError("nobody is logged in")
        self.done.append(f"{what} {self.name}")

    def start(self) -> None:
        self._do("start")

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self._do("store")

    def finish(self) -> None:
        self._do("finish")


@pytest.mark.parametrize(
    ("fails_to", "left"),
    [("start", []), ("store", ["start wandb", "finish wandb"])],
)
def test_where_one_does_not_start_those_before_it_are_closed(
    monkeypatch: pytest.MonkeyPatch, fails_to: str, left: list[str]
) -> None:
    done: list[str] = []
    monkeypatch.setattr("accelerate.tracking.TrackioTracker", lambda project: Opened(done, "trackio"))
    monkeypatch.setattr("accelerate.tracking.WandBTracker", lambda project: Opened(done, "wandb", fails_to))
    refused = pytest.raises(InputError, match=r"report_to='wandb' could not be started \(nobody is logged in")
    with refused, tracking(["trackio", "wandb"], {"seed": 0}):
        pass
    assert sorted(done) == sorted(["start trackio", "store trackio", "finish trackio", *left])


class Untouched(Crediting):
    """Nothing may be trained on it."""

    def measure(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        raise AssertionError("something was measured")

    def credit_per_item(self, rows: IntVector, *, adam: bool = True) -> FloatMatrix:
        raise AssertionError("a run over all rows was made")


@pytest.mark.parametrize("method", ["shapley", "race"])
def test_a_tracker_that_does_not_start_refuses_before_any_run(
    method: str, monkeypatch: pytest.MonkeyPatch, all_installed: None
) -> None:
    pool, items = (Dataset.from_list(make_rows(n, seed=n)) for n in (120, N_ITEMS))
    monkeypatch.setattr("accelerate.tracking.WandBTracker", lambda project: Opened([], "wandb", "start"))
    with pytest.raises(InputError, match="report_to='wandb' could not be started"):
        shed_hf.curate(
            pool, 12, embedder="lexical", utility=Untouched(), eval_dataset=items,
            sampler="credit-coverage", method=method, report_to="wandb",
        )  # fmt: skip


def test_other_ranks_of_a_launch_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    launch = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, given in {**launch, "TENSORBOARD_LOGGING_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, given)
    with tracking(["tensorboard"], {"seed": 0}) as trackers:
        trackers.log({"utility": 0.5}, 1)
    assert list(tmp_path.rglob("events.out.*"))


def test_a_curation_writes_what_tensorboard_reads(
    pool: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path))
    before = dict(PartialState._shared_state)
    tracked = curated_of(pool, report_to="tensorboard")
    assert PartialState._shared_state == before  # accelerate's state is the caller's
    found = reader.EventAccumulator(str(tmp_path / "shed_hf")).Reload()
    utilities = found.Scalars("utility")
    assert [event.step for event in utilities] == list(range(1, len(tracked.ledger) + 1))
    values = {tag: found.Scalars(tag)[-1].value for tag in found.Tags()["scalars"] if tag.startswith("value/")}
    assert sorted(values.values()) == pytest.approx(sorted(tracked.estimate.values), rel=1e-6)
    assert all(math.isfinite(event.value) for event in found.Scalars("all_clusters"))
    assert tracked.rows.tolist() == curated_of(pool).rows.tolist()
    assert "report_to" not in str(tracked.recipe)
