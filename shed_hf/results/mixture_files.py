"""A mixture as files that training frameworks read: a configuration, and the rows of each group as JSON lines."""

import copy
import json
import os
import re
import secrets
import shutil
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from shed_hf.data.examples import Example
from shed_hf.data.pool import read_pool
from shed_hf.errors import InputError
from shed_hf.finetuning.known_models import resolve_model
from shed_hf.results.curation import Curation
from shed_hf.results.recorded_tuner import tuner_entry_of
from shed_hf.types import IntVector
from shed_hf.utils.checks import is_one_of

Framework: TypeAlias = Literal["trl", "axolotl"]
"""What reads the configuration."""


_COPIED = (
    "learning_rate",
    "num_train_epochs",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "lr_scheduler_type",
    "warmup_steps",
    "weight_decay",
    "max_grad_norm",
    "optim",
    "max_length",
    "bf16",
    "fp16",
)
"""The training settings in a ledger's header that a `trl.SFTConfig` takes."""


_UNREADABLE = ("Cc", "Cs")
"""Control characters and halves of surrogate pairs, which no file and no repository is called by."""


@dataclass(frozen=True, eq=False)
class GroupRows:
    """A group of kept rows to be written.

    Attributes:
        name: What it is called.
        share: Its share of the kept rows.
        line: What is said of it in the configuration.
        places: Its rows, as positions in the dataset, in the order in which they are written.
    """

    name: str
    share: float
    line: str
    places: IntVector


def write_mixture(
    curated: Curation,
    groups: Sequence[GroupRows],
    framework: Framework,
    path: str | os.PathLike[str],
    model: str | None,
) -> Path:
    """Write the rows of each group, then the configuration.

    Args:
        curated: The choice.
        groups: Its groups.
        framework: ``"trl"`` or ``"axolotl"``.
        path: The configuration's file, which must not exist yet.
        model: The model to train; None for the curation's own.

    Returns:
        The absolute path of the file.

    Raises:
        InputError: For what cannot be used or written.
    """
    if not is_one_of(framework, "trl", "axolotl"):
        raise InputError(f'framework={framework!r} is unknown; pass "trl" or "axolotl"')
    name = _model(curated, model)
    if not isinstance(path, str | os.PathLike) or Path(path).name in ("", ".."):
        raise InputError(f'path={path!r} is no path; pass that of a new file, such as "mixture.yaml"')
    target = Path(path).absolute()
    folder = target.with_name(f"{target.stem}_rows")
    for taken in (target, folder):
        if taken.exists():
            raise InputError(f"{taken} exists already; pass another path, or remove it")
    examples = read_pool(curated.dataset, curated.valued.format, name="the kept rows").examples(range(len(curated)))
    layout = _layout_of(examples)
    files = [folder / f"{number:02d}-{_slug(group.name)}.jsonl" for number, group in enumerate(groups)]
    make = _trl if framework == "trl" else _axolotl
    content = make(curated, name, layout, list(zip(files, groups, strict=True)), str(target.with_suffix("")))
    rows = (
        (file.name, [_line(examples[place], layout, framework) for place in group.places.tolist()])
        for file, group in zip(files, groups, strict=True)
    )
    try:
        _write(rows, _as_yaml(content, [group.line for group in groups]), folder, target)
    except OSError as error:
        raise InputError(f"{target} cannot be written ({error}); pass another path") from error
    return target


def _write(files: Iterable[tuple[str, list[Any]]], configuration: str, folder: Path, target: Path) -> None:
    """Write the folder and the configuration, or nothing, whatever comes between."""
    partial, new = (path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial") for path in (folder, target))
    try:
        partial.mkdir(parents=True)
        for name, lines in files:
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (partial / name).write_text(text, encoding="utf-8")
        new.write_text(configuration, encoding="utf-8")
        partial.rename(folder)
        try:
            new.rename(target)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        new.unlink(missing_ok=True)


Layout: TypeAlias = Literal["text", "strings", "prompt", "messages"]
"""How rows are written: as text of which all is learned, prompt and completion as strings or as messages, or as
conversations of which every answer is learned."""


def _layout_of(examples: Sequence[Example]) -> Layout:
    if all(example.verbatim for example in examples):
        return "strings" if any(len(example.turns) > 1 for example in examples) else "text"
    if any(example.verbatim for example in examples):
        raise InputError("some rows are read as they are and others by a chat template; no one file holds both")
    return "prompt" if all(_has_one_answer(example) for example in examples) else "messages"


def _has_one_answer(example: Example) -> bool:
    """Whether what is learned is all that follows a prompt."""
    answers = sum(turn.role == "assistant" for turn in example.turns)
    return bool(example.given) or (answers == 1 and not example.after)


def _line(example: Example, layout: Layout, framework: Framework) -> dict[str, Any]:
    prompt = "".join(turn.content for turn in example.turns[:-1])
    if layout == "text":
        return {"text": example.completion}
    if layout == "strings":
        return {"prompt": prompt, "completion": example.completion}
    given = example.given or (len(example.turns) - 1 if layout == "prompt" else 0)
    messages = [turn.message for turn in (*example.turns, *example.after)]
    if framework == "axolotl":
        learned = [place >= given and message["role"] == "assistant" for place, message in enumerate(messages)]
        return {
            "messages": [{**message, "train": train} for message, train in zip(messages, learned, strict=True)],
            **example.inputs,
        }
    inputs = example.inputs
    beside: dict[str, Any] = {"tools": json.dumps(inputs.pop("tools"))} if inputs.get("tools") else {}
    if inputs:
        beside["chat_template_kwargs"] = inputs
    if layout == "messages":
        return {"messages": messages, **beside}
    return {"prompt": messages[:given], "completion": messages[given:], **beside}


def _trl(
    curated: Curation, model: str, layout: Layout, groups: Sequence[tuple[Path, GroupRows]], output: str
) -> dict[str, Any]:
    datasets = [
        {"path": "json", "data_files": str(file), "split": "train", "fraction": group.share} for file, group in groups
    ]
    only_answers = {"assistant_only_loss": True} if layout == "messages" else {}
    adapter = _adapter(curated)
    lora = {} if adapter is None else {"use_peft": True, **{f"lora_{name}": value for name, value in adapter.items()}}
    return {
        "model_name_or_path": model,
        "datasets": datasets,
        **_training(curated),
        **only_answers,
        **lora,
        "output_dir": f"{output}-sft",
    }


_LAYOUTS_OF_AXOLOTL: dict[Layout, dict[str, Any]] = {
    "text": {"type": "completion", "field": "text"},
    "strings": {
        "type": {
            "field_instruction": "prompt",
            "field_output": "completion",
            "format": "{instruction}",
            "no_input_format": "{instruction}",
        }
    },
    "prompt": {
        "type": "chat_template",
        "field_messages": "messages",
        "roles_to_train": [],
        "message_field_training": "train",
        "train_on_eos": "turn",
    },
}


_SETTINGS_OF_AXOLOTL = {
    "learning_rate": "learning_rate",
    "num_train_epochs": "num_epochs",
    "per_device_train_batch_size": "micro_batch_size",
    "gradient_accumulation_steps": "gradient_accumulation_steps",
    "lr_scheduler_type": "lr_scheduler",
    "warmup_steps": "warmup_steps",
    "weight_decay": "weight_decay",
    "max_grad_norm": "max_grad_norm",
    "optim": "optimizer",
    "max_length": "sequence_len",
    "bf16": "bf16",
    "fp16": "fp16",
}
"""What axolotl calls fields of `trl.SFTConfig`."""


def _axolotl(
    curated: Curation, model: str, layout: Layout, groups: Sequence[tuple[Path, GroupRows]], output: str
) -> dict[str, Any]:
    how = _LAYOUTS_OF_AXOLOTL["prompt" if layout == "messages" else layout]
    adapter = _adapter(curated)
    lora: dict[str, Any] = {}
    if adapter is not None:
        targets = adapter.get("target_modules")
        lora = {"adapter": "lora", "lora_r": adapter["r"], "lora_alpha": adapter["alpha"]}
        lora["lora_dropout"] = adapter["dropout"]
        if targets is not None:
            lora |= {"lora_target_linear": True} if targets == ["all-linear"] else {"lora_target_modules": targets}
    return {
        "base_model": model,
        "datasets": [{"path": str(file), "ds_type": "json", **copy.deepcopy(how)} for file, _ in groups],
        **{_SETTINGS_OF_AXOLOTL[name]: value for name, value in _training(curated).items()},
        **lora,
        "val_set_size": 0.0,
        "output_dir": f"{output}-sft",
    }


def _training(curated: Curation) -> dict[str, Any]:
    """The settings that rows were measured with, as far as they are known; bfloat16 is asked for only where it was
    measured, since TRL, which has it by default, refuses it on a CPU.
    """
    training = curated.recipe["utility"].get("training")
    found = training if isinstance(training, Mapping) else {}
    return {"bf16": False} | {name: _plain(found[name]) for name in _COPIED if found.get(name) is not None}


def _plain(value: Any) -> Any:
    """An enumeration's member, written ``SchedulerType.CONSTANT``, as the word that its library takes."""
    return value.rpartition(".")[2].lower() if isinstance(value, str) else value


def _adapter(curated: Curation) -> dict[str, Any] | None:
    """Rank, alpha, dropout and modules of the LoRA that rows were measured with; None where there was none known."""
    entry = tuner_entry_of(curated.recipe)
    if entry is None:
        return None
    given = entry["peft_config"]
    if given is None:
        return {"r": 8, "alpha": 16, "dropout": 0.0, "target_modules": ["all-linear"]}
    targets = given.get("target_modules")
    named = {} if targets is None else {"target_modules": sorted(targets) if isinstance(targets, list) else [targets]}
    return {
        "r": given.get("r", 8),
        "alpha": given.get("lora_alpha", 8),
        "dropout": given.get("lora_dropout", 0.0),
    } | named


def _model(curated: Curation, model: str | None) -> str:
    entry = curated.recipe["tuner"]
    name = (None if entry is None else entry["model"]) if model is None else model
    if not isinstance(name, str) or not name:
        raise InputError("no model is known that was fine-tuned here; pass model= with a Hub id or a path")
    if not name.strip() or any(unicodedata.category(character) in _UNREADABLE for character in name):
        raise InputError(f"model={name!r} is no name of a model; pass a Hub id or a path")
    return resolve_model(name)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "group"


def _as_yaml(content: Mapping[str, Any], lines: Sequence[str]) -> str:
    import yaml

    said = "".join(f"# {line}\n" for line in lines)
    return f"# Groups of kept rows, with standard errors:\n{said}{yaml.safe_dump(dict(content), sort_keys=False)}"
