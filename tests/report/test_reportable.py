"""Figures, the table of notebooks, and the report as a Space."""

from dataclasses import replace
from pathlib import Path

import pytest
from datasets import Dataset
from huggingface_hub import HfApi

from shed_hf import CuratedDataset
from shed_hf.errors import InputError
from tests.helpers.curations import curated_of
from tests.helpers.hostile_rows import hostile
from tests.helpers.loopback_hub import LoopbackHub, read_card
from tests.helpers.pages import Page
from tests.helpers.pushes import published, result
from tests.helpers.rows import make_rows


def unplayed() -> CuratedDataset:
    return curated_of(Dataset.from_list(make_rows(40)), 10, sampler="longest", estimator=None)


# ---- figures


@pytest.mark.parametrize("kind", ["values", "map", "convergence"])
def test_a_figure_is_matplotlibs_own_and_can_be_saved(kind: str, tmp_path: Path) -> None:
    figure = hostile().plot(kind)
    figure.savefig(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size > 5_000
    assert figure.axes


def test_figures_that_cannot_be_drawn_say_why() -> None:
    with pytest.raises(InputError, match=r"kind='worth' is unknown; pass one of \['values', 'map', 'convergence'\]"):
        hostile().plot("worth")
    for path in ("p.png", Path("figures/p.pdf")):
        with pytest.raises(InputError, match=rf"is not what to plot but a path; .*savefig\('{path}'\) writes"):
            hostile().plot(path)
    for kind in ("values", "convergence"):
        with pytest.raises(InputError, match="no game was played"):
            unplayed().plot(kind)
    assert unplayed().plot("map").axes
    few = replace(hostile(), valued=replace(hostile().valued, estimate=replace(hostile().estimate, semivalue="in-run")))
    with pytest.raises(InputError, match="too few of coalitions"):
        few.plot("convergence")


# ---- notebooks


def test_a_notebook_shows_the_verdict_and_the_clusters_with_every_text_escaped() -> None:
    shown = hostile()._repr_html_()
    page = Page(shown)
    assert {tag for tag, _ in page.elements} <= {
        "div", "p", "b", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "bdi", "code"
    }  # fmt: skip
    assert all(not attributes for tag, attributes in page.elements if tag != "td")
    assert "Kept 26 of 104 rows" in shown
    assert shown.count("<tr>") == 1 + 4
    assert "<script" not in shown


def test_a_notebook_shows_results_without_a_game_and_with_many_clusters() -> None:
    assert "<th>worth" not in unplayed()._repr_html_()
    many = curated_of(Dataset.from_list(make_rows(80)), 10, clusterer="instruction", estimator=None, sampler="longest")
    assert "clusters between" in many._repr_html_()


# ---- a Space


def test_a_report_becomes_a_static_space_in_one_commit(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_me_secret")
    address = result().push_report_to_hub("me/x-report")
    assert address == f"{hub.url}/spaces/me/x-report"
    files = hub.files("me/x-report", "spaces")
    card = read_card(files["README.md"])
    assert (card["sdk"], card["app_file"], card["title"]) == ("static", "index.html", "x-report")
    assert hub.is_private("me/x-report", "spaces")
    assert Page(files["index.html"].decode()).content["kept"] == len(result())
    commits = hub.commits("me/x-report", "spaces")
    result().push_report_to_hub("me/x-report")
    assert hub.commits("me/x-report", "spaces") == commits


def test_texts_of_rows_are_published_only_where_their_source_is_public_or_on_request(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_me_secret")
    texts = {}
    for name, private in (("open", False), ("closed", True)):
        curated = curated_of(published(f"me/{name}-rows", Dataset.from_list(make_rows(40)), private=private), 10)
        curated.push_report_to_hub(f"me/{name}-report")
        page = Page(hub.files(f"me/{name}-report", "spaces")["index.html"].decode())
        texts[name] = page.content["rows"]["text"]
        assert hub.is_private(f"me/{name}-report", "spaces") == private
        curated.push_report_to_hub(f"me/{name}-asked", excerpts=not private)
    assert texts["open"] is not None
    assert None not in texts["open"]
    assert texts["closed"] is None
    assert b"Say something about" not in hub.files("me/closed-report", "spaces")["index.html"]
    assert Page(hub.files("me/open-asked", "spaces")["index.html"].decode()).content["rows"]["text"] is not None


def test_a_space_of_others_is_not_replaced_and_its_owners_settings_stay(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_me_secret")
    api = HfApi(token="hf_me_secret")
    api.create_repo("me/theirs", repo_type="space", space_sdk="static")
    api.upload_file(path_or_fileobj=b"<p>mine</p>", path_in_repo="index.html", repo_id="me/theirs", repo_type="space")
    with pytest.raises(InputError, match="holds files that shed_hf did not make"):
        result().push_report_to_hub("me/theirs", private=False)
    assert hub.files("me/theirs", "spaces")["index.html"] == b"<p>mine</p>"
    result().push_report_to_hub("me/kept-report")
    readme = hub.files("me/kept-report", "spaces")["README.md"].replace(b"title: kept-report", b"title: Mine")
    api.upload_file(path_or_fileobj=readme, path_in_repo="README.md", repo_id="me/kept-report", repo_type="space")
    result().push_report_to_hub("me/kept-report", excerpts=True)
    assert read_card(hub.files("me/kept-report", "spaces")["README.md"])["title"] == "Mine"


def test_a_report_that_cannot_be_pushed_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_me_secret")
    with pytest.raises(InputError, match="excerpts='no' is unknown"):
        result().push_report_to_hub("me/x", excerpts="no")
    with pytest.raises(InputError, match="has no namespace"):
        result().push_report_to_hub("x")
