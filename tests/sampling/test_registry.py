"""Which samplers choose by the values of clusters, as far as a recipe tells."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from shed_hf.sampling.registry import (
    PRESETS,
    SAMPLERS,
    SELECTORS,
    by_values,
    known_sampler,
    name_of,
    sampler_from,
    sampler_of,
    shown_name,
)
from shed_hf.sampling.samplers import QOCS, QWCS, Random
from shed_hf.types import FloatVector, IntVector


def first_rows(values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator) -> IntVector:
    return np.concatenate(list(members))[:size]


@pytest.mark.parametrize("sampler", [QOCS(), QOCS(most=1.0), QWCS(), first_rows])
def test_values_decide_for_samplers_of_clusters_unless_constraints_do_too(sampler: Any) -> None:
    assert by_values(sampler) is sampler
    assert by_values(sampler, constrained=True) is None


@pytest.mark.parametrize("sampler", [*(kind() for kind in SELECTORS.values()), Random(), None], ids=str)
def test_values_do_not_decide_for_selectors_of_rows_chance_and_what_is_unknown(sampler: Any) -> None:
    assert by_values(sampler) is None


def test_a_sampler_of_the_callers_own_is_not_known_from_a_recipe() -> None:
    assert known_sampler({"name": "first_rows"}) is None
    assert known_sampler({"name": "QOCS", "unheard_of": 1}) is None
    for kind in (*SAMPLERS.values(), *SELECTORS.values()):
        assert known_sampler({"name": kind.__name__}) == sampler_of({"name": kind.__name__})


@pytest.mark.parametrize("name", [*SAMPLERS, *SELECTORS, *PRESETS])
def test_a_sampler_is_known_by_the_name_that_makes_it(name: str) -> None:
    assert name_of(sampler_from(name)) == name


def test_other_settings_have_no_name_and_are_known_by_their_class() -> None:
    entry = {"name": "Retrieval", "by": "mean", "near": None, "vectors": "model"}
    assert name_of(sampler_of(entry)) is None
    assert shown_name(entry) == "Retrieval"
    assert shown_name(entry | {"by": "item"}) == "rds"
    assert shown_name({"name": "OneOfMyOwn", "k": 3}) == "OneOfMyOwn"
