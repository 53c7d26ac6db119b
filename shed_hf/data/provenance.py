"""Where a dataset came from: the Hub repository it was loaded from, and whether its rows are still as they were."""

import glob
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset


def downloaded(namespace: str, revision: str) -> list[str]:
    """The datasets of a namespace that have files of one commit in the Hub's local cache.

    Args:
        namespace: A user or organisation.
        revision: The commit, 40 hexadecimal digits.

    Returns:
        Names without the namespace.
    """
    from huggingface_hub import constants

    start = f"datasets--{namespace}--"
    found = Path(constants.HF_HUB_CACHE).glob(f"{glob.escape(start)}*/snapshots/{revision}")
    return [path.parents[1].name.removeprefix(start) for path in found]


_IN_CACHE = re.compile(
    r"(?P<namespace>[^/]+?)___(?P<name>[^/]+)/(?P<config>[^/]+)/[^/]+/(?P<revision>[0-9a-f]{40})/[^/]+$"
)


@dataclass(frozen=True)
class HubSource:
    """A dataset of the Hub, at one commit.

    Attributes:
        repo: The repository's id, ``namespace/name``.
        config: The configuration.
        split: The split; several are joined by +.
        revision: The commit, 40 hexadecimal digits.
        untouched: Whether every cell is read from the files that were loaded; rows may have been left out and columns
            renamed.
        whole: Whether, beyond that, no file and no row was left out or moved and no column renamed.
    """

    repo: str
    config: str
    split: str
    revision: str
    untouched: bool
    whole: bool

    def as_json(self) -> dict[str, Any]:
        """Its fields, for the recipe."""
        return asdict(self)


def source_of(dataset: "Dataset") -> HubSource | None:
    """The repository that a dataset was loaded from, found by the cache files it is mapped to.

    Args:
        dataset: Any dataset.

    Returns:
        The source, or None where it is unknown: rows in memory, or of two places. What cannot be shown to come from a
        public repository is not taken to.
    """
    from datasets.table import MemoryMappedTable

    blocks = [block for row in getattr(dataset.data, "blocks", [[dataset.data]]) for block in row]
    paths = [Path(block.path).as_posix() for block in blocks if isinstance(block, MemoryMappedTable)]
    found = [_IN_CACHE.search(path) for path in paths]
    places = {match.groups() if match else None for match in found}
    if len(places) != 1 or None in places:
        return None
    namespace, lowered, config, revision = next(iter(places)) or ()
    of_splits = _splits(paths, lowered)
    untouched = len(paths) == len(blocks) and None not in of_splits
    named = [split for split in of_splits if split] if untouched else [re.sub(r"\[.*", "", str(dataset.split or ""))]
    splits = list(dict.fromkeys(named))
    moved = dataset._indices is not None or any(_is_slice(block) for block in blocks) or len(set(paths)) < len(paths)
    whole = untouched and not moved and set(dataset.column_names) <= _info(paths[0]).get("features", {}).keys()
    given, config = config, re.sub(r"-[0-9a-f]{16}$", "", config)  # a digest of data_files= and the like
    whole = whole and config == given
    repo = f"{namespace}/{_spelt(namespace, lowered, revision)}"
    return HubSource(repo, config, "+".join(splits), revision, untouched, whole)


def name_of(given: Any, dataset: "Dataset") -> str | None:
    """What a dataset is called: a file or folder by the last part of its path, others as `datasets` has them.

    Args:
        given: What the caller named it by, if it was a name.
        dataset: What it was loaded as.

    Returns:
        The name; None where there is none but that of the reader of its files, such as ``json``.
    """
    given = given.get("path") if isinstance(given, Mapping) else given
    if isinstance(given, str | Path) and Path(given).expanduser().exists():
        return Path(given).expanduser().absolute().name
    name = dataset.info.dataset_name
    return None if name == dataset.info.builder_name else name


def _spelt(namespace: str, lowered: str, revision: str) -> str:
    """The repository's name as the Hub spells it: the cache of rows has it in lower case, that of files as it is."""
    from datasets.naming import camelcase_to_snakecase

    names = [name for name in downloaded(namespace, revision) if camelcase_to_snakecase(name) == lowered]
    return names[0] if len(names) == 1 else lowered


def _splits(paths: list[str], lowered: str) -> list[str | None]:
    """The split that each file of a cache holds, such as ``pool-train-00000-of-00002.arrow``; None for what was
    computed, and not loaded.
    """
    known = _info(paths[0]).get("splits") or {}
    names = [re.sub(r"(-\d{5}-of-\d{5})?\.arrow$", "", Path(path).name).removeprefix(f"{lowered}-") for path in paths]
    return [name if name in known else None for name in names]


def _info(path: str) -> dict[str, Any]:
    """What the cache says of the dataset that a file of it belongs to."""
    info = Path(path).with_name("dataset_info.json")
    return dict(json.loads(info.read_text(encoding="utf-8"))) if info.is_file() else {}


def _is_slice(block: Any) -> bool:
    """Whether rows of a mapped file are left out: by the operations that were replayed on it."""
    return any(operation[0] == "slice" for operation in getattr(block, "replays", None) or [])
