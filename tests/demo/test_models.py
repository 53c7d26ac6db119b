"""Where the demo's models come from, and in which precision they are run."""

import tempfile
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from transformers import LlamaConfig

from shed_hf.demo import models
from shed_hf.errors import InputError
from shed_hf.finetuning.precision import Outline, outline_of
from shed_hf.game.execution import Precision
from tests.helpers.loopback_hub import LoopbackHub


@pytest.fixture
def no_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a model that was converted earlier, nor a package that holds one, nor one in the Hub's cache."""
    monkeypatch.setenv("SHED_HF_CACHE", str(tmp_path / "converted"))
    monkeypatch.setattr(models, "CARRIER", "no_such_package")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def published(hub: LoopbackHub, tiny_model: Path) -> LoopbackHub:
    """A Hub that has a (tiny) model of SmolLM2's name."""
    api = HfApi(token="hf_huggingfacetb_secret")
    api.create_repo(models.SMOLLM2, private=False, exist_ok=True)
    api.upload_folder(repo_id=models.SMOLLM2, folder_path=tiny_model)
    return hub


@pytest.mark.usefixtures("no_converted")
def test_smollm2_comes_from_the_hub_and_then_from_its_cache(published: LoopbackHub, tiny_model: Path) -> None:
    first = models.locate_smollm2()
    assert (first.origin, dict(first.curate_with)) == ("the Hub", {})
    assert (first.folder / "model.safetensors").read_bytes() == (tiny_model / "model.safetensors").read_bytes()
    asked = len(published.requests)
    again = models.locate_smollm2()
    assert (again.folder, again.origin) == (first.folder, "the Hub's cache")
    assert again.curate_with == {"embedder": "lexical"}
    assert len(published.requests) == asked


@pytest.mark.usefixtures("no_converted", "published")
def test_a_cache_with_some_of_the_files_is_completed() -> None:
    found = models.locate_smollm2()
    (found.folder / "model.safetensors").unlink()
    again = models.locate_smollm2()
    assert again.origin == "the Hub"
    assert (again.folder / "model.safetensors").is_file()


@pytest.mark.usefixtures("no_converted", "hub")
def test_where_it_cannot_be_had_every_place_has_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "SMOLLM2", "HuggingFaceTB/not-there")
    with pytest.raises(InputError, match=r"not in the Hub's cache; not to be had from the Hub .*; not in a package"):
        models.locate_smollm2()


@pytest.mark.usefixtures("no_converted", "hub")
def test_without_a_hub_what_was_converted_from_a_package_earlier_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "SMOLLM2", "HuggingFaceTB/not-there")
    (tmp_path / "converted" / "SmolLM2-135M-Instruct").mkdir(parents=True)
    found = models.locate_smollm2()
    assert found.folder == tmp_path / "converted" / "SmolLM2-135M-Instruct"
    assert found.origin == "the package no_such_package, converted earlier"
    assert found.curate_with == {"model": str(found.folder), "embedder": "lexical"}


def test_the_precision_is_that_which_fine_tuning_would_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Outline] = []

    def chosen(outline: Outline) -> Precision:
        asked.append(outline)
        return Precision("bfloat16")

    monkeypatch.setattr("shed_hf.finetuning.precision.choose", chosen)
    assert models.faster_precision() == Precision("bfloat16")
    config = LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, tie_word_embeddings=True,
    )  # fmt: skip
    config.architectures = ["LlamaForCausalLM"]
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        assert asked == [outline_of(folder)]
