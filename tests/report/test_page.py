"""The page as a file: what it may load and run, what is in it, and what it is written over."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf.errors import InputError
from shed_hf.report import rows as page_rows_module
from shed_hf.report.page import VENDORED, report_page
from shed_hf.report.page_text import minus
from shed_hf.report.rows import MOST_CHARACTERS, page_rows
from shed_hf.results.cluster_names import cluster_name
from shed_hf.results.summary import worth
from tests.helpers.curations import curated_of
from tests.helpers.hostile_rows import TEXTS, hostile
from tests.helpers.pages import Page, digest
from tests.helpers.rows import make_rows
from tests.helpers.verdicts import between, judged


@cache
def page() -> Page:
    return Page(report_page(hostile(), 'a <title> & "more"'))


def test_nothing_is_loaded_and_only_the_pages_own_scripts_run() -> None:
    policy = page().policy
    assert policy == {
        "default-src": ["'none'"],
        "script-src": [digest(script) for script in page().scripts],
        "style-src": [digest(style) for style in page().styles],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    assert len(page().scripts) == 2
    assert page().scripts[0].strip() == VENDORED.read_text(encoding="utf-8").strip()


def test_no_element_refers_to_anything_outside_or_has_a_handler() -> None:
    for tag, attributes in page().elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form", "svg"}
        assert not [
            name for name in attributes if name.startswith("on") or name in ("src", "style", "srcset", "action")
        ]
        assert attributes.get("href", "#").startswith("#")


def test_without_scripts_verdict_clusters_cost_and_recipe_can_be_read() -> None:
    curated = judged("better", between(0.01, 0.03), between(0.1, 0.2))
    items: Any = {"items": 8, "held_out": False, "hub": None, "digest": "d" * 8, "keys": "0123456789abcdef"}
    curated = replace(curated, recipe=curated.recipe | {"evaluation": items})
    found = Page(report_page(curated, "x"))
    words = " ".join("".join(found.plain).split())
    assert "Tuning on the 30 rows kept is better than tuning on as many random rows." in words
    assert "Over random rows +0.020 nats a token 95% interval" in words
    assert "random rows +0.020 (+0.010 to +0.030)" in words
    assert curated.verdict is not None and "random rows by 0.020 nats a token (0.010 to 0.030)" in curated.verdict.claim
    for line in curated.clusters:
        name = cluster_name(line["cluster"], line["top_terms"])
        figures = (
            f"{minus(worth(line))} {name} {line['size']} {line['selected']} ({line['selected'] / line['size']:.0%})"
        )
        assert figures in words
    assert "higher is better" in words and "17 outcomes" in words and "Every row took part." in words
    assert '"proxies_per_cluster": 1' in words and "curated = shed_hf.curate(" in words
    assert '"digest": "dddddddd"' in words and "0123456789abcdef" not in words


def test_what_needs_scripts_is_not_there_without_them() -> None:
    (style,) = page().styles
    assert "html:not(.with-scripts) .scripted { display: none !important; }" in style
    scripted = [attributes.get("id") for _, attributes in page().elements if "scripted" in str(attributes.get("class"))]
    assert {"subset", "rows", "copy-code", "copy-recipe"} <= set(scripted)


def test_a_negative_number_has_a_minus_sign_and_a_word_its_hyphen() -> None:
    assert (
        minus("-0.5 nats (-0.1 to +0.2), re-read 2024-11-26, x-1")
        == "−0.5 nats (−0.1 to +0.2), re-read 2024-11-26, x-1"
    )


def test_rows_reach_the_page_whole_and_as_text_alone() -> None:
    text = report_page(hostile(), "x")
    (data,) = re.findall(r'<script type="application/json" id="content">(.*?)</script>', text, re.DOTALL)
    assert not set(data) & set("<>&\u2028\u2029")
    assert data.isascii()
    shown = "\n".join(filter(None, page().content["rows"]["text"]))
    for at in (0, 1, 2, 3, 4, 5, 11, 12):
        assert TEXTS[at] in shown
    assert not set(shown) & set("\x1b\x00\u202e\u2066\u202c")


def test_texts_are_shortened() -> None:
    lengths = [len(text) for text in page().content["rows"]["text"]]
    assert max(lengths) == MOST_CHARACTERS == page().content["characters"]


def test_the_title_is_escaped() -> None:
    (title,) = [text for tag, _, text in page().texts if tag == "title"]
    assert title == 'a <title> & "more" · shed_hf'


def test_the_page_has_every_cluster_and_row_with_what_is_known_of_it() -> None:
    curated, content = hostile(), page().content
    assert [line["cluster"] for line in content["clusters"]] == curated.clusters["cluster"][:]
    assert [line["kept"] for line in content["clusters"]] == curated.clusters["selected"][:]
    np.testing.assert_allclose(
        [line["value"] for line in content["clusters"]], np.array(curated.clusters["value"][:]), rtol=1e-4
    )
    rows = content["rows"]
    assert rows["row"] == curated.pool_rows.tolist()
    assert {rows["row"][place] for place in rows["kept"]} == set(curated.rows.tolist())
    assert rows["cluster"] == curated.clustering.labels.tolist()
    assert None not in rows["x"]


def test_a_cosine_is_not_called_worth_and_a_credit_is() -> None:
    items = Dataset.from_list(make_rows(6, seed=5))
    near = curated_of(Dataset.from_list(make_rows(40)), 10, sampler="retrieval", eval_dataset=items)
    worth = near.valued.worth
    assert worth is not None
    rows = Page(report_page(near, "x")).content["rows"]
    np.testing.assert_allclose(rows["worth"], worth.values, rtol=1e-4)
    assert rows["worth_is"] == "Its mean cosine with evaluation items"
    credited = replace(near, valued=replace(near.valued, worth=replace(worth, names=["credit"])))
    assert Page(report_page(credited, "x")).content["rows"]["worth_is"] == "Its own worth"


def test_without_leave_no_word_of_a_row_is_on_the_page() -> None:
    text = report_page(replace(hostile(), clusters=hostile().clusters.map(lambda _: {"top_terms": []})), "x", False)
    assert Page(text).content["rows"]["text"] is None
    assert "Say something about" not in text


def test_a_result_without_its_source_has_the_texts_of_kept_rows(tmp_path: Path) -> None:
    curated = curated_of(Dataset.from_list(make_rows(40)), 10)
    bare = replace(curated, valued=replace(curated.valued, source=None))
    rows = page_rows(bare, True)
    whole = page_rows(curated, True)
    assert [text is not None for text in rows.texts] == rows.kept.tolist()
    assert [t for t in rows.texts if t] == [t for t, kept in zip(whole.texts, whole.kept, strict=True) if kept]
    bare.report(tmp_path / "page.html", source=Dataset.from_list(make_rows(40)))
    assert None not in Page((tmp_path / "page.html").read_text(encoding="utf-8")).content["rows"]["text"]


def test_of_a_large_pool_rows_of_the_map_kept_ones_and_others_are_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    curated = curated_of(Dataset.from_list(make_rows(160)), 40)
    plane = replace(curated.valued.embedding_map, rows=np.array([1, 9]), vectors=np.zeros((2, 2), np.float32))
    curated = replace(curated, valued=replace(curated.valued, embedding_map=plane))
    monkeypatch.setattr(page_rows_module, "MOST_ROWS", 60)
    rows = page_rows(curated, True)
    assert len(rows.positions) <= 60
    assert {1, 9} <= set(curated.pool_rows[rows.positions].tolist())
    assert rows.kept.sum() >= 25
    assert (~rows.kept).sum() >= 20
    assert np.isfinite(rows.coordinates[:, 0]).sum() == 2


def test_an_earlier_report_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    curated, path = hostile(), tmp_path / "new" / "report.html"
    assert curated.report(path) == str(path)
    first = path.read_bytes()
    curated.report(str(path))
    assert path.read_bytes() == first
    notes = tmp_path / "notes.html"
    notes.write_text("<p>mine</p>")
    for taken in (notes, tmp_path):
        with pytest.raises(InputError, match="exists already and is no report"):
            curated.report(taken)
    assert notes.read_text() == "<p>mine</p>"
    for bad in ("", "a\x00b", 7):
        with pytest.raises(InputError, match="is not a path"):
            curated.report(bad)
    with pytest.raises(InputError, match="cannot be written"):
        curated.report(notes / "inside" / "report.html")
    assert sorted(item.name for item in path.parent.iterdir()) == ["report.html"]


def test_the_script_library_is_the_version_that_is_written_down() -> None:
    told = (VENDORED.parent / "README.md").read_text(encoding="utf-8")
    version = re.search(r"https://d3js\.org v([\d.]+) ", VENDORED.read_text(encoding="utf-8"))
    assert version is not None
    assert f"| {version[1]} | ISC" in told
    assert "Permission to use, copy, modify" in (VENDORED.parent / "d3-LICENSE").read_text(encoding="utf-8")
