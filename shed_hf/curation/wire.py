"""What the ranks of a curation or of a plan send each other beside plain data and arrays."""

from shed_hf.curation.plan import Plan
from shed_hf.distributed.messages import Codec, record
from shed_hf.results.wire import RECORDS

CODEC = Codec([*RECORDS, record(Plan)])
"""What every rank of a curation or of a plan reads and writes messages with."""
