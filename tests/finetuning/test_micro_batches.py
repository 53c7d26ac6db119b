"""Where memory runs out: the same steps in smaller micro-batches, the same evaluation in smaller batches."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoConfig, AutoModelForCausalLM
from trl import SFTConfig

from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool, read_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.errors import InputError
from shed_hf.evaluation import log_likelihood as likelihood
from shed_hf.evaluation.batches import Candidate
from shed_hf.evaluation.log_likelihood import LikelihoodBatches
from shed_hf.evaluation.memory import (
    Budget,
    budget_on,
    budget_within,
    bytes_per_token,
    evaluated_within_memory,
    out_of_memory,
)
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.micro_batches import MicroBatches, measured_within_memory
from shed_hf.finetuning.schedule import NULL_ROW, schedule
from shed_hf.finetuning.trainer_settings import preserved_rng_state
from shed_hf.finetuning.trainer_utility import TrainerUtility
from shed_hf.types import FloatVector, TrainingSequence
from tests.helpers.rows import make_rows, make_rows_of_many_lengths

FULL = "CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a total capacity of 3.00 GiB."
WALKS: list[TrainingSequence] = [
    [np.array([3, 1, 40, 22, 7])],
    [np.array([9, 8, 60]), np.array([61, 62, 63, 64, 65, 66]), np.array([67, 68])],
    [np.array([5]), np.array([30, 31, 32, 33, 34, 35])],
]
PLACES = [(sequence, block) for sequence, blocks in enumerate(WALKS) for block in range(len(blocks))]


@pytest.fixture(scope="module")
def rows() -> Pool:
    """Rows of many lengths, so that a mean over the tokens of a micro-batch is not one over those of its step."""
    return read_pool(Dataset.from_list(make_rows_of_many_lengths(80)))


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return read_pool(Dataset.from_list(make_rows(3, seed=99))).examples(np.arange(3))


@pytest.fixture
def bound(tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path) -> Any:
    def bind(**fields: Any) -> TrainerUtility:
        given = {"learning_rate": 1e-2, "per_device_train_batch_size": 4, "max_length": 128, "num_train_epochs": 1}
        args = SFTConfig(
            output_dir=str(tmp_path), activation_checkpointing=False, use_cpu=True, bf16=False, **{**given, **fields}
        )
        return FineTune(str(tiny_model), "loss", args=args).bind(rows, examples, 7)

    return bind


class Recorded(dict[tuple[int, int], FloatVector]):
    """Outcomes by sequence and block, in the order in which they were recorded, each of them once."""

    def __call__(self, sequence: int, block: int, outcome: FloatVector, beside: Mapping[str, float]) -> None:
        assert (sequence, block) not in self
        self[sequence, block] = outcome


class Memory:
    """Of how many rows training batches fit; beyond, torch's own error is raised out of the forward pass."""

    def __init__(self, model: torch.nn.Module, fits: int, after: int = 0) -> None:
        self.model, self.fits, self.after = model, fits, after
        self.tried: list[int] = []
        self.errors = 0

    def __call__(self, model: torch.nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        if not model.training:
            return
        self.tried.append(len(kwargs["input_ids"]))
        if len(self.tried) > self.after and self.tried[-1] > self.fits:
            self.errors += 1
            raise torch.OutOfMemoryError(FULL)


@contextmanager
def memory(utility: TrainerUtility, fits: int, after: int = 0) -> Iterator[Memory]:
    limit = Memory(utility.trainer.model, fits, after)
    hook = utility.trainer.model.register_forward_pre_hook(limit, with_kwargs=True)
    yield limit
    hook.remove()


def full(*_: Any) -> Any:
    raise RuntimeError("the disk is full")


def measured(
    utility: TrainerUtility, sequences: list[TrainingSequence], steps: MicroBatches, record: Any = None
) -> Recorded:
    recorded = Recorded() if record is None else record
    with utility.isolation, preserved_rng_state():
        measured_within_memory(
            utility.trainer, utility.rows, sequences, utility.evaluation, recorded, utility.origin, steps
        )
    return recorded


@pytest.mark.parametrize(
    ("fits", "fields"),
    [
        (2, {}),
        (1, {"gradient_accumulation_steps": 2, "num_train_epochs": 2, "weight_decay": 0.1}),
        (2, {"per_device_train_batch_size": 3, "lr_scheduler_type": "linear", "warmup_steps": 1}),
        (1, {"per_device_train_batch_size": 3, "lr_scheduler_type": "linear", "warmup_steps": 1}),
    ],
    ids=["one micro-batch", "accumulation", "an odd batch", "an odd batch, row by row"],
)
def test_steps_that_do_not_fit_are_split_and_outcomes_stay(bound: Any, fields: dict[str, Any], fits: int) -> None:
    utility = bound(**fields)
    described = utility.describe()
    whole = measured(utility, WALKS, MicroBatches())
    steps = MicroBatches()
    with memory(utility, fits) as limit:
        split = measured(utility, WALKS, steps)
    assert limit.errors > 0
    assert list(split) == list(whole) == PLACES
    np.testing.assert_allclose([split[place] for place in PLACES], [whole[place] for place in PLACES], atol=1e-5)
    assert np.abs(whole[0, 0] - whole[1, 2]).max() > 1e-2
    assert utility.describe() == described
    assert utility.trainer.args.gradient_accumulation_steps == fields.get("gradient_accumulation_steps", 1)


def test_what_was_recorded_is_not_measured_again(bound: Any) -> None:
    utility = bound()
    whole = measured(utility, WALKS, MicroBatches())
    evaluations, evaluate = [], utility.evaluation.measure
    utility.evaluation.measure = lambda model: evaluations.append(1) or evaluate(model)
    with memory(utility, fits=2, after=3) as limit:  # two steps of the first sequence, one block of the second
        split = measured(utility, WALKS, MicroBatches())
    assert len(evaluations) == len(PLACES)
    np.testing.assert_allclose([split[place] for place in PLACES], [whole[place] for place in PLACES], atol=1e-5)
    steps_left = 1 + 2 + 1 + 1 + 2  # of the second sequence from its beginning, and of the third
    assert limit.tried[:4] == [3, 2, 3, 3]
    assert len(limit.tried[4:]) == 2 * steps_left - 1  # one step of a single row
    assert max(limit.tried[4:]) == 2


def test_a_run_stays_split_and_says_so_once(
    bound: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shed_hf.utils.logs.quiet", lambda: False)
    utility, steps = bound(), MicroBatches()
    with memory(utility, fits=1) as limit:
        measured(utility, WALKS[:1], steps)
        assert (limit.errors, steps.split) == (2, 4)
        measured(utility, WALKS[1:], steps)
        assert limit.errors == 2
    told = [line for line in capsys.readouterr().err.splitlines() if "memory" in line]
    assert told == [
        f"memory ran out with {before} rows at a time: steps are gone through {now} rows at a time from now on, and "
        "the coalition under way is trained again"
        for before, now in [(4, 2), (2, 1)]
    ]


def test_a_single_row_that_does_not_fit_is_named_by_its_tokens(bound: Any) -> None:
    utility, recorded = bound(), Recorded()
    longest = max(len(utility.rows[int(row)]["input_ids"]) for block in WALKS[1] for row in block)
    expected = rf"one row at a time \(CUDA out of memory.*\); the longest row .* {longest} tokens "
    expected += "of max_length=128; lower max_length= of curate"
    with memory(utility, fits=0, after=2), pytest.raises(InputError, match=expected) as raised:
        measured(utility, WALKS, MicroBatches(), recorded)
    assert list(recorded) == [(0, 0)]
    assert isinstance(raised.value.__cause__, torch.OutOfMemoryError)
    assert utility.trainer.args.gradient_accumulation_steps == 1
    assert list(measured(utility, WALKS, MicroBatches())) == PLACES  # where there is room again


def test_other_errors_are_left_alone(bound: Any) -> None:
    utility, steps = bound(), MicroBatches()
    with pytest.raises(RuntimeError, match="the disk is full"):
        measured(utility, WALKS, steps, full)
    assert steps.split == 1


def test_an_evaluation_without_memory_does_not_split_the_training(bound: Any) -> None:
    def no_room(model: torch.nn.Module) -> None:
        raise torch.OutOfMemoryError(FULL)

    utility, steps = bound(), MicroBatches()
    utility.evaluation.measure = no_room
    with pytest.raises(InputError, match=r"in an evaluation \(CUDA out of memory.*\); pass an objective that"):
        measured(utility, WALKS, steps)
    assert steps.split == 1


def test_a_loss_that_is_a_mean_of_means_is_not_split(bound: Any) -> None:
    utility, steps = bound(), MicroBatches()
    utility.trainer.model_accepts_loss_kwargs = False
    with memory(utility, fits=2), pytest.raises(torch.OutOfMemoryError):
        measured(utility, WALKS, steps)
    assert steps.split == 1


def test_a_utility_goes_on_where_memory_runs_out(bound: Any) -> None:
    utility = bound()
    row_sets = [np.empty(0, np.int64), np.arange(7), np.arange(20, 31)]
    whole = utility(row_sets)
    with memory(utility, fits=2) as limit:
        np.testing.assert_allclose(utility(row_sets), whole, atol=1e-5)
        np.testing.assert_allclose(utility(row_sets[:2]), whole[:2], atol=1e-5)
    assert limit.errors == 1


@pytest.mark.parametrize("split", [1, 2, 3, 4])
def test_a_split_step_has_the_rows_it_had(split: int) -> None:
    whole, parts = schedule(WALKS, 4, 1, 2), schedule(WALKS, 4, 1, 2, split=split)
    assert parts.steps == whole.steps
    assert len(parts.batches) == split * len(whole.batches)
    for number, batch in enumerate(whole.batches):
        of_step = [row for part in parts.batches[number * split : (number + 1) * split] for row in part]
        assert tuple(row for row in of_step if row != NULL_ROW) == batch
    assert max(map(len, parts.batches)) == -(-3 // split)  # of five and of six rows in two steps


def candidates(count: int, seed: int = 0) -> list[Candidate]:
    rng = np.random.default_rng(seed)
    prompts = [rng.integers(1, 300, size=rng.integers(1, 40)) for _ in range(count // 3)]
    made = []
    for number in range(count):
        prompt = prompts[number % len(prompts)]
        made.append(Candidate(np.concatenate([prompt, rng.integers(1, 300, size=rng.integers(1, 9))]), len(prompt)))
    return made


@contextmanager
def evaluation_memory(model: Any, fits: int) -> Iterator[list[int]]:
    """The model takes ``fits`` tokens at a time; yields how many it was given each time."""
    given: list[int] = []

    def check(_: Any, __: Any, kwargs: Mapping[str, Any]) -> None:
        given.append(kwargs["input_ids"].numel())
        if given[-1] > fits:
            raise torch.OutOfMemoryError(FULL)

    hook = model.register_forward_pre_hook(check, with_kwargs=True)
    yield given
    hook.remove()


@pytest.mark.parametrize("fits", [300, 100, 50])
def test_an_evaluation_that_does_not_fit_is_done_again_in_smaller_batches(tiny_model: Path, fits: int) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    batches = LikelihoodBatches.for_model(candidates(30), model)
    assert batches.budget == Budget(likelihood.TOKENS_PER_BATCH, likelihood.LOGITS_PER_BATCH)
    whole = batches(model)
    with evaluation_memory(model, fits) as given:
        found = batches(model)
        n_tried = len(given)
        again = batches(model)
    assert max(given[n_tried:]) <= fits
    assert batches.budget.tokens < likelihood.TOKENS_PER_BATCH
    for likelihoods in (found, again):
        np.testing.assert_allclose(likelihoods.total, whole.total, atol=1e-4)
        assert likelihoods.greedy.tolist() == whole.greedy.tolist()


def test_a_single_candidate_that_does_not_fit_is_an_error_of_its_own(tiny_model: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    batches = LikelihoodBatches.for_model(candidates(12), model)
    with (
        evaluation_memory(model, 5) as given,
        pytest.raises(InputError, match=r"one candidate at a time \(CUDA out of memory.*\); lower max_length"),
    ):
        batches(model)
    assert given[-1] < 60
    with pytest.raises(RuntimeError, match="is full"):
        evaluated_within_memory(full, lambda: True)


def test_batches_on_a_cpu_are_the_usual_ones(tiny_model: Path) -> None:
    usual = Budget(4096, 2**26)
    assert budget_on(AutoModelForCausalLM.from_pretrained(tiny_model), usual) is usual


def test_budgets_follow_the_free_memory_in_powers_of_two() -> None:
    budgets = [budget_within(gigabytes * 2**30, 50_000) for gigabytes in (0, 1, 8, 12, 80, 10_000)]
    assert budgets[0] == Budget(1, 1)
    assert budgets[-1] == Budget(2**16, 2**30)
    sizes = [size for budget in budgets for size in (budget.tokens, budget.logits)]
    assert all(size == 1 << (size.bit_length() - 1) for size in sizes)
    for smaller, larger in pairwise(budgets):
        assert smaller.tokens <= larger.tokens
        assert smaller.logits <= larger.logits
    eight = budgets[2]
    assert eight.tokens * 50_000 <= 2 * 2**30 < 2 * eight.tokens * 50_000
    assert eight.logits * 16 <= 2 * 2**30


def test_a_tokens_states_hold_its_keys_and_values() -> None:
    config = AutoConfig.from_pretrained(SMALL_MODEL)
    model = AutoModelForCausalLM.from_pretrained(SMALL_MODEL).eval()
    cache = model(input_ids=torch.zeros(2, 50, dtype=torch.long), use_cache=True).past_key_values
    kept = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers) / 100
    assert kept < bytes_per_token(config, 4) < 4 * kept + 4 * 20 * config.hidden_size


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError(FULL), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
            True,
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_errors_that_mean_no_memory(error: Exception, is_one: bool) -> None:
    assert out_of_memory(error) is is_one
