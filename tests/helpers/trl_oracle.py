"""What TRL's own data preparation makes of a row: the token ids and labels that an `SFTTrainer` would train on."""

import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import trl
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer
from trl.chat_template_utils import get_training_chat_template, has_generation_markers

FOLDER = Path(trl.__file__).parent / "chat_templates"
TEMPLATES = {path.stem: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.jinja"))}
"""Every chat template that TRL brings along."""

_SPECIAL = ["<eos>", "<bos>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
_SPECIAL += ["<|user|>", "<|assistant|>", "<|end|>", "<start_of_turn>", "<end_of_turn>", "<think>", "</think>"]
_CORPUS = [
    "the cat sat in the oven, twice: get_weather(city) is 21 degrees\n\n" * 3,
    'Be kind. {"name": "get_weather"}',
]


def make_tokenizer(template: str | None = None) -> PreTrainedTokenizerBase:
    """A small byte-level tokenizer that reads any text, with the markers that most chat templates write."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=alphabet, special_tokens=_SPECIAL, show_progress=False
    )
    backend.train_from_iterator(_CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, chat_template=template, eos_token="<eos>", bos_token="<bos>", pad_token="<eos>"
    )


class Prepared(NamedTuple):
    """A row as TRL trains on it."""

    ids: list[int]
    labels: list[int]


Row = dict[str, Any]


class _Rows:
    """As much of a dataset as TRL's preparation asks for, without Arrow: a call takes a millisecond, not a hundred."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.column_names = list(rows[0]) if rows else None

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def map(self, function: Callable[..., Row], fn_kwargs: Any = None, remove_columns: Any = None) -> "_Rows":
        rows = [{**row, **function(row, **(fn_kwargs or {}))} for row in self.rows]
        names = [remove_columns] if isinstance(remove_columns, str) else remove_columns or []
        return _Rows([{key: cell for key, cell in row.items() if key not in names} for row in rows])

    def filter(self, function: Callable[[Row], bool]) -> "_Rows":
        return _Rows([row for row in self.rows if function(row)])


@functools.cache
def _config(max_length: int | None, only_assistant: bool) -> SFTConfig:
    """The arguments, which the preparation only reads: making them takes longer than a row."""
    return SFTConfig(
        output_dir=tempfile.gettempdir(), max_length=max_length, assistant_only_loss=only_assistant, use_cpu=True,
        bf16=False,
    )  # fmt: skip


@functools.cache
def _training_template(tokenizer: PreTrainedTokenizerBase, _: str) -> str | None:
    """What TRL puts in the place of a tokenizer's template; a trainer asks for it once, and not for every row."""
    return get_training_chat_template(tokenizer)


def prepared_by_trl(
    row: Row, tokenizer: PreTrainedTokenizerBase, max_length: int | None = None, assistant: bool = True
) -> Prepared:
    """`SFTTrainer._prepare_dataset` on one row; of messages the assistant's turns are learned, if TRL can."""
    only_assistant = assistant and "messages" in row
    args = _config(max_length, only_assistant)
    swap = only_assistant and not has_generation_markers(tokenizer.chat_template)
    trainer: Any = SimpleNamespace(
        _tokenizer=tokenizer,
        chat_template=_training_template(tokenizer, str(tokenizer.chat_template)) if swap else None,
        completion_only_loss="prompt" in row,
    )
    dataset: Any = _Rows([dict(row)])
    (prepared,) = SFTTrainer._prepare_dataset(trainer, dataset, tokenizer, args, False, None, "train")
    return Prepared(list(prepared["input_ids"]), list(prepared["labels"]))
