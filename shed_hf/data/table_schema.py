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
        wrong with each of the others: that it is broken, or how its columns differ from those of the other files.
    """
    known = {file: features for file, features in found.items() if not isinstance(features, str)}
    problems = {file: why for file, why in found.items() if isinstance(why, str)}
    if not known:
        return None, problems
    kind, count = Counter(map(_kind, known.values())).most_common(1)[0]
    common = next(each for each in known.values() if _kind(each) == kind)
    others = "most files" if 2 * count > len(known) else "other files" if len(known) > 2 else "the other file"
    for file, features in known.items():
        why = _difference(features, common, others)
        if why is None:
            common = merged(common, features)
        else:
            problems[file] = why
    return common, problems


def widened(found: "Mapping[str, Features | str]") -> "dict[str, Features | str]":
    """The columns of files of CSV, whose cells are text that types were told from.

    Args:
        found: The columns of each file, of type null where all cells are blank; or what is wrong with it.

    Returns:
        The same, where a column that is text in one file is text in all, as it would be in one file, and blanks beside
        numbers or truths have the type that `datasets` gives them, a fraction's.
    """
    from datasets import Features, Value

    types: dict[str, list[Any]] = {}
    for features in found.values():
        for column, feature in () if isinstance(features, str) else features.items():
            types.setdefault(column, []).append(feature)
    texts = {column: next(filter(is_text, each)) for column, each in types.items() if any(map(is_text, each))}
    null = Value("null")
    blanks = {column: Value("float64") for column, each in types.items() if any(feature != null for feature in each)}

    def fitting(column: str, feature: Any) -> Any:
        return texts.get(column, blanks.get(column, null) if feature == null else feature)

    return {
        file: features
        if isinstance(features, str)
        else Features({each: fitting(each, features[each]) for each in features})
        for file, features in found.items()
    }


def merged(first: "Features", second: "Features") -> "Features":
    """The features that cells of both have room in.

    A column of one alone is kept, empty cells take the type of others, fractions win over whole numbers, records have
    the fields of both, and records are JSON where those of the other are, as `datasets` has them where fields vary.

    Args:
        first: Features of earlier rows; their columns come first.
        second: Features of later rows.

    Returns:
        The features of all rows.

    Raises:
        pyarrow.ArrowInvalid, TypeError: Where a column has types that exclude each other.
    """
    import pyarrow as pa
    from datasets import Features

    if first == second:
        return first
    first, second = (
        Features({column: _loosened(each, other.get(column)) for column, each in features.items()})
        for features, other in ((first, second), (second, first))
    )
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


def _difference(features: "Features", usual: "Features", others: str) -> str | None:
    """How the columns of a file differ from those of others; None where both go into one table."""
    from datasets import Features

    lacking = [column for column in usual if column not in features]
    beside = [column for column in features if column not in usual]
    if lacking or beside:
        parts = [
            f"lacks the {_listed(lacking[:_NAMED])}" if lacking else "",
            f"has {'a' if len(beside) == 1 else 'the'} {_listed(beside[:_NAMED])}" if beside else "",
        ]
        return f"{' and '.join(filter(None, parts))}, unlike {others}"
    has = "has" if others == "the other file" else "have"
    for column, feature in features.items():
        try:
            merged(Features({column: usual[column]}), Features({column: feature}))
        except (ValueError, TypeError):  # pyarrow's are kinds of these
            types = [_told(each.arrow_schema.field(column).type) for each in (features, usual)]
            return f"has {types[0]} in the column {column!r}, where {others} {has} {types[1]}"
    return None


def _listed(columns: list[str]) -> str:
    *first, last = map(repr, columns)
    return f"columns {', '.join(first)} and {last}" if first else f"column {last}"


def _told(stored: "pa.DataType") -> str:
    return str(stored).replace("extension<arrow.json>", "JSON")


def _loosened(feature: Any, other: Any) -> Any:
    """A column's type with room for any JSON where another's has that.

    Raises:
        TypeError: Where cells would not come out of JSON as they were.
    """
    from datasets import Json, List

    if isinstance(other, Json) and feature != other:
        if _is_scalar(feature) or not _is_plain(feature):
            raise TypeError(f"JSON and {feature} exclude each other")  # Arrow would make texts of JSON
        return other
    if isinstance(feature, dict) and isinstance(other, dict):
        return {name: _loosened(each, other.get(name)) for name, each in feature.items()}
    if isinstance(feature, List) and isinstance(other, List):
        return List(_loosened(feature.feature, other.feature), feature.length)
    return feature


def _is_scalar(feature: Any) -> bool:
    """Whether cells are texts, numbers and the like: such a text could not be told from JSON that is written down."""
    from datasets import Value

    return isinstance(feature, Value) and feature.dtype != "null"


def _is_plain(feature: Any) -> bool:
    """Whether cells can be written as JSON and read as they were."""
    from datasets import Json, LargeList, List, Value

    if isinstance(feature, dict):
        return all(map(_is_plain, feature.values()))
    if isinstance(feature, List | LargeList):
        return _is_plain(feature.feature)
    if isinstance(feature, Value):
        return feature.dtype in ("null", "bool", "string", "large_string") or feature.dtype.startswith(("int", "float"))
    return isinstance(feature, Json)
