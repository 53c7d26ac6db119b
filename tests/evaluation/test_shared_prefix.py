"""What all prompts begin with is read once where that pays and is exact, and changes no log-likelihood."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MptConfig,
    MptForCausalLM,
)
from transformers import PreTrainedModel as Model

from shed_hf.evaluation.batches import Candidate
from shed_hf.evaluation.log_likelihood import LikelihoodBatches
from shed_hf.evaluation.objectives import Likelihoods
from shed_hf.evaluation.shared_prefix import shared_prefix
from tests.helpers.objectives import VOCABULARY

CPU = torch.device("cpu")
PREFIX = 24
ROUNDING = 5e-5
"""Log-likelihoods are sums of up to 20 float32 numbers about 6, some hundred operations deep."""

WIDE = {"vocab_size": VOCABULARY, "initializer_range": 0.2}
HEADS = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
LAYERS = {"num_hidden_layers": 2, "max_position_embeddings": 256}
WITHOUT_PLAIN_CACHE = ("mistral", "gemma3", "mamba")


def tiny(kind: str) -> Model:
    """Models that see positions and the past in different ways: biases by distance, windows of tokens, a state."""
    torch.manual_seed(1)
    gemma = {"head_dim": 8, "layer_types": ["sliding_attention", "full_attention"]}
    neo = {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]}
    models = {
        "mistral": lambda: MistralForCausalLM(MistralConfig(sliding_window=16, **HEADS, **LAYERS, **WIDE)),
        "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(sliding_window=16, **gemma, **HEADS, **LAYERS, **WIDE)),
        "bloom": lambda: BloomForCausalLM(BloomConfig(hidden_size=32, n_layer=2, n_head=4, **WIDE)),
        "mpt": lambda: MptForCausalLM(MptConfig(d_model=32, n_layers=2, n_heads=4, max_seq_len=256, **WIDE)),
        "gpt-neo": lambda: GPTNeoForCausalLM(GPTNeoConfig(window_size=16, max_position_embeddings=256, **neo, **WIDE)),
        "mamba": lambda: MambaForCausalLM(MambaConfig(hidden_size=32, num_hidden_layers=2, state_size=8, **WIDE)),
    }
    return models[kind]().eval()


def prompts(lengths: Sequence[int], shared: int, n_completions: int = 1, seed: int = 0) -> list[Candidate]:
    """Prompts that begin alike, each with completions of 1 to 19 tokens."""
    rng = np.random.default_rng(seed)
    first, found = rng.integers(4, VOCABULARY, size=shared), []
    for place, length in enumerate(lengths):
        own = rng.integers(4, VOCABULARY, size=length)
        own[:1] = 4 + place % 3  # no token more that all of them share
        for _ in range(n_completions if place % 2 else 1):
            completion = rng.integers(4, VOCABULARY, size=int(rng.integers(1, 20)))
            found.append(Candidate(np.concatenate([first, own, completion]), shared + length))
    return found


@torch.no_grad()
def alone(model: Model, candidates: Sequence[Candidate]) -> list[float]:
    """Log-likelihoods from a forward over one sequence each, without padding and without a cache."""
    found = []
    for one in candidates:
        ids = torch.from_numpy(one.ids)
        log_p = model(input_ids=ids[None], use_cache=False).logits[0, :-1].double().log_softmax(-1)
        found.append(float(log_p[one.start - 1 :].gather(-1, ids[one.start :, None]).sum()))
    return found


def read(model: Model, candidates: Sequence[Candidate]) -> tuple[Likelihoods, list[torch.Size]]:
    """What batches give, and the shapes of what the model read."""
    shapes: list[torch.Size] = []
    hook = model.register_forward_pre_hook(
        lambda _, __, kwargs: shapes.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    found = LikelihoodBatches(candidates, VOCABULARY, CPU)(model)
    hook.remove()
    return found, shapes


LENGTHS = [1, 50, 3, 20, 21, 22, 45, 2, 33, 60, 7, 12]
WAYS = [(LENGTHS, 1), (LENGTHS, 3), ([5] * 12, 1), ([5] * 12, 3)]


@pytest.mark.parametrize(("lengths", "n"), WAYS, ids=["all lengths", "options", "all alike", "options of like prompts"])
def test_likelihoods_are_those_of_each_sequence_alone(model: Model, lengths: list[int], n: int) -> None:
    given = prompts(lengths, PREFIX, n)
    found, shapes = read(model, given)
    assert shapes[0] == (1, PREFIX)  # read once, before all batches
    np.testing.assert_allclose(found.total, alone(model, given), atol=ROUNDING)


@pytest.mark.parametrize("kind", ["bloom", "mpt", "gpt-neo", *WITHOUT_PLAIN_CACHE])
def test_models_of_other_kinds_share_it_where_that_is_exact(kind: str) -> None:
    model, given = tiny(kind), prompts(LENGTHS, PREFIX, 3)
    found, shapes = read(model, given)
    np.testing.assert_allclose(found.total, alone(model, given), atol=ROUNDING)
    longest = max(one.start for one in given)
    assert (max(shape[1] for shape in shapes) >= longest) == (kind in WITHOUT_PLAIN_CACHE)


def test_it_is_read_again_for_every_state_of_the_model(llama: Model) -> None:
    given = prompts(LENGTHS, PREFIX)
    batches = LikelihoodBatches(given, VOCABULARY, CPU)
    before = batches(llama).total
    first = llama.model.layers[0].self_attn.v_proj.weight
    kept = first.data.clone()
    try:
        first.data.mul_(3)
        after = batches(llama).total
        np.testing.assert_allclose(after, alone(llama, given), atol=ROUNDING)
        assert np.abs(after - before).max() > 0.05
    finally:
        first.data.copy_(kept)
    np.testing.assert_array_equal(batches(llama).total, before)


def test_each_of_several_adapters_reads_it_for_itself(llama: Model) -> None:
    """An adapter here is a factor of the values that the first layer sees."""
    given, factors, shown = prompts(LENGTHS, PREFIX, 3), torch.tensor([1.0, 0.5, 2.0]), [0, 1]
    layer = llama.model.layers[0].self_attn.v_proj

    def scaled(_module: torch.nn.Module, _inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        of_copies = factors[shown[0] : shown[1]]
        return output * of_copies.repeat_interleave(len(output) // len(of_copies))[:, None, None]

    hook = layer.register_forward_hook(scaled)
    try:
        batches = LikelihoodBatches(given, VOCABULARY, CPU)
        together = batches.of_adapters(llama, 3, lambda start, stop: shown.__setitem__(slice(0, 2), [start, stop]))
        for adapter, found in enumerate(together):
            shown[:] = [adapter, adapter + 1]
            np.testing.assert_allclose(found.total, alone(llama, given), atol=ROUNDING)
    finally:
        hook.remove()
    assert np.abs(together[0].total - together[1].total).max() > 100 * ROUNDING


def test_nothing_is_shared_where_gradients_flow(llama: Model) -> None:
    given = prompts(LENGTHS, PREFIX, 3)
    batches = LikelihoodBatches(given, VOCABULARY, CPU, share_prompts=False)
    totals = np.zeros(len(given))
    for places, sums, _ in batches.sums(llama):
        assert sums.requires_grad
        totals[places] = sums.detach().numpy()
    np.testing.assert_allclose(totals, alone(llama, given), atol=ROUNDING)


def test_a_token_of_each_prompt_is_left_to_be_read() -> None:
    ids = np.arange(4, 40)
    given = [Candidate(ids, start) for start in (30, 12, 20)]
    assert shared_prefix(given, 30, CPU).tolist() == ids[:11].tolist()


def test_nothing_is_shared_by_prompts_that_begin_unlike() -> None:
    given = [Candidate(np.array([first, *range(4, 60)]), 30) for first in (5, 6, 7, 5)]
    assert shared_prefix(given, 30, CPU).size == 0


def test_nothing_is_shared_where_it_would_not_pay() -> None:
    ids = np.arange(4, 40)
    assert shared_prefix([Candidate(ids, 30)], 1, CPU).size == 0  # a single item
    assert shared_prefix([Candidate(ids, 30)] * 3, 3, CPU).size == 0  # 58 tokens, less than a pass is worth
    assert shared_prefix([Candidate(ids, 30)] * 4, 4, CPU).size == 29


@pytest.mark.parametrize(("tokens", "logits"), [(300, 2**26), (4096, 9000), (1, 1)])
def test_batches_of_any_size_share_it(llama: Model, monkeypatch: pytest.MonkeyPatch, tokens: int, logits: int) -> None:
    given = prompts(LENGTHS, PREFIX, 2)
    whole, _ = read(llama, given)
    monkeypatch.setattr("shed_hf.evaluation.log_likelihood.TOKENS_PER_BATCH", tokens)
    monkeypatch.setattr("shed_hf.evaluation.log_likelihood.LOGITS_PER_BATCH", logits)
    split, shapes = read(llama, given)
    assert shapes[0] == (1, PREFIX)
    np.testing.assert_allclose(split.total, whole.total, atol=ROUNDING)
