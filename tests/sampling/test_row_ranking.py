"""Merit: inside a cluster the better rows are taken, whether a model, a training run or the caller says which."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import QWCS, CuratedDataset, InputError
from shed_hf.embedding.row_features import Features
from shed_hf.game.utility import PlainUtility
from shed_hf.hub.reproduction import code_of
from shed_hf.sampling.row_ranking import KINDS, check_merit, merit_of
from tests.helpers.curations import PLAIN, ByTopic, curated_of
from tests.helpers.rows import make_rows

NUMBERS = np.random.default_rng(5).normal(size=120)
COOKING = np.arange(0, 120, 4)
"""The rows of the best topic."""


class Model:
    """A utility with a model that finds row *i* as hard as its digits say, and credits it by its place in the run."""

    def __init__(self) -> None:
        self.read: list[np.ndarray] = []
        self.ran: list[np.ndarray] = []

    def row_features(self, rows: np.ndarray) -> np.ndarray:
        self.read.append(rows)
        return np.stack([1 + rows / 100, 2 + (rows % 7) / 10, np.log(1 + rows)], axis=1)

    def credit(self, rows: np.ndarray) -> np.ndarray:
        self.ran.append(rows)
        return rows + np.arange(len(rows)) / 1000


class Crediting(Model):
    """One that says whether it can credit rows."""

    def __init__(self, able: bool = True) -> None:
        super().__init__()
        self.able = able

    def can_credit(self) -> bool:
        return self.able


class Plain:
    """A utility without a model."""


def of(merit: Any, features: Features | None = None, utility: Any = None, rows: Any = (3, 5, 8), n: int = 10) -> Any:
    return merit_of(merit, features, utility or Model(), np.array(rows), n)


# ---- what it is


def test_a_kind_is_a_figure_of_the_model_higher_is_better() -> None:
    rng = np.random.default_rng(0)
    rows = np.array([3, 5, 8])
    np.testing.assert_allclose(of("loss").of_rows(rng), -(1 + rows / 100))
    np.testing.assert_allclose(of("ifd").of_rows(rng), 2 + (rows % 7) / 10 - (1 + rows / 100))


def test_nothing_is_measured_twice_or_without_need() -> None:
    model = Model()
    for merit, features in (("ifd", Features()), ("loss", None), (np.zeros(10), Features()), (None, Features())):
        model.read.clear()
        found = of(merit, features, model)
        found.of_rows(np.random.default_rng(0))
        assert [rows.tolist() for rows in model.read] == [[3, 5, 8]]
        assert found.features.shape == (3, 3)
    for merit in (None, np.zeros(10), "credit"):
        model.read.clear()
        assert of(merit, None, model).features.shape == (0, 3)
        assert model.read == []


def test_credit_is_earned_in_one_run_over_the_rows_in_a_random_order_and_comes_back_to_its_rows() -> None:
    model = Model()
    rows = np.arange(40) * 2
    credit = of("credit", None, model, rows, 100).of_rows(np.random.default_rng(3))
    (ran,) = model.ran
    assert sorted(ran.tolist()) == rows.tolist() != ran.tolist()
    places = {row: place for place, row in enumerate(ran.tolist())}
    np.testing.assert_allclose(credit, [row + places[row] / 1000 for row in rows.tolist()])


def test_numbers_are_for_the_rows_of_the_whole_dataset() -> None:
    rng = np.random.default_rng(0)
    given = np.arange(10) ** 2
    for numbers in (given, given.tolist(), tuple(given.tolist()), given.astype(np.float32)):
        assert of(numbers).of_rows(rng).tolist() == [9.0, 25.0, 64.0]
    assert of(None).of_rows(rng) is None


def test_left_to_the_package_it_is_credit_where_that_can_be_had_and_afforded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert of("auto", None, Crediting()).kind == "credit"
    assert of("auto", None, Crediting(able=False)).kind is None
    assert of("auto", None, Plain()).kind is None
    monkeypatch.setattr("shed_hf.sampling.row_ranking.MOST_ROWS", 3)
    assert of("auto", None, Crediting(), rows=(1, 2, 3)).kind == "credit"
    with pytest.warns(UserWarning, match='rows within clusters are taken at random; pass merit="learned-credit"'):
        assert of("auto", None, Crediting(), rows=(1, 2, 3, 4)).kind is None


def test_of_many_rows_credit_is_measured_on_a_sample_and_learned_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shed_hf.sampling.row_ranking.SAMPLE", 80)
    rows = np.arange(400)
    vectors = np.stack([np.cos(rows / 200), np.sin(rows / 200)], axis=1).astype(np.float32)
    model = Model()  # whose credit is the row's number
    found = merit_of("learned-credit", None, model, rows, 400, embed=lambda: vectors).measured(np.random.default_rng(0))
    (ran,), credit, learned = model.ran, found.values, found.learned
    assert sorted(ran.tolist()) == sorted(found.credited.tolist())
    assert len(ran) == 80
    assert learned is not None and (learned.measured, learned.rows, learned.used) == (80, 400, True)
    assert credit is not None and learned.rank_correlation > 0.95
    others = np.setdiff1d(rows, ran)
    assert np.corrcoef(credit[others], others)[0, 1] > 0.95


def test_credit_that_cannot_be_learned_orders_nothing_and_says_so(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr("shed_hf.sampling.row_ranking.SAMPLE", 80)
    vectors = np.random.default_rng(4).normal(size=(400, 8)).astype(np.float32)
    merit = merit_of("learned-credit", None, Model(), np.arange(400), 400, embed=lambda: vectors)
    found = merit.measured(np.random.default_rng(0))
    learned = found.learned
    assert found.values is None
    assert learned is not None and not learned.used
    assert any("rows within clusters are taken at random" in str(each.message) for each in recwarn)


@pytest.mark.parametrize(
    ("merit", "told"),
    [
        (
            "nonsense",
            "merit='nonsense' is unknown; pass one of auto, ifd, loss, credit, learned-credit, or a number",
        ),
        ("", "merit='' is unknown"),
        (np.zeros(9), r"merit has shape \(9,\); pass one number for each of the 10 rows"),
        (np.zeros((10, 1)), r"merit has shape \(10, 1\)"),
        (3.5, r"merit has shape \(\)"),
        (["a"] * 10, "merit is a list that holds no numbers"),
        ([[1], [1, 2]], "merit is a list that holds no numbers"),
        (len, "merit is a builtin_function_or_method that holds no numbers"),
    ],
    ids=repr,
)
def test_what_is_no_merit_is_refused(merit: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        of(merit)
    with pytest.raises(InputError, match=told):
        check_merit(merit, None, Model(), 10)


def test_a_utility_without_a_model_has_no_opinion_of_rows() -> None:
    for merit, features in (("ifd", None), ("loss", None), (None, Features()), (np.zeros(10), Features())):
        with pytest.raises(InputError, match="are what a model makes of a row, and this utility has no model"):
            of(merit, features, Plain())
        with pytest.raises(InputError, match="are what a model makes of a row, and this utility has no model"):
            check_merit(merit, features, Plain(), 10)
    for merit in ("credit", "learned-credit"):
        with pytest.raises(InputError, match=f'merit="{merit}" follows the rows through a training run, which this'):
            of(merit, None, Plain())
    assert of(np.ones(10), None, Plain()).of_rows(np.random.default_rng(0)).tolist() == [1.0] * 3


@pytest.mark.parametrize(
    "changes", [{"merit": kind} for kind in KINDS] + [{"features": "loss", "clusterer": "kmeans"}, {"merit": [1.0]}]
)
def test_a_curation_says_so_before_anything_is_measured(pool: Dataset, changes: dict[str, Any]) -> None:
    utility = ByTopic(pool)
    with pytest.raises(InputError, match="merit"):
        curated_of(pool, utility=utility, **changes)
    assert utility.seen == set()


# ---- which rows are kept


def test_the_rows_of_higher_merit_are_kept(pool: Dataset) -> None:
    best = COOKING[np.argsort(-NUMBERS[COOKING])]
    for size in (1, 10, 29):
        assert curated_of(pool, size, merit=NUMBERS).rows.tolist() == best[:size].tolist()
    drawn = curated_of(pool, 40, merit=NUMBERS, sampler=QWCS())
    for rows in drawn.valued.members[:4]:
        kept, left = NUMBERS[np.intersect1d(rows, drawn.rows)], NUMBERS[np.setdiff1d(rows, drawn.rows)]
        assert min(kept, default=np.inf) > max(left, default=-np.inf)


class Reading(PlainUtility):
    """A utility that finds all rows equally hard, but some without a completion to learn."""

    def __init__(self, utility: Any, without: Any) -> None:
        super().__init__(utility)
        self.without = without

    def row_features(self, rows: np.ndarray) -> np.ndarray:
        return np.where(np.isin(rows, self.without)[:, None], np.nan, np.full((len(rows), 3), 2.0))


def test_rows_without_a_merit_come_last_and_equal_ones_by_chance(pool: Dataset) -> None:
    utility = Reading(ByTopic(pool), COOKING[:10])
    for seed in range(3):
        assert set(curated_of(pool, 20, utility=utility, merit="loss", seed=seed).rows) == set(COOKING[10:])
    few = {tuple(curated_of(pool, 5, utility=utility, merit="loss", seed=seed).rows) for seed in range(4)}
    assert len(few) == 4


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused_naming_the_row_and_the_value(pool: Dataset, value: float) -> None:
    numbers = NUMBERS.copy()
    numbers[[77, 90]] = value
    utility = ByTopic(pool)
    with pytest.raises(
        InputError, match=f"^merit of row 77 is {value}, and 2 of the 120 rows that take part have none "
    ):
        curated_of(pool, 20, utility=utility, merit=numbers)
    assert utility.seen == set()


def test_rows_that_take_no_part_need_no_merit() -> None:
    numbers = np.where(np.isin(np.arange(10), [3, 5, 8]), 1.0, np.nan)
    assert of(numbers).of_rows(np.random.default_rng(0)).tolist() == [1.0] * 3
    with pytest.raises(InputError, match=r"^merit of row 4 is nan, and 1 of the 2 rows that take part"):
        of(numbers, rows=(3, 4))


def test_values_still_decide_between_clusters(pool: Dataset) -> None:
    numbers = np.where(np.arange(120) % 4 == 0, -100.0, 100.0)  # cooking is the best topic, its rows of no merit
    assert set(curated_of(pool, 30, merit=numbers).dataset["topic"]) == {"cooking"}


def test_merit_belongs_to_row_ids_of_the_source_whatever_is_left_out() -> None:
    rows = [{"instruction": "", "output": "", "topic": "music"}] * 3 + make_rows(40)
    source = Dataset.from_list(rows)
    numbers = np.random.default_rng(0).normal(size=43)
    numbers[:3] = 1e9
    curated = curated_of(source, 4, utility=ByTopic(source), drop_invalid=True, merit=numbers)
    assert curated.valued.merit is not None
    assert curated.valued.merit.tolist() == numbers[curated.pool_rows].tolist()
    cooking = np.arange(3, 43, 4)
    assert curated.rows.tolist() == cooking[np.argsort(-numbers[cooking])][:4].tolist()


# ---- what remains of it


def test_merit_survives_the_disk_and_chooses_later_too(pool: Dataset, tmp_path: Path) -> None:
    curated = curated_of(pool, 10, merit=NUMBERS)
    curated.save_to_disk(tmp_path / "saved", pages=False)
    loaded = CuratedDataset.load_from_disk(tmp_path / "saved", source=pool)
    np.testing.assert_array_equal(loaded.valued.merit, NUMBERS, strict=True)
    best = COOKING[np.argsort(-NUMBERS[COOKING])]
    assert loaded.resample(7, PLAIN).rows.tolist() == best[:7].tolist()
    assert loaded.resample(7, PLAIN, seed=9).rows.tolist() == best[:7].tolist()
    assert loaded.reestimate("exact").rows.tolist() == curated.rows.tolist()
    assert curated.recipe["merit"] == loaded.recipe["merit"] == "numbers of the caller's"


def test_without_merit_none_survives(pool: Dataset, tmp_path: Path) -> None:
    curated = curated_of(pool, 10)
    curated.save_to_disk(tmp_path / "saved", pages=False)
    loaded = CuratedDataset.load_from_disk(tmp_path / "saved", source=pool)
    assert (curated.valued.merit, loaded.valued.merit, loaded.valued.merits) == (None, None, None)


def test_the_code_on_the_card_names_it(pool: Dataset) -> None:
    recipe = curated_of(pool, 10, merit=NUMBERS).recipe
    assert "merit=...,  # a number for every row" in code_of(recipe)
    for kind in KINDS:
        code = code_of(recipe | {"merit": kind, "warmup": 8, "proxy_sets": 2})
        compile(code, "card", "exec")
        assert all(f"    {argument}," in code for argument in (f"merit={kind!r}", "warmup=8", "proxy_sets=2"))
    assert "    merit=None," in code_of(recipe | {"merit": None}).splitlines()
