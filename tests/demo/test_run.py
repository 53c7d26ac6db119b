"""The demo itself with the small model: what it says beforehand, what it measures, what it shows."""

import ast
import json
import shlex
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from shed_hf import CuratedDataset, InputError, LeastSquares, read_ledger
from shed_hf.cli import app
from shed_hf.cli.shell_words import in_shell_words
from shed_hf.demo import pool as demo_pool
from shed_hf.demo import settings
from shed_hf.demo.run import DemoResult, run
from shed_hf.demo.show import show
from shed_hf.errors import LedgerError
from shed_hf.estimators.significance import verdict_of
from shed_hf.game.entry import Entry
from shed_hf.game.ledger import Ledger
from shed_hf.results.verdict import LEAST_ITEMS
from tests.helpers.ledgers import filled

SHORT = replace(
    settings.SMALL,
    proxies=2,
    share=0.2,
    n_items=9,
    n_test=LEAST_ITEMS + 2,
    estimator=LeastSquares(n_coalitions=8),
    budget=10,
    tunings=2,
    draws=2,
)


N_ROWS = 108


@dataclass
class Stopped:
    """What a demo said that was stopped."""

    said: list[str]

    @property
    def ledger(self) -> Path:
        """What its last line says to go on with."""
        return Path(self.said[-1].split("ledger='")[1].split("'")[0])


@dataclass
class Whole:
    """A demo that was stopped while it chose, and while it compared, and went on as it said each time."""

    stopped: list[Stopped]
    said: list[str]
    result: DemoResult


def stopped_after(n_outcomes: int, name: str, ledger: Path | None) -> Stopped:
    """A demo that is stopped once there are so many outcomes in the ledger of a name."""
    said: list[str] = []
    put = Ledger.put

    def put_or_stop(self: Ledger, entry: Entry) -> None:
        put(self, entry)
        if self.path is not None and self.path.name == name and len(self) == n_outcomes:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Ledger, "put", put_or_stop)
        patch.setattr("shed_hf.game.interruption.say", said.append)
        run("small", ledger=ledger)
    return Stopped(said)


@pytest.fixture(scope="module")
def whole() -> Iterator[Whole]:
    """The demo with fewer rows, evaluation items and coalitions than it has for a user."""
    rows, said = demo_pool.rows, list[str]()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(settings, "SMALL", SHORT)
        patch.setattr("shed_hf.demo.choice.expected_seconds", lambda *_: 30.0)
        patch.setattr(demo_pool, "rows", lambda split: demo_pool.spread(rows(split), N_ROWS))
        choosing = stopped_after(3, "demo.ledger", None)
        comparing = stopped_after(2, "demo.ledger.verdict", choosing.ledger)
        patch.setattr("shed_hf.demo.run.say", said.append)
        patch.setattr("shed_hf.curation.verdict.say", said.append)
        yield Whole([choosing, comparing], said, run("small", ledger=comparing.ledger))
    shutil.rmtree(choosing.ledger.parent)


@pytest.fixture(scope="module")
def demo(whole: Whole) -> DemoResult:
    return whole.result


def test_who_goes_on_as_a_stopped_demo_says_measures_nothing_again(whole: Whole) -> None:
    choosing, comparing = whole.stopped
    assert "3 outcomes kept in" in choosing.said[-1]
    assert f"2 outcomes kept in {choosing.ledger}.verdict: repeat the call with" in comparing.said[-1]
    assert choosing.ledger == comparing.ledger
    n_verdict = SHORT.tunings + SHORT.draws + 1
    assert len(read_ledger(choosing.ledger)) == whole.result.curated.recipe["bill"]["outcomes"]
    assert len(read_ledger(f"{choosing.ledger}.verdict")) == n_verdict
    assert whole.result.curated.recipe["bill"]["fine_tunings"] == 0
    assert whole.result.n_fine_tunings == len(read_ledger(choosing.ledger)) - 1


@pytest.mark.parametrize(
    "error", [None, KeyboardInterrupt(), InputError("refused")], ids=["finished", "stopped", "bad"]
)
def test_a_demo_of_which_nothing_is_kept_leaves_no_file(
    error: BaseException | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, demo: DemoResult
) -> None:
    def curated(*_: Any, ledger: Path, **__: Any) -> CuratedDataset:
        Ledger(ledger, {}).close()
        if error is not None:
            raise error
        return demo.curated

    monkeypatch.setattr("shed_hf.demo.run.curate", curated)
    monkeypatch.setattr("shed_hf.demo.run._compared", lambda *_: (demo.curated.verdict, demo.heldout_loss_untuned))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with nullcontext() if error is None else pytest.raises(type(error)):
        run("small")
    assert not list(tmp_path.iterdir())


def test_the_ledger_of_another_run_is_told_without_a_dataset_that_no_caller_gave(tmp_path: Path) -> None:
    filled(tmp_path / "mine.ledger")
    with pytest.raises(LedgerError, match=r"mine\.ledger holds the outcomes of another run, or of a demo with") as no:
        run("small", ledger=tmp_path / "mine.ledger")
    assert "dataset" not in str(no.value) and "arguments" not in str(no.value)
    assert "pass another path as --ledger, or that demo's model and seed" in in_shell_words(str(no.value))


def test_it_says_the_task_and_the_damage_before_it_begins(whole: Whole) -> None:
    demo, told = whole.result, whole.said[0]
    assert "teach the small model shipped with shed_hf to answer in JSON" in told
    hurt = {topic: damage for damage, topic in zip(demo.damaged, demo.topics, strict=True) if damage}
    assert f"{len(hurt)} topics were damaged on purpose" in told
    assert sorted(hurt.values()) == sorted(settings.DAMAGES)
    for topic in hurt:
        assert topic in told.split("is not told: ")[1]
    assert "(answers not in JSON)" in told
    assert "(the same refusal everywhere)" in told


def test_it_says_what_all_of_it_takes_and_what_of_it_was_measured_before(whole: Whole) -> None:
    valuing, comparing = len(read_ledger(whole.stopped[0].ledger)), SHORT.tunings + SHORT.draws + 1
    done = valuing + 2
    assert whole.said[1] == (
        f"in all: up to {valuing - 1} fine-tunings to value {SHORT.n_clusters} clusters, then {comparing - 1} to "
        f"compare the rows kept with random ones, about {30 * (1 - done / (valuing + comparing)):.1f} s "
        f"({done} outcomes of {valuing + comparing} measured before)"
    )


def test_nobody_is_told_to_compare_what_it_compares_itself(whole: Whole) -> None:
    assert whole.said
    assert not [line for line in whole.said if "not compared with random rows" in line]


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
    assert asked == [("small", 7, None)]
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(json.dumps(demo.as_json()))
    assert {"verdict", "better_than_random", "heldout_loss_curated"} <= printed.keys()
