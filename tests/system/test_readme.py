"""The README tells the truth: its commands are the ones that are run, its Python runs, its names exist."""

import inspect
import re
import shutil
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import datasets
import pytest

import shed_hf
from shed_hf.estimators.budget import Seconds, parse_budget
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.rows import make_rows

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


GUIDES = [ROOT / "README.md", ROOT / "examples" / "README.md", ROOT / "hub_cards" / "README.md"]
DOCUMENTS = [*GUIDES, ROOT / "examples" / "benchmarks" / "README.md"]


def python_blocks(document: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_readme_can_be_read_in_five_minutes() -> None:
    assert len(README.split()) <= 1200


def test_the_first_screen_has_two_set_up_commands() -> None:
    commands = [line.strip() for line in README.splitlines()[:60] if line.startswith("    pip install")]
    assert len(commands) == 2
    assert commands[0].endswith("pip install . && shed-hf demo")
    assert commands[1].endswith("python -m pytest")
    assert all("https://download.pytorch.org/whl/cpu" in command for command in commands)


def test_ci_runs_the_readmes_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    picked = re.search(r"test_command=\$\((grep .*? README\.md)\)", script)
    assert picked is not None
    found = subprocess.run(picked[1], shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith('pip install -e ".[test]" && python -m pytest')


def test_the_python_runs(hub: LoopbackHub, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dolly = datasets.Dataset.from_list(make_rows(120))
    dolly.push_to_hub("databricks/databricks-dolly-15k", token="hf_databricks_secret")
    monkeypatch.setenv("HF_TOKEN", "hf_me_secret")
    whole, planned = shed_hf.curate, shed_hf.plan
    items = datasets.Dataset.from_list(make_rows(12, seed=99))
    at_hand: dict[str, Any] = {"eval_dataset": items, "model": str(tiny_model), "embedder": "lexical"}
    at_hand["clusterer"] = shed_hf.KMeans(6)
    budgets: list[str | int | None] = []

    def offline(dataset: datasets.Dataset, size: float, ledger: str, budget: Any = None) -> shed_hf.CuratedDataset:
        """The same call with models that are at hand, and no more fine-tunings than a test has time for."""
        budgets.append(budget)
        return whole(dataset, size, ledger=ledger, budget=10, **at_hand)

    def plan_offline(dataset: datasets.Dataset, size: float, ledger: str, pilot: int = 0) -> shed_hf.Plan:
        return planned(dataset, size, pilot=min(pilot, 8), ledger=ledger, **at_hand)

    monkeypatch.setattr(shed_hf, "curate", offline)
    monkeypatch.setattr(shed_hf, "plan", plan_offline)
    names: dict[str, Any] = {"new_rows": datasets.Dataset.from_list(make_rows(8, seed=7))}
    for block in (block for document in GUIDES for block in python_blocks(document)):
        for machine in ("one", "two") if "Ledger.merge" in block else ():
            (tmp_path / machine).mkdir()
            shutil.copy(tmp_path / "dolly.ledger", tmp_path / machine / "run.ledger")
        exec(block, names)
    assert [parse_budget(budget) for budget in budgets] == [None, Seconds(4 * 3600)]
    assert set(names["new_rows"].column_names) >= {"shed_cluster", "shed_value", "shed_value_stderr", "shed_distance"}
    assert (tmp_path / "dolly-shed-10pct").is_dir()
    assert (tmp_path / "run.ledger").read_bytes() == (tmp_path / "dolly.ledger").read_bytes()
    assert (len(names["curated"]), len(names["smaller"])) == (12, 6)
    assert names["refined"].estimate.semivalue == "shapley"
    assert hub.commits("me/dolly-shed-10pct")[1:] == ["initial commit"]
    assert not hub.is_private("me/dolly-shed-10pct")  # its source is public
    assert len(names["scorer"].values) == len(names["curated"].clusters)


def test_help_lists_every_argument_of_curate() -> None:
    listed = inspect.getdoc(shed_hf.curate), inspect.getdoc(shed_hf.ShedConfig)
    named = {name for text in listed for name in re.findall(r"^    \*{0,2}(\w+): ", text or "", flags=re.MULTILINE)}
    assert set(inspect.signature(shed_hf.curate).parameters) <= named
    assert {field.name for field in fields(shed_hf.ShedConfig)} <= named


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_is_named_exists(document: Path) -> None:
    for path in re.findall(r"\]\(((?!https)[^)#]+)\)", document.read_text(encoding="utf-8")):
        assert (document.parent / path).exists(), path


def test_every_script_that_is_named_exists() -> None:
    folder = ROOT / "examples" / "benchmarks"
    named = set(re.findall(r"`(\w+\.py)", (folder / "README.md").read_text(encoding="utf-8")))
    assert named <= {path.name for path in [*folder.glob("*.py"), *(ROOT / "examples").rglob("*.py")]}


def test_what_a_user_installs_needs_no_compiler() -> None:
    assert "PIP_ONLY_BINARY=:all:" in (ROOT / ".ci" / "run").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    assert not [one for one in named if re.match(r"llm|llama", one)], "these bring llama-cpp-python, a source build"
    assert set(re.findall(r"pip install (?:-e )?\"?\.\[(\w+)\]", README)) <= set(project["optional-dependencies"])


def test_the_readmes_words_on_the_demos_model_are_those_of_the_demo() -> None:
    from shed_hf.demo import models

    told = next(line for line in README.splitlines() if line.startswith("The demo measures"))
    assert "float32 and in bfloat16" in told
    assert models.SMOLLM2.split("/")[1].removesuffix("-Instruct") in told
    assert models.CARRIER.replace("_", "-") in README
