"""Batched coalitions: their outcomes are those of the same coalitions trained alone."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset

from shed_hf.data.pool import read_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.errors import Diverged, InputError
from shed_hf.evaluation.objectives import Choice
from shed_hf.finetuning import batched_coalitions
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_utility import TrainerUtility
from shed_hf.game.coalitions import coalition_of
from shed_hf.game.game import Game
from shed_hf.game.utility import OutcomeCallback
from shed_hf.types import FloatVector, TrainingSequence
from tests.helpers.rows import make_rows
from tests.helpers.tiny_models import ITEMS, POOL, TINY, Bind, bound, config, with_trainer

TOLERANCE = 2e-5
ROW_SETS = [np.random.default_rng(size).permutation(80)[:size] for size in (11, 3, 17, 1, 8)]
N_SETS = len(ROW_SETS)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Models this small take many times as long where several threads wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def bind(tiny_model: Path) -> Bind:
    return partial(bound, tiny_model)


def measured(utility: TrainerUtility, n_batched: int, row_sets: Sequence[Any] = ROW_SETS) -> Any:
    """Outcomes of a batch; every sequence is recorded exactly once."""
    outcomes: dict[int, FloatVector] = {}

    def record(sequence: int, block: int, outcome: FloatVector, _beside: Mapping[str, float]) -> None:
        assert block == 0
        assert sequence not in outcomes
        outcomes[sequence] = outcome

    with utility.isolation:
        assert batched_coalitions.measure(utility, [[rows] for rows in row_sets], record, n_batched) == set(
            range(len(row_sets))
        )
    return np.stack([outcomes[sequence] for sequence in range(len(row_sets))])


def assert_close(measured: Any, expected: Any) -> None:
    np.testing.assert_allclose(measured, expected, atol=TOLERANCE, rtol=0)


HOW: dict[str, dict[str, Any]] = {
    "plain": {},
    "everything": {
        "gradient_accumulation_steps": 2, "num_train_epochs": 2, "lr_scheduler_type": "linear", "warmup_steps": 1,
        "weight_decay": 0.1, "max_grad_norm": 0.05,
    },
    "SGD, not clipped": {"optim": "sgd", "learning_rate": 1.0, "max_grad_norm": 0.0, "weight_decay": 0.1},
}  # fmt: skip


CASES = [*((kind, "everything") for kind in TINY), *(("llama", how) for how in HOW if how != "everything")]


@pytest.mark.parametrize(("kind", "how"), CASES)
def test_outcomes_are_those_of_coalitions_trained_alone(kind: str, how: str, bind: Bind) -> None:
    utility = bind(kind, **HOW[how])
    with utility.isolation:
        assert batched_coalitions.why_not_batched(utility) is None
    alone = utility(ROW_SETS)
    for n_batched in (1, 3, N_SETS) if CASES[0] == (kind, how) else (3,):
        assert_close(measured(utility, n_batched), alone)
    differences = np.abs(alone[:, None] - alone[None]).max(axis=2)[~np.eye(len(alone), dtype=bool)]
    assert differences.min() > 20 * TOLERANCE  # the row sets do differ


def test_the_small_models_outcomes_are_those_of_coalitions_trained_alone() -> None:
    args = config(learning_rate=1e-3, adam_epsilon=1e-8)
    utility = FineTune(str(SMALL_MODEL), "loss", args=args).bind(POOL, ITEMS, 0)
    sets = [np.arange(9), np.arange(30, 35), np.arange(60, 67)]
    assert_close(measured(utility, 3, sets), utility(sets))


def test_a_first_token_counts_where_the_trainer_counts_it(bind: Bind) -> None:
    texts = read_pool(Dataset.from_list([{"text": row["output"]} for row in make_rows(80)]))
    for kind, counts in (("gpt2", True), ("llama", False)):
        utility = bind(kind, pool=texts, optim="sgd", learning_rate=1.0)
        assert utility.trainer._loss_shifts_labels is not counts
        assert_close(measured(utility, 4), utility(ROW_SETS))


@pytest.mark.parametrize(
    "fields", [{"bf16": True}, {"activation_checkpointing": True}], ids=["bfloat16", "checkpoints"]
)
def test_precision_and_checkpoints_are_the_trainers(fields: dict[str, Any], bind: Bind) -> None:
    sets = ROW_SETS[1:4]
    utility, exact = bind("qwen3", **fields), bind("qwen3")(sets)
    alone, beside = utility(sets), measured(utility, 3, sets)
    noise = max(float(np.abs(alone - exact).max()), TOLERANCE)  # what the precision costs
    assert np.abs(beside - alone).max() <= 2 * noise
    assert np.abs(beside - exact).max() <= 2 * noise


def test_a_warmed_up_adapter_and_learning_rates_of_its_own(bind: Bind) -> None:
    utility = bind("llama")
    with utility.isolation:
        named = dict(utility.trainer.model.named_parameters())
    factors = {part: [p for n, p in named.items() if f"lora_{part}" in n] for part in "AB"}
    utility.warm_up(ROW_SETS[2], "some rows")
    groups = [{"params": factors["A"], "lr": 1e-3}, {"params": factors["B"], "lr": 2e-2, "weight_decay": 0.1}]
    utility.trainer.optimizer = torch.optim.AdamW(groups, betas=(0.8, 0.95), eps=1e-6)
    alone = utility(ROW_SETS)
    for parameter in utility.origin.parameters:
        parameter.data += 1  # the user trained on in between: θ₀ is where the utility begins
    assert_close(measured(utility, 4), alone)


def test_figures_beside_a_choice_are_recorded(bind: Bind) -> None:
    quiz = [{"question": f"q{n}", "choices": ["salt", "dog fur", "goal"], "answer": n % 3} for n in range(9)]
    utility = bind("llama", Choice(), items=read_pool(Dataset.from_list(quiz)).examples(np.arange(9)))
    alone: dict[int, tuple[FloatVector, float]] = {}
    beside: dict[int, tuple[FloatVector, float]] = {}
    sequences = [[rows] for rows in ROW_SETS]

    def into(found: dict[int, Any]) -> OutcomeCallback:
        return lambda sequence, _block, outcome, figures: found.update({sequence: (outcome, figures["accuracy"])})

    utility.measure(sequences, into(alone))
    with utility.isolation:
        batched_coalitions.measure(utility, sequences, into(beside), 3)
    for sequence, (outcome, accuracy) in alone.items():
        assert_close(beside[sequence][0], outcome)
        assert beside[sequence][1] == accuracy


def test_each_coalition_is_clipped_by_its_own_norm(bind: Bind, monkeypatch: pytest.MonkeyPatch) -> None:
    utility = bind("llama", max_grad_norm=0.05, optim="sgd", learning_rate=20.0)
    alone, own = utility(ROW_SETS), measured(utility, N_SETS)
    norm = torch.linalg.vector_norm
    monkeypatch.setattr(torch.linalg, "vector_norm", lambda gradients, **_: norm(gradients))
    jointly = measured(utility, N_SETS)
    assert_close(own, alone)
    assert np.abs(jointly - alone).max() > 100 * TOLERANCE


def test_model_random_numbers_and_bits_stay_what_they_were(bind: Bind) -> None:
    utility = bind("gpt2")
    model = utility.trainer.model
    before = {name: (id(one), one.detach().clone()) for name, one in model.named_parameters()}
    python, of_torch, of_numpy = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].tolist()
    mode = model.training
    with utility.isolation:
        batched_coalitions.why_not_batched(utility)
    first = measured(utility, 3)
    assert python == random.getstate()
    assert torch.equal(of_torch, torch.get_rng_state())
    assert of_numpy == np.random.get_state()[1].tolist()
    assert model.training == mode
    after = dict(model.named_parameters())
    assert all(id(after[name]) == which and torch.equal(after[name], old) for name, (which, old) in before.items())
    np.testing.assert_array_equal(measured(utility, 3), first)


@pytest.fixture
def room() -> Iterator[Callable[[TrainerUtility, int, str], list[int]]]:
    """Room for so many rows at once in a model, while it trains or while it evaluates."""
    handles = []

    def limit(utility: TrainerUtility, n_rows: int, mode: str) -> list[int]:
        refused = []

        def check(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
            if module.training == (mode == "training") and len(kwargs["input_ids"]) > n_rows:
                refused.append(len(kwargs["input_ids"]))
                raise torch.OutOfMemoryError

        with utility.isolation:
            body = utility.trainer.model.get_base_model().base_model
            handles.append(body.register_forward_pre_hook(check, with_kwargs=True))
        return refused

    yield limit
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize("mode, n_rows", [("training", 9), ("evaluation", 12)])
def test_where_memory_runs_out_fewer_are_trained_at_once(mode: str, n_rows: int, room: Any, bind: Bind) -> None:
    utility = bind("llama")
    alone = utility(ROW_SETS)
    refused = room(utility, n_rows, mode)
    assert_close(measured(utility, N_SETS), alone)
    assert refused


def test_a_single_coalition_without_room_raises(room: Any, bind: Bind) -> None:
    utility = bind("llama")
    refused = room(utility, 0, "training")
    with pytest.raises(torch.OutOfMemoryError):
        measured(utility, N_SETS)
    assert len(refused) == 4  # 5 coalitions at once, 3, 2 and 1
    assert not any("forward" in vars(module) for module in utility.trainer.model.get_base_model().model.modules())


class Abreast:
    """A utility whose coalitions are all trained at once."""

    def __init__(self, utility: TrainerUtility) -> None:
        self.utility = utility
        self.trainable, self.n_tokens, self.describe = utility.trainable, utility.n_tokens, utility.describe

    def measure(self, sequences: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        with self.utility.isolation:
            assert len(batched_coalitions.measure(self.utility, sequences, record, len(sequences))) == len(sequences)


def test_a_diverging_coalition_is_named_and_those_beside_it_are_kept(bind: Bind) -> None:
    fields = {"learning_rate": 1e30, "lr_scheduler_type": "constant_with_warmup", "warmup_steps": 1}
    game = Game([np.arange(4), np.arange(4, 12), np.arange(12, 16)], Abreast(bind("llama", **fields)))
    with pytest.raises(Diverged, match=r"players \[1\].*8 rows.*learning_rate=1e\+30.*lower it"):
        game(np.eye(3, dtype=np.bool_))  # a first step has no learning rate yet: one step is too few to diverge
    assert sorted(np.flatnonzero(coalition_of(game.players)(entry)).tolist() for entry in game.ledger) == [[0], [2]]


def test_sequences_that_continue_and_empty_ones_are_left(bind: Bind) -> None:
    utility, rows = bind("llama"), np.arange(6)
    sequences = [[rows, rows + 6], [rows[:0]], [rows]]
    seen: list[int] = []
    with utility.isolation:
        assert batched_coalitions.coalitions_at_once(utility, sequences, 8) == 1
        assert batched_coalitions.measure(utility, sequences, lambda sequence, *_: seen.append(sequence), 8) == {2}
        assert (
            batched_coalitions.measure(utility, sequences[:2], lambda sequence, *_: seen.append(sequence), 8) == set()
        )
    assert seen == [2]


def test_as_many_coalitions_as_asked_for_and_never_more_than_there_are(bind: Bind) -> None:
    utility, sequences = bind("llama"), [[np.arange(start, start + 3)] for start in range(5)]
    assert batched_coalitions.coalitions_at_once(utility, sequences) == 1  # a CPU is busy with one
    assert [batched_coalitions.coalitions_at_once(utility, sequences, wanted) for wanted in (1, 4, 64)] == [1, 4, 5]
    for wanted in (0, True, 2.5, "all"):
        with pytest.raises(InputError, match='pass a whole number >= 1 or "auto"'):
            batched_coalitions.coalitions_at_once(utility, sequences, wanted)


def test_coalitions_and_tokens_fit_the_memory_that_is_free() -> None:
    use = batched_coalitions._MemoryUse(free=20e9, coalition=40e6, token=1e6)
    n_batched = use.coalitions(longest=512)
    assert n_batched * (40e6 + 512e6) <= 20e9 < (n_batched + 1) * (40e6 + 512e6)
    assert 8e9 + use.tokens(200) * 1e6 <= 20e9 < 8e9 + (use.tokens(200) + 1) * 1e6
    assert (
        batched_coalitions._MemoryUse(free=1e12, coalition=1e6, token=1e3).coalitions(100)
        == batched_coalitions.MAX_BATCHED
    )
    assert batched_coalitions._MemoryUse(free=1e6, coalition=1e6, token=1e6).coalitions(100) == 1
    assert (
        batched_coalitions._MemoryUse(free=1e12, coalition=1e6, token=1e3).tokens(64)
        == batched_coalitions.TOKENS_AT_ONCE
    )


def test_a_plain_trainer_of_ones_own_may_train_in_batches(bind: Bind) -> None:
    utility = with_trainer(bind("llama"))
    sets = [np.arange(5), np.arange(3, 8)]
    with utility.isolation:
        assert batched_coalitions.why_not_batched(utility) is None
    assert_close(measured(utility, 2, sets), utility(sets))
