"""The layout of the package: who may import whom, what `import shed_hf` must not pull in, how large files grow."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import shed_hf

PACKAGE = Path(shed_hf.__file__).parent
LAYERS = [
    {"errors", "types"},
    {"utils", "distributed"},
    {"data"},
    {"embedding", "clustering", "evaluation", "game"},
    {"estimators", "sampling", "finetuning", "testing"},
    {"results"},
    {"config"},
    {"storage"},
    {"hub"},
    {"report"},
    {"verification"},
    {"extension"},
    {"cluster_scorer"},
    {"curated_dataset"},
    {"curation", "datatrove"},
    {"comparison"},
    {"__init__", "demo"},
    {"cli"},
]
"""Folders and files of the package, the lowest layer first: each imports from its own folder or from lower layers."""

LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
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
TRAINS_OR_MEASURES = ("evaluation", "finetuning")
"""The folders whose modules may import torch and its libraries when they are imported."""

MODULES = {str(path.relative_to(PACKAGE)).removesuffix(".py").replace("/", "."): path for path in PACKAGE.rglob("*.py")}


def part_of(module: str) -> str:
    """The folder or the file in the package's root that a module belongs to."""
    return module.split(".")[0]


@functools.cache
def imported(path: Path, anywhere: bool = True) -> frozenset[str]:
    """What a module imports anywhere in it, lazily and for type checkers too; or only when it is imported itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree) if anywhere else iter(tree.body):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def own(path: Path) -> set[str]:
    """The modules of the package that a module imports, without the package's name."""
    names = {name.removeprefix("shed_hf.") for name in imported(path) if name.startswith("shed_hf.")}
    return {name if name in MODULES else f"{name}.__init__" for name in names if name in MODULES or is_package(name)}


def is_package(name: str) -> bool:
    return f"{name}.__init__" in MODULES


def test_every_folder_has_a_layer() -> None:
    assert {part_of(module) for module in MODULES} == set(LEVEL)


def test_few_files_lie_in_the_root() -> None:
    assert len([path for path in PACKAGE.iterdir() if path.is_file()]) <= 10


def test_a_module_imports_from_its_own_folder_or_from_lower_layers() -> None:
    for module, path in MODULES.items():
        here = part_of(module)
        above = {name for name in own(path) if part_of(name) != here and LEVEL[part_of(name)] >= LEVEL[here]}
        assert above == set(), module


def test_nothing_inside_imports_the_package_itself() -> None:
    assert [module for module, path in MODULES.items() if "shed_hf" in imported(path)] == []


def test_there_is_no_circle_of_imports() -> None:
    graph = {module: own(path) - {module} for module, path in MODULES.items()}
    settled: set[str] = set()
    while free := [module for module in graph if module not in settled and graph[module] <= settled]:
        settled |= set(free)
    assert set(graph) - settled == set(), "these import each other, or depend on modules that do"


def test_no_module_reads_the_private_names_of_another() -> None:
    for module, path in MODULES.items():
        own_names = [name for name in imported(path) if name.split(".")[0] == "shed_hf"]
        assert [name for name in own_names if name.split(".")[-1].startswith("_")] == [], module


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
    with pytest.raises(AttributeError, match="it has DSIR"):
        shed_hf.cluster  # noqa: B018  # the attribute access is the test


def test_heavy_libraries_are_imported_at_module_level_only_where_models_are_trained_and_measured() -> None:
    for module in (module for module in MODULES if part_of(module) not in TRAINS_OR_MEASURES):
        assert {part_of(name) for name in imported(MODULES[module], anywhere=False)} & HEAVY == set(), module


def test_only_what_speaks_to_the_hub_knows_its_client() -> None:
    knowing = {name for name, path in MODULES.items() if any(part_of(n) == "huggingface_hub" for n in imported(path))}
    outside = {name for name in knowing if part_of(name) != "hub"}
    assert outside == {
        "data.file_checks",
        "data.provenance",
        "data.shards",
        "demo.models",
        "storage.curated_folder",
        "utils.hub_problems",
        "utils.quiet",
    }


def test_no_file_outgrows_a_readers_patience() -> None:
    assert {name: lines for name, path in MODULES.items() if (lines := len(path.read_text().splitlines())) > 350} == {}
