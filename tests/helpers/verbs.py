"""What every verb that measures finds, for comparing a launch of several ranks with one process."""

from pathlib import Path
from typing import Any

import shed_hf
from shed_hf.finetuning.fine_tune import FineTune
from tests.helpers.comparisons import DEV, POOL, Worths, compared
from tests.helpers.growing import NEW, by_topic, fresh
from tests.helpers.killed import found_by
from tests.helpers.rows import make_rows

BY_WORDS = {"eval_dataset": DEV, "embedder": "lexical"}


def found_by_all(folder: Path, model: Path) -> dict[str, Any]:
    """What a race, verdicts, a comparison of which a tuning diverges, a transfer and an update find, without seconds.

    Args:
        folder: Where ledgers are written, the same for all ranks.
        model: A model small enough to be tuned in a test.
    """
    diverging = {"test_utility": Worths(diverges_on=1), "ledger": folder / "diverging.ledger"}
    table = compared(["shed", "longest"], sizes=[8], seeds=3, **diverging)
    before = fresh(clusterer="kmeans", budget=50)
    grown = before.update(NEW, 9, utility=by_topic(), ledger=folder / "update.ledger")
    transfer = before.transfer(utility=by_topic(), budget=10, ledger=folder / "transfer.ledger")
    return {
        "race": found_by("race", folder / "race.ledger")[0],
        "verdict": _verdict_of(model, folder / "verdict.ledger"),
        "comparison of a model": _compared_of(model, folder / "model.ledger"),
        "comparison": sorted(repr((line.method, line.size, line.seeds, line.mean.hex())) for line in table.lines),
        "diverged": sorted(repr((one.method, one.size, one.seed, one.stage)) for one in table.failures),
        "transfer": {**transfer.as_json(), "seconds": None, "fine_tunings": None},
        "update": (grown.rows.tolist(), grown.estimate.values.tolist(), grown.dataset.to_list()),
    }


def _tuner(model: Path) -> FineTune:
    """In a precision that need not be found out."""
    return FineTune(str(model), "loss", precision="float32")


def _verdict_of(model: Path, ledger: Path) -> Any:
    chosen = {"sampler": "longest", "estimator": None, "clusterer": "topic"}
    curated = shed_hf.curate(POOL, 6, utility=_tuner(model), **BY_WORDS, **chosen)
    verdict = curated.verify(make_rows(16, seed=7), seeds=2, full=False, ledger=ledger)
    return {**verdict.as_json(), "cost": None}


def _compared_of(model: Path, ledger: Path) -> list[str]:
    tests = {"test_dataset": [*make_rows(16, seed=7), POOL[0]], "test_objective": "loss"}
    few = {"sizes": [4], "seeds": 1, "methods": "longest", "ledger": ledger}
    table = shed_hf.compare(POOL.select(range(20)), utility=_tuner(model), **BY_WORDS, **tests, **few)
    return [*sorted(repr((line.method, line.size, line.items, line.mean.hex())) for line in table.lines), *table.notes]
