"""What a model, a tokenizer and evaluation items are, as short digests for the ledger's header."""

import hashlib
from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from shed_hf.data.formats import Example


def weights_digest(model: torch.nn.Module) -> str:
    """Names, shapes and 64 evenly spaced numbers of every parameter, hashed: tells two models apart without reading
    them whole.
    """
    hasher = hashlib.blake2b(digest_size=16)
    for name, parameter in model.named_parameters():
        flat = parameter.detach().flatten()
        sample = flat[:: max(1, len(flat) // 64)][:64].float().cpu().numpy()
        hasher.update(f"{name}{tuple(parameter.shape)}".encode() + sample.tobytes())
    return hasher.hexdigest()


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """What decides how a row reads to the model: vocabulary size, chat template and end of sequence."""
    content = repr((len(tokenizer), tokenizer.chat_template, tokenizer.eos_token))
    return _digest(content)


def items_digest(items: Sequence[Example]) -> str:
    """The items' conversations and options."""
    return _digest(repr([(item.turns, item.options) for item in items]))


def _digest(content: str) -> str:
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
