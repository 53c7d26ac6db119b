"""Every public function and class says what its arguments mean, so that help() and an editor can show it."""

import ast
import re
from pathlib import Path

import pytest

import shed_hf

PACKAGE = Path(shed_hf.__file__).parent
MODULES = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def names_of(arguments: ast.arguments) -> list[str]:
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    names = [argument.arg for argument in given if argument is not None]
    return [name for name in names if name not in ("self", "cls") and not name.startswith("_")]


def undocumented(docstring: str | None, names: list[str]) -> list[str]:
    """Those names without a line of their own under ``Args:`` or ``Attributes:``."""
    text = docstring or ""
    if not re.search(r"^\s*(Args|Attributes):\s*$", text, re.MULTILINE):
        return names
    return [name for name in names if not re.search(rf"^\s*\*{{0,2}}{name}\b[^\n]*:", text, re.MULTILINE)]


def what_a_class_is_made_with(node: ast.ClassDef) -> list[str]:
    """The arguments of ``__init__``, or the fields of a dataclass."""
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return names_of(part.args)
    if not any("dataclass" in ast.dump(decorator) for decorator in node.decorator_list):
        return []
    fields = [part.target for part in node.body if isinstance(part, ast.AnnAssign)]
    return [target.id for target in fields if isinstance(target, ast.Name) and not target.id.startswith("_")]


def missing_in(node: ast.Module | ast.ClassDef, owner: str = "") -> list[str]:
    found = []
    for part in node.body:
        if isinstance(part, Function) and not part.name.startswith("_"):
            docstring = ast.get_docstring(part)
            if docstring is None and any("Protocol" in ast.dump(base) for base in getattr(node, "bases", [])):
                continue  # the class says what its method is for
            found += [f"{owner}{part.name}({name})" for name in undocumented(docstring, names_of(part.args))]
        elif isinstance(part, ast.ClassDef) and not part.name.startswith("_"):
            lacking = undocumented(ast.get_docstring(part), what_a_class_is_made_with(part))
            found += [f"{part.name}({name})" for name in lacking] + missing_in(part, f"{part.name}.")
    return found


@pytest.fixture(scope="module")
def parsed() -> dict[str, ast.Module]:
    return {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in MODULES.items()}


def test_every_argument_is_documented(parsed: dict[str, ast.Module]) -> None:
    assert {module: missing for module, tree in parsed.items() if (missing := missing_in(tree))} == {}


def test_a_module_says_what_it_is_for(parsed: dict[str, ast.Module]) -> None:
    for module, tree in parsed.items():
        docstring = ast.get_docstring(tree)
        assert docstring, module
        assert docstring.split("\n\n")[0].rstrip().endswith((".", ":")), module
