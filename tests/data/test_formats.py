"""The door: every shape of row, every unusable cell, every kind of source."""

import json
import shutil
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf.data.formats import Example, InvalidCell, Turn, detect
from shed_hf.data.loading import load_source
from shed_hf.data.pool import read_pool
from shed_hf.errors import InputError
from shed_hf.utils.text import is_blank
from tests.helpers.rows import make_rows

NAN = float("nan")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: not is_blank(text))


def read(columns: dict[str, list[Any]], mapping: dict[str, str] | None = None) -> list[Example]:
    pool = read_pool(Dataset.from_dict(columns), mapping)
    return pool.examples(np.arange(len(pool)))


def said(user: str, assistant: str) -> tuple[Turn, ...]:
    return (Turn("user", user), Turn("assistant", assistant))


def chat(*turns: tuple[str, str | None]) -> list[dict[str, str | None]]:
    return [{"role": role, "content": content} for role, content in turns]


HELLO = chat(("user", "Hi"), ("assistant", "Hello"))


# ---- shapes


@pytest.mark.parametrize(
    "columns",
    [
        {"messages": [HELLO]},
        {"conversations": [HELLO]},
        {"conversations": [[{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]]},
        {"prompt": [HELLO[:1]], "completion": [HELLO[1:]]},
        {"instruction": ["Hi"], "output": ["Hello"]},
        {"instruction": ["Hi"], "input": [""], "output": ["Hello"]},
        {"instruction": ["Hi"], "input": [None], "output": ["Hello"]},
        {"instruction": ["Hi"], "context": ["  "], "response": ["Hello"]},
        {"question": ["Hi"], "answer": ["Hello"]},
    ],
)
def test_every_shape_of_a_conversation_is_read_as_the_same_turns(columns: dict[str, list[Any]]) -> None:
    (example,) = read(columns)
    assert example.turns == said("Hi", "Hello")
    assert (example.completion, example.text, example.verbatim) == ("Hello", "Hi\nHello", False)
    assert (example.options, example.answer) == ((), -1)


def test_prompt_and_completion_as_strings_are_verbatim() -> None:
    assert read({"prompt": ["Q: "], "completion": [" A"]}) == [Example(said("Q: ", " A"), verbatim=True)]


def test_text_is_all_completion() -> None:
    assert read({"text": ["once"]}) == [Example((Turn("assistant", "once"),), verbatim=True)]


@pytest.mark.parametrize("name", ["input", "context"])
def test_the_input_of_an_instruction_follows_it(name: str) -> None:
    (example,) = read({"instruction": ["Add."], name: ["1 2"], "output": ["3"]})
    assert example.turns[0].content == "Add.\n\n1 2"


def test_a_conversation_ends_with_its_last_answered_turn() -> None:
    messages = [*chat(("system", "Be kind.")), *HELLO, *chat(("user", "And?"), ("assistant", ""))]
    (example,) = read({"messages": [messages]})
    assert example.turns == (Turn("system", "Be kind."), *said("Hi", "Hello"))


@pytest.mark.parametrize(
    ("choices", "answer"),
    [
        (["red", "blue", "green"], "B"),
        (["red", "blue", "green"], "blue"),
        ({"text": ["red", "blue", "green"], "label": ["1", "2", "3"]}, "2"),
        ({"text": ["red", "blue", "green"], "label": [1, 2, 3]}, 2),
        ({"text": ["red", "blue", "green"], "label": ["A", "B", "C"]}, "blue"),
    ],
)
def test_an_answer_is_an_index_a_label_or_a_text_of_the_choices(choices: Any, answer: int | str) -> None:
    (example,) = read({"question": ["Sky?"], "choices": [choices], "answerKey": [answer]})
    assert example == Example(said("Sky?", "blue"), options=("red", "blue", "green"), answer=1, given=1)


def test_answering_replaces_only_the_completion() -> None:
    (example,) = read({"messages": [[*HELLO, *chat(("user", "Bye"), ("assistant", "See you"))]]})
    assert example.answering("No").turns == (*example.turns[:-1], Turn("assistant", "No"))


# ---- whole messages


CALL = {"type": "function", "function": {"name": "look", "arguments": {"at": "sky"}}}
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def message(**keys: Any) -> dict[str, Any]:
    return keys


def read_one(row: dict[str, Any], mapping: dict[str, str | None] | None = None) -> Example:
    return detect(list(row), mapping).read(row)


def test_a_message_keeps_every_key_that_has_a_value() -> None:
    turns = [
        message(role="user", content="Hi", name="ann", tool_calls=None),
        message(role="assistant", content=None, tool_calls=[CALL]),
    ]
    example = read_one({"messages": turns})
    assert [turn.message for turn in example.turns] == [
        {"role": "user", "content": "Hi", "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
    ]
    assert json.loads(example.completion) == [CALL]
    assert example.text.startswith("Hi\n[{")


def test_what_stands_behind_the_last_answer_is_kept_apart() -> None:
    example = read_one({"messages": [*HELLO, *chat(("user", "And?"))]})
    assert (example.completion, example.after) == ("Hello", (Turn("user", "And?"),))
    assert example.as_item().after == example.answering("No").after == ()


def test_calls_and_results_of_sharegpt_are_those_of_messages() -> None:
    called = '{"name": "look", "arguments": {"at": "sky"}}'
    shared = [
        {"from": "human", "value": "Look"}, {"from": "function_call", "value": called},
        {"from": "observation", "value": "blue"}, {"from": "gpt", "value": "It is blue"},
    ]  # fmt: skip
    spelled = [
        message(role="user", content="Look"), message(role="assistant", content="", tool_calls=[CALL]),
        message(role="tool", content="blue"), message(role="assistant", content="It is blue"),
    ]  # fmt: skip
    tools, system = json.dumps([LOOK]), "Be brief."
    one = read_one({"conversations": shared, "tools": tools, "system": system})
    other = read_one({"messages": [message(role="system", content=system), *spelled], "tools": [LOOK]})
    assert one == other
    assert one.inputs == {"tools": [LOOK]}


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([*HELLO, message(role="assistant", content="x", weight=0)], "weight: 0"),
        ([{"from": "human", "value": "a"}, {"from": "function_call", "value": "look()"}], "function_call"),
        ([message(role="user", content=[{"type": "image"}]), HELLO[1]], "content parts"),
        ([message(role="user", content=7), HELLO[1]], "content 7"),
        ([HELLO[0], message(role="assistant", content="", tool_calls=[{1, 2}])], "tool_calls"),
    ],
)
def test_a_message_that_cannot_be_shown_as_it_is_meant_is_refused(messages: Any, problem: str) -> None:
    with pytest.raises(InvalidCell, match=f"column '(messages|conversations)' holds .*{problem}"):
        read_one({"messages": messages})


@pytest.mark.parametrize("weight", [None, 1, 1.0])
def test_a_message_of_full_weight_is_like_any_other(weight: Any) -> None:
    turns = [HELLO[0], {**HELLO[1], "weight": weight}]
    assert read_one({"messages": turns}) == read_one({"messages": HELLO})


def test_text_parts_are_shown_as_they_are_and_read_as_text() -> None:
    parts = [{"type": "text", "text": "Hi "}, {"type": "text", "text": "there"}]
    example = read_one({"messages": [message(role="user", content=parts), HELLO[1]]})
    assert (example.turns[0].content, example.turns[0].message["content"]) == ("Hi there", parts)


@pytest.mark.parametrize("tools", ["{", 3, ["look"], "[1]"])
def test_tools_that_are_no_schemas_are_refused(tools: Any) -> None:
    with pytest.raises(InvalidCell, match="column 'tools' holds"):
        read_one({"messages": HELLO, "tools": tools})


@pytest.mark.parametrize("tools", [None, "", "null"])
def test_a_row_may_have_no_tools(tools: Any) -> None:
    assert read_one({"messages": HELLO, "tools": tools}) == read_one({"messages": HELLO})


def test_a_template_argument_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidCell, match="column 'chat_template_kwargs' holds"):
        read_one({"messages": HELLO, "chat_template_kwargs": {"tokenize": False}})
    row = {"messages": HELLO, "chat_template_kwargs": {"enable_thinking": False}}
    assert read_one(row).inputs == {"enable_thinking": False}


# ---- parts of a prompt in columns of their own


@pytest.mark.parametrize("name", ["system", "system_prompt", "system_message"])
@pytest.mark.parametrize(
    "row",
    [
        {"messages": HELLO}, {"prompt": HELLO[:1], "completion": HELLO[1:]}, {"instruction": "Hi", "output": "Hello"},
        {"question": "Hi", "answer": "Hello"}, {"question": "Hi", "choices": ["Hello", "Bye"], "answer": 0},
    ],
)  # fmt: skip
def test_a_system_prompt_stands_before_the_conversation(name: str, row: dict[str, Any]) -> None:
    plain, example = read_one(row), read_one({**row, name: "Be kind."})
    assert example.turns == (Turn("system", "Be kind."), *said("Hi", "Hello"))
    assert example.given == plain.given + bool(plain.given)
    assert read_one({**row, name: " "}) == read_one({**row, name: None}) == plain
    assert read_one({**row, name: "Be kind."}, {"system": None}) == plain
    assert read_one({**row, "persona": "Be kind."}, {"system": "persona"}) == example


def test_two_system_prompts_are_refused_and_one_said_twice_is_one() -> None:
    turns = [*chat(("system", "Be kind.")), *HELLO]
    assert read_one({"messages": turns, "system": "Be kind."}) == read_one({"messages": turns})
    with pytest.raises(
        InvalidCell, match=r"'system' holds the system prompt 'Be rude\.'.*columns=\{\"system\": None\}"
    ):
        read_one({"messages": turns, "system": "Be rude."})


@pytest.mark.parametrize("name", ["context", "article", "passage"])
def test_a_question_follows_its_context(name: str) -> None:
    for answer in ({"answer": "There"}, {"choices": ["a", "b"], "answer": "b"}):
        asked = read_one({"question": "Where?", name: "A cat sat.", **answer}).turns[0].content
        assert asked == "A cat sat.\n\nWhere?"
    told = read_one({"instruction": "Sum up.", name: "A cat sat.", "output": "x"}).turns[0].content
    assert told == "Sum up.\n\nA cat sat."


@pytest.mark.parametrize("history", [[["Hi", "Hello"]], HELLO])
def test_history_stands_before_an_instruction_and_is_not_learned(history: Any) -> None:
    example = read_one({"instruction": "And?", "output": "Bye", "history": history})
    assert example.turns == (*said("Hi", "Hello"), *said("And?", "Bye"))
    assert example.given == 3


@pytest.mark.parametrize("history", ["Hi", [["Hi"]], [3], [["Hi", None]]])
def test_a_history_of_no_exchanges_is_refused(history: Any) -> None:
    with pytest.raises(InvalidCell, match="column 'history' holds"):
        read_one({"instruction": "And?", "output": "Bye", "history": history})


@pytest.mark.parametrize("beside", [{"system": "Be kind."}, {"tools": [LOOK]}])
def test_a_verbatim_prompt_has_no_place_for_more(beside: dict[str, Any]) -> None:
    row = {"prompt": "Q", "completion": "A", **beside}
    (part,) = beside
    with pytest.raises(InvalidCell, match=rf"'{part}' has no place beside a prompt .* columns=\{{'{part}': None\}}"):
        read_one(row)
    assert read_one(row, {part: None}) == read_one({"prompt": "Q", "completion": "A"})


def test_a_part_or_a_column_left_out_is_not_read() -> None:
    assert detect(["instruction", "input", "output"], {"input": None}).columns.keys() == {"instruction", "output"}
    assert detect(["instruction", "output", "prompt", "completion"], {"prompt": None}).name == "instruction"
    assert detect(["text", "images"], {"images": None}).name == "text"


# ---- which shape


def test_the_first_shape_that_fits_wins() -> None:
    columns = ["text", "question", "answer", "instruction", "output", "prompt", "completion", "messages"]
    names = []
    while columns:
        names.append(detect(columns).name)
        columns.pop() if names[-1] in ("messages", "text") else (columns.pop(), columns.pop())
    assert names == ["messages", "prompt+completion", "instruction", "question", "text"]


def test_a_mapping_picks_shape_and_columns() -> None:
    columns: dict[str, list[Any]] = {"messages": [HELLO], "query": ["Q"], "reply": ["A"], "output": ["no"]}
    (example,) = read(columns, {"instruction": "query", "output": "reply"})
    assert example.turns == said("Q", "A")


@pytest.mark.parametrize(
    ("names", "mapping", "parts"),
    [
        (["query", "reply"], None, ["['query', 'reply']", "instruction", "messages", "columns="]),
        (["a"], {"instruction": "b"}, ["'b'", "['a']"]),
        (["a"], {"prompts": "a"}, ["'prompts'", "'prompt'", "'instruction'"]),
        (["text", "a"], {"instruction": "a"}, ["{'instruction': 'a'}", "expected"]),
        ([], None, ["[]", "expected"]),
    ],
)
def test_columns_that_fit_no_shape_are_named_with_what_would(
    names: list[str], mapping: dict[str, str] | None, parts: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        detect(names, mapping)
    assert all(part in str(caught.value) for part in parts), caught.value


# ---- unusable cells

GOOD = {
    "instruction": ["a", "b"], "output": ["c", "d"], "prompt": ["a", "b"], "completion": ["c", "d"],
    "question": ["a", "b"], "answer": ["c", "d"], "text": ["a", "b"],
}  # fmt: skip
OTHER = {"instruction": "output", "output": "instruction", "prompt": "completion", "completion": "prompt"}
OTHER |= {"question": "answer", "answer": "question"}


@pytest.mark.parametrize("column", GOOD)
@pytest.mark.parametrize(("cell", "problem"), [(None, "None"), ("", "empty"), (" \n", "whitespace"), (7, "int")])
def test_an_unusable_text_names_its_row_and_column(column: str, cell: Any, problem: str) -> None:
    cells = [7, 7] if cell == 7 else [GOOD[column][0], cell]  # a column of an Arrow table has one type
    columns = {column: cells} | ({OTHER[column]: GOOD[OTHER[column]]} if column in OTHER else {})
    with pytest.raises(InputError) as caught:
        read(columns)
    assert all(part in str(caught.value) for part in (f"row {0 if cell == 7 else 1}:", f"'{column}'", problem))


def test_nan_is_a_missing_cell() -> None:
    with pytest.raises(InputError, match=r"2 rows .* row 0: column 'output' is None"):
        read({"instruction": ["a", "b"], "output": [NAN, NAN]})


def test_an_input_that_is_no_text_is_named() -> None:
    with pytest.raises(InputError, match=r"row 0: column 'input' holds 3, a int"):
        read({"instruction": ["a"], "input": [3], "output": ["b"]})


@pytest.mark.parametrize(
    "cell",
    [
        None,
        [],
        chat(("user", "Hi")),
        chat(("user", "Hi"), ("assistant", " ")),
        chat(("user", None), ("assistant", "Hello")),
        [{"role": None, "content": "Hi"}],
    ],
)
def test_a_conversation_that_cannot_be_learned_from_names_its_row_and_column(cell: Any) -> None:
    with pytest.raises(InputError, match=r"1 rows .* row 1: column 'messages' h"):
        read({"messages": [HELLO, cell]})


def test_a_column_of_texts_is_no_column_of_conversations() -> None:
    with pytest.raises(InputError, match=r"row 0: column 'messages' holds 'Hi', not a list"):
        read({"messages": ["Hi"]})
    with pytest.raises(InputError, match=r"row 0: column 'messages' holds the message 'Hi', not a dict"):
        read({"messages": [["Hi"]]})


@pytest.mark.parametrize("completion", [None, chat(("user", "Hi")), chat(("assistant", ""))])
def test_a_completion_without_an_assistant_names_its_row_and_column(completion: Any) -> None:
    with pytest.raises(InputError, match=r"row 1: column 'completion'|row 1: column 'prompt'"):
        read({"prompt": [HELLO[:1]] * 2, "completion": [HELLO[1:], completion]})


@pytest.mark.parametrize(
    "choices", [None, [], ["red"], ["red", None], ["red", " "], ["red", "red"], {"text": ["red"], "label": ["A"]},
                {"text": None, "label": None}]
)  # fmt: skip
def test_fewer_than_two_choices_name_their_row_and_column(choices: Any) -> None:
    usable: Any = {"text": ["a", "b"], "label": ["A", "B"]} if isinstance(choices, dict) else ["a", "b"]
    with pytest.raises(InputError, match=r"1 rows .* row 1: column 'choices' holds"):
        read({"question": ["q", "q"], "choices": [usable, choices], "answer": ["A", "A"]})


@pytest.mark.parametrize("choices", ["red", 3])
def test_choices_that_are_no_list_name_their_row_and_column(choices: Any) -> None:
    with pytest.raises(InputError, match=r"row 0: column 'choices' holds"):
        read({"question": ["q"], "choices": [choices], "answer": ["A"]})


@pytest.mark.parametrize(("good", "bad"), [(0, 3), (0, -1), ("A", "C"), ("A", "purple"), ("A", None), (True, True)])
def test_an_answer_that_is_no_choice_names_its_row_and_column(good: Any, bad: Any) -> None:
    with pytest.raises(InputError, match=r"column 'answer' holds .*, none of the 2 choices"):
        read({"question": ["q", "q"], "choices": [["red", "blue"]] * 2, "answer": [good, bad]})


def test_dropped_rows_are_marked_and_the_others_keep_their_numbers() -> None:
    dataset = Dataset.from_dict({"text": ["a", None, "b", " "]})
    pool = read_pool(dataset, drop_invalid=True)
    assert pool.invalid.tolist() == [False, True, False, True]
    assert (len(pool), pool.texts(np.array([2, 0]))) == (4, ["b", "a"])
    with pytest.raises(InputError, match=r"2 rows that cannot be read.*drop_invalid=True"):
        read_pool(dataset)


def test_a_dataset_without_a_usable_row_is_refused_even_when_dropping() -> None:
    with pytest.raises(InputError, match=r"eval_dataset has no row that can be read.*'text' is empty"):
        read_pool(Dataset.from_dict({"text": ["", None]}), drop_invalid=True, name="eval_dataset")


def test_an_invalid_cell_says_its_column() -> None:
    with pytest.raises(InvalidCell, match="column 'text' is None"):
        detect(["text"]).read({"text": None})


# ---- sources


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv", "parquet", "folder", "folder_of_splits"])
def test_a_path_is_read_like_the_dataset_it_holds(tmp_path: Path, suffix: str) -> None:
    dataset, path = Dataset.from_list(make_rows(6)), tmp_path / f"rows.{suffix}"
    {
        "json": lambda: path.write_text(json.dumps(make_rows(6))),
        "jsonl": lambda: dataset.to_json(path),
        "csv": lambda: dataset.to_csv(path),
        "parquet": lambda: dataset.to_parquet(path),
        "folder": lambda: dataset.save_to_disk(path),
        "folder_of_splits": lambda: DatasetDict(train=dataset).save_to_disk(path),
    }[suffix]()
    assert load_source(path).to_list() == load_source(str(path)).to_list() == make_rows(6)


def test_a_split_is_taken_by_name_and_need_not_be_named_when_there_is_one() -> None:
    first, second = Dataset.from_dict({"text": ["a"]}), Dataset.from_dict({"text": ["b"]})
    assert load_source(DatasetDict(train=first, test=second), "test")["text"] == ["b"]
    assert load_source(DatasetDict(only=first))["text"] == ["a"]
    for split in (None, "validation"):
        with pytest.raises(InputError, match=rf"\['train', 'test'\], split={split!r}; pass split="):
            load_source(DatasetDict(train=first, test=second), split)


@pytest.mark.parametrize("thing", [None, 3, ("a",)])
def test_anything_else_is_refused_by_its_type(thing: Any) -> None:
    with pytest.raises(InputError, match=f"is a {type(thing).__name__}; pass a datasets.Dataset"):
        load_source(thing)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("a")
    with pytest.raises(InputError, match=r"ends in '\.txt'; pass a \.jsonl"):
        load_source(tmp_path / "rows.txt")


def test_an_empty_dataset_is_refused() -> None:
    with pytest.raises(InputError, match="dataset has 0 rows"):
        read_pool(Dataset.from_dict({"text": []}))


# ---- content


@pytest.mark.parametrize("kind", ["torch", "numpy", "pandas", "arrow"])
def test_the_format_a_dataset_is_set_to_does_not_matter(kind: str) -> None:
    for columns in ({"text": ["a", "b"]}, {"messages": [HELLO, HELLO]}):
        plain = Dataset.from_dict(columns)
        pool, other = read_pool(plain), read_pool(plain.with_format(kind))
        assert pool.digest == other.digest
        assert pool.examples(np.arange(2)) == other.examples(np.arange(2))


def test_digests_are_of_content_not_of_the_file_or_the_fingerprint(tmp_path: Path) -> None:
    dataset = Dataset.from_list(make_rows(10))
    dataset.save_to_disk(tmp_path / "here")
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = datasets.load_from_disk(tmp_path / "there")
    assert moved._fingerprint != dataset._fingerprint
    assert read_pool(moved).digest == read_pool(dataset).digest


def test_digests_follow_their_rows() -> None:
    dataset, order = Dataset.from_list(make_rows(10)), np.random.default_rng(0).permutation(10)
    pool, shuffled = read_pool(dataset), read_pool(dataset.select(order))
    assert (shuffled.digests == pool.digests[order]).all()
    assert shuffled.digest != pool.digest
    assert len(np.unique(pool.digests, axis=0)) == 10
    assert pool.digests_of([np.array([3]), np.array([3, 1])]) == {r: pool.digests[r].tobytes() for r in (1, 3)}


def test_keys_fold_case_and_blanks_and_digests_do_not() -> None:
    pool = read_pool(Dataset.from_dict({"text": ["The  cat\n", "the CAT", "the cats"]}))
    assert pool.keys[0].tobytes() == pool.keys[1].tobytes() != pool.keys[2].tobytes()
    assert len(np.unique(pool.digests, axis=0)) == 3


def test_columns_that_are_not_read_are_never_decoded() -> None:
    columns = {"text": ["a", "b"], "picture": [{"bytes": b"not an image", "path": None}] * 2}
    dataset = Dataset.from_dict(columns).cast_column("picture", datasets.Image())
    with pytest.raises(Exception, match=r"image|Pillow"):
        dataset[0]
    assert read_pool(dataset).texts(np.arange(2)) == ["a", "b"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_any_text_is_read_unchanged(pairs: list[tuple[str, str]]) -> None:
    questions, answers = [list(side) for side in zip(*pairs, strict=True)]
    asked = read({"instruction": questions, "output": answers})
    written = read({"prompt": questions, "completion": answers})
    assert [example.turns for example in asked] == [said(*pair) for pair in pairs]
    assert [example.turns for example in written] == [said(*pair) for pair in pairs]
