"""Reads messages, as OpenAI and ShareGPT write them, and what stands beside them: system prompt, tools, history."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from shed_hf.data.examples import InvalidCell, Turn, as_json
from shed_hf.data.roles import read_role
from shed_hf.utils.text import is_blank

_READ = {"role", "from", "content", "value", "weight"}
_PLAIN = {"role", "content"}
_NOT_INPUTS = {"chat_template", "tokenize", "add_generation_prompt", "continue_final_message", "return_dict"}


def read_turns(messages: Any, column: str) -> tuple[Turn, ...]:
    """Messages as turns, with every key they have.

    Args:
        messages: A cell: a list of dicts with role and content, or with ShareGPT's from and value.
        column: The cell's column, for error messages.

    Returns:
        One turn a message.

    Raises:
        InvalidCell: For what is no list of messages, and for a message that cannot be shown as it is meant: without
            text, with a part that is not text, with ``weight: 0``, or of a role in capitals.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        raise InvalidCell(column, f"holds {messages!r:.60}, not a list of messages")
    return tuple(_turn(message, column) for message in messages)


def _turn(message: Any, column: str) -> Turn:
    if not isinstance(message, Mapping):
        raise InvalidCell(column, f"holds the message {message!r:.60}, not a dict with role and content")
    if message.keys() == _PLAIN:  # nearly all messages; the rest of this function would say the same
        role, content = message["role"], message["content"]
        if isinstance(role, str) and isinstance(content, str) and role != "function_call":
            return Turn(read_role(role, column), content)
    role, content = _first(message, "role", "from"), _first(message, "content", "value")
    keys = {key: value for key, value in message.items() if key not in _READ and value is not None}
    if not isinstance(role, str):
        raise InvalidCell(
            column, f"holds a message with role {role!r:.20} and content {content!r:.40}; both must be text"
        )
    speaker = read_role(role, column)
    if role == "function_call":
        keys, content = {"tool_calls": [_call(content, column)], **keys}, ""
    if speaker == "assistant":
        _check_weight(message, column)
    if isinstance(content, Sequence) and not isinstance(content, str):
        keys["content"], content = list(content), _joined(content, column)
    elif content is None and speaker == "assistant" and keys:
        keys["content"], content = None, ""
    if not isinstance(content, str):
        raise InvalidCell(
            column, f"holds a message with role {role!r:.20} and content {content!r:.40}; both must be text"
        )
    return Turn(speaker, content, _json(keys, column))


def _first(message: Mapping[str, Any], *names: str) -> Any:
    return next((message[name] for name in names if message.get(name) is not None), None)


def _check_weight(message: Mapping[str, Any], column: str) -> None:
    if message.get("weight") is not None and not message["weight"]:
        raise InvalidCell(
            column,
            f"holds a message with weight: {message['weight']}, and TRL would take the loss on it all the same; move "
            "it into a prompt (prompt + completion), or take the key out",
        )


def _call(content: Any, column: str) -> dict[str, Any]:
    """ShareGPT's call of a tool, a JSON text, as the other messages have it."""
    try:
        function = json.loads(content) if isinstance(content, str) else content
    except ValueError:
        function = None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise InvalidCell(column, f"holds the function_call {content!r:.60}, not JSON with name and arguments")
    return {"type": "function", "function": dict(function)}


def _joined(parts: Sequence[Any], column: str) -> str:
    texts = [part.get("text") for part in parts if isinstance(part, Mapping) and part.get("type", "text") == "text"]
    if len(texts) < len(parts) or not all(isinstance(text, str) for text in texts) or not texts:
        kinds = [part.get("type") if isinstance(part, Mapping) else type(part).__name__ for part in parts]
        raise InvalidCell(
            column, f"holds a message with content parts {kinds!r:.60}; a text model is shown only parts of type 'text'"
        )
    return "".join(map(str, texts))


def _json(keys: Mapping[str, Any], column: str) -> str:
    """The keys that are JSON; of anything else, such as a time stamp, a chat template is shown nothing either."""
    shown = {}
    for key, value in keys.items():
        try:
            shown[key] = json.loads(json.dumps(value))
        except (TypeError, ValueError):
            if key in ("tool_calls", "function_call"):
                raise InvalidCell(column, f"holds a message whose {key} {value!r:.60} is not JSON") from None
    return as_json(shown)


def with_system(turns: tuple[Turn, ...], system: Any, column: str) -> tuple[Turn, ...]:
    """The conversation after a system prompt from a column of its own.

    Args:
        turns: The conversation.
        system: The cell; None or blank where the row has no system prompt.
        column: The cell's column.

    Returns:
        The turns, with a system turn before them where there was a prompt.

    Raises:
        InvalidCell: For a cell that is no text, or a conversation that begins with another system prompt.
    """
    if system is None or (isinstance(system, str) and not system.strip()):
        return turns
    if not isinstance(system, str):
        raise InvalidCell(column, f"holds {system!r:.60}, a {type(system).__name__}, not text")
    if turns[0].role == "system" and turns[0].content != system:
        raise InvalidCell(
            column,
            f"holds the system prompt {system!r:.40}, and the conversation begins with another; pass "
            'columns={"system": None} to leave the column out',
        )
    return turns if turns[0].role == "system" else (Turn("system", system), *turns)


def read_history(history: Any, column: str) -> tuple[Turn, ...]:
    """Earlier exchanges: a list of (question, answer) pairs, or of messages.

    Args:
        history: The cell; None or empty where the row has no history.
        column: The cell's column.

    Returns:
        The turns.

    Raises:
        InvalidCell: For anything else.
    """
    if history is None or (isinstance(history, str | Sequence) and not history):
        return ()
    if not isinstance(history, Sequence) or isinstance(history, str):
        raise InvalidCell(column, f"holds {history!r:.60}, not a list of exchanges")
    if isinstance(history[0], Mapping):
        return read_turns(history, column)
    turns = []
    for pair in history:
        if not isinstance(pair, Sequence) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise InvalidCell(column, f"holds {pair!r:.60}, not a question and its answer")
        turns += [Turn("user", pair[0]), Turn("assistant", pair[1])]
    return tuple(turns)


def read_questions(questions: Any, references: Any, column: str, references_column: str) -> tuple[Turn, ...]:
    """What a user says, turn after turn, each followed by the assistant's turn that is to be generated.

    Args:
        questions: A cell: a list of texts, or one text.
        references: A cell: the right answers to the first of them, as a list or one text; None or empty without.
        column: The column of ``questions``, for error messages.
        references_column: The column of ``references``.

    Returns:
        Two turns a question; the assistant's is the reference, or empty where there is none.

    Raises:
        InvalidCell: For questions that are not texts, and for references that are not or are more than the questions.
    """
    asked = [questions] if isinstance(questions, str) else questions
    if not isinstance(asked, Sequence) or not asked or not all(_is_said(text) for text in asked):
        raise InvalidCell(column, f"holds {questions!r:.60}, not a list of texts that a user says")
    known = [references] if isinstance(references, str) else references or []
    if not isinstance(known, Sequence) or not all(text is None or isinstance(text, str) for text in known):
        raise InvalidCell(references_column, f"holds {references!r:.60}, not a list of texts")
    if len(known) > len(asked):
        raise InvalidCell(references_column, f"holds {len(known)} answers to {len(asked)} questions")
    answers = [*(text or "" for text in known), *[""] * (len(asked) - len(known))]
    return tuple(
        turn
        for text, answer in zip(asked, answers, strict=True)
        for turn in (Turn("user", text), Turn("assistant", answer))
    )


def _is_said(text: Any) -> bool:
    return isinstance(text, str) and not is_blank(text)


def read_template_inputs(
    tools: Any, arguments: Any, tools_column: str = "tools", arguments_column: str = "chat_template_kwargs"
) -> str:
    """What a chat template is given beside the messages, read as TRL reads it.

    Args:
        tools: A cell: a list of schemas, that as JSON text, or None.
        arguments: A cell: a dict of the template's own variables, or None.
        tools_column: The column of ``tools``.
        arguments_column: The column of ``arguments``.

    Returns:
        A JSON object, ``""`` where there is nothing.

    Raises:
        InvalidCell: For tools that are no list of schemas, or arguments that are no variables of a template.
    """
    inputs: dict[str, Any] = {}
    schemas = _schemas(tools, tools_column)
    if schemas is not None:
        inputs["tools"] = schemas
    if arguments is None:
        return _inputs_json(inputs, tools_column)
    if not isinstance(arguments, Mapping) or set(arguments) & _NOT_INPUTS:
        raise InvalidCell(arguments_column, f"holds {arguments!r:.60}, not variables of a chat template")
    return _inputs_json(inputs | dict(arguments), arguments_column)


def _schemas(tools: Any, column: str) -> list[Any] | None:
    found = tools
    if isinstance(tools, str):
        try:
            found = json.loads(tools) if tools.strip() else None
        except ValueError:
            raise InvalidCell(column, f"holds {tools!r:.60}, not JSON; write a list of schemas") from None
    if found is None:
        return None
    if not isinstance(found, Sequence) or not all(isinstance(schema, Mapping) for schema in found):
        raise InvalidCell(column, f"holds {tools!r:.60}, not a list of schemas of tools")
    return list(found)


def _inputs_json(inputs: Mapping[str, Any], column: str) -> str:
    try:
        return as_json(inputs)
    except (TypeError, ValueError) as error:
        raise InvalidCell(column, f"holds what is not JSON ({error})") from error
