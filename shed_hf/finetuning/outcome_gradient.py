"""The gradient of the mean outcome with respect to the trainable weights, for objectives made of log-likelihoods."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from transformers import Trainer

from shed_hf.data.formats import Example
from shed_hf.errors import InputError
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.log_likelihood import Candidate, LikelihoodBatches
from shed_hf.evaluation.objectives import Accuracy, LikelihoodObjective, Likelihoods, Objective
from shed_hf.types import FloatVector
from shed_hf.utils.naming import stable_name

TOKENS_AT_ONCE, LOGITS_AT_ONCE = 2048, 2**25
"""Of how many tokens, and logits, the evaluation keeps what a gradient needs: about a training batch."""


_NUDGE = 1e-4  # nats


class OutcomeGradient:
    """∇U, the gradient of the mean outcome with respect to the trainable weights, all of them in one vector.

    Works for every objective made of log-likelihoods.

    Args:
        evaluation: The objective and its items.
        trainer: The trainer with the model.

    Attributes:
        n_tokens: How many tokens one gradient reads.
        maps: The linear maps that are trained.
        weights: Their weights, each once.

    Raises:
        InputError: For other objectives, and for trainable parameters that are no weights of linear maps.
    """

    def __init__(self, evaluation: Evaluation, trainer: Trainer) -> None:
        self.objective = differentiable(evaluation.objective)
        self.model, self.autocast = trainer.model, trainer.accelerator.autocast
        self.maps = linear_maps(self.model)
        self.weights = list({id(one.weight): one.weight for one in self.maps}.values())
        self.n_items, groups = len(evaluation.items), evaluation.candidate_groups
        self.n_tokens = evaluation.n_tokens
        vocabulary, device = self.model.config.get_text_config().vocab_size, self.weights[0].device
        self._parts: list[tuple[list[Example], list[int], LikelihoodBatches]] = []
        for places in _together(groups, vocabulary):
            flat = [candidate for place in places for candidate in groups[place]]
            items, sizes = [evaluation.items[place] for place in places], [len(groups[place]) for place in places]
            self._parts.append((items, sizes, LikelihoodBatches(flat, vocabulary, device)))

    def __call__(self) -> torch.Tensor:
        """∇U at the weights as they are, ``(n_weights,)``; the model is left in the mode it was in."""
        total = [torch.zeros_like(weight) for weight in self.weights]
        training, flat = self.model.training, True
        self.model.eval()
        try:
            for part in self._parts:
                score, slopes = self._score(*part)
                flat &= not slopes.any()
                found = torch.autograd.grad(score, self.weights, allow_unused=True)
                for sum_, gradient in zip(total, found, strict=True):
                    if gradient is not None:
                        sum_ += gradient
        finally:
            self.model.train(training)
        if flat:
            raise InputError(
                f"objective {stable_name(self.objective)} does not change with the log-likelihoods of its candidates, "
                'so it has no gradient; pass "loss", "choice" or "contrast"'
            )
        return torch.cat([gradient.flatten() for gradient in total])

    @torch.enable_grad()
    def _score(
        self, items: list[Example], sizes: list[int], batches: LikelihoodBatches
    ) -> tuple[torch.Tensor, FloatVector]:
        """A number whose gradient is these items' share of ∇U, and ∂U/∂total of every candidate."""
        with self.autocast():
            parts = list(batches.sums(self.model))
        totals, greedy = np.zeros(len(batches.tokens)), np.zeros(len(batches.tokens), dtype=np.bool_)
        for places, sums, matches in parts:
            totals[places], greedy[places] = sums.detach().double().cpu().numpy(), matches.cpu().numpy()
        cuts = np.cumsum(sizes)[:-1]
        of_items = zip(*(np.split(array, cuts) for array in (totals, batches.tokens, greedy)), strict=True)
        slopes = np.concatenate(
            [_slopes(self.objective, item, Likelihoods(*of)) for item, of in zip(items, of_items, strict=True)]
        )
        weighted = [sums @ torch.as_tensor(slopes[places]).to(sums) for places, sums, _ in parts]
        return torch.stack(weighted).sum() / self.n_items, slopes


def linear_maps(model: nn.Module) -> list[nn.Linear]:
    """The linear maps that are trained.

    Args:
        model: The model with its adapter.

    Returns:
        The modules, at least one.

    Raises:
        InputError: Where something else is trained as well, or nothing.
    """
    maps = [one for one in model.modules() if isinstance(one, nn.Linear) and one.weight.requires_grad]
    followed = {id(one.weight) for one in maps}
    others = [name for name, weight in model.named_parameters() if weight.requires_grad and id(weight) not in followed]
    if others or not maps:
        raise InputError(
            f"credits follow the weights of linear maps, and {len(others)} trainable parameters are none "
            f"({', '.join(others[:2])}); pass LoraConfig(target_modules=…) with linear layers only, without bias, DoRA "
            "and modules_to_save"
        )
    return maps


def differentiable(objective: Objective) -> LikelihoodObjective:
    """The objective, where its outcomes have a gradient.

    Args:
        objective: Any objective.

    Returns:
        The same objective.

    Raises:
        InputError: For objectives that are not made of log-likelihoods, and for accuracy.
    """
    if isinstance(objective, Accuracy):
        raise InputError(
            'objective="accuracy" counts right answers, which has no gradient; pass "choice", or "loss" for items '
            "without options"
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
    n = start = longest = 0
    for place in sorted(range(len(groups)), key=lambda place: max(len(one.ids) for one in groups[place])):
        group = groups[place]
        n, start = n + len(group), max(start, *(one.start for one in group))
        longest = max(longest, *(one.n_completion for one in group))
        if part and (n * (start + longest) > TOKENS_AT_ONCE or n * (longest + 1) * vocabulary > LOGITS_AT_ONCE):
            yield part
            part, n = [], len(group)
            start, longest = max(one.start for one in group), max(one.n_completion for one in group)
        part.append(place)
    yield part
