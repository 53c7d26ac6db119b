"""The shell itself: its name and version, how quickly it starts, and that ``hf`` finds it."""

import json
import os
import re
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

import shed_hf
from shed_hf.cli import app
from shed_hf.cli.shell import errors_in_one_line
from shed_hf.cli.shell_words import in_shell_words
from shed_hf.sampling.registry import PRESETS, SAMPLERS, SELECTORS
from shed_hf.utils.console import say
from shed_hf.utils.warn import warn

COMMANDS = ("plan", "curate", "resume", "score", "resample", "reestimate", "report", "verify", "compare", "transfer",
            "update", "demo", "env")  # fmt: skip
BIN = Path(sys.executable).parent


def test_help_lists_the_commands_in_the_order_of_their_use() -> None:
    text = CliRunner().invoke(app, ["--help"]).stdout
    places = [text.index(f" {command} ") for command in COMMANDS]
    assert places == sorted(places)


def test_help_of_curate_is_grouped() -> None:
    text = CliRunner().invoke(app, ["curate", "--help"], env={"COLUMNS": "120"}).stdout
    panels = ["Data", "What to keep", "Cost", "Method", "Model and fine-tuning", "Publish"]
    places = [text.index(f"─ {panel} ─") for panel in panels]
    assert places == sorted(places)


def help_of(command: str) -> str:
    """The help of a command without the frames of its panels."""
    text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).stdout
    return " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("resample", {"--size": "", "--sampler": "as before", "--constraints": "as before", "--seed": "as before"}),
        ("reestimate", {"--estimator": "", "--budget": "", "--sampler": "as before"}),
        ("curate", {"--size": "auto", "--sampler": "auto", "--estimator": "least-squares", "--seed": "0"}),
    ],
)
def test_help_tells_the_defaults_that_a_command_has(command: str, options: dict[str, str]) -> None:
    text = help_of(command)
    for option, default in options.items():
        own = re.search(rf" {option}[ ,](.*?)(?= --[a-z]|$)", text)
        assert own is not None, option
        assert re.findall(r"\[default: \(?([^)\]]*)\)?\]", own[1]) == ([default] if default else []), (option, own[1])


@pytest.mark.parametrize("command", ["curate", "resume", "resample", "reestimate", "transfer", "update", "compare"])
def test_what_publishes_can_publish_privately(command: str) -> None:
    assert "--private" in help_of(command)
    assert "--push-to-hub" in help_of(command)


@pytest.mark.parametrize("command", ["resample", "reestimate", "update"])
def test_every_way_to_choose_is_listed_where_one_can_be_passed(command: str) -> None:
    text = help_of(command)
    assert all(name in text for name in [*SAMPLERS, *SELECTORS, *PRESETS])


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("curate nosuch.jsonl", "DATASET 'nosuch.jsonl' does not exist"),
        ("curate nosuch.txt --size many --output .", "--size 'many' is not"),
        ("curate nosuch.txt --output .", "DATASET 'nosuch.txt' does not exist"),
        ("curate ./rows --sampler qocz", "DATASET './rows' does not exist"),
        ("resample nosuch", "nosuch does not exist"),
        ("reestimate nosuch --estimator x", "nosuch does not exist"),
        ("transfer ./no/such --output .", "./no/such does not exist"),
        ("update nosuch new.jsonl", "nosuch does not exist"),
        ("update . new.jsonl", "NEW_ROWS 'new.jsonl' does not exist"),
        ("verify nosuch --test-dataset no.jsonl", "nosuch does not exist"),
        ("score nosuch no.jsonl --output x.txt", "nosuch does not exist"),
        ("report nosuch --private", "nosuch does not exist"),
        ("report . --no-private", "--no-private is of a repository"),
        ("curate rows.jsonl --output out --private", "--private is of a repository; pass its name as --push-to-hub"),
        ("resample . --size 1 --private --output out", "--private is of a repository"),
        ("reestimate . --estimator banzhaf --no-private --output out", "--no-private is of a repository"),
        ("transfer . --private", "--private is of a repository"),
        ("update . rows.jsonl --private --output out", "--private is of a repository"),
        ("compare rows.jsonl --test-dataset rows.jsonl --private --output out", "--private is of a repository"),
        ("score nosuch no.jsonl", "nosuch does not exist"),
        ("score . rows.jsonl", "there is no --output"),
        ("verify nosuch", "nosuch does not exist"),
        ("verify .", "there is nothing to measure on; pass --test-dataset"),
        ("compare no.jsonl", "DATASET 'no.jsonl' does not exist"),
        ("compare rows.jsonl", "there is nothing to compare on; pass --test-dataset"),
        ("compare rows.jsonl --test-dataset rows.jsonl --test-objective los", "--test-objective 'los' is unknown; did"),
        ("curate rows.jsonl --sampler qocz", "--sampler 'qocz' is unknown; did you mean 'qocs'?"),
        ("curate rows.jsonl --objective los --output taken", "--objective 'los' is unknown; did you mean 'loss'?"),
        ("curate rows.jsonl --size 0", "--size 0 is not a number of rows"),
        ("curate rows.jsonl --size 150% --output taken", "--size '150%' is not"),
        ("curate rows.jsonl --budget 1 --estimator none --sampler dsir", "--budget is about a game"),
        (
            "curate rows.jsonl --n-coalitions 8 --estimator none",
            "--n-coalitions 8 is about a game, and --estimator none",
        ),
        ("curate rows.jsonl --sampler qocs", "pass a folder as --output"),
        ("resume nosuch.ledger", "ledger 'nosuch.ledger' does not exist"),
        ("resume .", "ledger '.' is a folder"),
        ("resume rows.jsonl", "rows.jsonl is not a ledger"),
        ("compare no.jsonl --test-dataset no2.jsonl --output .", "DATASET 'no.jsonl' does not exist"),
    ],
)
def test_what_was_typed_first_is_told_first(
    line: str, first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    (tmp_path / "rows.jsonl").write_text('{"instruction": "a", "output": "b"}\n')
    done = CliRunner().invoke(app, line.split())
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith(f"error: {first}")


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.strip() == shed_hf.__version__


def test_versions_and_devices_are_told() -> None:
    told = json.loads(CliRunner().invoke(app, ["env", "--json"]).stdout)
    assert told["shed-hf"] == shed_hf.__version__
    assert "CPU core" in told["Devices"]
    lines = CliRunner().invoke(app, ["env"]).stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"- {name}" for name in told]


def test_help_loads_no_library_that_takes_long() -> None:
    """The bound on seconds of CPU is three times what is usual; loading torch takes more."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = (
        "import sys, shed_hf\n"
        "assert not {'numpy', 'typer', 'torch'} & set(sys.modules), 'import shed_hf'\n"
        "sys.argv = ['shed-hf', 'curate', '--help']\n"
        "from shed_hf.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'pandas', 'datasets', 'transformers', 'sklearn', 'huggingface_hub', 'yaml'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(shed_hf.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, env=env)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5


def test_hf_finds_it_as_an_extension(tmp_path: Path) -> None:
    """As ``hf extensions install`` leaves it, from a repository with the console script ``hf-shed``."""
    folder = tmp_path / ".local" / "share" / "hf" / "extensions" / "hf-shed"
    folder.mkdir(parents=True)
    manifest = {
        "owner": "me", "repo": "hf-shed", "repo_id": "me/hf-shed", "short_name": "shed", "type": "python",
        "executable_path": str(BIN / "hf-shed"), "installed_at": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    here = str(Path(shed_hf.__file__).parents[1])
    env = {**os.environ, "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PYTHONPATH": here}
    done = subprocess.run([BIN / "hf", "shed", "--version"], capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, shed_hf.__version__), done.stderr


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("size=0 is not in 1 … 20; pass size <= 20", "--size 0 is not in 1 … 20; pass --size 20 or less"),
        ("pass eval_dataset= with one", "pass --eval-dataset with one"),
        ("pass another path as ledger= or repeat", "pass another path as --ledger or repeat"),
        ('pass size="auto", or another sampler=', 'pass --size "auto", or another --sampler'),
        ("dataset='x' could not be loaded", "DATASET 'x' could not be loaded"),
        ("a race has its own: Race(budget=20)", "a race has its own: Race(budget=20)"),
        ("pass utility= with a callable",
         "pass utility= with a callable (utility= is an argument in Python; a shell has no option for it)"),
        ("pass FineTune(model, seed=3)", "pass FineTune(model, seed=3)"),
        ("leave it out, or pass clusterer=KMeans(4)", "leave it out, or pass --n-clusters 4"),
        ("clusterer=KMeans(n_clusters=8) asks for more", "--n-clusters 8 asks for more"),
        ("clusterer=Agglomerative(6) asks", "--clusterer agglomerative --n-clusters 6 asks"),
        ("pass estimator=LeastSquares(30)", "pass --n-coalitions 30"),
        ("compared: curated.verify(test_dataset) does it", "compared: shed-hf verify --test-dataset does it"),
        ("pass eval_dataset=, in the shell --eval-dataset", "pass --eval-dataset"),
        ("/data/seed=3/rows.jsonl is empty", "/data/seed=3/rows.jsonl is empty"),
        ("n_items=3, my_size=4, size==5", "n_items=3, my_size=4, size==5"),
        ("18 of 360 rows (about 20 rows each; n_clusters=36 asks for more)",
         "18 of 360 rows (about 20 rows each; --n-clusters 36 asks for more)"),
        ("shorter: estimator=None takes", "shorter: --estimator none takes"),
        ("pass merit=None, or proxies_per_cluster=None", "pass --merit none, or --proxies-per-cluster all"),
        ("leave them out with drop_invalid=True", "leave them out with --drop-invalid"),
        ("pass require_signal=False to choose", "pass --no-require-signal to choose"),
        ("warmup=None is not", "--warmup None is not"),
        ("sampler='x' is unknown; pass one of a, b, or an object", "--sampler 'x' is unknown; pass one of a, b"),
        ("merit='x' is unknown; pass one of a, or a number for every row, or None",
         "--merit 'x' is unknown; pass one of a, or none"),
        ("another run: seed was 0, is now 3; sft_config.seed was 1, is now 2; dataset was 'a', is now 'b'; repeat",
         "another run: --seed was 0, is now 3; sft_config.seed was 1, is now 2; DATASET was 'a', is now 'b'; repeat"),
        ("repo_id='x' has no namespace", "--push-to-hub 'x' has no namespace"),
        ("new_rows='x' does not exist", "NEW_ROWS 'x' does not exist"),
        ("budget=2 is too small; pass budget >= 3", "--budget 2 is too small; pass --budget 3 or more"),
        ("n_clusters=9 exceeds the 8 rows; pass n_clusters <= 8",
         "--n-clusters 9 exceeds the 8 rows; pass --n-clusters 8 or less"),
        ("say where they are with columns=, for example {'instruction': 'foo', 'output': 'my bar'}",
         "say where they are with --columns, for example --columns instruction=foo --columns 'output=my bar'"),
        ("test_columns={'input': None}: test_dataset has no", "--test-columns input=: --test-dataset has no"),
        ("eval_columns={'oof': …} names no part", "--eval-columns oof=… names no part"),
        ("columns={\"it's\": 'a}b'} is wrong", "--columns 'it'\"'\"'s=a}b' is wrong"),
        ("columns={'cut off", "--columns {'cut off"),
        ("is empty; as in sizes=[0.05, '10%']", "is empty; as in --sizes 0.05 --sizes 10%"),
        ("constraints={'subject': 0.01} can't be met", "--constraints subject=0.01 can't be met"),
        ("use more proxies_per_cluster, or rows (proxies_per_cluster) of",
         "use more --proxies-per-cluster, or rows (--proxies-per-cluster) of"),
        ("leave require_better out, or pass another eval_dataset",
         "leave --require-better out, or pass another --eval-dataset"),
        ("line 2 of r.yaml: proxy_sets has 'x'", "line 2 of r.yaml: proxy_sets has 'x'"),
        ("output, push_to_hub, private of a/r.yaml: taken", "output, push_to_hub, private of a/r.yaml: taken"),
        ("eval_dataset of out is not written down", "eval_dataset of out is not written down"),
        ("column 'eval_columns' of eval_columns.jsonl", "column 'eval_columns' of eval_columns.jsonl"),
        ("call verify(test_dataset, eval_columns) again", "call verify(test_dataset, eval_columns) again"),
    ],
)  # fmt: skip
def test_errors_name_options_in_the_place_of_arguments(error: str, told: str) -> None:
    assert in_shell_words(error) == told


def test_the_commands_run_as_a_module_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "shed_hf.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == shed_hf.__version__


@pytest.mark.parametrize("name", ["scored.txt", "scored.JSONL", "scored.v2", "scored.json.gz"])
def test_scores_are_not_written_to_a_file_of_unknown_kind(name: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "a row"}\n')
    rows, output = str(tmp_path / "rows.jsonl"), str(tmp_path / name)
    done = CliRunner().invoke(app, ["score", str(tmp_path), rows, "--output", output])
    assert done.exit_code == 1 and f"ends in '{Path(name).suffix}'; pass a file that ends in .jsonl" in done.stderr
    assert not (tmp_path / name).exists()


def test_lines_on_the_way_name_options_too(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="shed_hf"):
        with errors_in_one_line(debug=True):
            say("clusters: 18 (about 20 rows each; n_clusters=36 asks for more)")
            warn("a warning; pass drop_invalid=True")
        say("n_clusters=36")
    assert caplog.messages == [
        "clusters: 18 (about 20 rows each; --n-clusters 36 asks for more)",
        "a warning; pass --drop-invalid",
        "n_clusters=36",
    ]
