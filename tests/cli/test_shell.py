"""The shell itself: its name and version, how quickly it starts, and that ``hf`` finds it."""

import json
import os
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
from shed_hf.cli.words import in_shell_words
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
        ("size=0 is not in 1 … 20; pass size <= 20", "--size 0 is not in 1 … 20; pass size <= 20"),
        ("pass eval_dataset= with one", "pass --eval-dataset with one"),
        ("pass another path as ledger= or repeat", "pass another path as --ledger or repeat"),
        ("leave size out, or pass another sampler=", "leave size out, or pass another --sampler"),
        ("dataset='x' could not be loaded", "DATASET 'x' could not be loaded"),
        ("a race has its own: Race(budget=20)", "a race has its own: Race(budget=20)"),
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
    done = CliRunner().invoke(app, ["score", "nowhere", "rows.jsonl", "--output", str(tmp_path / name)])
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
