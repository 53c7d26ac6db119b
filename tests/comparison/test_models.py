"""Several models in one comparison: tables of their own, and rows that are read and embedded once for all."""

import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shed_hf
from shed_hf.curation import loaded_pool
from shed_hf.data import loading
from shed_hf.data.pool import Pool, read_pool
from tests.helpers.comparisons import DEV, POOL, Worths


def test_several_models_have_tables_of_their_own() -> None:
    weak, strong = Bound(0.5), Bound(2.0)
    found = shed_hf.compare(
        POOL, methods=["longest"], models={"weak": weak, "strong": strong}, sizes=[8], seeds=2, embedder="lexical",
        eval_dataset=DEV, test_utility=Worths(),
    )  # fmt: skip
    assert {line.model for line in found.lines} == {"weak", "strong"}
    assert list(found.recipe["models"]) == ["weak", "strong"]


def test_rows_are_read_and_embedded_once_for_all_models_and_games(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read, loaded, embedded = [], [], Letters()
    DEV.to_json(tmp_path / "dev.jsonl")

    def counted(named: Any, *rest: Any) -> loading.Loaded:
        loaded.append(named)
        return load(named, *rest)

    load = loading.load
    monkeypatch.setattr(loading, "load", counted)

    def noted(*arguments: Any) -> Pool:
        read.append(arguments)
        return read_pool(*arguments)

    monkeypatch.setattr(loaded_pool, "read_pool", noted)
    shed_hf.compare(
        POOL, methods={"shed": "shed", "one": {"proxies_per_cluster": 1}}, sizes=[8], seeds=2, embedder=embedded,
        models={"weak": Bound(0.5), "strong": Bound(2.0)}, eval_dataset=str(tmp_path / "dev.jsonl"),
        clusterer="topic", estimator="exact", test_utility=Worths(),
    )  # fmt: skip
    assert len(read) == 1
    assert loaded.count(str(tmp_path / "dev.jsonl")) == 1
    assert len(embedded.seen) == len(set(embedded.seen)) > len(POOL)


class Letters:
    """How often a text has each letter; notes what it embeds."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, sentences: list[str], /) -> np.ndarray:
        self.seen += sentences
        return np.array([[text.count(letter) for letter in string.ascii_lowercase] for text in sentences])


class Bound:
    """A tuner of the caller's own."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def bind(self, pool: Any, items: Any, seed: int) -> Any:
        from shed_hf.game.utility import as_trainable_utility

        return as_trainable_utility(Worths())
