"""What a curation goes on with whose ledger was begun by an earlier version."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from shed_hf import QOCS, Extrapolated, KMeans, Lexical, Named, Retrieval, curate, read_ledger
from shed_hf.clustering import starts
from shed_hf.clustering.clusterers import Agglomerative
from shed_hf.config.ledger_note import read_note
from shed_hf.curation.legacy_defaults import (
    DEFAULTS,
    clusterer_for_ledger,
    defaults_note,
    has_legacy_defaults,
    legacy_sampler_note,
    sampler_for_ledger,
)
from shed_hf.estimators import LeastSquares
from shed_hf.estimators.registry import estimator_from
from shed_hf.game.ledger import Ledger
from shed_hf.game.recorded_settings import BEGUN_BY, BEGUN_WITH
from shed_hf.utils.naming import to_recipe_entry
from tests.helpers.curations import ByTopic
from tests.helpers.races import raced
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(240))


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool counts as large from 30 rows on."""
    monkeypatch.setattr(starts, "SAMPLE", 30)
    monkeypatch.setattr(starts, "PER_CLUSTER", 1)
    monkeypatch.setattr("shed_hf.sampling.row_ranking.MOST_ROWS", 39)


def begun_earlier(ledger: Ledger, path: Path, notes: Mapping[str, int] | None = None) -> Path:
    """The ledger's file as a version wrote it that had no number of its defaults."""
    header = {name: field for name, field in ledger.header.items() if name != BEGUN_BY}
    Ledger.of({**header, **(notes or {})}, ledger).dump(path)
    return path


def curated(ledger: Path | None, **changes: Any) -> Any:
    utility = Named("by topic", ByTopic(POOL))
    given = {"embedder": Lexical(16), "utility": utility, "proxies_per_cluster": 1, "sampler": "random"}
    return curate(POOL, 24, budget=21, ledger=ledger, **given | changes)


@pytest.mark.usefixtures("large")
@pytest.mark.filterwarnings("ignore:the values")
@pytest.mark.parametrize(
    ("asked", "restarts"), [("kmeans", None), (KMeans(7), None), (KMeans(7, restarts=2), 2)], ids=str
)
def test_a_ledger_of_an_earlier_version_goes_on_with_its_clusters(
    asked: Any, restarts: int | None, tmp_path: Path
) -> None:
    before = curated(None, clusterer=KMeans(7, restarts, start_rows=None))
    path = begun_earlier(before.ledger, tmp_path / "run.ledger", {BEGUN_WITH: 7} if asked == "kmeans" else {})
    resumed = curated(path, clusterer=asked)
    assert resumed.recipe["bill"]["fine_tunings"] == 0
    assert resumed.clusters.to_list() == before.clusters.to_list()
    assert resumed.recipe["clusterer"]["start_rows"] == (20_000 if restarts is None else None)
    assert BEGUN_BY not in {**resumed.ledger.header, **read_ledger(path).header}


@pytest.mark.usefixtures("large")
@pytest.mark.filterwarnings("ignore:the values")
def test_a_race_of_an_earlier_version_goes_on_with_its_candidates(tmp_path: Path) -> None:
    new = raced()
    path = begun_earlier(new.ledger, tmp_path / "run.ledger")
    resumed = raced(ledger=path)
    assert new.race is not None and "extrapolated" in new.race.left_out and "rds" not in new.race.left_out
    assert resumed.race is not None and "rds" in resumed.race.left_out and "extrapolated" not in resumed.race.left_out


@pytest.mark.usefixtures("large")
@pytest.mark.filterwarnings("ignore:the values")
def test_a_ledger_of_this_version_goes_on_with_clusters_of_this_version(tmp_path: Path) -> None:
    first = curated(tmp_path / "run.ledger", clusterer=KMeans(7))
    assert read_ledger(tmp_path / "run.ledger").header[BEGUN_BY] == DEFAULTS
    again = curated(tmp_path / "run.ledger", clusterer=KMeans(7))
    assert again.recipe["bill"]["fine_tunings"] == 0
    assert first.recipe["clusterer"]["start_rows"] == again.recipe["clusterer"]["start_rows"] == "auto"


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("noted", [None, 1, "2", DEFAULTS], ids=repr)
def test_the_header_of_a_large_pool_says_which_defaults_it_was_begun_with(noted: Any, tmp_path: Path) -> None:
    ledger = tmp_path / "run.ledger"
    assert (has_legacy_defaults(None, 31), has_legacy_defaults(ledger, 31)) == (False, False)
    assert defaults_note(None, 31) == defaults_note(ledger, 31) == {BEGUN_BY: DEFAULTS}
    Ledger.of({} if noted is None else {BEGUN_BY: noted}, []).dump(ledger)
    assert has_legacy_defaults(ledger, 31) == (noted != DEFAULTS)
    assert defaults_note(ledger, 31) == ({BEGUN_BY: DEFAULTS} if noted == DEFAULTS else {})
    assert (has_legacy_defaults(ledger, 30), defaults_note(ledger, 30)) == (False, {})


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (KMeans(5), KMeans(5, start_rows=20_000)), (KMeans(5, restarts=1), KMeans(5, restarts=1, start_rows=None)),
        (KMeans(5, start_rows=None), KMeans(5, start_rows=None)), (KMeans(5, start_rows=50), KMeans(5, start_rows=50)),
        (Agglomerative(5), Agglomerative(5)),
    ],
    ids=str,
)  # fmt: skip
def test_only_what_was_left_open_is_as_it_was(asked: Any, found: Any, tmp_path: Path) -> None:
    Ledger.of({}, []).dump(tmp_path / "run.ledger")
    assert clusterer_for_ledger(asked, tmp_path / "run.ledger", 31) == found
    assert clusterer_for_ledger(asked, None, 31) == clusterer_for_ledger(asked, tmp_path / "run.ledger", 30) == asked


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(
    ("usual", "estimator", "n_rows", "found"),
    [
        (Extrapolated(), LeastSquares(), 40, QOCS()),
        (Extrapolated(), estimator_from(None), 40, Retrieval()),
        (Retrieval(vectors="model"), LeastSquares(), 40, QOCS()),
        (Retrieval(vectors="model"), LeastSquares(), 39, Retrieval(vectors="model")),
        (QOCS(), LeastSquares(), 40, QOCS()),
    ],
    ids=["with a game", "without", "another default", "a small pool", "the same"],
)
def test_the_default_sampler_is_that_of_the_version_that_began_the_ledger(
    usual: Any, estimator: Any, n_rows: int, found: Any, tmp_path: Path
) -> None:
    Ledger.of({}, []).dump(tmp_path / "earlier.ledger")
    Ledger.of({BEGUN_BY: DEFAULTS}, []).dump(tmp_path / "run.ledger")
    for ledger in (None, tmp_path / "run.ledger", tmp_path / "new.ledger"):
        assert sampler_for_ledger(usual, estimator, ledger, n_rows) == usual
    assert sampler_for_ledger(usual, estimator, tmp_path / "earlier.ledger", n_rows) == found


def test_the_line_names_the_arguments() -> None:
    told = legacy_sampler_note(Retrieval(vectors="model"), Retrieval())
    assert told == (
        "sampler: 'retrieval', by which the ledger was begun in an earlier version; sampler='rds' gives today's default"
    )


@pytest.mark.usefixtures("large")
@pytest.mark.filterwarnings("ignore")
def test_what_is_resumed_from_a_ledger_of_an_earlier_version_is_chosen_as_then(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("shed_hf.curation.prepare.say", told.append)
    for name, rows in (("pool", make_rows(40)), ("items", make_rows(6, seed=9))):
        Dataset.from_list(rows).to_json(tmp_path / f"{name}.jsonl")
    items, ledger = str(tmp_path / "items.jsonl"), tmp_path / "run.ledger"
    settings: dict[str, Any] = {"embedder": "lexical", "clusterer": "topic", "proxies_per_cluster": 1, "budget": 6}
    first = curate(
        str(tmp_path / "pool.jsonl"), 6, eval_dataset=items, model=str(tiny_model), ledger=ledger, **settings
    )
    assert first.recipe["sampler"] == to_recipe_entry(Extrapolated())
    ledger.unlink()
    begun_earlier(first.ledger, ledger)
    assert not told
    resumed = curate(args=read_note(ledger))
    assert (resumed.recipe["sampler"], resumed.recipe["bill"]["fine_tunings"]) == (to_recipe_entry(QOCS()), 0)
    assert told == [
        "sampler: 'qocs', by which the ledger was begun in an earlier version; "
        "sampler='extrapolated' gives today's default"
    ]
