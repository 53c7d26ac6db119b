"""Results with a verdict, as if it had been measured."""

from dataclasses import replace
from functools import cache
from typing import Any

from datasets import Dataset

from shed_hf import CuratedDataset
from shed_hf.results.verdict import Difference, Verdict
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows


@cache
def curated(**changes: Any) -> CuratedDataset:
    return curated_of(Dataset.from_list(make_rows(120)), **changes)


def between(low: float, high: float) -> Difference:
    return Difference((low + high) / 2, low, high, (high - low) / 4)


def judged(kind: Any, random: Difference, untuned: Difference, full: Difference | None = None) -> CuratedDataset:
    verdict = Verdict(kind, random, untuned, full, 0.95, 0.01, 64, 5, 4, unit="nats a token")
    return replace(curated(), recipe=curated().recipe | {"verdict": verdict.as_json()})
