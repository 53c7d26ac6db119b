"""Vectors by the model's hidden states, against a calculation for one text after another."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, PreTrainedModel

from shed_hf.data.tokenization import Tokens, tokenise
from shed_hf.evaluation.memory import Budget
from shed_hf.finetuning import hidden_states
from shed_hf.finetuning.hidden_states import hidden_states_of_tokens
from shed_hf.game.utility import PlainUtility, SupportsHiddenStates
from shed_hf.types import IntVector
from tests.helpers.tiny_models import ITEMS, POOL, TINY, VOCABULARY, bound, tiny


def by_hand(model: PreTrainedModel, ids: IntVector) -> np.ndarray:
    """Σ t·h_t / Σ t over the last of all layers' states, at length 1."""
    with torch.no_grad():
        whole = model.eval()(input_ids=torch.tensor(ids)[None], output_hidden_states=True)
    states = whole.hidden_states[-1][0].double().numpy()
    mean = sum((t + 1) * state for t, state in enumerate(states)) / sum(range(1, len(ids) + 1))
    return np.asarray(mean / np.linalg.norm(mean))


def rows_of(lengths: list[int]) -> list[Tokens]:
    rng = np.random.default_rng(0)
    drawn = [rng.integers(1, VOCABULARY, length) for length in lengths]
    return [Tokens(ids, ids, 0) for ids in drawn]


@pytest.mark.parametrize("kind", TINY)
def test_every_row_has_the_position_weighted_mean_of_its_last_hidden_states(kind: str) -> None:
    model, rows = tiny(kind), rows_of([7, 1, 30, 7, 2])
    found = hidden_states_of_tokens(model, rows)
    assert found.dtype == np.float32
    for vector, row in zip(found, rows, strict=True):
        np.testing.assert_allclose(vector, by_hand(model, row.ids), atol=1e-5)


def test_batches_change_nothing_and_stay_within_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = tiny("llama"), rows_of([3, 20, 9, 9, 1, 14])
    whole = hidden_states_of_tokens(model, rows)
    read: list[tuple[int, ...]] = []
    model.model.register_forward_pre_hook(
        lambda _module, _args, given: read.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    monkeypatch.setattr(hidden_states, "budget_on", lambda *_: Budget(24, 1))
    np.testing.assert_allclose(hidden_states_of_tokens(model, rows), whole, atol=1e-5)
    assert sorted(read) == [(1, 14), (1, 20), (2, 9), (2, 3)] or all(n * t <= 24 for n, t in read)
    assert sum(n for n, _ in read) == 6


def test_where_memory_runs_out_batches_are_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = tiny("llama"), rows_of([8, 8, 8, 8])
    whole = hidden_states_of_tokens(model, rows)

    def refuse(_module: object, _args: object, given: dict[str, torch.Tensor]) -> None:
        if given["input_ids"].numel() > 16:
            raise torch.OutOfMemoryError

    model.model.register_forward_pre_hook(refuse, with_kwargs=True)
    np.testing.assert_allclose(hidden_states_of_tokens(model, rows), whole, atol=1e-5)


def test_a_row_without_a_token_is_near_nothing_and_the_mode_stays() -> None:
    model = tiny("llama").train()
    found = hidden_states_of_tokens(model, rows_of([4, 0]))
    assert not found[1].any()
    assert np.linalg.norm(found[0]) == pytest.approx(1, abs=1e-5)
    assert model.training
    assert hidden_states_of_tokens(model, []).shape == (0, 32)


def test_a_utility_reads_rows_and_items_as_it_trains_on_them_at_its_start(tiny_model: Path) -> None:
    utility = bound(tiny_model, "llama")
    plain = tiny("llama")
    rows = np.array([5, 0, 17])
    before = utility.hidden_states(rows)
    utility([rows])  # trains
    np.testing.assert_array_equal(utility.hidden_states(rows), before)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    for found, examples in ((before, POOL.examples(rows)), (utility.hidden_states_of(ITEMS), ITEMS)):
        expected = [by_hand(plain, tokens.ids) for tokens in tokenise(examples, tokenizer, 96)]
        np.testing.assert_allclose(found, np.stack(expected), atol=1e-5)


def test_only_a_utility_with_a_model_gives_hidden_states(tiny_model: Path) -> None:
    assert isinstance(bound(tiny_model, "llama"), SupportsHiddenStates)
    assert not isinstance(PlainUtility(lambda row_sets: np.zeros((len(row_sets), 1))), SupportsHiddenStates)
