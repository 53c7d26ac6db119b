"""Log-likelihoods of completions under a model, at the least cost.

What all prompts begin with is read once, a prompt once for all its completions, lines of like length together, and
logits are computed only where completions are.
"""

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

from shed_hf.evaluation.batches import Batch, Candidate, batched
from shed_hf.evaluation.memory import Budget, budget_on, evaluated_within_memory
from shed_hf.evaluation.objectives import Likelihoods
from shed_hf.evaluation.shared_prefix import ahead_of, plain_cache, shared_prefix

TOKENS_PER_BATCH = 4096
LOGITS_PER_BATCH = 2**26


class LikelihoodBatches:
    """Candidates laid out once, in padded batches, for the evaluation of many models.

    Where the model keeps keys and values, what all prompts begin with is read once for each state of the model, and
    candidates with the same prompt share one reading of it; other models read each candidate whole.

    Args:
        candidates: What to read.
        vocabulary: The size of the model's vocabulary.
        device: Where the model is.
        budget: How large a batch may be; by default `TOKENS_PER_BATCH` and `LOGITS_PER_BATCH`.
        share_prompts: Whether readings are shared. Without, every candidate has a line of its own, as where gradients
            are needed line by line.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        vocabulary: int,
        device: torch.device,
        budget: Budget | None = None,
        share_prompts: bool = True,
    ) -> None:
        self.tokens = np.array([candidate.n_completion for candidate in candidates], dtype=np.int64)
        self._candidates, self._vocabulary, self._device = candidates, vocabulary, device
        self._share_prompts = share_prompts
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
        self._batches = batched(self._candidates, self._vocabulary, self._device, budget, self._share_prompts)
        n_lines = sum(len(batch.lines) for batch in self._batches) if self._share_prompts else 0
        self._prefix = torch.from_numpy(shared_prefix(self._candidates, n_lines, self._device)).to(self._device)

    def _halve(self) -> bool:
        if len(self._batches) == len(self.tokens):
            return False
        self._lay_out(self.budget.halved())
        return True

    def sums(
        self, model: PreTrainedModel, before: Callable[[list[int]], None] | None = None
    ) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
        """Log-likelihoods batch by batch, on the model's device. Gradients flow where they are enabled.

        Args:
            model: The model, in eval mode.
            before: Called with the candidates' positions before each batch is read.

        Yields:
            The candidates' positions, their summed log-likelihoods ``(B,)`` in nats, and whether greedy decoding gives
            them ``(B,)``.
        """
        narrow, prefix = _can_limit_logits(model), self._read_prefix(model)
        for batch in self._batches:
            if before is not None:
                before(batch.places)
            yield batch.places, *_sums_of(model, batch, narrow, prefix)

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
            prefix = self._read_prefix(model, stop - start)
            parts += [
                (start, stop, batch.places, *_sums_of(model, batch.copies(stop - start), narrow, prefix))
                for batch in self._batches
            ]
        total = np.zeros((n_adapters, len(self.tokens)))
        greedy = np.zeros((n_adapters, len(self.tokens)), dtype=np.bool_)
        for start, stop, places, sums, matches in parts:  # after all are under way: taking them waits for the device
            total[start:stop, places] = sums.double().cpu().numpy().reshape(stop - start, -1)
            greedy[start:stop, places] = matches.cpu().numpy().reshape(stop - start, -1)
        return [Likelihoods(of_adapter, self.tokens, right) for of_adapter, right in zip(total, greedy, strict=True)]

    def _read_prefix(self, model: PreTrainedModel, n_copies: int = 1) -> DynamicCache | None:
        """The keys and values of what all prompts begin with, a line for each copy; None where nothing is shared."""
        if not len(self._prefix) or torch.is_grad_enabled():
            return None
        ids = self._prefix.repeat(n_copies, 1)
        return plain_cache(
            _read(model, ids, torch.ones_like(ids), 1 if _can_limit_logits(model) else 0, use_cache=True)
        )

    def _copies_at_once(self, model: PreTrainedModel) -> int:
        """How many copies of every batch may be read at once: an accelerator is full with a few, a CPU with one."""
        vocabulary = int(model.config.get_text_config().vocab_size)
        tokens = max(batch.n_tokens for batch in self._batches)
        logits = max(batch.n_logits for batch in self._batches) * vocabulary
        return max(1, min(self.budget.tokens // tokens, self.budget.logits // logits))


def _can_limit_logits(model: PreTrainedModel) -> bool:
    """Whether the model can compute logits for the last positions only."""
    return "logits_to_keep" in inspect.signature(base_model(model).forward).parameters


def _sums_of(
    model: PreTrainedModel, batch: Batch, narrow: bool, prefix: DynamicCache | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed log-likelihoods ``(B,)`` of the batch's completions, and whether greedy decoding gives them."""
    logits = _of_whole(model, batch, narrow, prefix) if batch.whole else _of_shared(model, batch, narrow, prefix)
    parts = [_of_part(batch, numbers, of_numbers) for numbers, of_numbers in logits]
    sums, matches, numbers = (torch.cat(of_parts) for of_parts in zip(*parts, strict=True))
    back = torch.argsort(numbers)
    return sums[back], matches[back]


def _of_part(
    batch: Batch, numbers: torch.Tensor, logits: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    labels, counted = (tensor[numbers, : logits.shape[1]] for tensor in (batch.labels, batch.counted))
    chosen = logits.gather(-1, labels[..., None])[..., 0].float()
    log_p = chosen - torch.logsumexp(logits.float(), dim=-1)
    matches = (logits.argmax(-1) == labels) | ~counted
    return torch.where(counted, log_p, 0.0).sum(-1), matches.all(-1), numbers


def base_model(model: PreTrainedModel) -> PreTrainedModel:
    """The model below its adapter, or the model itself.

    Args:
        model: A model, with or without an adapter of peft's.

    Returns:
        The model of transformers.
    """
    return model.get_base_model() if hasattr(model, "get_base_model") else model


_Logits = Iterator[tuple[torch.Tensor, torch.Tensor]]
"""Numbers of completions with the logits that predict their tokens, ``(b, k, V)``."""


def _of_whole(model: PreTrainedModel, batch: Batch, narrow: bool, prefix: DynamicCache | None) -> _Logits:
    """Lines that hold their completions, all of which end in the last column."""
    keep = batch.labels.shape[1]
    logits: torch.Tensor = _read_lines(model, batch, keep if narrow else 0, prefix).logits
    yield batch.owner, logits[:, logits.shape[1] - keep :]


def _of_shared(model: PreTrainedModel, batch: Batch, narrow: bool, prefix: DynamicCache | None) -> _Logits:
    """Prompts, each read once; where the model does not keep their keys and values, once for each completion."""
    first = _read_lines(model, batch, 1 if narrow else 0, prefix, use_cache=True)
    cache: Any = getattr(first, "past_key_values", None)  # a recurrent model has none
    if type(cache) is DynamicCache and cache.is_croppable:  # plain keys and values: one line per prompt
        for numbers, longest in batch.parts:
            yield numbers, _continued(model, batch, numbers, longest, first.logits[:, -1:], cache)
        return
    ids = torch.cat([batch.lines[batch.owner], batch.labels], dim=1)
    mask = torch.cat([batch.mask[batch.owner], batch.counted.long()], dim=1)
    keep = batch.labels.shape[1] + 1  # the logits before the first completion token predict it
    logits: torch.Tensor = _read(model, ids, mask, keep if narrow else 0).logits[:, -keep:-1]
    yield torch.arange(len(ids), device=ids.device), logits


def _continued(
    model: PreTrainedModel, batch: Batch, numbers: torch.Tensor, longest: int, first: torch.Tensor, cache: DynamicCache
) -> torch.Tensor:
    """Go on from the prompts' keys and values with all but the last token of every completion."""
    owner = batch.owner[numbers]
    if longest == 1:
        return first[owner]
    own = copy.copy(cache)
    own.layers = [copy.copy(layer) for layer in cache.layers]
    own.batch_select_indices(owner)
    labels, counted = batch.labels[numbers, : longest - 1], batch.counted[numbers, : longest - 1]
    mask = torch.cat([batch.mask[owner], counted.long()], dim=1)
    rest = _read(model, labels, mask, 0, past_key_values=own, use_cache=True).logits
    return torch.cat([first[owner], rest], dim=1)


def _read_lines(
    model: PreTrainedModel, batch: Batch, keep: int, prefix: DynamicCache | None, use_cache: bool = False
) -> Any:
    """Read the lines of a batch, all of them or what follows the prefix."""
    if prefix is None:
        return _read(model, batch.lines, batch.mask, keep, use_cache)
    ids = batch.lines[:, prefix.get_seq_length() :]
    return _read(model, ids, batch.mask, keep, use_cache=True, past_key_values=ahead_of(prefix, batch))


def _read(
    model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor, keep: int, use_cache: bool = False, **past: Any
) -> Any:
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    extra = {"logits_to_keep": keep} if keep else {}
    return model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=use_cache, **past, **extra)
