"""`compare`: what is tuned on, what is charged, and what happens to what fails."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

import shed_hf
from shed_hf import InputError
from shed_hf.game.orders import TrainingOrders, hashed
from tests.helpers.bars import shown
from tests.helpers.comparisons import DEV, ITEMS, POOL, TOPIC, Worths, compared, line_of
from tests.helpers.rows import make_rows


def cooking(rows: Dataset, size: int, rng: np.random.Generator) -> list[int]:
    """The first rows about cooking."""
    return [place for place, topic in enumerate(rows["topic"][:]) if topic == "cooking"][:size]


@pytest.fixture(scope="module")
def table() -> shed_hf.Comparison:
    return compared(["shed", "qwcs", "retrieval", cooking, shed_hf.Given(range(0, 40, 4))])


def test_every_table_has_the_untuned_model_random_rows_and_all_rows(table: shed_hf.Comparison) -> None:
    for size in (8, 16):
        assert line_of(table, "untuned", size).mean == 0
        assert line_of(table, "untuned", size).rows == 0
        assert line_of(table, "full", size).rows == 120
        assert line_of(table, "random", size).seeds == 4


def test_a_mean_is_that_of_the_tunings_in_their_orders(table: shed_hf.Comparison) -> None:
    rows = [row for row, topic in enumerate(TOPIC) if topic == "cooking"][:8]
    problem = shed_hf.curate(POOL, 8, utility=Worths(), eval_dataset=DEV, embedder="lexical", clusterer="topic",
                             estimator="exact", proxies_per_cluster=1)  # fmt: skip
    digests = dict(zip(problem.pool_rows.tolist(), (d.tobytes() for d in problem.valued.digests), strict=True))
    seed = int(str(problem.ledger.header["order"]).rsplit(" ", 1)[1])
    orders = TrainingOrders(hashed(digests), seed)
    expected = [Worths().of(orders.own(rows, number)).mean() for number in range(4)]
    measured = [run.value for run in table.runs if (run.method, run.size) == ("cooking", 8)]
    np.testing.assert_allclose(measured, expected)
    assert len(set(measured)) == 4
    assert line_of(table, "cooking").mean == pytest.approx(np.mean(expected))
    assert line_of(table, "cooking").stderr == pytest.approx(np.std(expected, ddof=1) / 2)


def test_all_rows_are_tuned_on_once_or_with_every_seed_where_they_are_named(table: shed_hf.Comparison) -> None:
    assert line_of(table, "full").seeds == 1
    assert line_of(compared(["all"], sizes=[8]), "full").seeds == 4


def test_random_rows_are_drawn_anew_for_every_seed(table: shed_hf.Comparison) -> None:
    random = [run.value for run in table.runs if (run.method, run.size) == ("random", 8)]
    chosen = [run.value for run in table.runs if (run.method, run.size) == ("cooking", 8)]
    assert np.std(random) > 3 * np.std(chosen)


def test_rows_that_were_given_are_compared_with_random_rows_of_their_own_number(table: shed_hf.Comparison) -> None:
    given = line_of(table, "given", 10)
    assert given.gain == pytest.approx(given.mean - line_of(table, "random", 10).mean)
    assert {line.size for line in table.lines if line.method == "cooking"} == {8, 16}


def test_a_clearly_better_choice_is_said_to_be_better() -> None:
    found = line_of(compared([cooking], sizes=[24], seeds=8), "cooking", 24)
    assert found.verdict == "better"
    assert found.gain == pytest.approx(3 - 1.25, abs=0.5)
    assert found.low > 0
    assert found.p < 0.01


def test_methods_that_differ_in_their_sampler_alone_share_one_game() -> None:
    choosing = Counting()
    found = compared(["shed", "qwcs", shed_hf.QOCS(most=1.0)], utility=choosing)
    assert choosing.tunings == len(choosing.asked) == 2**4 - 1 + 4  # four topics, and halves of rows for their spread
    assert line_of(found, "shed").choosing_fine_tunings == line_of(found, "qwcs").choosing_fine_tunings > 0
    assert line_of(found, "random").choosing_fine_tunings == 0


class Counting(Worths):
    """Counts the sets of rows that it tunes on."""

    tunings = 0

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[bytes] = set()

    def of(self, rows: np.ndarray) -> np.ndarray:
        self.tunings += len(rows) > 0
        self.asked.add(rows.tobytes()) if len(rows) else None
        return super().of(rows)


def test_a_subset_that_two_methods_choose_is_tuned_on_once() -> None:
    tests = Counting()
    compared({"one": cooking, "two": cooking}, test_utility=shed_hf.Named("counting", tests), sizes=[8])
    assert tests.tunings == 4 + 4 + 1  # the choice, random rows, all rows


def test_a_method_that_fails_on_one_size_or_seed_is_named_and_the_rest_is_kept() -> None:
    def moody(rows: Dataset, size: int, rng: np.random.Generator) -> Any:
        if size == 16:
            raise ValueError("not today")
        return rng.choice(len(rows), size, replace=False) if rng.random() < 2 else None

    def once_moody(rows: Dataset, size: int, rng: np.random.Generator) -> Any:
        seen.append(size)
        return list(range(size)) if seen != [8, 8] else [0] * size

    seen: list[int] = []
    methods = {"moody": moody, "once": once_moody, "no items": "retrieval"}
    found = compared(methods, eval_dataset=None, sizes=[8, 16])
    assert line_of(found, "moody").seeds == 4
    assert line_of(found, "once").seeds == 3
    assert "\n  once (3 seeds)  " in str(found) and "\n  once  " in str(found) and "\n  moody  " in str(found)
    assert {failure.size for failure in found.failures if failure.method == "moody"} == {16}
    assert "moody failed in choosing (model, 16 rows): ValueError: not today (4 seeds)" in str(found)
    assert "no items failed in choosing (model)" in str(found)
    assert "pass eval_dataset=" in str(found)


def test_a_sampler_that_raises_does_not_end_the_comparison_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # what the race measured before is kept in a file there

    def broken(values: Any, members: Any, size: int, rng: np.random.Generator) -> Any:
        raise ZeroDivisionError("no value is 0")

    found = compared({"broken": broken, "longest": "longest", "race": {"method": "race", "sampler": broken}}, sizes=[8])
    assert {failure.method for failure in found.failures} == {"broken", "race"}
    assert "ZeroDivisionError: no value is 0" in str(found)
    assert line_of(found, "longest").seeds == 4
    assert len(list(tmp_path.glob("shed-*.ledger"))) == 1


@pytest.mark.parametrize("sizes", [[30], [0.1], ["10%"], [0]])
@pytest.mark.parametrize("rows", [[], Dataset.from_dict({"instruction": [], "output": []})], ids=["list", "dataset"])
def test_a_comparison_on_no_rows_says_so_whatever_the_sizes(rows: Any, sizes: list[Any]) -> None:
    with pytest.raises(InputError, match=r"^dataset has 0 rows; pass one with rows$"):
        shed_hf.compare(rows, test_dataset=DEV, sizes=sizes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 1, "estimator": "least-squares"}, "budget=1 is too small: 3 fine-tunings are needed"),
        ({"methods": {"mine": {"budget": 2, "estimator": "least-squares"}}}, "budget=2 is too small"),
        ({"methods": {"mine": {"sampler": "qocss"}}}, "sampler='qocss' is unknown"),
        ({"seeds": 0}, "seeds=0 is not a whole number >= 1"),
        ({"sizes": [0]}, r"sizes= has 0: .*1 … 120"),
        ({"sizes": [8, 121]}, "sizes= has 121"),
        ({"sizes": [-0.1]}, "sizes= has -0.1"),
        ({"test_dataset": "nowhere.jsonl", "test_utility": None}, "'nowhere.jsonl' does not exist"),
        ({"test_dataset": {"a": DEV, "b": "no.csv"}, "test_utility": None}, r"no\.csv' does not exist"),
        ({"test_dataset": {"a": DEV, "b": None}, "test_utility": None}, r"test_dataset\['b'\] is a NoneType"),
        ({"split": "train"}, "split='train' picks one of several splits"),
        ({"split": np.array([])}, r"split=array\(.* is not the name of a split"),
        ({"method": "race"}, "a comparison takes methods="),
        ({"test_utility": 5}, r"test_utility is a int; pass a callable row_sets -> \(m, n_items\)$"),
        ({"test_utility": "fine-tune"}, "test_utility is a str; pass a callable"),
        ({"test_utility": shed_hf.FineTune()}, "test_utility is a FineTune; pass a callable"),
        ({"test_utility": lambda rows, seed: rows}, r"test_utility=.* cannot be called with \(row_sets\)"),
        ({"test_objective": 5}, "test_objective= is about test_dataset=, and test_utility= measures"),
        ({"ledger": 5}, "5 is no path of a ledger"),
        ({"ledger": "."}, "is no path of a ledger"),
        ({"ledger": Path(__file__).parent}, r"ledger='.*comparison' is not a file but a folder; pass another path"),
        ({"ledger": f"{__file__}/run.ledger"}, r"cannot be made, for .*test_compare\.py is not a folder"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_measured(
    arguments: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    measured = Counting()
    utilities = {"utility": shed_hf.Named("choosing", measured), "test_utility": shed_hf.Named("tests", measured)}
    with pytest.raises(shed_hf.ShedError, match=message):
        compared(**({"methods": ["shed"], "ledger": "cmp.ledger"} | utilities | arguments))
    assert not measured.asked
    assert not list(tmp_path.iterdir())


def test_two_seeds_are_said_to_show_little_before_anything_is_paid_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="shed_hf")
    assert "with 2 seeds little can be shown" in str(compared(["longest"], sizes=[8], seeds=2))
    assert 0 <= caplog.text.index("with 2 seeds little can be shown") < caplog.text.index("bill: ")
    assert "with 1 seed nothing is shown" in str(compared(["longest"], sizes=[8], seeds=1))
    assert "little can be shown" not in str(compared(["longest"], sizes=[8], seeds=3))


def test_a_tuning_that_diverges_is_left_out_and_named() -> None:
    found = compared([cooking], test_utility=Worths(diverges_on=1), sizes=[8], seeds=6)
    full = [failure for failure in found.failures if failure.method == "full"]
    assert [failure.stage for failure in full] == ["tuning"]
    assert "not finite" in full[0].reason
    random = line_of(found, "random")
    assert random.seeds == 6 - sum(failure.method == "random" for failure in found.failures) > 2
    assert line_of(found, "cooking").seeds == 6
    assert not [line for line in found.lines if line.method == "full"]


def test_seeds_that_diverge_alike_are_told_of_together_without_the_rows_of_each() -> None:
    found = compared(["retrieval"], test_utility=Worths(10, diverges_on=3), sizes=[24], seeds=8)
    told = [line for line in str(found).splitlines() if line.startswith("failed: ")]
    assert len(told) == len({failure.method for failure in found.failures}) > 1
    assert "failed: retrieval failed in tuning (model, 24 rows): 10 of 10 outcomes are not finite (8 seeds)" in told


def test_its_ledgers_are_in_a_folder_of_their_own_where_they_shall_be(tmp_path: Path) -> None:
    first, again = (compared(["retrieval"], sizes=[8], ledger=tmp_path / "new" / "folder" / "c.ledger") for _ in "12")
    assert {file.name.split(".")[-1] for file in (tmp_path / "new" / "folder").iterdir()} == {"json", "tunings"}
    assert str(again) == str(first)


def test_it_resumes_from_its_ledgers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="shed_hf")
    tests, choosing = Counting(), Counting()
    arguments = {
        "test_utility": shed_hf.Named("tests", tests), "utility": shed_hf.Named("choosing", choosing),
        "ledger": tmp_path / "cmp.ledger",
    }  # fmt: skip
    first = compared(["shed", "random"], **arguments)
    spent = tests.tunings, choosing.tunings
    again = compared(["shed", "random"], **arguments)
    assert (tests.tunings, choosing.tunings) == spent
    assert [line.mean for line in again.lines] == [line.mean for line in first.lines]
    assert str(again) == str(first)
    caplog.clear()
    more = compared(["shed", "random", cooking], **arguments)
    assert re.search(r"bill: 25 tunings of model on \d+ rows .* 4 methods; 17 in the ledger already", caplog.text)
    assert tests.tunings == spent[0] + 2 * 4
    assert line_of(more, "shed").mean == line_of(first, "shed").mean
    compared(["random", "longest"], **arguments, sizes=[8], seeds=2)
    assert re.search(r"bill: 5 tunings of .*; 3 in the ledger already", caplog.text)


def test_a_run_that_is_stopped_keeps_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stopping(Counting):
        def of(self, rows: np.ndarray) -> np.ndarray:
            if self.tunings == 16:
                raise KeyboardInterrupt
            return super().of(rows)

    monkeypatch.chdir(tmp_path)
    with shown(), pytest.raises(KeyboardInterrupt):
        compared([cooking], test_utility=shed_hf.Named("tests", Stopping()))
    told = re.search(r"kept beside (\S+): repeat the call with ledger='(.*)' to go on", capsys.readouterr().err)
    assert told is not None
    tests = Counting()
    compared([cooking], test_utility=shed_hf.Named("tests", tests), ledger=told[2])
    assert tests.tunings == 2 * (4 + 4) + 1 - 16


def test_games_of_several_choosing_seeds_give_several_subsets() -> None:
    found = compared({"qwcs": "qwcs"}, choosing_seeds=2)
    values = [run.value for run in found.runs if (run.method, run.size) == ("qwcs", 8)]
    assert abs(np.mean(values[::2]) - np.mean(values[1::2])) > 0.02


def test_the_same_call_finds_the_same(table: shed_hf.Comparison) -> None:
    again = compared(["shed", "qwcs", "retrieval", cooking, shed_hf.Given(range(0, 40, 4))])
    assert [(line.mean, line.low, line.high) for line in again.lines if line.gain == line.gain] == [
        (line.mean, line.low, line.high) for line in table.lines if line.gain == line.gain
    ]


def test_a_result_of_curate_is_resampled_to_every_size() -> None:
    curated = shed_hf.curate(POOL, 12, utility=Worths(6), embedder="lexical", clusterer="topic", estimator="exact",
                             eval_dataset=DEV)  # fmt: skip
    found = compared({"mine": curated})
    expected = [Worths().of(curated.resample(size, curated_sampler(curated)).rows).mean() for size in (8, 16)]
    assert [line_of(found, "mine", size).mean for size in (8, 16)] == pytest.approx(expected, abs=0.1)
    assert line_of(found, "mine").choosing_fine_tunings == curated.recipe["bill"]["all_fine_tunings"]


def curated_sampler(curated: shed_hf.CuratedDataset) -> shed_hf.QOCS:
    return shed_hf.QOCS(most=curated.recipe["sampler"]["most"])


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "nothing to test on": ({"test_utility": None}, "pass test_dataset= with items"),
    "what methods choose by": ({"utility": Worths()}, "test_utility= measures the same as utility="),
    "two things to test on": ({"test_dataset": DEV}, "and not both"),
    "a size beyond the pool": ({"sizes": [8, 500]}, "size=500 is not in 1"),
    "no size": ({"sizes": []}, "sizes= is empty"),
    "no method": ({"methods": []}, "names no way to choose rows"),
    "an unknown method": ({"methods": ["shedd"]}, "methods='shedd' is unknown; did you mean 'shed'"),
    "two methods of one name": ({"methods": [cooking, cooking]}, "two of the name 'cooking'"),
    "another line of a table": ({"methods": {"random": "retrieval"}}, "is a line of every table"),
    "arguments without a name": ({"methods": [{"budget": 3}]}, "without a name"),
    "arguments of the comparison": ({"methods": {"a": {"seed": 3}}}, "the same for all methods"),
    "no seed": ({"seeds": 0}, "seeds=0 is not a whole number"),
    "more games than seeds": ({"choosing_seeds": 9}, "choosing_seeds=9 exceeds seeds=4"),
    "an argument of a single curation": ({"size": 8}, "sizes="),
    "a model for a callable": ({"models": ["x/y"]}, "models= goes with a utility that tunes them"),
    "a callable and test items": ({"test_utility": None, "test_dataset": make_rows(20, seed=3)}, "test_utility="),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_compared_is_refused(case: str) -> None:
    arguments, message = BAD[case]
    with pytest.raises(InputError, match=re.escape(message)):
        compared(**arguments)


def test_an_argument_that_curate_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match="no 'budgett'; did you mean 'budget'"):
        compared(budgett=3)
    with pytest.raises(InputError, match=r"'mine'.*no 'estimatr'; did you mean 'estimator'"):
        compared({"mine": {"estimatr": "exact"}})


def test_fewer_than_sixteen_items_give_no_verdict() -> None:
    with pytest.warns(UserWarning, match="12 test items can't tell"):
        found = compared([cooking], test_utility=Worths(12), sizes=[24], seeds=8)
    assert line_of(found, "cooking", 24).verdict == "not shown"
    assert any("12 test items" in note for note in found.notes)
    assert ITEMS > 16
