"""Credits of rows for single items: against a gradient of every row and item, and wherever rows stand in a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from trl import SFTConfig

from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool, read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.errors import Diverged, InputError
from shed_hf.evaluation.objectives import Accuracy, Choice, Contrast, Loss
from shed_hf.finetuning import gradient_credit
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_utility import TrainerUtility
from shed_hf.game.utility import SupportsCreditPerItem
from tests.helpers.credits import CLIPPED, EPSILON, ROWS, bound, log_likelihoods, outcomes
from tests.helpers.rows import make_rows


@pytest.fixture(scope="module")
def rows() -> Pool:
    return read_pool(Dataset.from_list(make_rows(80)))


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return read_pool(Dataset.from_list(make_rows(5, seed=99))).examples(np.arange(5))


@pytest.fixture(scope="module")
def quiz() -> list[Example]:
    of = [{"question": f"q{n}", "choices": ["salt", "a dog", "a goal"][: 2 + n % 2], "answer": n % 2} for n in range(4)]
    return read_pool(Dataset.from_list(of)).examples(np.arange(4))


def gradients_of_rows(utility: TrainerUtility, places: Any, n_tokens: Sequence[float]) -> list[torch.Tensor]:
    """One backward pass for each row, divided by its number of tokens, nothing padded."""
    found = []
    for place, divisor in zip(places, n_tokens, strict=True):
        one = utility.rows.tokens(ROWS[[place]])[0]
        log_p = log_likelihoods(utility.trainer.model, one.ids, [int(np.argmax(one.labels != -100))])[0]
        parts = torch.autograd.grad(-log_p / divisor, utility.origin.parameters)
        found.append(torch.cat([part.flatten() for part in parts]))
    return found


def by_definition(
    utility: TrainerUtility, adam: bool, rates: Sequence[float], size: int, epochs: int = 1, n_means: int = 0
) -> Any:
    """A training loop of one's own, then a backward pass for every row and for every item at its end.

    A step's loss is the mean over its tokens, or over the means of ``n_means`` micro-batches.
    """
    weights, n = utility.origin.parameters, len(ROWS)
    learned = [tokens.n_learned for tokens in utility.rows.tokens(ROWS)]
    means = squares = of_steps = torch.zeros(1)
    clips = []
    of_epoch = np.array_split(np.arange(n), -(-n // size))
    steps = of_epoch * epochs
    for step, (places, rate) in enumerate(zip(steps, rates, strict=True), start=1):
        parts = np.array_split(places, max(n_means, 1))
        tokens = [len(parts) * sum(learned[place] for place in part) for part in parts for _ in part]
        of_rows = torch.stack(gradients_of_rows(utility, places, tokens))
        summed = of_rows.sum(0)
        clips.append(min(1.0, CLIPPED / (float(summed.norm()) + 1e-6)))
        summed, of_rows = clips[-1] * summed, clips[-1] * of_rows
        means, squares = 0.9 * means + 0.1 * summed, 0.999 * squares + 0.001 * summed**2
        of_steps = of_steps + (of_rows**2).sum(0) / len(steps)
        moved = (means / (1 - 0.9**step)) / ((squares / (1 - 0.999**step)).sqrt() + EPSILON) if adam else summed
        for weight, part in zip(weights, moved.split([weight.numel() for weight in weights]), strict=True):
            weight.data -= rate * part.view_as(weight)
    scale = epochs * np.mean(rates) * np.mean(clips)
    if adam:
        scale = scale / (torch.maximum(squares / (1 - 0.999 ** len(steps)), of_steps).sqrt() + EPSILON)
    tokens = [sum(learned) / len(of_epoch)] * n
    if n_means:
        n_parts = sum(min(n_means, len(places)) for places in of_epoch)
        tokens = [n_means * n_learned * n / n_parts for n_learned in learned]
    of_rows = torch.stack(gradients_of_rows(utility, range(n), tokens))
    of_items = []
    for outcome in outcomes(utility):
        of_items.append(torch.cat([part.flatten() for part in torch.autograd.grad(outcome, weights)]))
    utility.origin.restore()
    return -((of_rows * scale) @ torch.stack(of_items).T).double().numpy()


@pytest.mark.parametrize("adam", [False, True], ids=["sgd", "adam"])
@pytest.mark.parametrize(
    ("fields", "size", "rates"),
    [
        (
            {"num_train_epochs": 2, "lr_scheduler_type": "linear", "gradient_accumulation_steps": 2},
            8,
            [1e-3 * (1 - n / 4) for n in range(4)],
        ),
        ({"gradient_accumulation_steps": 4, "per_device_train_batch_size": 8}, 32, [1e-3]),
    ],
    ids=["epochs, schedule and accumulation", "one large step"],
)
def test_credits_are_those_of_a_gradient_for_every_row_and_item(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path, adam: bool,
    fields: dict[str, Any], size: int, rates: list[float],
) -> None:  # fmt: skip
    utility = bound(tiny_model, rows, examples, tmp_path, optim="adamw_torch" if adam else "sgd", **fields)
    assert isinstance(utility, SupportsCreditPerItem)
    expected = by_definition(utility, adam, rates, size, fields.get("num_train_epochs", 1))
    found = utility.credit_per_item(ROWS, adam=adam)
    assert found.shape == (len(ROWS), len(examples))
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=5e-3 * np.abs(expected).max())


@pytest.mark.parametrize(("size", "n_means"), [(4, 1), (2, 2), (1, 4)])
def test_credits_are_those_of_a_loss_that_is_a_mean_of_means(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path, size: int, n_means: int
) -> None:
    fields = {"per_device_train_batch_size": size, "gradient_accumulation_steps": n_means}
    utility = bound(tiny_model, rows, examples, tmp_path, optim="sgd", **fields)
    utility.trainer.model_accepts_loss_kwargs = False
    expected = by_definition(utility, False, [1e-3] * 3, size * n_means, n_means=n_means)
    found = utility.credit_per_item(ROWS, adam=False)
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=5e-3 * np.abs(expected).max())


@pytest.mark.parametrize("objective", [Choice(), Choice(per_token=True), Contrast(2)], ids=repr)
def test_every_objective_of_log_likelihoods_has_credits_of_its_items(
    tiny_model: Path, rows: Pool, examples: list[Example], quiz: list[Example], tmp_path: Path, objective: Any
) -> None:
    items = quiz if isinstance(objective, Choice) else examples
    utility = bound(tiny_model, rows, items, tmp_path, objective, optim="sgd")
    expected = by_definition(utility, False, [1e-3] * 3, 4)
    found = utility.credit_per_item(ROWS, adam=False)
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=5e-3 * np.abs(expected).max())


@pytest.mark.parametrize("adam", [False, True], ids=["sgd", "adam"])
def test_the_mean_over_items_of_credits_along_the_run_is_the_credit(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path, adam: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    utility = bound(tiny_model, rows, examples, tmp_path, optim="adamw_torch" if adam else "sgd")
    mean = utility.credit(ROWS, adam=adam, every=2)
    for at_once in (2**30, 1):  # all items, and one at a time
        monkeypatch.setattr(gradient_credit, "ITEMS_AT_ONCE", at_once)
        of_items = utility.credit_per_item(ROWS, adam=adam, in_run=True, every=2)
        assert of_items.shape == (len(ROWS), len(examples))
        assert np.abs(of_items - mean[:, None]).max() > 0.1 * np.abs(mean).max()
        np.testing.assert_allclose(of_items.mean(axis=1), mean, rtol=1e-4, atol=1e-4 * np.abs(mean).max())


def test_credits_are_the_same_however_many_items_there_is_room_for(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    utility = bound(tiny_model, rows, examples, tmp_path)
    together = utility.credit_per_item(ROWS)
    bytes_of_item = 4 * sum(weight.numel() for weight in utility.origin.parameters)
    monkeypatch.setattr(gradient_credit, "ITEMS_AT_ONCE", 2 * bytes_of_item)
    np.testing.assert_allclose(utility.credit_per_item(ROWS), together, rtol=1e-3, atol=1e-4 * np.abs(together).max())


def test_the_model_is_where_it_was_and_measures_as_before(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path
) -> None:
    utility = bound(tiny_model, rows, examples, tmp_path)
    before, start = utility([ROWS]), [weight.detach().clone() for weight in utility.origin.parameters]
    utility.credit_per_item(ROWS)
    assert all(torch.equal(a, b) for a, b in zip(start, utility.origin.parameters, strict=True))
    assert all(weight.grad is None for weight in utility.origin.parameters)
    np.testing.assert_array_equal(utility([ROWS]), before)


def test_one_row_no_rows_and_rows_that_come_twice(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path
) -> None:
    utility = bound(tiny_model, rows, examples, tmp_path)
    assert utility.credit_per_item(np.empty(0, np.int64)).shape == (0, 5)
    assert utility.credit_per_item(np.empty(0, np.int64), in_run=True).shape == (0, 5)
    assert utility.credit_per_item(np.array([3])).shape == (1, 5)
    twice = utility.credit_per_item(np.array([5, 6, 5]))
    np.testing.assert_allclose(twice[0], twice[2], rtol=1e-4)
    one_item = bound(tiny_model, rows, examples[:1], tmp_path)
    assert one_item.credit_per_item(ROWS).shape == (len(ROWS), 1)


def test_what_has_no_credit_is_refused(tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path) -> None:
    with pytest.raises(InputError, match='pass "choice"'):
        bound(tiny_model, rows, examples, tmp_path, Accuracy()).credit_per_item(ROWS[:4])
    with pytest.raises(InputError, match=r"SGD.*adam=False"):
        bound(tiny_model, rows, examples, tmp_path, optim="sgd").credit_per_item(ROWS[:4])
    with pytest.raises(Diverged, match=r"learning_rate=1e\+30.*lower it"):
        bound(tiny_model, rows, examples, tmp_path, learning_rate=1e30).credit_per_item(ROWS)


def first_half(of_orders: Sequence[Any], best: int) -> float:
    """Of the best rows for each item the share that stands in the first half of the run, over all orders."""
    places = np.concatenate([np.argsort(-credits, axis=0)[:best].ravel() for credits in of_orders])
    return float(np.mean(places < len(of_orders[0]) / 2))


def test_credits_do_not_depend_on_where_a_row_stands_in_the_run(tmp_path: Path) -> None:
    """Real rows in an order and in its reverse, in which a row that is good anywhere stands once in each half.

    The learning rate falls to 0, so that along the run the last rows can earn little.
    """
    n, best = 16, 3
    short = sorted(demo_pool.rows("pool"), key=lambda row: len(str(row["instruction"])) + len(str(row["output"])))[:n]
    items = read_pool(Dataset.from_list(demo_pool.rows("dev"))).examples(np.arange(4))
    args = SFTConfig(
        str(tmp_path), learning_rate=1e-3, lr_scheduler_type="linear", num_train_epochs=1, bf16=False,
        per_device_train_batch_size=4,
    )  # fmt: skip
    utility = FineTune(str(SMALL_MODEL), Loss(), args=args).bind(read_pool(Dataset.from_list(short)), items, 0)
    order = np.random.default_rng(0).permutation(n)
    of_orders = [utility.credit_per_item(order), utility.credit_per_item(order[::-1].copy())]
    along = [utility.credit_per_item(some, in_run=True, every=4) for some in (order, order[::-1].copy())]
    assert first_half(along, best) > 0.65
    assert abs(first_half(of_orders, best) - 0.5) < 0.1
    one, other = of_orders[0], of_orders[1][::-1]  # the same rows
    both = [len(set(np.argsort(-a)[:best]) & set(np.argsort(-b)[:best])) for a, b in zip(one.T, other.T, strict=True)]
    assert np.mean(both) > 0.6 * best  # by chance it is a fifth of them
