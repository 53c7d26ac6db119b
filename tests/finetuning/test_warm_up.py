"""Warming up: the game is played from a model that was trained on a few rows outside of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, FineTune, InputError, LedgerError, read_ledger
from shed_hf.curation.arguments import request_from
from shed_hf.curation.prepare import PreparedCuration, prepare
from shed_hf.data.pool import read_pool
from shed_hf.distributed.ranks import SingleProcess
from shed_hf.finetuning.trainer_utility import TrainerUtility
from tests.helpers.curations import ByTopic, curated_of
from tests.helpers.rows import make_rows

pytestmark = pytest.mark.filterwarnings("ignore:the values cannot be told from noise")
NOBODY, ROWS = np.empty(0, dtype=np.int64), np.array([3, 1, 40, 22, 7, 9, 60, 61, 2])
ITEMS = Dataset.from_list(make_rows(6, seed=99))


def bound(model: Path) -> TrainerUtility:
    pool = read_pool(Dataset.from_list(make_rows(80)))
    return FineTune(str(model), "loss").bind(pool, read_pool(ITEMS).examples(np.arange(6)), 0)


def prepared_of(model: Path, **changes: Any) -> PreparedCuration:
    arguments: dict[str, Any] = {
        "dataset": Dataset.from_list(make_rows(80)), "size": 10, "eval_dataset": ITEMS, "embedder": np.eye(80),
        "clusterer": "topic", "proxies_per_cluster": 2, "utility": FineTune(str(model), "loss"),
        "estimator": "exact", "sampler": "qocs", "merit": None,
    }  # fmt: skip
    return prepare(request_from(arguments | changes), SingleProcess())


# ---- the model


def test_what_was_trained_beforehand_is_where_everything_starts(tiny_model: Path) -> None:
    utility = bound(tiny_model)
    cold, trained = utility([NOBODY, ROWS])
    utility.warm_up(ROWS, "these rows")
    warm, further = utility([NOBODY, np.array([5, 6])])
    np.testing.assert_array_equal(warm, trained)  # v(∅) is what training on these rows came to
    assert (warm.mean() > cold.mean(), (further != warm).any()) == (True, True)
    again = utility([NOBODY, np.array([5, 6]), NOBODY])
    np.testing.assert_array_equal(again, [warm, further, warm])


def test_the_optimizer_begins_anew_so_that_only_the_weights_are_warm(tiny_model: Path) -> None:
    one, other = bound(tiny_model), bound(tiny_model)
    one.warm_up(ROWS, "x")
    weights = {name: p.detach().clone() for name, p in one.trainer.model.named_parameters() if p.requires_grad}
    other.trainer.model.load_state_dict(weights, strict=False)
    other = TrainerUtility(other.trainer, other.evaluation, other.rows, other.isolation)
    np.testing.assert_array_equal(one([np.array([5, 6, 8])]), other([np.array([5, 6, 8])]))


def test_the_ledgers_header_names_the_rows(tiny_model: Path) -> None:
    utility = bound(tiny_model)
    cold = utility.describe()
    utility.warm_up(ROWS, "these rows")
    warm = utility.describe()
    assert (cold.pop("warmed up on"), warm.pop("warmed up on")) == ("", "these rows")
    assert cold == warm


# ---- the rows


@pytest.mark.parametrize("count", [1, 72])
def test_the_rows_are_nobodys_and_as_many_as_asked_for(tiny_model: Path, count: int) -> None:
    prepared = prepared_of(tiny_model, warmup=count)
    rows = prepared.warmup_rows
    assert len(rows) == len(set(rows.tolist())) == count
    assert not set(rows.tolist()) & set(np.concatenate(prepared.players.rows).tolist())
    assert set(rows.tolist()) <= set(prepared.candidates.rows.tolist())
    again = prepared_of(tiny_model, warmup=count)
    assert again.warmup_rows.tolist() == rows.tolist()
    assert prepared.ledger().header["warmed up on"] == again.ledger().header["warmed up on"] != ""


def test_other_rows_are_another_game(tiny_model: Path) -> None:
    warmed = [prepared_of(tiny_model, **of) for of in ({"warmup": 4}, {"warmup": 5}, {"warmup": 4, "seed": 1}, {})]
    assert len({prepared.ledger().header["warmed up on"] for prepared in warmed}) == 4
    assert warmed[0].warmup_rows.tolist() != warmed[2].warmup_rows.tolist()
    assert warmed[3].warmup_rows.tolist() == []
    # Warming up takes chance of its own, so it moves nothing else.
    assert [rows.tolist() for rows in warmed[0].players.rows] == [rows.tolist() for rows in warmed[3].players.rows]
    assert warmed[0].problem.training_seed == warmed[3].problem.training_seed


def test_more_rows_than_there_are_outside_the_game_are_refused(tiny_model: Path) -> None:
    with pytest.raises(InputError, match=r"^warmup=73 exceeds the 72 rows that no player brings; pass fewer"):
        prepared_of(tiny_model, warmup=73)


@pytest.mark.parametrize("count", [-1, 1.5, "few", True, None])
def test_a_bad_number_of_rows_is_refused(pool: Dataset, count: Any) -> None:
    with pytest.raises(InputError, match=r"^warmup=.* is not a whole number >= 0"):
        curated_of(pool, warmup=count)


def test_a_utility_without_a_model_cannot_be_warmed_up(pool: Dataset) -> None:
    with pytest.raises(InputError, match=r"^warmup=8 trains the model before the game, and this utility has none"):
        curated_of(pool, warmup=8)
    assert curated_of(pool, warmup=np.int64(0), utility=ByTopic(pool)).recipe["warmup"] == 0


# ---- from end to end


def test_a_curation_from_a_warmed_model_is_kept_and_resumed(tiny_model: Path, tmp_path: Path) -> None:
    def run(warmup: int) -> CuratedDataset:
        return curated_of(
            Dataset.from_list(make_rows(80)), 10, embedder=np.eye(80), utility=FineTune(str(tiny_model), "loss"),
            eval_dataset=ITEMS, clusterer=np.arange(80) % 2, warmup=warmup, ledger=tmp_path / "run.ledger",
        )  # fmt: skip

    curated = run(8)
    prepared = prepared_of(tiny_model, warmup=8, clusterer=np.arange(80) % 2, proxies_per_cluster=1)
    game = prepared.game(prepared.ledger())
    assert curated.estimate.v_empty == game.ends()[0]
    cold = prepared_of(tiny_model, clusterer=np.arange(80) % 2, proxies_per_cluster=1)
    before, trained = cold.problem.utility([NOBODY, prepared.warmup_rows])  # type: ignore[operator]
    assert curated.estimate.v_empty == pytest.approx(trained.mean())
    assert curated.estimate.v_empty > before.mean()
    assert read_ledger(tmp_path / "run.ledger").header["warmed up on"] != ""
    again = run(8)
    assert (again.recipe["bill"]["fine_tunings"], again.recipe["warmup"]) == (0, 8)
    assert again.estimate.values.tolist() == curated.estimate.values.tolist()
    with pytest.raises(LedgerError, match="holds the outcomes of another run: warmup was 8, is now 0; repeat"):
        run(0)
