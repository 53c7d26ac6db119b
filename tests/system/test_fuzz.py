"""Malformed calls and command lines end in one clear error, in the caller's own exception, or in a right result."""

import warnings
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.malformed import GOOD, all_calls, judged

N_CALLS = 500


def test_a_malformed_call_is_a_clear_error_and_never_a_raw_or_a_silent_one(
    hub: LoopbackHub, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        verdicts = [judged(call) for call in islice(all_calls(tmp_path, tiny_model, seed=1), N_CALLS)]
    wrong = [
        f"{verdict.kind}: {verdict.call.name}: {verdict.error[:200]}"
        for verdict in verdicts
        if verdict.kind not in GOOD
    ]
    assert not wrong, "\n".join(wrong)
    counts = Counter(verdict.kind for verdict in verdicts)
    assert len(verdicts) == N_CALLS
    assert counts["clear"] > N_CALLS / 2 > counts["fine"] > 0, "the calls are neither all right nor all wrong"
