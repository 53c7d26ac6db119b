"""Keeps the defaults of the version that began a ledger.

With other clusters nothing that was measured would count, and another default sampler would silently choose other rows.
"""

import os
from dataclasses import replace

from shed_hf.clustering import starts
from shed_hf.clustering.clusterers import Clusterer, KMeans
from shed_hf.config.parts import as_setting
from shed_hf.estimators import Estimator
from shed_hf.estimators.no_game import plays
from shed_hf.game.ledger_header import recorded_header
from shed_hf.game.recorded_settings import BEGUN_BY
from shed_hf.sampling.registry import AnySampler
from shed_hf.sampling.retrieval import Retrieval
from shed_hf.sampling.row_ranking import is_large
from shed_hf.sampling.samplers import QOCS
from shed_hf.utils.naming import to_recipe_entry
from shed_hf.utils.old_entries import old_start_rows

DEFAULTS = 2
"""The number of today's defaults; a header of a large pool without one was written when the first were in use."""


def has_legacy_defaults(ledger: str | os.PathLike[str] | None, n_rows: int) -> bool:
    """Whether a ledger was begun with the defaults of an earlier version.

    Args:
        ledger: Where outcomes are resumed from; None for memory.
        n_rows: How many rows the pool has; of small pools the defaults are as they were.

    Returns:
        Whether it was; not for a new ledger, and for one that cannot be read, which is refused where it is opened.
    """
    if ledger is None or n_rows <= starts.SAMPLE:
        return False
    header = recorded_header(ledger)
    return header is not None and header.get(BEGUN_BY) != DEFAULTS


def defaults_note(ledger: str | os.PathLike[str] | None, n_rows: int) -> dict[str, int]:
    """The entry in a ledger's header for the defaults that it was begun with.

    Args:
        ledger: Where outcomes are written; None for memory.
        n_rows: How many rows the pool has.

    Returns:
        The entry by its name; empty for a small pool, and for a ledger that goes on with earlier ones.
    """
    noted = n_rows > starts.SAMPLE and not has_legacy_defaults(ledger, n_rows)
    return {BEGUN_BY: DEFAULTS} if noted else {}


def clusterer_for_ledger(clusterer: Clusterer, ledger: str | os.PathLike[str] | None, n_rows: int) -> Clusterer:
    """The clusterer that finds the clusters which a ledger was begun with.

    Args:
        clusterer: What was asked for.
        ledger: Where outcomes are resumed from; None for memory.
        n_rows: How many rows the pool has.

    Returns:
        k-means with as many rows looked at for a start as earlier versions did, where their number was left open; any
        other as it is.
    """
    if not isinstance(clusterer, KMeans) or clusterer.start_rows != "auto":
        return clusterer
    earlier = has_legacy_defaults(ledger, n_rows)
    return replace(clusterer, start_rows=old_start_rows(clusterer.restarts)) if earlier else clusterer


def sampler_for_ledger(
    default: AnySampler, estimator: Estimator, ledger: str | os.PathLike[str] | None, n_rows: int
) -> AnySampler:
    """The default sampler of the version that began a ledger.

    Args:
        default: The default of today.
        estimator: What values clusters, if anything does.
        ledger: Where outcomes are resumed from; None for memory.
        n_rows: How many rows the pool has, those among them that take no part.

    Returns:
        The default of then, which chose by clusters in a large pool; that of today for other pools and ledgers.
    """
    earlier = QOCS() if plays(estimator) else Retrieval()
    return earlier if is_large(n_rows) and has_legacy_defaults(ledger, n_rows) else default


def legacy_sampler_note(default: AnySampler, earlier: AnySampler) -> str:
    """The line for a curation that goes on with the default sampler of an earlier version.

    Args:
        default: The default of today.
        earlier: That of then.

    Returns:
        The line, with the argument that asks for today's.
    """
    now, then = (as_setting("sampler", to_recipe_entry(each)) for each in (default, earlier))
    return (
        f"sampler: {then!r}, by which the ledger was begun in an earlier version; sampler={now!r} gives today's default"
    )
