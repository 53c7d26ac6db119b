"""The demo itself with the small model: what it says beforehand, what it measures, what it shows."""

import ast
import json
import shlex
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import typer

from shed_hf import LeastSquares
from shed_hf.cli import app
from shed_hf.demo import pool as demo_pool
from shed_hf.demo import settings
from shed_hf.demo.run import DemoResult, run
from shed_hf.demo.show import show
from shed_hf.estimators.significance import verdict_of
from shed_hf.results.verdict import LEAST_ITEMS

SHORT = replace(
    settings.SMALL,
    share=0.2,
    n_items=9,
    n_test=LEAST_ITEMS + 2,
    estimator=LeastSquares(n_coalitions=8),
    budget=10,
    tunings=2,
    draws=2,
)


N_ROWS = 108


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def demo(said: list[str]) -> Iterator[DemoResult]:
    """The demo with fewer rows, evaluation items and coalitions than it has for a user."""
    whole = demo_pool.rows
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(settings, "SMALL", SHORT)
        patch.setattr(demo_pool, "rows", lambda split: demo_pool.spread(whole(split), N_ROWS))
        patch.setattr("shed_hf.demo.run.say", said.append)
        yield run("small")


def test_it_says_the_task_and_the_damage_before_it_begins(demo: DemoResult, said: list[str]) -> None:
    told = said[0]
    assert "teach the small model shipped with shed_hf to answer in JSON" in told
    hurt = {topic: damage for damage, topic in zip(demo.damaged, demo.topics, strict=True) if damage}
    assert f"{len(hurt)} topics were damaged on purpose" in told
    assert sorted(hurt.values()) == sorted(settings.DAMAGES)
    for topic in hurt:
        assert topic in told.split("is not told: ")[1]
    assert "(answers not in JSON)" in told
    assert "(the same refusal everywhere)" in told


def test_it_curates_and_compares(demo: DemoResult) -> None:
    assert demo.model == "the small model shipped with shed_hf"
    assert 8 <= demo.n_fine_tunings <= 10
    assert demo.seconds > 0
    assert demo.damaged_share_before == pytest.approx(5 / 9, abs=0.01)
    assert demo.damaged_share_after == np.mean([bool(demo.damaged[row]) for row in demo.curated.rows])
    assert max(demo.heldout_loss_curated, demo.heldout_loss_random) < demo.heldout_loss_untuned - 0.3
    assert len(demo.curated) == round(SHORT.share * N_ROWS)


def test_losses_are_those_of_the_verdict(demo: DemoResult) -> None:
    verdict = demo.curated.recipe["verdict"]
    assert demo.heldout_loss_random - demo.heldout_loss_curated == pytest.approx(verdict["over_random"]["gain"])
    assert demo.heldout_loss_untuned - demo.heldout_loss_curated == pytest.approx(verdict["over_untuned"]["gain"])
    assert demo.better_than_random == (verdict["kind"] == "better")


def test_it_shows_clusters_losses_and_the_verdict_in_words(
    demo: DemoResult, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "130")
    show(demo)
    text = capsys.readouterr().out
    assert "clusters by value" in text
    assert "56% of the pool" in text
    assert "(lower is better)" in text
    assert "(higher is better)" in text
    assert f"{demo.heldout_loss_untuned:.3f}" in text
    assert "A single tuning is partly luck" in text
    assert "shed-hf curate" in text
    assert f"The rows kept are {demo.verdict}" in " ".join(text.split())


@pytest.mark.parametrize(
    ("holds", "says"), [(True, "find the order of clusters real"), (False, "don't tell the order")]
)
def test_it_says_whether_the_ranking_holds_beside_how_right_it_is(
    demo: DemoResult, holds: bool, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show(replace(demo, ranking_holds=holds, reliability=0.39, auc_damaged_last=0.95))
    text = " ".join(capsys.readouterr().out.split())
    assert says in text
    assert ("a larger budget would" in text) is not holds
    assert text.index("agree to 0.39 of 1") < text.index("with AUC 0.95")


def test_whether_the_ranking_holds_is_what_the_curation_says(demo: DemoResult) -> None:
    assert demo.ranking_holds == verdict_of(demo.curated.estimate).passes
    assert demo.reliability == demo.curated.estimate.reliability


@pytest.mark.parametrize(
    "curate_with", [{"model": "small", "embedder": "lexical"}, {"model": "/a b/it's", "embedder": "lexical"}, {}]
)
def test_what_it_says_to_type_next_uses_the_model_at_hand(
    demo: DemoResult, curate_with: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    show(replace(demo, curate_with=curate_with))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    _, _, *words = shlex.split(next(line for line in lines if line.startswith("shed-hf curate")))
    commands: Any = typer.main.get_command(app)
    typed = commands.commands["curate"].make_context("curate", words).params
    assert {name: typed[name] for name in curate_with} == curate_with
    call: Any = ast.parse(next(line for line in lines if line.startswith("curated ="))).body[0]
    keywords = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.value.keywords}
    assert keywords == {"size": 0.1, **curate_with}


def test_the_model_at_hand_is_the_one_it_ran_with(demo: DemoResult) -> None:
    assert demo.curate_with == {"model": "small", "embedder": "lexical"}


@pytest.mark.parametrize("verdict", ["not shown to be better than random rows (0.01 (−0.02 to 0.04))", "worse [than]"])
def test_where_it_does_not_win_it_says_so(demo: DemoResult, verdict: str, capsys: pytest.CaptureFixture[str]) -> None:
    show(replace(demo, verdict=verdict, better_than_random=False))
    assert f"The rows kept are {verdict}" in " ".join(capsys.readouterr().out.split())


def test_the_shell_prints_one_json_object(
    demo: DemoResult, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("shed_hf.demo.run.run", lambda *arguments: asked.append(arguments) or demo)
    app(["demo", "--model", "small", "--seed", "7", "--json"], standalone_mode=False)
    assert asked == [("small", 7)]
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(json.dumps(demo.as_json()))
    assert {"verdict", "better_than_random", "heldout_loss_curated"} <= printed.keys()
