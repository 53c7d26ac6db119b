"""Which samplers choose by the values of clusters, as far as a recipe tells."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from shed_hf.sampling.registry import SAMPLERS, SELECTORS, by_values, known_sampler, sampler_of
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
