"""The precision of a curation: rank 0's on every rank, the ledger's in a run that goes on, named in bill and recipe."""

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from torch.distributed import HashStore

from shed_hf import CuratedDataset, RankError, curate, plan, read_ledger
from shed_hf.curation.arguments import request_from
from shed_hf.curation.problem import bind
from shed_hf.curation.wire import CODEC
from shed_hf.distributed.messages import Codec
from shed_hf.distributed.ranks import MultiProcess
from shed_hf.finetuning import precision as module
from shed_hf.hub.card_text import bill_in_words
from shed_hf.hub.reproduction import code_of
from shed_hf.utils.random_streams import Streams
from tests.helpers.bars import shown
from tests.helpers.rows import make_rows
from tests.helpers.thread_ranks import at_once

pytestmark = pytest.mark.filterwarnings("ignore:the values cannot be told from noise")

POOL, ITEMS = Dataset.from_list(make_rows(40)), Dataset.from_list(make_rows(6, seed=99))


@pytest.fixture
def _bars() -> Iterator[None]:
    with shown():
        yield


@pytest.fixture(autouse=True)
def _layers_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_WORK", 0)  # however small the model is


def speeds(monkeypatch: pytest.MonkeyPatch, float32: float, bfloat16: float) -> None:
    monkeypatch.setattr(module, "measured_speeds", lambda *_: {"float32": float32, "bfloat16": bfloat16})


def arguments(model: Path, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"eval_dataset": ITEMS, "model": str(model), "objective": "loss", "embedder": "lexical"}
    return given | {"clusterer": "topic", "proxies_per_cluster": 2, "merit": None, "budget": 6} | changes


def of(curated: CuratedDataset) -> str:
    return str(curated.recipe["utility"]["training"]["precision"])


@pytest.mark.usefixtures("_bars")
def test_a_run_that_goes_on_keeps_the_precision_of_its_ledger(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.ledger"
    speeds(monkeypatch, 100, 300)
    first = curate(POOL, 8, **arguments(tiny_model, ledger=path))
    assert (of(first), read_ledger(path).header["training"]["precision"]) == ("bfloat16", "bfloat16")
    speeds(monkeypatch, 300, 100)
    assert of(curate(POOL, 8, **arguments(tiny_model))) == "float32"
    again = curate(POOL, 8, **arguments(tiny_model, ledger=path))
    assert "steps: bfloat16 (as in the ledger); rows grouped by length" in capsys.readouterr().err
    assert again.recipe["bill"]["fine_tunings"] == 0
    assert again.rows.tolist() == first.rows.tolist()


@pytest.mark.usefixtures("_bars")
def test_bill_recipe_card_and_plan_name_it(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    speeds(monkeypatch, 106, 31)
    curated = curate(POOL, 8, **arguments(tiny_model))
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("steps: "))
    assert line.startswith("steps: float32 (106 GFLOP/s against 31 in bfloat16); rows grouped by length, ")
    recipe, steps = curated.recipe, curated.recipe["bill"]["steps"]
    assert steps["speeds"] == {"float32": 106.0, "bfloat16": 31.0}
    assert 0 <= steps["padding"] <= steps["padding_as_given"] < 1
    assert f"{steps['padding']:.0%} of padding instead of {steps['padding_as_given']:.0%}" in line
    assert "Steps in float32; rows grouped by length, " in bill_in_words(recipe)
    tuner = recipe["tuner"]
    assert tuner is not None
    assert tuner["precision"] == "float32"
    assert "        precision='float32'," in code_of(recipe)
    assert line in str(plan(POOL, 8, **arguments(tiny_model)))


def test_a_curation_is_saved_with_it(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speeds(monkeypatch, 100, 300)
    curated = curate(POOL, 8, **arguments(tiny_model))
    curated.save_to_disk(tmp_path / "kept", pages=False)
    assert CuratedDataset.load_from_disk(tmp_path / "kept").recipe == curated.recipe


def bound(rank: int, store: HashStore, model: Path) -> Any:
    request = request_from({"dataset": POOL, "size": 8, **arguments(model)})
    with MultiProcess(store, rank, 2, CODEC) as workers:
        return bind(request, Streams(0), workers)


def test_every_rank_takes_the_precision_of_rank_0(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measuring: list[str] = []

    def measured(*_: Any) -> dict[str, float]:
        measuring.append(threading.current_thread().name)
        return {"float32": 100.0, "bfloat16": 300.0}

    monkeypatch.setattr(module, "measured_speeds", measured)
    store = HashStore()
    headers = [problem.header() for problem in at_once(*(partial(bound, rank, store, tiny_model) for rank in (0, 1)))]
    assert headers[0] == headers[1]
    assert headers[0]["training"]["precision"] == "bfloat16"
    assert measuring == ["rank 0"]


def test_another_message_in_its_place_is_refused(tiny_model: Path) -> None:
    store = HashStore()
    with MultiProcess(store, 0, 2, Codec()) as main:
        main.broadcast(lambda: {"name": "float16"})
    with pytest.raises(RankError, match="rank 0 sent a dict for the precision; start the same command again"):
        bound(1, store, tiny_model)
