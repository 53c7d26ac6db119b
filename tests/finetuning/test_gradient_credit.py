"""Credits of rows from one run: against a gradient for every row, without disturbing the run, and as an estimator."""

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import TrainerCallback

from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool, read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.errors import Diverged, InputError
from shed_hf.estimators.in_run import InRun
from shed_hf.evaluation.metrics import Metric
from shed_hf.evaluation.objectives import Accuracy, Choice, Contrast, Likelihoods, Loss
from shed_hf.finetuning import gradient_credit as module
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.outcome_gradient import OutcomeGradient
from shed_hf.finetuning.trainer_settings import preserved_rng_state
from shed_hf.finetuning.trainer_utility import TrainerUtility
from shed_hf.game.game import Game
from tests.helpers.credits import CLIPPED, EPSILON, ROWS, bound, log_likelihoods, outcomes
from tests.helpers.rows import make_rows


@pytest.fixture(scope="module")
def rows() -> Pool:
    return read_pool(Dataset.from_list(make_rows(80)))


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return read_pool(Dataset.from_list(make_rows(4, seed=99))).examples(np.arange(4))


@pytest.fixture(scope="module")
def quiz() -> list[Example]:
    of = [
        {"question": f"q{n}", "choices": ["salt", "dog fur", "a goal"][: 2 + n % 2], "answer": n % 2} for n in range(3)
    ]
    return read_pool(Dataset.from_list(of)).examples(np.arange(3))


def by_definition(utility: TrainerUtility, places: Any, adam: bool, rates: Sequence[float]) -> Any:
    """Credits from a backward pass for every row of every step, and a training loop of one's own."""
    model, earned = utility.trainer.model, np.zeros(len(ROWS))
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    start, squares = copy.deepcopy([weight.data for weight in weights]), [torch.zeros_like(w) for w in weights]
    means = [torch.zeros_like(w) for w in weights]
    for step, rate in enumerate(rates):
        chunk = places[step]
        toward = torch.autograd.grad(torch.stack(outcomes(utility)).mean(), weights)
        tokens = [utility.rows.tokens(ROWS[[place]])[0] for place in chunk]
        learned = sum(one.n_learned for one in tokens)
        of_rows = []
        for one in tokens:
            log_p = log_likelihoods(model, one.ids, [int(np.argmax(one.labels != -100))])[0]
            of_rows.append(torch.autograd.grad(-log_p / learned, weights))
        summed = [torch.stack(parts).sum(0) for parts in zip(*of_rows, strict=True)]
        norm = math.sqrt(sum(float((part**2).sum()) for part in summed))
        clip = min(1.0, CLIPPED / (norm + 1e-6))
        scales = []
        for number, weight in enumerate(weights):
            means[number] = 0.9 * means[number] + 0.1 * clip * summed[number]
            squares[number] = 0.999 * squares[number] + 0.001 * (clip * summed[number]) ** 2
            v, m = squares[number] / (1 - 0.999 ** (step + 1)), means[number] / (1 - 0.9 ** (step + 1))
            of_rows_squared = sum((clip * of_row[number]) ** 2 for of_row in of_rows)
            scales.append(1 / (torch.maximum(v, of_rows_squared).sqrt() + EPSILON) if adam else torch.ones_like(v))
            weight.data -= rate * (m / (v.sqrt() + EPSILON) if adam else clip * summed[number])
        for place, of_row in zip(chunk, of_rows, strict=True):
            parts = zip(toward, scales, of_row, strict=True)
            earned[place] -= rate * clip * sum(float((u * p * g).sum()) for u, p, g in parts)
    for weight, first in zip(weights, start, strict=True):
        weight.data.copy_(first)
    return earned


def chunks(size: int, epochs: int = 1) -> list[Any]:
    return np.array_split(np.arange(len(ROWS)), -(-len(ROWS) // size)) * epochs


@pytest.mark.parametrize("adam", [False, True], ids=["sgd", "adam"])
def test_credits_are_those_of_a_gradient_for_every_row(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path, adam: bool
) -> None:
    fields = {"num_train_epochs": 2, "lr_scheduler_type": "linear", "gradient_accumulation_steps": 2}
    rates = [1e-3 * (1 - n / 4) for n in range(4)]
    utility = bound(tiny_model, rows, examples, tmp_path, optim="adamw_torch" if adam else "sgd", **fields)
    lengths = {len(tokens.ids) for tokens in utility.rows.tokens(ROWS)}
    assert len(lengths) > 3  # rows are padded in the run, never in the definition
    expected = by_definition(utility, chunks(8, epochs=2), adam, rates)
    found = utility.credit(ROWS, adam=adam, every=1)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize(
    "objective",
    [Choice(), Choice(per_token=True), Contrast(2), Contrast(2, per_token=False)],
    ids=["choice", "choice per token", "contrast", "contrast of sums"],
)
def test_every_objective_of_log_likelihoods_has_its_gradient(
    tiny_model: Path, rows: Pool, examples: list[Example], quiz: list[Example], tmp_path: Path, objective: Any
) -> None:
    items = quiz if isinstance(objective, Choice) else examples
    utility = bound(tiny_model, rows, items, tmp_path, objective, optim="sgd")
    expected = by_definition(utility, chunks(4), False, [1e-3] * 3)
    found = utility.credit(ROWS, adam=False, every=1)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())


def test_the_credits_of_a_step_add_up_to_what_it_changes(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path
) -> None:
    utility = bound(tiny_model, rows, examples, tmp_path, optim="sgd", learning_rate=1e-2)
    before, after = utility([ROWS[:0], ROWS[:4]]).mean(axis=1)
    assert utility.credit(ROWS[:4], adam=False).sum() == pytest.approx(after - before, rel=0.02)


def test_no_row_moves_a_weight_further_than_adam_does(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path
) -> None:
    utility = bound(tiny_model, rows, examples, tmp_path, learning_rate=1e-3)
    with utility.isolation:
        furthest = 1e-3 * float(OutcomeGradient(utility.evaluation, utility.trainer)().abs().sum())
    assert 0 < np.abs(utility.credit(ROWS[:4])).max() < furthest


def test_prompts_without_an_answer_earn_nothing(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path
) -> None:
    plain = [{"prompt": row["instruction"], "completion": row["output"]} for row in make_rows(3)]
    cut = read_pool(Dataset.from_list([{"prompt": "word " * 300, "completion": "lost"}, *plain]))
    with pytest.warns(UserWarning, match="1 lost their whole completion"):
        utility = bound(tiny_model, cut, examples, tmp_path)
        assert utility.trainable(np.arange(4)).tolist() == [False, True, True, True]
        utility([np.arange(4)])
    found = utility.credit(np.arange(4))
    assert found[0] == 0
    assert np.abs(found[1:]).min() > 0
    np.testing.assert_allclose(utility.credit(np.arange(1, 4)), found[1:], rtol=1e-3)  # 128 tokens of padding less


def test_a_row_that_comes_twice_is_credited_where_it_stands(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path
) -> None:
    utility = bound(tiny_model, rows, examples, tmp_path)
    found = utility.credit(np.array([5, 5, 6]))
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    assert utility.credit(np.empty(0, np.int64)).shape == (0,)


class Weights(TrainerCallback):
    """The weights after every step."""

    def __init__(self) -> None:
        self.seen: list[list[torch.Tensor]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        assert kwargs["model"].training
        self.seen.append([w.detach().clone() for w in kwargs["model"].parameters() if w.requires_grad])


@pytest.mark.parametrize("every", [1, 2])
def test_a_run_with_credits_trains_to_the_same_weights(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path, every: int
) -> None:
    utility = bound(tiny_model, rows, examples, tmp_path, dropout=0.3)
    before, after, state = utility([ROWS]), Weights(), torch.get_rng_state()
    without = Weights()
    utility.trainer.add_callback(without)
    with utility.isolation, preserved_rng_state():
        module.train_once(utility, ROWS)
    utility.trainer.remove_callback(without)
    utility.trainer.add_callback(after)
    utility.credit(ROWS, every=every)
    utility.trainer.remove_callback(after)
    assert len(after.seen) == 3
    for one, other in zip(without.seen, after.seen, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(not one._forward_hooks for one in module.linear_maps(utility.trainer.model))
    np.testing.assert_array_equal(utility([ROWS]), before)


def test_the_gradient_is_taken_as_often_as_asked_for(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    take = module.OutcomeGradient.__call__

    def counted(self: module.OutcomeGradient) -> torch.Tensor:
        taken.append(self.n_tokens)
        return take(self)

    monkeypatch.setattr(module.OutcomeGradient, "__call__", counted)
    utility = bound(tiny_model, rows, examples, tmp_path)
    credits = {}
    for every, times in ((1, 3), (2, 2), (50, 1), (None, module.LEAST_GRADIENTS)):
        taken.clear()
        credits[every] = utility.credit(ROWS, every=every)
        assert len(taken) == times, every
    np.testing.assert_array_equal(credits[1], credits[None])  # three steps, and at least three gradients
    np.testing.assert_array_equal(credits[50][:4], credits[1][:4])
    assert (credits[50][4:] != credits[1][4:]).all()
    one_item = bound(tiny_model, rows, examples[:1], tmp_path)
    taken.clear()
    one_item.credit(np.arange(80))
    assert len(taken) > 4
    assert sum(taken) <= 0.1 * one_item.n_tokens(np.arange(80))


def test_what_has_no_credit_is_refused(tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path) -> None:
    def refused(message: str, every: Any = None, **fields: Any) -> None:
        with pytest.raises(InputError, match=message):
            bound(tiny_model, rows, examples, tmp_path, **fields).credit(ROWS[:4], every=every)

    class Flat(Loss):
        def outcome(self, item: Example, likelihoods: Likelihoods) -> float:
            return float(likelihoods.total[0] > -1e9)

    refused('pass "choice"', objective=Accuracy())
    refused("not made of log-likelihoods", objective=Metric(lambda predictions, references: 1.0))
    refused("does not change", objective=Flat())
    refused("SGD.*adam=False", optim="sgd")
    refused("every=0", every=0)
    refused("every=True", every=True)


def test_other_trainable_weights_are_refused(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path
) -> None:
    peft = LoraConfig(r=4, target_modules="all-linear", use_dora=True, task_type="CAUSAL_LM")
    utility = FineTune(str(tiny_model), "loss", peft_config=peft).bind(rows, examples, 0)
    with pytest.raises(InputError, match=r"magnitude.*without bias, DoRA"):
        utility.credit(ROWS)


def test_a_diverging_run_says_so(tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path) -> None:
    utility = bound(tiny_model, rows, examples, tmp_path, learning_rate=1e30)
    with pytest.raises(Diverged, match=r"learning_rate=1e\+30.*lower it"):
        utility.credit(ROWS)


def test_players_are_worth_what_their_rows_earn(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path
) -> None:
    utility = bound(tiny_model, rows, examples, tmp_path)
    players = [np.array([0, 1, 2]), np.array([3, 4]), np.array([5])]
    game = Game(players, utility)
    estimator = InRun(every=1)
    assert estimator.cost(3, 2).fine_tunings == 2
    found = estimator(game, np.random.default_rng(0), budget=2)
    order = game.rows(np.arange(3))
    earned = dict(zip(order.tolist(), utility.credit(order, every=1), strict=True))
    np.testing.assert_allclose(found.values, [sum(earned[row] for row in player) for player in players])
    assert np.isfinite(found.values).all()
    assert found.stderr[1] == pytest.approx(abs(earned[3] - earned[4]))
    assert np.isnan(found.stderr[2])
    assert found.counts.tolist() == [3, 2, 1]
    assert found.semivalue == "in-run"
    assert (game.n_fine_tunings, found.n_evaluations) == (2, 2)  # the run with credits has no outcome


def test_rows_that_players_share_are_shared(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path
) -> None:
    utility = bound(tiny_model, rows, examples, tmp_path)
    game = Game([np.array([0, 1]), np.array([1, 1])], utility)
    found = InRun()(game, np.random.default_rng(0))
    earned = dict(zip(game.rows(np.array([0])).tolist(), utility.credit(game.rows(np.array([0]))), strict=True))
    np.testing.assert_allclose(found.values, [earned[0] + earned[1] / 2, earned[1] / 2])


def test_games_without_credits_are_refused(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path
) -> None:
    players, rng = [np.array([0]), np.array([1])], np.random.default_rng(0)
    with pytest.raises(InputError, match=r"does not credit rows; .*FineTune"):
        InRun()(Game(players, lambda row_sets: np.zeros((len(row_sets), 1))), rng)
    with pytest.raises(InputError, match="budget=1 is too small"):
        InRun().cost(2, 1)
    worst = Game(players, bound(tiny_model, rows, examples, tmp_path), aggregate=lambda outcomes: outcomes.min(axis=1))
    with pytest.raises(InputError, match="mean outcome"):
        InRun()(worst, rng)
    assert worst.n_fine_tunings == 0


def test_damaged_rows_earn_less() -> None:
    rng, sound = np.random.default_rng(1), demo_pool.rows("pool")
    table = [{name: sound[place][name] for name in ("instruction", "output")} for place in rng.permutation(len(sound))]
    for row in table[:20]:
        row["output"] = " ".join(rng.permutation(row["output"].split()).tolist())
    items = read_pool(Dataset.from_list(demo_pool.rows("dev"))).examples(np.arange(0, 48, 6))
    utility = FineTune(str(SMALL_MODEL), "loss").bind(read_pool(Dataset.from_list(table)), items, 0)
    order = rng.permutation(40)
    earned = utility.credit(order, every=3)
    assert earned[order < 20].mean() < earned[order >= 20].mean()
