"""What is not at hand is refused within seconds where the Hub does not answer."""

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from shed_hf import FineTune, HubError, InputError
from shed_hf.curation.arguments import request_from
from shed_hf.curation.early_checks import check_pool
from shed_hf.data.pool import read_pool
from shed_hf.utils.hub_problems import refuse_unreachable
from tests.helpers.rows import make_rows

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No Hub, and empty caches, which are returned."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", NOWHERE)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path / "sentences"))
    return tmp_path


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_what_the_cache_lacks_is_refused_within_seconds(kind: Any, unreachable: Path) -> None:
    start = time.monotonic()
    with pytest.raises(HubError) as error:
        refuse_unreachable("me/none", "it", kind, "a folder")
    assert time.monotonic() - start < 5
    assert str(error.value) == (
        "it='me/none' is not in the Hub's cache, and the Hub can't be reached; check the connection, or pass a folder"
    )


@pytest.mark.parametrize(
    ("named", "kind", "cached"),
    [
        ("me/one", "model", "models--me--one/snapshots/abc/config.json"),
        ("mini", "model", "models--sentence-transformers--mini/snapshots/abc/modules.json"),
        ("me/one", "dataset", "datasets--me--one/snapshots/abc/data.parquet"),
        ("me/one", "dataset", "datasets/me___one/default/0.0.0"),
        ("Open-Orca/SlimOrca", "dataset", "datasets/Open-Orca___slim_orca/default/0.0.0"),
        ("GLUEData", "dataset", "datasets/glue_data/cola/0.0.0"),
        ("me/one", "model", "sentences/models--me--one/snapshots/abc/modules.json"),
        ("mini", "model", "sentences/models--sentence-transformers--mini/snapshots/abc/modules.json"),
        ("./folder", "model", ""),
        ("no name of the Hub", "model", ""),
    ],
)
def test_what_may_be_at_hand_is_left_to_its_library(named: str, kind: Any, cached: str, unreachable: Path) -> None:
    if cached:
        (unreachable / cached).parent.mkdir(parents=True)
        (unreachable / cached).touch()
    refuse_unreachable(named, "it", kind, "a folder")


def test_where_another_cache_is_named_it_is_the_one_that_is_looked_in(unreachable: Path, tmp_path: Path) -> None:
    held = tmp_path / "mine" / "models--me--one" / "snapshots" / "abc"
    held.mkdir(parents=True)
    (held / "config.json").touch()
    refuse_unreachable("me/one", "it", "model", "a folder", tmp_path / "mine")
    for cache in (None, tmp_path / "another"):
        with pytest.raises(HubError, match="not in the Hub's cache"):
            refuse_unreachable("me/one", "it", "model", "a folder", cache)


def test_a_model_is_found_in_the_cache_that_the_training_arguments_name(
    unreachable: Path, tmp_path: Path, tiny_model: Path
) -> None:
    cache = tmp_path / "mine"
    shutil.copytree(tiny_model, cache / "models--me--one" / "snapshots" / "abc")
    (cache / "models--me--one" / "refs").mkdir()
    (cache / "models--me--one" / "refs" / "main").write_text("abc")
    told = {"cache_dir": str(cache), "local_files_only": True}
    rows = read_pool(Dataset.from_list(make_rows(4)))
    assert len(FineTune("me/one", "loss", args={"model_init_kwargs": told}).screen(rows, False, "dataset")) == 4
    asked = {"dataset": rows.dataset, "size": 2, "model": "me/one", "embedder": "lexical"}
    check_pool(request_from(asked | {"sft_config": {"model_init_kwargs": {"cache_dir": str(cache)}}}), rows)
    with pytest.raises(HubError, match="model='me/one' is not in the Hub's cache"):
        check_pool(request_from(asked), rows)


def test_a_hub_that_answers_and_one_that_must_not_be_asked_pass(
    hub: Any, unreachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    refuse_unreachable("me/none", "it", "model", "a folder")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", NOWHERE)
    monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: True)
    refuse_unreachable("me/none", "it", "model", "a folder")


def test_models_and_datasets_are_refused_in_words_that_name_what_is_at_hand(unreachable: Path) -> None:
    from shed_hf.data.loading import load

    with pytest.raises(HubError, match=r'^model=\'me/none\' is not in the Hub\'s cache.*"small", a small one that'):
        FineTune("me/none").choose_precision(None)
    with pytest.raises(HubError, match=r"^dataset='me/none' is not in the Hub's cache.*pass a file or a folder$"):
        load("me/none")
    with pytest.raises(InputError, match=r"^model='\./none' could not be loaded"):
        FineTune("./none").choose_precision(None)
