"""What the ranks of a launch send each other beside plain data and arrays, to measure and to share a result."""

from dataclasses import dataclass, replace
from typing import Any

from shed_hf.clustering.clusters import Clustering
from shed_hf.data.formats import RowFormat
from shed_hf.data.preambles import Preambles
from shed_hf.distributed.messages import RecordType, record
from shed_hf.embedding.encoders import FittedLexical
from shed_hf.estimators import ValueEstimate
from shed_hf.game.entry import Entry
from shed_hf.game.execution import Execution, Precision
from shed_hf.game.ledger import Ledger
from shed_hf.game.measurement import Batch
from shed_hf.game.players import Players
from shed_hf.game.rank_agreement import Probe
from shed_hf.results.curation import Curation
from shed_hf.results.embedding_map import EmbeddingMap
from shed_hf.results.recipe import Recipe
from shed_hf.results.valued_pool import ValuedPool
from shed_hf.sampling.played_game import RowWorth, SignalWeight
from shed_hf.types import IntVector


@dataclass(frozen=True, eq=False)
class CurationResult:
    """What rank 0's curation found, as it is sent: every rank has the rows themselves, and makes the tables.

    Attributes:
        rows: The row ids that were chosen, the best first.
        recipe: Everything that decided the curation.
        valued: The valued pool, without its source.
    """

    rows: IntVector
    recipe: Recipe
    valued: ValuedPool


def to_workers(curated: Curation) -> CurationResult:
    """The result as it is sent to other ranks: without what every rank loads itself, rows and most encoders.

    Args:
        curated: The whole result.

    Returns:
        What is left to be sent.
    """
    encoder = curated.valued.encoder if isinstance(curated.valued.encoder, FittedLexical) else None
    valued = replace(curated.valued, source=None, whole_source=None, encoder=encoder)
    valued = replace(valued, measured_by=None, measured_items=None)
    return CurationResult(curated.rows, curated.recipe, valued)


def _preambles(content: Any) -> Preambles:
    return Preambles.from_json(content)


RECORDS = [
    *(record(kind) for kind in (Batch, Entry, Probe, CurationResult, ValuedPool)),
    *(record(kind) for kind in (Precision, Execution, RowWorth, SignalWeight)),
    *(record(kind) for kind in (Clustering, Players, ValueEstimate, EmbeddingMap, RowFormat, FittedLexical)),
    RecordType(Preambles, lambda preambles: {"content": preambles.as_json()}, _preambles),
    RecordType(Ledger, lambda ledger: {"header": ledger.header, "entries": list(ledger)}, Ledger.of),
]
"""The classes that are sent."""
