"""Rows that the caller chose: by their numbers, or as a dataset whose rows are found by content."""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from shed_hf.data.loading import load_source
from shed_hf.data.pool import read_pool
from shed_hf.errors import InputError
from shed_hf.sampling.selectors import Need, RowSignals, Selection, known
from shed_hf.types import IntVector
from shed_hf.utils.console import plural

if TYPE_CHECKING:
    from datasets import Dataset


@runtime_checkable
class ChosenRows(Protocol):
    """A result of `curate`: rows of a source, and their numbers there."""

    @property
    def rows(self) -> IntVector: ...

    @property
    def dataset(self) -> "Dataset": ...


@dataclass(frozen=True, eq=False)
class GivenRows:
    """Takes the rows that the caller names, so that a subset made elsewhere is trained on and judged like any other.

    Attributes:
        given: Row numbers of the dataset; a result of `curate`; or rows as `curate` takes a dataset, which are found by
            their content.
        source: What they are, for the recipe.
    """

    given: Any = field(repr=False)
    source: str = "rows"

    @property
    def needs(self) -> frozenset[Need]:
        """The content of rows, where they are not named by number."""
        return frozenset() if self._numbers() is not None else frozenset({"digests", "format"})

    @property
    def paper(self) -> str:
        """The caller's rows."""
        return "rows that were given"

    def wanted(self, available: int) -> int | None:
        """As many as were given.

        Args:
            available: Not used.

        Returns:
            Their number.

        Raises:
            InputError: For what is neither row numbers nor rows, and for none of them.
        """
        numbers = self._numbers()
        count = len(self._dataset()) if numbers is None else len(numbers)
        if not count:
            raise InputError("Given(…) holds no row; name at least one")
        return count

    def select(self, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection:
        """Find the rows.

        Args:
            signals: With ``digests`` and ``format`` for rows that are found by content.
            size: Their number.
            rng: Not used.

        Returns:
            The choice, in the order in which they were given.

        Raises:
            InputError: For rows that are given twice, not in the dataset, or not to be chosen.
        """
        numbers = self._numbers()
        rows = self._found(signals) if numbers is None else numbers
        distinct, counts = np.unique(rows, return_counts=True)
        if (counts > 1).any():
            more = int((counts > 1).sum()) - 1
            besides = f", and {plural(more, 'further row')} more than once" if more else ""
            raise InputError(
                f"Given(…) names row {distinct[counts > 1][0]} {counts[counts > 1][0]} times{besides}; name every row "
                "once"
            )
        refused = rows[~np.isin(rows, signals.rows)]
        if len(refused):
            raise InputError(
                f"{len(refused)} of the {plural(len(rows), 'row')} in Given(…) cannot be chosen, the first is row "
                f"{refused[0]}: the dataset has no row of that number, or it is held out to evaluate on, repeats an "
                "evaluation item or cannot be read; leave them out, or pass an eval_dataset= of other rows"
            )
        return Selection(np.searchsorted(signals.rows, rows).astype(np.int64))

    def _numbers(self) -> IntVector | None:
        """Row numbers; None for rows that must be found by content."""
        if isinstance(self.given, ChosenRows | str) or not isinstance(self.given, list | tuple | range | np.ndarray):
            return None
        if any(isinstance(part, dict) for part in self.given):
            return None
        numbers = np.asarray(self.given)
        if numbers.shape == (0,):
            return np.empty(0, dtype=np.int64)
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
            raise InputError(
                f"sampler=Given(…) holds an array of {numbers.dtype} and shape {numbers.shape}; pass a list of row "
                "numbers such as curated.rows, a result of curate, or rows"
            )
        return numbers.astype(np.int64)

    def _dataset(self) -> "Dataset":
        return self.given.dataset if isinstance(self.given, ChosenRows) else load_source(self.given, name="Given(…)")

    def _found(self, signals: RowSignals) -> IntVector:
        """The rows with the content of those given, each taken once."""
        wanted = read_pool(self._dataset(), known(signals.format, "format"), name="Given(…)").digests
        places: dict[bytes, deque[int]] = defaultdict(deque)
        for row, digest in zip(signals.rows.tolist(), known(signals.digests, "digests"), strict=True):
            places[digest.tobytes()].append(row)
        preferred = self.given.rows.tolist() if isinstance(self.given, ChosenRows) else [-1] * len(wanted)
        found = [_take(places[digest.tobytes()], row) for digest, row in zip(wanted, preferred, strict=True)]
        missing = [place for place, row in enumerate(found) if row < 0]
        if missing:
            raise InputError(
                f"{len(missing)} of the {plural(len(found), 'row')} in Given(…) cannot be chosen, the first is row "
                f"{missing[0]} of them: the dataset has no row of that content, or fewer than were given, or it "
                "repeats an evaluation item; add them to the dataset, or leave them out"
            )
        return np.array(found, dtype=np.int64)


def _take(places: deque[int], preferred: int) -> int:
    """One of the rows of a content, the preferred one if it is among them, −1 where none is left."""
    if preferred in places:
        places.remove(preferred)
        return preferred
    return places.popleft() if places else -1
