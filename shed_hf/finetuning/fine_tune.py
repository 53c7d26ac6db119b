"""`FineTune`: the usual utility, LoRA fine-tuning of one model on the rows of a coalition."""

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftConfig, PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl import SFTConfig

from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool
from shed_hf.data.tokenization import IGNORED, check_tokenizer, screen
from shed_hf.distributed.accelerate_state import AcceleratorSandbox
from shed_hf.distributed.launch import one_model_for_all
from shed_hf.errors import InputError
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.objectives import Objective
from shed_hf.evaluation.registry import objective_from
from shed_hf.finetuning.adapter_fit import naming_the_adapter
from shed_hf.finetuning.batched_coalitions import Wanted
from shed_hf.finetuning.borrowed_model import BorrowedModel
from shed_hf.finetuning.given_args import GivenArgs, argument, in_full, say_precision
from shed_hf.finetuning.isolation import Isolation
from shed_hf.finetuning.known_models import (
    DEFAULT_MODEL,
    SHORT_NAMES,
    check_reachable,
    init_kwargs_of,
    not_loaded,
    resolve_model,
)
from shed_hf.finetuning.precision import PRECISIONS, choose, outline_of, precision_in_header
from shed_hf.finetuning.sft_trainer import LearnedTokensSFTTrainer
from shed_hf.finetuning.tokenized_rows import TokenizedRows
from shed_hf.finetuning.trainer_settings import (
    default_learning_rate,
    default_peft_config,
    measuring,
)
from shed_hf.finetuning.trainer_utility import TrainerUtility, warn_of_old_name
from shed_hf.finetuning.training_arguments import check_fine_tune
from shed_hf.game.execution import Precision
from shed_hf.utils.checks import is_finite_number
from shed_hf.utils.nearest import unknown_name
from shed_hf.utils.progress import progress
from shed_hf.utils.quiet import only_own_output
from shed_hf.utils.temporary_folder import TemporaryFolder

_OF_FILES = {"cache_dir", "local_files_only", "revision", "token", "trust_remote_code"}
"""What says where a model's files are, and so where its tokenizer's are."""


@dataclass(frozen=True)
class FineTune:
    """Fine-tunes a model on the rows of a coalition and measures an objective on the evaluation items.

    With `bind` it becomes the utility of one pool and one evaluation set. Among several processes each fine-tunes
    coalitions of its own, unless ``lockstep`` says otherwise. In one process one utility trains at a time.

    A model that is loaded already is trained in place, without a copy of its weights: the adapter is on it while the
    utility measures, and whenever no call of the utility is under way the model is what it was, to its last attribute.
    Two cases work on a copy: a launch that spreads the model over its processes, and adapters such as PiSSA and OLoRA,
    whose making writes to the model's own weights. An adapter that the model brings is the one that is trained, on a
    copy of the adapter's weights.

    Attributes:
        model: A Hub id, a path, ``"small"`` for the model that ships with the package, or a loaded causal language
            model.
        objective: What is measured, by name or as an objective; by default it follows from the items.
        tokenizer: The model's tokenizer; by default found by the model's name.
        args: TRL's training arguments, or a dict of those that differ from the default: one epoch at ``learning_rate``,
            8 rows a step. Their seed is replaced by that of `curate`, nothing is saved or logged, and a setting that
            cannot be followed is an error that names it.
        peft_config: peft's adapter; by default LoRA of rank 8 on all linear layers.
        lockstep: Whether all processes train one model together, as where the launch spreads a model over them (FSDP,
            DeepSpeed); by default so exactly there.
        coalitions_per_batch: How many coalitions a device trains in one batch; ``"auto"`` is as many as a GPU's memory
            has room for, one on a CPU.
        coalitions_abreast: The former name of ``coalitions_per_batch``.
        precision: What the weights are loaded in: ``"float32"``, ``"bfloat16"``, ``"stored"`` for what the model's
            files have, or ``"auto"``, the default: the faster of the first two on this device, by a measurement of less
            than a second, or that of the ledger that is gone on with. A loaded model and an `SFTConfig` say it.
        learning_rate: The learning rate where there are no ``args``; by default 3e-3 for models of up to 200 million
            parameters, and 1e-3 for larger ones: see `shed_hf.finetuning.trainer_settings.default_learning_rate`.
    """

    model: str | os.PathLike[str] | PreTrainedModel = DEFAULT_MODEL
    objective: str | Objective | None = None
    tokenizer: PreTrainedTokenizerBase | None = field(default=None, repr=False)
    args: GivenArgs = field(default=None, repr=False)
    peft_config: LoraConfig | None = field(default=None, repr=False)
    lockstep: bool | None = field(default=None, repr=False)
    coalitions_per_batch: Wanted = field(default="auto", repr=False)
    coalitions_abreast: InitVar[Wanted | None] = None
    precision: str | Precision = field(default="auto", repr=False)
    learning_rate: float | None = field(default=None, repr=False)

    def __post_init__(self, coalitions_abreast: Wanted | None) -> None:
        if coalitions_abreast is not None:
            warn_of_old_name()
            object.__setattr__(self, "coalitions_per_batch", coalitions_abreast)

    def bind(self, pool: Pool, items: Sequence[Example], seed: int) -> "TrainerUtility":
        """Load the model, attach the adapter and tokenise the items, once.

        Args:
            pool: The rows that coalitions are made of.
            items: The evaluation items.
            seed: The seed of the training runs.

        Returns:
            The utility of this pool and these items.

        Raises:
            InputError: For what cannot be used.
        """
        self._check_settings()
        chosen = self.choose_precision(None)
        if chosen is not None:
            return self.in_precision(chosen).bind(pool, items, seed)
        with Isolation(), only_own_output():
            together = one_model_for_all() if self.lockstep is None else self.lockstep
            sandbox = AcceleratorSandbox(together)
            with sandbox:
                check_fine_tune(in_full(self.args))
                model, tokenizer = self._load(copied=sandbox.lockstep)
            lent = self.model is model
            borrowed = BorrowedModel(model) if lent else None
            isolation = Isolation(sandbox, borrowed)
            with isolation:
                return self._bind(pool, items, seed, model, tokenizer, isolation)

    def choose_precision(self, header: Mapping[str, Any] | None) -> Precision | None:
        """Measure in which precision this device is faster, where nothing says which to take.

        Args:
            header: The header of the ledger that is gone on with, whose precision is kept; None for a new run.

        Returns:
            The precision; None where the model is loaded, ``args`` are given, or a precision was asked for.

        Raises:
            InputError: For settings, or a model, that cannot be used.
        """
        self._check_settings()
        self._check_model()
        if not self._leaves_precision_open():
            return None
        if header is not None:
            return precision_in_header(header)
        with Isolation(), only_own_output():
            try:
                outline = outline_of(self._place())
            except Exception as error:  # damaged files and failing lines make the loader raise anything
                raise not_loaded(str(self.model), error) from error
            return choose(outline)

    def in_precision(self, precision: Precision) -> "FineTune":
        """The same fine-tuning with the precision settled, where it is open.

        Args:
            precision: What `choose_precision` found, here or on another rank.

        Returns:
            A new one, or itself.
        """
        return replace(self, precision=precision) if self._leaves_precision_open() else self

    def screen(self, pool: Pool, drop_invalid: bool, name: str) -> Pool:
        """Find the rows that the model's chat template refuses, before anything is trained.

        Args:
            pool: The rows.
            drop_invalid: Leave such rows out instead of raising.
            name: What error messages call the dataset.

        Returns:
            The pool; such rows take no part in it.

        Raises:
            InputError: For such rows, unless ``drop_invalid``; for a model or a tokenizer that cannot be used.
        """
        self._check_settings()
        if argument(self.args, "chat_template_path") is not None:
            return pool  # the trainer sets that template; rows it refuses are found when they are tokenised
        self._check_model()
        with only_own_output():
            tokenizer = self._load_tokenizer()
        check_tokenizer(tokenizer)
        return screen(pool, tokenizer, drop_invalid, name)

    def _bind(
        self,
        pool: Pool,
        items: Sequence[Example],
        seed: int,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        isolation: Isolation,
    ) -> "TrainerUtility":
        folder = TemporaryFolder()
        rate = default_learning_rate(model.num_parameters()) if self.learning_rate is None else self.learning_rate
        args = measuring(in_full(self.args, rate), folder.name, seed)
        isolation.settle(args)
        torch.manual_seed(args.seed)
        check_tokenizer(tokenizer)
        null_row = Dataset.from_dict({"input_ids": [[0, 0]], "labels": [[IGNORED, 0]]})
        adapter = None if _has_adapter(model) else copy.deepcopy(self.peft_config) or default_peft_config()
        with naming_the_adapter():
            trainer = LearnedTokensSFTTrainer(
                model=model, args=args, train_dataset=null_row, processing_class=tokenizer, peft_config=adapter
            )
        if isolation.borrowed is not None:
            isolation.borrowed.protect()
        trainer.remove_callback(PrinterCallback)
        max_length = args.max_length or int(1e9)
        evaluation = Evaluation(items, objective_from(self.objective, items), tokenizer, max_length, seed)
        rows = TokenizedRows(pool, tokenizer, max_length)
        utility = TrainerUtility(trainer, evaluation, rows, isolation, self.coalitions_per_batch)
        utility.folder = folder
        utility.precision = self.precision if isinstance(self.precision, Precision) else None
        return utility

    def _load(self, copied: bool) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """The model, the caller's own where it is loaded already, and a tokenizer of our own."""
        self._check_model()
        given = self._init_kwargs()
        if isinstance(self.model, PreTrainedModel | PeftModel):
            self._check_loaded(self.model, given)
            shared = not copied and not _writes_base_weights(self.peft_config)
            model = self.model if shared else copy.deepcopy(self.model)
        else:
            model = _pretrained(self._place(), {**given, **self._dtype()})
            if isinstance(self.model, str) and self.model in SHORT_NAMES:
                model.config.name_or_path = self.model  # the same wherever the package is installed
        return model, self._load_tokenizer()

    def _load_tokenizer(self) -> PreTrainedTokenizerBase:
        if self.tokenizer is not None:
            return copy.deepcopy(self.tokenizer)  # the trainer sets its padding, end of sequence and template
        model = self.model
        name = model.config.name_or_path if isinstance(model, PreTrainedModel | PeftModel) else self._place()
        if not name:
            raise InputError(
                "the model has no name to find its tokenizer by; pass utility=FineTune(model, tokenizer=…)"
            )
        given = {key: value for key, value in self._init_kwargs().items() if key in _OF_FILES}
        try:
            return AutoTokenizer.from_pretrained(name, **given)
        except Exception as error:  # damaged files and failing lines make the loader raise anything
            raise not_loaded(name, error) from error

    def _place(self) -> str:
        """Where a model that is not loaded is found."""
        return resolve_model(str(self.model))

    def _check_model(self) -> None:
        if not isinstance(self.model, str | os.PathLike | PreTrainedModel | PeftModel):
            raise InputError(
                f"model is a {type(self.model).__name__}; pass a Hub id, a path or a causal language model"
            )
        if isinstance(self.model, str | os.PathLike):
            check_reachable(self._place(), self._init_kwargs())

    def _check_settings(self) -> None:
        if self.args is not None and not isinstance(self.args, SFTConfig | Mapping):
            raise InputError(f"args is a {type(self.args).__name__}; pass a trl.SFTConfig")
        if self.peft_config is not None and not isinstance(self.peft_config, PeftConfig):
            raise InputError(f"peft_config is a {type(self.peft_config).__name__}; pass a peft.LoraConfig")
        if self.tokenizer is not None and not isinstance(self.tokenizer, PreTrainedTokenizerBase):
            raise InputError(f"tokenizer is a {type(self.tokenizer).__name__}; pass the model's tokenizer")
        rate = self.learning_rate
        if rate is not None and not (is_finite_number(rate) and rate > 0):
            raise InputError(f"learning_rate={rate!r} is not a number above 0; pass one such as 1e-3")
        if rate is not None and self.args is not None:
            raise InputError(
                f"learning_rate={rate} and args= both say how to train; put it into them, as in "
                f"FineTune(args=SFTConfig(learning_rate={rate}))"
            )
        self._check_precision()

    def _leaves_precision_open(self) -> bool:
        loaded = isinstance(self.model, PreTrainedModel | PeftModel)
        return self.precision == "auto" and not loaded and not say_precision(self.args)

    def _check_precision(self) -> None:
        asked = self.precision
        if isinstance(asked, Precision) or asked == "auto":
            return
        if asked not in (*PRECISIONS, "stored"):
            raise InputError(unknown_name("precision", asked, ("auto", *PRECISIONS, "stored")))
        if isinstance(self.model, PreTrainedModel | PeftModel):
            raise InputError(
                f"precision={asked!r} says how to load a model, and the model is loaded; leave it out, or pass the "
                "model's name"
            )
        if {"dtype", "torch_dtype"} & self._init_kwargs().keys():
            raise InputError(
                f"precision={asked!r} and model_init_kwargs={self._init_kwargs()} both say what to load the model in; "
                "pass one of them"
            )

    def _dtype(self) -> dict[str, str]:
        """The precision as an argument of ``from_pretrained``; none where the files or the arguments say it."""
        name = self.precision.name if isinstance(self.precision, Precision) else self.precision
        return {"dtype": name} if name in PRECISIONS else {}

    def _init_kwargs(self) -> dict[str, Any]:
        """What the arguments say of how to load the model."""
        trusted = {"trust_remote_code": True} if argument(self.args, "trust_remote_code") else {}
        return {**trusted, **init_kwargs_of(argument(self.args, "model_init_kwargs"))}

    def _check_loaded(self, model: PreTrainedModel | PeftModel, given: dict[str, Any]) -> None:
        if given.keys() - {"trust_remote_code"}:
            raise InputError(
                f"model_init_kwargs={given} in SFTConfig say how to load a model, and the model is loaded; leave them "
                "out, or pass the model's name"
            )
        if self.peft_config is not None and _has_adapter(model):
            raise InputError(
                "the model brings an adapter of its own, which is the one that is trained; leave peft_config= out, or "
                "pass the model without its adapter"
            )


def _has_adapter(model: PreTrainedModel | PeftModel) -> bool:
    """Whether the model has an adapter, put on by peft or by transformers."""
    return hasattr(model, "peft_config")


def _writes_base_weights(peft_config: LoraConfig | None) -> bool:
    """Whether making the adapter writes to the model's own weights, as PiSSA and OLoRA do to take it out of them."""
    start = getattr(peft_config, "init_lora_weights", True)
    return isinstance(start, str) and start.lower() not in ("gaussian", "orthogonal")


def _pretrained(name: str, given: dict[str, Any]) -> PreTrainedModel:
    try:
        with progress(f"loading {name}"):
            return AutoModelForCausalLM.from_pretrained(name, **given)
    except Exception as error:  # damaged files and failing lines make the loader raise anything
        raise not_loaded(name, error) from error
