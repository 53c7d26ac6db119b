"""Log-likelihoods of completions under a model: a prompt is read once for all its completions, batches are sorted by
length, logits are computed only where completions are.
"""

import inspect
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

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
    """Prompts padded on the left, so that all end in one column, and their completions padded on the right."""

    places: list[int]
    prompts: torch.Tensor  # (P, T)
    mask: torch.Tensor  # (P, T)
    owner: torch.Tensor  # (B,) the prompt of each completion
    labels: torch.Tensor  # (B, K)
    counted: torch.Tensor  # (B, K) True where a label counts, K the longest completion


class LikelihoodBatches:
    """Candidates laid out once for many evaluations; calling it on a model gives one `Likelihoods` over all of them.

    Candidates with the same prompt share one reading of it where the model keeps keys and values; other models read
    each candidate whole.
    """

    def __init__(self, candidates: Sequence[Candidate], vocabulary: int, device: torch.device) -> None:
        self.tokens = np.array([candidate.n_completion for candidate in candidates], dtype=np.int64)
        self._batches = [_padded(candidates, groups, device) for groups in _batched(candidates, vocabulary)]

    @torch.no_grad()
    def __call__(self, model: PreTrainedModel) -> Likelihoods:
        """Log-likelihoods under the model as it is now; it should be in eval mode."""
        total = np.zeros(len(self.tokens))
        greedy = np.zeros(len(self.tokens), dtype=np.bool_)
        for places, sums, matches in self.sums(model):
            total[places] = sums.double().cpu().numpy()
            greedy[places] = matches.cpu().numpy()
        return Likelihoods(total, self.tokens, greedy)

    def sums(self, model: PreTrainedModel) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
        """Batch by batch: the candidates' places, their summed log-likelihoods ``(B,)``, and whether greedy decoding
        gives them. Gradients flow where they are enabled.
        """
        narrow = "logits_to_keep" in inspect.signature(_plain(model).forward).parameters
        for batch in self._batches:
            logits = _logits(model, batch, narrow)  # (B, K, V)
            chosen = logits.gather(-1, batch.labels[..., None])[..., 0].float()
            log_p = chosen - torch.logsumexp(logits.float(), dim=-1)
            matches = (logits.argmax(-1) == batch.labels) | ~batch.counted
            yield batch.places, torch.where(batch.counted, log_p, 0.0).sum(-1), matches.all(-1)


def _plain(model: PreTrainedModel) -> PreTrainedModel:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _logits(model: PreTrainedModel, batch: _Batch, narrow: bool) -> torch.Tensor:
    """The logits that predict each completion token, ``(B, K, V)``."""
    shared = len(batch.prompts) < len(batch.owner) and not torch.is_grad_enabled()
    if shared:
        first = _read(model, batch.prompts, batch.mask, 1 if narrow else 0, use_cache=True)
        cache = first.past_key_values
        if type(cache) is DynamicCache and cache.is_croppable:  # plain keys and values: one line per prompt
            return _continued(model, batch, first.logits[:, -1:], cache)
    ids = torch.cat([batch.prompts[batch.owner], batch.labels], dim=1)
    mask = torch.cat([batch.mask[batch.owner], batch.counted.long()], dim=1)
    keep = batch.labels.shape[1] + 1  # the logits before the first completion token predict it
    logits: torch.Tensor = _read(model, ids, mask, keep if narrow else 0).logits[:, -keep:-1]
    return logits


def _continued(model: PreTrainedModel, batch: _Batch, first: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
    """Go on from the prompts' keys and values with all but the last token of every completion."""
    if batch.labels.shape[1] == 1:
        return first[batch.owner]
    cache.batch_select_indices(batch.owner)
    mask = torch.cat([batch.mask[batch.owner], batch.counted[:, :-1].long()], dim=1)
    rest = _read(model, batch.labels[:, :-1], mask, 0, past_key_values=cache, use_cache=True).logits
    return torch.cat([first[batch.owner], rest], dim=1)


def _read(
    model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor, keep: int, use_cache: bool = False, **past: Any
) -> Any:
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    extra = {"logits_to_keep": keep} if keep else {}
    return model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=use_cache, **past, **extra)


def _batched(candidates: Sequence[Candidate], vocabulary: int) -> Iterator[list[list[int]]]:
    """Groups of candidates of one prompt, prompts of like length together, within a budget of tokens and of logits."""
    of_prompt: dict[bytes, list[int]] = defaultdict(list)
    for place, candidate in enumerate(candidates):
        of_prompt[candidate.ids[: candidate.start].tobytes()].append(place)

    def widest(group: list[int]) -> int:
        return max(candidates[place].n_completion for place in group)

    batch: list[list[int]] = []
    groups = [part for group in of_prompt.values() for part in _parts(group, candidates)]
    for group in sorted(groups, key=lambda group: (candidates[group[0]].start, widest(group))):
        size = sum(map(len, batch)) + len(group)
        longest = max(widest(other) for other in [*batch, group])
        tokens = (len(batch) + 1) * candidates[group[0]].start + size * longest
        if batch and (tokens > TOKENS_PER_BATCH or size * (longest + 1) * vocabulary > LOGITS_PER_BATCH):
            yield batch
            batch = []
        batch.append(group)
    if batch:
        yield batch


def _parts(group: list[int], candidates: Sequence[Candidate]) -> Iterator[list[int]]:
    """The completions of one prompt, a batch of like length at a time."""
    by_length = sorted(group, key=lambda place: candidates[place].n_completion)
    part: list[int] = []
    for place in by_length:
        if part and (len(part) + 1) * len(candidates[place].ids) > TOKENS_PER_BATCH:
            yield part
            part = []
        part.append(place)
    yield part


def _padded(candidates: Sequence[Candidate], groups: list[list[int]], device: torch.device) -> _Batch:
    places = [place for group in groups for place in group]
    longest = max(candidates[place].start for place in places)
    widest = max(candidates[place].n_completion for place in places)
    prompts = torch.zeros(len(groups), longest, dtype=torch.long)
    mask = torch.zeros(len(groups), longest, dtype=torch.long)
    labels = torch.zeros(len(places), widest, dtype=torch.long)
    counted = torch.zeros(len(places), widest, dtype=torch.bool)
    for line, group in enumerate(groups):
        prompt = torch.from_numpy(candidates[group[0]].ids[: candidates[group[0]].start])
        prompts[line, longest - len(prompt) :] = prompt
        mask[line, longest - len(prompt) :] = 1
    for line, place in enumerate(places):
        completion = torch.from_numpy(candidates[place].ids[candidates[place].start :])
        labels[line, : len(completion)] = completion
        counted[line, : len(completion)] = True
    owner = torch.tensor([line for line, group in enumerate(groups) for _ in group])
    return _Batch(places, *(part.to(device) for part in (prompts, mask, owner, labels, counted)))
