"""Fingerprints of small datasets at a tenth of the time."""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset


def fingerprint(dataset: "Dataset") -> str:
    """Of equal rows, columns and choices of rows the same, and of others another, as `datasets` has it.

    Args:
        dataset: A dataset that has no fingerprint yet.

    Returns:
        16 hexadecimal digits.
    """
    import pyarrow as pa

    digest = hashlib.blake2b(digest_size=8)
    for table in (dataset.data, dataset._indices):
        if table is not None:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table.table)
            digest.update(sink.getvalue())
    return digest.hexdigest()
