"""What every rank but the first does in a curation: it holds pool and utility, does what the leader posts, and ends
with the leader's result.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from shed_hf.curated_dataset import CuratedDataset
from shed_hf.curation.plan import Plan
from shed_hf.curation.problem import Problem, bind, warm_up
from shed_hf.curation.request import Request
from shed_hf.distributed.ranks import MultiProcess
from shed_hf.embedding.embed import encode_rows
from shed_hf.embedding.encoders import Encoder, FittedLexical, Lexical, encoder_from
from shed_hf.errors import InputError
from shed_hf.game.ledger import Entry, Ledger, differing
from shed_hf.game.measurement import Batch, measured
from shed_hf.results.tables import with_values
from shed_hf.sampling.row_ranking import features_by
from shed_hf.types import EmbeddingMatrix, IntVector
from shed_hf.utils.random_streams import Streams


@dataclass
class Worker:
    """One rank's part of a game: the handlers of the leader's tasks."""

    request: Request
    rank: int
    problem: Problem
    encoder: Encoder | None
    players: list[IntVector] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)

    def handlers(self) -> dict[str, Callable[[Any], Any]]:
        """Kinds of tasks, and what does them."""
        return {
            "embed": self.embed,
            "features": lambda rows: features_by(self.problem.utility)(rows),
            "warm up": lambda rows: warm_up(self.problem, rows),
            "begin": self.begin,
            "fine-tune": self.fine_tune,
            "fine-tune together": self.fine_tune_together,
        }

    def embed(self, rows: IntVector) -> EmbeddingMatrix:
        """Unit vectors of some rows."""
        if self.encoder is None:
            raise InputError("there is nothing to embed rows with on this rank; pass the same embedder= on every rank")
        return encode_rows(self.problem.pool, rows, self.encoder)

    def begin(self, leaders: tuple[dict[str, Any], list[IntVector]]) -> list[Entry]:
        """See that this rank would measure the same game; returns what its disk holds of earlier runs.

        Raises `InputError` with what differs.
        """
        told, self.players = leaders
        header = self.problem.header()
        different = differing(told, {**header, "arguments": self.request.plain_arguments()})
        if different:
            raise InputError(
                f"rank {self.rank} would measure another game than rank 0 ({different}); start every rank with the "
                "same data, model and arguments"
            )
        if self.request.ledger is not None:
            self.ledger = Ledger(self.request.ledger, header, self.rank)
        return list(self.ledger)

    def fine_tune(self, batch: Batch) -> list[Entry]:
        """Measure walks and write their outcomes down."""
        return measured(self.problem.utility, batch, self.players, self.ledger.put)

    def fine_tune_together(self, batch: Batch) -> None:
        """Take part in training one model with all ranks; the first writes the outcomes down."""
        measured(self.problem.utility, batch, self.players, lambda _: None)


def work_for_curation(request: Request, workers: MultiProcess) -> CuratedDataset:
    """Follow to the end of a curation."""
    worker = _worker(request, workers)
    told: CuratedDataset = _until_the_end(worker, workers)
    with _silently():
        source = worker.problem.source.select(told.valued.pool_rows)
        valued = replace(told.valued, source=source, encoder=told.valued.encoder or worker.encoder)
        return replace(told, dataset=with_values(valued, told.rows), valued=valued)


def work_for_plan(request: Request, workers: MultiProcess) -> Plan:
    """Follow to the end of a plan."""
    plan: Plan = _until_the_end(_worker(request, workers), workers)
    return plan


def to_workers(curated: CuratedDataset) -> CuratedDataset:
    """The result as it travels: without rows, which every rank has, and without an encoder that every rank loads."""
    encoder = curated.valued.encoder if isinstance(curated.valued.encoder, FittedLexical) else None
    nothing: Any = None
    return replace(curated, dataset=nothing, valued=replace(curated.valued, source=None, encoder=encoder))


def _worker(request: Request, workers: MultiProcess) -> Worker:
    with _silently():
        encoder = encoder_from(request.embedder)
        problem = bind(request, Streams(request.seed))
    return Worker(request, workers.rank, problem, None if isinstance(encoder, Lexical) else encoder)


def _until_the_end(worker: Worker, workers: MultiProcess) -> Any:
    try:
        with _silently():
            result = workers.follow(worker.handlers())
    except BaseException:
        worker.ledger.close()
        raise
    worker.ledger.discard()  # the leader has written all of it
    return result


@contextlib.contextmanager
def _silently() -> Iterator[None]:
    """What there is to warn of, the leader warns of, and its bars are enough."""
    import datasets

    bars = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if bars:
            datasets.enable_progress_bars()
