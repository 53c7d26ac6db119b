"""What a function or a class does, in parts that can be hashed: its code, and the data that the code reads.

Code of the standard library and of the packages that shed_hf stands on is named, not read; code of other installed
packages is named with the package's version; all other code is read.
"""

import dis
import sys
from collections.abc import Iterator
from functools import cached_property, lru_cache
from importlib.metadata import PackageNotFoundError, version
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

_TRUSTED = {
    "accelerate", "datasets", "evaluate", "huggingface_hub", "numpy", "pandas", "peft", "pyarrow", "scipy",
    "sentence_transformers", "shed_hf", "sklearn", "tokenizers", "torch", "transformers", "trl", "builtins",
}  # fmt: skip


@lru_cache(maxsize=1024)
def library_of(module: str) -> str | None:
    """The library that a module belongs to, when its code is named rather than read.

    Args:
        module: The module's name.

    Returns:
        "" for the standard library and the packages shed_hf stands on, name and version for other installed packages,
        None for code that is read.
    """
    package = module.partition(".")[0]
    if package == "__main__":
        return None
    if package in _TRUSTED or package in sys.stdlib_module_names:
        return ""
    file = getattr(sys.modules.get(package), "__file__", None) or ""
    if "site-packages" not in file and "dist-packages" not in file:
        return None
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} {getattr(sys.modules[package], '__version__', '')}"


def qualified_name(thing: Any) -> str:
    """Module and qualified name of a function or class.

    Args:
        thing: A function, a class, or something else that has a name.

    Returns:
        The name, with the version of the package where it is an installed one.
    """
    module = getattr(thing, "__module__", None) or ""
    return " ".join(filter(None, [f"{module}.{thing.__qualname__}", library_of(module)]))


def is_read(thing: Any) -> bool:
    """Whether the code of a function or class is read, not only named.

    Args:
        thing: A function or a class.

    Returns:
        True for the user's own code.
    """
    return library_of(getattr(thing, "__module__", None) or "builtins") is None


def code_parts(code: CodeType) -> tuple[Any, ...]:
    """What a code object does: instructions, names and constants, without files, lines and names of local variables.

    Args:
        code: The code object.

    Returns:
        Plain data and, among the constants, further code objects.
    """
    n_arguments = code.co_argcount + code.co_kwonlyargcount
    arguments = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_varnames[:n_arguments])
    names = (code.co_names, code.co_freevars, code.co_flags)
    return (code.co_code, code.co_exceptiontable, *arguments, *names, code.co_consts)


def function_parts(function: FunctionType) -> dict[str, Any]:
    """The parts of a function: code, defaults, closure, the globals that it reads, and attributes.

    Args:
        function: A function written in Python.

    Returns:
        Each part by a name that a person understands.
    """
    parts: dict[str, Any] = {"code": function.__code__}
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    defaults = function.__defaults__ or ()
    for name, value in zip(names[len(names) - len(defaults) :], defaults, strict=True):
        parts[f"default {name}"] = value
    parts |= {f"default {name}": value for name, value in (function.__kwdefaults__ or {}).items()}
    parts |= {f"closure {name}": value for name, value in closure_of(function).items()}
    parts |= {f"global {name}": value for name, value in globals_read(function).items()}
    return parts | {f"attribute {name}": value for name, value in vars(function).items()}


def closure_of(function: FunctionType) -> dict[str, Any]:
    """The variables of enclosing functions that a function reads.

    Args:
        function: A function written in Python.

    Returns:
        The values by name; nothing for a function of a library that its module has under its name.
    """
    module = sys.modules.get(function.__module__ or "")
    if not is_read(function) and getattr(module, function.__qualname__, None) is function:
        return {}
    found: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # a variable that was never assigned
            found[name] = "unassigned"
    return found


def globals_read(function: FunctionType) -> dict[str, Any]:
    """The module's variables that a function reads, and what it reads of the user's modules: ``helpers.scale``.

    What it reads of libraries, and modules that are imported inside the function, are known by name alone.

    Args:
        function: A function written in Python.

    Returns:
        The values by name; built-in names are left out.
    """
    found: dict[str, Any] = {}
    for code in _codes(function.__code__):
        instructions = list(dis.get_instructions(code))
        for place, instruction in enumerate(instructions):
            name = str(instruction.argval)
            if instruction.opname not in ("LOAD_GLOBAL", "LOAD_NAME") or name not in function.__globals__:
                continue
            value = function.__globals__[name]
            for follower in instructions[place + 1 :]:
                attribute = follower.argval
                reads = follower.opname in ("LOAD_ATTR", "LOAD_METHOD") and isinstance(value, ModuleType)
                if not reads or attribute not in vars(value):
                    break
                if library_of(value.__name__) is not None and not isinstance(vars(value)[attribute], ModuleType):
                    name = f"{name}.{attribute}"  # such as os.environ, which differs from process to process
                    break
                name, value = f"{name}.{attribute}", vars(value)[attribute]
            found[name] = value
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


_CALLABLES = (FunctionType, BuiltinFunctionType, staticmethod, classmethod, property, cached_property)


def class_parts(cls: type) -> dict[str, Any]:
    """The parts of a class: its bases, methods and class attributes.

    Args:
        cls: A class.

    Returns:
        Each part by name, without annotations, documentation and what Python adds.
    """
    parts: dict[str, Any] = {"name": qualified_name(cls), "bases": cls.__bases__}
    for name, value in vars(cls).items():
        special = name.startswith("__") and name.endswith("__")
        slot = type(value).__name__ in ("member_descriptor", "getset_descriptor")
        if slot or name == "_abc_impl" or (special and not isinstance(value, _CALLABLES)):
            continue
        parts[name] = value
    return parts
