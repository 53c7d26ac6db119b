"""Padded batches of candidates: lines of like length together, so that little is read that does not count.

Completions of one prompt share a batch of *prompts*; a candidate whose prompt nobody shares is one *whole* line. All
lines are padded on the left, so that the tokens that predict completions stand in the last columns.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from shed_hf.evaluation.memory import Budget
from shed_hf.types import FloatVector, IntVector

WORTH_A_PASS, WORTH_A_PASS_ON_CPU = 2**14, 64
"""How many tokens must be saved for one more forward pass: about what it costs beside its tokens."""


LOGITS_OF_A_TOKEN = 0.3
"""What one position's logits cost, in tokens read: measured on models of 3 to 135 million parameters, 0.27 to 0.42."""


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
class Batch:
    """Lines padded on the left, and the completions that belong to them.

    Attributes:
        places: Which candidates these are ``(B,)``.
        lines: Token ids ``(P, T)``: prompts, or where ``whole`` candidates without their last token.
        mask: 1 where a line has a token, 0 where it is padded ``(P, T)``.
        owner: The line of each candidate ``(B,)``.
        labels: The tokens of the completions ``(B, K)``, padded on the right; where ``whole`` on the left.
        counted: Where a label is a token ``(B, K)``.
        parts: Completions of like length: their numbers, and the longest of them.
        whole: Whether lines hold their completions, one each.
    """

    places: list[int]
    lines: torch.Tensor
    mask: torch.Tensor
    owner: torch.Tensor
    labels: torch.Tensor
    counted: torch.Tensor
    parts: list[tuple[torch.Tensor, int]]
    whole: bool

    @property
    def n_tokens(self) -> int:
        """How many tokens are held at most, padding included."""
        return self.lines.numel() + (0 if self.whole else self.labels.numel())

    @property
    def n_logits(self) -> int:
        """At how many positions logits are computed."""
        return self.labels.numel() + len(self.labels)

    def copies(self, n: int) -> "Batch":
        """The batch n times over, one whole copy after the other.

        Args:
            n: How many copies.

        Returns:
            A batch of ``n · P`` lines with the same places.
        """
        owner = torch.cat([self.owner + copy * len(self.lines) for copy in range(n)])
        tensors = (part.repeat(n, 1) for part in (self.lines, self.mask, self.labels, self.counted))
        lines, mask, labels, counted = tensors
        size = len(self.owner)
        parts = [(torch.cat([numbers + copy * size for copy in range(n)]), longest) for numbers, longest in self.parts]
        return Batch(self.places, lines, mask, owner, labels, counted, parts, self.whole)


def batched(
    candidates: Sequence[Candidate], vocabulary: int, device: torch.device, budget: Budget, share_prompts: bool
) -> list[Batch]:
    """Lay candidates out in batches that fit a budget and read the fewest tokens.

    Args:
        candidates: What to lay out.
        vocabulary: The size of the vocabulary, for the budget of logits.
        device: Where the batches are put.
        budget: The largest batch.
        share_prompts: Whether completions of one prompt are laid out behind one line of it.

    Returns:
        The batches, short lines first.
    """
    of_prompt: dict[bytes, list[int]] = defaultdict(list)
    for place, candidate in enumerate(candidates):
        of_prompt[candidate.ids[: candidate.start].tobytes() if share_prompts else str(place).encode()].append(place)
    worth = worth_a_pass(device)
    alone = [group for group in of_prompt.values() if len(group) == 1]
    shared = [part for group in of_prompt.values() if len(group) > 1 for part in _parts(group, candidates, budget)]
    batches = [
        _whole(candidates, [place for (place,) in groups], device)
        for groups in _of_like_length(alone, candidates, vocabulary, budget, worth, whole=True)
    ]
    behind_prompts = _of_like_length(shared, candidates, vocabulary, budget, 2 * worth, whole=False)
    return batches + [_behind_prompts(candidates, groups, device) for groups in behind_prompts]


def worth_a_pass(device: torch.device) -> int:
    """How many tokens must be saved for one more forward pass.

    Args:
        device: Where the model is.

    Returns:
        `WORTH_A_PASS`, or its value on a CPU.
    """
    return WORTH_A_PASS_ON_CPU if device.type == "cpu" else WORTH_A_PASS


def cheapest_stretches(n: int, costs: Callable[[int], FloatVector]) -> list[slice]:
    """Cut a sequence into the stretches that cost the least together, by dynamic programming.

    Args:
        n: The length of the sequence.
        costs: ``costs(end)`` gives the costs ``(w,)`` of the stretches that begin at ``end - w`` … ``end - 1`` and stop
            before ``end``; any longer one is out of the question.

    Returns:
        The stretches in order.
    """
    least, begins = np.zeros(n + 1), np.zeros(n + 1, dtype=np.int64)
    for end in range(1, n + 1):
        of_last = costs(end)
        found = least[end - len(of_last) : end] + of_last
        best = int(np.argmin(found))
        least[end], begins[end] = found[best], end - len(of_last) + best
    ends = [n]
    while ends[-1]:
        ends.append(int(begins[ends[-1]]))
    return [slice(start, end) for start, end in pairwise(reversed(ends))]


def _of_like_length(
    groups: list[list[int]],
    candidates: Sequence[Candidate],
    vocabulary: int,
    budget: Budget,
    overhead: float,
    whole: bool,
) -> Iterator[list[list[int]]]:
    """Groups of candidates, each of one prompt, in batches: sorted by the length of their lines, cut where it pays."""
    heads = [candidates[group[0]] for group in groups]
    widths = np.array([len(head.ids) - 1 if whole else head.start for head in heads], dtype=np.int64)
    tails = np.array([max(candidates[place].n_completion for place in group) for group in groups], dtype=np.int64)
    counts = np.array([len(group) for group in groups], dtype=np.int64)
    order = np.lexsort((tails, widths))
    widths, tails, counts = widths[order], tails[order], counts[order]
    first = 0

    def costs(end: int) -> FloatVector:
        nonlocal first
        n_lines = np.arange(end - first, 0, -1)
        n_candidates = np.cumsum(counts[first:end][::-1])[::-1]
        longest = np.maximum.accumulate(tails[first:end][::-1])[::-1]
        tokens = n_lines * widths[end - 1] + (0 if whole else n_candidates * longest)
        logits = n_candidates * (longest + 1)
        fits = (tokens <= budget.tokens) & (logits * vocabulary <= budget.logits)
        fits[-1] = True  # a group by itself, however large
        start = int(np.argmax(fits))  # what does not fit now does not with more lines either
        first += start
        return np.asarray(tokens + LOGITS_OF_A_TOKEN * logits + overhead, dtype=np.float64)[start:]

    for stretch in cheapest_stretches(len(groups), costs):
        yield [groups[place] for place in order[stretch]]


def _parts(group: list[int], candidates: Sequence[Candidate], budget: Budget) -> Iterator[list[int]]:
    """The completions of one prompt, a batch of like length at a time; those of one token are read off the prompt."""
    by_length = sorted(group, key=lambda place: candidates[place].n_completion)
    part: list[int] = []
    continued = 0
    for place in by_length:
        if candidates[place].n_completion > 1:
            if part and (continued + 1) * len(candidates[place].ids) > budget.tokens:
                yield part
                part, continued = [], 0
            continued += 1
        part.append(place)
    yield part


def _whole(candidates: Sequence[Candidate], places: list[int], device: torch.device) -> Batch:
    """A line for each candidate; what follows its last token is not asked for, so it is not read."""
    of_places = [candidates[place] for place in places]
    lines, mask = _on_the_left([one.ids[: max(len(one.ids) - 1, 1)] for one in of_places])
    labels, counted = _on_the_left([one.ids[one.start :] for one in of_places])
    numbers = torch.arange(len(places))
    tensors = (lines, mask, numbers, labels, counted.bool())
    lines, mask, owner, labels, counted = (tensor.to(device) for tensor in tensors)
    return Batch(places, lines, mask, owner, labels, counted, [(owner, labels.shape[1])], whole=True)


def _behind_prompts(candidates: Sequence[Candidate], groups: list[list[int]], device: torch.device) -> Batch:
    """A line for each prompt, and the completions that follow it."""
    places = [place for group in groups for place in group]
    heads = [candidates[group[0]] for group in groups]
    lines, mask = _on_the_left([head.ids[: head.start] for head in heads])
    widest = max(candidates[place].n_completion for place in places)
    labels = torch.zeros(len(places), widest, dtype=torch.long)
    counted = torch.zeros(len(places), widest, dtype=torch.bool)
    for number, place in enumerate(places):
        completion = torch.from_numpy(candidates[place].ids[candidates[place].start :])
        labels[number, : len(completion)] = completion
        counted[number, : len(completion)] = True
    owner = torch.tensor([line for line, group in enumerate(groups) for _ in group])
    parts = [(numbers.to(device), longest) for numbers, longest in _by_length(counted.sum(dim=1), worth_a_pass(device))]
    lines, mask, owner, labels, counted = (tensor.to(device) for tensor in (lines, mask, owner, labels, counted))
    return Batch(places, lines, mask, owner, labels, counted, parts, whole=False)


def _on_the_left(sequences: Sequence[IntVector]) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences padded on the left ``(n, T)``, and 1 where a token is."""
    longest = max(map(len, sequences))
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    mask = torch.zeros(len(sequences), longest, dtype=torch.long)
    for line, sequence in enumerate(sequences):
        ids[line, longest - len(sequence) :] = torch.from_numpy(sequence)
        mask[line, longest - len(sequence) :] = 1
    return ids, mask


def _by_length(lengths: torch.Tensor, worth: int) -> list[tuple[torch.Tensor, int]]:
    """Completions in parts of like length, each with its longest: the split that costs the fewest tokens."""
    kinds, counts = (tensor.numpy() for tensor in torch.unique(lengths, return_counts=True))

    def costs(end: int) -> FloatVector:
        return np.asarray(worth + kinds[end - 1] * np.cumsum(counts[:end][::-1])[::-1], dtype=np.float64)

    ends = [(int(kinds[part.start]), int(kinds[part.stop - 1])) for part in cheapest_stretches(len(kinds), costs)]
    return [(((lengths >= low) & (lengths <= high)).nonzero()[:, 0], high) for low, high in ends]
