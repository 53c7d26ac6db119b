"""What `compare` refuses before it fetches anything."""

import pytest

from shed_hf import InputError
from tests.helpers.comparisons import compared

WRONG_WORDS = {"methods": ["shedd"], "budget": 2, "objective": "accuracyy", "embedder": "lexicall", "size": 8}


@pytest.mark.parametrize("name", WRONG_WORDS)
def test_what_is_wrong_whatever_the_rows_are_is_told_before_any_are_fetched(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shed_hf.comparison.compare.load_source", lambda *_, **__: pytest.fail("rows were fetched"))
    with pytest.raises(InputError, match=name):
        compared(**{"methods": ["shed"], name: WRONG_WORDS[name]})
