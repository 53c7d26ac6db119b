"""One schema for rows that come in parts, whose types were each told from the rows of the part alone."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Features


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
