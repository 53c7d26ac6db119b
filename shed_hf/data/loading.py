"""TODO."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from shed_hf.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

_BUILDERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}


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
