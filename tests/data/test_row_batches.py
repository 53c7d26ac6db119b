"""Rows are read in batches, the plain ones as columns and each other one by itself."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset

from shed_hf.data import row_batches
from shed_hf.data.row_batches import read_batches
from shed_hf.types import BoolVector


def small(table: pa.Table) -> tuple[BoolVector, list[int]]:
    """Numbers below 10 are plain."""
    assert table.column_names == ["n"]
    numbers = table["n"].to_numpy()
    return numbers < 10, numbers[numbers < 10].tolist()


@pytest.mark.parametrize("numbers", [[3], [30], [1, 20, 2, 30, 40, 5, 6], [*range(25)], [11, 12, 13], [1, 2, 3]])
@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("kind", [None, "numpy"])
def test_every_row_is_read_once_in_its_place(
    numbers: list[int], size: int, kind: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_batches, "_MOST_ROWS", size)
    rows = Dataset.from_dict({"n": numbers, "other": ["x"] * len(numbers)}).with_format(kind)
    for together in (small, None):
        found: list[Any] = [None] * len(numbers)
        spans = []
        for batch in read_batches(rows, ["n"], together, lambda row: row):
            spans += [*batch.span]
            here = np.array([None] * len(batch.span))
            here[batch.is_plain] = [] if batch.plain is None else batch.plain
            for place, row in batch.others.items():
                here[place] = row
            found[batch.span.start : batch.span.stop] = here.tolist()
        assert spans == [*range(len(numbers))]
        assert found == [n if together is not None and n < 10 else {"n": n} for n in numbers]
