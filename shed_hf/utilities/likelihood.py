"""Log-likelihoods of completions under a model: batches sorted by length, logits only where completions are."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from shed_hf.arrays import IntVector
from shed_hf.objectives import Likelihoods

TOKENS_PER_BATCH = 4096
LOGITS_PER_BATCH = 2**26


@dataclass(frozen=True, eq=False)
class Candidate:
    """Token ids ``(t,)`` of prompt and completion, and where the completion begins."""

    ids: IntVector
    start: int

    @property
    def n_completion(self) -> int:
        """Tokens of the completion."""
        return len(self.ids) - self.start


@dataclass(frozen=True, eq=False)
class _Batch:
    """Candidates padded on the left, so that all completions end in the last column."""

    places: list[int]
    ids: torch.Tensor  # (B, T)
    mask: torch.Tensor  # (B, T)
    completion: torch.Tensor  # (B, K) True where a label counts, K the longest completion


class LikelihoodBatches:
    """Candidates laid out once for many evaluations; calling it on a model gives one `Likelihoods` over all of them."""

    def __init__(self, candidates: Sequence[Candidate], vocabulary: int, device: torch.device) -> None:
        self.tokens = np.array([candidate.n_completion for candidate in candidates], dtype=np.int64)
        self._batches = [_padded(candidates, places, device) for places in _places(candidates, vocabulary)]

    @torch.no_grad()
    def __call__(self, model: PreTrainedModel) -> Likelihoods:
        """Log-likelihoods under the model as it is now; it should be in eval mode."""
        total = np.zeros(len(self.tokens))
        greedy = np.zeros(len(self.tokens), dtype=np.bool_)
        narrow = "logits_to_keep" in inspect.signature(_plain(model).forward).parameters
        for batch in self._batches:
            sums, matches = _likelihoods(model, batch, narrow)
            total[batch.places] = sums.double().cpu().numpy()
            greedy[batch.places] = matches.cpu().numpy()
        return Likelihoods(total, self.tokens, greedy)


def _plain(model: PreTrainedModel) -> PreTrainedModel:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _likelihoods(model: PreTrainedModel, batch: _Batch, narrow: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed log-likelihood and exact greedy match per candidate, ``(B,)`` each."""
    keep = batch.completion.shape[1] + 1  # the logits before the first completion token predict it
    positions = (batch.mask.cumsum(-1) - 1).clamp(min=0)
    extra = {"logits_to_keep": keep} if narrow else {}
    logits = model(
        input_ids=batch.ids, attention_mask=batch.mask, position_ids=positions, use_cache=False, **extra
    ).logits[:, -keep:-1]  # (B, K, V)
    labels = batch.ids[:, 1 - keep :]  # (B, K)
    chosen = logits.gather(-1, labels[..., None])[..., 0].float()
    log_p = chosen - torch.logsumexp(logits.float(), dim=-1)  # (B, K)
    matches = (logits.argmax(-1) == labels) | ~batch.completion
    return torch.where(batch.completion, log_p, 0.0).sum(-1), matches.all(-1)


def _places(candidates: Sequence[Candidate], vocabulary: int) -> Iterator[list[int]]:
    """Batches of candidates of like length, within a budget of tokens and of logits."""
    by_length = sorted(
        range(len(candidates)), key=lambda place: (len(candidates[place].ids), candidates[place].n_completion)
    )
    batch: list[int] = []
    for place in by_length:
        longest = len(candidates[place].ids)
        widest = max(candidates[other].n_completion for other in [*batch, place]) + 1
        size = len(batch) + 1
        if batch and (size * longest > TOKENS_PER_BATCH or size * widest * vocabulary > LOGITS_PER_BATCH):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _padded(candidates: Sequence[Candidate], places: list[int], device: torch.device) -> _Batch:
    longest = max(len(candidates[place].ids) for place in places)
    widest = max(candidates[place].n_completion for place in places)
    ids = torch.zeros(len(places), longest, dtype=torch.long)
    mask = torch.zeros(len(places), longest, dtype=torch.long)
    completion = torch.zeros(len(places), widest, dtype=torch.bool)
    for line, place in enumerate(places):
        tokens = torch.from_numpy(candidates[place].ids)
        ids[line, longest - len(tokens) :] = tokens
        mask[line, longest - len(tokens) :] = 1
        completion[line, widest - candidates[place].n_completion :] = True
    return _Batch(places, ids.to(device), mask.to(device), completion.to(device))
