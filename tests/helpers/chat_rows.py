"""Rows of every shape a conversation comes in, as datasets hold them."""

import json
from typing import Any

Row = dict[str, Any]


def said(role: str, content: Any, **keys: Any) -> Row:
    return {"role": role, "content": content, **keys}


SYSTEM = said("system", "Be kind to cats.")
ASK, REPLY = said("user", "Where is the cat?"), said("assistant", "In the oven, warm.")
AGAIN, DONE = said("user", "Is it still there?"), said("assistant", "No: gone twice.")
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
FUNCTION = {"name": "get_weather", "arguments": {"city": "Paris"}}
CALL = said("assistant", "", tool_calls=[{"type": "function", "function": FUNCTION}])
CALL_OF_NONE = {**CALL, "content": None}
CALL_AND_TEXT = {**CALL, "content": "Let me look."}
CALL_WITH_ID = said("assistant", "", tool_calls=[{"type": "function", "id": "abcde1234", "function": FUNCTION}])
CALL_IN_JSON = said(
    "assistant", "", tool_calls=[{"type": "function", "function": {**FUNCTION, "arguments": '{"city": "Paris"}'}}]
)
RESULT = said("tool", "21 degrees", name="get_weather", tool_call_id="abcde1234")
THOUGHT = {**REPLY, "reasoning_content": "Cats like warmth."}

CONVERSATIONS: dict[str, list[Row]] = {
    "single turn": [ASK, REPLY],
    "several turns": [ASK, REPLY, AGAIN, DONE],
    "system": [SYSTEM, ASK, REPLY],
    "system and several turns": [SYSTEM, ASK, REPLY, AGAIN, DONE],
    "assistant first": [REPLY, AGAIN, DONE],
    "only the assistant": [REPLY],
    "system, then assistant": [SYSTEM, REPLY, AGAIN, DONE],
    "two users": [ASK, AGAIN, REPLY],
    "two answers": [ASK, REPLY, DONE],
    "ends with the user": [ASK, REPLY, AGAIN],
    "empty answer last": [ASK, REPLY, AGAIN, said("assistant", "")],
    "empty answer between": [ASK, said("assistant", ""), AGAIN, DONE],
    "reasoning": [ASK, THOUGHT],
    "reasoning in every turn": [ASK, THOUGHT, AGAIN, {**DONE, "reasoning_content": "It left."}],
    "thinking": [ASK, {**REPLY, "thinking": "Cats like warmth."}],
    "thoughts in the text": [ASK, said("assistant", "<think>\nWarm.\n</think>\n\nIn the oven."), AGAIN, DONE],
    "call last": [ASK, CALL],
    "call and result": [ASK, CALL, RESULT, DONE],
    "call with content None": [ASK, CALL_OF_NONE, RESULT, DONE],
    "call with text": [ASK, CALL_AND_TEXT, RESULT, DONE],
    "call with an id": [ASK, CALL_WITH_ID, RESULT, DONE],
    "call with arguments in JSON": [ASK, CALL_IN_JSON, RESULT, DONE],
    "two results": [SYSTEM, ASK, CALL, RESULT, RESULT, DONE, AGAIN, REPLY],
    "names": [{**ASK, "name": "ann"}, REPLY],
    "missing keys": [{**ASK, "tool_calls": None, "name": None}, {**REPLY, "tool_calls": None, "weight": 1}],
    "text parts": [said("user", [{"type": "text", "text": "Where?"}]), REPLY],
    "unicode and blanks": [said("user", " é€ 猫 \n"), said("assistant", "\n\nchat <eos> 猫 ")],
    "developer": [said("developer", "Be brief."), ASK, REPLY],
    "weight": [ASK, {**REPLY, "weight": 0}, AGAIN, DONE],
}

TOOL_ROWS = [name for name in CONVERSATIONS if "call" in name or "result" in name]


def rows() -> dict[str, Row]:
    """Every conversation as messages, as prompt and completion, and with tools where it calls one."""
    found: dict[str, Row] = {}
    for name, messages in CONVERSATIONS.items():
        beside = {"tools": TOOLS} if name in TOOL_ROWS else {}
        found[f"messages: {name}"] = {"messages": messages, **beside}
        found[f"prompt + completion: {name}"] = {
            "prompt": messages[:-1] or [ASK],
            "completion": messages[-1:],
            **beside,
        }
    found["messages: tools in JSON"] = {"messages": CONVERSATIONS["call and result"], "tools": json.dumps(TOOLS)}
    found["messages: tools never called"] = {"messages": [ASK, REPLY], "tools": TOOLS}
    found["messages: no tools"] = {"messages": [ASK, REPLY], "tools": []}
    found["messages: tools are None"] = {"messages": [ASK, REPLY], "tools": None}
    found["messages: template arguments"] = {
        "messages": [ASK, REPLY], "chat_template_kwargs": {"enable_thinking": False}
    }  # fmt: skip
    found["prompt + completion: an answer in the prompt"] = {"prompt": [ASK, REPLY, AGAIN], "completion": [DONE]}
    found["prompt + completion: several turns answered"] = {"prompt": [ASK], "completion": [REPLY, AGAIN, DONE]}
    found["prompt + completion: call answered"] = {"prompt": [ASK], "completion": [CALL, RESULT, DONE], "tools": TOOLS}
    found["text prompt"] = {"prompt": "Where is the cat?", "completion": " In the oven"}
    found["text prompt that merges"] = {"prompt": "the ca", "completion": "t sat<eos>"}
    found["text"] = {"text": "the cat sat in the oven"}
    return found
