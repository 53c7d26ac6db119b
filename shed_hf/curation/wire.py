"""What the ranks of a curation send each other beside plain data and arrays."""

from dataclasses import dataclass
from typing import Any

from shed_hf.clustering.clusters import Clustering
from shed_hf.curation.plan import Plan
from shed_hf.data.formats import RowFormat
from shed_hf.data.preambles import Preambles
from shed_hf.distributed.messages import Codec, RecordType, record
from shed_hf.embedding.encoders import FittedLexical
from shed_hf.estimators import ValueEstimate
from shed_hf.game.comparison import Probe
from shed_hf.game.entry import Entry
from shed_hf.game.execution import Execution, Precision
from shed_hf.game.ledger import Ledger
from shed_hf.game.measurement import Batch
from shed_hf.game.players import Players
from shed_hf.results.embedding_map import EmbeddingMap
from shed_hf.results.recipe import Recipe
from shed_hf.results.valued_pool import ValuedPool
from shed_hf.types import IntVector


@dataclass(frozen=True, eq=False)
class CurationResult:
    """What rank 0's curation found, as it is sent: every rank has the rows themselves, and makes the tables.

    Attributes:
        rows: The row ids that were chosen, ascending.
        recipe: Everything that decided the curation.
        valued: The valued pool, without its source.
    """

    rows: IntVector
    recipe: Recipe
    valued: ValuedPool


def _preambles(content: Any) -> Preambles:
    return Preambles.from_json(content)


CODEC = Codec(
    [
        *(record(kind) for kind in (Batch, Entry, Probe, Plan, CurationResult, ValuedPool)),
        *(record(kind) for kind in (Precision, Execution)),
        *(record(kind) for kind in (Clustering, Players, ValueEstimate, EmbeddingMap, RowFormat, FittedLexical)),
        RecordType(Preambles, lambda preambles: {"content": preambles.as_json()}, _preambles),
        RecordType(Ledger, lambda ledger: {"header": ledger.header, "entries": list(ledger)}, Ledger.of),
    ]
)
"""What every rank of a curation or of a plan reads and writes messages with."""
