"""`shed-hf env`."""

import json
import os
import platform

from shed_hf.cli.shell import AsJson, Debug, command, errors_in_one_line
from shed_hf.utils.machine import DECISIVE, accelerators, cpu_cores, installed

PACKAGES = (*DECISIVE, "huggingface-hub", "evaluate", "scipy", "pandas")


@command()
def env(as_json: AsJson = False, debug: Debug = False) -> None:
    """Print versions and devices, to be copied into a report of a problem.

    \f
    Args:
        as_json: Whether to print one JSON object instead of lines.
        debug: Whether errors show their traceback.
    """
    with errors_in_one_line(debug):
        told = {
            "Platform": platform.platform(),
            "Python": platform.python_version(),
            **{package: installed(package) or "not installed" for package in PACKAGES},
            "Devices": _devices(),
            "Offline": str(os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")).lower(),
        }
        print(json.dumps(told) if as_json else "\n".join(f"- {name}: {words}" for name, words in told.items()))


def _devices() -> str:
    import torch  # noqa: F401 — accelerators are those that torch sees

    return ", ".join([*accelerators(), cpu_cores()])
