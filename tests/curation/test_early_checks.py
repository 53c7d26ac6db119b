"""What arguments and the number of rows rule out is refused before anything is loaded, embedded or measured."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from shed_hf import Agglomerative, FineTune, HubError, InputError, KMeans, LedgerError, curate, plan
from shed_hf.curation.loaded_pool import LoadedPool
from shed_hf.embedding.encoders import SentenceTransformerEncoder
from tests.helpers.rows import make_rows

ROWS = make_rows(40)
POOL = Dataset.from_list(ROWS)
ITEMS = Dataset.from_list(make_rows(6, seed=9))


class Unasked:
    """An embedder that nothing may be embedded with."""

    def encode(self, sentences: list[str], /) -> Any:
        raise AssertionError("something was embedded")


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("screen", "bind", "choose_precision"):
        monkeypatch.setattr(FineTune, name, lambda *_: pytest.fail("a model was loaded"))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"n_clusters": 41}, "n_clusters=41 exceeds the 40 rows to cluster (nothing left out); pass n_clusters <= 40"),
    ({"clusterer": KMeans(50)}, "n_clusters=50 exceeds the 40 rows"),
    ({"clusterer": Agglomerative(50)}, "n_clusters=50 exceeds the 40 rows"),
    ({"clusterer": Agglomerative("5")}, "n_clusters='5' is not a whole number >= 1"),
    ({"clusterer": "kmean"}, "clusterer='kmean' is unknown; did you mean 'kmeans'?"),
    ({"clusterer": "topik"}, "clusterer='topik' is unknown; did you mean 'topic'?"),
    ({"clusterer": [0, 1]}, "clusterer is an array of shape (2,); pass one label for each of the 40 rows"),
    ({"clusterer": "topic", "features": "loss"}, "features=['loss'] are for a clusterer that looks at them"),
    ({"warmup": 40}, "warmup=40 exceeds the 39 rows beside those of a player"),
    ({"warmup": -1}, "warmup=-1 is not a whole number >= 0"),
    ({"size": 41}, "size=41 is not in 1 … 40"),
    ({"size": 0}, "size=0 is not in 1 … 40"),
    ({"embedder": "Lexcal"}, "embedder='Lexcal' is unknown; did you mean 'lexical'?"),
    ({"embedder": "x" * 5000}, "can't be looked for on this machine (File name too long)"),
    ({"model": "./" + "x" * 300}, "can't be looked for on this machine (File name too long)"),
    ({"objective": "los"}, "objective='los' is unknown; did you mean 'loss'?"),
    ({"objective": "worst_group"}, "objective='worst_group' is unknown; did you mean 'worst-group'?"),
    ({"estimator": "least_squares"}, "estimator='least_squares' is unknown; did you mean 'least-squares'?"),
    ({"sampler": "qocz"}, "sampler='qocz' is unknown; did you mean 'qocs'? pass one of auto, qocs, qwcs, random, "),
    ({"method": "Race"}, "method='Race' is unknown; did you mean 'race'?"),
    ({"features": "los"}, "features='los' is unknown; did you mean 'loss'?"),
    ({"report_to": "tensor-board"}, "report_to='tensor-board' is unknown; did you mean 'tensorboard'?"),
    ({"eval_dataset": ITEMS.select([])}, "eval_dataset has 0 rows"),
    ({"eval_dataset": "nosuch.jsonl"}, "eval_dataset='nosuch.jsonl' does not exist"),
    ({"eval_columns": {"output": "outptu"}}, "has no column 'outptu'; did you mean 'output'?"),
    ({"columns": {"instrction": "input"}}, "names no part of a row; did you mean 'instruction'?"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_what_cannot_be_used_is_refused_at_once(number: int) -> None:
    arguments, told = WRONG[number]
    with pytest.raises(InputError) as error:
        curate(POOL, **{"size": 4, "eval_dataset": ITEMS, "embedder": Unasked(), **arguments})
    assert told in str(error.value)


def test_rows_that_are_held_out_cannot_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FineTune, "screen", lambda self, pool, *_: pool)
    pool = Dataset.from_list(make_rows(100))
    for arguments, told in (
        ({"size": 95}, "size=95 exceeds the 90 rows that can be chosen (10 held out); pass size <= 90"),
        ({"size": 4, "n_clusters": 91}, "n_clusters=91 exceeds the 90 rows to cluster (10 held out)"),
    ):
        with pytest.raises(InputError) as error:
            plan(pool, **{"embedder": Unasked(), **arguments})
        assert told in str(error.value)


def test_a_ledger_where_none_can_be_is_refused_at_once(tmp_path: Any) -> None:
    (tmp_path / "file").touch()
    for path, told in (
        (tmp_path, "is not a file but a folder"),
        ("/", "is not a file but a folder"),
        (tmp_path / "file" / "run.ledger", "file is not a folder"),
    ):
        with pytest.raises(LedgerError) as error:
            curate(POOL, 4, eval_dataset=ITEMS, embedder=Unasked(), ledger=path)
        assert told in str(error.value)
        assert str(error.value).startswith("ledger='") and str(error.value).endswith("; pass another path")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file"]


def test_models_that_can_be_had_from_nowhere_are_refused_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(SentenceTransformerEncoder, "_model", lambda _: pytest.fail("it was loaded"))
    with pytest.raises(HubError, match=r"embedder='me/none' is not in the Hub's cache.*\"lexical\""):
        curate(POOL, 4, eval_dataset=ITEMS, embedder="me/none", model="small")
    with pytest.raises(HubError, match=r"model='me/none' is not in the Hub's cache.*\"small\""):
        curate(POOL, 4, eval_dataset=ITEMS, embedder="lexical", model="me/none")


@pytest.mark.parametrize("as_a", [str, Path, lambda path: {"path": str(path)}])
@pytest.mark.parametrize("name", ["eval_dataset", "test_dataset"])
@pytest.mark.parametrize(("file", "told"), [("none.jsonl", "is empty; mend"), ("gone.csv", "does not exist")])
def test_items_of_a_file_that_is_empty_or_gone_are_refused_before_the_dataset_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_a: Any, name: str, file: str, told: str
) -> None:
    (tmp_path / "none.jsonl").touch()
    monkeypatch.setattr(LoadedPool, "load", lambda *_: pytest.fail("the dataset was read"))
    with pytest.raises(InputError, match=told):
        curate(make_rows(40), 5, embedder="lexical", **{name: as_a(tmp_path / file)})
