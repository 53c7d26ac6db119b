"""A small pool of three shards."""

from pathlib import Path

import pytest
from datasets import Dataset


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """A folder of three shards with 40 rows each."""
    from tests.helpers.shards import ROWS, put_shards

    return put_shards(tmp_path / "pool", Dataset.from_list(ROWS))
