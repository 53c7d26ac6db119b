"""The gradient of the mean outcome with respect to the trainable weights, for objectives made of log-likelihoods."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn
from transformers import Trainer

from shed_hf.data.formats import Example
from shed_hf.errors import InputError
from shed_hf.evaluation.batches import Candidate
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.log_likelihood import LikelihoodBatches
from shed_hf.evaluation.objectives import Accuracy, LikelihoodObjective, Likelihoods, NormalisedAccuracy, Objective
from shed_hf.finetuning.linear_maps import hooked, linear_maps, weight_spans
from shed_hf.types import FloatVector, IntVector
from shed_hf.utils.naming import stable_name

TOKENS_AT_ONCE, LOGITS_AT_ONCE = 2048, 2**25
"""Of how many tokens, and logits, the evaluation keeps what a gradient needs: about a training batch."""


_NUDGE = 1e-4  # nats


@dataclass(frozen=True, eq=False)
class _Part:
    """Items that are read together: their places among all of them, themselves, and how many candidates each has."""

    places: list[int]
    items: list[Example]
    sizes: list[int]
    batches: LikelihoodBatches


class OutcomeGradient:
    """∇U, the gradient of the mean outcome with respect to the trainable weights, all of them in one vector.

    Works for every objective made of log-likelihoods.

    Args:
        evaluation: The objective and its items.
        trainer: The trainer with the model.
        only: The positions of the items to take; by default all.

    Attributes:
        n_items: How many items there are.
        n_tokens: How many tokens one gradient of all items reads.
        maps: The linear maps that are trained.
        weights: Their weights, each once.

    Raises:
        InputError: For other objectives, and for trainable parameters that are no weights of linear maps.
    """

    def __init__(self, evaluation: Evaluation, trainer: Trainer, only: IntVector | None = None) -> None:
        self.objective = differentiable(evaluation.objective)
        self.model, self.autocast = trainer.model, trainer.accelerator.autocast
        self.maps = linear_maps(self.model)
        self.weights = list({id(one.weight): one.weight for one in self.maps}.values())
        numbers = range(len(evaluation.items)) if only is None else [int(number) for number in only]
        items = [evaluation.items[number] for number in numbers]
        groups = [evaluation.candidate_groups[number] for number in numbers]
        self.n_items, self.n_tokens = len(items), evaluation.n_tokens
        vocabulary, device = self.model.config.get_text_config().vocab_size, self.weights[0].device
        self._parts = []
        for places in _together(groups, vocabulary):
            flat = [candidate for place in places for candidate in groups[place]]
            batches = LikelihoodBatches(flat, vocabulary, device, share_prompts=False)
            sizes = [len(groups[place]) for place in places]
            self._parts.append(_Part(places, [items[place] for place in places], sizes, batches))

    def __call__(self) -> torch.Tensor:
        """∇U at the weights as they are, ``(n_weights,)``; the model is left in the mode it was in."""
        with self._evaluating():
            found = [self._gradients(part) for part in self._parts]
        self._check_slopes(flat for _, flat in found)
        return torch.stack([gradient for gradient, _ in found]).sum(dim=0) / self.n_items

    def by_item(self) -> torch.Tensor:
        """∇U_j of every item at the weights as they are, ``(n_items, n_weights)``; their mean is ∇U.

        Items share backward passes: hooks take apart what comes back by the lines of a batch.

        Raises:
            InputError: Where lines cannot be told apart in what a linear map sees.
        """
        sizes = [weight.numel() for weight in self.weights]
        dtype = torch.promote_types(self.weights[0].dtype, torch.float32)
        found = torch.zeros(self.n_items, sum(sizes), dtype=dtype, device=self.weights[0].device)
        flat = []
        with self._evaluating():
            for part in self._parts:
                lines = _Lines(part, found, self.weights)
                with lines.listening(self.maps):
                    whole, without = self._gradients(part, lines.expect)
                flat.append(without)
                _check_sum(whole, found[part.places].sum(dim=0))
        self._check_slopes(flat)
        return found

    @contextlib.contextmanager
    def _evaluating(self) -> Iterator[None]:
        training = self.model.training
        self.model.eval()
        try:
            yield
        finally:
            self.model.train(training)

    def _check_slopes(self, flat: Iterable[bool]) -> None:
        if all(flat):
            raise InputError(
                f"objective {stable_name(self.objective)} does not change with the log-likelihoods of its candidates, "
                'so it has no gradient; pass "loss", "choice" or "contrast"'
            )

    def _gradients(self, part: _Part, before: Callable[[list[int]], None] | None = None) -> tuple[torch.Tensor, bool]:
        """The gradient of the sum of a part's outcomes ``(n_weights,)``, and whether they depend on no candidate."""
        score, slopes = self._score(part, before)
        found = torch.autograd.grad(score, self.weights, allow_unused=True)
        whole = [torch.zeros_like(w) if of is None else of for w, of in zip(self.weights, found, strict=True)]
        return torch.cat([gradient.flatten() for gradient in whole]), not slopes.any()

    @torch.enable_grad()
    def _score(self, part: _Part, before: Callable[[list[int]], None] | None) -> tuple[torch.Tensor, FloatVector]:
        """A number whose gradient is that of the sum of the outcomes, and ∂U/∂total of every candidate."""
        batches = part.batches
        with self.autocast():
            parts = list(batches.sums(self.model, before))
        totals, greedy = np.zeros(len(batches.tokens)), np.zeros(len(batches.tokens), dtype=np.bool_)
        for places, sums, matches in parts:
            totals[places], greedy[places] = sums.detach().double().cpu().numpy(), matches.cpu().numpy()
        cuts = np.cumsum(part.sizes)[:-1]
        of_items = zip(*(np.split(array, cuts) for array in (totals, batches.tokens, greedy)), strict=True)
        slopes = np.concatenate(
            [_slopes(self.objective, item, Likelihoods(*of)) for item, of in zip(part.items, of_items, strict=True)]
        )
        weighted = [sums @ torch.as_tensor(slopes[places]).to(sums) for places, sums, _ in parts]
        return torch.stack(weighted).sum(), slopes


class _Lines:
    """Hooks that add the gradient of every line of a batch to that of the line's item.

    Args:
        part: The items.
        found: Where the gradients of all items are ``(n_items, n_weights)``.
        weights: The weights, in the order of the columns of ``found``.
    """

    def __init__(self, part: _Part, found: torch.Tensor, weights: Sequence[torch.Tensor]) -> None:
        self._found = found
        owners = [place for place, size in zip(part.places, part.sizes, strict=True) for _ in range(size)]
        self._owners = torch.tensor(owners, device=found.device)
        self._items = self._owners
        self._span = weight_spans(weights)

    def expect(self, places: list[int]) -> None:
        """The candidates whose lines are read next."""
        self._items = self._owners[places]

    def listening(self, maps: Sequence[nn.Linear]) -> AbstractContextManager[None]:
        """Within, what the maps read is taken apart."""
        return hooked(maps, self._listen)

    def _listen(self, module: nn.Linear, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        seen, items, columns = inputs[0].detach(), self._items, self._found[:, self._span[id(module.weight)]]
        if seen.ndim != 3 or len(seen) != len(items):
            raise InputError(
                f"a linear map of the adapter sees an input of shape {tuple(seen.shape)} for a batch of {len(items)} "
                "candidates, so they cannot be told apart; pass target_modules= without it in LoraConfig"
            )

        def add(given: torch.Tensor) -> None:
            of_lines = torch.bmm(given.to(columns.dtype).mT, seen.to(columns.dtype))
            columns.index_add_(0, items, of_lines.flatten(1))

        output.register_hook(add)  # type: ignore[no-untyped-call]


def _check_sum(whole: torch.Tensor, summed: torch.Tensor) -> None:
    """See that the items' gradients add up to that of their sum."""
    whole = whole.to(summed)
    if (whole - summed).norm() > 0.05 * whole.norm():
        raise InputError(
            "the items' gradients do not add up to that of their sum: the adapter's weights are used otherwise than by "
            "their linear maps; pass LoraConfig(target_modules=…) with linear layers only"
        )


def differentiable(objective: Objective) -> LikelihoodObjective:
    """The objective, where its outcomes have a gradient.

    Args:
        objective: Any objective.

    Returns:
        The same objective.

    Raises:
        InputError: For objectives that are not made of log-likelihoods, and for accuracy.
    """
    if isinstance(objective, Accuracy | NormalisedAccuracy):
        raise InputError(
            f"objective {stable_name(objective)} counts right answers, which has no gradient; pass "
            '"choice", or "loss" for items without options'
        )
    if not isinstance(objective, LikelihoodObjective):
        raise InputError(
            f"objective {stable_name(objective)} is not made of log-likelihoods, so its gradient cannot be taken; pass "
            '"loss", "choice" or "contrast"'
        )
    return objective


def _slopes(objective: LikelihoodObjective, item: Example, likelihoods: Likelihoods) -> FloatVector:
    """∂ outcome / ∂ total of every candidate, by central differences."""
    ends = [
        [objective.outcome(item, replace(likelihoods, total=likelihoods.total + nudge)) for nudge in (up, -up)]
        for up in _NUDGE * np.eye(len(likelihoods.total))
    ]
    return np.array([(above - below) / (2 * _NUDGE) for above, below in ends])


def _together(groups: Sequence[Sequence[Candidate]], vocabulary: int) -> Iterator[list[int]]:
    """Items of like length together, few enough to keep what a gradient needs of all their candidates, padded."""
    part: list[int] = []
    n = longest = completion = 0
    for place in sorted(range(len(groups)), key=lambda place: max(len(one.ids) for one in groups[place])):
        group = groups[place]
        n, longest = n + len(group), max(longest, *(len(one.ids) for one in group))
        completion = max(completion, *(one.n_completion for one in group))
        if part and (n * longest > TOKENS_AT_ONCE or n * (completion + 1) * vocabulary > LOGITS_AT_ONCE):
            yield part
            part, n = [], len(group)
            longest, completion = max(len(one.ids) for one in group), max(one.n_completion for one in group)
        part.append(place)
    yield part
