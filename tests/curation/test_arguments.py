"""What `curate` is told, by keywords and in writing."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest

from shed_hf import (
    QOCS,
    Agglomerative,
    FineTune,
    InputError,
    KMeans,
    LeastSquares,
    Race,
    ShedConfig,
    ShedWarning,
    Tolerance,
    curate,
    plan,
)
from shed_hf.config.recipe_file import parse_recipe
from shed_hf.config.shed_config import SETTINGS_BY_NAME
from shed_hf.curation.arguments import request_from, request_of
from shed_hf.curation.request import Request
from tests.helpers.bars import shown
from tests.helpers.rows import make_rows

ROWS = make_rows(40)


def asked(size: Any = "auto", args: Any = None, dataset: Any = ROWS, **given: Any) -> Request:
    return request_of("curate", dataset, size, args, given)


def without_game(row_sets: Any) -> np.ndarray:
    return np.array([[float(len(rows))] for rows in row_sets])


CHEAP: dict[str, Any] = {"embedder": "lexical", "clusterer": "topic", "estimator": None, "sampler": "random",
                         "utility": without_game}  # fmt: skip


def test_keywords_count_more_than_what_is_written(tmp_path: Path) -> None:
    config = ShedConfig(size=0.5, seed=3, clusterer="hdbscan", warmup=4)
    request = asked(args=config, seed=7)
    assert (request.size, request.seed, request.clusterer, request.warmup) == (0.5, 7, "hdbscan", 4)
    assert asked(12, config).size == 12
    path = tmp_path / "recipe.yaml"
    path.write_text("size: 12%\nlora_r: 4\nsampler: {name: qocs, most: 0.5}\n")
    for written in (path, str(path)):
        request = asked(args=written)
        assert (request.size, request.tuning, request.sampler) == ("12%", {"lora_r": 4}, QOCS(most=0.5))


@pytest.mark.parametrize("as_size", [False, True])
def test_a_configuration_may_stand_where_the_size_does(as_size: bool, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("size: 8\nseed: 5\n")
    for written in (ShedConfig(size=8, seed=5), path, str(path)):
        request = asked(written) if as_size else asked(args=written)
        assert (request.size, request.seed) == (8, 5)


def test_keywords_and_a_configuration_are_the_same_thing() -> None:
    given = {"size": 6, "seed": 2, "embedder": "lexical", "clusterer": "topic", "estimator": None, "sampler": "random"}
    one = curate(ROWS, utility=without_game, **given)
    other = curate(ROWS, args=ShedConfig(**given), utility=without_game)
    assert list(one.rows) == list(other.rows)
    assert {**one.recipe, "bill": 0} == {**other.recipe, "bill": 0}


@pytest.mark.parametrize(
    ("name", "passed", "kept"),
    [
        ("size", "10", 10), ("size", "0.1", 0.1), ("size", np.float32(0.5), 0.5), ("budget", "10", 10),
        ("budget", np.int64(9), 9), ("merit", "none", None), ("estimator", "none", None), ("seed", "3", 3),
        ("proxies_per_cluster", "all", None), ("proxies_per_cluster", "2", 2), ("proxy_sets", "2", 2),
        ("warmup", "0", 0), ("columns", ["instruction=query"], {"instruction": "query"}),
        ("eval_columns", {"input": ""}, {"input": None}), ("features", "loss", ("loss",)),
        ("constraints", ["a=b=0.1"], {"a=b": 0.1}), ("features", ["loss", "ifd"], ("loss", "ifd")),
    ],
)  # fmt: skip
def test_a_word_means_the_same_as_keyword_and_as_setting(name: str, passed: Any, kept: Any) -> None:
    given = {"dataset": ROWS, name: passed}
    as_keyword, as_setting = asked(**given), asked(args=ShedConfig(**{name: kept}))
    assert getattr(as_keyword, name) == getattr(as_setting, name) == kept
    assert type(getattr(as_keyword, name)) is type(kept)


@pytest.mark.parametrize("rows", [ROWS, pd.DataFrame(ROWS)], ids=["list", "frame"])
@pytest.mark.parametrize(("size", "kept"), [("10%", 4), (0.2, 8), (5, 5)])
def test_rows_and_sizes_of_every_kind_are_taken(rows: Any, size: Any, kept: int) -> None:
    assert len(curate(rows, size, **CHEAP)) == kept


@pytest.mark.parametrize(
    ("given", "kind", "told"),
    [
        ({"foo": 1}, TypeError, r"^curate\(\) has no argument 'foo'; there are size, split, columns"),
        ({"num_clusters": 5}, TypeError, "did you mean n_clusters"),
        ({"lr": 1}, TypeError, "did you mean learning_rate"),
        ({"evaluation_dataset": 1}, TypeError, "did you mean eval_dataset"),
        ({"dataset_": 1}, TypeError, r"has no argument 'dataset_'"),
        ({"output": "x"}, TypeError, "no argument 'output'"),
        ({"size": 0}, InputError, "size=0 is not in 1 … 40, the rows of the dataset; pass a number of these"),
        ({"learning_rate": "fast"}, InputError, r"^learning_rate='fast' is not a number > 0"),
        ({"lora_r": 0}, InputError, r"^lora_r=0 is not a whole number >= 1"),
        ({"n_clusters": 2.5}, InputError, r"^n_clusters=2.5 is not a whole number"),
        ({"n_clusters": 5, "clusterer": "hdbscan"}, InputError, "pass clusterer=KMeans"),
        ({"n_coalitions": 5, "estimator": "exact"}, InputError, "pass budget=5"),
        ({"learning_rate": 1e-4, "utility": without_game}, InputError, 'learning_rate= goes with utility="fine-tune"'),
        ({"sampler": {"name": "Nonesuch"}}, InputError, "Nonesuch"),
        ({"sampler": {}}, InputError, "^sampler={} is not"),
        ({"estimator": {"name": "Exact", "colour": 1}}, InputError, r"^estimator\.colour is no field of Exact"),
        ({"estimator": {"name": "LeastSquares", "n_coalition": 1}}, InputError, "did you mean 'n_coalitions'"),
        ({"method": {"name": "Sprint"}}, InputError, "has the name Race"),
        ({"constraints": {"topic": "0.1:tuned"}}, InputError, "tolerances by column"),
        ({"args": 5}, InputError, "args is a int; pass a ShedConfig"),
        ({"args": "nonesuch.yaml"}, InputError, "does not exist"),
        ({"dataset": None}, InputError, "there is no dataset"),
        ({"dataset": "recipe.yaml"}, InputError, r"is a recipe, not rows; pass args='recipe.yaml'"),
    ],
)  # fmt: skip
def test_what_is_wrong_names_the_right_argument(given: dict[str, Any], kind: type, told: str) -> None:
    with pytest.raises(kind, match=told):
        curate(**{"dataset": ROWS, "size": 4, "embedder": "lexical", "clusterer": "topic", **given})


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("sampler: {name: QOCS, most: 4}", r"sampler\.most=4 is not a share"),
        ("method: {name: Race, budget: x}", r"method\.budget='x' is not a whole number"),
        ("method: {name: Race, candidates: [nope]}", r"method\.candidates='nope' is unknown"),
        ("method: {name: Sprint}", "method is {'name': 'Sprint'}; as a mapping it has the name Race"),
        ("estimator: {name: LeastSquares, n_coalitions: x}", r"estimator\.n_coalitions='x' is not a whole number"),
        ("estimator: {name: Exakt}", r"estimator\.name='Exakt' is unknown; did you mean '[eE]xact'\? pass one of"),
        ("sampler: qocz", "sampler='qocz' is unknown; did you mean 'qocs'"),
        ("budget: 1:30", "budget='1:30' is not a time"),
        (
            "sft_config:\n  adam_beta: x",
            r"sft_config\.adam_beta is not a field of SFTConfig; did you mean 'adam_b",
        ),
        ("features: {name: Features, names: [hue]}", r"features"),
    ],
)
def test_a_wrong_field_in_a_file_is_told_with_its_line(entry: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"size: 4\n{entry}\n")
    line = 2 + entry.count("\n")
    in_file = re.sub(r"^([\w\\.]+)=", r"\1: ", told)
    with pytest.raises(InputError, match=rf"^line {line} of .*recipe\.yaml: {in_file}"):
        curate(ROWS, args=path, embedder="lexical")
    name, value = next(iter(parse_recipe(entry, "", SETTINGS_BY_NAME).values.items()))
    with pytest.raises(InputError, match=f"^{told}"):  # as a keyword it has no line
        curate(ROWS, embedder="lexical", **{name: value})


def test_plan_names_itself() -> None:
    with pytest.raises(TypeError, match=r"^plan\(\) has no argument 'foo'"):
        plan(ROWS, foo=1)


def test_numbers_become_parts() -> None:
    assert asked(n_clusters=5).clusterer == KMeans(5)
    assert asked(n_clusters=np.int64(5), clusterer="agglomerative").clusterer == Agglomerative(5)
    assert asked(n_clusters=5, clusterer={"name": "KMeans", "restarts": 2}).clusterer == KMeans(5, restarts=2)
    assert asked(n_coalitions=30).estimator == LeastSquares(30)
    assert asked(constraints={"topic": "0.1:random", "a": 0.2}).constraints == {
        "topic": Tolerance(0.1, "random"), "a": Tolerance(0.2),
    }  # fmt: skip
    race = asked(method={"name": "Race", "candidates": ["qocs", {"name": "QOCS", "most": 0.5}], "level": 0.9}).method
    assert race == Race(["qocs", QOCS(most=0.5)], level=0.9)


def test_only_changes_of_the_fine_tuning_are_kept() -> None:
    given = {"learning_rate": 1e-4, "lora_r": None, "precision": "auto", "max_length": 64}
    assert asked(**given).tuning == {"learning_rate": 1e-4, "max_length": 64}
    assert request_from({"dataset": ROWS, "size": 4}).tuning == {}


def test_what_was_passed_is_written_down_as_far_as_it_can_be() -> None:
    written = asked(6, sampler=QOCS(most=0.5), clusterer=KMeans(4), utility=without_game, seed=np.int64(2)).written
    assert written is not None
    assert (written.values["size"], written.values["seed"]) == (6, 2)
    assert written.values["sampler"]["most"] == 0.5
    assert written.values["clusterer"]["n_clusters"] == 4
    assert written.not_written == {"utility": "without_game", "dataset": "list of 40 rows"}
    tuned = asked(utility=FineTune("x"), merit=np.zeros(40), dataset="me/pool").written
    assert tuned is not None
    assert (tuned.values, set(tuned.not_written)) == ({"dataset": "me/pool"}, {"utility", "merit"})


def test_a_class_of_the_users_is_not_taken_for_one_of_the_same_name() -> None:
    @dataclass(frozen=True)
    class Longest:
        def __call__(self, values: Any, members: Any, size: int, rng: Any) -> Any:
            return np.arange(size)

    written = asked(sampler=Longest()).written
    assert written is not None
    assert "sampler" in written.not_written


def test_where_the_shell_keeps_a_result_is_told_to_be_for_the_shell(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("size: 4\noutput: out\n")
    with pytest.warns(ShedWarning, match=r"^output in .*recipe.yaml are for the shell") as warned:
        assert asked(args=path).size == 4
    with pytest.warns(ShedWarning, match="are for the shell") as of_curate, pytest.raises(InputError):
        curate(args=path)
    assert {each.filename for each in [*warned, *of_curate]} == {__file__}


class Looking:
    """The path of a recipe, which looks whether bars are on when it is asked for."""

    def __init__(self) -> None:
        self.bars: list[bool] = []

    def __fspath__(self) -> str:
        self.bars.append(not datasets.are_progress_bars_disabled())
        return "nonesuch.yaml"


@pytest.mark.parametrize("function", [curate, plan])
def test_what_is_written_is_read_without_the_output_of_other_libraries(function: Any) -> None:
    place = Looking()
    with shown(), pytest.raises(InputError, match="does not exist"):
        function(args=place)
    assert place.bars
    assert not any(place.bars)


def test_a_call_is_repeated_by_what_is_noted_beside_its_ledger(tmp_path: Path) -> None:
    ledger = tmp_path / "run.ledger"
    given = {**CHEAP, "estimator": "permutation", "sampler": "qocs", "merit": None, "budget": 20}
    first = curate(ROWS, 8, ledger=ledger, **given)
    note = tmp_path / "run.ledger.yaml"
    with pytest.raises(InputError, match=r"utility of .*run.ledger.yaml could not be written down \(without_game\)"):
        curate(ROWS, args=note)
    again = curate(ROWS, args=note, utility=without_game)
    assert list(again.rows) == list(first.rows)
    assert again.recipe["bill"]["fine_tunings"] == 0
