"""Reports errors in the rows of a command before errors in the place of its result."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from shed_hf.errors import ShedError

Columns = Mapping[str, str | None] | None
"""Where the parts of a row are."""


@dataclass(frozen=True)
class Rows:
    """Rows that a command was given.

    Attributes:
        place: A path or a Hub id; None for none, and anything else that can't be looked at beforehand.
        columns: Where the parts of a row are; None where names are known.
        name: What errors call the rows.
        split: Which split of several to take; None where there is one.
        drop_invalid: Whether rows that cannot be read are left out.
        argument: What errors call ``columns``; None for the usual one.
    """

    place: Any
    columns: Columns
    name: str
    split: str | None = None
    drop_invalid: bool = False
    argument: str | None = None

    def check(self) -> None:
        """Refuse rows of this machine that cannot be read; the Hub is not asked.

        Raises:
            InputError: For a file, a column or a row that cannot be used.
        """
        from shed_hf.data.loading import load
        from shed_hf.data.pool import read_pool
        from shed_hf.utils.local_paths import exists_locally

        if isinstance(self.place, str) and exists_locally(self.place, self.name):
            loaded = load(self.place, self.split, self.name, self.drop_invalid)
            read_pool(loaded.dataset, self.columns, self.drop_invalid, self.name, self.argument)


def rows_named_by(settings: Mapping[str, Any], name: str, columns: Columns) -> Rows:
    """The rows that a setting names.

    Args:
        settings: All settings, by name.
        name: That which names the rows.
        columns: Where the parts of a row are.
    """
    split = settings.get("split") if name == "dataset" else None
    return Rows(settings.get(name), columns, name, split, bool(settings.get("drop_invalid")))


@contextmanager
def row_errors_first(*given: Rows) -> Iterator[None]:
    """Within, an error in the rows is raised instead of one about where the result is kept.

    Rows are read only then: reading them takes time, and the command reads them anyway.

    Args:
        *given: The rows of the command.
    """
    try:
        yield
    except ShedError:
        for rows in given:
            rows.check()
        raise
