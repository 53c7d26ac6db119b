"""What people read on the card, and that no row, column or name can break it."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetInfo, Features, Value
from huggingface_hub import DatasetCard

from shed_hf import CuratedDataset, curate
from shed_hf.estimators import Permutation
from shed_hf.hub.card import PICTURES, dataset_card
from shed_hf.hub.privacy import as_published
from shed_hf.hub.readme import BEGIN
from shed_hf.utils.text import excerpt
from tests.helpers.cards import by_items, card_of, changed, curated, headings, metadata, usual_headings
from tests.helpers.curations import curated_of
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.markdown import HOSTILE, markdown, seen
from tests.helpers.rows import make_rows


def table(card: str) -> list[list[str]]:
    """The cells, in plain words, of the table of clusters, whose lines must have as many as its head."""
    tokens = markdown().parse(DatasetCard(card).text)
    starts = [at for at, token in enumerate(tokens) if token.type == "table_open"]
    tables = [tokens[at : at + [t.type for t in tokens[at:]].index("table_close")] for at in starts]
    (found,) = (tokens for tokens in tables if next(t.content for t in tokens if t.type == "inline") == "cluster")
    cells = [seen(token) for token in found if token.type == "inline"]
    width = sum(token.type == "th_open" for token in found)
    lines = [cells[at : at + width] for at in range(0, len(cells), width)]
    raw = card[card.index("\n| cluster |") + 1 :].splitlines()[2:]  # the head, and the line below it
    assert all(line.count("|") == width + 1 for line in raw[: len(lines) - 1])
    return lines


def test_the_table_has_every_cluster_best_first() -> None:
    head, *lines = table(card_of(curated()))
    assert head == ["cluster", "rows", "kept", "worth", "top terms", "a row of its sample begins"]
    assert [line[:4] for line in lines] == [
        ["1", "30", "30", "+3.0000 ± 0.0000"],
        ["0", "30", "0", "+2.0000 ± 0.0000"],
        ["3", "30", "0", "+1.0000 ± 0.0000"],
        ["2", "30", "0", "-1.0000 ± 0.0000"],
    ]
    found = {line["cluster"]: line for line in curated().clusters}
    assert [line[4] for line in lines] == [", ".join(found[int(line[0])]["top_terms"]) for line in lines]
    assert [line[5] for line in lines] == [found[int(line[0])]["excerpt"] for line in lines]


def test_without_excerpts_the_table_has_no_column_for_them() -> None:
    head, *lines = table(card_of(as_published(curated(), excerpts=False)))
    assert head == ["cluster", "rows", "kept", "worth", "top terms"]
    assert [len(line) for line in lines] == [5] * 4


def test_of_many_clusters_the_ten_best_and_the_ten_worst_are_shown() -> None:
    labels = np.arange(120) % 24
    result = curated_of(Dataset.from_list(make_rows(120)), clusterer=labels, estimator=Permutation(n_orders=2))
    card = card_of(result)
    order = np.argsort(-result.estimate.values, kind="stable")
    assert [int(line[0]) for line in table(card)[1:]] == [*order[:10], *order[-10:]]
    assert "The 10 worth most and the 10 worth least; the configuration `clusters` has them all." in card


def test_a_cluster_without_a_value_is_counted_and_not_ranked() -> None:
    lines = [line | ({"value": None, "stderr": None} if line["cluster"] == 2 else {}) for line in curated().clusters]
    card = card_of(replace(curated(), clusters=Dataset.from_list(lines, features=curated().clusters.features)))
    assert [line[0] for line in table(card)[1:]] == ["1", "0", "3"]
    assert "4 clusters, 1 of them kept in whole or in part. All 3 with a value, best first." in card


def test_noise_is_no_cluster() -> None:
    labels = np.arange(120) % 4
    labels[:12] = -1
    card = card_of(curated_of(Dataset.from_list(make_rows(120)), 120, clusterer=labels))
    assert len(table(card)) == 5
    assert metadata(card)["shed"]["clusters"] == 4
    assert "\n4 clusters, 4 of them kept in whole or in part." in card


def test_the_noise_is_over_as_many_items_as_were_measured(items: Dataset) -> None:
    result = curated_of(Dataset.from_list(make_rows(120)), utility=by_items, eval_dataset=items)
    assert {len(entry.outcome) for entry in result.ledger} == {3}
    (line,) = (line for line in card_of(result).splitlines() if line.startswith("| noise of the evaluation items |"))
    assert "over 3 evaluation items" in line


def test_pictures_are_shown_as_they_are_made() -> None:
    for names in ([], ["values.png"], list(PICTURES)):
        tokens = markdown().parse(dataset_card(curated(), "me/x", {}, names, None).partition(BEGIN)[2])
        images = [child for token in tokens for child in token.children or [] if child.type == "image"]
        assert [(image.attrs["src"], image.content) for image in images] == [
            (f"assets/{name}", PICTURES[name]) for name in names
        ]


# ---- hostile rows and names


def named(text: str) -> str:
    """As a column or a label may be called: short, and without the NUL that would end it."""
    return text[:300].replace("\0", "")


@cache
def hostile() -> CuratedDataset:
    """A cluster of two rows for every hostile text, which is also a column's name and a label's."""
    texts = list(HOSTILE.values())
    asked, answered = named(f"{HOSTILE['marks']} asked"), named(f"{HOSTILE['backticks']} answered")
    columns = {asked: [f"{text} {n}" for n, text in enumerate(texts * 2)], answered: [*texts, *texts[::-1]]}
    features = {name: Value("string") for name in columns}
    for text in texts:
        columns[named(text)] = list(range(len(texts))) * 2
        features[named(text)] = ClassLabel(names=[named(f"{other} label") for other in texts])
    rows = Dataset.from_dict(columns, features=Features(features))
    rows.info.dataset_name = HOSTILE["marks"]
    parts: dict[str, Any] = {"embedder": np.eye(2 * len(texts)), "estimator": Permutation(n_orders=2, block_size=4)}
    parts |= {"clusterer": list(range(len(texts))) * 2, "columns": {"instruction": asked, "output": answered}}
    return curate(rows, len(rows), utility=by_items, **parts)


def test_hostile_rows_and_names_leave_the_page_as_it_is() -> None:
    card = card_of(hostile(), license="mit")
    assert headings(card) == usual_headings()
    tokens = markdown().parse(DatasetCard(card).text)
    harmless = markdown().parse(DatasetCard(card_of(curated())).text)
    for kind in ("fence", "html_block", "table_open", "bullet_list_open", "ordered_list_open", "hr", "code_block"):
        assert [t.type for t in tokens].count(kind) == [t.type for t in harmless].count(kind), kind
    links = [
        [c.attrs["href"] for t in page for c in t.children or [] if c.type == "link_open"]
        for page in (tokens, harmless)
    ]
    assert links[0] == links[1]


def test_hostile_rows_are_words_in_the_table() -> None:
    head, *lines = table(card_of(hostile()))
    assert (len(head), len(lines)) == (6, len(HOSTILE))
    texts = list(HOSTILE.values())
    for line in lines:
        begun = excerpt(texts[int(line[0])])
        assert line[5].startswith(begun[:25])


def test_hostile_columns_and_labels_leave_the_metadata_readable(hub: LoopbackHub) -> None:
    card = card_of(hostile(), license="mit")
    data = metadata(card)
    assert (data["license"], data["size_categories"]) == ("mit", ["n<1K"])
    assert DatasetInfo._from_yaml_dict(data["dataset_info"][0]).features == hostile().dataset.features
    DatasetCard(card).validate()
    assert ("POST", "/api/validate-yaml", 200) in hub.requests


def test_the_marks_of_the_card_in_a_columns_name_do_not_move_what_the_owner_wrote() -> None:
    card = "\n\n".join([card_of(hostile()), "My words."])
    again = card_of(hostile(), card)
    assert again == card_of(hostile(), again)
    assert again.count("My words.") == again.count("<summary>Citation</summary>") == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_of_the_source_leaves_the_page_as_it_is(name: str) -> None:
    result = changed(curated(), source=curated().recipe["source"] | {"name": HOSTILE[name]})
    card = card_of(result)
    assert headings(card) == usual_headings()
    assert card_of(result, card) == card


def test_hostile_inherited_metadata_are_data() -> None:
    inherited: dict[str, Any] = {"license": HOSTILE["front matter"], "language": list(HOSTILE.values())}
    data = metadata(card_of(curated(), **inherited))
    assert {name: data[name] for name in inherited} == inherited
