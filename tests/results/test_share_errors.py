"""How far shares of groups are known, beside whole choices by values that are drawn."""

from dataclasses import replace

import numpy as np
import pytest
from datasets import Dataset

from shed_hf.results import share_errors as module
from shed_hf.results.share_errors import share_errors
from shed_hf.sampling.samplers import QOCS, QWCS, Sampler, choose
from shed_hf.utils.random_streams import Streams
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows


@pytest.mark.parametrize("sampler", [QOCS(), QOCS(1.0), QWCS(), QWCS(by_size=False)], ids=repr)
def test_errors_are_the_spread_of_choices_by_drawn_values(sampler: Sampler) -> None:
    curated = curated_of(Dataset.from_list(make_rows(120)), 40, sampler=sampler)
    unsure = replace(curated.estimate, stderr=np.full(len(curated.estimate.values), 1.5))
    curated = replace(curated, valued=replace(curated.valued, estimate=unsure))
    valued, groups = curated.valued, np.arange(120) % 3
    pool = np.array([f"group {number}" for number in groups])[valued.pool_rows]
    names, of_kept = np.unique(pool[np.searchsorted(valued.pool_rows, curated.rows)], return_inverse=True)
    errors, of = share_errors(curated, names, np.bincount(of_kept) / 40, pool)
    rng, shares = np.random.default_rng(module.SEED), []
    for _ in range(module.DRAWS):
        values = np.append(valued.values + valued.stderr * rng.standard_normal(len(valued.values)), np.nan)
        order = Streams(curated.recipe["sampling_seed"]).for_rows
        rows = choose(sampler, values, valued.members, 40, order, valued.merits)
        shares.append([(groups[rows] == int(name[-1])).mean() for name in names])
    assert of == "values"
    np.testing.assert_allclose(errors, np.std(shares, axis=0, ddof=1), atol=1e-12)
    assert errors.max() > 0
