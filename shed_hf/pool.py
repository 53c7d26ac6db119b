"""The pool: a dataset read through the door, where a row is from here on an integer id."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.arrays import BoolVector, IntVector
from shed_hf.errors import InputError
from shed_hf.formats import Example, InvalidCell, RowFormat, detect

if TYPE_CHECKING:
    from datasets import Dataset

CHUNK = 1000
_BUILDERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}


@dataclass(frozen=True, eq=False)
class Pool:
    """A dataset with its format, the content digest of every row, and which rows cannot be read.

    ``digests`` ``(n, 16)`` uint8 identify a row by its turns; ``keys`` ``(n, 16)`` do so after lower-casing and folding
    blanks, to find repeats. ``invalid`` ``(n,)`` marks rows that were let through the door only to be left out.
    """

    dataset: "Dataset"
    format: RowFormat
    digests: NDArray[np.uint8] = field(repr=False)
    keys: NDArray[np.uint8] = field(repr=False)
    invalid: BoolVector = field(repr=False)

    def __len__(self) -> int:
        return len(self.dataset)

    def examples(self, rows: Sequence[int] | IntVector) -> list[Example]:
        """The rows as examples, in the order asked for."""
        if not len(rows):
            return []
        read = self.dataset.select_columns(list(self.format.columns.values()))
        return [self.format.read(row) for row in _row_dicts(read[[int(row) for row in rows]])]

    def texts(self, rows: IntVector) -> list[str]:
        """The rows as texts to embed."""
        return [example.text for example in self.examples(rows)]

    def digests_of(self, row_sets: Sequence[IntVector]) -> dict[int, bytes]:
        """Row id to content, for the ledger's keys."""
        return {int(row): self.digests[row].tobytes() for rows in row_sets for row in rows}

    @property
    def digest(self) -> str:
        """The content of the whole dataset, in hex."""
        return hashlib.blake2b(self.digests.tobytes(), digest_size=16).hexdigest()


def read_pool(
    dataset: "Dataset", columns: Mapping[str, str] | None = None, drop_invalid: bool = False, name: str = "dataset"
) -> Pool:
    """Read every row once through the door.

    Raises `InputError` for an empty dataset, for columns that fit no format, and, unless ``drop_invalid``, for rows
    with a missing, empty or non-text cell, naming the first of them.
    """
    if len(dataset) == 0:
        raise InputError(f"{name} has 0 rows; pass one with rows")
    row_format = detect(dataset.column_names, columns, name)
    digests = np.zeros((len(dataset), 16), dtype=np.uint8)
    keys = np.zeros((len(dataset), 16), dtype=np.uint8)
    problems: dict[int, InvalidCell] = {}
    for number, row in enumerate(_rows(dataset, list(row_format.columns.values()))):
        try:
            example = row_format.read(row)
        except InvalidCell as problem:
            problems[number] = problem
            continue
        digests[number] = digest(repr((example.turns, example.verbatim, example.options, example.given)))
        keys[number] = digest(normalised(example.text))
    if problems and not drop_invalid:
        first = next(iter(problems))
        raise InputError(
            f"{name} has {len(problems)} rows that cannot be read; the first is row {first}: {problems[first]}; mend "
            "them, or leave them out with drop_invalid=True"
        )
    invalid = np.zeros(len(dataset), dtype=np.bool_)
    invalid[list(problems)] = True
    if invalid.all():
        raise InputError(f"{name} has no row that can be read; the first: {problems[0]}")
    return Pool(dataset.with_format(None), row_format, digests, keys, invalid)


def load_source(dataset: Any, split: str | None = None, name: str = "dataset") -> "Dataset":
    """A `Dataset` from whatever the caller has: a Dataset, a DatasetDict with ``split``, a Hub id or a local path.

    Raises `InputError` for streams, for a DatasetDict without a usable ``split``, and for other types.
    """
    import datasets

    if isinstance(dataset, datasets.IterableDataset | datasets.IterableDatasetDict):
        raise InputError(
            f"{name} is a stream ({type(dataset).__name__}), whose rows cannot be picked by number; load it without "
            "streaming=True, or keep its first rows with Dataset.from_list(list(stream.take(100_000)), "
            "features=stream.features)"
        )
    if isinstance(dataset, str | Path):
        dataset = _load_named(str(dataset), split)
    if isinstance(dataset, datasets.DatasetDict):
        chosen = split or (next(iter(dataset)) if len(dataset) == 1 else "")
        if chosen not in dataset:
            how = "split=" if name == "dataset" else f"{name}=dataset_dict[…]"
            raise InputError(f"{name} has the splits {list(dataset)}, split={split!r}; pass {how} with one of them")
        return dataset[chosen]
    if not isinstance(dataset, datasets.Dataset):
        raise InputError(
            f"{name} is a {type(dataset).__name__}; pass a datasets.Dataset, a DatasetDict with split=, a Hub id or a "
            "local path"
        )
    return dataset


def _load_named(name: str, split: str | None) -> Any:
    import datasets

    path = Path(name)
    if (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
        return datasets.load_from_disk(name)
    if not path.exists() and (path.suffix in _BUILDERS or name.startswith((".", "/", "~"))):
        raise InputError(f'{name} does not exist; pass a file or folder that does, or a Hub id such as "user/dataset"')
    if path.is_file():
        builder = _BUILDERS.get(path.suffix)
        if builder is None:
            raise InputError(
                f"{name} ends in {path.suffix!r}; pass a .jsonl, .json, .csv or .parquet file, a folder or a Hub id"
            )
        try:
            return datasets.load_dataset(builder, data_files=name)
        except (datasets.exceptions.DatasetGenerationError, StopIteration) as error:
            raise InputError(f"{name} is empty or cannot be read as {path.suffix} ({error}); mend the file") from error
    return datasets.load_dataset(name, split=split) if split else datasets.load_dataset(name)


def normalised(text: str) -> str:
    """The text with case and blanks folded: ``"A  b\\n"`` and ``"a B"`` are alike."""
    return re.sub(r"\s+", " ", text).strip().casefold()


def digest(text: str) -> NDArray[np.uint8]:
    """The content of a text as 16 bytes."""
    return np.frombuffer(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest(), dtype=np.uint8
    )


def _rows(dataset: "Dataset", columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """All rows as plain dicts of the given columns, whatever format (torch, numpy) the dataset is set to."""
    plain = dataset.with_format(None).select_columns(list(columns))
    for start in range(0, len(plain), CHUNK):
        yield from _row_dicts(plain[start : start + CHUNK])


def _row_dicts(batch: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for cells in zip(*batch.values(), strict=True):
        yield dict(zip(batch, cells, strict=True))
