"""Words of strangers on a card: shown as they are, and never obeyed."""

import html
import unicodedata
from itertools import islice

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shed_hf.hub.markdown import as_code, escaped, fenced
from shed_hf.utils.text import EXCERPT, excerpt
from tests.helpers.markdown import HOSTILE, markdown, seen

RAW = set('|`<>[]{}#*_~\\&$@:"^')
quick = settings(max_examples=60, deadline=None)
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
nasty = st.lists(st.sampled_from([*"|`<>[](){}#*_~\\&$@:!-+=.\n\t ", "www.", "http://", "&#", "a"]), max_size=80)
texts = st.one_of(anything, nasty.map("".join))


def without_entities(line: str) -> str:
    return "".join(part.partition(";")[2] if number else part for number, part in enumerate(line.split("&#")))


def assert_harmless(text: str) -> None:
    line = escaped(text)
    assert not RAW & set(without_entities(line)), line
    assert len(line.splitlines()) <= 1
    assert line == " ".join(line.split())
    assert not any(unicodedata.category(mark).startswith("C") for mark in line)
    assert max(map(len, html.unescape(line).split()), default=0) <= 40


# ---- escaped


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_one_line_without_structure(name: str) -> None:
    assert_harmless(HOSTILE[name])


@quick
@given(texts)
@example("a\u2028b\x85c\x1cd")
@example("&#38;#124;")
def test_any_text_is_one_line_without_structure(text: str) -> None:
    assert_harmless(text)


@pytest.mark.parametrize("name", sorted(set(HOSTILE) - {"no blank"}))
def test_a_reader_sees_the_beginning_of_the_text(name: str) -> None:
    text = HOSTILE[name]
    visible = " ".join("".join(m for m in text if m.isspace() or unicodedata.category(m)[0] != "C").split())
    shown = html.unescape(escaped(text))
    assert visible == shown or (visible.startswith(shown.removesuffix("…").rstrip()) and len(visible) > EXCERPT)
    assert shown


@quick
@given(texts)
def test_nothing_is_lost_but_the_rest_of_a_long_text_or_word(text: str) -> None:
    shown, visible = html.unescape(escaped(text)).split(), excerpt(text).split()
    assert len(shown) == len(visible)
    for word, whole in zip(shown, visible, strict=True):
        assert word == whole or (len(whole) >= 40 and word.endswith("…") and whole.startswith(word[:-1]))


def test_a_long_text_and_a_long_word_are_cut() -> None:
    assert escaped(HOSTILE["no blank"]) == "x" * 39 + "…"
    assert len(html.unescape(escaped("| " * 100_000))) <= EXCERPT
    assert escaped("a" * 39) == "a" * 39
    assert escaped(f"{'a' * 500} end {'b' * 39}") == f"{'a' * 39}…"
    assert escaped(f"{'a' * 41} end") == f"{'a' * 39}… end"


def test_an_empty_text_stays_empty() -> None:
    assert [escaped(text) for text in ("", " \n\t", "\u200b\u202e\x00")] == ["", "", ""]


def test_plain_words_stay_readable_in_the_source() -> None:
    plain = "Bake a cake at 180 degrees (or 350 F), don't burn it! Cr\u00e8me br\u00fbl\u00e9e; 50% more +/- 1?"
    assert escaped(plain) == plain


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_reads_a_hostile_text_as_text_in_a_cell_and_in_a_heading(name: str) -> None:
    line = escaped(HOSTILE[name])
    tokens = markdown().parse(f"# {line}\n\n| a | b |\n|---|---|\n| {line} | end |\n")
    assert [token.type for token in tokens].count("tr_open") == 2
    heading, *cells = [token for token in tokens if token.type == "inline"]
    assert seen(heading) == html.unescape(line)
    assert [seen(cell) for cell in cells] == ["a", "b", html.unescape(line), "end"]
    assert not any(token.type.startswith("html") for token in tokens)


@quick
@given(texts)
@example("www.a.b http://a.b a@b.c")
def test_markdown_reads_any_text_as_text_in_a_cell(text: str) -> None:
    line = escaped(text)
    tokens = markdown().parse(f"| a | b |\n|---|---|\n| {line} | end |\n")
    assert [token.type for token in tokens].count("tr_open") == 2
    cells = [seen(token) for token in tokens if token.type == "inline"]
    assert cells == ["a", "b", html.unescape(line), "end"]


def test_addresses_are_not_left_for_a_page_to_make_links_of() -> None:
    line = escaped(HOSTILE["addresses"]).lower()
    assert all(raw not in line for raw in ("://", "www.", "@", "mailto:"))


# ---- code


@pytest.mark.parametrize(
    ("text", "code"),
    [("plain", "`plain`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("two\nlines", "`two lines`"), ("a|b", "`a¦b`")],
)
def test_short_code_survives_what_is_in_it(text: str, code: str) -> None:
    assert as_code(text) == code


@pytest.mark.parametrize("text", [*HOSTILE.values(), "", " ", "\u202e"], ids=[*HOSTILE, "empty", "blank", "invisible"])
def test_short_code_is_read_as_nothing_but_code(text: str) -> None:
    inside = f"| a | b |\n|---|---|\n| before {as_code(text)} after | end |\n"
    tokens = markdown().parse(inside)
    cells = [token for token in tokens if token.type == "inline"]
    assert len(cells) == 4, inside
    children = [child for child in cells[2].children or [] if child.content.strip()]
    assert {child.type for child in children[1:-1]} <= {"code_inline"}
    assert "`" not in children[0].content + children[-1].content, "the reader sees the backticks"


@quick
@given(texts.filter(lambda text: excerpt(text) != ""))
def test_any_short_code_is_read_as_itself(text: str) -> None:
    (inline,) = (token for token in markdown().parse(f"x{as_code(text)}x") if token.type == "inline")
    before, code, after = inline.children or []
    assert (before.content, code.type, after.content) == ("x", "code_inline", "x")
    assert code.content.strip() == excerpt(text).replace("|", "¦")


@pytest.mark.parametrize("length", range(7))
def test_a_fence_is_longer_than_any_run_of_backticks_inside(length: int) -> None:
    code = f"first\n{'`' * length}\nlast"
    (token,) = markdown().parse(fenced(code, "text"))
    assert (token.type, token.info, token.content) == ("fence", "text", f"{code}\n")


@quick
@given(st.lists(st.sampled_from(["`", "``", "```", "~~~", "\n", "a", "    ", "<!--"]), max_size=30).map("".join))
def test_any_code_in_a_fence_is_one_block_with_the_page_going_on_behind_it(code: str) -> None:
    tokens = markdown().parse(f"{fenced(code)}\n\n## Behind\n")
    assert [token.type for token in islice(tokens, 2)] == ["fence", "heading_open"]
    assert tokens[0].content == f"{code}\n"
