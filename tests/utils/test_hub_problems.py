"""What is not at hand is refused within seconds where the Hub does not answer."""

import time
from pathlib import Path
from typing import Any

import pytest

from shed_hf import HubError, InputError
from shed_hf.utils.hub_problems import refuse_unreachable

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
    from shed_hf.finetuning.fine_tune import FineTune

    with pytest.raises(HubError, match=r'^model=\'me/none\' is not in the Hub\'s cache.*"small", a small one that'):
        FineTune("me/none").choose_precision(None)
    with pytest.raises(HubError, match=r"^dataset='me/none' is not in the Hub's cache.*pass a file or a folder$"):
        load("me/none")
    with pytest.raises(InputError, match=r"^model='\./none' could not be loaded"):
        FineTune("./none").choose_precision(None)
