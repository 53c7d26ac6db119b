"""The value function: LoRA fine-tuning by TRL's `SFTTrainer`, measured by `ProxyValueCallback`."""

import contextlib
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from transformers import PreTrainedModel
from trl import SFTTrainer

from shed_hf.data.tokenization import IGNORED
from shed_hf.distributed.accelerate_state import AcceleratorSandbox
from shed_hf.errors import InputError
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.finetuning import batched_coalitions as abreast
from shed_hf.finetuning.digests import items_digest, tokenizer_digest, weights_digest
from shed_hf.finetuning.gradient_credit import creditable, credits_of
from shed_hf.finetuning.micro_batches import MicroBatches, measured_within_memory
from shed_hf.finetuning.row_losses import features_of
from shed_hf.finetuning.session import InitialWeights
from shed_hf.finetuning.tokenized_rows import TokenizedRows
from shed_hf.finetuning.trainer_settings import check_unpacked, gc_frozen, matmul_precision, preserved_rng_state
from shed_hf.game.utility import Concurrency, OutcomeCallback
from shed_hf.types import BoolVector, FloatMatrix, FloatVector, IntVector, TrainingSequence
from shed_hf.utils.naming import stable_name


class TrainerUtility:
    """A utility measured by an `SFTTrainer`: `FineTune`'s, or one of the user's own.

    With a trainer of one's own, row ids are rows of its prepared ``train_dataset``, so nothing may have been dropped or
    packed in preparation; the trainer's model, arguments, optimizer and loss are used as they are, and coalitions
    trained one after another unless ``coalitions_per_batch`` says otherwise.
    """

    def __init__(
        self,
        trainer: SFTTrainer,
        evaluation: Evaluation,
        rows: TokenizedRows | None = None,
        sandbox: AcceleratorSandbox | None = None,
        coalitions_per_batch: abreast.Wanted = 1,
        *,
        coalitions_abreast: abreast.Wanted | None = None,
    ) -> None:
        if coalitions_abreast is not None:
            warn_of_old_name()
            coalitions_per_batch = coalitions_abreast
        check_unpacked(trainer.args)
        abreast.check_wanted(coalitions_per_batch)
        self.trainer, self.evaluation, self.rows = trainer, evaluation, rows
        self.sandbox = sandbox or contextlib.nullcontext()
        self.lockstep = trainer.accelerator.num_processes > 1 if sandbox is None else sandbox.lockstep
        self.origin, self.steps = InitialWeights(trainer.model), MicroBatches()
        self.coalitions_per_batch = coalitions_per_batch
        self.folder: tempfile.TemporaryDirectory[str] | None = None
        self._weights = weights_digest(trainer.model)
        self._warmed_on = ""

    def __call__(self, row_sets: Sequence[IntVector]) -> FloatMatrix:
        """The outcomes of row sets, ``(m, n_items)``."""
        outcomes = np.zeros((len(row_sets), len(self.evaluation.items)))

        def record(walk: int, _block: int, outcome: FloatVector, _beside: Mapping[str, float]) -> None:
            outcomes[walk] = outcome

        self.measure([[np.asarray(rows, dtype=np.int64)] for rows in row_sets], record)
        return outcomes

    def measure(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        """Train every walk from θ₀ in one run, reporting each outcome; a walk without rows is the untouched model."""
        if self.rows is not None:
            self.rows.warn_of_cuts()
        with self.sandbox, preserved_rng_state(), matmul_precision(self.trainer.args.tf32):
            try:
                self._measure_untrained(walks, record)
                self._train(walks, record, self._measure_abreast(walks, record))
            finally:
                self.origin.restore(self.trainer.optimizer)

    def concurrency(self) -> Concurrency:
        """How several coalitions are measured: in lockstep by all ranks, or a few in one batch on each."""
        most = self._max_batched_coalitions
        note = f"coalitions are trained abreast, up to {most} on a device" if most > 1 else ""
        if self._why_not_batched:
            note = f"coalitions are trained one at a time: {self._why_not_batched}"
        return Concurrency(self.lockstep, most, note)

    @property
    def _max_batched_coalitions(self) -> int:
        return 1 if self._why_not_batched else abreast.most_lanes(self, self.coalitions_per_batch)

    @cached_property
    def _why_not_batched(self) -> str:
        """Why coalitions cannot be trained side by side; empty where they can, or need not."""
        if abreast.most_lanes(self, self.coalitions_per_batch) == 1:
            return ""
        with self.sandbox, preserved_rng_state():
            return abreast.why_not_batched(self) or ""

    def warm_up(self, rows: IntVector, content: str) -> None:
        """Make θ₀ the model after training on ``rows``, whose content is named ``content`` in the ledger's header."""
        warmed: list[InitialWeights] = []
        self.measure([[rows]], lambda *_: warmed.append(InitialWeights(self.trainer.model)))
        self.origin, self._warmed_on = warmed[0], content
        self.origin.restore(self.trainer.optimizer)

    def trainable(self, rows: IntVector) -> BoolVector:
        """Which rows have a token left to learn within the maximum length."""
        if self.rows is None:
            return np.array(
                [any(label != IGNORED for label in self._labels(int(row))[1:]) for row in rows], dtype=np.bool_
            )
        return np.array([tokens.n_learned > 0 for tokens in self.rows.tokens(rows)], dtype=np.bool_)

    def n_tokens(self, rows: IntVector) -> int:
        """How many tokens these rows have together, prompts included, times the epochs they are gone through."""
        lengths = (
            [len(self._labels(int(row))) for row in rows]
            if self.rows is None
            else [len(tokens.ids) for tokens in self.rows.tokens(rows)]
        )
        return int(sum(lengths) * np.ceil(self.trainer.args.num_train_epochs))

    def row_features(self, rows: IntVector) -> FloatMatrix:
        """Loss, unconditional loss (nats a token) and log length of these rows' completions under θ₀, ``(n, 3)``.

        Raises `InputError` where ranks train one model in lockstep: none has all of it.
        """
        self._check_whole("features")
        precision = matmul_precision(self.trainer.args.tf32)
        with self.sandbox, preserved_rng_state(), precision, self.trainer.accelerator.autocast():
            self.origin.restore(self.trainer.optimizer)
            return features_of(self, rows)

    def can_credit(self) -> bool:
        """Whether `credit` can be had of this objective, model and training."""
        return not self.lockstep and creditable(self)

    def credit(self, rows: IntVector, *, adam: bool = True, every: int | None = None) -> FloatVector:
        """What each row does for the mean outcome in one run over ``rows`` in order, to first order, ``(n_rows,)``.

        ``adam`` divides as Adam does; ∇U is taken anew every ``every`` steps, by default for a tenth of the run's cost.
        Raises `InputError` where ranks train one model in lockstep.
        """
        self._check_whole("credit")
        precision = matmul_precision(self.trainer.args.tf32)
        with self.sandbox, preserved_rng_state(), precision, gc_frozen():
            try:
                return credits_of(self, rows, adam, every)
            finally:
                self.origin.restore(self.trainer.optimizer)

    def flops(self, tokens: float, n_outcomes: int) -> float:
        """Floating-point operations of training on ``tokens`` and evaluating ``n_outcomes`` times: four for every
        parameter and token trained, whose weights are frozen, two for every one read.
        """
        parameters = sum(parameter.numel() for parameter in self.trainer.model.parameters())
        return float(parameters * (4 * tokens + 2 * self.evaluation.n_tokens * n_outcomes))

    def describe(self) -> dict[str, Any]:
        """What determines an outcome besides the rows: for the ledger's header."""
        args = self.trainer.args
        training = {name: getattr(args, name) for name in _TRAINING_FIELDS}
        return {
            "utility": "fine-tune",
            "model": self.trainer.model.config.name_or_path or "unnamed",
            "weights": self._weights,
            "warmed up on": self._warmed_on,
            "tokenizer": tokenizer_digest(self.evaluation.tokenizer),
            "training": {
                name: str(value) if not isinstance(value, int | float) else value for name, value in training.items()
            },
            "objective": stable_name(self.evaluation.objective),
            "evaluation": items_digest(self.evaluation.items),
        }

    def _check_whole(self, wanted: str) -> None:
        if self.lockstep:
            raise InputError(
                f"{wanted} of rows need the whole model on one rank, and the ranks train one model in lockstep; pass "
                "merit=None and features=None, or FineTune(lockstep=False) where the model fits one device"
            )

    def _labels(self, row: int) -> Sequence[int]:
        features: Mapping[str, Any] = self.trainer.train_dataset[row]
        return list(features.get("labels", features["input_ids"]))

    def _measure_untrained(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        for number, walk in enumerate(walks):
            if not len(walk[0]):
                outcome, beside = _Autocast(self.trainer, self.evaluation).measure(self.trainer.model)
                record(number, 0, outcome, beside)

    def _measure_abreast(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> set[int]:
        """Measure those walks that can be trained side by side; returns their numbers."""
        if self._max_batched_coalitions == 1:
            return set()
        lanes = abreast.lanes(self, walks, self.coalitions_per_batch)
        return abreast.measure(self, walks, record, lanes) if lanes > 1 else set()

    def _train(self, walks: Sequence[TrainingSequence], record: OutcomeCallback, done: set[int]) -> None:
        numbers = [number for number, walk in enumerate(walks) if len(walk[0]) and number not in done]
        if not numbers:
            return

        def renumbered(walk: int, block: int, outcome: FloatVector, beside: Mapping[str, float]) -> None:
            record(numbers[walk], block, outcome, beside)

        measured_within_memory(
            self.trainer,
            self.trainer.train_dataset if self.rows is None else self.rows,
            [walks[number] for number in numbers],
            _Autocast(self.trainer, self.evaluation),
            renumbered,
            self.origin,
            self.steps,
        )


def warn_of_old_name() -> None:
    """Warn that ``coalitions_abreast`` is called ``coalitions_per_batch`` now."""
    warnings.warn("coalitions_abreast= is called coalitions_per_batch= now; pass that", FutureWarning, stacklevel=4)


class _Autocast:
    """Evaluates with the precision that the trainer trains in."""

    def __init__(self, trainer: SFTTrainer, evaluation: Evaluation) -> None:
        self.trainer, self.evaluation = trainer, evaluation

    def measure(self, model: PreTrainedModel) -> tuple[Any, dict[str, float]]:
        with self.trainer.accelerator.autocast():
            return self.evaluation.measure(model)


_TRAINING_FIELDS = (
    "learning_rate", "num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps",
    "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "weight_decay", "max_grad_norm", "optim", "loss_type",
    "max_length", "bf16", "fp16", "seed",
)  # fmt: skip
