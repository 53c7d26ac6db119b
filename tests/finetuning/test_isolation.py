"""Threads that fine-tune at once take turns, and leave the process's state as it was."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from transformers import AutoTokenizer

from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.isolation import Isolation
from tests.helpers.tiny_models import ITEMS, POOL, bound, config, tiny

ROW_SETS = [np.array([3, 1, 40, 22, 7]), np.array([5, 6])]


@pytest.mark.parametrize("shared", [False, True], ids=["a model each", "one model"])
def test_threads_that_fine_tune_at_once_measure_what_they_would_alone(shared: bool, tiny_model: Path) -> None:
    kinds = ["llama"] * 3 if shared else ["llama", "qwen2", "gpt2"]
    models = [tiny("llama")] * 3 if shared else [tiny(kind) for kind in kinds]
    expected = [bound(tiny_model, kind)(ROW_SETS) for kind in kinds]
    tokenizers = [AutoTokenizer.from_pretrained(tiny_model) for _ in models]
    found: dict[int, Any] = {}
    start = threading.Barrier(3)

    def work(number: int) -> None:
        tune = FineTune(models[number], "loss", tokenizers[number], config())
        start.wait()
        utility = tune.bind(POOL, ITEMS, 0)
        found[number] = np.concatenate([utility([rows]) for rows in ROW_SETS])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=3)
    random_state = torch.get_rng_state()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(3):
        np.testing.assert_array_equal(found[number], expected[number])
    assert torch.equal(torch.get_rng_state(), random_state)
    assert accelerator.gradient_accumulation_steps == 3


def test_a_thread_waits_until_the_other_is_done() -> None:
    order: list[str] = []
    inside = threading.Event()

    def other() -> None:
        inside.wait()
        with Isolation():
            order.append("other")

    thread = threading.Thread(target=other)
    thread.start()
    mine = Isolation()
    with mine, mine:  # once more within itself
        inside.set()
        thread.join(0.2)
        order.append("mine")
    thread.join()
    assert order == ["mine", "other"]


def test_an_error_lets_the_next_one_in() -> None:
    with pytest.raises(ValueError, match="first"), Isolation():
        raise ValueError("first")
    entered = threading.Event()

    def other() -> None:
        with Isolation():
            entered.set()

    thread = threading.Thread(target=other)
    thread.start()
    thread.join(5)
    assert entered.is_set()
