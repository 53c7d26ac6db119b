"""The kept rows and the others that a card shows."""

from dataclasses import replace

import numpy as np
import pytest
from datasets import Dataset

from shed_hf.hub.card_rows import EACH, rows_shown
from shed_hf.hub.markdown import escaped
from shed_hf.hub.privacy import as_published
from tests.helpers.cards import card_of, curated
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(120))


def texts(numbers: list[int]) -> list[str]:
    return [escaped(f"{POOL[number]['instruction']} {POOL[number]['output']}") for number in numbers]


def test_kept_rows_are_kept_ones_and_the_others_are_of_the_clusters_of_least_worth() -> None:
    shown = rows_shown(curated())
    assert [row["what"] for row in shown] == ["**kept**"] * EACH + ["**not kept**"] * EACH
    kept = texts(curated().rows.tolist())
    assert all(row["text"] in kept for row in shown[:EACH])
    ranked = sorted(curated().clusters, key=lambda line: line["value"])
    assert [row["text"] for row in shown[EACH:]] == texts([line["proxies"][0] for line in ranked[:EACH]])
    assert [row["worth"][:7] for row in shown[EACH:]] == [f"{line['value']:+.4f}" for line in ranked[:EACH]]
    assert shown[-1]["cluster"].endswith(f"(cluster {ranked[2]['cluster']}): none of its 30 rows kept")
    assert shown[0]["cluster"].endswith("(cluster 1): 30 of its 30 rows kept")


def test_kept_rows_are_of_several_clusters_where_several_are_kept() -> None:
    result = curated_of(POOL, 70)
    shown = [row["cluster"].rpartition("(cluster ")[2][0] for row in rows_shown(result)[:EACH]]
    assert len(set(shown)) == len(set(result.dataset["shed_cluster"])) == 3


@pytest.mark.parametrize("size", [1, 2])
def test_of_fewer_rows_all_are_shown(size: int) -> None:
    assert [row["what"] for row in rows_shown(curated_of(POOL, size))] == ["**kept**"] * size + ["**not kept**"] * EACH


def test_a_sample_that_was_kept_is_not_shown_among_the_others() -> None:
    assert [row["what"] for row in rows_shown(curated_of(POOL, 120))] == ["**kept**"] * EACH


def test_no_row_is_shown_where_excerpts_are_not() -> None:
    assert rows_shown(as_published(curated(), excerpts=False)) == []


def test_a_beginning_that_rows_share_is_left_out_and_the_heading_says_so() -> None:
    shared = "You are given a request of somebody. Answer it in one sentence. Say something about "
    rows = [{**row, "instruction": row["instruction"].replace("Say something about ", shared)} for row in POOL]
    result = curated_of(Dataset.from_list(rows))
    begun = [f"… {text.removeprefix('Say something about ')}" for text in texts(list(range(120)))]
    assert all(row["text"] in begun for row in rows_shown(result))
    head = "| | a row begins{} | cluster |"
    assert head.format(" (… is a beginning that rows share)") in card_of(result)
    assert head.format("") in card_of(curated())


def test_rows_of_noise_and_of_clusters_without_a_value_are_told_so() -> None:
    labels = np.arange(120) % 4
    labels[:12] = -1
    result = curated_of(POOL, 120, clusterer=labels)
    first = replace(result, dataset=result.dataset.filter(lambda row: row["shed_cluster"] == -1))
    shown = rows_shown(replace(first, rows=np.array(first.dataset["shed_row"][:])))
    assert {(row["cluster"], row["worth"]) for row in shown[:EACH]} == {
        ("rows in no cluster: 12 of its 12 rows kept", "not valued")
    }
