"""Objectives: turn a trained model into one outcome per evaluation item, higher is better.

Most need only log-likelihoods: an objective names the *candidates* of an item (its completion, the options, completions
of other items) and reduces their log-likelihoods to one outcome. Nothing is generated unless a metric over generations
is asked for. Losses are negated here and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from shed_hf.data.formats import Example
from shed_hf.errors import InputError
from shed_hf.types import BoolVector, FloatVector, IntVector
from shed_hf.utils.warn import warn

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class Likelihoods:
    """What a model makes of the n candidates of one item.

    Attributes:
        total: Summed log-likelihood of each completion ``(n,)``, in nats.
        tokens: The number of tokens of each completion ``(n,)``.
        greedy: Whether greedy decoding gives the completion ``(n,)``.
    """

    total: FloatVector
    tokens: IntVector
    greedy: BoolVector

    @property
    def per_token(self) -> FloatVector:
        """Mean log-likelihood per token ``(n,)``."""
        return np.asarray(self.total / np.maximum(self.tokens, 1), dtype=np.float64)

    def part(self, places: IntVector) -> "Likelihoods":
        """Those of some of the candidates.

        Args:
            places: Their positions ``(k,)``.
        """
        return Likelihoods(self.total[places], self.tokens[places], self.greedy[places])


@runtime_checkable
class LikelihoodObjective(Protocol):
    """Scores items by the log-likelihoods of their candidates.

    ``candidates(items, rng)`` lists the candidates of every item; ``outcome(item, likelihoods)`` reduces those of one
    item to a number, higher is better.
    """

    def candidates(self, items: Sequence[Example], rng: np.random.Generator) -> list[list[Example]]: ...

    def outcome(self, item: Example, likelihoods: Likelihoods) -> float: ...


@runtime_checkable
class SeveralFigures(LikelihoodObjective, Protocol):
    """An objective with several outcomes for an item, which stand one after another among those of all items."""

    def outcomes(self, item: Example, likelihoods: Likelihoods) -> FloatVector: ...


class ModelObjective(Protocol):
    """Scores items with the model itself: ``(model, tokenizer, items) -> (n_items,)``. Any callable will do."""

    def __call__(
        self, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", items: Sequence[Example], /
    ) -> FloatVector: ...


@dataclass(frozen=True)
class Loss:
    """Mean log-likelihood per token of the item's completion: the negated loss."""

    def candidates(self, items: Sequence[Example], rng: np.random.Generator) -> list[list[Example]]:
        """The item itself.

        Args:
            items: The evaluation items.
            rng: Not used.

        Returns:
            One candidate for each item.
        """
        return [[item] for item in items]

    def outcome(self, item: Example, likelihoods: Likelihoods) -> float:
        """log p(completion | prompt) / tokens.

        Args:
            item: The evaluation item.
            likelihoods: Those of the item's candidates, in their order.

        Returns:
            Nats per token, at most 0.
        """
        return float(likelihoods.per_token[0])


@dataclass(frozen=True)
class Choice:
    """Log-likelihood of the right option, normalised over the options. An option that is there twice counts once.

    Attributes:
        per_token: Compare means per token instead of sums, so that long options have no disadvantage.
    """

    per_token: bool = False

    def candidates(self, items: Sequence[Example], rng: np.random.Generator) -> list[list[Example]]:
        """The item with each of its options.

        Args:
            items: The evaluation items.
            rng: Not used.

        Returns:
            For each item one candidate per different option.

        Raises:
            InputError: For items without options.
        """
        return _with_each_option(items, "choice")

    def outcome(self, item: Example, likelihoods: Likelihoods) -> float:
        """Log softmax over the options, at the right one.

        Args:
            item: The evaluation item.
            likelihoods: Those of the item's candidates, in their order.

        Returns:
            Nats, at most 0.
        """
        return _log_softmax(likelihoods.per_token if self.per_token else likelihoods.total, _right(item))


@dataclass(frozen=True)
class Accuracy:
    """1 where the model is right: the right option is the likeliest, or greedy decoding gives the completion exactly.

    The latter is read off one forward pass, without generating: it holds just when every token of it is the likeliest.
    An option that is there twice counts once.

    Attributes:
        per_token: Compare means per token instead of sums, so that long options have no disadvantage.
    """

    per_token: bool = False

    def candidates(self, items: Sequence[Example], rng: np.random.Generator) -> list[list[Example]]:
        """The item with each of its options, or the item itself where it has none.

        Args:
            items: The evaluation items.
            rng: Not used.

        Returns:
            For each item its candidates.
        """
        _warn_of_repeats(items)
        _warn_of_whole_completions(items)
        return [[item.answering(option) for option in _different(item)] or [item] for item in items]

    def outcome(self, item: Example, likelihoods: Likelihoods) -> float:
        """Whether the model is right.

        Args:
            item: The evaluation item.
            likelihoods: Those of the item's candidates, in their order.

        Returns:
            0 or 1.
        """
        if not item.options:
            return float(likelihoods.greedy[0])
        compared = likelihoods.per_token if self.per_token else likelihoods.total
        return float(int(np.argmax(compared)) == _right(item))


@dataclass(frozen=True)
class NormalisedAccuracy:
    """1 where the right option has the highest log-likelihood per character: lm-evaluation-harness's ``acc_norm``.

    A blank that an option begins with does not count: it parts the option from its prompt. An option that is there
    twice counts once.
    """

    def candidates(self, items: Sequence[Example], rng: np.random.Generator) -> list[list[Example]]:
        """The item with each of its options.

        Args:
            items: The evaluation items.
            rng: Not used.

        Returns:
            For each item one candidate per different option.

        Raises:
            InputError: For items without options.
        """
        return _with_each_option(items, "normalised-accuracy")

    def outcome(self, item: Example, likelihoods: Likelihoods) -> float:
        """Whether the model is right.

        Args:
            item: The evaluation item.
            likelihoods: Those of the item's candidates, in their order.

        Returns:
            0 or 1.
        """
        characters = np.array([len(option.removeprefix(" ")) for option in _different(item)])
        return float(int(np.argmax(likelihoods.total / characters)) == _right(item))


@dataclass(frozen=True)
class Contrast:
    """Log-likelihood of the item's completion, normalised over it and completions of other items.

    Learning the format alone raises all of them alike and earns nothing.

    Attributes:
        others: How many completions of other items each is compared with, drawn by chance.
        per_token: Compare means per token; False for sums.
    """

    others: int = 3
    per_token: bool = True

    def candidates(self, items: Sequence[Example], rng: np.random.Generator) -> list[list[Example]]:
        """The item, then the same prompt with completions of other items.

        Args:
            items: The evaluation items.
            rng: Draws the other completions.

        Returns:
            For each item its candidates, its own completion first.

        Raises:
            InputError: When all items have the same completion.
        """
        completions = sorted({item.completion for item in items})
        if len(completions) < 2:
            raise InputError(
                f'objective="contrast" needs items with different completions, got {len(items)} items with '
                f"{len(completions)}; pass more"
            )
        return [[item, *self._contrasts(item, completions, rng)] for item in items]

    def _contrasts(self, item: Example, completions: list[str], rng: np.random.Generator) -> list[Example]:
        different = [completion for completion in completions if completion != item.completion]
        chosen = rng.choice(len(different), size=min(self.others, len(different)), replace=False)
        return [item.answering(different[place]) for place in chosen]

    def outcome(self, item: Example, likelihoods: Likelihoods) -> float:
        """Log softmax over the item's completion and the others, at its own.

        Args:
            item: The evaluation item.
            likelihoods: Those of the item's candidates, in their order.

        Returns:
            Nats, at most 0.
        """
        return _log_softmax(likelihoods.per_token if self.per_token else likelihoods.total, 0)


Objective = LikelihoodObjective | ModelObjective


def _with_each_option(items: Sequence[Example], objective: str) -> list[list[Example]]:
    _check_options(items, objective)
    _warn_of_repeats(items)
    return [[item.answering(option) for option in _different(item)] for item in items]


def _check_options(items: Sequence[Example], name: str) -> None:
    without = sum(not item.options for item in items)
    if without:
        raise InputError(
            f'objective="{name}" needs items with options; {without} of {len(items)} items have none; pass rows with '
            'question, choices and answer, or objective="loss"'
        )


def _different(item: Example) -> tuple[str, ...]:
    """The item's options, each once."""
    return tuple(dict.fromkeys(item.options))


def _right(item: Example) -> int:
    """Which of the different options is the right one."""
    return _different(item).index(item.options[item.answer])


def _warn_of_repeats(items: Sequence[Example]) -> None:
    repeating = [item.options for item in items if len(_different(item)) < len(item.options)]
    if repeating:
        warn(
            f"{len(repeating)} of {len(items)} items offer an option twice, which counts once; the first is "
            f"{repeating[0]!r:.100}",
        )


def _warn_of_whole_completions(items: Sequence[Example]) -> None:
    lengths = [len(item.completion) for item in items if not item.options]
    if lengths:
        warn(
            f"items without options: {len(lengths)} of {len(items)}; accuracy counts them as right only where greedy "
            f"decoding gives the whole completion ({np.median(lengths):.0f} characters in the median) word for word, "
            'which it hardly does for a long one, before or after training; objective="loss" moves with every token',
        )


def _log_softmax(scores: FloatVector, place: int) -> float:
    highest = scores.max()
    return float(scores[place] - highest - np.log(np.exp(scores - highest).sum()))
