"""The columns that tell viewers where a row lies on the map."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset
from shed_hf.results.embedding_map import EmbeddingMap
from shed_hf.results.map_columns import has_places, with_places, without_places
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows


@cache
def curated() -> CuratedDataset:
    return curated_of(Dataset.from_list(make_rows(120)))


def mapped(rows: list[int]) -> CuratedDataset:
    """With a map of certain rows, each at its number and minus its number."""
    places = np.array([[row, -row] for row in rows], dtype=np.float32).reshape(-1, 2)
    plane = EmbeddingMap(np.array(rows, dtype=np.int64), places)
    return replace(curated(), valued=replace(curated().valued, embedding_map=plane))


def test_a_row_that_the_map_does_not_show_has_no_place() -> None:
    shown = sorted(curated().rows.tolist())[::2]
    rows = with_places(mapped(shown))
    expected = [(row, -row) if row in shown else (None, None) for row in rows["shed_row"]]
    assert list(zip(rows["x"], rows["y"], strict=True)) == expected
    assert (rows.features["x"].dtype, rows.features["y"].dtype) == ("float32", "float32")
    assert without_places(rows).to_list() == curated().dataset.to_list()


@pytest.mark.parametrize("name", ["x", "y"])
def test_a_column_of_the_source_is_neither_replaced_nor_taken_away(name: str) -> None:
    pool = Dataset.from_list([row | {name: at} for at, row in enumerate(make_rows(120))])
    result = curated_of(pool)
    assert with_places(result).to_list() == result.dataset.to_list()
    assert not has_places(result.dataset)
    assert without_places(result.dataset).to_list() == result.dataset.to_list()


def test_a_map_without_any_kept_row_adds_no_columns() -> None:
    others = sorted(set(range(120)) - set(curated().rows.tolist()))
    assert with_places(mapped(others)).column_names == curated().dataset.column_names
    assert with_places(mapped([])).column_names == curated().dataset.column_names
