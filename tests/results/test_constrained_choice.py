"""`constraints=`: a game whose items have opposite interests, and what a result says of their groups."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import QOCS, CuratedDataset, FineTune, InputError, Lexical, Tolerance, curate
from shed_hf.data.pool import read_pool
from shed_hf.hub.card import page
from shed_hf.results.group_outcomes import expectation_of, signed
from shed_hf.results.recipe import updated
from shed_hf.sampling.registry import AnySampler
from shed_hf.storage.checks import check_curated
from shed_hf.types import FloatMatrix, IntVector
from tests.helpers.curations import _assert_equal
from tests.helpers.rows import make_rows
from tests.helpers.tiny_models import bound as bound_utility
from tests.helpers.tiny_models import with_trainer

POOL = Dataset.from_list(make_rows(80))
TOPIC = np.array(POOL["topic"][:])
SIDES = ["left"] * 5 + ["right"] * 3
ITEMS = Dataset.from_list(make_rows(8, seed=99)).add_column("side", SIDES).add_column("nr", list(range(8)))
LEFT = {"cooking": 3.0, "animals": 1.0, "sports": 0.5, "music": -1.0}
RIGHT = {"cooking": -1.5, "animals": 0.5, "sports": 1.0, "music": 2.0}
"""What a row of each topic does for the items of the left and of the right, in hundredths."""


HARMFUL = (
    {"cooking": 3.0, "animals": 1.0, "sports": 0.5, "music": -4.0},
    {"cooking": -3.0, "animals": -1.0, "sports": -0.5, "music": 1.0},
)
"""What harms one side or the other, whatever the rows."""

ONE_GOOD = ({"cooking": 1.0, "animals": -0.6, "sports": -0.6, "music": -0.6},) * 2


class Opposed:
    """Rows add up, for the left and for the right; every item has a share of its own in it."""

    def __init__(self, worth: tuple[dict[str, float], dict[str, float]] = (LEFT, RIGHT)) -> None:
        self.worth = worth

    def __call__(self, row_sets: Sequence[IntVector]) -> FloatMatrix:
        sums = [[sum(of[topic] for topic in TOPIC[rows]) / 100 for of in self.worth] for rows in row_sets]
        share = np.array([0.8, 1, 1.2, 0.9, 1.1, 0.8, 1.0, 1.2])
        return 2.0 + np.array([[left] * 5 + [right] * 3 for left, right in sums]) * share


WHOLE = QOCS(1.0)


def chosen(size: int = 16, sampler: Any = WHOLE, **changes: Any) -> CuratedDataset:
    given = {"eval_dataset": ITEMS, "embedder": Lexical(16), "clusterer": "topic", "estimator": "exact"}
    given |= {"utility": Opposed(), "proxies_per_cluster": 4, "sampler": sampler, "merit": None}
    return curate(POOL, size, **(given | changes))


def change(rows: IntVector) -> dict[str, float]:
    """What training on rows really does for each side."""
    outcome = Opposed()([rows])[0] - Opposed()([np.arange(0)])[0]
    return {side: float(outcome[[s == side for s in SIDES]].mean()) for side in ("left", "right")}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where outcomes of a curation that ends in an error are kept."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def plain() -> CuratedDataset:
    return chosen()


@pytest.fixture(scope="module")
def bound() -> CuratedDataset:
    return chosen(constraints={"side": 0})


def test_the_unconstrained_choice_harms_a_side_and_the_constrained_one_does_not(
    plain: CuratedDataset, bound: CuratedDataset
) -> None:
    assert change(plain.rows)["right"] < -0.1
    assert change(bound.rows)["right"] >= -1e-12
    assert change(bound.rows)["left"] > 0


def test_the_constrained_choice_is_the_best_of_all_numbers_of_rows_that_harm_nobody(bound: CuratedDataset) -> None:
    names = list(LEFT)
    mean = {name: (5 * LEFT[name] + 3 * RIGHT[name]) / 8 for name in names}
    counts = [int(np.sum(name == TOPIC)) for name in names]
    choices = [
        (a, b, c, 16 - a - b - c)
        for a in range(min(16, counts[0]) + 1)
        for b in range(min(16 - a, counts[1]) + 1)
        for c in range(min(16 - a - b, counts[2]) + 1)
        if 16 - a - b - c <= counts[3]
    ]
    allowed = [n for n in choices if all(np.dot(n, [of[name] for name in names]) >= -1e-9 for of in (LEFT, RIGHT))]
    best = max(float(np.dot(n, [mean[name] for name in names])) for n in allowed)
    assert sum(mean[topic] for topic in bound.dataset["topic"]) == pytest.approx(best)


@pytest.mark.parametrize("tolerance", [0.02, 0.05])
def test_a_tolerance_is_used_and_not_exceeded(plain: CuratedDataset, tolerance: float) -> None:
    given = plain.resample(16, QOCS(1.0), constraints={"side": tolerance})
    assert -tolerance - 1e-9 <= change(given.rows)["right"] < -tolerance + 0.03


def test_random_rows_can_be_the_floor(plain: CuratedDataset) -> None:
    given = plain.resample(16, QOCS(1.0), constraints={"side": Tolerance(0.01, "random")})
    random = {side: np.mean([of[topic] for topic in TOPIC]) * 16 / 100 for side, of in
              (("left", LEFT), ("right", RIGHT))}  # fmt: skip
    assert change(given.rows)["right"] >= random["right"] - 0.01 - 1e-9
    assert change(plain.rows)["right"] < random["right"] - 0.01
    lines = {line["group"]: line for line in given.recipe["groups"]}
    assert lines["right"]["over_random"] == pytest.approx(change(given.rows)["right"] - random["right"], abs=1e-9)
    assert lines["left"]["untuned"] == pytest.approx(2)


def test_what_is_expected_is_what_happens_where_rows_add_up(bound: CuratedDataset) -> None:
    for line in bound.recipe["groups"]:
        assert line["gain"] == pytest.approx(change(bound.rows)[line["group"]], abs=1e-9)
        assert line["items"] == SIDES.count(line["group"])


def test_beyond_the_games_rows_a_loss_grows_and_a_gain_does_not(plain: CuratedDataset) -> None:
    more = plain.resample(32, QOCS(1.0), constraints={"side": 10.0})  # 16 rows were measured
    lines = {line["group"]: line["gain"] for line in more.recipe["groups"]}
    assert lines["left"] == pytest.approx(change(more.rows)["left"] / 2)
    assert lines["right"] == pytest.approx(change(more.rows)["right"])
    assert change(more.rows)["right"] < 0


def test_the_standard_error_is_of_the_items_and_of_the_values(bound: CuratedDataset) -> None:
    expectation = expectation_of(dataclasses.replace(bound.valued))
    quotas = np.array([*bound.clusters["selected"][:], 0.0])
    per_row = expectation.per_row @ expectation.per_item
    members = np.arange(5)
    of_items = (quotas @ per_row)[members].std(ddof=1) / np.sqrt(5)
    shares = quotas @ expectation.per_row
    of_values = np.sqrt(np.sum(shares**2 * expectation.errors**2))
    assert expectation.stderr(quotas, members) == pytest.approx(np.hypot(of_items, of_values))
    assert expectation.stderr(quotas, members[:1]) is None


def test_all_proxies_together_are_expected_to_reach_what_they_reached(bound: CuratedDataset) -> None:
    again = bound.reestimate("banzhaf", sampler=QOCS(1.0))  # whose values do not add up to v(N) − v(∅)
    for curated in (bound, again):
        grand = Opposed()([np.concatenate(curated.valued.players.rows)])[0]
        expectation = expectation_of(curated.valued)
        np.testing.assert_allclose(expectation.untuned + expectation.sums(np.array([4, 4, 4, 4, 0])), grand)


def test_what_cannot_be_kept_names_the_group_and_a_tolerance_that_can() -> None:
    game, whole = chosen(constraints={"side": 9}, utility=Opposed(HARMFUL)), QOCS(1.0)
    with pytest.raises(InputError, match="no 16 rows of these clusters are expected to keep the constraints") as error:
        game.resample(16, whole, constraints={"side": 0, "nr": Tolerance(0.01, "random")})
    text = str(error.value)
    assert "group 'left' of 'side' falls 0." in text or "group 'right' of 'side' falls 0." in text
    offered = eval(text.split("constraints=")[1].split(" would do")[0], {"Tolerance": Tolerance})
    assert len(game.resample(16, whole, constraints=offered)) == 16
    less = {name: Tolerance(0.97 * as_tolerance(t).amount, as_tolerance(t).against) for name, t in offered.items()}
    with pytest.raises(InputError, match="would do"):
        game.resample(16, whole, constraints=less)


def as_tolerance(given: float | Tolerance) -> Tolerance:
    return given if isinstance(given, Tolerance) else Tolerance(given)


def test_a_cap_that_stands_in_the_way_is_named() -> None:
    with pytest.raises(InputError, match=r"or sampler=QOCS\(most=1.0\), without a limit for clusters"):
        chosen(16, QOCS(0.25), utility=Opposed(ONE_GOOD), constraints={"side": 0})


def test_an_infeasible_curation_leaves_its_outcomes_in_the_ledger(tmp_path: Path) -> None:
    given = {"utility": Opposed(HARMFUL), "ledger": tmp_path / "run.ledger"}
    with pytest.raises(InputError, match="what was measured is kept"):
        chosen(constraints={"side": 0}, **given)
    again = chosen(constraints={"side": 1}, **given)
    assert again.recipe["bill"]["fine_tunings"] == 0


def test_the_result_remembers_groups_on_disk_and_resamples_by_them(
    bound: CuratedDataset, plain: CuratedDataset, tmp_path: Path
) -> None:
    bound.save_to_disk(tmp_path / "bound", pages=False)
    loaded = CuratedDataset.load_from_disk(tmp_path / "bound", POOL)
    _assert_equal(bound, loaded)
    assert loaded.resample(16, QOCS(1.0)).rows.tolist() == bound.rows.tolist()
    looser = loaded.resample(16, QOCS(1.0), constraints={"side": 0.05})
    assert looser.rows.tolist() == plain.resample(16, QOCS(1.0), constraints={"side": 0.05}).rows.tolist()
    free = loaded.resample(16, QOCS(1.0), constraints={})
    assert free.rows.tolist() == plain.rows.tolist()
    assert not {"constraints", "groups"} & free.recipe.keys()
    with pytest.raises(InputError, match=r"a result that was read back remembers those of \['side'\]"):
        loaded.resample(16, QOCS(1.0), constraints={"nr": 0})


def test_summary_card_and_code_tell_of_the_groups(bound: CuratedDataset, plain: CuratedDataset) -> None:
    assert "2 groups of side, none expected more than 0 below untuned: the lowest is right, +0.0" in repr(bound)
    text = page(bound, "me/rows", [])
    assert "No group may be expected to fall below the untuned model: it holds 1 of 2." in text
    assert "| right | 3 | 2.0000 | +0.0" in text
    assert "constraints={'side': 0.0}," in text
    assert "groups of" not in repr(plain)
    assert "No harm to groups" not in page(plain, "me/rows", [])


@pytest.mark.parametrize("sampler", ["random", "qwcs", "longest", "retrieval"])
def test_a_sampler_that_decides_by_itself_is_refused_before_anything_is_measured(sampler: AnySampler) -> None:
    seen: list[int] = []

    def utility(row_sets: Sequence[IntVector]) -> FloatMatrix:
        seen.append(len(row_sets))
        return Opposed()(row_sets)

    with pytest.raises(InputError, match='pass sampler="qocs", or no constraints'):
        chosen(constraints={"side": 0}, sampler=sampler, utility=utility)
    assert not seen


def test_groups_of_other_items_than_are_measured_are_refused_at_the_first_outcome() -> None:
    measured: list[int] = []

    def shorter(row_sets: Sequence[IntVector]) -> FloatMatrix:
        measured.extend(len(rows) for rows in row_sets)
        return Opposed()(row_sets)[:, :5]

    with pytest.raises(InputError, match="the groups are of 8 items"):
        chosen(constraints={"side": 0}, utility=shorter)
    assert measured == [0]


def test_a_callable_without_known_items_is_told_to_bring_them() -> None:
    with pytest.raises(InputError, match=r"this utility brings none that are known; pass eval_dataset="):
        chosen(constraints={"side": 0}, eval_dataset=None)


def test_one_group_and_groups_of_one_item_are_groups(plain: CuratedDataset) -> None:
    single = plain.resample(16, QOCS(1.0), constraints={"nr": 0})
    assert [line["stderr"] for line in single.recipe["groups"]] == [None] * 8
    assert change(single.rows)["right"] >= -1e-12
    whole = Dataset.from_list([{**row, "side": "all"} for row in ITEMS])
    assert chosen(constraints={"side": 0}, eval_dataset=whole).rows.tolist() == plain.rows.tolist()


def test_held_out_rows_are_grouped_by_a_column_of_the_dataset(tiny_model: Path) -> None:
    given: dict[str, Any] = {"utility": FineTune(str(tiny_model), "loss"), "embedder": "lexical", "merit": None}
    given |= {"clusterer": "topic", "proxies_per_cluster": 1, "estimator": "exact"}
    curated = curate(POOL, 8, constraints={"topic": 5.0}, **given)
    held_out = np.setdiff1d(np.arange(80), curated.pool_rows)
    lines = {line["group"]: line for line in curated.recipe["groups"]}
    assert {name: line["items"] for name, line in lines.items()} == {
        name: int((TOPIC[held_out] == name).sum()) for name in set(TOPIC[held_out])
    }
    empty = next(entry.outcome for entry in curated.ledger if not any(entry.blocks))
    first = TOPIC[held_out[0]]
    assert lines[first]["untuned"] == pytest.approx(empty[TOPIC[held_out] == first].mean())
    with pytest.raises(InputError, match="values by evaluation item, and estimator=InRun"):
        curate(POOL, 8, constraints={"topic": 0}, **(given | {"estimator": "in-run"}))


@pytest.mark.parametrize(
    ("field", "altered"),
    [
        ("groups", lambda lines: lines[:1]),
        ("groups", lambda lines: [{**lines[0], "group": "middle"}, lines[1]]),
        ("constraints", lambda entries: [{**entries[0], "groups": entries[0]["groups"][:-1]}]),
        ("constraints", lambda entries: [{**entries[0], "groups": [7] * 8}]),
        ("constraints", lambda entries: [{**entries[0], "tolerance": -0.1}]),
    ],
    ids=["a group less", "another name", "an item less", "a group without a name", "below 0"],
)
def test_altered_groups_are_found(bound: CuratedDataset, field: str, altered: Any) -> None:
    check_curated(bound, len(bound.ledger))
    recipe = updated(bound.recipe, {field: altered(dict(bound.recipe)[field])})
    with pytest.raises(ValueError, match=r"group|tolerance"):
        check_curated(dataclasses.replace(bound, recipe=recipe), len(bound.ledger))


def test_a_trainer_of_ones_own_is_grouped_by_the_rows_that_it_evaluates_on(tiny_model: Path) -> None:
    rows = make_rows(9, seed=99)
    utility = with_trainer(
        bound_utility(tiny_model, "llama", items=read_pool(Dataset.from_list(rows)).examples(range(9)))
    )
    texts = Dataset.from_list([{"text": row["output"]} for row in make_rows(8)])
    given: dict[str, Any] = {"utility": utility, "embedder": "lexical", "clusterer": [0, 0, 0, 0, 1, 1, 1, 1]}
    given |= {"proxies_per_cluster": 1, "estimator": "exact", "constraints": {"topic": 9}, "merit": None}
    curated = curate(texts, 3, eval_dataset=Dataset.from_list(rows), **given)
    assert sum(line["items"] for line in curated.recipe["groups"]) == 9
    with pytest.raises(InputError, match="8 rows, which are not the items that the utility evaluates on"):
        curate(texts, 3, eval_dataset=Dataset.from_list(rows[:8]), **given)
    with pytest.raises(InputError, match="9 rows, which are not the items"):
        curate(texts, 3, eval_dataset=Dataset.from_list(rows[::-1]), **given)
    with pytest.raises(InputError, match="these items have none; pass eval_dataset="):
        curate(texts, 3, **given)


@pytest.mark.parametrize(
    ("change", "stderr", "told"),
    [
        (0.01234, 0.004, "+0.0123 ± 0.0040"),
        (-0.5, None, "-0.5000"),
        (1.2e-06, None, "+1.2e-06"),
        (-3e-05, 2e-05, "-3.0e-05 ± 2.0e-05"),
        (8.1e-18, 9e-18, "+0.0000 ± 0.0000"),
        (-2e-17, None, "+0.0000"),
        (0.0, 0.0, "+0.0000 ± 0.0000"),
    ],
)
def test_changes_have_as_many_digits_as_say_something(change: float, stderr: float | None, told: str) -> None:
    assert signed(change, stderr) == told
