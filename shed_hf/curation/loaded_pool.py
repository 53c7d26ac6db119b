"""A dataset that is loaded and read once, for several curations of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shed_hf.data.loading import load
from shed_hf.data.pool import Pool, check_answers, read_pool
from shed_hf.results.tables import check_columns

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedPool:
    """A loaded dataset and its pool, whichever model is to be tuned on them.

    Attributes:
        source: The dataset as it was given.
        pool: Its rows.
        unread: Files of the dataset, and ends of streams, that were left out unread, with why.
    """

    source: "Dataset"
    pool: Pool
    unread: tuple[str, ...]

    @classmethod
    def load(
        cls, dataset: Any, split: str | None, columns: Mapping[str, str | None] | None, drop_invalid: bool
    ) -> "LoadedPool":
        """Load a dataset and read its rows.

        Args:
            dataset: Whatever `curate` takes.
            split: The split to curate.
            columns: The dataset's column for each part of a row; None where names are known.
            drop_invalid: Whether unreadable rows are left out.

        Returns:
            The dataset and its pool.

        Raises:
            InputError: For what cannot be read.
            HubError: For a gated dataset, and where the Hub can't be reached and the cache lacks it.
        """
        loaded = load(dataset, split, drop_invalid=drop_invalid)
        check_columns(loaded.dataset)
        pool = read_pool(loaded.dataset, columns, drop_invalid)
        check_answers(pool)
        return cls(source=loaded.dataset, pool=pool, unread=loaded.unread)
