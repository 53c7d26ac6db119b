"""Which outcomes of a pool stay true when it grows: those of the same rows, items and utility."""

from collections.abc import Iterator
from typing import Any

from shed_hf.config.ledger_refusal import changes_in_words
from shed_hf.errors import InputError
from shed_hf.extension.problem import Extension
from shed_hf.game.entry import Entry
from shed_hf.game.ledger_header import unequal
from shed_hf.game.orders import hashed, keys_of
from shed_hf.game.recorded_settings import comparable, unknown
from shed_hf.results.curation import Curation

_SHOWN = 3


def check_same(curated: Curation, extension: Extension, utility: Any) -> None:
    """See that what measures is what measured, so that the outcomes before are outcomes of the grown game.

    Args:
        curated: The result, with the header of what it measured.
        extension: What would measure.
        utility: The utility where nothing bound it, as it was passed or kept.

    Raises:
        InputError: Where it is another, with what differs, and where nothing tells.
    """
    held = curated.valued.measured_by
    if utility is not None and held is not None and utility is held.utility:
        return  # the very object
    if not len(curated.ledger):
        return  # as without a game: there is nothing to keep
    before = {name: field for name, field in curated.ledger.header.items() if name not in ("dataset", "shed_ledger")}
    now = {name: field for name, field in extension.header().items() if name != "dataset"}
    different = "; ".join(changes_in_words(unequal(before, comparable(before, now)), before)[:_SHOWN]) or unknown(now)
    if different:
        raise InputError(
            f"what was measured before can't be kept, for it was measured otherwise ({different}); pass the model, "
            "settings and evaluation items of then, or give a callable that must know the new rows one name for both, "
            'as in shed_hf.Named("my utility", utility)'
        )


def outcomes_still_valid(curated: Curation) -> Iterator[Entry]:
    """The outcomes of a curation that hold for the grown pool: those of rows that it still has, by content.

    Args:
        curated: The result.

    Yields:
        Entries of its ledger whose key is the content of the rows they name.
    """
    valued = curated.valued
    contents = dict(zip(valued.pool_rows.tolist(), (digest.tobytes() for digest in valued.digests), strict=True))
    digests = hashed(contents)
    for entry in valued.ledger:
        rows = [row for block in entry.blocks for row in block]
        if all(row in digests for row in rows) and keys_of(entry.blocks, digests)[-1:] == [entry.key]:
            yield entry
