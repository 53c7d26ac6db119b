"""What names the test sets of a comparison: one dataset, a mapping that says where one is, or several by name."""

from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from shed_hf import InputError
from shed_hf.comparison.tasks import TEST, named_sets

ROWS = Dataset.from_dict({"text": ["a"]})
PLACE = {"path": "me/test", "name": None, "split": "test"}


@pytest.mark.parametrize("given", ["me/test", ROWS, DatasetDict(test=ROWS), PLACE, {"path": "test.jsonl"}])
def test_a_single_dataset_is_one_task(given: Any) -> None:
    sets = named_sets(given)
    assert list(sets) == [TEST]
    assert sets[TEST] is given


@pytest.mark.parametrize(
    "given",
    [{"a": "a.jsonl", "b": PLACE}, {"path": ROWS}, {"path": "a.jsonl", "mmlu": "b.jsonl"}, {"split": "a.jsonl"},
     {"path": PLACE}],
)  # fmt: skip
def test_other_mappings_are_tasks_by_name(given: Any) -> None:
    assert named_sets(given) == given


@pytest.mark.parametrize("given", [{}, {3: ROWS}, {" ": ROWS}])
def test_a_task_has_a_name(given: Any) -> None:
    with pytest.raises(InputError, match=r"has no task|is no name"):
        named_sets(given)
