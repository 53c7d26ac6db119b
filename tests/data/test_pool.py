"""A dataset whose rows were read once."""

import numpy as np
import pytest
from datasets import Dataset

from shed_hf.data.formats import RowFormat
from shed_hf.data.pool import content_digests, read_pool
from shed_hf.errors import InputError
from tests.helpers.rows import make_rows


def test_digests_alone_are_those_of_the_pool_and_zeros_where_a_row_cannot_be_read() -> None:
    rows = make_rows(30)
    rows[3]["output"], rows[17]["instruction"] = "", None
    dataset = Dataset.from_list(rows)
    pool = read_pool(dataset, drop_invalid=True)
    found = content_digests(dataset, pool.format, "source")
    np.testing.assert_array_equal(found, pool.digests, strict=True)
    assert np.flatnonzero(~found.any(axis=1)).tolist() == np.flatnonzero(pool.invalid).tolist() == [3, 17]
    assert len(np.unique(pool.keys[~pool.invalid], axis=0)) > 20


def test_digests_of_rows_without_a_column_that_is_read_are_refused() -> None:
    dataset = Dataset.from_list(make_rows(3))
    with pytest.raises(InputError, match=r"source has no column 'answer'; it has"):
        content_digests(dataset, RowFormat("question", {"question": "instruction", "answer": "answer"}), "source")
