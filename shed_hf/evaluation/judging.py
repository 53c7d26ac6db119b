"""What a judge makes of the model's own answers, as MT-Bench asks for them: greedy, one turn after the other."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.data.formats import Example, Turn
from shed_hf.errors import InputError
from shed_hf.types import FloatVector
from shed_hf.utils.naming import stable_name

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LOWEST, HIGHEST = 1, 10


@dataclass(frozen=True)
class Judged:
    """A judge's score of what the model answers to an item by greedy decoding, from 1 to 10.

    Of a conversation every turn of the assistant is answered anew, the later ones after the model's own answers to the
    earlier ones, as in MT-Bench (Zheng et al. 2023, arXiv 2306.05685); a prompt is left as it is. The item's outcome is
    the mean of its turns' scores. Generating takes far longer than reading, and a judge is noisy: to measure a chosen
    subset by, rather than to value clusters by.

    Attributes:
        judge: A callable ``(question, answer) -> score``, or with ``reference``, the right answer or None, as a third
            argument. The question of a later turn is the conversation so far, its parts headed ``### User:`` and
            ``### Assistant:``.
        max_new_tokens: The longest answer, in tokens.

    Raises:
        InputError: For a judge that cannot be called so, or no room for an answer.
    """

    judge: Callable[..., float]
    max_new_tokens: int = 256

    def __post_init__(self) -> None:
        if not callable(self.judge):
            raise InputError(
                f"judge is a {type(self.judge).__name__}; pass a callable (question, answer[, reference]) -> score"
            )
        if _n_arguments(self.judge) is None:
            raise InputError(
                f"judge {stable_name(self.judge)} takes neither (question, answer) nor (question, answer, reference); "
                "pass one that does"
            )
        if isinstance(self.max_new_tokens, bool) or not isinstance(self.max_new_tokens, int) or self.max_new_tokens < 1:
            raise InputError(f"max_new_tokens={self.max_new_tokens!r}; pass a whole number of at least 1")

    def __call__(
        self, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", items: Sequence[Example], /
    ) -> FloatVector:
        """The mean score of every item's answers.

        Args:
            model: The model that answers.
            tokenizer: Its tokenizer.
            items: The evaluation items.

        Returns:
            One score per item ``(n_items,)``, 1 to 10.

        Raises:
            InputError: For an item without a prompt, and for a score that is no number from 1 to 10.
        """
        conversations = [list(item.turns) for item in items]
        scores: list[list[float]] = [[] for _ in items]
        asked = [_answered_places(item) for item in items]
        for number in range(max(len(places) for places in asked)):
            of_round = [item for item, places in enumerate(asked) if number < len(places)]
            ends = {item: asked[item][number] for item in of_round}
            answers = self._answers(model, tokenizer, [(items[one], conversations[one], ends[one]) for one in of_round])
            for one, answer in zip(of_round, answers, strict=True):
                reference = items[one].turns[ends[one]].text or None
                scores[one].append(self._score(conversations[one][: ends[one]], answer, reference))
                conversations[one][ends[one]] = Turn("assistant", answer)
        return np.array([np.mean(of_item) for of_item in scores], dtype=np.float64)

    def _answers(
        self,
        model: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        asked: Sequence[tuple[Example, list[Turn], int]],
    ) -> list[str]:
        from shed_hf.evaluation.generation import generate

        prompts = [
            replace(item, turns=tuple(turns[: end + 1]), options=(), answer=-1, after=()) for item, turns, end in asked
        ]
        return generate(model, tokenizer, prompts, self.max_new_tokens)

    def _score(self, before: Sequence[Turn], answer: str, reference: str | None) -> float:
        arguments: list[Any] = [_question(before), answer, reference][: _n_arguments(self.judge)]
        score = self.judge(*arguments)
        number = isinstance(score, int | float | np.integer | np.floating) and not isinstance(score, bool)
        if not number or not LOWEST <= score <= HIGHEST:
            raise InputError(
                f"judge {stable_name(self.judge)} gave {score!r:.60} for the answer {answer!r:.60}; it has to return a "
                f"number from {LOWEST} to {HIGHEST}"
            )
        return float(score)


def _n_arguments(judge: Callable[..., float]) -> int | None:
    """How many arguments a judge is called with: three where it takes a reference."""
    try:
        signature = inspect.signature(judge)
    except ValueError:  # some builtins have none
        return 2
    for count in (3, 2):
        try:
            signature.bind(*[""] * count)
        except TypeError:
            continue
        return count
    return None


def _answered_places(item: Example) -> list[int]:
    """Where the turns stand that the model answers: the assistant's behind the prompt, the last among them."""
    last = len(item.turns) - 1
    places = [place for place in range(item.given, last) if item.turns[place].role == "assistant"]
    return [last] if item.verbatim else [*places, last]


def _question(before: Sequence[Turn]) -> str:
    """The user's words alone, or the conversation so far."""
    if len(before) == 1:
        return before[0].text
    return "\n\n".join(f"### {turn.role.capitalize()}:\n{turn.text}" for turn in before)
