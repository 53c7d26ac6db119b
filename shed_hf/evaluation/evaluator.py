"""An objective bound to its evaluation items: takes a trained model, gives one outcome per item."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from shed_hf.data.evaluation_items import examples_from
from shed_hf.data.formats import Example
from shed_hf.data.tokenization import Tokens, check_tokenizer, split_at_completion, tokenise, warn_of_cut_items
from shed_hf.errors import InputError
from shed_hf.evaluation.batches import Candidate
from shed_hf.evaluation.log_likelihood import LikelihoodBatches
from shed_hf.evaluation.objectives import Accuracy, Choice, LikelihoodObjective, Likelihoods, Objective, SeveralFigures
from shed_hf.evaluation.registry import objective_from
from shed_hf.types import FloatVector, IntVector
from shed_hf.utils.naming import stable_name
from shed_hf.utils.setting_hint import setting_hint

_T = TypeVar("_T")


class Evaluation:
    """Measures a model on evaluation items with an objective; the items are tokenised and batched once, for all models.

    Items of which a candidate loses its whole completion to ``max_length`` are left out, with a warning that counts
    them; so are items with several candidates of which one is cut. ``items`` are those that are left, ``kept`` their
    positions among those given.

    Args:
        items: What to evaluate on, at least one row: what ``eval_dataset`` of `curate` takes (a `Dataset`, a list of
            dicts, a pandas frame, a Hub id, a file), or a list of items that were read already.
        objective: What turns a model's answers into one number per item, higher is better: an objective, or a short
            name such as ``"loss"``; None for ``"choice"`` where all items have options, else ``"loss"``.
        tokenizer: The tokenizer of the models.
        max_length: The longest candidate in tokens, prompt included; longer ones are cut.
        seed: For objectives that draw candidates by chance, such as `Contrast`.
        columns: Parts of a row to the dataset's columns, where names differ; None by default.

    Raises:
        InputError: When there are no items, none can be read or is left, or the objective cannot use them.
    """

    def __init__(
        self,
        items: Any,
        objective: str | Objective | None,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
        seed: int = 0,
        columns: Mapping[str, str | None] | None = None,
    ) -> None:
        self.items = examples_from(items, columns)
        if not self.items:
            raise InputError("the evaluation set has 0 items; pass eval_dataset= with rows")
        check_tokenizer(tokenizer)
        objective = objective_from(objective, self.items)
        self.objective, self.tokenizer = objective, tokenizer
        self.kept: IntVector = np.arange(len(self.items), dtype=np.int64)
        self._batches: LikelihoodBatches | None = None
        if isinstance(objective, LikelihoodObjective):
            _check_answers(self.items, objective)
            self._lay_out(objective, max_length, np.random.default_rng(seed))

    @property
    def n_tokens(self) -> int:
        """How many tokens one evaluation reads, each prompt once for each of its candidates; 0 where it generates."""
        groups = self.candidate_groups if isinstance(self.objective, LikelihoodObjective) else []
        return sum(len(candidate.ids) for group in groups for candidate in group)

    def __call__(self, model: PreTrainedModel) -> FloatVector:
        """Measure a model, which is left in the mode (train or eval) it was in.

        Args:
            model: The model to measure.

        Returns:
            One outcome per item ``(n_items,)``, higher is better.
        """
        return self.measure(model)[0]

    def measure(self, model: PreTrainedModel) -> tuple[FloatVector, dict[str, float]]:
        """Measure a model, with figures by name that cost nothing more, such as the accuracy beside `Choice`.

        Args:
            model: The model to measure; it is left in the mode (train or eval) it was in.

        Returns:
            One outcome per item ``(n_items,)``, and the figures.
        """
        training = model.training
        model.eval()
        try:
            return self._outcomes(model)
        finally:
            model.train(training)

    def measure_batched(
        self, model: PreTrainedModel, n_adapters: int, select: Callable[[int, int], None]
    ) -> list[tuple[FloatVector, dict[str, float]]]:
        """Measure several adapters of one model in shared forward passes; see `LikelihoodBatches.of_adapters`.

        Args:
            model: The model that carries the adapters; it is left in the mode (train or eval) it was in.
            n_adapters: How many adapters to measure.
            select: ``select(start, stop)`` makes the model apply the adapters ``start:stop``.

        Returns:
            For each adapter what `measure` gives.

        Raises:
            InputError: For an objective that is not made of log-likelihoods.
        """
        if not isinstance(self.objective, LikelihoodObjective):
            raise InputError(
                f"objective {self.objective} is not made of log-likelihoods, so models cannot be read side by side; "
                "measure them one after another"
            )
        training = model.training
        model.eval()
        try:
            of_adapters = self._on(model).of_adapters(model, n_adapters, select)
        finally:
            model.train(training)
        return [self._reduced(self.objective, likelihoods) for likelihoods in of_adapters]

    def _outcomes(self, model: PreTrainedModel) -> tuple[FloatVector, dict[str, float]]:
        objective = self.objective
        if not isinstance(objective, LikelihoodObjective):
            return self._checked(np.asarray(objective(model, self.tokenizer, self.items), dtype=np.float64)), {}
        return self._reduced(objective, self._on(model)(model))

    def _reduced(
        self, objective: LikelihoodObjective, likelihoods: Likelihoods
    ) -> tuple[FloatVector, dict[str, float]]:
        items = self._split(likelihoods)
        pairs = zip(self.items, items, strict=True)
        if isinstance(objective, SeveralFigures):
            outcomes = np.concatenate([objective.outcomes(item, of) for item, of in pairs])
        else:
            outcomes = np.array([objective.outcome(item, of) for item, of in pairs])
        return outcomes, _extra_metrics(objective, self.items, items)

    def _lay_out(self, objective: LikelihoodObjective, max_length: int, rng: np.random.Generator) -> None:
        candidates = objective.candidates(self.items, rng)
        tokens = tokenise([one.as_item() for item in candidates for one in item], self.tokenizer, max_length)
        sizes = [len(item) for item in candidates]
        grouped = _grouped([_candidate(row, self.tokenizer.eos_token_id) for row in tokens], sizes)
        of_items = _grouped(tokens, sizes)
        uncut = [len(group) == 1 or not any(row.cut for row in group) for group in of_items]
        whole = [
            fair and all(one.n_completion > 0 for one in group) for fair, group in zip(uncut, grouped, strict=True)
        ]
        self.kept = np.flatnonzero(whole)
        warn_of_cut_items(of_items, len(self.kept), max_length)
        self.items = [self.items[place] for place in self.kept]
        if not self.items:
            raise InputError(
                f"no item keeps its completion within max_length={max_length} tokens; "
                f"raise {setting_hint('max_length')}"
            )
        self.candidate_groups = [grouped[place] for place in self.kept]
        self._ends = np.cumsum([len(group) for group in self.candidate_groups])

    def _on(self, model: PreTrainedModel) -> LikelihoodBatches:
        if self._batches is None:
            flat = [candidate for group in self.candidate_groups for candidate in group]
            self._batches = LikelihoodBatches.for_model(flat, model)
        return self._batches

    def _split(self, likelihoods: Likelihoods) -> list[Likelihoods]:
        parts = zip(
            np.split(likelihoods.total, self._ends[:-1]),
            np.split(likelihoods.tokens, self._ends[:-1]),
            np.split(likelihoods.greedy, self._ends[:-1]),
            strict=True,
        )
        return [Likelihoods(*part) for part in parts]

    def _checked(self, outcomes: FloatVector) -> FloatVector:
        if outcomes.shape != (len(self.items),):
            raise InputError(
                f"objective {self.objective} returned shape {outcomes.shape} for {len(self.items)} items; return one "
                "number per item"
            )
        return outcomes


def _check_answers(items: Sequence[Example], objective: LikelihoodObjective) -> None:
    without = sum(not item.completion for item in items)
    if without:
        raise InputError(
            f"objective {stable_name(objective)} reads answers, and {without} of {len(items)} items have "
            "none; pass objective=Judged(…), which scores what models answer, or items with answers"
        )


def _extra_metrics(
    objective: Objective, items: Sequence[Example], likelihoods: Sequence[Likelihoods]
) -> dict[str, float]:
    if not isinstance(objective, Choice):
        return {}
    accuracy = Accuracy(objective.per_token)
    right = [accuracy.outcome(item, of) for item, of in zip(items, likelihoods, strict=True)]
    return {"accuracy": float(np.mean(right))}


def _candidate(tokens: Tokens, eos: int) -> Candidate:
    """The completion up to its end-of-sequence token; what a chat template puts behind that is no answer."""
    start = split_at_completion(tokens)
    ends = np.flatnonzero(tokens.ids[start:] == eos)
    return Candidate(tokens.ids[: start + int(ends[0]) + 1] if len(ends) else tokens.ids, start)


def _grouped(flat: Sequence[_T], sizes: Sequence[int]) -> list[list[_T]]:
    ends = np.cumsum(sizes)
    return [list(flat[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
