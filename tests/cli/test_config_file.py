"""``--config`` of commands that go on with a result: what they take of a curation's recipe, and what they leave."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import Dataset
from typer.testing import CliRunner, Result

from shed_hf import QOCS, CuratedDataset, InputError, Tolerance
from shed_hf.cli import app
from shed_hf.config.ledger_note import write_note
from shed_hf.config.recipe_file import WrittenSettings
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a result, and a recipe as a curation has them: with the places that it wrote to."""
    folder = tmp_path_factory.mktemp("recipes")
    pool = Dataset.from_list(make_rows(40))
    for name in ("pool", "a", "b", "test"):
        pool.to_json(folder / f"{name}.jsonl")
    curated_of(pool, 10).save_to_disk(folder / "run", pages=False)
    return folder


@pytest.fixture(autouse=True)
def there(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


PLACES = "output: taken\npush_to_hub: me/taken\nprivate: false\nledger: taken.ledger\n"


@pytest.mark.parametrize(
    ("arguments", "places"),
    [
        (["resample", "run", "--size", "4"], "output, push_to_hub, private"),
        (["reestimate", "run", "--estimator", "banzhaf"], "output, push_to_hub, private"),
        (["update", "run", "pool.jsonl"], "output, push_to_hub, private, ledger"),
        (["score", "run", "pool.jsonl"], "output"),
    ],
    ids=["resample", "reestimate", "update", "score"],
)
def test_what_makes_another_result_does_not_take_the_places_of_the_first(
    arguments: list[str], places: str, caplog: pytest.LogCaptureFixture
) -> None:
    Path("recipe.yaml").write_text(PLACES)
    done = run(*arguments, "--config", "recipe.yaml")
    assert done.exit_code != 0
    assert f"{places} of recipe.yaml" in caplog.text
    assert "--output" in done.stderr
    assert not list(Path().glob("taken*"))


def test_a_report_is_published_only_where_that_is_asked(tmp_path: Path) -> None:
    Path("recipe.yaml").write_text(PLACES)
    done = run("report", "run", "--config", "recipe.yaml", "--output", str(tmp_path / "page.html"))
    assert (done.exit_code, "published as" in done.output) == (0, False), done.output
    assert (tmp_path / "page.html").is_file()
    done = run("report", "run", "--config", "recipe.yaml")
    assert (done.exit_code, Path("report.html").is_file()) == (0, True), done.output
    assert not list(Path().glob("taken*"))


def test_the_note_of_a_run_is_read_as_it_was_written() -> None:
    """Mappings stay mappings, a null that means something is one, and what could not be written down is no setting."""
    pool = Dataset.from_list(make_rows(40))
    given = {"sampler": QOCS(most=0.5), "proxies_per_cluster": None, "ledger": "noted.ledger", "merit": None}
    curated_of(pool, 10, **given)
    noted = Path("noted.ledger.yaml").read_text()
    assert "not_written:" in noted
    assert "proxies_per_cluster: null" in noted
    done = run("resample", "run", "--config", "noted.ledger.yaml", "--size", "4", "--source", "pool.jsonl",
               "--output", "four")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    four = CuratedDataset.load_from_disk("four")
    assert (len(four), four.recipe["sampler"]["name"], four.recipe["sampler"]["most"]) == (4, "QOCS", 0.5)
    Path("other.yaml").write_text("estimator: {name: BanzhafMSR}\nsampler: {name: QWCS, by_size: false}\n")
    done = run("reestimate", "run", "--config", "other.yaml", "--source", "pool.jsonl", "--output", "valued")
    assert done.exit_code == 0, done.stderr
    valued = CuratedDataset.load_from_disk("valued")
    assert (valued.estimate.semivalue, valued.recipe["sampler"]["by_size"]) == ("banzhaf", False)


PLACE = {"path": "me/pool", "split": "train", "revision": "abc"}
SETTINGS = {
    "dataset": PLACE, "eval_dataset": {"path": "me/items"}, "clusterer": {"name": "KMeans", "n_clusters": 5},
    "estimator": None, "proxies_per_cluster": None, "objective": {"name": "Macro", "column": "a", "objective": "loss"},
    "columns": {"instruction": "query", "images": None}, "budget": "4h", "learning_rate": 2e-4, "split": "train",
    "sft_config": {"adam_beta2": 0.95}, "lora_target_modules": ("q_proj", "v_proj"), "embedder": "lexical",
}  # fmt: skip


@pytest.mark.parametrize(
    ("test_dataset", "expected"),
    [
        ({"path": "me/test", "split": "test"}, {"test": {"path": "me/test", "split": "test"}}),
        ({"a": "a.jsonl", "b": {"path": "me/b"}}, {"a": "a.jsonl", "b": {"path": "me/b"}}),
        (["a=a.jsonl", "b=b.jsonl"], {"a": "a.jsonl", "b": "b.jsonl"}),
        ("test.jsonl", "test.jsonl"),
    ],
    ids=["a place", "places by name", "texts by name", "text"],
)
def test_a_comparison_is_told_what_the_note_says(
    test_dataset: Any, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}

    def compared(dataset: Any, **arguments: Any) -> None:
        told.update({"dataset": dataset, **arguments})
        raise InputError("seen")

    monkeypatch.setattr("shed_hf.comparison.compare.compare", compared)
    write_note("compared.ledger", WrittenSettings({**SETTINGS, "test_dataset": "replaced.jsonl"}, {"utility": "mine"}))
    noted = Path("compared.ledger.yaml")
    content = {**yaml.safe_load(noted.read_text()), "test_dataset": test_dataset, "seeds": 3, "sizes": [5, "10%"]}
    noted.write_text(yaml.safe_dump(content))
    done = run("compare", "--config", "compared.ledger.yaml", "--learning-rate", "1e-3")
    assert done.stderr == "error: seen\n"
    assert {name: told[name] for name in SETTINGS} == {**SETTINGS, "learning_rate": 1e-3}
    assert (told["test_dataset"], told["seeds"], told["sizes"]) == (expected, 3, [5, "10%"])


@pytest.mark.parametrize(
    ("command", "file", "expected"),
    [
        (["verify", "run"], {"test_dataset": PLACE, "eval_dataset": PLACE, "columns": {"images": None},
                             "model": "me/own", "seeds": 3, "full": False},
         {"test_dataset": PLACE, "eval_dataset": PLACE, "columns": {"images": None}, "model": None, "seeds": 3,
          "full": False}),
        (["transfer", "run", "--seed", "7"], {"eval_dataset": PLACE, "model": "me/own", "seed": 4, "budget": "4h"},
         {"eval_dataset": PLACE, "model": None, "seed": 7, "budget": 16}),
        (["update", "run", "pool.jsonl", "--output", "new"],
         {"eval_dataset": PLACE, "merit": None, "drop_invalid": True, "sampler": {"name": "QOCS", "most": 0.5},
          "budget": 400},
         {"eval_dataset": PLACE, "merit": None, "drop_invalid": True, "sampler": QOCS(most=0.5), "size": None}),
        (["resample", "run", "--size", "4", "--output", "less"], {"constraints": {"a": 0.1, "b": "0.2:random"}},
         {"constraints": {"a": Tolerance(0.1), "b": Tolerance(0.2, "random")}}),
    ],
    ids=["verify", "transfer", "update", "resample"],
)  # fmt: skip
def test_what_goes_on_with_a_result_is_told_what_the_file_says(
    command: list[str], file: dict[str, Any], expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}

    def called(_: CuratedDataset, *arguments: Any, **given: Any) -> None:
        told.update(given)
        raise InputError("seen")

    monkeypatch.setattr(CuratedDataset, command[0], called)
    Path("file.yaml").write_text(yaml.safe_dump(file))
    assert run(*command, "--config", "file.yaml").stderr == "error: seen\n"
    assert {name: told[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (["transfer", "run"], "model, seed, budget of own.yaml: taken by curate alone; for this command pass --model, "
                              "--seed, --budget"),
        (["verify", "run", "--test-dataset", "pool.jsonl"],
         "model of own.yaml: taken by curate alone; for this command pass --model"),
        (["update", "run", "pool.jsonl", "--output", "new"], "budget of own.yaml: taken by curate alone"),
        (["compare", "pool.jsonl", "--test-dataset", "pool.jsonl"],
         "size, sampler, model of own.yaml: taken by curate alone; for this command pass --sizes, --methods, --models"),
    ],
    ids=["transfer", "verify", "update", "compare"],
)  # fmt: skip
def test_what_a_recipe_says_of_its_own_run_is_not_taken_for_another(
    command: list[str], line: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stopped(*_: Any, **given: Any) -> None:
        raise InputError("seen")

    for name in ("transfer", "verify", "update"):
        monkeypatch.setattr(CuratedDataset, name, stopped)
    monkeypatch.setattr("shed_hf.comparison.compare.compare", stopped)
    Path("own.yaml").write_text("size: 5\nsampler: qocs\nmodel: me/own\nseed: 4\nbudget: 4h\n")
    caplog.set_level("INFO", logger="shed_hf")
    assert run(*command, "--config", "own.yaml").stderr.endswith("error: seen\n")
    assert line in caplog.text


@pytest.mark.parametrize("command", ["transfer", "verify", "update", "resample", "compare", "score", "report"])
def test_an_error_in_a_file_shows_its_traceback_where_that_is_asked_for(command: str) -> None:
    Path("bad.yaml").write_text("sized: 4\n")
    short = run(command, "--config", "bad.yaml")
    assert (short.exit_code, short.stderr.count("\n")) == (1, 1), short.stderr
    for arguments in (["--debug", "--config", "bad.yaml"], ["--config", "bad.yaml", "--debug"]):
        assert isinstance(run(command, *arguments).exception, InputError)


def test_a_word_that_is_none_is_told_with_its_line() -> None:
    Path("bad.yaml").write_text("size: 4\nsampler: qocz\n")
    done = run("resample", "run", "--config", "bad.yaml", "--output", "x")
    assert done.stderr.startswith("error: line 2 of bad.yaml: sampler: 'qocz' is unknown; did you mean 'qocs'?")
    passed = run("resample", "run", "--config", "bad.yaml", "--output", "x", "--sampler", "qwcz")
    assert passed.stderr.startswith("error: --sampler 'qwcz' is unknown; did you mean 'qwcs'?")


def test_a_recipe_may_leave_the_sampler_open(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("open.yaml").write_text("sampler: auto\nsize: 4\n")
    done = run("resample", "run", "--config", "open.yaml", "--source", "pool.jsonl", "--output", "open")
    assert done.exit_code == 0, done.stderr
    assert CuratedDataset.load_from_disk("open").recipe["sampler"]["name"] == "QOCS"


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("seeds: 2\nseeds: 3", "line 2 of bad.yaml: seeds stands in line 1 already"),
        ("seeds: {a: 1}", "line 1 of bad.yaml: seeds is {'a': 1}, expected what --seeds takes"),
        ("columns: 3", "line 1 of bad.yaml: columns is 3, expected columns by part"),
        ("\neval_dataset: [a]", "line 2 of bad.yaml: eval_dataset is ['a'], expected a Hub id"),
        ("source: {split: train}", "line 1 of bad.yaml: source is {'split': 'train'}, expected a Hub id"),
        ("clusterer: 5", "line 1 of bad.yaml: clusterer is 5, expected a name"),
        ("model: [a, b]", "line 1 of bad.yaml: model is ['a', 'b'], expected text"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_line(file: str, told: str) -> None:
    Path("bad.yaml").write_text(file)
    done = run("verify", "run", "--test-dataset", "pool.jsonl", "--config", "bad.yaml")
    assert (done.exit_code, done.stderr.count("\n"), told in done.stderr) == (1, 1, True), done.stderr
