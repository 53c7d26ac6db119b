"""Greedy generations for the evaluation items, in batches of like length."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from shed_hf.data.formats import Example
from shed_hf.data.tokenization import prompt_ids
from shed_hf.errors import InputError

BATCH = 16


@torch.no_grad()
def generate(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: Sequence[Example], max_new_tokens: int
) -> list[str]:
    """Answer each item's prompt by greedy decoding.

    Args:
        model: The model that answers.
        tokenizer: Its tokenizer, with a padding token.
        items: The items whose prompts are answered.
        max_new_tokens: The longest answer, in tokens.

    Returns:
        One text per item, in their order, without special tokens.

    Raises:
        InputError: For an item without a prompt.
    """
    prompts = [_prompt(item, tokenizer) for item in items]
    by_length = sorted(range(len(items)), key=lambda place: len(prompts[place]))
    generations = [""] * len(items)
    for start in range(0, len(items), BATCH):
        places = by_length[start : start + BATCH]
        inputs = _padded([prompts[place] for place in places], tokenizer).to(model.device)
        length = inputs.shape[1]
        tokens = model.generate(
            input_ids=inputs,
            attention_mask=_attention([prompts[place] for place in places], length).to(model.device),
            do_sample=False,
            max_new_tokens=max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
        )
        for place, text in zip(
            places, tokenizer.batch_decode(tokens[:, length:], skip_special_tokens=True), strict=True
        ):
            generations[place] = text
    return generations


def _prompt(item: Example, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    prompt = prompt_ids(item, tokenizer)
    if not prompt:
        raise InputError(
            f'the item {item.text!r:.60} has no prompt to answer; pass items with one, or objective="loss"'
        )
    return prompt


def _padded(prompts: Sequence[Sequence[int]], tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    longest = max(len(prompt) for prompt in prompts)
    return torch.tensor([[tokenizer.pad_token_id] * (longest - len(prompt)) + list(prompt) for prompt in prompts])


def _attention(prompts: Sequence[Sequence[int]], longest: int) -> torch.Tensor:
    return torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
