"""The precision of a model: measured where it is left open, and what is said is followed."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from peft import get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from shed_hf.data.pool import read_pool
from shed_hf.errors import InputError
from shed_hf.finetuning import precision as module
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.precision import (
    MARGIN,
    Outline,
    choose,
    faster,
    measured_speeds,
    outline_of,
    precision_in_header,
)
from shed_hf.finetuning.trainer_settings import default_args, default_peft_config
from shed_hf.game.execution import Precision
from tests.helpers.rows import make_rows
from tests.helpers.tiny_models import config, tiny

POOL = read_pool(Dataset.from_list(make_rows(16)))
ITEMS = read_pool(Dataset.from_list(make_rows(4, seed=99))).examples(np.arange(4))
LAYERS = ((256, 128, 3), (128, 256, 3))
CPU = torch.device("cpu")


@pytest.fixture
def fast_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that is three times as fast in bfloat16, however small a layer is."""
    monkeypatch.setattr(module, "LEAST_WORK", 0)
    monkeypatch.setattr(module, "measured_speeds", lambda *_: {"float32": 100.0, "bfloat16": 300.0})


@pytest.fixture
def fresh() -> Iterator[None]:
    """Nothing is measured yet."""
    measured_speeds.cache_clear()
    yield
    measured_speeds.cache_clear()


@pytest.mark.parametrize(
    ("bfloat16", "taken"),
    [(3.0, "bfloat16"), (MARGIN + 0.01, "bfloat16"), (MARGIN, "float32"), (1.0, "float32"), (0.3, "float32")],
)
def test_bfloat16_is_taken_where_it_is_faster_by_more_than_chance(bfloat16: float, taken: str) -> None:
    assert faster({"float32": 50.0, "bfloat16": 50.0 * bfloat16}).name == taken


@pytest.mark.usefixtures("fresh")
def test_what_is_measured_is_the_speed_of_the_layers() -> None:
    speeds = measured_speeds(LAYERS, CPU)
    states, weight = torch.randn(64, 128), torch.randn(256, 128)
    seconds, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)
    for _ in range(20):
        start = time.thread_time()
        torch.nn.functional.linear(states, weight)
        seconds.append(time.thread_time() - start)
    torch.set_num_threads(threads)
    by_hand = 2 * 64 * 128 * 256 / min(seconds) / 1e9
    assert by_hand / 10 < speeds["float32"] < by_hand * 10  # what else runs on the machine blurs both
    assert speeds["bfloat16"] > 0


@pytest.mark.usefixtures("fresh")
def test_measuring_takes_less_than_a_second_and_draws_no_random_numbers() -> None:
    wide = ((8192, 2048, 30), (2048, 8192, 15), (2048, 2048, 60), (512, 2048, 30))
    state, start = torch.random.get_rng_state(), time.process_time()
    threads = torch.get_num_threads()
    measured_speeds(wide, CPU)
    assert torch.get_num_threads() == threads
    assert time.process_time() - start < 2  # on a CPU that emulates bfloat16 a round alone takes half a second
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.usefixtures("fresh")
def test_a_model_gets_the_same_answer_every_time_in_a_process() -> None:
    outline = Outline(LAYERS, 10_000, quantised=False)
    assert choose(outline) == choose(outline)


def test_the_outline_has_the_layers_of_the_model_without_its_head(tiny_model: Path) -> None:
    outline = outline_of(str(tiny_model))
    shapes = [tuple(part.weight.shape) for name, part in _model(tiny_model).named_modules() if "proj" in name]
    assert sorted(outline.layers) == sorted((*shape, shapes.count(shape)) for shape in set(shapes))
    assert outline.n_parameters == sum(weight.numel() for weight in _model(tiny_model).parameters())
    assert not outline.quantised


def test_the_outline_of_an_adapter_is_that_of_the_model_below(tiny_model: Path, tmp_path: Path) -> None:
    get_peft_model(_model(tiny_model), default_peft_config()).save_pretrained(tmp_path)
    assert outline_of(str(tmp_path)) == outline_of(str(tiny_model))


@pytest.mark.usefixtures("fast_in_bfloat16")
def test_quantised_weights_stay_as_they_are(tiny_model: Path, tmp_path: Path) -> None:
    stored = AutoConfig.from_pretrained(tiny_model)
    stored.quantization_config = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    stored.save_pretrained(tmp_path)
    assert choose(outline_of(str(tmp_path))).name == "stored"


def test_float32_that_does_not_fit_into_memory_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "get_max_memory", lambda: {"cpu": 5e9})
    chosen = choose(Outline(((2048, 2048, 100),), 1_000_000_000, quantised=False))
    assert str(chosen) == "bfloat16 (float32 takes 5.2 GB, and 5.0 GB are free)"


def test_layers_that_are_too_small_to_be_timed_are_float32(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "measured_speeds", lambda *_: pytest.fail("it was measured"))
    assert choose(outline_of(str(tiny_model))).name == "float32"


def test_a_models_weights_have_the_precision_that_is_faster(tiny_model: Path) -> None:
    utility = FineTune(str(tiny_model), "loss").bind(POOL, ITEMS, 0)
    chosen = choose(outline_of(str(tiny_model)))
    assert utility.describe()["training"]["precision"] == chosen.name
    assert utility.execution(np.arange(16)).precision == chosen


@pytest.mark.usefixtures("fast_in_bfloat16")
def test_in_bfloat16_the_adapter_stays_float32_and_outcomes_stay_close(tiny_model: Path) -> None:
    utility = FineTune(str(tiny_model), "loss").bind(POOL, ITEMS, 0)
    kinds = {weight.requires_grad: weight.dtype for weight in utility.trainer.model.parameters()}
    assert kinds == {True: torch.float32, False: torch.bfloat16}
    exact = FineTune(str(tiny_model), "loss", precision="float32").bind(POOL, ITEMS, 0)
    rows = [np.arange(8)]
    np.testing.assert_allclose(utility(rows), exact(rows), rtol=1e-2)
    assert (utility(rows) != exact(rows)).all()


SAID: list[tuple[Mapping[str, Any], str]] = [
    ({"args": default_args()}, "float32"),
    ({"args": config(model_init_kwargs={"dtype": "bfloat16"})}, "bfloat16"),
    ({"precision": "float32"}, "float32"),
    ({"precision": "bfloat16"}, "bfloat16"),
    ({"precision": "stored"}, "float32"),
    ({"precision": "bfloat16", "args": default_args()}, "bfloat16"),
]


@pytest.mark.parametrize(("given", "name"), SAID, ids=["args", "dtype", "float32", "bfloat16", "stored", "both"])
def test_what_is_said_is_not_measured(
    given: Mapping[str, Any], name: str, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "measured_speeds", lambda *_: pytest.fail("it was measured"))
    tune = FineTune(str(tiny_model), "loss", **given)
    assert tune.choose_precision(None) is None
    assert tune.in_precision(Precision("bfloat16")) is tune
    assert tune.bind(POOL, ITEMS, 0).describe()["training"]["precision"] == name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_loaded_model_keeps_its_own(tiny_model: Path, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "measured_speeds", lambda *_: pytest.fail("it was measured"))
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    utility = FineTune(tiny("llama").to(dtype), "loss", tokenizer).bind(POOL, ITEMS, 0)
    assert f"torch.{utility.describe()['training']['precision']}" == str(dtype)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"precision": "float16"},
            "precision='float16' is unknown; did you mean 'bfloat16'",
        ),
        ({"precision": 32}, "precision=32 is unknown"),
        ({"model": tiny("llama"), "precision": "float32"}, "the model is loaded; leave it out"),
        (
            {"precision": "float32", "args": config(model_init_kwargs={"dtype": "bfloat16"})},
            "both say what to load the model in; pass one",
        ),
    ],
    ids=["unknown", "a number", "a loaded model", "two"],
)
def test_a_precision_that_cannot_be_followed_is_refused(given: dict[str, Any], told: str, tiny_model: Path) -> None:
    given = {"model": str(tiny_model)} | given
    with pytest.raises(InputError) as error:
        FineTune(objective="loss", **given).bind(POOL, ITEMS, 0)
    assert told in str(error.value)


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="model='no/such-folder' could not be loaded"):
        FineTune("no/such-folder", "loss").choose_precision(None)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ({"training": {"precision": "bfloat16"}}, "bfloat16"),
        ({"training": {"precision": "float32"}}, "float32"),
        ({"training": {"precision": "float16"}}, "stored"),
        ({"training": {"learning_rate": 1e-3}}, "stored"),
        ({"training": "none"}, "stored"),
        ({}, "stored"),
    ],
    ids=str,
)
def test_a_ledgers_precision_is_kept_and_earlier_versions_took_what_was_stored(
    header: Mapping[str, Any], name: str
) -> None:
    assert precision_in_header(header) == Precision(name, "as in the ledger")


def _model(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder)
