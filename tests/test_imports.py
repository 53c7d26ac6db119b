"""The arrows between the rooms: who may import whom, and what `import shed_hf` must not pull in."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import shed_hf

PACKAGE = Path(shed_hf.__file__).parent
HEAVY = {
    "torch",
    "transformers",
    "peft",
    "trl",
    "accelerate",
    "datasets",
    "sklearn",
    "sentence_transformers",
    "evaluate",
    "matplotlib",
    "jinja2",
    "huggingface_hub",
}
NUMPY_ROOMS = ["arrays", "errors", "ledger", "game", "samplers", "clustering", "naming", "testing"]
NUMPY_ROOMS += ["crew", "ledger_files", "measuring"]
NUMPY_ROOMS += ["coalitions", "features", "grouping", "merit", "players", "seeds", "selection", "signal"]
NUMPY_ROOMS += [f"estimators.{path.stem}" for path in (PACKAGE / "estimators").glob("[a-z]*.py")]
TORCH_ROOMS = (
    "callbacks",
    "utilities.fine_tune",
    "utilities.identity",
    "utilities.lean",
    "utilities.evaluation",
    "utilities.likelihood",
    "utilities.generation",
    "utilities.credit",
    "utilities.memory",
    "utilities.settings",
    "utilities.stacked",
    "utilities.abreast",
    "utilities.lane_training",
)


def modules() -> dict[str, Path]:
    return {
        str(path.relative_to(PACKAGE)).removesuffix(".py").replace("/", ".").replace(".__init__", ""): path
        for path in PACKAGE.rglob("*.py")
    }


def imported(path: Path, anywhere: bool = False) -> set[str]:
    """What a module imports at its top level, type-checking imports left out; or anywhere in it."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if anywhere else iter(tree.body)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_importing_shed_hf_is_light() -> None:
    code = f"import sys, shed_hf; dir(shed_hf); print([m for m in sys.modules if m.split('.')[0] in {HEAVY}])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_public_names_are_sorted_complete_and_there() -> None:
    assert (
        sorted(shed_hf.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)) == shed_hf.__all__
    )
    assert set(shed_hf.__all__) == set(shed_hf._HOME_OF)
    for name in shed_hf.__all__:
        assert getattr(shed_hf, name).__name__ == name
    with pytest.raises(AttributeError, match="it has HDBSCAN"):
        shed_hf.cluster  # noqa: B018  # the attribute access is the test


@pytest.mark.parametrize("module", NUMPY_ROOMS)
def test_numpy_rooms_know_numpy_and_each_other_only(module: str) -> None:
    path = modules()[module]
    assert {name.split(".")[0] for name in imported(path)} & HEAVY == set()
    own = {name.removeprefix("shed_hf.") for name in imported(path) if name.startswith("shed_hf.")}
    assert all(name.split(".")[0] in {room.split(".")[0] for room in NUMPY_ROOMS} for name in own), own


@pytest.mark.parametrize("module", sorted(set(modules()) - set(TORCH_ROOMS)))
def test_torch_is_imported_at_module_level_only_where_models_are_trained_and_measured(module: str) -> None:
    assert {name.split(".")[0] for name in imported(modules()[module])} & HEAVY == set()


@pytest.mark.parametrize("module", sorted(set(modules()) - {"", "shed_hf", "cli", "demo.run", "__init__"}))
def test_only_the_front_doors_import_curation(module: str) -> None:
    if module not in ("curation",):
        assert "shed_hf.curation" not in imported(modules()[module], anywhere=True)


def test_only_the_rooms_at_the_hubs_door_know_its_client() -> None:
    knowing = {name for name, path in modules().items() if any("huggingface_hub" in n for n in imported(path, True))}
    assert knowing == {"bundle", "card", "demo.models", "hub", "scorer_files", "utilities.settings"}


def test_no_file_outgrows_a_readers_patience() -> None:
    assert {
        name: lines for name, path in modules().items() if (lines := len(path.read_text().splitlines())) > 350
    } == {}
