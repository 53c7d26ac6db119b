"""One schema for rows that come in parts, whose types were each told from the rows of the part alone."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Features


_NAMED = 5
"""How many columns a message names."""


def is_text(feature: Any) -> bool:
    """Whether a column holds texts.

    Args:
        feature: Its type, as `datasets.Features` has it.
    """
    from datasets import Value

    return isinstance(feature, Value) and feature.dtype in ("string", "large_string")


def agreement(found: "Mapping[str, Features | str]") -> "tuple[Features | None, dict[str, str]]":
    """What the files of one table have in common.

    Args:
        found: The columns of each file, or what is wrong with it.

    Returns:
        Features in which the rows of all files that go together have room, None where no file can be read; and what is
        wrong with each of the others: that it is broken, or how its columns differ from those of most files.
    """
    known = {file: features for file, features in found.items() if not isinstance(features, str)}
    problems = {file: why for file, why in found.items() if isinstance(why, str)}
    if not known:
        return None, problems
    kinds = Counter(map(_kind, known.values()))
    usual = next(each for each in known.values() if _kind(each) == kinds.most_common(1)[0][0])
    common = usual
    for file, features in known.items():
        why = _difference(features, common)
        if why is None:
            common = merged(common, features)
        else:
            problems[file] = why
    return common, problems


def merged(first: "Features", second: "Features") -> "Features":
    """The features that cells of both have room in.

    A column of one alone is kept, empty cells take the type of others, fractions win over whole numbers, and records
    have the fields of both.

    Args:
        first: Features of earlier rows; their columns come first.
        second: Features of later rows.

    Returns:
        The features of all rows.

    Raises:
        pyarrow.ArrowInvalid, pyarrow.ArrowTypeError: Where a column has types that exclude each other.
    """
    import pyarrow as pa
    from datasets import Features

    if first == second:
        return first
    bare = [_bare(features) for features in (first, second)]
    found = Features.from_arrow_schema(pa.unify_schemas(bare, promote_options="permissive"))
    for column in found:
        stored = found.arrow_schema.field(column).type
        given = [
            features[column]
            for features, schema in zip((first, second), bare, strict=True)
            if column in features and schema.field(column).type == stored
        ]
        if given and all(feature == given[0] for feature in given):
            found[column] = given[0]  # an image or a label, which is more than how it is stored
    return found


def _bare(features: "Features") -> "pa.Schema":
    """How columns are stored, without what they mean."""
    schema: pa.Schema = features.arrow_schema.remove_metadata()
    return schema


def _kind(features: "Features") -> tuple[tuple[str, str], ...]:
    return tuple(sorted((column, str(feature)) for column, feature in features.items()))


def _difference(features: "Features", usual: "Features") -> str | None:
    """How the columns of a file differ from those of most files; None where both go into one table."""
    from datasets import Features

    lacking = [column for column in usual if column not in features]
    beside = [column for column in features if column not in usual]
    parts = [f"lacks the column {column!r}" for column in lacking] + [f"has a column {column!r}" for column in beside]
    if parts:
        return f"{' and '.join(parts[:_NAMED])}, unlike most files"
    for column, feature in features.items():
        try:
            merged(Features({column: usual[column]}), Features({column: feature}))
        except (ValueError, TypeError):  # pyarrow's are kinds of these
            types = [each.arrow_schema.field(column).type for each in (features, usual)]
            return f"has {types[0]} in the column {column!r}, where most files have {types[1]}"
    return None
