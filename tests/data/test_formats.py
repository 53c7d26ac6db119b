"""Every shape of row is read as the same turns."""

import json
from typing import Any

import pytest

from shed_hf.data.formats import Example, InvalidCell, Turn, detect
from tests.helpers.conversations import HELLO, chat, read, said

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


@pytest.mark.parametrize("name", ["messages", "conversations", "prompt", "history"])
@pytest.mark.parametrize(
    "role", ["USER", "User", "Assistant", "ASSISTANT", "System", "Tool", "Developer", "Human", "GPT", "user "]
)
def test_a_known_role_in_capitals_is_refused_with_what_to_write(role: str, name: str) -> None:
    spelt = [{"role": role, "content": "Hi", "name": None}, *HELLO]
    row = {
        "messages": {"messages": spelt},
        "conversations": {"conversations": [{"from": each["role"], "value": each["content"]} for each in spelt]},
        "prompt": {"prompt": spelt, "completion": [HELLO[1]]},
        "history": {"instruction": "Q", "output": "A", "history": spelt},
    }[name]
    with pytest.raises(InvalidCell, match=rf"'{name}' holds .*role '{role}', .*; write '{role.strip().lower()}'"):
        read_one(row)


def test_a_role_that_is_like_no_known_one_is_read_as_it_is() -> None:
    asked = chat(("ipython", "4"), ("Critic", "Right."), ("assistant", "It is 4."))
    assert [turn.role for turn in read_one({"messages": asked}).turns] == ["ipython", "Critic", "assistant"]


def test_a_conversation_that_nobody_answers_is_told_with_its_roles() -> None:
    with pytest.raises(InvalidCell, match=r"no assistant turn with text; its roles are \['user', 'bot'\]$"):
        read_one({"messages": chat(("user", "Hi"), ("bot", "Hello"), ("user", "And?"))})
    with pytest.raises(InvalidCell, match=r"'asistant'\], of which 'asistant' may mean 'assistant'$"):
        read_one({"messages": chat(("user", "Hi"), ("asistant", "Hello"))})
    with pytest.raises(InvalidCell, match=r"does not end with .*; its roles are \['assistant', 'user'\]$"):
        read_one({"prompt": chat(("user", "Hi")), "completion": chat(("assistant", "Hello"), ("user", "And?"))})


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
