"""Columns of a dataset that nobody reads: text is reported, pictures and sound are refused."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shed_hf.data.pool import Pool
from shed_hf.data.table_schema import is_text
from shed_hf.errors import InputError
from shed_hf.utils.warn import warn

LOOKED_AT = 1000
MEDIA = ("image", "images", "audio", "audios", "video", "videos")


def refuse_media(pool: Pool, columns: Mapping[str, str | None] | None, name: str = "dataset") -> None:
    """Refuse columns of pictures or sound beside the text, which a text model would never see.

    Args:
        pool: The rows.
        columns: The caller's; a column that is None there is left out on purpose.
        name: What error messages call the dataset.

    Raises:
        InputError: For a column with such a name or of such a type, saying how to leave it out.
    """
    read = set(pool.format.columns.values()) | _ignored(columns)
    features = pool.dataset.features
    media = [column for column in features if column not in read and _is_media(column, features[column])]
    if media:
        left_out = ", ".join(f'"{column}": None' for column in media)
        raise InputError(
            f"{name} has the columns {media}, which a text model is never shown; pass columns={{{left_out}}} to curate "
            "the text alone"
        )


def warn_of_unread_text(
    pool: Pool, columns: Mapping[str, str | None] | None, read_elsewhere: Iterable[Any] = ()
) -> None:
    """One warning that names the columns of text which are no part of what the model is shown.

    Columns of labels, a few short names that repeat, such as a topic or a licence, are passed over.

    Args:
        pool: The rows.
        columns: The caller's; a column that is None there is left out on purpose.
        read_elsewhere: Names of columns that something else reads, such as the clusterer; what is no text is passed
            over.
    """
    read = set(pool.format.columns.values()) | _ignored(columns) | {name for name in read_elsewhere if _is_name(name)}
    features = pool.dataset.features
    texts = [column for column in features if column not in read and is_text(features[column])]
    looked_at = pool.dataset.select_columns(texts)[:LOOKED_AT] if texts else {}
    unread = [column for column in texts if not _are_labels(looked_at[column])]
    if unread:
        warn(
            f"the model is shown nothing of the columns {unread}; pass those that belong to a row, as in "
            f'columns={{"system": "{unread[0]}"}}, and the others as columns={{"{unread[0]}": None}} to say so',
        )


def _ignored(columns: Mapping[str, str | None] | None) -> set[str]:
    return {name for name, column in (columns or {}).items() if column is None}


def _is_name(name: Any) -> bool:
    return isinstance(name, str)


def _are_labels(cells: Sequence[str | None]) -> bool:
    """Whether a column repeats a few names of at most three words."""
    different = {cell for cell in cells if cell is not None}
    short = all(len(cell) <= 40 and len(cell.split()) <= 3 for cell in different)
    return len(cells) >= 20 and len(different) <= len(cells) / 4 and short


def _is_media(column: str, feature: Any) -> bool:
    from datasets import Audio, Image, List, Video

    inner = feature.feature if isinstance(feature, List) else feature
    return column in MEDIA or isinstance(inner, Image | Audio | Video)
