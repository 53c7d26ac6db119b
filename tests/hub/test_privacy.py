"""What of a result is published: digests of evaluation items only where anybody may read the items."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from datasets import Dataset
from huggingface_hub import HfApi

from shed_hf import CuratedDataset
from shed_hf.data.provenance import source_of
from shed_hf.hub.privacy import SourceAccess, as_published, items_are_public, without_item_keys
from tests.helpers.curations import curated_of
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.pushes import published, result, words_in
from tests.helpers.rows import make_rows

pytestmark = pytest.mark.usefixtures("alice", "no_token_is_told")

KEYS = "0123456789abcdef"


def judged_on(curated: CuratedDataset, hub: Any, held_out: bool = False) -> CuratedDataset:
    """The result as one that items with digests decided."""
    entry = {"items": 8, "held_out": held_out, "hub": hub, "digest": "d" * 8, "keys": KEYS}
    return replace(curated, recipe=curated.recipe | {"evaluation": entry})


@cache
def items_on_the_hub(how: str) -> Any:
    """Where on the Hub evaluation items are, as a recipe has it; None for items of this machine."""
    if how == "local":
        return None
    source = source_of(published(f"alice/items-{how}", Dataset.from_list(make_rows(8)), how == "private"))
    assert source is not None
    if how == "gated":
        HfApi().update_repo_settings("alice/items-gated", repo_type="dataset", gated="auto")
    missing = {"repo": "alice/items-that-are-gone"} if how == "gone" else {}
    return source.as_json() | missing | ({"untouched": False} if how == "changed" else {})


@pytest.mark.parametrize("source", [True, False], ids=["public source", "private source"])
@pytest.mark.parametrize("how", ["public", "private", "gated", "changed", "gone", "local"])
def test_items_of_their_own_are_public_where_their_dataset_is_whatever_the_source_is(how: str, source: bool) -> None:
    found = items_are_public(judged_on(result(), items_on_the_hub(how)), SourceAccess(source), None)
    assert found == (how == "public")


@pytest.mark.parametrize("source", [True, False], ids=["public source", "private source"])
def test_items_that_were_held_out_are_as_public_as_the_source(source: bool) -> None:
    assert items_are_public(judged_on(result(), None, held_out=True), SourceAccess(source), None) == source


def test_items_that_nothing_is_known_of_are_not_public() -> None:
    assert result().recipe["evaluation"] is None
    assert not items_are_public(result(), SourceAccess(True), None)
    assert without_item_keys(result().recipe) == result().recipe


@pytest.mark.parametrize("how", ["public", "private"])
def test_a_push_has_digests_of_public_items_alone(hub: LoopbackHub, how: str) -> None:
    pool, name = published("alice/pool-judged", Dataset.from_list(make_rows(120))), f"alice/judged-on-{how}"
    curated = judged_on(curated_of(pool), items_on_the_hub(how))
    curated.push_to_hub(name)
    assert not hub.is_private(name)
    assert (KEYS in words_in(hub, name)) == (how == "public")
    entry: Any = curated.recipe["evaluation"]
    expected = {part: told for part, told in entry.items() if how == "public" or part != "keys"}
    assert CuratedDataset.from_hub(name).recipe["evaluation"] == expected
    assert entry["keys"] == KEYS  # the result itself stays as it is


def test_digests_are_not_published_unless_asked_for() -> None:
    assert "keys" not in (as_published(judged_on(result(), None), excerpts=True).recipe["evaluation"] or {})
