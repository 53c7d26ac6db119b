"""How an update chooses rows: by which sampler, in which order within clusters and how many, refused beforehand."""

from typing import Any

from shed_hf.errors import InputError
from shed_hf.extension.choice_by_model import goes_by_model
from shed_hf.extension.grown_pool import GrownPool
from shed_hf.extension.new_rows import NewRows
from shed_hf.extension.update_request import UpdateRequest
from shed_hf.results.curation import Curation
from shed_hf.results.history import n_source_rows
from shed_hf.sampling.registry import AnySampler, as_passed, rows_to_choose, sampler_from, sampler_of
from shed_hf.sampling.row_ranking import KINDS
from shed_hf.sampling.samplers import QOCS
from shed_hf.sampling.selectors import RowSelector
from shed_hf.utils.warn import warn


def sampler_for(curated: Curation, request: UpdateRequest) -> AnySampler:
    """The sampler that was passed, or that of the curation; `QOCS`, with a warning, where that can't take new rows.

    Args:
        curated: The result before.
        request: The arguments.

    Returns:
        The sampler.

    Raises:
        InputError: For one that was passed and would need to know of new rows what a result does not hold.
    """
    sampler = sampler_of(curated.recipe["sampler"]) if request.sampler is None else sampler_from(request.sampler)
    if isinstance(sampler, RowSelector) and not (sampler.needs <= {"digests", "format"} or goes_by_model(sampler)):
        if request.sampler is None:
            warn(
                f"the curation's {sampler} would need to know of new rows what a result does not hold; rows are drawn "
                'from the best clusters instead, as by sampler="qocs"',
            )
            return QOCS()
        raise InputError(
            f"sampler={as_passed(sampler)} "
            f"chooses rows by their {', '.join(sorted(sampler.needs))}, which a result does not hold "
            'for new rows; pass a sampler of clusters, such as sampler="qocs"'
        )
    return sampler


def check_merit(curated: Curation, request: UpdateRequest) -> None:
    """Refuse to order rows within clusters by what only the old ones have.

    Args:
        curated: The result before.
        request: The arguments.

    Raises:
        InputError: Where old rows were ordered by numbers of the caller's.
    """
    kind = curated.recipe["merit"]
    if request.merit is not None and kind is not None and kind not in KINDS:
        raise InputError(
            "the rows within clusters were ordered by numbers of the caller's, which new rows do not have; pass "
            "merit=None for a random order"
        )


def size_for(curated: Curation, request: UpdateRequest, new: NewRows, pool: GrownPool, sampler: AnySampler) -> Any:
    """How many rows are kept: as was asked, or as many as before.

    Args:
        curated: The result before.
        request: The arguments.
        new: The new rows.
        pool: Old and new rows that may be chosen.
        sampler: What chooses.

    Returns:
        The size.

    Raises:
        InputError: For one that the sampler can't choose.
    """
    size = min(len(curated.rows), len(pool.rows)) if request.size is None else request.size
    n_rows = n_source_rows(curated.recipe) + len(new.pool) - new.n_known - new.n_repeated
    rows_to_choose(sampler, size, n_rows, len(pool.rows))
    return size
