"""The value function: LoRA fine-tuning by TRL's `SFTTrainer`, measured by `ProxyValueCallback`."""

import copy
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from trl import SFTTrainer

from shed_hf.data.pool import Pool
from shed_hf.errors import InputError
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.finetuning import batched_coalitions
from shed_hf.finetuning.callback import AutocastEvaluation
from shed_hf.finetuning.digests import masks_entry
from shed_hf.finetuning.execution import execution_of_steps
from shed_hf.finetuning.isolation import Isolation
from shed_hf.finetuning.micro_batches import MicroBatches, measured_within_memory
from shed_hf.finetuning.micro_batches import by_length as grouping_by_length
from shed_hf.finetuning.prepared_rows import DROPPED, PreparedRows
from shed_hf.finetuning.row_matching import places_in_trainer
from shed_hf.finetuning.row_measures import MeasuresRows
from shed_hf.finetuning.schedule import ByLength
from shed_hf.finetuning.session import InitialWeights, RowSource
from shed_hf.finetuning.tokenized_rows import TokenizedRows
from shed_hf.finetuning.training_arguments import check_training
from shed_hf.finetuning.training_identity import StartingPoint, header_of
from shed_hf.game.execution import Execution, Precision
from shed_hf.game.utility import Concurrency, OutcomeCallback
from shed_hf.types import BoolVector, FloatMatrix, FloatVector, IntVector, TrainingSequence
from shed_hf.utils.temporary_folder import TemporaryFolder
from shed_hf.utils.warn import warn


class TrainerUtility(MeasuresRows):
    """A utility measured by an `SFTTrainer`: `FineTune`'s, or one of the user's own.

    A trainer of one's own keeps its model, arguments, optimizer and loss, and gets arguments and weights back as they
    were. While it measures it does not evaluate, save or publish. Row ids are rows of its prepared ``train_dataset``;
    `curate` finds them in its dataset by what they hold (`aligned`). In one process one utility trains at a time;
    other threads wait.

    Args:
        trainer: The trainer to measure with.
        evaluation: What is measured.
        rows: The rows by id; by default the trainer's ``train_dataset``.
        isolation: What keeps the trainer apart from the rest of the process; by default random states alone.
        coalitions_per_batch: How many coalitions to train in one batch.
        coalitions_abreast: The former name of ``coalitions_per_batch``.

    Raises:
        InputError: For arguments of the trainer that cannot be followed, a model without a trainable parameter, or a
            wrong number of coalitions.
    """

    def __init__(
        self,
        trainer: SFTTrainer,
        evaluation: Evaluation,
        rows: RowSource | None = None,
        isolation: Isolation | None = None,
        coalitions_per_batch: batched_coalitions.Wanted = 1,
        *,
        coalitions_abreast: batched_coalitions.Wanted | None = None,
    ) -> None:
        if coalitions_abreast is not None:
            warn_of_old_name()
            coalitions_per_batch = coalitions_abreast
        batched_coalitions.check_wanted(coalitions_per_batch)
        self.trainer, self.evaluation = trainer, evaluation
        self.rows: RowSource = PreparedRows(trainer.train_dataset) if rows is None else rows
        check_training(trainer.args)
        self.isolation = isolation or Isolation()
        lockstep = self.isolation.lockstep
        self.lockstep = trainer.accelerator.num_processes > 1 if lockstep is None else lockstep
        self.origin, self.steps = InitialWeights(trainer.model), MicroBatches()
        self.coalitions_per_batch = coalitions_per_batch
        self.folder: TemporaryFolder | None = None
        self.precision: Precision | None = None
        self._start = StartingPoint(trainer)
        self._n_parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
        self._warmed_on = ""

    def __call__(self, row_sets: Sequence[IntVector]) -> FloatMatrix:
        """The outcomes of row sets.

        Args:
            row_sets: Row ids to train on, one set for each outcome.

        Returns:
            ``(m, n_items)``, higher is better.
        """
        outcomes = np.full((len(row_sets), len(self.evaluation.items)), np.nan)

        def record(sequence: int, _block: int, outcome: FloatVector, _extra_metrics: Mapping[str, float]) -> None:
            outcomes[sequence] = outcome

        self.measure([[np.asarray(rows, dtype=np.int64)] for rows in row_sets], record)
        return outcomes

    def measure(self, sequences: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        """Train every sequence from θ₀ in one run, reporting each outcome.

        Args:
            sequences: The blocks of rows to train on; one without rows is the untouched model.
            record: Called with each outcome when it is measured.

        Raises:
            InputError: Where training was stopped before every outcome was measured, or an argument of the trainer
                cannot be followed.
        """
        self.rows.warn_of_cuts()
        due = {(number, block) for number, sequence in enumerate(sequences) for block in range(len(sequence))}

        def noted(number: int, block: int, outcome: FloatVector, extra_metrics: Mapping[str, float]) -> None:
            due.discard((number, block))
            record(number, block, outcome, extra_metrics)

        with self._at_work():
            self._measure_untrained(sequences, noted)
            self._train(sequences, noted, self._measure_batched(sequences, noted))
        if due:
            raise InputError(
                f"{len(due)} outcomes of {len(sequences)} coalitions were not measured, for the trainer's train() "
                "ended before; look for a train() or training_step() of its own that returns early"
            )

    def concurrency(self) -> Concurrency:
        """How several coalitions are measured: in lockstep by all ranks, or a few in one batch on each."""
        most = self._max_batched_coalitions
        note = f"sets of rows are trained side by side, up to {most} on a device" if most > 1 else ""
        if self._why_not_batched:
            note = f"sets of rows are trained one at a time: {self._why_not_batched}"
        return Concurrency(self.lockstep, most, note)

    def execution(self, rows: IntVector) -> Execution:
        """In which precision, and through how much padding, steps on some rows go.

        Args:
            rows: Row ids, ``(n,)``.
        """
        with self.isolation:
            apart = self.rows if self._max_batched_coalitions == 1 else None
            return execution_of_steps(self.trainer, apart, rows, self.precision, self.by_length)

    @property
    def _max_batched_coalitions(self) -> int:
        return 1 if self._why_not_batched else batched_coalitions.max_batched(self, self.coalitions_per_batch)

    @cached_property
    def by_length(self) -> ByLength | None:
        """How rows of a step are grouped; with dropout other micro-batches would draw other random numbers."""
        if not isinstance(self.rows, TokenizedRows) or batched_coalitions.random_in_training(self.trainer) is not None:
            return None
        return grouping_by_length(self.trainer, self.rows.length)

    @cached_property
    def _why_not_batched(self) -> str:
        """Why coalitions cannot be trained side by side; empty where they can, or need not."""
        if batched_coalitions.max_batched(self, self.coalitions_per_batch) == 1:
            return ""
        with self.isolation:
            return batched_coalitions.why_not_batched(self) or ""

    def warm_up(self, rows: IntVector, content: str) -> None:
        """Make θ₀ the model after training on some rows.

        Args:
            rows: Row ids, ``(n,)``.
            content: What names the rows' content in the ledger's header.
        """
        warmed: list[InitialWeights] = []
        self.measure([[rows]], lambda *_: warmed.append(InitialWeights(self.trainer.model)))
        self.origin, self._warmed_on = warmed[0], content
        with self._at_work():
            pass  # which leaves the model at θ₀

    def trainable(self, rows: IntVector) -> BoolVector:
        """Which rows have a token left to learn within the maximum length.

        Args:
            rows: Row ids, ``(n,)``.

        Returns:
            ``(n,)``.
        """
        return np.array([tokens.n_learned > 0 for tokens in self.rows.tokens(rows)], dtype=np.bool_)

    def n_tokens(self, rows: IntVector) -> int:
        """How many tokens training on some rows goes through, prompts included, over all epochs.

        Args:
            rows: Row ids, ``(n,)``.

        Returns:
            The number of tokens.
        """
        lengths = [len(tokens.ids) for tokens in self.rows.tokens(rows)]
        return int(sum(lengths) * np.ceil(self.trainer.args.num_train_epochs))

    def flops(self, tokens: float, n_outcomes: int) -> float:
        """Floating-point operations of training and evaluating.

        They are four for every parameter and token trained, whose weights are frozen, and two for every one read.

        Args:
            tokens: How many tokens training goes through.
            n_outcomes: How many outcomes are measured.

        Returns:
            The number of operations.
        """
        return float(self._n_parameters * (4 * tokens + 2 * self.evaluation.n_tokens * n_outcomes))

    def describe(self) -> dict[str, Any]:
        """What determines an outcome besides the rows: for the ledger's header."""
        rows = self.rows.dataset if isinstance(self.rows, PreparedRows) else None
        header = header_of(self.trainer, self._start, self._warmed_on, self.evaluation, rows)
        return {**header, **masks_entry(self.rows, self.evaluation.items)}

    def aligned(self, pool: Pool) -> "TrainerUtility":
        """The same utility with the pool's row ids.

        Args:
            pool: The rows that coalitions are made of.

        Returns:
            A utility with the same trainer, whose row ids are the pool's.

        Raises:
            InputError: Where rows of the pool are not among the trainer's, or nothing tells which is which.
        """
        if isinstance(self.rows, TokenizedRows):
            if self.rows.pool.digest != pool.digest:
                raise InputError(
                    "the utility was bound to another dataset than the one that is curated; pass FineTune(…) itself"
                )
            return self
        with self.isolation:
            places = places_in_trainer(self.trainer, self.trainer.train_dataset, pool)
        dropped = int((places == DROPPED).sum() - pool.invalid.sum())
        if dropped:
            warn(
                f"{dropped} of {len(pool)} rows of the dataset were dropped by the trainer's preparation, since no "
                f"token of them is learned within max_length={self.trainer.args.max_length}; they take no part",
            )
        alike = copy.copy(self)
        alike.rows = PreparedRows(self.trainer.train_dataset, places)
        return alike

    def _measure_untrained(self, sequences: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        for number, sequence in enumerate(sequences):
            if not len(sequence[0]):
                outcome, extra_metrics = AutocastEvaluation(self.trainer, self.evaluation).measure(self.trainer.model)
                record(number, 0, outcome, extra_metrics)

    def _measure_batched(self, sequences: Sequence[TrainingSequence], record: OutcomeCallback) -> set[int]:
        """Measure those sequences that can be trained side by side; returns their numbers."""
        if self._max_batched_coalitions == 1:
            return set()
        n_batched = batched_coalitions.coalitions_at_once(self, sequences, self.coalitions_per_batch)
        return batched_coalitions.measure(self, sequences, record, n_batched) if n_batched > 1 else set()

    def _train(self, sequences: Sequence[TrainingSequence], record: OutcomeCallback, done: set[int]) -> None:
        numbers = [number for number, sequence in enumerate(sequences) if len(sequence[0]) and number not in done]
        if not numbers:
            return

        def renumbered(sequence: int, block: int, outcome: FloatVector, extra_metrics: Mapping[str, float]) -> None:
            record(numbers[sequence], block, outcome, extra_metrics)

        self.steps.by_length = self.by_length
        measured_within_memory(
            self.trainer,
            self.rows,
            [sequences[number] for number in numbers],
            AutocastEvaluation(self.trainer, self.evaluation),
            renumbered,
            self.origin,
            self.steps,
        )


def warn_of_old_name() -> None:
    """Warn that ``coalitions_abreast`` is called ``coalitions_per_batch`` now."""
    warn("coalitions_abreast= is called coalitions_per_batch= now; pass that", FutureWarning)
