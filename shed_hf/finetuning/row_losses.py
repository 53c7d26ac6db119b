"""The loss of rows under the model: of a completion with its prompt and without it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from shed_hf.data.tokenization import IGNORED, Tokens, split_at_completion
from shed_hf.evaluation.batches import Candidate
from shed_hf.evaluation.log_likelihood import LOGITS_PER_BATCH, TOKENS_PER_BATCH, LikelihoodBatches
from shed_hf.types import FloatMatrix, FloatVector, IntVector
from shed_hf.utils.progress import progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from shed_hf.finetuning.session import TrainingSession

CHUNK = 512


def features_of(utility: "TrainingSession", rows: IntVector) -> FloatMatrix:
    """Loss, unconditional loss and length of every row under the utility's model as it is now.

    Rows are read ``CHUNK`` at a time and their tokens not kept. The model is left in the mode it was in.

    Args:
        utility: The trainer with its evaluation and rows.
        rows: Row ids, ``(n,)``.

    Returns:
        ``(n, 3)``, the columns of `features_of_tokens`.
    """
    model, tokenizer = utility.trainer.model, utility.evaluation.tokenizer
    features = np.full((len(rows), 3), np.nan)
    training = model.training
    model.eval()
    try:
        with progress("losses of rows", len(rows), "row") as shown:
            for start in range(0, len(rows), CHUNK):
                chunk = rows[start : start + CHUNK]
                features[start : start + len(chunk)] = features_of_tokens(
                    model, utility.rows.read_tokens(chunk), tokenizer
                )
                shown.advance(len(chunk))
    finally:
        model.train(training)
    return features


def features_of_tokens(
    model: "PreTrainedModel", rows: Sequence[Tokens], tokenizer: "PreTrainedTokenizerBase"
) -> FloatMatrix:
    """How hard each row's last completion is for the model.

    Both losses are those of Li et al. 2023, arXiv 2308.12032: s(A|Q) and s(A). A row that is all completion is
    conditioned on its first token in both. The model should be in eval mode.

    Args:
        model: The causal language model.
        rows: The rows' tokens.
        tokenizer: The tokenizer, for its special tokens.

    Returns:
        ``(n, 3)``: the negative mean log-likelihood of the learned tokens given all that stands before them, in nats a
        token; the same after one opening token; the log of the number of those tokens. Rows without a learned token are
        NaN.
    """
    features = np.full((len(rows), 3), np.nan)
    whole = [_completion(tokens) for tokens in rows]
    learning = [place for place, candidate in enumerate(whole) if candidate.n_completion > 0]
    if not learning:
        return features
    given, opening = [whole[place] for place in learning], _Opening(tokenizer)
    alone = [opening.without_prompt(whole[place], rows[place]) for place in learning]
    features[learning, 0] = -mean_log_likelihoods(model, given)
    features[learning, 1] = -mean_log_likelihoods(model, alone)
    features[learning, 2] = np.log([candidate.n_completion for candidate in given])
    return features


def mean_log_likelihoods(model: "PreTrainedModel", candidates: Sequence[Candidate]) -> FloatVector:
    """The log-likelihood per token of every candidate's completion.

    Args:
        model: The causal language model.
        candidates: Token ids with the place where the completion begins.

    Returns:
        ``(n,)``, in nats.
    """
    vocabulary, device = model.config.get_text_config().vocab_size, next(model.parameters()).device
    means = np.zeros(len(candidates))
    for places in _within_budget(candidates, vocabulary):
        batches = LikelihoodBatches([candidates[place] for place in places], vocabulary, device)
        means[places] = batches(model).per_token
    return means


def _completion(tokens: Tokens) -> Candidate:
    """The last run of learned tokens after all that stands before it."""
    learned = np.flatnonzero(tokens.labels != IGNORED)
    end = int(learned[-1]) + 1 if len(learned) else 0
    return Candidate(tokens.ids[:end], min(split_at_completion(tokens), end))


class _Opening:
    """What replaces the prompt where a completion is read without it.

    It is the row's own first token where that is a special one, else the beginning of a sequence, else the end of
    another. A model depends on what it was trained to see first: one that begins every row with a role's token reads
    a completion badly after any other.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        added = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._special = added | set(tokenizer.all_special_ids)
        self._otherwise = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id

    def without_prompt(self, candidate: Candidate, tokens: Tokens) -> Candidate:
        """The same completion after the opening alone; a row that is all completion has no prompt to take away."""
        first = int(tokens.ids[0])
        all_completion = candidate.start == 1 and tokens.labels[0] != IGNORED
        opening = first if all_completion or first in self._special else self._otherwise
        return Candidate(np.concatenate([[opening], candidate.ids[candidate.start :]]), 1)


def _within_budget(candidates: Sequence[Candidate], vocabulary: int) -> Iterator[list[int]]:
    """Candidates of like length together, few enough for one batch.

    `LikelihoodBatches` keeps those with one prompt together, however many; here a whole pool may have the same one.
    """
    batch: list[int] = []
    start = longest = 0
    order = sorted(range(len(candidates)), key=lambda place: (candidates[place].n_completion, candidates[place].start))
    for place in order:  # completions padded little: their logits cost more than a prompt's states
        candidate = candidates[place]
        start, longest = max(start, candidate.start), max(longest, candidate.n_completion)
        size = len(batch) + 1
        tokens, logits = size * (start + longest), size * (longest + 1) * vocabulary
        if batch and (tokens > TOKENS_PER_BATCH or logits > LOGITS_PER_BATCH):
            yield batch
            batch, start, longest = [], candidate.start, candidate.n_completion
        batch.append(place)
    if batch:
        yield batch
