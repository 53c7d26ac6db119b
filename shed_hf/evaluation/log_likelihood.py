"""Log-likelihoods of completions under a model, at the least cost.

A prompt is read once for all its completions, batches are sorted by length, and logits are computed only where
completions are.
"""

import copy
import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

from shed_hf.evaluation.memory import Budget, budget_on, evaluated_within_memory
from shed_hf.evaluation.objectives import Likelihoods
from shed_hf.types import IntVector

TOKENS_PER_BATCH = 4096
LOGITS_PER_BATCH = 2**26


PADDING_WORTH_A_PASS, PADDING_WORTH_A_PASS_ON_CPU = 2**14, 64
"""How many tokens of padding must be saved for the completions of a batch to be read in one more forward pass."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A prompt with one completion of it, tokenised.

    Attributes:
        ids: Token ids of prompt and completion ``(t,)``.
        start: The position at which the completion begins.
    """

    ids: IntVector
    start: int

    @property
    def n_completion(self) -> int:
        """The number of tokens of the completion."""
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
    parts: list[tuple[torch.Tensor, int]]  # completions of like length: their lines, and the longest of them

    @property
    def n_tokens(self) -> int:
        return self.prompts.numel() + self.labels.numel()

    @property
    def n_logits(self) -> int:
        return self.labels.numel() + len(self.labels)

    def copies(self, n: int) -> "_Batch":
        """The batch n times over, one whole copy after the other."""
        owner = torch.cat([self.owner + copy * len(self.prompts) for copy in range(n)])
        tensors = (part.repeat(n, 1) for part in (self.prompts, self.mask, self.labels, self.counted))
        prompts, mask, labels, counted = tensors
        size = len(self.owner)
        parts = [(torch.cat([lines + copy * size for copy in range(n)]), longest) for lines, longest in self.parts]
        return _Batch(self.places, prompts, mask, owner, labels, counted, parts)


class LikelihoodBatches:
    """Candidates laid out once, in padded batches, for the evaluation of many models.

    Candidates with the same prompt share one reading of it where the model keeps keys and values; other models read
    each candidate whole.

    Args:
        candidates: What to read.
        vocabulary: The size of the model's vocabulary.
        device: Where the model is.
        budget: How large a batch may be; by default `TOKENS_PER_BATCH` and `LOGITS_PER_BATCH`.
    """

    def __init__(
        self, candidates: Sequence[Candidate], vocabulary: int, device: torch.device, budget: Budget | None = None
    ) -> None:
        self.tokens = np.array([candidate.n_completion for candidate in candidates], dtype=np.int64)
        self._candidates, self._vocabulary, self._device = candidates, vocabulary, device
        self._lay_out(budget or Budget(TOKENS_PER_BATCH, LOGITS_PER_BATCH))

    @classmethod
    def for_model(cls, candidates: Sequence[Candidate], model: PreTrainedModel) -> "LikelihoodBatches":
        """Batches as large as the free memory of the model's device allows.

        Args:
            candidates: What to read.
            model: The model that will read them.

        Returns:
            The batches, on the model's device.
        """
        budget = budget_on(model, Budget(TOKENS_PER_BATCH, LOGITS_PER_BATCH))
        device = next(model.parameters()).device
        return cls(candidates, model.config.get_text_config().vocab_size, device, budget)

    @torch.no_grad()
    def __call__(self, model: PreTrainedModel) -> Likelihoods:
        """Log-likelihoods under a model. Where memory runs out, batches are halved, for this and all later calls.

        Args:
            model: The model, in eval mode.

        Returns:
            The log-likelihoods of all candidates, in their order.

        Raises:
            InputError: Where not even a single candidate fits into memory.
        """
        return evaluated_within_memory(partial(self._likelihoods, model), self._halve)

    def _likelihoods(self, model: PreTrainedModel) -> Likelihoods:
        places, sums, matches = zip(*self.sums(model), strict=True)
        order = np.concatenate(places)
        total = np.zeros(len(self.tokens))
        greedy = np.zeros(len(self.tokens), dtype=np.bool_)
        total[order] = torch.cat(sums).double().cpu().numpy()  # after all are under way: taking them waits
        greedy[order] = torch.cat(matches).cpu().numpy()
        return Likelihoods(total, self.tokens, greedy)

    def _lay_out(self, budget: Budget) -> None:
        self.budget = budget
        groups = _batched(self._candidates, self._vocabulary, budget)
        self._batches = [_padded(self._candidates, batch, self._device) for batch in groups]

    def _halve(self) -> bool:
        if len(self._batches) == len(self.tokens):
            return False
        self._lay_out(self.budget.halved())
        return True

    def sums(self, model: PreTrainedModel) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
        """Log-likelihoods batch by batch, on the model's device. Gradients flow where they are enabled.

        Args:
            model: The model, in eval mode.

        Yields:
            The candidates' positions, their summed log-likelihoods ``(B,)`` in nats, and whether greedy decoding gives
            them ``(B,)``.
        """
        narrow = _can_limit_logits(model)
        for batch in self._batches:
            yield batch.places, *_sums_of(model, batch, narrow)

    @torch.no_grad()
    def of_adapters(
        self, model: PreTrainedModel, n_adapters: int, select: Callable[[int, int], None]
    ) -> list[Likelihoods]:
        """Log-likelihoods under each of several adapters of one model, read in shared forward passes.

        Args:
            model: The model that carries the adapters, in eval mode.
            n_adapters: How many adapters to read with.
            select: After ``select(start, stop)`` the model applies adapter ``start + i`` to copy i of a batch, which
                then holds ``stop - start`` copies of its rows, one copy after the other.

        Returns:
            For each adapter the log-likelihoods of all candidates, in their order.
        """
        parts, narrow = [], _can_limit_logits(model)
        at_once = min(n_adapters, self._copies_at_once(model))
        for start in range(0, n_adapters, at_once):
            stop = min(start + at_once, n_adapters)
            select(start, stop)
            parts += [
                (start, stop, batch.places, *_sums_of(model, batch.copies(stop - start), narrow))
                for batch in self._batches
            ]
        total = np.zeros((n_adapters, len(self.tokens)))
        greedy = np.zeros((n_adapters, len(self.tokens)), dtype=np.bool_)
        for start, stop, places, sums, matches in parts:  # after all are under way: taking them waits for the device
            total[start:stop, places] = sums.double().cpu().numpy().reshape(stop - start, -1)
            greedy[start:stop, places] = matches.cpu().numpy().reshape(stop - start, -1)
        return [Likelihoods(of_adapter, self.tokens, right) for of_adapter, right in zip(total, greedy, strict=True)]

    def _copies_at_once(self, model: PreTrainedModel) -> int:
        """How many copies of every batch may be read at once: an accelerator is full with a few, a CPU with one."""
        vocabulary = int(model.config.get_text_config().vocab_size)
        tokens = max(batch.n_tokens for batch in self._batches)
        logits = max(batch.n_logits for batch in self._batches) * vocabulary
        return max(1, min(self.budget.tokens // tokens, self.budget.logits // logits))


def _can_limit_logits(model: PreTrainedModel) -> bool:
    """Whether the model can compute logits for the last positions only."""
    return "logits_to_keep" in inspect.signature(base_model(model).forward).parameters


def _sums_of(model: PreTrainedModel, batch: _Batch, narrow: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed log-likelihoods ``(B,)`` of the batch's completions, and whether greedy decoding gives them."""
    parts = [_of_part(batch, lines, logits) for lines, logits in _logits(model, batch, narrow)]
    sums, matches, lines = (torch.cat(of_parts) for of_parts in zip(*parts, strict=True))
    back = torch.argsort(lines)
    return sums[back], matches[back]


def _of_part(
    batch: _Batch, lines: torch.Tensor, logits: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    labels, counted = (tensor[lines, : logits.shape[1]] for tensor in (batch.labels, batch.counted))
    chosen = logits.gather(-1, labels[..., None])[..., 0].float()
    log_p = chosen - torch.logsumexp(logits.float(), dim=-1)
    matches = (logits.argmax(-1) == labels) | ~counted
    return torch.where(counted, log_p, 0.0).sum(-1), matches.all(-1), lines


def base_model(model: PreTrainedModel) -> PreTrainedModel:
    """The model below its adapter, or the model itself.

    Args:
        model: A model, with or without an adapter of peft's.

    Returns:
        The model of transformers.
    """
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _logits(model: PreTrainedModel, batch: _Batch, narrow: bool) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Lines of the batch with the logits that predict their completions' tokens, ``(b, k, V)``."""
    shared = len(batch.prompts) < len(batch.owner) and not torch.is_grad_enabled()
    if shared:
        first = _read(model, batch.prompts, batch.mask, 1 if narrow else 0, use_cache=True)
        cache = first.past_key_values
        if type(cache) is DynamicCache and cache.is_croppable:  # plain keys and values: one line per prompt
            for lines, longest in batch.parts:
                yield lines, _continued(model, batch, lines, longest, first.logits[:, -1:], cache)
            return
    ids = torch.cat([batch.prompts[batch.owner], batch.labels], dim=1)
    mask = torch.cat([batch.mask[batch.owner], batch.counted.long()], dim=1)
    keep = batch.labels.shape[1] + 1  # the logits before the first completion token predict it
    logits: torch.Tensor = _read(model, ids, mask, keep if narrow else 0).logits[:, -keep:-1]
    yield torch.arange(len(ids), device=ids.device), logits


def _continued(
    model: PreTrainedModel, batch: _Batch, lines: torch.Tensor, longest: int, first: torch.Tensor, cache: DynamicCache
) -> torch.Tensor:
    """Go on from the prompts' keys and values with all but the last token of every completion."""
    owner = batch.owner[lines]
    if longest == 1:
        return first[owner]
    own = copy.copy(cache)
    own.layers = [copy.copy(layer) for layer in cache.layers]
    own.batch_select_indices(owner)
    labels, counted = batch.labels[lines, : longest - 1], batch.counted[lines, : longest - 1]
    mask = torch.cat([batch.mask[owner], counted.long()], dim=1)
    rest = _read(model, labels, mask, 0, past_key_values=own, use_cache=True).logits
    return torch.cat([first[owner], rest], dim=1)


def _read(
    model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor, keep: int, use_cache: bool = False, **past: Any
) -> Any:
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    extra = {"logits_to_keep": keep} if keep else {}
    return model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=use_cache, **past, **extra)


def _batched(candidates: Sequence[Candidate], vocabulary: int, budget: Budget) -> Iterator[list[list[int]]]:
    """Groups of candidates of one prompt, prompts of like length together, within a budget of tokens and of logits."""
    of_prompt: dict[bytes, list[int]] = defaultdict(list)
    for place, candidate in enumerate(candidates):
        of_prompt[candidate.ids[: candidate.start].tobytes()].append(place)

    def widest(group: list[int]) -> int:
        return max(candidates[place].n_completion for place in group)

    batch: list[list[int]] = []
    groups = [part for group in of_prompt.values() for part in _parts(group, candidates, budget)]
    for group in sorted(groups, key=lambda group: (candidates[group[0]].start, widest(group))):
        size = sum(map(len, batch)) + len(group)
        longest = max(widest(other) for other in [*batch, group])
        tokens = (len(batch) + 1) * candidates[group[0]].start + size * longest
        if batch and (tokens > budget.tokens or size * (longest + 1) * vocabulary > budget.logits):
            yield batch
            batch = []
        batch.append(group)
    if batch:
        yield batch


def _parts(group: list[int], candidates: Sequence[Candidate], budget: Budget) -> Iterator[list[int]]:
    """The completions of one prompt, a batch of like length at a time."""
    by_length = sorted(group, key=lambda place: candidates[place].n_completion)
    part: list[int] = []
    for place in by_length:
        if part and (len(part) + 1) * len(candidates[place].ids) > budget.tokens:
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
    worth = PADDING_WORTH_A_PASS_ON_CPU if device.type == "cpu" else PADDING_WORTH_A_PASS
    parts = [(lines.to(device), longest) for lines, longest in _by_length(counted.sum(dim=1), worth)]
    prompts, mask, owner, labels, counted = (part.to(device) for part in (prompts, mask, owner, labels, counted))
    return _Batch(places, prompts, mask, owner, labels, counted, parts)


def _by_length(lengths: torch.Tensor, worth: int) -> list[tuple[torch.Tensor, int]]:
    """Completions in parts of like length, each with its longest: the split that costs the fewest tokens."""
    kinds, counts = (tensor.tolist() for tensor in torch.unique(lengths, return_counts=True))
    least, cut = [0], [0]  # by how many kinds of lengths are done: tokens read, and where their last part begins
    for stop in range(1, len(kinds) + 1):
        costs = [least[start] + worth + kinds[stop - 1] * sum(counts[start:stop]) for start in range(stop)]
        cut.append(int(np.argmin(costs)))
        least.append(costs[cut[-1]])
    parts, stop = [], len(kinds)
    while stop:
        within = (lengths >= kinds[cut[stop]]) & (lengths <= kinds[stop - 1])
        parts.append((within.nonzero()[:, 0], int(kinds[stop - 1])))
        stop = cut[stop]
    return parts
