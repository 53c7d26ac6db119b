"""What every field of `trl.SFTConfig` means where coalitions are measured: applied, without effect, or refused.

A setting that was asked for and is not followed would change outcomes in silence. So each field is in one of the sets
below, and a field that none of them knows must be left at its default.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from transformers import TrainingArguments
from transformers.trainer_utils import IntervalStrategy, SaveStrategy
from trl import SFTConfig

from shed_hf.distributed.accelerate_state import AcceleratorSandbox
from shed_hf.errors import InputError


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


APPLIED = _names("""
    per_device_train_batch_size learning_rate lr_scheduler_type lr_scheduler_kwargs warmup_steps optim optim_args
    weight_decay adam_beta1 adam_beta2 adam_epsilon optim_target_modules gradient_accumulation_steps max_grad_norm
    average_tokens_across_devices label_smoothing_factor bf16 fp16 tf32 activation_checkpointing
    activation_checkpointing_kwargs gradient_checkpointing gradient_checkpointing_kwargs activation_offloading
    torch_compile torch_compile_backend torch_compile_mode use_liger_kernel liger_kernel_config use_cache
    neftune_noise_alpha torch_empty_cache_steps use_cpu ddp_find_unused_parameters ddp_bucket_cap_mb
    ddp_broadcast_buffers ddp_static_graph ddp_backend ddp_timeout fsdp fsdp_config deepspeed debug full_determinism
    trust_remote_code router_aux_loss_coef eos_token pad_token pad_to_multiple_of max_length loss_type local_rank
    assistant_only_loss model_init_kwargs
    """)
"""What the training of a coalition follows. Rows always learn what the assistant says alone."""

WITHOUT_EFFECT = _names("""
    output_dir logging_strategy logging_steps logging_first_step log_on_each_node logging_nan_inf_filter log_level
    log_level_replica include_num_input_tokens_seen disable_tqdm report_to run_name project trackio_space_id
    trackio_bucket_id trackio_static_space_id eval_steps eval_delay per_device_eval_batch_size prediction_loss_only
    eval_do_concat_batches eval_use_gather_object eval_accumulation_steps include_for_metrics batch_eval_metrics
    metric_for_best_model greater_is_better save_only_model save_strategy save_steps save_on_each_node save_total_limit
    enable_jit_checkpoint hub_token hub_private_repo hub_model_id hub_strategy hub_always_push hub_revision
    ignore_data_skip restore_callback_states_from_checkpoint seed data_seed auto_find_batch_size dataloader_num_workers
    dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor dataloader_multiprocessing_context
    dataloader_in_order remove_unused_columns label_names length_column_name skip_memory_metrics do_train do_eval
    do_predict dataset_kwargs dataset_num_proc packing_strategy eval_packing shuffle_dataset
    """)
"""What cannot change an outcome: while coalitions are measured nothing is logged, saved, published or evaluated by the
trainer itself; batches that do not fit into memory are split; and the game decides the order of rows and the seed.
"""


class _Refusal(NamedTuple):
    """A setting that cannot be followed: when it is one, and what to do instead."""

    applies: Callable[[Any], bool]
    advice: str


_NO_STOP = "a coalition is trained on all of its rows; pass num_train_epochs= and leave it out"
_LAST_WEIGHTS = "an outcome is that of the weights at the end of training; leave it out"
_NO_EVALUATION = "a coalition is evaluated at its end, on eval_dataset; leave it out"
_APART = "packing mixes the rows of a coalition; pass SFTConfig(packing=False, padding_free=False)"

REFUSED: Mapping[str, _Refusal] = {
    "max_steps": _Refusal(lambda steps: steps > 0, _NO_STOP),
    "num_train_epochs": _Refusal(
        lambda epochs: epochs != int(epochs) or epochs < 1, "rows are gone through whole; pass a whole number >= 1"
    ),
    "packing": _Refusal(bool, _APART),
    "padding_free": _Refusal(bool, _APART),
    "train_sampling_strategy": _Refusal(
        lambda strategy: strategy == "group_by_length", 'the game decides the order of rows; pass "random"'
    ),
    "dataloader_drop_last": _Refusal(bool, "a coalition is trained on all of its rows; pass False"),
    "accelerator_config": _Refusal(
        lambda config: bool(getattr(config, "split_batches", False)),
        "batches are not split among ranks; leave split_batches out",
    ),
    "parallelism_config": _Refusal(
        lambda config: config is not None, "context, sequence and tensor parallel training are not measured; use FSDP"
    ),
    "resume_from_checkpoint": _Refusal(bool, "each coalition starts from the model as it is passed; leave it out"),
}
"""What no trainer that measures coalitions follows."""

REFUSED_BY_FINE_TUNE: Mapping[str, _Refusal] = {
    "load_best_model_at_end": _Refusal(bool, _LAST_WEIGHTS),
    "eval_strategy": _Refusal(lambda strategy: str(_plain(strategy)) != "no", _NO_EVALUATION),
    "eval_on_start": _Refusal(bool, _NO_EVALUATION),
    "bf16_full_eval": _Refusal(bool, "the evaluation has the precision of the training; pass bf16=True"),
    "fp16_full_eval": _Refusal(bool, "the evaluation has the precision of the training; pass fp16=True"),
    "push_to_hub": _Refusal(bool, "no model is kept of a coalition; leave it out"),
    "truncation_mode": _Refusal(
        lambda mode: mode != "keep_start", 'rows are cut at their end; pass "keep_start", or a larger max_length'
    ),
    "completion_only_loss": _Refusal(
        lambda only: only is False, "completions alone are learned; pass rows as text to learn all of it"
    ),
    "dataset_text_field": _Refusal(
        lambda column: column != "text", 'columns are named by curate; pass columns={"text": …} there'
    ),
    "chat_template_path": _Refusal(
        lambda path: path is not None and not str(path).endswith((".jinja", ".j2")),
        "another model's template may bring tokens that this model has not learned; pass a .jinja file",
    ),
}
"""What `FineTune` does not follow and a trainer of the user's own may have, for its own training."""

WHILE_MEASURING: Mapping[str, Any] = {
    "eval_strategy": IntervalStrategy.NO,
    "eval_on_start": False,
    "save_strategy": SaveStrategy.NO,
    "load_best_model_at_end": False,
    "auto_find_batch_size": False,
}
"""What a trainer's arguments are while it measures; afterwards they are what they were."""


def check_training(args: TrainingArguments) -> None:
    """Check that a trainer with these arguments can measure coalitions.

    Args:
        args: The trainer's arguments.

    Raises:
        InputError: For a setting that would not be followed, by name.
    """
    _check(args, REFUSED)
    known = {*APPLIED, *WITHOUT_EFFECT, *REFUSED, *REFUSED_BY_FINE_TUNE}
    unknown = [field.name for field in dataclasses.fields(args) if field.init and field.name not in known]
    if not unknown:
        return
    with AcceleratorSandbox():  # making arguments replaces the state of any accelerator there is
        defaults = type(args)(output_dir=args.output_dir, use_cpu=args.use_cpu, bf16=args.bf16, fp16=args.fp16)
    for name in unknown:
        if getattr(args, name) != getattr(defaults, name):
            raise InputError(
                f"{name}={getattr(args, name)!r} is a setting that shed_hf does not know, so it cannot tell whether it "
                "is followed; leave it at its default"
            )


def check_fine_tune(args: SFTConfig) -> None:
    """Check that `FineTune` can train with these arguments.

    Args:
        args: The arguments.

    Raises:
        InputError: For a setting that would not be followed, by name, and for arguments that are no `SFTConfig`.
    """
    if not isinstance(args, SFTConfig):
        raise InputError(f"args is a {type(args).__name__}; pass a trl.SFTConfig")
    check_training(args)
    _check(args, REFUSED_BY_FINE_TUNE)


def _check(args: TrainingArguments, refusals: Mapping[str, _Refusal]) -> None:
    for name, refusal in refusals.items():
        value = getattr(args, name, None)
        if value is not None and refusal.applies(value):
            raise InputError(f"{name}={_plain(value)!r} in SFTConfig cannot be followed: {refusal.advice}")


def _plain(value: Any) -> Any:
    """The text of an enumeration's member, anything else as it is."""
    return getattr(value, "value", value)
