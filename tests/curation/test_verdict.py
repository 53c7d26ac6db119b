"""The verdict that a curation ends with: what is refused beforehand, and what is told where there is none."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, FineTune, InputError, Macro, NotBetter, Race, curate, read_ledger
from shed_hf.curation.verdict import compared_later
from shed_hf.data import loading
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows


def test_what_could_not_be_judged_is_refused_before_a_model_is_loaded(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(FineTune, "bind", lambda *_: pytest.fail("a model was loaded"))
    pool, items = (Dataset.from_list(make_rows(count, seed=seed)) for count, seed in ((40, 0), (15, 99)))
    refused = {
        "0 of 3 test items are left": {"test_dataset": make_rows(3)},
        "1 of 3 test items are left": {"test_dataset": [*make_rows(2, seed=99), make_rows(1, seed=7)[0]]},
        "test_dataset": {"test_dataset": [{"neither": "known"}] * 20},
        "there are 15 items": {"method": "race"},
        "below the 5 that 2 candidates": {"method": Race(["longest", "dsir"], budget=4)},
        "budget=1 is too small": {"budget": 1},
    }
    for message, changes in refused.items():
        with pytest.raises(InputError, match=message):
            arguments = {"embedder": "lexical", "eval_dataset": items, "ledger": "run.ledger", **changes}
            curate(pool, 8, utility=FineTune(str(tiny_model)), **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("of", ["rows", "items"])
def test_test_items_that_nearly_repeat_what_was_seen_are_refused_before_the_game(
    tiny_model: Path, tmp_path: Path, of: str
) -> None:
    pool, items = make_rows(40), make_rows(8, seed=99)
    near = [{**row, "instruction": f"{row['instruction']} !"} for row in (pool if of == "rows" else items)]
    arguments = {"embedder": "lexical", "clusterer": "topic", "merit": None, "budget": 3, "require_better": True}
    arguments |= {"eval_dataset": items, "test_dataset": near, "model": str(tiny_model)}
    with pytest.raises(InputError, match=rf"0 of {len(near)} test items are left"):
        curate(Dataset.from_list(pool), 4, ledger=tmp_path / "run.ledger", **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("size", "n_tests", "says"), [(1.0, 20, "keeps all 40"), (4, 15, "test_dataset has 1. of")])
def test_what_can_not_be_better_is_refused_before_the_game(
    tiny_model: Path, tmp_path: Path, size: int | float, n_tests: int, says: str
) -> None:
    arguments = {"embedder": "lexical", "clusterer": "topic", "merit": None, "budget": 3, "model": str(tiny_model)}
    arguments |= {"eval_dataset": make_rows(8, seed=99), "test_dataset": make_rows(n_tests, seed=7)}
    with pytest.raises(InputError, match=says):
        curate(make_rows(40), size, ledger=tmp_path / "run.ledger", require_better=True, **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_curation_with_a_test_set_compares_at_the_end_and_may_insist(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pool, items = (Dataset.from_list(make_rows(count, seed=seed)) for count, seed in ((40, 0), (8, 99)))
    Dataset.from_list(make_rows(30, seed=7)).to_json("test.jsonl")
    loaded: list[Any] = []

    def counted(named: Any, *rest: Any) -> loading.Loaded:
        loaded.append(named)
        return load(named, *rest)

    load = loading.load
    monkeypatch.setattr(loading, "load", counted)
    arguments = {"embedder": "lexical", "clusterer": "topic", "merit": None, "proxies_per_cluster": 1, "budget": 3}
    arguments |= {"eval_dataset": items, "model": str(tiny_model), "test_dataset": "test.jsonl"}
    assert curate(pool, 4, ledger="run.ledger", **arguments).verdict is None  # it takes more than the game
    assert loaded.count("test.jsonl") == 1
    with pytest.raises(NotBetter, match="require_better=True") as caught:
        curate(pool, 4, ledger="run.ledger", require_better=True, **arguments)
    (folder,) = tmp_path.glob("curated-*")
    assert str(folder) in str(caught.value)
    kept = CuratedDataset.load_from_disk(folder)
    assert kept.verdict is not None and kept.verdict.claim in str(caught.value)
    assert len(read_ledger("run.ledger.verdict")) == 1 + 5 + 5
    assert loaded.count("test.jsonl") == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"require_better": True}, r"leave require_better out, and call curated\.verify\(utility=…\)"),
        ({"require_better": True, "test_dataset": make_rows(20)}, "leave require_better and test_dataset= out, and"),
        (
            {"require_better": True, "objective": Macro("topic")},
            r"curated\.verify\(test_dataset, utility=…\) with a callable",
        ),
        ({"test_dataset": make_rows(20)}, r"test_dataset= can't be bound .* leave it out, and call curated\.verify"),
        ({"require_better": True, "utility": "fine-tune"}, "needs items to compare on; pass test_dataset="),
    ],
)
def test_what_could_not_be_compared_is_refused_before_anything_is_paid(
    pool: Dataset, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        curated_of(pool, **{"utility": lambda _: pytest.fail("measured"), **arguments})


@pytest.mark.parametrize(("size", "told"), [(30, ["verify(utility=…)"]), (120, [])], ids=["a part", "all rows"])
def test_without_a_verdict_it_is_told_how_to_get_one(
    pool: Dataset, size: int, told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="shed_hf")
    curated_of(pool, size)
    lines = [line for line in caplog.text.splitlines() if "not compared with random rows" in line]
    assert len(lines) == len(told)
    assert all("10 outcomes" in line and part in line for line, part in zip(lines, told, strict=True))


def test_who_compares_later_is_not_told_how(pool: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="shed_hf")
    with compared_later():
        curated_of(pool, 30)
    assert "kept 30 of" in caplog.text
    assert "not compared with random rows" not in caplog.text
