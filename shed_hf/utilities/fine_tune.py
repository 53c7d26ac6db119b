"""The value function: LoRA fine-tuning by TRL's `SFTTrainer`, measured by `ProxyValueCallback`."""

import contextlib
import copy
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from shed_hf.callbacks import Origin, ProxyValueCallback
from shed_hf.distributed import AcceleratorSandbox, check_single_process
from shed_hf.errors import InputError
from shed_hf.formats import Example
from shed_hf.game import Record
from shed_hf.naming import stable_name
from shed_hf.objectives import Objective, objective_from
from shed_hf.pool import Pool
from shed_hf.rendering import IGNORED, Tokens, check_tokenizer, tokenise, warn_of_cuts
from shed_hf.utilities.credit import creditable, credits_of
from shed_hf.utilities.evaluation import Evaluation
from shed_hf.utilities.identity import items_digest, tokenizer_digest, weights_digest
from shed_hf.utilities.lean import LeanSFTTrainer
from shed_hf.utilities.row_features import features_of
from shed_hf.utilities.settings import (
    check_unpacked,
    default_args,
    default_peft_config,
    frozen_garbage,
    measuring,
    quiet_loading,
    undisturbed_random_numbers,
)

DEFAULT_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"


@dataclass(frozen=True)
class FineTune:
    """Fine-tunes ``model`` on the rows of a coalition and measures ``objective`` on the evaluation items.

    ``model`` is a Hub id, a path or a loaded causal language model; ``tokenizer`` is found by the model's name unless
    given. ``args`` and ``peft_config`` are TRL's and peft's own; the defaults are one epoch at learning rate 1e-3, 8
    rows a step, LoRA of rank 8 on all linear layers. With ``bind`` it becomes the utility of one pool and one
    evaluation set.
    """

    model: str | os.PathLike[str] | PreTrainedModel = DEFAULT_MODEL
    objective: str | Objective | None = None
    tokenizer: PreTrainedTokenizerBase | None = field(default=None, repr=False)
    args: SFTConfig | None = field(default=None, repr=False)
    peft_config: LoraConfig | None = field(default=None, repr=False)

    def bind(self, pool: Pool, items: Sequence[Example], seed: int) -> "TrainerUtility":
        """Load the model, attach the adapter, tokenise the items, once. Raises `InputError` for what cannot be used."""
        check_single_process()
        with undisturbed_random_numbers(), quiet_loading():
            sandbox = AcceleratorSandbox()
            with sandbox:
                return self._bind(pool, items, seed, sandbox)

    def _bind(self, pool: Pool, items: Sequence[Example], seed: int, sandbox: AcceleratorSandbox) -> "TrainerUtility":
        folder = tempfile.TemporaryDirectory(prefix="shed_hf_")
        args = measuring(self.args or default_args(), folder.name, seed)
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
        utility = TrainerUtility(trainer, evaluation, TokenisedRows(pool, tokenizer, max_length), sandbox)
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


class TokenisedRows:
    """The rows of a pool as features for a trainer, each tokenised once, when first asked for."""

    def __init__(self, pool: Pool, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        self.pool, self.tokenizer, self.max_length = pool, tokenizer, max_length
        self._tokens: dict[int, Tokens] = {}
        self._warned = False

    def __getitem__(self, row: int) -> dict[str, list[int]]:
        tokens = self.tokens(np.array([row]))[0]
        return {"input_ids": tokens.ids.tolist(), "labels": tokens.labels.tolist()}

    def tokens(self, rows: IntVector) -> list[Tokens]:
        """The tokens of these rows."""
        new = [int(row) for row in rows if int(row) not in self._tokens]
        if new:
            tokens = tokenise(self.pool.examples(new), self.tokenizer, self.max_length)
            self._tokens.update(zip(new, tokens, strict=True))
        return [self._tokens[int(row)] for row in rows]

    def warn_of_cuts(self) -> None:
        """One warning, the first time, that counts the rows cut so far."""
        if not self._warned:
            warn_of_cuts(list(self._tokens.values()), self.max_length, "rows looked at as proxies")
            self._warned = True


class TrainerUtility:
    """A utility measured by an `SFTTrainer`: `FineTune`'s, or one of the user's own.

    With a trainer of one's own, row ids are rows of its prepared ``train_dataset``, so nothing may have been dropped or
    packed in preparation; the trainer's model, arguments, optimizer and loss are used as they are.
    """

    def __init__(
        self,
        trainer: SFTTrainer,
        evaluation: Evaluation,
        rows: TokenisedRows | None = None,
        sandbox: AcceleratorSandbox | None = None,
    ) -> None:
        check_unpacked(trainer.args)
        self.trainer, self.evaluation, self.rows = trainer, evaluation, rows
        self.sandbox = sandbox or contextlib.nullcontext()
        self.origin = Origin(trainer.model)
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
        with self.sandbox, undisturbed_random_numbers():
            try:
                self._measure_untrained(walks, record)
                self._train(walks, record)
            finally:
                self.origin.restore(self.trainer.optimizer)

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
        """Loss, unconditional loss (nats a token) and log length of these rows' completions under θ₀, ``(n, 3)``."""
        with self.sandbox, undisturbed_random_numbers(), self.trainer.accelerator.autocast():
            self.origin.restore(self.trainer.optimizer)
            return features_of(self, rows)

    def can_credit(self) -> bool:
        """Whether `credit` can be had of this objective, model and training."""
        return creditable(self)

    def credit(self, rows: IntVector, *, adam: bool = True, every: int | None = None) -> FloatVector:
        """What each row does for the mean outcome in one run over ``rows`` in order, to first order, ``(n_rows,)``.

        ``adam`` divides as Adam does; ∇U is taken anew every ``every`` steps, by default for a tenth of the run's cost.
        """
        with self.sandbox, undisturbed_random_numbers(), frozen_garbage():
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

    def _labels(self, row: int) -> Sequence[int]:
        features: Mapping[str, Any] = self.trainer.train_dataset[row]
        return list(features.get("labels", features["input_ids"]))

    def _measure_untrained(self, walks: Sequence[Walk], record: Record) -> None:
        for number, walk in enumerate(walks):
            if not len(walk[0]):
                outcome, beside = _Autocast(self.trainer, self.evaluation).measure(self.trainer.model)
                record(number, 0, outcome, beside)

    def _train(self, walks: Sequence[Walk], record: Record) -> None:
        numbers = [number for number, walk in enumerate(walks) if len(walk[0])]
        if not numbers:
            return

        def renumbered(walk: int, block: int, outcome: FloatVector, beside: Mapping[str, float]) -> None:
            record(numbers[walk], block, outcome, beside)

        callback = ProxyValueCallback.of_walks(
            [walks[number] for number in numbers], _Autocast(self.trainer, self.evaluation), renumbered, self.origin
        )
        callback.attach(self.trainer, self.rows)
        try:
            with frozen_garbage():
                self.trainer.train()
        finally:
            callback.detach(self.trainer)


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
