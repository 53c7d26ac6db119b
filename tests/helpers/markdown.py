"""A Markdown reader for cards, and text that tries to break out of one."""

from importlib.util import find_spec

from markdown_it import MarkdownIt
from markdown_it.token import Token

from shed_hf.hub.readme import BEGIN, END

HOSTILE = {
    "emphasis": "**bold** _leaning_ ~~gone~~ __init__ *a",
    "structure": "# heading\n## What it cost\n- item\n1. item\n> quote\n===\n***\n    code",
    "front matter": "---\nlicense: other\ntags: [stolen]\n---\n",
    "html": "<script>alert(1)</script><b onclick=x>&amp;&lt;&#124;</b><!-- a comment --> <!-- an open one",
    "marks": f"{END}\n{BEGIN}\n{END}",
    "jinja": "{{ 7*7 }} {% for x in y %}{% endfor %} {# gone #}",
    "table": "a | b \\| c\n|---|---|\n| d | e |",
    "backticks": "`one` ``two`` ```\nfence\n``` ````four",
    "directions": "\u202eright to left\u202c \u2066isolated\u2069 \u200emark\u200f \u061c",
    "hidden": "zero\u200bwidth\ufeff join\u200der soft\u00adhyphen \u2060 \U000e0041tag",
    "control": "nul\x00bell\x07back\x08escape\x1b[31mred\x7f\x85next",
    "breaks": "line\r\nfeed\x0bvertical\x0cform\u2028separator\u2029paragraph",
    "no blank": "x" * 100_000,
    "links": "[text](javascript:alert(1)) ![img](http://e.vil/x.png) [ref]: http://e.vil <http://e.vil> [^1]",
    "addresses": "https://e.vil/a?b=c#d www.e.vil WWW.E.VIL ftp://e.vil me@e.vil mailto:me@e.vil @someone #12",
    "maths": "$x_1^2$ $$\\sum$$ \\(a\\) \\[b\\]",
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f :smile: \U0001f1e9\U0001f1ea",
    "yaml": "key: [value, 'it''s', \"q\"] & *alias !!python/object:os.system {a: b} %TAG ? - #",
    "entities": "&amp;#124; &#x7c; &copy &nbsp; \\&lt;",
    "scripts": "e\u0301 \u0939\u093f\u0928\u094d\u0926\u0940 \u05e2\u05d1\u05e8\u05d9\u05ea \u4f60\u597d \uff5c",
}


def markdown() -> MarkdownIt:
    """GitHub's Markdown; with bare addresses as links where their finder is installed."""
    if find_spec("linkify_it") is not None:
        return MarkdownIt("gfm-like")
    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def seen(inline: Token) -> str:
    """What a reader sees of a line, which must be nothing but text."""
    children = inline.children or []
    assert {child.type for child in children} <= {"text", "text_special"}, inline.content
    return "".join(child.content for child in children)
