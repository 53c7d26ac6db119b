"""What a trainer's model makes of single rows: features under θ₀, and credits from a training run."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from trl import SFTTrainer

from shed_hf.data.formats import Example
from shed_hf.errors import InputError
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.objectives import LikelihoodObjective
from shed_hf.finetuning.checkpoint_credit import credits_per_item
from shed_hf.finetuning.gradient_credit import creditable, credits_of, credits_per_item_along
from shed_hf.finetuning.hidden_states import hidden_states_of_examples, hidden_states_of_rows
from shed_hf.finetuning.isolation import Isolation
from shed_hf.finetuning.row_losses import features_of
from shed_hf.finetuning.schedule import ByLength
from shed_hf.finetuning.session import InitialWeights, RowSource
from shed_hf.finetuning.trainer_settings import gc_frozen, matmul_precision, without_bars
from shed_hf.types import EmbeddingMatrix, FloatMatrix, FloatVector, IntVector
from shed_hf.utils.progress import progress
from shed_hf.utils.quiet import only_own_output


class MeasuresRows(ABC):
    """A training session that measures single rows.

    Attributes:
        trainer: The trainer.
        evaluation: What is measured.
        rows: The rows by id.
        origin: θ₀.
        isolation: What keeps the trainer apart from the rest of the process.
        lockstep: Whether ranks train one model together.
    """

    trainer: SFTTrainer
    evaluation: Evaluation
    rows: RowSource
    origin: InitialWeights
    isolation: Isolation
    lockstep: bool

    @property
    @abstractmethod
    def by_length(self) -> ByLength | None:
        """How the rows of a step are grouped by length; None where they are not."""

    @abstractmethod
    def n_tokens(self, rows: IntVector) -> int:
        """How many tokens training on some rows goes through.

        Args:
            rows: Row ids, ``(n,)``.

        Returns:
            The number of tokens over all epochs.
        """

    def row_features(self, rows: IntVector) -> FloatMatrix:
        """Loss, unconditional loss (nats a token) and log length of rows' completions under θ₀.

        Args:
            rows: Row ids, ``(n,)``.

        Returns:
            ``(n, 3)``.

        Raises:
            InputError: Where ranks train one model in lockstep: none has all of it.
        """
        self._check_whole("features")
        with self._at_work(), self.trainer.accelerator.autocast():
            return features_of(self, rows)

    def hidden_states(self, rows: IntVector) -> EmbeddingMatrix:
        """Vectors of rows by the model at θ₀; see `shed_hf.finetuning.hidden_states`.

        Args:
            rows: Row ids, ``(n,)``.

        Returns:
            ``(n, d)``, of length 1.

        Raises:
            InputError: Where ranks train one model in lockstep: none has all of it.
        """
        self._check_whole("hidden states")
        with self._at_work(), self.trainer.accelerator.autocast(), progress("hidden states of rows"):
            return hidden_states_of_rows(self, rows)

    def hidden_states_of(self, examples: Sequence[Example]) -> EmbeddingMatrix:
        """Vectors of examples that are no rows, such as evaluation items, as `hidden_states` gives them of rows.

        Args:
            examples: n of them.

        Returns:
            ``(n, d)``, of length 1.

        Raises:
            InputError: Where ranks train one model in lockstep: none has all of it.
        """
        self._check_whole("hidden states")
        with self._at_work(), self.trainer.accelerator.autocast():
            return hidden_states_of_examples(self, examples)

    def compares_candidates(self) -> bool:
        """Whether an outcome compares candidates of its item: its options, or other items' completions."""
        if not isinstance(self.evaluation.objective, LikelihoodObjective):
            return False
        return any(len(candidates) > 1 for candidates in self.evaluation.candidate_groups)

    def can_credit(self) -> bool:
        """Whether objective, model and training allow for `credit`."""
        with self.isolation:
            return not self.lockstep and creditable(self)

    def credit(self, rows: IntVector, *, adam: bool = True, every: int | None = None) -> FloatVector:
        """What each row does for the mean outcome in one training run, to first order; see `gradient_credit`.

        Args:
            rows: Row ids in the order they are trained in, ``(n_rows,)``.
            adam: Whether to divide as Adam does.
            every: Every how many steps the evaluation's gradient is taken; by default for a tenth of the run's cost.

        Returns:
            ``(n_rows,)``, in units of the utility.

        Raises:
            InputError: Where ranks train one model in lockstep, or objective or model allow for no credit.
        """
        self._check_whole("credit")
        with self._at_work(), gc_frozen(), progress("crediting rows"):
            return credits_of(self, rows, adam, every)

    def credit_per_item(
        self, rows: IntVector, *, adam: bool = True, in_run: bool = False, every: int | None = None
    ) -> FloatMatrix:
        """What each row does for each evaluation item, to first order; see `gradient_credit`.

        All rows are credited at one checkpoint, the end of one training run over them, so that credits do not depend
        on where a row stands in the run.

        Args:
            rows: Row ids in the order they are trained in, ``(n_rows,)``.
            adam: Whether to divide as Adam does.
            in_run: Credit the rows along the run instead; the mean over items is then that of `credit`.
            every: With ``in_run``, every how many steps the items' gradients are taken, as in `credit`.

        Returns:
            ``(n_rows, n_items)``, in units of the outcomes.

        Raises:
            InputError: Where ranks train one model in lockstep, or objective or model allow for no credit.
        """
        self._check_whole("credit")
        with self._at_work(), gc_frozen(), progress("crediting rows"):
            if in_run:
                return credits_per_item_along(self, rows, adam, every)
            return credits_per_item(self, rows, adam)

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        """Within, the trainer has the process to itself, and its model is at θ₀ before and after."""
        with self.isolation, only_own_output(), matmul_precision(self.trainer.args.tf32), without_bars(self.trainer):
            self.origin.restore(self.trainer.optimizer)
            training = self.trainer.model.training
            try:
                yield
            finally:
                self.origin.restore(self.trainer.optimizer)
                self.trainer.model.train(training)

    def _check_whole(self, wanted: str) -> None:
        if self.lockstep:
            raise InputError(
                f"{wanted} of rows need the whole model on one rank, and the ranks train one model in lockstep; pass "
                "merit=None, features=None and a sampler that needs none, or FineTune(lockstep=False) where the model "
                "fits one device"
            )
