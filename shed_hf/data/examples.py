"""What a row is once it is read: turns of a conversation, and what the chat template is given beside them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from shed_hf.errors import InputError


class Turn(NamedTuple):
    """One message of a conversation.

    Attributes:
        role: Who speaks.
        content: The text; empty where the message has none, several text parts joined.
        extra: The message's other keys as a JSON object, in their order; ``""`` where it has none.
    """

    role: str
    content: str
    extra: str = ""

    def __repr__(self) -> str:
        """As before messages had other keys: row digests are taken of it."""
        extra = f", extra={self.extra!r}" if self.extra else ""
        return f"Turn(role={self.role!r}, content={self.content!r}{extra})"

    @property
    def message(self) -> dict[str, Any]:
        """The whole message, as a chat template reads it."""
        return {"role": self.role, "content": self.content, **self.keys}

    @property
    def keys(self) -> dict[str, Any]:
        """The message's keys beyond role and content; a content that is not plain text is among them."""
        return dict(json.loads(self.extra)) if self.extra else {}

    @property
    def text(self) -> str:
        """Everything that is said: the content, and the calls of tools as JSON."""
        if not self.extra:
            return self.content
        calls = self.keys.get("tool_calls")
        called = json.dumps(calls, ensure_ascii=False) if calls else ""
        return "\n".join(part for part in (self.content, called) if part)


@dataclass(frozen=True, slots=True)
class Example:
    """One row: turns that end with the assistant's, which is the completion.

    Attributes:
        turns: The conversation.
        verbatim: Whether the model reads the texts as they are, without its chat template.
        options: The completions to choose from; empty where the question is open.
        answer: The index of the right option; -1 without options.
        given: How many turns, from the first, are a prompt that no loss is taken on, even where the assistant speaks.
            With a prompt, all that follows it is learned; with 0, every turn of the assistant.
        template_inputs: What the chat template is given beside the messages, ``tools`` and others, as a JSON object.
        after: Turns behind the completion: shown in training, never evaluated.
        ended: Whether the end-of-sequence token follows a verbatim completion. It follows in training, and not where
            options are evaluated: they are continuations, as lm-evaluation-harness scores them.
    """

    turns: tuple[Turn, ...]
    verbatim: bool = False
    options: tuple[str, ...] = ()
    answer: int = -1
    given: int = 0
    template_inputs: str = ""
    after: tuple[Turn, ...] = ()
    ended: bool = True

    @property
    def completion(self) -> str:
        """What the model should say."""
        return self.turns[-1].text

    @property
    def text(self) -> str:
        """The whole row as one text, to embed and to compare."""
        return "\n".join(filter(None, (turn.text for turn in self.turns)))

    @property
    def inputs(self) -> dict[str, Any]:
        """What the chat template is given beside the messages."""
        return dict(json.loads(self.template_inputs)) if self.template_inputs else {}

    def answering(self, completion: str) -> "Example":
        """The same conversation with another completion.

        Args:
            completion: What the assistant says instead.

        Returns:
            An example without options that ends with the completion.
        """
        turns = (*self.turns[:-1], Turn(self.turns[-1].role, completion))
        return replace(self, turns=turns, options=(), answer=-1, after=(), ended=self._ended_as_item)

    def as_item(self) -> "Example":
        """The example as it is evaluated: it ends with its last turn, and a prompt is all before that."""
        given = len(self.turns) - 1 if self.given else 0
        return replace(self, given=given, after=(), ended=self._ended_as_item)

    @property
    def _ended_as_item(self) -> bool:
        return self.ended and not (self.verbatim and self.options)


class InvalidCell(InputError):
    """A cell that makes its row unusable; `read_pool` adds the row's number.

    Args:
        column: The column of the cell.
        problem: What is wrong with it, as the rest of a sentence.
    """

    def __init__(self, column: str, problem: str) -> None:
        super().__init__(f"column {column!r} {problem}")


def as_json(value: Mapping[str, Any]) -> str:
    """A mapping as JSON in the order of its keys, or ``""`` for an empty one.

    Args:
        value: Keys to values; what is not JSON raises `TypeError`.

    Returns:
        One line.
    """
    return json.dumps(value, ensure_ascii=False) if value else ""
