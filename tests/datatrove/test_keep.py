"""The step that keeps a share of every cluster, or what is worth enough."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

pytest.importorskip("datatrove")

from datatrove.data import Document

from shed_hf.datatrove import Keep, RowReader, RowWriter, Score, shares_of
from shed_hf.errors import InputError
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows
from tests.helpers.scorers import topic_scorer
from tests.helpers.shards import ROWS, copied, put_shards, run, written


def scored(n: int, cluster: int = 0, value: float = 1.0) -> list[Document]:
    cells = {"shed_cluster": cluster, "shed_value": value}
    return [Document(text=f"text {number}", id=f"{number}", metadata=dict(cells)) for number in range(n)]


def kept_by(step: Keep, documents: list[Document]) -> list[str]:
    return [document.id for document in step(iter(documents))]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_a_share_of_a_cluster_is_kept(share: float) -> None:
    n = 2000
    found = len(kept_by(Keep({0: share, 1: 1.0}), scored(n)))
    assert abs(found - share * n) <= 4 * np.sqrt(share * (1 - share) * n)


def test_a_larger_share_keeps_the_rows_of_a_smaller_one() -> None:
    small, large = (kept_by(Keep({0: share}), scored(300)) for share in (0.2, 0.6))
    assert set(small) < set(large)


def test_another_seed_keeps_others() -> None:
    assert kept_by(Keep({0: 0.5}), scored(300)) != kept_by(Keep({0: 0.5}, seed=1), scored(300))


def test_clusters_without_a_share_are_left_out() -> None:
    assert kept_by(Keep({0: 1.0}), scored(5, cluster=2) + scored(5, cluster=-1)) == []


@pytest.mark.parametrize(("least", "n"), [(0.5, 6), (1.0, 6), (1.5, 0), (-np.inf, 6)])
def test_clusters_of_less_than_the_least_value_are_left_out(least: float, n: int) -> None:
    documents = scored(6) + scored(3, value=-np.inf if least > -np.inf else np.nan) + scored(2, value=np.nan)
    assert len(kept_by(Keep(least=least), documents)) == n
    assert len(kept_by(Keep({0: 1.0}, least=least), documents)) == n


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "pass one of them"),
        ({"least": np.nan}, r"least=nan is no number that values reach; .* played no game"),
        ({"shares": {0: 1.0}, "least": np.float32("nan")}, "least=.*nan.* is no number"),
        ({"shares": {0: 1.0}, "least": np.inf}, "least=inf is no number"),
        ({"least": "a"}, "least='a' is no number"),
        ({"least": [1.0, 2.0]}, "least=.* is no number"),
        ({"least": True}, "least=True is no number"),
        ({"shares": {}}, "keep no row"),
        ({"shares": {0: 0.0, 1: 0}}, "keep no row"),
        ({"shares": {0: 1.5}}, "no shares"),
        ({"shares": {1: np.nan}}, "no shares"),
        ({"shares": {1: "half"}}, r"shares=\{1: 'half'\} are no shares"),
        ({"shares": {1: None, 2: 1}}, r"shares=\{1: None\} are no shares"),
        ({"shares": {1: True}}, "no shares"),
        ({"shares": {0.5: 1.0}}, "the key 0.5, the number of no"),
        ({"shares": {"cooking": 1.0}}, "the key 'cooking', the number of no"),
        ({"shares": [0.5, 1.0]}, "is a list; pass cluster to share"),
        ({"shares": 0.5}, "is a float; pass cluster to share"),
        ({"shares": {0: 1}, "seed": -1}, "seed"),
    ],
)
def test_what_says_nothing_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Keep(**arguments)


@pytest.mark.parametrize("step", [Keep({0: 1.0}), Keep(least=0)], ids=["shares", "least"])
def test_rows_must_be_scored_before(pool: Path, step: Keep) -> None:
    with pytest.raises(InputError, match=r"row 0\.parquet/0 has no column 'shed_\w+'; put Score before Keep"):
        run([RowReader(str(pool)), step])


@pytest.mark.parametrize("rank", [0, 1, 120, -0.5, 7.0, "best", True, [0.1]], ids=str)
def test_a_rank_that_is_not_by_score_is_refused(rank: Any) -> None:
    documents = scored(3)
    documents[1].metadata["shed_rank"] = rank
    with pytest.raises(InputError, match=r"row 1 has .* in column 'shed_rank', which is no rank .* put Score before"):
        kept_by(Keep({0: 0.5}), documents)


def test_a_row_without_a_rank_is_kept_by_its_draw() -> None:
    ranked = scored(300)
    for document in ranked:
        document.metadata["shed_rank"] = float("nan") if document.id < "2" else None
    assert kept_by(Keep({0: 0.5}), ranked) == kept_by(Keep({0: 0.5}), scored(300))


def test_the_same_rows_are_kept_however_shards_are_cut(pool: Path, tmp_path: Path) -> None:
    scorer = topic_scorer(Dataset.from_list(ROWS))
    cut = put_shards(tmp_path / "cut", Dataset.from_list(ROWS[::-1]), 5)
    shares = {0: 1.0, 1: 0.5, 2: 0.25}
    found = [
        copied(folder, tmp_path / f"out of {folder.name}", Score(scorer), Keep(shares), tasks=tasks)
        for folder, tasks in ((pool, 1), (cut, 2))
    ]
    assert sorted(found[0]["n"]) == sorted(found[1]["n"])
    assert 0 < len(found[0]) < 120


def test_what_is_not_kept_can_be_written_too(pool: Path, tmp_path: Path) -> None:
    reader = RowReader(str(pool))
    rest = RowWriter(str(tmp_path / "rest"), reader)
    kept = run([reader, Score(topic_scorer(Dataset.from_list(ROWS))), Keep(least=2, exclusion_writer=rest)])
    left = written(tmp_path / "rest")
    assert len(kept) + len(left) == 120
    assert set(left["filter_reason"]) == {"value"}


def test_a_curation_tells_the_share_that_it_kept_of_each_cluster() -> None:
    pool = Dataset.from_list(make_rows(100))
    curated = curated_of(pool, 40)  # of the two best topics 25 and 15 rows
    shares = shares_of(curated)
    topics = {
        label: pool[int(row)]["topic"] for row, label in zip(curated.pool_rows, curated.clustering.labels, strict=True)
    }
    assert {topics[cluster]: share for cluster, share in shares.items()} == {
        "cooking": 1.0, "animals": 0.6, "sports": 0.0, "music": 0.0
    }  # fmt: skip
