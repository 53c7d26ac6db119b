"""Vectors of rows by the model that is fine-tuned: the mean of its last hidden states, later tokens counting more.

The vectors of RDS+ (Ivison et al. 2025, arXiv 2503.01807, section 3), which are those of SGPT (Muennighoff 2022, arXiv
2202.08904): Σₜ t·hₜ / Σₜ t over all tokens t = 1, 2, … of prompt and completion, at length 1.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from shed_hf.data.tokenization import Tokens, tokenise
from shed_hf.evaluation.log_likelihood import LOGITS_PER_BATCH, TOKENS_PER_BATCH, base_model
from shed_hf.evaluation.memory import Budget, budget_on, evaluated_within_memory
from shed_hf.types import EmbeddingMatrix, IntVector

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from shed_hf.data.formats import Example
    from shed_hf.finetuning.session import TrainingSession

CHUNK = 512
"""How many rows are tokenised at a time; their tokens are not kept."""


def hidden_states_of_rows(session: "TrainingSession", rows: IntVector) -> EmbeddingMatrix:
    """The vectors of rows, by the session's model as it is now.

    Args:
        session: The trainer with its rows.
        rows: Row ids ``(n,)``.

    Returns:
        ``(n, d)``, of length 1; zeros for a row without a token.
    """
    model = session.trainer.model
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    found = [hidden_states_of_tokens(model, session.rows.read_tokens(chunk)) for chunk in chunks]
    return np.concatenate(found) if found else hidden_states_of_tokens(model, [])


def hidden_states_of_examples(session: "TrainingSession", examples: "Sequence[Example]") -> EmbeddingMatrix:
    """The vectors of examples that are no rows, such as evaluation items with their right answers.

    Args:
        session: The trainer.
        examples: n of them; each is read as a row would be, with the same maximum length.

    Returns:
        ``(n, d)``, of length 1.
    """
    max_length = session.trainer.args.max_length or int(1e9)
    return hidden_states_of_tokens(session.trainer.model, tokenise(examples, session.evaluation.tokenizer, max_length))


@torch.no_grad()
def hidden_states_of_tokens(model: "PreTrainedModel", rows: Sequence[Tokens]) -> EmbeddingMatrix:
    """The vectors of rows of tokens; see the module. Where memory runs out, batches are halved.

    Args:
        model: A causal language model, with or without an adapter; it is left in the mode it was in.
        rows: n rows.

    Returns:
        ``(n, d)``, of length 1; zeros for a row without a token.

    Raises:
        InputError: Where not even a single row fits into memory.
    """
    causal, training = base_model(model), model.training
    budget = budget_on(causal, Budget(TOKENS_PER_BATCH, LOGITS_PER_BATCH))
    ids = [tokens.ids for tokens in rows]

    def smaller() -> bool:
        nonlocal budget
        if budget.tokens <= max(map(len, ids), default=1):
            return False
        budget = budget.halved()
        return True

    model.eval()
    try:
        return evaluated_within_memory(lambda: _vectors(causal, ids, budget.tokens), smaller)
    finally:
        model.train(training)


def _vectors(causal: "PreTrainedModel", ids: Sequence[IntVector], most_tokens: int) -> EmbeddingMatrix:
    vectors = np.zeros((len(ids), causal.config.get_text_config().hidden_size), dtype=np.float32)
    for places in _of_like_length([len(one) for one in ids], most_tokens):
        vectors[places] = _weighted_means(causal, [ids[place] for place in places])
    return vectors


def _of_like_length(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """Places of rows in batches of at most so many tokens, padding included, the longest first; empty rows are none."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if not lengths[place]:
            break
        if batch and (len(batch) + 1) * lengths[batch[0]] > most_tokens:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _weighted_means(causal: "PreTrainedModel", ids: Sequence[IntVector]) -> EmbeddingMatrix:
    device = next(causal.parameters()).device
    lines = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.long)
    mask = torch.zeros_like(lines)
    for line, one in enumerate(ids):  # padded on the right, where no token of a causal model sees it
        lines[line, : len(one)], mask[line, : len(one)] = torch.from_numpy(one), 1
    lines, mask = lines.to(device), mask.to(device)
    states = _last_hidden_states(causal, lines, mask).float()
    weights = mask * torch.arange(1, mask.shape[1] + 1, device=device)
    means = torch.einsum("bt,btd->bd", weights / weights.sum(dim=1, keepdim=True), states)
    vectors = torch.nn.functional.normalize(means, dim=1).cpu().numpy()
    return np.asarray(vectors, dtype=np.float32)


def _last_hidden_states(causal: "PreTrainedModel", lines: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The states ``(b, t, d)`` that logits are made of; no logits where the model can do without."""
    body = causal.base_model
    if body is not causal:
        states: torch.Tensor = body(input_ids=lines, attention_mask=mask, use_cache=False).last_hidden_state
        return states
    whole = causal(input_ids=lines, attention_mask=mask, use_cache=False, output_hidden_states=True)
    last: torch.Tensor = whole.hidden_states[-1]
    return last
