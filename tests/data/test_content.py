"""The content of rows as digests, which ledgers and saved results know rows by."""

import hashlib
import re
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shed_hf.data.content import content_digest, key_of, normalised, quoted
from shed_hf.data.examples import Example, Turn

SIGNS = "aZ 'ß\"\\\n\t\r\x00\x1c\x7f\x85\xa0éİ\u2003\u2028\u200b\ud800😀"
texts = st.text(st.sampled_from(SIGNS) | st.characters(), max_size=40)
turns = st.lists(st.builds(Turn, texts, texts, st.just("") | texts), min_size=1, max_size=3).map(tuple)
many = settings(max_examples=300, deadline=None)


def blake(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@many
@given(text=texts)
def test_a_text_is_quoted_as_repr_quotes_it(text: str) -> None:
    assert quoted(text) == repr(text)


def test_signs_of_every_kind_are_quoted_as_repr_quotes_it() -> None:
    signs = map(chr, [*range(0x3100), *range(0x3100, sys.maxunicode + 1, 37)])
    assert [sign for sign in signs if quoted(sign) != repr(sign)] == []


@many
@given(text=texts)
@example("  Two\u2003 words\x85 \n")
@example("")
@example("\x1c")
def test_keys_are_of_texts_with_case_and_blanks_folded(text: str) -> None:
    folded = re.sub(r"\s+", " ", text).strip().casefold()
    assert normalised(text) == folded
    assert key_of(text) == blake(folded)


def test_every_sign_is_folded_between_others() -> None:
    wrong = []
    for start in range(0, sys.maxunicode + 1, 256):
        text = "".join(f"A{chr(number)}b" for number in range(start, start + 256))
        if key_of(text) != blake(re.sub(r"\s+", " ", text).casefold()):
            wrong.append(start)
    assert wrong == []


@many
@given(
    turns=turns, options=st.lists(texts, max_size=2).map(tuple), verbatim=st.booleans(), number=st.integers(0, 3),
    inputs=st.just("") | texts, after=st.just(()) | turns,
    name=st.sampled_from(["messages", "prompt+completion", "instruction"]),
)  # fmt: skip
@example((Turn("assistant", "hi"),), (), False, 1, "", (), "messages")
def test_content_is_written_as_python_writes_its_parts(
    turns: tuple[Turn, ...], options: tuple[str, ...], verbatim: bool, number: int, inputs: str,
    after: tuple[Turn, ...], name: str,
) -> None:  # fmt: skip
    row = Example(turns, verbatim, options, given=number, template_inputs=inputs, after=after)
    known = (turns, verbatim, options, number if name == "prompt+completion" else 0)
    assistant_first = name == "messages" and turns[0].role == "assistant"
    beside = (inputs, after, assistant_first) if inputs or after or assistant_first else ()
    assert content_digest(row, name) == blake(repr((*known, *beside)))


@pytest.mark.parametrize(
    ("row", "name", "expected"),
    [
        (
            Example((Turn("user", "Say 'dog'.\n"), Turn("assistant", "Dog."))),
            "instruction",
            "6949e0ea455e4175b44f01d7cc8e59ea",
        ),
        (Example((Turn("assistant", "Once upon\ta time"),), verbatim=True), "text", "a85837869e3bc5745805ff1c1a370f2d"),
    ],
)
def test_the_digests_of_the_first_version_are_still_those(row: Example, name: str, expected: str) -> None:
    assert content_digest(row, name).hex() == expected
