"""Evaluation items that are given several times."""

import pytest

from shed_hf.data.evaluation_items import first_alike, repeats_earlier
from shed_hf.data.formats import Example, Turn


def item(question: str, answer: str = "yes", **parts: object) -> Example:
    return Example((Turn("user", question), Turn("assistant", answer)), **parts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        (item("  WHO is  it?"), True),
        (item("Who is she?"), False),
        (item("Who is it?", "no"), False),
        (item("Who is it?", options=("yes", "no"), answer=0), False),
    ],
)
def test_items_are_alike_whose_text_options_and_answer_are(other: Example, alike: bool) -> None:
    second = 1 if alike else 2
    assert first_alike([item("Is it?"), item("Who is it?"), other, other]).tolist() == [0, 1, second, second]


def test_of_items_that_are_alike_all_but_the_first_repeat_an_earlier_one() -> None:
    items = [item(question) for question in ("Is it?", "Who?", "is  it?", "Why?", "who?", "IS it?")]
    assert repeats_earlier(items).tolist() == [False, False, True, False, True, True]
    assert repeats_earlier([]).tolist() == []
