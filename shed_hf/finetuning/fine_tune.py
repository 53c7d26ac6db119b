"""`FineTune`: the usual utility, LoRA fine-tuning of one model on the rows of a coalition."""

import copy
import os
import tempfile
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl import SFTConfig

from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool
from shed_hf.data.tokenization import IGNORED, check_tokenizer
from shed_hf.distributed.accelerate_state import AcceleratorSandbox
from shed_hf.distributed.launch import one_model_for_all
from shed_hf.errors import InputError
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.objectives import Objective
from shed_hf.evaluation.registry import objective_from
from shed_hf.finetuning.batched_coalitions import Wanted
from shed_hf.finetuning.sft_trainer import LeanSFTTrainer
from shed_hf.finetuning.tokenized_rows import TokenizedRows
from shed_hf.finetuning.trainer_settings import (
    default_args,
    default_peft_config,
    measuring,
    preserved_rng_state,
    quiet_loading,
)
from shed_hf.finetuning.trainer_utility import TrainerUtility, warn_of_old_name

DEFAULT_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"


@dataclass(frozen=True)
class FineTune:
    """Fine-tunes ``model`` on the rows of a coalition and measures ``objective`` on the evaluation items.

    ``model`` is a Hub id, a path or a loaded causal language model; ``tokenizer`` is found by the model's name unless
    given. ``args`` and ``peft_config`` are TRL's and peft's own; the defaults are one epoch at learning rate 1e-3, 8
    rows a step, LoRA of rank 8 on all linear layers. With ``bind`` it becomes the utility of one pool and one
    evaluation set.

    Among several processes each fine-tunes coalitions of its own; with ``lockstep`` all train one model together, which
    is the choice where the launch spreads a model over them (FSDP, DeepSpeed). ``coalitions_per_batch`` is how many a
    device trains side by side; ``"auto"``: as many as a GPU's memory has room for, one on a CPU.
    """

    model: str | os.PathLike[str] | PreTrainedModel = DEFAULT_MODEL
    objective: str | Objective | None = None
    tokenizer: PreTrainedTokenizerBase | None = field(default=None, repr=False)
    args: SFTConfig | None = field(default=None, repr=False)
    peft_config: LoraConfig | None = field(default=None, repr=False)
    lockstep: bool | None = field(default=None, repr=False)
    coalitions_per_batch: Wanted = field(default="auto", repr=False)
    coalitions_abreast: InitVar[Wanted | None] = None

    def __post_init__(self, coalitions_abreast: Wanted | None) -> None:
        if coalitions_abreast is not None:
            warn_of_old_name()
            object.__setattr__(self, "coalitions_per_batch", coalitions_abreast)

    def bind(self, pool: Pool, items: Sequence[Example], seed: int) -> "TrainerUtility":
        """Load the model, attach the adapter, tokenise the items, once. Raises `InputError` for what cannot be used."""
        with preserved_rng_state(), quiet_loading():
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
        rows = TokenizedRows(pool, tokenizer, max_length)
        utility = TrainerUtility(trainer, evaluation, rows, sandbox, self.coalitions_per_batch)
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


def _pretrained(name: str) -> PreTrainedModel:
    try:
        return AutoModelForCausalLM.from_pretrained(name)
    except OSError as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(
            f"model={name!r} could not be loaded ({first}); pass a Hub id that can be reached, or a folder with a model"
        ) from error
