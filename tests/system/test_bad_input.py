"""Input that users get wrong: what was wrong, the value received, what to do, before anything is paid for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

import shed_hf
from shed_hf.data.loading import load_source
from shed_hf.errors import InputError, LedgerError
from shed_hf.utils.naming import stable_name
from tests.helpers.rows import make_rows

ROWS = Dataset.from_list(make_rows(40))
CHEAP: dict[str, Any] = {"embedder": "lexical", "clusterer": shed_hf.KMeans(3)}


def worth(row_sets: Any) -> Any:
    return np.array([[float(np.sum(rows))] for rows in row_sets])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "/no/such/folder"}, "model='/no/such/folder' could not be loaded"),
        ({"model": 5}, "model is a int; pass a Hub id"),
        ({"model": "/no", "embedder": "/no/embedder", "utility": "guess"}, "utility='guess' is unknown"),
    ],
)
def test_a_model_that_cannot_be_had(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        shed_hf.curate(ROWS, 5, eval_dataset=Dataset.from_list(make_rows(8, seed=99)), **{**CHEAP, **fields})


def test_an_embedder_that_cannot_be_had() -> None:
    with pytest.raises(InputError, match=r"embedder='/no/embedder' could not be loaded .* \"lexical\""):
        shed_hf.curate(ROWS, 5, utility=worth, embedder="/no/embedder")


def test_a_model_by_its_pathlib_path(tiny_model: Path) -> None:
    items = Dataset.from_list(make_rows(8, seed=99))
    curated = shed_hf.curate(ROWS, 5, eval_dataset=items, model=tiny_model, estimator="exact", **CHEAP)
    assert len(curated) == 5


def test_arguments_that_are_no_sft_config(tiny_model: Path) -> None:
    items = Dataset.from_list(make_rows(8, seed=99))
    with pytest.raises(InputError, match=r"unexpected keyword argument 'lr'"):
        shed_hf.curate(ROWS, 5, eval_dataset=items, utility=shed_hf.FineTune(str(tiny_model), args={"lr": 1}), **CHEAP)  # type: ignore[arg-type]


@pytest.mark.parametrize("fields", [{"peft_config": {"r": 8}}, {"tokenizer": "gpt2"}, {"args": "fast"}], ids=str)
def test_settings_of_another_kind(tiny_model: Path, fields: dict[str, Any]) -> None:
    items = Dataset.from_list(make_rows(8, seed=99))
    with pytest.raises(InputError, match=f"^{next(iter(fields))} is a (dict|str); pass "):
        shed_hf.curate(ROWS, 5, eval_dataset=items, utility=shed_hf.FineTune(str(tiny_model), **fields), **CHEAP)


@pytest.mark.parametrize("name", ["nothere.jsonl", "./nothere", "/no/such/folder"])
def test_a_file_that_is_not_there(name: str) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_source(name)


@pytest.mark.parametrize(("content", "said"), [("", "is empty"), ("{broken", "line 1 is not JSON")])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "rows.jsonl").write_text(content)
    with pytest.raises(InputError, match=said):
        load_source(str(tmp_path / "rows.jsonl"))


@pytest.mark.parametrize("path", ["/proc/x.ledger", "/proc", ""])
def test_a_ledger_that_cannot_be_opened(path: str) -> None:
    with pytest.raises(
        LedgerError, match=r"(cannot be opened as a ledger .*|not a file but a folder|no path of a ledger); pass"
    ):
        shed_hf.curate(ROWS, 5, utility=worth, ledger=path, **CHEAP)


def test_a_ledger_of_another_function_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    shed_hf.curate(ROWS, 5, utility=lambda sets: worth(sets), ledger=path, **CHEAP)
    with pytest.raises(LedgerError, match="the code or the state of utility= is another"):
        shed_hf.curate(ROWS, 5, utility=lambda sets: -2 * worth(sets), ledger=path, **CHEAP)


def test_names_hold_no_address() -> None:
    assert stable_name(worth) == stable_name(worth)
    assert " at 0x" not in stable_name(shed_hf.Metric(worth)) + stable_name(object()) + stable_name(lambda: worth)


def test_a_place_to_save_to_is_checked_before_anything_is_paid_for(tmp_path: Path) -> None:
    from shed_hf.storage.curated_folder import check_free

    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(InputError, match="exists already"):
        check_free(tmp_path / "taken")
    with pytest.raises(InputError, match="pass another path"):
        check_free("/proc/x/y")
    assert check_free(tmp_path / "a" / "b") == (tmp_path / "a" / "b").resolve()


def test_a_budget_beyond_all_reason_ends() -> None:
    curated = shed_hf.curate(ROWS, 5, utility=worth, budget=10**9, estimator="permutation", **CHEAP)
    assert curated.estimate.efficiency_gap == pytest.approx(0)


def test_an_embedding_matrix_as_a_list() -> None:
    matrix = np.random.default_rng(0).normal(size=(40, 4)).tolist()
    curated = shed_hf.curate(ROWS, 5, utility=worth, embedder=matrix, clusterer=shed_hf.KMeans(3))
    assert len(curated) == 5
