"""Less of the work for what a test does not ask for."""

import pytest

from shed_hf.estimators import least_squares, permutation_test


@pytest.fixture
def p_values_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permutation_test, "SHUFFLES", 9)


@pytest.fixture
def fewer_shuffles(monkeypatch: pytest.MonkeyPatch) -> None:
    """p-values are as uniform on a coarser grid, the numbers from 1/40 to 1, and as often at most 0.05."""
    monkeypatch.setattr(permutation_test, "SHUFFLES", 39)


@pytest.fixture
def only_values_are_asked(p_values_are_not_asked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither p-values, nor reliability, nor standard errors, which are widened by how far halves are apart."""
    monkeypatch.setattr(least_squares, "SPLITS", 1)
