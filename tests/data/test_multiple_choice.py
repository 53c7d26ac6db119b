"""Multiple choice as datasets publish it: where the options are, and what the answer means."""

from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from shed_hf.data.formats import RowFormat
from shed_hf.data.multiple_choice import choices_of, find_parts, number_of
from shed_hf.data.pool import read_pool
from shed_hf.errors import InputError

COLOURS = ["red", "blue", "green", "pink"]


def answers(rows: list[dict[str, Any]], columns: dict[str, str | None] | None = None, drop: bool = False) -> list[str]:
    """The completion of every row that can be read."""
    pool = read_pool(Dataset.from_list(rows), columns, drop)
    examples = pool.examples(np.flatnonzero(~pool.invalid))
    assert all(example.options[example.answer] == example.completion for example in examples)
    return [example.completion for example in examples]


def quiz(*given: Any, choices: Any = COLOURS, column: str = "answer") -> list[dict[str, Any]]:
    return [{"question": f"Question {n}?", "choices": choices, column: answer} for n, answer in enumerate(given)]


# ---- where the options are


@pytest.mark.parametrize(
    ("row", "right", "n_options"),
    [
        ({"question_id": 7, "question": "q", "options": COLOURS, "answer": "B", "answer_index": 1}, "blue", 4),
        ({"example_id": "h1", "article": "long", "question": "q", "options": COLOURS, "answer": "C"}, "green", 4),
        ({"question": "q", "answer": "blue", "options": {"A": "red", "B": "blue"}, "answer_idx": "B"}, "blue", 2),
        ({"question": "q", "options": {"A": "red", "B": "blue", "C": "green"}, "answer_idx": "C"}, "green", 3),
        ({"question": "q", "choices": {"text": COLOURS, "label": list("ABCD")}, "answerKey": "D"}, "pink", 4),
        ({"question": "q", "choices": {"text": COLOURS, "label": list("1234")}, "answerKey": "3"}, "green", 4),
        ({"question_stem": "q", "choices": {"text": COLOURS, "label": list("ABCD")}, "answerKey": "B"}, "blue", 4),
        ({"question": {"stem": "q", "choices": [{"label": "A", "text": "red"}, {"label": "B", "text": "blue"}]},
          "answerKey": "B"}, "blue", 2),
        ({"question": "q", "choices": [{"label": "A", "text": "red"}, {"label": "B", "text": "blue"}], "answer": "A"},
         "red", 2),
        ({"question": "q", "distractor1": "red", "distractor2": "blue", "distractor3": "pink",
          "correct_answer": "green", "support": "s"}, "green", 4),
        ({"question": "q", "opa": "red", "opb": "blue", "opc": "green", "opd": "pink", "cop": 0}, "red", 4),
        ({"goal": "q", "sol1": "red", "sol2": "blue", "label": 0}, "red", 2),
        ({"sentence": "q _", "option1": "red", "option2": "blue", "answer": "2"}, "blue", 2),
        ({"context": "c", "question": "q", "answerA": "red", "answerB": "blue", "answerC": "green", "label": "3"},
         "green", 3),
        ({"question": "q", "A": "red", "B": "blue", "C": "green", "D": "pink", "answer": "C"}, "green", 4),
        ({"ctx": "q", "endings": COLOURS, "label": "0"}, "red", 4),
        ({"question": "q", "options": '["red", "blue"]', "answer": "B"}, "blue", 2),
    ],
)  # fmt: skip
def test_published_shapes_are_read_with_their_options(row: dict[str, Any], right: str, n_options: int) -> None:
    pool = read_pool(Dataset.from_list([row]))
    (example,) = pool.examples([0])
    assert (example.completion, len(example.options), pool.format.name) == (right, n_options, "question")
    assert example.options[example.answer] == right
    assert example.turns[0].content.endswith(("q", "q _"))


def test_an_option_that_a_row_lacks_is_no_option() -> None:
    rows = [
        {"question": "q", "options": {"A": "red", "B": "blue"}, "answer": "B"},
        {"question": "q", "options": {"A": "red", "B": "blue", "C": "green"}, "answer": "C"},
    ]
    pool = read_pool(Dataset.from_list(rows))
    assert [example.options for example in pool.examples([0, 1])] == [("red", "blue"), ("red", "blue", "green")]
    apart = [
        {"question": "q", "option1": "red", "option2": "blue", "option3": three, "answer": "A"} for three in ("x", None)
    ]
    assert [len(one.options) for one in read_pool(Dataset.from_list(apart)).examples([0, 1])] == [3, 2]


def test_columns_without_choices_are_no_multiple_choice() -> None:
    assert find_parts(["question", "answer", "label", "opinion"], {}) == {}
    (example,) = read_pool(Dataset.from_list([{"question": "2 + 2?", "answer": "4", "label": 1}])).examples([0])
    assert (example.completion, example.options) == ("4", ())


# ---- what the answer means


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ((0, 1, 2), ["red", "blue", "green"]),
        ((1, 2, 4), ["red", "blue", "pink"]),
        ((4.0, 1.0), ["pink", "red"]),
        (("0", "3"), ["red", "pink"]),
        (("1", "4"), ["red", "pink"]),
        (("B", "D"), ["blue", "pink"]),
        (("b", "(d)"), ["blue", "pink"]),
        (("B.", "D)"), ["blue", "pink"]),
        (("blue", "pink"), ["blue", "pink"]),
        (("B", "pink"), ["blue", "pink"]),
    ],
)
def test_an_answer_is_a_label_a_text_or_a_number_from_0_or_1(given: tuple[Any, ...], right: list[str]) -> None:
    for column in ("answer", "answerKey", "answer_index", "answer_idx", "label", "cop"):
        assert answers(quiz(*given, column=column)) == right


@pytest.mark.parametrize(
    ("given", "choices", "one", "other"),
    [
        ((1, 2), COLOURS, "answer_from_0", "answer_from_1"),
        ((3, 3, 1), COLOURS, "answer_from_0", "answer_from_1"),
        (("1", "2"), COLOURS, "answer_from_0", "answer_from_1"),
        (("A",), ["B", "A", "D", "C"], "answer_label", "answer_text"),
        (("C", "C"), ["A", "C", "B"], "answer_label", "answer_text"),
        (("2",), ["1", "2", "3"], "answer_text", "answer_from_0"),
    ],
)
@pytest.mark.parametrize("drop", [False, True])
def test_answers_that_nothing_decides_are_an_error_that_says_how_to(
    given: tuple[Any, ...], choices: list[str], one: str, other: str, drop: bool
) -> None:
    rows = quiz(*given, choices=choices)
    with pytest.raises(InputError, match="no row decides it") as caught:
        answers(rows, drop=drop)
    for part in (one, other):
        columns: dict[str, str | None] = {part: "answer"}
        assert f"columns={columns}" in str(caught.value)
        assert len(answers(rows, columns)) == len(given)
    assert answers(rows, {one: "answer"}) != answers(rows, {other: "answer"})


@pytest.mark.parametrize("drop", [False, True])
def test_answers_of_two_bases_are_an_error_and_the_caller_settles_it(drop: bool) -> None:
    rows = quiz(0, 4, 2)
    with pytest.raises(InputError, match=r"several kinds: 4 in row 1 is not .* from 0, 0 in row 0 is not .* from 1"):
        answers(rows, drop=drop)
    assert answers(rows, {"answer_from_0": "answer"}, drop=True) == ["red", "green"]
    assert answers(rows, {"answer_from_1": "answer"}, drop=True) == ["pink", "blue"]


def test_one_row_decides_for_all_of_them() -> None:
    assert answers(quiz(1, 2, 2, 1, 4)) == ["red", "blue", "blue", "red", "pink"]
    rows = [*quiz("A", choices=["B", "A", "D", "C"]), *quiz("C")]
    assert answers(rows) == ["B", "green"]  # "C" is no text of its choices, so letters are labels
    texts = [*quiz("A", choices=["B", "A", "D", "C"]), *quiz("K", choices=["A", "C", "K", "D"])]
    assert answers(texts) == ["A", "K"]


def test_unreadable_answers_have_no_say() -> None:
    rows = quiz(1, 4, 9, -1, None)
    assert answers(rows, drop=True) == ["red", "pink"]
    with pytest.raises(InputError, match=r"3 rows that cannot be read; the first is row 2: column 'answer' holds 9"):
        answers(rows)


@pytest.mark.parametrize("blank", [" ", "\x1c", "\u2003", "\x85\n"])
def test_numbers_stand_between_blanks_of_any_kind(blank: str) -> None:
    rows = [{"question": "?", "choices": ["cat", "dog", "cow"], "answer": f"{blank}{n}{blank}"} for n in (3, 1)]
    assert [example.completion for example in read_pool(Dataset.from_list(rows), None).examples([0, 1])] == [
        "cow",
        "cat",
    ]


def test_labels_of_the_row_come_before_counting() -> None:
    labelled = {"text": COLOURS, "label": ["1", "2", "3", "4"]}
    assert answers(quiz("1", "2", choices=labelled)) == ["red", "blue"]
    assert answers(quiz(2, choices={"text": COLOURS, "label": [2, 1, 4, 3]})) == ["red"]


def test_named_classes_count_from_0() -> None:
    features = Features(
        {"question": Value("string"), "choices": List(Value("string")), "answer": ClassLabel(names=list("ABCD"))}
    )
    dataset = Dataset.from_list(quiz(1, 2), features=features)
    assert [example.completion for example in read_pool(dataset).examples([0, 1])] == ["blue", "green"]


def test_what_was_decided_travels_with_the_format() -> None:
    """A scorer reads single rows, which decide nothing."""
    found = read_pool(Dataset.from_list(quiz(1, 4))).format
    again = RowFormat.from_json(found.as_json())
    assert again == found
    assert again.read(quiz(2)[0]).completion == "blue"


def test_formats_saved_before_count_from_0_and_refuse_what_they_cannot_tell() -> None:
    saved = RowFormat.from_json(
        {"name": "question", "columns": {"question": "question", "answer": "answer", "choices": "choices"}}
    )
    assert [saved.read(row).completion for row in quiz(2, "C", "green")] == ["green"] * 3
    with pytest.raises(InputError, match="the label of one choice and the text of another"):
        saved.read(quiz("A", choices=["B", "A"])[0])


def test_letters_whose_choices_nobody_reads_are_refused() -> None:
    rows = [{"question": "q", "answer": letter, "variants": ["red", "blue"]} for letter in ("A", "B")]
    with pytest.raises(InputError, match=r"letters, such as 'A', and column 'variants' looks like the choices"):
        read_pool(Dataset.from_list(rows))
    assert answers(rows, {"choices": "variants"}) == ["red", "blue"]
    open_ones = read_pool(Dataset.from_list(rows), {"choices": None})
    assert [example.completion for example in open_ones.examples([0, 1])] == ["A", "B"]


@pytest.mark.parametrize(
    "cell", ["red", 3, None, {"A": "red"}, {"text": ["red", None]}, [{"text": "red"}], ["x", "\u200b"]]
)
def test_what_is_no_two_texts_is_refused(cell: Any) -> None:
    with pytest.raises(InputError, match=r"column 'c' holds .*, not two or more different texts"):
        choices_of(cell, "c")


def test_two_choices_with_one_label_are_refused() -> None:
    with pytest.raises(InputError, match="gives two choices one label"):
        choices_of({"text": ["red", "blue"], "label": ["A", "A"]}, "c")


# ---- columns that fit


@pytest.mark.parametrize(
    ("row", "fitting"),
    [
        ({"id": "a1", "score": 3, "query": "how are you", "reply": "I am well"},
         {"instruction": "query", "output": "reply"}),
        ({"id": "a1", "frage": "wie geht es", "antwort": "gut so"}, {"instruction": "frage", "output": "antwort"}),
        ({"id": "a1", "solution": "it is 4", "task": "add 2 and 2"}, {"instruction": "task", "output": "solution"}),
        ({"id": "a1", "frage": "wie geht es", "mcs": ["x", "y"], "nr": 7, "wahl": 1},
         {"question": "frage", "choices": "mcs", "answer": "wahl"}),
        ({"id": 1, "chat": [{"role": "user", "content": "x"}]}, {"messages": "chat"}),
        ({"id": 1, "body": "a story of two words"}, {"text": "body"}),
    ],
)  # fmt: skip
def test_the_error_about_columns_proposes_columns_that_fit(row: dict[str, Any], fitting: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"fit no known format") as caught:
        read_pool(Dataset.from_list([row, row]))
    assert str(caught.value).endswith(f"for example {fitting}")


def test_nothing_is_proposed_where_nothing_is_text() -> None:
    with pytest.raises(InputError, match="no column holds text or messages"):
        read_pool(Dataset.from_list([{"id": 1}]))


@pytest.mark.parametrize("n_digits", [19, 4300, 4301, 20_000])
@pytest.mark.parametrize("column", ["answer", "label"])
def test_a_number_of_very_many_digits_is_no_answer(n_digits: int, column: str) -> None:
    rows = quiz("0", "7" * n_digits, "2", column=column)
    with pytest.raises(InputError, match=r"row 1\b.*'7777.*"):
        answers(rows)
    assert answers(rows, {"answer_from_0": column}, drop=True) == ["red", "green"]


@pytest.mark.parametrize(
    ("answer", "number"),
    [("0", 0), ("007", 7), ("0" * 5000, 0), ("0" * 5000 + "12", 12), (f" {10**17} ", 10**17), (f"{10**18}", None),
     ("1" * 4301, None), ("-1", None), ("", None), ("²", None), (2.0, 2), (1e300, int(1e300)), (float("inf"), None)],
)  # fmt: skip
def test_the_number_that_an_answer_is(answer: Any, number: int | None) -> None:
    assert number_of(answer) == number


def test_a_very_long_number_is_an_answer_where_it_is_a_choice() -> None:
    long = "7" * 5000
    assert answers(quiz("red", long, choices=["red", long])) == ["red", long]
