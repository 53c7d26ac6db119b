"""Metrics of the `evaluate` library as objectives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.data.formats import Example
from shed_hf.errors import InputError
from shed_hf.types import FloatVector

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Metric:
    """A metric of the `evaluate` library over greedy generations, computed item by item.

    Attributes:
        metric: A name (which `evaluate` fetches from the Hub and runs), a loaded `evaluate.EvaluationModule`, or any
            callable ``(predictions, references) -> number``.
        key: Which number of the metric's result to take; by default its first.
        sign: -1 for metrics where lower is better, such as word error rates.
        max_new_tokens: The longest generation, in tokens.
        arguments: Keyword arguments for the metric's ``compute``.
    """

    metric: Any
    key: str | None = None
    sign: int = 1
    max_new_tokens: int = 64
    arguments: dict[str, Any] = field(default_factory=dict)

    def __call__(
        self, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", items: Sequence[Example], /
    ) -> FloatVector:
        """The metric of every item's generation against its completion.

        Args:
            model: The model that generates.
            tokenizer: Its tokenizer.
            items: The evaluation items.

        Returns:
            One number per item ``(n_items,)``, higher is better.

        Raises:
            InputError: When ``key`` is not in the metric's result.
        """
        from shed_hf.evaluation.generation import generate

        measure = self._measure()
        generations = generate(model, tokenizer, items, self.max_new_tokens)
        pairs = zip(generations, items, strict=True)
        return np.array([self.sign * measure(text, item.completion) for text, item in pairs], dtype=np.float64)

    def _measure(self) -> Callable[[str, str], float]:
        metric = self.metric
        if isinstance(metric, str):
            metric = _loaded_metric(metric)
        compute = getattr(metric, "compute", None)
        if compute is None:
            return lambda prediction, reference: float(metric([prediction], [reference]))
        return lambda prediction, reference: self._number(
            compute(predictions=[prediction], references=[reference], **self.arguments)
        )

    def _number(self, result: dict[str, Any]) -> float:
        key = self.key or next(iter(result))
        if key not in result:
            raise InputError(f"the metric gives {sorted(result)}, not {key!r}; pass one of them as key=")
        return float(np.mean(result[key]))


@lru_cache
def _loaded_metric(name: str) -> Any:
    import evaluate

    return evaluate.load(name)
