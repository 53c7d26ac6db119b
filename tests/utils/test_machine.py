"""What a run is made on."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

import shed_hf
from shed_hf.utils.machine import DECISIVE, accelerators, cpu_cores, device, installed, versions


def torch_with(names: list[str], apple: bool = False) -> Any:
    cuda = SimpleNamespace(
        is_available=lambda: bool(names), device_count=lambda: len(names), get_device_name=lambda number: names[number]
    )
    return SimpleNamespace(cuda=cuda, backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: apple)))


@pytest.mark.parametrize(
    ("torch", "found", "words"),
    [
        (None, [], cpu_cores()),
        (torch_with([]), [], cpu_cores()),
        (torch_with(["NVIDIA A10G"]), ["NVIDIA A10G"], "1 × NVIDIA A10G"),
        (torch_with(["NVIDIA H100", "NVIDIA H100"]), ["NVIDIA H100", "NVIDIA H100"], "2 × NVIDIA H100"),
        (torch_with([], apple=True), ["Apple GPU"], "Apple GPU"),
    ],
    ids=["torch not imported", "CPU", "one", "two", "Apple"],
)
def test_what_models_run_on_is_told_in_words(
    torch: Any, found: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert (accelerators(), device()) == (found, words)


def test_packages_that_are_not_installed_are_left_out_of_the_versions() -> None:
    assert installed("no-such-package-of-anybody") is None
    assert versions(("shed-hf", "no-such-package-of-anybody")) == {"shed-hf": shed_hf.__version__}
    assert set(versions()) <= set(DECISIVE)
