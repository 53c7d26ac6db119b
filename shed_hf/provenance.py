"""Where a dataset came from: the Hub repository it was loaded from, if it was, and whether its rows are still those."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

_IN_CACHE = re.compile(
    r"(?P<namespace>[^/]+?)___(?P<name>[^/]+)/(?P<config>[^/]+)/[^/]+/(?P<revision>[0-9a-f]{40})/[^/]+$"
)


@dataclass(frozen=True)
class HubSource:
    """A dataset of the Hub, at one commit. ``untouched``: every cell is read from the files that were loaded from
    there, so rows may have been left out or columns renamed, but nothing written or added.
    """

    repo: str
    config: str
    split: str
    revision: str
    untouched: bool

    def as_json(self) -> dict[str, Any]:
        """Its fields, for the recipe."""
        return asdict(self)


def source_of(dataset: "Dataset") -> HubSource | None:
    """The one repository behind a dataset, told from the cache files it is mapped to; None for anything else.

    Rows in memory or from two places make the origin unknown: what can't be shown to be public is not.
    """
    from datasets.table import MemoryMappedTable

    blocks = [block for row in getattr(dataset.data, "blocks", [[dataset.data]]) for block in row]
    paths = [Path(block.path).as_posix() for block in blocks if isinstance(block, MemoryMappedTable)]
    found = [_IN_CACHE.search(path) for path in paths]
    places = {match.groups() if match else None for match in found}
    if len(places) != 1 or None in places:
        return None
    namespace, name, config, revision = next(iter(places)) or ()
    untouched = len(paths) == len(blocks) and not any(Path(path).name.startswith("cache-") for path in paths)
    split = re.sub(r"\[.*", "", str(dataset.split or ""))
    return HubSource(f"{namespace}/{name}", config, split, revision, untouched)
