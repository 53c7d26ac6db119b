"""Rows that try to break out of where they are shown."""

from functools import cache

from datasets import Dataset

from shed_hf import CuratedDataset
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows

TEXTS = [
    "<script>document.documentElement.dataset.broken = 1</script>",
    "</script><script>document.documentElement.dataset.broken = 2</script>",
    "</SCRIPT ><img src=x onerror=\"document.documentElement.dataset.broken = 3\">",
    "<!--<script>",
    "-->]]><svg onload=document.documentElement.dataset.broken=4>",
    "&lt;b&gt; &amp; \" ' ` \\u003c {{ 7 * 7 }} {% raw %} ${7*7}",
    "\u202eright to left override\u2066 and isolates \u202c",
    "\u05d0\u05d1\u05d2 \u0627\u0644\u0639\u0631\u0628\u064a\u0629 mixed with left",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07 \x00 nul",
    "w" * 100_000,
    "line\u2028separator\u2029paragraph😀",
    "javascript:alert(1) https://example.org/steal?x=1",
    "![x](https://example.org/x.png) <link rel=stylesheet href=//example.org/x.css>",
]  # fmt: skip


@cache
def hostile() -> CuratedDataset:
    """A result in which every row's words, and thereby clusters' terms, are hostile."""
    rows = make_rows(104)
    for number, row in enumerate(rows):
        text = TEXTS[number // 4 % len(TEXTS)]
        row["instruction"] = f"{text} {row['instruction']}" if number % 2 else f"{row['instruction']} {text}"
    return curated_of(Dataset.from_list(rows), 26)
