"""`CuratedDataset.verify` where rows were chosen by groups of items: test items are judged by the same groups."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, FineTune, InputError, Macro, WorstGroup, curate, read_ledger
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows
from tests.helpers.verified import N_ITEMS, OnTestItems


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("kind", "reduced", "told"),
    [(Macro, np.mean, "groups of test items count alike"), (WorstGroup, np.min, "the lowest group of test items")],
    ids=["macro", "worst-group"],
)
def test_test_items_are_judged_by_groups_as_the_choice_was(
    tiny_model: Path, tmp_path: Path, kind: type[Macro] | type[WorstGroup], reduced: Any, told: str
) -> None:
    curated, test = chosen_by_groups(kind("kind", "loss"), tiny_model)
    assert curated.recipe["grouping"]["column"] == "kind"
    path = tmp_path / "v.ledger"
    verdict = curated.verify(test, seeds=2, full=False, ledger=path)
    assert not any(verdict.dropped.values())
    assert told in verdict.notes[0] and "'kind'" in verdict.notes[0]
    entries = [entry for entry in read_ledger(path) if any(entry.blocks)]
    chosen = set(np.searchsorted(curated.pool_rows, curated.rows).tolist())
    kinds = np.array([row["kind"] for row in test])

    def utility(outcome: np.ndarray) -> float:
        return float(reduced([outcome[kinds == one].mean() for one in sorted(set(kinds.tolist()))]))

    own, random = [
        np.mean([utility(entry.outcome) for entry in entries if (set(entry.blocks[0]) == chosen) == is_chosen])
        for is_chosen in (True, False)
    ]
    assert verdict.gain == pytest.approx(own - random, rel=1e-4)
    plain = [np.mean([e.outcome for e in entries if (set(e.blocks[0]) == chosen) == one]) for one in (True, False)]
    assert verdict.gain != pytest.approx(plain[0] - plain[1], rel=1e-4)


def chosen_by_groups(objective: Macro | WorstGroup, model: Path) -> tuple[CuratedDataset, list[dict[str, Any]]]:
    """Rows that were chosen by groups of items, and test items of the same groups."""
    arguments = {"embedder": "lexical", "clusterer": "topic", "merit": None, "proxies_per_cluster": 1, "budget": 3}
    pool = Dataset.from_list([{**row, "kind": row["topic"]} for row in make_rows(40)])
    items = [{**row, "instruction": f"{row['instruction']} {n} {n * n}"} for n, row in enumerate(pool.select(range(8)))]
    curated = curate(pool, 8, eval_dataset=items, model=str(model), objective=objective, **arguments)
    test = [row for n, row in enumerate(make_rows(60, seed=7)) if row["topic"] == "cooking" or not n % 5]
    words = (f"item{n}a item{n}b item{n}c" for n in range(len(test)))
    return curated, [{**row, "instruction": of, "kind": row["topic"]} for row, of in zip(test, words, strict=True)]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_cannot_be_judged_by_the_groups_of_the_choice_is_refused(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = WorstGroup("kind", "loss")
    curated, test = chosen_by_groups(objective, tiny_model)
    bare = [{name: cell for name, cell in row.items() if name != "kind"} for row in test]
    with pytest.raises(
        InputError, match=r"worst-group over groups of items \('kind'\), and it is unknown in which group"
    ):
        curated.verify(utility=lambda row_sets: np.zeros((len(row_sets), 20)))
    monkeypatch.setattr(FineTune, "bind", lambda *_: pytest.fail("a model was loaded"))
    for unlabelled, said in (
        (bare, "test_dataset has no column 'kind'"),
        ([*test, {**test[0], "kind": None}], "label"),
    ):
        with pytest.raises(InputError, match=said):
            curated.verify(unlabelled)
        with pytest.raises(InputError, match=said):
            curate(
                Dataset.from_list([{**row, "kind": row["topic"]} for row in make_rows(40)]), 8, model=str(tiny_model),
                eval_dataset=test[:8], test_dataset=unlabelled[8:], objective=objective, embedder="lexical",
            )  # fmt: skip


@pytest.mark.parametrize(("kind", "reduced"), [(Macro, np.mean), (WorstGroup, np.min)], ids=["macro", "worst-group"])
def test_a_callable_is_judged_by_the_groups_of_a_test_set(
    pool: Dataset, kind: type[Macro] | type[WorstGroup], reduced: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="shed_hf")
    items = [{**row, "kind": "ab"[n % 2]} for n, row in enumerate(make_rows(2, seed=99))]
    curated = curated_of(pool, eval_dataset=items, objective=kind("kind"))
    assert "curated.verify(test_dataset, utility=…), with one that measures on other items, does it" in caplog.text
    unlike = [{"instruction": f"item{n}a item{n}b item{n}c", "output": f"out{n}"} for n in range(N_ITEMS - 2)]
    test = [{**row, "kind": "aaab"[n % 4]} for n, row in enumerate([pool[0], *unlike, items[0]])]
    kinds = np.array([row["kind"] for row in test])[1:-1]  # a row of the pool and an evaluation item take no part

    class OnGroups(OnTestItems):
        def _of(self, rows: np.ndarray) -> np.ndarray:
            outcome = super()._of(rows)
            outcome[[0, -1]] = 1e6
            return np.where([False, *(kinds == "b"), False], 2 * outcome, outcome)

    utility = OnGroups(pool)
    verdict = curated.verify(test, utility=utility, seeds=2, full=False)
    assert (verdict.n_items, list(verdict.dropped.values())) == (N_ITEMS - 2, [1, 1])
    assert utility.n_sets == 1 + 2 + 2
    untuned, chosen = (
        float(reduced([utility([rows])[0, 1:-1][kinds == one].mean() for one in "ab"]))
        for rows in (np.array([], dtype=int), curated.rows)
    )
    assert verdict.over_untuned.gain == pytest.approx(chosen - untuned, abs=0.1)


def test_a_callable_on_other_items_than_those_with_groups_is_refused_before_rows_are_tuned_on(pool: Dataset) -> None:
    curated = curated_of(pool, eval_dataset=make_rows(2, seed=99), objective=Macro("topic"))
    utility = OnTestItems(pool)
    with pytest.raises(InputError, match=r"shape \(1, 20\), of test_dataset= 3 items can be measured"):
        curated.verify(make_rows(3, seed=7), utility=utility)
    assert utility.sizes == {0}
    with pytest.raises(InputError, match=r"measures on test items, and test_dataset= for their groups"):
        curated.verify(make_rows(3, seed=7))
