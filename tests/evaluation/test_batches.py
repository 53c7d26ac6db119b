"""How candidates are laid out: lines of like length together, within the budget, at the fewest tokens."""

from itertools import product

import numpy as np
import pytest
import torch

from shed_hf.evaluation.batches import WORTH_A_PASS_ON_CPU, Batch, Candidate, batched, cheapest_stretches
from shed_hf.evaluation.memory import Budget

CPU = torch.device("cpu")
ROOM = Budget(4096, 2**26)


def candidates(n: int, seed: int) -> list[Candidate]:
    """Prompts and completions of all lengths; every fourth prompt has three completions."""
    rng, found = np.random.default_rng(seed), []
    for place in range(n):
        prompt = rng.integers(4, 400, size=int(rng.integers(1, 200)))
        for _ in range(1 if place % 4 else 3):
            completion = rng.integers(4, 400, size=int(rng.integers(1, 80)))
            found.append(Candidate(np.concatenate([prompt, completion]), len(prompt)))
    return found


def completion(batch: Batch, number: int) -> list[int]:
    return batch.labels[number][batch.counted[number]].tolist()


@pytest.mark.parametrize("share_prompts", [True, False])
def test_every_candidate_is_in_one_batch_with_its_tokens(share_prompts: bool) -> None:
    given = candidates(40, 0)
    batches = batched(given, 400, CPU, ROOM, share_prompts)
    assert sorted(place for batch in batches for place in batch.places) == list(range(len(given)))
    for batch in batches:
        for number, place in enumerate(batch.places):
            one, line = given[place], int(batch.owner[number])
            read = batch.lines[line][batch.mask[line] == 1].tolist()
            assert read == one.ids[: -1 if batch.whole else one.start].tolist()
            assert completion(batch, number) == one.ids[one.start :].tolist()
            assert batch.mask[line, -1] == 1  # padded on the left
        assert batch.whole or share_prompts


def test_batches_keep_within_the_budget() -> None:
    given, budget = candidates(60, 1), Budget(900, 900 * 40)
    batches = batched(given, 400, CPU, budget, share_prompts=True)
    several = [batch for batch in batches if len(batch.lines) > 1]
    assert several
    for batch in several:
        assert batch.n_tokens <= budget.tokens
        assert batch.n_logits * 400 <= budget.logits


def test_little_of_what_is_read_is_padding() -> None:
    rng = np.random.default_rng(2)
    lengths = np.exp(rng.normal(4.5, 0.8, size=64)).astype(int) + 4  # as instruction rows are: a few are very long
    given = [Candidate(rng.integers(4, 400, size=int(n)), int(rng.integers(1, n - 1))) for n in lengths]
    batches = batched(given, 400, CPU, ROOM, share_prompts=True)
    read = sum(batch.lines.numel() for batch in batches)
    in_one = len(given) * int(lengths.max())
    tokens = int((lengths - 1).sum())
    assert read - tokens < 0.1 * tokens
    assert read + WORTH_A_PASS_ON_CPU * len(batches) < 0.6 * in_one


def test_a_device_that_is_called_dearly_reads_fewer_batches() -> None:
    given = candidates(60, 3)
    on_cpu, on_device = (batched(given, 400, device, ROOM, True) for device in (CPU, torch.device("meta")))
    assert len(on_device) < len(on_cpu)


def test_stretches_are_the_cheapest_of_all() -> None:
    rng = np.random.default_rng(4)
    for _ in range(30):
        lengths = np.sort(rng.integers(1, 50, size=8))

        def costs(end: int, lengths: np.ndarray = lengths) -> np.ndarray:
            return 12.0 + lengths[end - 1] * np.arange(min(end, 5), 0, -1, dtype=np.float64)

        found = cheapest_stretches(8, costs)
        assert [place for part in found for place in range(8)[part]] == list(range(8))
        price = sum(12 + lengths[part.stop - 1] * (part.stop - part.start) for part in found)
        every = []
        for cuts in product([False, True], repeat=7):
            ends = [place + 1 for place, cut in enumerate(cuts) if cut] + [8]
            starts = [0, *ends[:-1]]
            if all(end - start <= 5 for start, end in zip(starts, ends, strict=True)):
                every.append(sum(12 + lengths[e - 1] * (e - s) for s, e in zip(starts, ends, strict=True)))
        assert price == min(every)
    assert cheapest_stretches(0, costs) == []


def test_a_long_prompt_is_read_once_for_all_completions_of_one_token() -> None:
    prompt = np.arange(300)
    letters = [Candidate(np.append(prompt, letter), 300) for letter in (301, 302, 303, 304)]
    (batch,) = batched(letters, 400, CPU, Budget(310, 2**26), share_prompts=True)
    assert batch.lines.shape == (1, 300)
    phrases = [Candidate(np.concatenate([prompt, [301, letter]]), 300) for letter in range(302, 306)]
    batches = batched([*letters, *phrases], 400, CPU, Budget(700, 2**26), share_prompts=True)
    assert sum(len(batch.lines) for batch in batches) == 2  # two phrases at a time go on from copies of its keys
