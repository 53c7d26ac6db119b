"""Cards of curations, and ways to read them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from datasets import Dataset
from huggingface_hub import DatasetCard

from shed_hf import CuratedDataset
from shed_hf.hub.card import dataset_card
from tests.helpers.curations import curated_of
from tests.helpers.loopback_hub import read_card
from tests.helpers.markdown import markdown
from tests.helpers.rows import make_rows


@cache
def curated() -> CuratedDataset:
    return curated_of(Dataset.from_list(make_rows(120)), seed=3)


def card_of(result: CuratedDataset, existing: str | None = None, **inherited: Any) -> str:
    return dataset_card(result, "me/x", inherited, ["values.png"], existing)


def metadata(card: str) -> dict[str, Any]:
    """The front matter, read as the Hub does."""
    data = read_card(card.encode())
    assert data == DatasetCard(card).data.to_dict()
    return data


@cache
def usual_headings() -> list[str]:
    """Those of the card of `curated`."""
    return headings(card_of(curated()))


def headings(card: str) -> list[str]:
    """Headings, and what stands on the parts that are folded, in the order of the page."""
    tokens = markdown().parse(DatasetCard(card).text)
    found = []
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            found.append(f"{token.tag} {tokens[at + 1].content}")
        elif token.type == "html_block":
            found += [f"summary {text}" for text in re.findall(r"<summary>(.*?)</summary>", token.content)]
    return found


def changed(result: CuratedDataset, **recipe: Any) -> CuratedDataset:
    return replace(result, recipe=result.recipe | recipe)


HUB = {
    "repo": "me/rows",
    "config": "de`ep",
    "split": "train",
    "revision": "0123456789" * 4,
    "untouched": True,
    "whole": True,
}


def by_items(row_sets: Sequence[np.ndarray]) -> np.ndarray:
    """Three items that like rows differently."""
    return np.array([[rows.sum() / 100.0, len(rows) ** 0.5, -0.25 * len(rows)] for rows in row_sets])
