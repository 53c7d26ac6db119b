"""The small model that ships with the package has a name of its own, wherever the package is installed."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from shed_hf import FineTune, InputError
from shed_hf.curation.recipe import tuner_entry
from shed_hf.data.pool import read_pool
from shed_hf.finetuning.known_models import (
    DEFAULT_MODEL,
    SHIPPED_MODEL,
    SHORT_NAMES,
    check_reachable,
    init_kwargs_of,
    resolve_model,
)
from tests.helpers.rows import make_rows


def test_a_short_name_stands_for_a_folder_of_the_package() -> None:
    assert (resolve_model("small"), resolve_model(DEFAULT_MODEL)) == (str(SHIPPED_MODEL), DEFAULT_MODEL)
    assert all((folder / "config.json").is_file() for folder in SHORT_NAMES.values())


def test_a_model_goes_by_its_short_name_in_ledgers_and_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small").mkdir()  # the word counts; this folder is ./small
    monkeypatch.chdir(tmp_path)
    pool = read_pool(Dataset.from_list(make_rows(4)))
    tuner = FineTune("small", "loss")
    by_name = tuner.bind(pool, pool.examples(range(4)), 0).describe()
    by_path = FineTune(SHIPPED_MODEL, "loss").bind(pool, pool.examples(range(4)), 0).describe()
    assert (by_name["model"], by_path["model"]) == ("small", str(SHIPPED_MODEL))
    assert {**by_name, "model": ""} == {**by_path, "model": ""}
    entry = tuner_entry(tuner)
    assert entry is not None and entry["model"] == "small"


@pytest.mark.parametrize("form", ["whole", "from the working folder", "a path object"])
def test_the_folder_of_the_shipped_model_goes_by_its_short_name_in_recipes(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SHIPPED_MODEL.parents[1])
    given = {"whole": str(SHIPPED_MODEL), "from the working folder": "demo/model", "a path object": SHIPPED_MODEL}
    entry, of_other = tuner_entry(FineTune(given[form])), tuner_entry(FineTune("demo"))
    assert entry is not None and entry["model"] == "small"
    assert of_other is not None and of_other["model"] == "./demo"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, {}), ("", {}), ({}, {}), ({"dtype": "float32"}, {"dtype": "float32"}),
        ('{"dtype": "float32"}', {"dtype": "float32"}), ("{bad", None), ("[1]", None), ("3", None), (3, None),
        (["dtype"], None),
    ],
)  # fmt: skip
def test_how_a_model_is_loaded_is_said_by_a_mapping_or_its_json(given: Any, found: dict[str, Any] | None) -> None:
    tuner = FineTune("small", "loss", args={"model_init_kwargs": given})
    pool = read_pool(Dataset.from_list(make_rows(4)))
    if found is None:
        with pytest.raises(InputError, match=r"model_init_kwargs=.* is neither a mapping nor JSON of one; pass one"):
            tuner.screen(pool, False, "dataset")
        return
    assert init_kwargs_of(given) == found
    assert len(tuner.screen(pool, False, "dataset")) == 4


@pytest.mark.parametrize("cache", [3, ["a"], {"a": 1}])
def test_a_cache_that_is_no_path_is_refused(cache: Any) -> None:
    with pytest.raises(InputError, match=r"^cache_dir=.* in model_init_kwargs is not a path"):
        check_reachable(DEFAULT_MODEL, {"cache_dir": cache})
