"""Where datatrove is not installed, an import says what to do."""

import importlib
import sys

import pytest


def test_without_datatrove_an_import_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("shed_hf.datatrove")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "datatrove", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'datatrove>=0\.10\.1'"):
        importlib.import_module("shed_hf.datatrove")
