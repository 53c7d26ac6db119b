"""What a model, a tokenizer, evaluation items and training rows are, as short digests for the ledger's header."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from shed_hf.data.formats import Example
from shed_hf.data.loss_masks import masks_digest
from shed_hf.finetuning.session import RowSource
from shed_hf.finetuning.tokenized_rows import TokenizedRows
from shed_hf.utils.identity import digest

if TYPE_CHECKING:
    from shed_hf.evaluation.batches import Candidate

_CHUNK = 2**26  # numbers of a weight that are read at a time


def weights_digest(model: torch.nn.Module) -> str:
    """Names, shapes, dtypes and every number of all parameters and saved buffers.

    A gigabyte takes about a second.

    Args:
        model: The model, on any device.

    Returns:
        32 hexadecimal digits.
    """
    hasher = hashlib.blake2b(digest_size=16)
    for name, tensor in _saved(model):
        hasher.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        flat = tensor.detach().contiguous()
        flat = flat.as_strided((flat.numel(),), (1,), flat.storage_offset())
        for start in range(0, 0 if tensor.is_meta else len(flat), _CHUNK):
            hasher.update(flat[start : start + _CHUNK].cpu().view(torch.uint8).numpy().data)
    return hasher.hexdigest()


def _saved(model: torch.nn.Module) -> Iterable[tuple[str, torch.Tensor]]:
    yield from model.named_parameters()
    kept = model.state_dict(keep_vars=True).keys()
    yield from ((name, buffer) for name, buffer in model.named_buffers() if name in kept)


def sampled_weights_digest(model: torch.nn.Module) -> str:
    """Names, shapes and 64 evenly spaced numbers of every parameter, as ledgers of version 0.1 have it.

    Args:
        model: The model; float32 and bfloat16 copies of it may have the same digest.

    Returns:
        32 hexadecimal digits.
    """
    hasher = hashlib.blake2b(digest_size=16)
    for name, parameter in model.named_parameters():
        flat = parameter.detach().flatten()
        sample = flat[:: max(1, len(flat) // 64)][:64].float().cpu().numpy()
        hasher.update(f"{name}{tuple(parameter.shape)}".encode() + sample.tobytes())
    return hasher.hexdigest()


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """Vocabulary size, chat template and end of sequence, as ledgers of version 0.1 have it.

    Args:
        tokenizer: The tokenizer.

    Returns:
        32 hexadecimal digits.
    """
    content = repr((len(tokenizer), tokenizer.chat_template, tokenizer.eos_token))
    return _digest(content)


def vocabulary_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """All that makes tokens of text: vocabulary, merges, normalisation, special tokens, template.

    Args:
        tokenizer: The tokenizer; how it pads and truncates, which callers change, is left out.

    Returns:
        32 hexadecimal digits.
    """
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items() if name != "pad_token"}
    parts: list[Any] = [type(tokenizer).__name__, tokenizer.chat_template, special]
    if tokenizer.is_fast:
        backend = json.loads(tokenizer.backend_tokenizer.to_str())
        parts.append({name: part for name, part in backend.items() if name not in ("padding", "truncation")})
    else:
        parts.append(tokenizer.get_vocab())
    return _digest(json.dumps(parts, sort_keys=True, default=str))


class _Turn(NamedTuple):
    role: str
    content: str


_Turn.__name__ = "Turn"


def old_items_digest(items: Sequence[Example]) -> str:
    """The items' conversations and options, as ledgers of version 0.1 have it.

    Args:
        items: The evaluation items.

    Returns:
        32 hexadecimal digits.
    """
    return _digest(repr([(tuple(_Turn(*turn[:2]) for turn in item.turns), item.options) for item in items]))


def items_digest(items: Sequence[Example]) -> str:
    """Every field of every item that is not at its default.

    Args:
        items: The evaluation items, in their order.

    Returns:
        24 hexadecimal digits.
    """
    named = [{field.name: (getattr(item, field.name), field.default) for field in fields(item)} for item in items]
    return digest([{name: repr(v) for name, (v, default) in item.items() if v != default} for item in named])


def candidates_digest(groups: Sequence[Sequence["Candidate"]]) -> str:
    """The token ids that an evaluation reads, and where completions begin.

    Args:
        groups: The candidates of every item.

    Returns:
        24 hexadecimal digits.
    """
    return digest([[(candidate.ids, candidate.start) for candidate in group] for group in groups])


def dataset_digest(rows: Any) -> str:
    """What a trainer's prepared dataset trains on, whatever the order of its rows.

    Args:
        rows: A `datasets.Dataset` with ``input_ids`` and perhaps ``labels``, or a sequence of such rows.

    Returns:
        32 hexadecimal digits.
    """
    total = 0
    for number in range(len(rows)):
        row = rows[number]
        content = [np.asarray(row[name], dtype=np.int64).tobytes() for name in ("input_ids", "labels") if name in row]
        found = hashlib.blake2b(b"|".join(content), digest_size=16, person=b"%d" % len(content))
        total += int.from_bytes(found.digest(), "big")
    return f"{total % 2**128:032x}"


def masks_entry(rows: RowSource, items: Sequence[Example]) -> dict[str, str]:
    """The header's entry for loss masks that version 0.1 did not take; older ledgers have none.

    Args:
        rows: The rows that are trained on; a trainer of the user's own, which prepares them, has its own masks.
        items: The evaluation items.

    Returns:
        ``{"loss masks": digest}``, or nothing.
    """
    if not isinstance(rows, TokenizedRows):
        return {}
    conversations = rows.pool.format.name == "messages" or any(not item.given and not item.verbatim for item in items)
    masks, unseen = masks_digest(rows.tokenizer, conversations), [item for item in items if _was_not_shown(item)]
    return {"loss masks": _digest(masks + repr(unseen))} if masks or unseen else {}


def _was_not_shown(item: Example) -> bool:
    """Whether version 0.1 showed an item otherwise: without its tools and calls, or with a header that it learned."""
    first = item.turns[0].role == "assistant" and not item.given and not item.verbatim
    return first or bool(item.template_inputs) or any(turn.extra for turn in item.turns)


def _digest(content: str) -> str:
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
