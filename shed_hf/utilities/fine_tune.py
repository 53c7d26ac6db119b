"""The value function: LoRA fine-tuning by TRL's `SFTTrainer`, measured by `ProxyValueCallback`."""

import contextlib
import copy
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
)
from trl import SFTConfig, SFTTrainer

from shed_hf.arrays import BoolVector, FloatMatrix, FloatVector, IntVector, Walk
from shed_hf.callbacks import Origin
from shed_hf.distributed import AcceleratorSandbox, one_model_for_all
from shed_hf.errors import InputError
from shed_hf.formats import Example
from shed_hf.game import Record
from shed_hf.naming import stable_name
from shed_hf.objectives import Objective, objective_from
from shed_hf.pool import Pool
from shed_hf.rendering import IGNORED, check_tokenizer
from shed_hf.utilities import abreast
from shed_hf.utilities.credit import creditable, credits_of
from shed_hf.utilities.evaluation import Evaluation
from shed_hf.utilities.identity import items_digest, tokenizer_digest, weights_digest
from shed_hf.utilities.lean import LeanSFTTrainer
from shed_hf.utilities.memory import MicroBatches, measured_within_memory
from shed_hf.utilities.row_features import features_of
from shed_hf.utilities.settings import (
    check_unpacked,
    default_args,
    default_peft_config,
    float32_as_asked,
    frozen_garbage,
    measuring,
    quiet_loading,
    undisturbed_random_numbers,
)
from shed_hf.utilities.tokenised_rows import TokenisedRows

DEFAULT_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"


@dataclass(frozen=True)
class FineTune:
    """Fine-tunes ``model`` on the rows of a coalition and measures ``objective`` on the evaluation items.

    ``model`` is a Hub id, a path or a loaded causal language model; ``tokenizer`` is found by the model's name unless
    given. ``args`` and ``peft_config`` are TRL's and peft's own; the defaults are one epoch at learning rate 1e-3, 8
    rows a step, LoRA of rank 8 on all linear layers. With ``bind`` it becomes the utility of one pool and one
    evaluation set.

    Among several processes each fine-tunes coalitions of its own; with ``lockstep`` all train one model together, which
    is the choice where the launch spreads a model over them (FSDP, DeepSpeed). ``coalitions_abreast`` is how many a
    device trains side by side; ``"auto"``: as many as a GPU's memory has room for, one on a CPU.
    """

    model: str | os.PathLike[str] | PreTrainedModel = DEFAULT_MODEL
    objective: str | Objective | None = None
    tokenizer: PreTrainedTokenizerBase | None = field(default=None, repr=False)
    args: SFTConfig | None = field(default=None, repr=False)
    peft_config: LoraConfig | None = field(default=None, repr=False)
    lockstep: bool | None = field(default=None, repr=False)
    coalitions_abreast: abreast.Wanted = field(default="auto", repr=False)

    def bind(self, pool: Pool, items: Sequence[Example], seed: int) -> "TrainerUtility":
        """Load the model, attach the adapter, tokenise the items, once. Raises `InputError` for what cannot be used."""
        with undisturbed_random_numbers(), quiet_loading():
            together = one_model_for_all() if self.lockstep is None else self.lockstep
            sandbox = AcceleratorSandbox(together)
            with sandbox:
                return self._bind(pool, items, seed, sandbox)

    def _bind(self, pool: Pool, items: Sequence[Example], seed: int, sandbox: AcceleratorSandbox) -> "TrainerUtility":
        folder = tempfile.TemporaryDirectory(prefix="shed_hf_")
        args = measuring(self.args or default_args(), folder.name, seed)
        sandbox.settle(args)
        torch.manual_seed(args.seed)
        model, tokenizer = self._load()
        check_tokenizer(tokenizer)
        null_row = Dataset.from_dict({"input_ids": [[0, 0]], "labels": [[IGNORED, 0]]})
        trainer = LeanSFTTrainer(
            model=model,
            args=args,
            train_dataset=null_row,
            processing_class=tokenizer,
            peft_config=None if hasattr(model, "peft_config") else self.peft_config or default_peft_config(),
        )
        trainer.remove_callback(PrinterCallback)
        max_length = args.max_length or int(1e9)
        evaluation = Evaluation(items, objective_from(self.objective, items), tokenizer, max_length, seed)
        rows = TokenisedRows(pool, tokenizer, max_length)
        utility = TrainerUtility(trainer, evaluation, rows, sandbox, self.coalitions_abreast)
        utility.folder = folder
        return utility

    def _load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        if not isinstance(self.model, str | os.PathLike | PreTrainedModel | PeftModel):
            raise InputError(
                f"model is a {type(self.model).__name__}; pass a Hub id, a path or a causal language model"
            )
        if isinstance(self.model, PreTrainedModel | PeftModel):
            model, name = copy.deepcopy(self.model), self.model.config.name_or_path
        else:
            model, name = _pretrained(str(self.model)), str(self.model)
        if self.tokenizer is None and not name:
            raise InputError(
                "the model has no name to find its tokenizer by; pass utility=FineTune(model, tokenizer=…)"
            )
        return model, self.tokenizer or AutoTokenizer.from_pretrained(name)


class TrainerUtility:
    """A utility measured by an `SFTTrainer`: `FineTune`'s, or one of the user's own.

    With a trainer of one's own, row ids are rows of its prepared ``train_dataset``, so nothing may have been dropped or
    packed in preparation; the trainer's model, arguments, optimizer and loss are used as they are, and coalitions
    trained one after another unless ``coalitions_abreast`` says otherwise.
    """

    def __init__(
        self,
        trainer: SFTTrainer,
        evaluation: Evaluation,
        rows: TokenisedRows | None = None,
        sandbox: AcceleratorSandbox | None = None,
        coalitions_abreast: abreast.Wanted = 1,
    ) -> None:
        check_unpacked(trainer.args)
        abreast.check_wanted(coalitions_abreast)
        self.trainer, self.evaluation, self.rows = trainer, evaluation, rows
        self.sandbox = sandbox or contextlib.nullcontext()
        self.lockstep = trainer.accelerator.num_processes > 1 if sandbox is None else sandbox.lockstep
        self.origin, self.steps = Origin(trainer.model), MicroBatches()
        self.coalitions_abreast = coalitions_abreast
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

    def measure(self, walks: Sequence[Walk], record: Record) -> None:
        """Train every walk from θ₀ in one run, reporting each outcome; a walk without rows is the untouched model."""
        if self.rows is not None:
            self.rows.warn_of_cuts()
        with self.sandbox, undisturbed_random_numbers(), float32_as_asked(self.trainer.args.tf32):
            try:
                self._measure_untrained(walks, record)
                self._train(walks, record, self._measure_abreast(walks, record))
            finally:
                self.origin.restore(self.trainer.optimizer)

    @property
    def at_once(self) -> int:
        """How many coalitions this device trains side by side at most."""
        return 1 if self._lone else abreast.most_lanes(self, self.coalitions_abreast)

    @property
    def told_of_lanes(self) -> str:
        """That coalitions are trained side by side, or why not though it was wanted; empty where neither is so."""
        if self._lone:
            return f"coalitions are trained one at a time: {self._lone}"
        return "" if self.at_once == 1 else f"coalitions are trained abreast, up to {self.at_once} on a device"

    @cached_property
    def _lone(self) -> str:
        """Why coalitions cannot be trained side by side; empty where they can, or need not."""
        if abreast.most_lanes(self, self.coalitions_abreast) == 1:
            return ""
        with self.sandbox, undisturbed_random_numbers():
            return abreast.reason_against(self) or ""

    def warm_up(self, rows: IntVector, content: str) -> None:
        """Make θ₀ the model after training on ``rows``, whose content is named ``content`` in the ledger's header."""
        warmed: list[Origin] = []
        self.measure([[rows]], lambda *_: warmed.append(Origin(self.trainer.model)))
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
        precision = float32_as_asked(self.trainer.args.tf32)
        with self.sandbox, undisturbed_random_numbers(), precision, self.trainer.accelerator.autocast():
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
        precision = float32_as_asked(self.trainer.args.tf32)
        with self.sandbox, undisturbed_random_numbers(), precision, frozen_garbage():
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

    def _measure_untrained(self, walks: Sequence[Walk], record: Record) -> None:
        for number, walk in enumerate(walks):
            if not len(walk[0]):
                outcome, beside = _Autocast(self.trainer, self.evaluation).measure(self.trainer.model)
                record(number, 0, outcome, beside)

    def _measure_abreast(self, walks: Sequence[Walk], record: Record) -> set[int]:
        """Measure those walks that can be trained side by side; returns their numbers."""
        if self.at_once == 1:
            return set()
        lanes = abreast.lanes(self, walks, self.coalitions_abreast)
        return abreast.measure(self, walks, record, lanes) if lanes > 1 else set()

    def _train(self, walks: Sequence[Walk], record: Record, done: set[int]) -> None:
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


class _Autocast:
    """Evaluates with the precision that the trainer trains in."""

    def __init__(self, trainer: SFTTrainer, evaluation: Evaluation) -> None:
        self.trainer, self.evaluation = trainer, evaluation

    def measure(self, model: PreTrainedModel) -> tuple[Any, dict[str, float]]:
        with self.trainer.accelerator.autocast():
            return self.evaluation.measure(model)


def _pretrained(name: str) -> PreTrainedModel:
    try:
        return AutoModelForCausalLM.from_pretrained(name)
    except OSError as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(
            f"model={name!r} could not be loaded ({first}); pass a Hub id that can be reached, or a folder with a model"
        ) from error


_TRAINING_FIELDS = (
    "learning_rate", "num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps",
    "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "weight_decay", "max_grad_norm", "optim", "loss_type",
    "max_length", "bf16", "fp16", "seed",
)  # fmt: skip
