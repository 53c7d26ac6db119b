"""What is said once the untuned model and the one tuned on everything are measured, before the rest is."""

from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import curate, plan
from tests.helpers.credited import Crediting
from tests.helpers.curations import ByTopic
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(120))
GIVEN: dict[str, Any] = {"embedder": "lexical", "clusterer": (np.arange(120) % 6).tolist(), "sampler": "qocs"}
WORSE = "the model is worse after tuning on one sample of every cluster than untuned"

pytestmark = pytest.mark.filterwarnings("ignore")


class Measured(Crediting):
    """Notes how many outcomes were measured; trains at a rate that it tells."""

    def __init__(self, worth: float, rate: float = 3e-3) -> None:
        super().__init__(worth)
        self.rate, self.measured = rate, 0

    def measure(self, walks: Any, record: Any) -> None:
        self.measured += len(walks)
        super().measure(walks, record)

    def describe(self) -> dict[str, Any]:
        return {"training": {"learning_rate": self.rate}}


def test_tuning_that_harms_is_told_with_the_remedy_before_the_budget_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    utility, told = Measured(-1.0), []
    monkeypatch.setattr("shed_hf.curation.valuation.say", lambda line: told.append((utility.measured, line)))
    curate(POOL, 12, utility=utility, **GIVEN)
    [(measured, line)] = [(measured, line) for measured, line in told if line.startswith(WORSE)]
    assert measured == 2 < utility.measured
    assert "lower the learning rate, which is 0.003, for example to 0.001" in line
    assert "higher is better" in line
    assert "Ctrl-C stops here" in line
    assert "may be chance" not in line


def test_tuning_that_helps_and_callables_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("shed_hf.curation.valuation.say", told.append)
    curate(POOL, 12, utility=Measured(1.0), **GIVEN)
    curate(POOL, 12, utility=lambda sets: -ByTopic(POOL)(sets), **GIVEN | {"clusterer": "topic"})
    assert any(line.startswith("time: about") for line in told)
    assert not any(WORSE in line for line in told)


def test_a_plan_with_a_pilot_tells_it_too() -> None:
    found = plan(POOL, 12, utility=Measured(-1.0), pilot=8, **GIVEN)
    assert found.harm.startswith(WORSE)
    assert str(found).endswith(found.harm)
    assert not plan(POOL, 12, utility=Measured(1.0), pilot=8, **GIVEN).harm
    assert not plan(POOL, 12, utility=Measured(-1.0), **GIVEN).harm
