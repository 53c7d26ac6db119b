"""Worker ranks: load the same data and model as rank 0, run the tasks it sends, return its result."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from shed_hf.curated_dataset import CuratedDataset
from shed_hf.curation.plan import Plan
from shed_hf.curation.problem import BeforeLoading, Problem, bind
from shed_hf.curation.request import Request
from shed_hf.curation.warm_up import warm_up
from shed_hf.distributed.ranks import MultiProcess
from shed_hf.embedding.embed import encode_rows
from shed_hf.embedding.encoders import Encoder, Lexical, encoder_from
from shed_hf.errors import InputError, RankError
from shed_hf.game.entry import Entry
from shed_hf.game.ledger import Ledger
from shed_hf.game.ledger_header import differing
from shed_hf.game.measurement import Batch, measured
from shed_hf.game.rank_agreement import Probe, probe
from shed_hf.results.tables import clusters_table, with_values
from shed_hf.results.valued_pool import MeasuredBy
from shed_hf.results.wire import CurationResult
from shed_hf.sampling.model_vectors import hidden_states_by
from shed_hf.sampling.row_ranking import features_by
from shed_hf.types import EmbeddingMatrix, IntVector
from shed_hf.utils.quiet import silent
from shed_hf.utils.random_streams import Streams

Result = TypeVar("Result")


@dataclass
class Worker:
    """One rank's part of a curation: the handlers of the tasks that rank 0 sends.

    Attributes:
        request: The arguments of `curate` on this rank.
        rank: This rank's number.
        problem: The pool and the utility, as this rank loaded them.
        encoder: What embeds rows; None for a matrix and for ``"lexical"``, which rank 0 fits alone.
        players: The rows of every player, as rank 0 sends them.
        ledger: Where this rank writes what it measures.
    """

    request: Request
    rank: int
    problem: Problem
    encoder: Encoder | None
    players: list[IntVector] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)

    def handlers(self) -> dict[str, Callable[[Any], Any]]:
        """What runs each kind of task.

        Returns:
            Handlers by the task's kind.
        """
        return {
            "embed": self.embed,
            "features": lambda rows: features_by(self.problem.utility)(rows),
            "hidden states": lambda rows: hidden_states_by(self.problem.utility).hidden_states(rows),
            "warm up": lambda rows: warm_up(self.problem, rows),
            "begin": self.begin,
            "compare": self.compare,
            "fine-tune": self.fine_tune,
            "fine-tune together": self.fine_tune_together,
        }

    def embed(self, rows: IntVector) -> EmbeddingMatrix:
        """Unit vectors of some rows.

        Args:
            rows: Row ids ``(n,)``.

        Returns:
            Vectors ``(n, d)``.

        Raises:
            InputError: Where this rank has no encoder.
        """
        if self.encoder is None:
            raise InputError("there is nothing to embed rows with on this rank; pass the same embedder= on every rank")
        return encode_rows(self.problem.pool, rows, self.encoder)

    def begin(self, game_of_main: tuple[dict[str, Any], list[IntVector]]) -> list[Entry]:
        """Check that this rank would measure the same game as rank 0, and open its ledger.

        Args:
            game_of_main: Rank 0's header with the plain arguments of `curate`, and the rows of every player.

        Returns:
            What this rank's disk holds of earlier runs.

        Raises:
            InputError: Where this rank would measure another game, with what differs.
        """
        expected, self.players = game_of_main
        header = self.problem.header()
        different = differing(expected, {**header, **self.problem.asked_for(self.request)})
        if different:
            raise InputError(
                f"rank {self.rank} would measure another game than rank 0 ({different}); start every rank with the "
                "same data, model and arguments"
            )
        if self.request.ledger is not None:
            self.ledger = Ledger(self.request.ledger, header, self.rank)
        return list(self.ledger)

    def compare(self, _: None) -> Probe:
        """Measure what ranks are compared by.

        Returns:
            What this rank measures of it.
        """
        return probe(self.problem.utility, self.players)

    def fine_tune(self, batch: Batch) -> list[Entry]:
        """Measure a batch of coalitions.

        Args:
            batch: The coalitions, or orders of them, with their keys in the ledger.

        Returns:
            Their outcomes, which this rank's ledger has as well.
        """
        return measured(self.problem.utility, batch, self.players, self.ledger.put)

    def fine_tune_together(self, batch: Batch) -> None:
        """Take part in training one model with all ranks; rank 0 records the outcomes.

        Args:
            batch: The coalitions, the same on every rank.
        """
        measured(self.problem.utility, batch, self.players, lambda _: None)


def work_for_curation(request: Request, workers: MultiProcess) -> CuratedDataset:
    """Run rank 0's tasks until its curation ends.

    Args:
        request: The arguments of `curate` on this rank.
        workers: The ranks of the launch.

    Returns:
        Rank 0's result, with the rows of this rank's own source.
    """
    worker = load_worker(request, workers)
    result = _of_type(CurationResult, work_until_the_end(worker, workers))
    with silent():
        source = worker.problem.source.select(result.valued.pool_rows)
        valued = replace(
            result.valued,
            source=source,
            encoder=result.valued.encoder or worker.encoder,
            measured_by=MeasuredBy(worker.problem.tuner, worker.problem.items, worker.problem.own_utility),
            measured_items=worker.problem.measured_items(),
        )
        rows = result.rows
        return CuratedDataset(with_values(valued, rows), rows, clusters_table(valued, rows), result.recipe, valued)


def work_for_plan(request: Request, workers: MultiProcess) -> Plan:
    """Run rank 0's tasks until its plan is made.

    Args:
        request: The arguments of `plan` on this rank.
        workers: The ranks of the launch.

    Returns:
        Rank 0's plan.
    """
    return _of_type(Plan, work_until_the_end(load_worker(request, workers), workers))


def load_worker(request: Request, workers: MultiProcess, before_loading: BeforeLoading | None = None) -> Worker:
    """Load on this rank what rank 0 loads.

    Args:
        request: The arguments of `curate` on this rank.
        workers: The ranks of the launch.
        before_loading: As in `bind`.

    Returns:
        This rank's part of the curation.
    """
    with silent():
        encoder = encoder_from(request.embedder)
        problem = bind(request, Streams(request.seed), workers, before_loading)
    return Worker(request, workers.rank, problem, None if isinstance(encoder, Lexical) else encoder)


def work_until_the_end(worker: Worker, workers: MultiProcess) -> Any:
    """Run rank 0's tasks until it ends.

    Args:
        worker: This rank's part.
        workers: The ranks of the launch.

    Returns:
        What rank 0 sends at its end.
    """
    try:
        with silent():
            result = workers.work(worker.handlers())
    except BaseException:
        worker.ledger.close()
        raise
    worker.ledger.discard()  # rank 0 has written all of it
    return result


def _of_type(kind: type[Result], result: Any) -> Result:
    if not isinstance(result, kind):
        raise RankError(
            f"rank 0 sent a {type(result).__name__} at its end, where a {kind.__name__} was due; call curate and plan "
            "in the same order on every rank"
        )
    return result
