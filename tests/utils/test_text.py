"""Text made fit to be shown."""

import pytest

from shed_hf.utils.text import passage


@pytest.mark.parametrize(
    ("text", "length", "shown"),
    [
        ("one\n two  three\t4", 40, "one\ntwo three 4"),
        ("a\r\nb\x00\x1b[31mc\x7f", 40, "a\nb[31mc"),
        ("x\n\n\n\n\ny", 40, "x\n\ny"),
        ("\u202eleft\u200b grün\u2028neu", 40, "left grün neu"),
        ("  \n ", 40, ""),
        ("a" * 10, 10, "a" * 10),
        ("a" * 11, 10, "a" * 9 + "…"),
        ("\x00" * 39 + "ab", 10, "a…"),
        ("ab cdefgh ijk", 10, "ab cdefgh…"),
    ],
    ids=["lines", "controls", "many breaks", "marks", "blank", "whole", "long", "hidden", "words"],
)
def test_a_passage_keeps_line_breaks_and_nothing_that_is_not_seen(text: str, length: int, shown: str) -> None:
    assert passage(text, length) == shown
