"""What a run is made on: versions of packages, accelerators and CPU cores."""

import functools
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from shed_hf.utils.console import plural

DECISIVE = (
    "shed-hf", "torch", "transformers", "trl", "peft", "datasets", "accelerate",
    "sentence-transformers", "scikit-learn", "numpy",
)  # fmt: skip
"""The packages that can change the numbers."""


APPLE = "Apple GPU"
"""Torch does not tell its name, and there is one."""


@functools.cache
def installed(package: str) -> str | None:
    """The version of a package.

    Args:
        package: Its name.

    Returns:
        The version; None where the package is not installed.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def versions(packages: Sequence[str] = DECISIVE) -> dict[str, str]:
    """The versions of some packages.

    Args:
        packages: Their names; by default those that can change the numbers.

    Returns:
        Versions by package; those that are not installed are left out.
    """
    return {package: found for package in packages if (found := installed(package)) is not None}


def accelerators() -> list[str]:
    """The accelerators that torch sees, by name; none where torch was not imported."""
    torch = sys.modules.get("torch")
    if torch is None:
        return []
    if torch.cuda.is_available():
        return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return [APPLE] if torch.backends.mps.is_available() else []


def cpu_cores() -> str:
    """How many CPU cores this process may use, in words."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return plural(cores, "CPU core")


def device() -> str:
    """What models run on: the accelerator's name, or how many CPU cores.

    Returns:
        Words such as ``1 × NVIDIA A10G`` or ``2 CPU cores``.
    """
    found = accelerators()
    if not found:
        return cpu_cores()
    return found[0] if found[0] == APPLE else f"{len(found)} × {found[0]}"
