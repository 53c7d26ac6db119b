"""Arguments that cannot go together are refused before anything is measured."""

from typing import Any

import pytest
from datasets import Dataset

from shed_hf import InputError, RowValues
from tests.helpers.curations import ByTopic, curated_of
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(40))
ITEMS = Dataset.from_list(make_rows(16, seed=3))


class Unasked(ByTopic):
    """A utility that nothing may be measured with."""

    def __call__(self, row_sets: Any) -> Any:
        raise AssertionError("something was measured")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"constraints": {"topic": 0.1}, "method": "race"}, "constraints= decide how many rows each cluster gives"),
        ({"objective": "worst-group", "sampler": RowValues()}, "goes by means over evaluation items"),
        ({"objective": "worst-group", "method": "race"}, "compares means over evaluation items"),
    ],
    ids=["constraints in a race", "the worst group by means", "the worst group in a race"],
)
def test_what_cannot_go_together_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        curated_of(POOL, 4, utility=Unasked(POOL), eval_dataset=ITEMS, **arguments)
