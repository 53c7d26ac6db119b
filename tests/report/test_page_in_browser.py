"""The page in a browser: drawn, without complaint, at every width and colour scheme, by mouse and by keyboard alone."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, Given
from shed_hf.results.embedding_map import EmbeddingMap
from tests.helpers.browser import Browser, browser, found_browser
from tests.helpers.curations import curated_of
from tests.helpers.hostile_rows import TEXTS, hostile
from tests.helpers.rows import make_rows

pytestmark = pytest.mark.skipif(found_browser() is None, reason="there is no Chromium on this machine")

MOST_MILLISECONDS = 250
"""How long drawing a map of 10,000 rows may take on a busy machine; a frame of an idle one is a tenth of that."""


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(hostile().report(tmp_path_factory.mktemp("report") / "report.html"))


def shown(tab: Browser, name: str) -> str:
    return str(tab.run(f"document.getElementById('{name}').innerText"))


def is_well(tab: Browser, page: Path) -> None:
    """Drawn to the end, with nothing asked of the network, nothing refused, nothing broken out and nothing cut off."""
    assert tab.run("document.documentElement.dataset.drawn") == "yes"
    assert tab.run("document.documentElement.dataset.broken === undefined")
    assert tab.complaints == []
    assert tab.requests == [page.as_uri()]
    assert tab.run("document.documentElement.scrollWidth <= window.innerWidth")
    assert tab.run(
        "document.getElementById('forest').scrollWidth <= document.getElementById('forest').parentElement.clientWidth"
    )


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_hostile_rows_are_shown_and_do_not_break_out(tab: Browser, page: Path, dark: bool, phone: bool) -> None:
    tab.open(page, width=360 if phone else 1280, dark=dark, phone=phone)
    seen = ""
    for cluster in range(4):
        tab.run(f"document.querySelector('[data-cluster=\"{cluster}\"]').click()")
        tab.run("for (const which of ['kept', 'left']) document.getElementById(`more-${which}`).click()")
        seen += tab.run("[...document.querySelectorAll('.rows .text')].map((each) => each.textContent).join()")
        is_well(tab, page)
    assert all(text in seen for text in TEXTS[:6])
    assert tab.run("document.querySelectorAll('script').length") == 3
    assert tab.run("document.querySelectorAll('.rows img, .rows svg, .rows script').length") == 0


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_without_scripts_the_page_can_be_read_and_nothing_is_cut_off(tab: Browser, page: Path, phone: bool) -> None:
    tab.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(page, width=360 if phone else 1280, phone=phone)
        seen = tab.run("document.body.innerText")
        assert tab.run("document.documentElement.dataset.drawn === undefined")
        assert tab.run("document.documentElement.scrollWidth <= window.innerWidth")
        assert tab.run("document.querySelectorAll('#forest tbody tr').length") == 4
        assert tab.run("document.querySelectorAll('script').length") == 3
    finally:
        tab.send("Emulation.setScriptExecutionDisabled", value=False)
    for words in ("The ranking of the clusters", "What it cost", "17 outcomes", "+3.0000", "shed_hf.curate("):
        assert words in seen
    for words in ("Chosen by", "Copy the code", "Show more"):
        assert words not in seen


def unusual(kind: str) -> CuratedDataset:
    """Results that lack what most have."""
    pool = Dataset.from_list(make_rows(40))
    if kind == "no game":
        return curated_of(pool, 10, sampler="longest", estimator=None)
    if kind == "one cluster":
        return curated_of(pool.select(range(0, 40, 4)), 3, proxy_sets=1)
    if kind == "noise":
        return curated_of(pool, 35, clusterer=Given([number % 4 - 1 for number in range(40)]))
    valued = curated_of(pool, 10).valued
    return replace(curated_of(pool, 10), valued=replace(valued, source=None, merit=None))


@pytest.mark.parametrize("kind", ["no game", "one cluster", "noise", "no source"])
def test_results_that_lack_something_are_drawn_as_far_as_they_go(tab: Browser, tmp_path: Path, kind: str) -> None:
    page = Path(unusual(kind).report(tmp_path / "page.html"))
    tab.open(page)
    is_well(tab, page)
    for stop in (0, 5):
        tab.run(f"document.getElementById('size').value = {stop}; "
                "document.getElementById('size').dispatchEvent(new Event('input'))")  # fmt: skip
    tab.run("document.querySelector('#forest tbody tr:last-child button').click()")
    is_well(tab, page)
    assert ("Worth" in shown(tab, "forest")) == (kind != "no game")
    assert ("rows in no cluster" in shown(tab, "forest")) == (kind == "noise")
    assert ("not on this page" in shown(tab, "rows")) == (kind == "no source")


def test_a_rows_nearness_is_told_as_a_cosine_beside_its_clusters_worth(tab: Browser, tmp_path: Path) -> None:
    items = Dataset.from_list(make_rows(6, seed=5))
    near = curated_of(Dataset.from_list(make_rows(40)), 10, sampler="retrieval", eval_dataset=items)
    tab.open(Path(near.report(tmp_path / "page.html")))
    tab.run("document.querySelector('#forest tbody tr:first-child button').click()")
    told = shown(tab, "kept-rows") + shown(tab, "left-rows")
    assert "Its mean cosine with evaluation items: +0." in told
    assert "own worth" not in told


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(tab: Browser, page: Path, dark: bool) -> None:
    tab.open(page, dark=dark)
    ratios = tab.run(
        """(() => {
        const light = (colour) => { const [r, g, b] = colour.match(/[\\d.]+/g).map((c) => { const s = c / 255;
          return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; }); return 0.2126*r + 0.7152*g + 0.0722*b; };
        const behind = (e) => { const c = getComputedStyle(e).backgroundColor;
          return c !== 'rgba(0, 0, 0, 0)' || !e.parentElement ? c : behind(e.parentElement); };
        return [...document.querySelectorAll('h1, h2, p, dd, dt, td, button:not(:disabled), li, text')].map((e) => {
          const [a, b] = [light(getComputedStyle(e)[e.tagName === 'text' ? 'fill' : 'color']), light(behind(e))];
          return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.tagName + '#' + e.id + '.' + e.className]; });
        })()"""
    )
    assert len(ratios) > 50
    assert min(ratios)[0] >= 4.5, min(ratios)  # WCAG 2.2, 1.4.3


def test_the_slider_redraws_the_subset_and_the_button_brings_it_back(tab: Browser, page: Path) -> None:
    tab.open(page)
    before, bright = shown(tab, "subset-words"), tab.run("document.getElementById('forest').innerText")
    assert before.startswith("Kept: 26 rows of 104 (25 %)")
    tab.run("document.getElementById('sampler').value = 1; "
            "document.getElementById('sampler').dispatchEvent(new Event('change'))")  # fmt: skip
    assert 'sampler="qwcs"' in shown(tab, "subset-code")
    tab.run("document.getElementById('size').value = 999; "
            "document.getElementById('size').dispatchEvent(new Event('input'))")  # fmt: skip
    assert shown(tab, "subset-words").startswith("Another subset would keep 104 rows of 104 (100 %)")
    assert shown(tab, "left-title").startswith("Not kept: 0 rows")
    assert "curated.resample(size=104" in shown(tab, "subset-code")
    tab.run("document.getElementById('as-kept').click()")
    assert (shown(tab, "subset-words"), tab.run("document.getElementById('forest').innerText")) == (before, bright)


def test_every_number_of_the_subset_fits_the_rows_that_are_lit(tab: Browser, page: Path) -> None:
    tab.open(page)
    for sampler in range(3):
        for stop in (3, 20, 41):
            counted = tab.run(
                f"""(() => {{ const s = document.getElementById('sampler'), z = document.getElementById('size');
                s.value = {sampler}; s.dispatchEvent(new Event('change'));
                z.value = {stop}; z.dispatchEvent(new Event('input'));
                const shares = document.querySelectorAll('#forest .count:last-child');
                const lit = [...shares].map((e) => parseInt(e.innerText));
                const kept = parseInt(document.getElementById('kept-title').innerText.split(' ')[1]);
                return [lit.reduce((a, b) => a + b), parseInt(z.getAttribute('aria-valuetext')), kept,
                  parseInt(document.querySelector('tr.chosen .count:last-child').innerText),
                  document.getElementById('kept-title').innerText.includes('on this page')]; }})()"""
            )
            total, size, listed, in_table, cut = counted
            assert (total, listed, cut) == (size, in_table, False)


def test_clusters_are_sorted_and_chosen_by_keyboard_alone(tab: Browser, page: Path) -> None:
    tab.open(page)
    tab.press("Tab")
    assert tab.run("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(60):
        tab.press("Tab")
        reached.add(tab.run("document.activeElement.id || document.activeElement.dataset.cluster"))
    assert {"sampler", "size", "sort-value", "sort-name", "sort-size", "sort-share", "map", "copy-code", "0"} <= reached
    tab.run("document.getElementById('sort-size').focus()")
    tab.press("Enter")
    assert tab.run("document.getElementById('sort-size').closest('th').getAttribute('aria-sort')") == "descending"
    assert tab.run("document.activeElement.id") == "sort-size"
    tab.run("document.querySelector('[data-cluster=\"2\"]').focus()")
    tab.press("Enter")
    assert tab.run("document.activeElement.getAttribute('aria-pressed')") == "true"
    assert tab.run("document.activeElement.dataset.cluster") == "2"
    assert tab.run("document.activeElement.innerText") in shown(tab, "rows-title")


def test_the_map_is_walked_by_arrow_keys_and_tells_the_row(tab: Browser, page: Path) -> None:
    tab.open(page)
    tab.run("document.getElementById('map').focus()")
    told = set()
    for key in ("ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown") * 3:
        tab.press(key)
        told.add(shown(tab, "tip"))
    assert len(told) > 2
    assert all("Row " in each and " · worth " in each for each in told)
    tab.press("Enter")
    name = tab.run("document.querySelector('#tip strong').innerText")
    assert name in shown(tab, "rows-title")
    tab.press("Escape")
    assert tab.run("document.getElementById('tip').hidden")


def test_pointing_at_a_dot_shows_its_row_and_a_click_chooses_its_cluster(tab: Browser, page: Path) -> None:
    tab.open(page, height=2400)
    box = tab.run("(() => { const { x, y, width, height } = document.getElementById('map').getBoundingClientRect(); "
                  "return [x, y, width, height]; })()")  # fmt: skip
    x, y, width, height = box
    for step in range(400):
        at = x + width * (step % 20 + 0.5) / 20, y + height * (step // 20 + 0.5) / 20
        tab.point(*at)
        if not tab.run("document.getElementById('tip').hidden"):
            break
    name = tab.run("document.querySelector('#tip strong').innerText")
    tab.point(*at, click=True)
    assert name in shown(tab, "rows-title")


def test_ten_thousand_rows_are_drawn_without_delay(tab: Browser, tmp_path: Path) -> None:
    page = Path(ten_thousand().report(tmp_path / "large.html"))
    tab.open(page)
    assert tab.run("document.getElementById('map').dataset.dots") == "10000"
    step = """(() => { const slider = document.getElementById('size'), started = performance.now();
        slider.value -= 1; slider.dispatchEvent(new Event('input')); return performance.now() - started; })()"""
    times = [tab.run(step) for _ in range(7)]
    is_well(tab, page)
    assert sorted(times)[3] < 2 * MOST_MILLISECONDS
    assert float(tab.run("document.getElementById('map').dataset.milliseconds")) < MOST_MILLISECONDS


def ten_thousand() -> CuratedDataset:
    """The small result with each of its rows a hundred times, all on the map."""
    curated, times = hostile(), 97
    valued = curated.valued
    m = len(valued.pool_rows) * times
    plane = EmbeddingMap(
        np.arange(m)[:10_000], np.random.default_rng(0).normal(size=(m, 2)).astype(np.float32)[:10_000]
    )
    labels = np.tile(valued.clustering.labels, times)
    valued = replace(
        valued,
        pool_rows=np.arange(m),
        digests=np.tile(valued.digests, (times, 1)),
        clustering=replace(valued.clustering, labels=labels),
        embedding_map=plane,
        source=None,
    )
    return replace(curated, valued=valued)
