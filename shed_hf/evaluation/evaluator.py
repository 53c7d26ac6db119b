"""An objective bound to its evaluation items: a trained model in, one outcome per item out."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from shed_hf.data.formats import Example
from shed_hf.data.tokenization import Tokens, check_tokenizer, split_at_completion, tokenise, warn_of_cuts
from shed_hf.errors import InputError
from shed_hf.evaluation.log_likelihood import Candidate, LikelihoodBatches
from shed_hf.evaluation.objectives import Accuracy, Choice, LikelihoodObjective, Likelihoods, Objective
from shed_hf.types import FloatVector, IntVector

_T = TypeVar("_T")


class Evaluation:
    """Calls ``objective`` on a model for all items; candidates are tokenised and laid out once.

    Items of which a candidate loses its whole completion to ``max_length`` are left out, with a warning that counts
    them; `items` are the rest, ``kept`` their positions among those given. Raises `InputError` when none is left or the
    objective cannot use them.
    """

    def __init__(
        self,
        items: Sequence[Example],
        objective: Objective,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
        seed: int = 0,
    ) -> None:
        if not items:
            raise InputError("the evaluation set has 0 items; pass eval_dataset= with rows")
        check_tokenizer(tokenizer)
        self.objective, self.tokenizer = objective, tokenizer
        self.items = list(items)
        self.kept: IntVector = np.arange(len(self.items), dtype=np.int64)
        self._batches: LikelihoodBatches | None = None
        if isinstance(objective, LikelihoodObjective):
            self._lay_out(objective, max_length, np.random.default_rng(seed))

    @property
    def n_tokens(self) -> int:
        """How many tokens one evaluation reads, each prompt once for each of its candidates; 0 where it generates."""
        groups = self.candidate_groups if isinstance(self.objective, LikelihoodObjective) else []
        return sum(len(candidate.ids) for group in groups for candidate in group)

    def __call__(self, model: PreTrainedModel) -> FloatVector:
        """One outcome per item ``(n_items,)``, higher is better. The model is left in the mode it was in."""
        return self.measure(model)[0]

    def measure(self, model: PreTrainedModel) -> tuple[FloatVector, dict[str, float]]:
        """The outcomes, and figures that cost nothing more: the accuracy beside a choice."""
        training = model.training
        model.eval()
        try:
            return self._outcomes(model)
        finally:
            model.train(training)

    def measure_abreast(
        self, model: PreTrainedModel, n_lanes: int, show: Callable[[int, int], None]
    ) -> list[tuple[FloatVector, dict[str, float]]]:
        """What `measure` gives, of each of ``n_lanes`` models read side by side; see `LikelihoodBatches.abreast`.

        Raises `InputError` for an objective that is not made of log-likelihoods.
        """
        if not isinstance(self.objective, LikelihoodObjective):
            raise InputError(
                f"objective {self.objective} is not made of log-likelihoods, so models cannot be read side by side; "
                "measure them one after another"
            )
        training = model.training
        model.eval()
        try:
            of_lanes = self._on(model).abreast(model, n_lanes, show)
        finally:
            model.train(training)
        return [self._reduced(self.objective, likelihoods) for likelihoods in of_lanes]

    def _outcomes(self, model: PreTrainedModel) -> tuple[FloatVector, dict[str, float]]:
        objective = self.objective
        if not isinstance(objective, LikelihoodObjective):
            return self._checked(np.asarray(objective(model, self.tokenizer, self.items), dtype=np.float64)), {}
        return self._reduced(objective, self._on(model)(model))

    def _reduced(
        self, objective: LikelihoodObjective, likelihoods: Likelihoods
    ) -> tuple[FloatVector, dict[str, float]]:
        items = self._split(likelihoods)
        outcomes = np.array([objective.outcome(item, of) for item, of in zip(self.items, items, strict=True)])
        return outcomes, _beside(objective, self.items, items)

    def _lay_out(self, objective: LikelihoodObjective, max_length: int, rng: np.random.Generator) -> None:
        candidates = objective.candidates(self.items, rng)
        tokens = tokenise([candidate for item in candidates for candidate in item], self.tokenizer, max_length)
        warn_of_cuts(tokens, max_length, "evaluation candidates")
        sizes = [len(item) for item in candidates]
        grouped = _grouped([_candidate(row, self.tokenizer.eos_token_id) for row in tokens], sizes)
        uncut = [len(group) == 1 or not any(row.cut for row in group) for group in _grouped(tokens, sizes)]
        whole = [
            fair and all(one.n_completion > 0 for one in group) for fair, group in zip(uncut, grouped, strict=True)
        ]
        self.kept = np.flatnonzero(whole)
        self.items = [self.items[place] for place in self.kept]
        if not self.items:
            raise InputError(
                f"no evaluation item keeps its completion within max_length={max_length} tokens; raise it in args"
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


def _beside(objective: Objective, items: Sequence[Example], likelihoods: Sequence[Likelihoods]) -> dict[str, float]:
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
