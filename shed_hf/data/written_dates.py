"""Loads files of JSON with the texts that `datasets` takes for dates, such as ``"1999-01-02"``, as they are written.

A column whose cells all look like dates becomes one of points in time, which no longer tell how they were written.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shed_hf.data.row_batches import CHUNK
from shed_hf.data.unreadable_files import is_damage

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset, Features


def load_with_dates(reader: str, **arguments: Any) -> Any:
    """What `datasets.load_dataset` loads, with dates in files of JSON as text.

    Args:
        reader: The reader of `datasets`.
        arguments: What load_dataset is passed.

    Returns:
        A dataset, or datasets by split. Cells of a column that has dates and other things than text are JSON.

    Raises:
        Exception: Whatever load_dataset raises.
    """
    import datasets

    loaded = datasets.load_dataset(**arguments)
    if reader != "json":
        return loaded
    features = loaded.features if isinstance(loaded, datasets.Dataset) else next(iter(loaded.values())).features
    dated = {column for column, feature in features.items() if _has_dates(feature)}
    if not dated:
        return loaded
    as_json = datasets.Features({column: _with_json(feature) for column, feature in features.items()})
    try:
        again = datasets.load_dataset(**{**arguments, "features": as_json})
    except Exception as error:  # objects over several lines can't be loaded as JSON: their dates stay
        if not is_damage(error):
            raise
        return loaded
    if isinstance(again, datasets.Dataset):
        return _as_text(again, dated)
    return datasets.DatasetDict({split: _as_text(dataset, dated) for split, dataset in again.items()})


def _has_dates(feature: Any) -> bool:
    from datasets import LargeList, List, Value

    if isinstance(feature, List | LargeList):
        return _has_dates(feature.feature)
    if isinstance(feature, dict):
        return any(map(_has_dates, feature.values()))
    return isinstance(feature, Value) and feature.dtype.startswith("timestamp")


def _with_json(feature: Any) -> Any:
    """A column's type with JSON, which is kept as it is written, where it has dates."""
    from datasets import Json, LargeList, List

    if isinstance(feature, List | LargeList):
        return type(feature)(_with_json(feature.feature))
    if isinstance(feature, dict):
        return {name: _with_json(each) for name, each in feature.items()}
    return Json() if _has_dates(feature) else feature


def _with_text(feature: Any) -> Any:
    from datasets import Json, LargeList, List, Value

    if isinstance(feature, List | LargeList):
        return type(feature)(_with_text(feature.feature))
    if isinstance(feature, dict):
        return {name: _with_text(each) for name, each in feature.items()}
    return Value("string") if isinstance(feature, Json) else feature


def _as_text(dataset: "Dataset", dated: set[str]) -> "Dataset":
    """Columns of JSON as columns of text, where all their cells are."""
    from datasets import Features, concatenate_datasets

    columns = [column for column in dataset.column_names if column in dated and _is_of_text(dataset, column)]
    if not columns:
        return dataset
    types = Features({column: _with_text(dataset.features[column]) for column in columns})
    given = Features({column: dataset.features[column] for column in columns})
    texts = (
        dataset.select_columns(columns)
        .with_format("arrow")
        .map(_table_of_text, batched=True, features=types, fn_kwargs={"given": given, "types": types})
        .with_format(None)
    )
    rest = dataset.remove_columns(columns)
    if not rest.column_names:
        return texts
    info = dataset.info.copy()
    info.features = Features({**rest.features, **types})
    return concatenate_datasets([rest, texts], info=info, split=dataset.split, axis=1).select_columns(
        dataset.column_names
    )


def _is_of_text(dataset: "Dataset", column: str) -> bool:
    import pyarrow as pa
    from datasets import Features

    given = Features({column: dataset.features[column]})
    types = Features({column: _with_text(dataset.features[column])})
    read = dataset.select_columns([column]).with_format("arrow")
    try:
        for start in range(0, len(read), CHUNK):
            _table_of_text(read[start : start + CHUNK], given, types)
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return False
    return True


def _table_of_text(table: "pa.Table", given: "Features", types: "Features") -> "pa.Table":
    import pyarrow as pa

    cells = {
        column: [_decoded(cell, feature) for cell in table[column].to_pylist()] for column, feature in given.items()
    }
    return pa.table({column: pa.array(cells[column], type=types.arrow_schema.field(column).type) for column in given})


def _decoded(cell: Any, feature: Any) -> Any:
    """A cell with what was JSON in it."""
    from datasets import Json, LargeList, List

    if cell is None:
        return None
    if isinstance(feature, List | LargeList):
        return [_decoded(each, feature.feature) for each in cell]
    if isinstance(feature, Mapping):
        return {name: _decoded(cell.get(name), each) for name, each in feature.items()}
    return json.loads(cell) if isinstance(feature, Json) else cell
