"""A tokenizer's chat template: the text of a conversation, and where in it the assistant speaks.

TRL is the reference. A prompt and its completion go through the template as it is; of a conversation whose every answer
is learned, TRL reads the marks ``{% generation %}``, for which it exchanges templates that it knows. Where it has no
marks, an answer is what its turn adds to the text of the turns before it, provided that it only adds.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from shed_hf.data.examples import Example, Turn
from shed_hf.errors import InputError
from shed_hf.utils.text import first_line

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WORD = re.compile(r"\w+")
_LOOKED_AT = 2000
"""Of a long message, the characters in which a word is looked for that the rendered text must have."""

_TRAINING_TEMPLATES: dict[str, str | None] = {}
"""What TRL has for a template, by the template's text: it renders probes to find out."""


class Segment(NamedTuple):
    """A piece of the rendered text.

    Attributes:
        text: The piece.
        learned: Whether the loss is taken on it.
    """

    text: str
    learned: bool


class Unrenderable(InputError):
    """A row that a chat template refuses, or does not show as it is meant."""


@dataclass(frozen=True, eq=False)
class ChatTemplate:
    """A tokenizer's chat template, and the one that marks the assistant's turns.

    Attributes:
        tokenizer: The tokenizer, which has a chat template.
        marked: The template with ``{% generation %}`` marks; None where there is none.
    """

    tokenizer: "PreTrainedTokenizerBase"
    marked: str | None

    @classmethod
    def of(cls, tokenizer: "PreTrainedTokenizerBase") -> "ChatTemplate":
        """The templates that TRL would use of a tokenizer.

        Args:
            tokenizer: A tokenizer with a chat template.

        Returns:
            The template; with marks where it has them, or where TRL knows it.
        """
        template = _default(tokenizer)
        if template not in _TRAINING_TEMPLATES:
            _TRAINING_TEMPLATES[template] = _marked(template, tokenizer)
        return cls(tokenizer, _TRAINING_TEMPLATES[template])

    def prompt_and_whole(self, example: Example) -> tuple[str, str]:
        """The texts of a prompt and of prompt and completion, rendered each by itself, as TRL does.

        Args:
            example: An example with a prompt.

        Returns:
            The prompt, up to where the assistant begins, and the whole.

        Raises:
            Unrenderable: Where the template refuses either.
        """
        prompt = self._text(example, example.turns[: example.given], ask=True)
        whole = self._text(example, example.turns)
        self._check_shown(example, whole)
        return prompt, whole

    def prompt(self, example: Example) -> str:
        """The text before the last turn, up to where the assistant begins.

        Args:
            example: An evaluation item.

        Returns:
            The prompt; empty where there is none.

        Raises:
            Unrenderable: Where the template refuses it.
        """
        if len(example.turns) == 1:
            return ""
        return self._text(example, example.turns[:-1], ask=True, template=None if example.given else self.marked)

    def marked_inputs(self, example: Example) -> dict[str, Any]:
        """What ``apply_chat_template`` is called with for a conversation whose every answer is learned.

        Args:
            example: A conversation, where the template has marks.

        Returns:
            Arguments by name.

        Raises:
            Unrenderable: Where the template refuses it, or does not show it as it is meant.
        """
        turns = (*example.turns, *example.after)
        self._check_shown(example, self._text(example, turns, template=self.marked))
        return {
            "conversation": [turn.message for turn in turns],
            "chat_template": self.marked,
            "tools": example.inputs.get("tools"),
            **{name: value for name, value in example.inputs.items() if name != "tools"},
        }

    def segments(self, example: Example) -> list[Segment]:
        """The text of a conversation in pieces, each learned or not; for templates without marks.

        Args:
            example: A conversation whose every answer is learned.

        Returns:
            Pieces whose texts joined are what the model reads. For instance::

                [("<|im_start|>user\\nHi<|im_end|>\\n<|im_start|>assistant\\n", False), ("Hello!<|im_end|>\\n", True)]

        Raises:
            Unrenderable: Where the template refuses the conversation, or renders a part of it differently once more
                follows, so that nobody can say where an answer begins and ends.
        """
        turns = (*example.turns, *example.after)
        whole = self._text(example, turns)
        segments, done = [], 0
        for place, turn in enumerate(turns):
            if turn.role == "assistant":
                prompt = self._prefix(example, turns, place, whole)
                answered = self._answered(example, turns[: place + 1], whole)
                if not (whole.startswith(answered) and answered.startswith(prompt) and done <= len(prompt)):
                    raise Unrenderable(
                        f"the chat template of {self.tokenizer.name_or_path!r} renders a conversation differently once "
                        "it is answered or goes on, so the completion cannot be told from the prompt; pass prompt + "
                        "completion, or a template with {% generation %} marks"
                    )
                segments += [
                    Segment(whole[done : len(prompt)], False),
                    Segment(whole[len(prompt) : len(answered)], True),
                ]
                done = len(answered)
        self._check_shown(example, whole)
        segments.append(Segment(whole[done:], False))
        return [segment for segment in segments if segment.text]

    def _answered(self, example: Example, turns: Sequence[Turn], whole: str) -> str:
        """The text of the first turns, less the end that some templates put behind whatever is the last."""
        text = self._text(example, turns)
        if whole.startswith(text):
            return text
        ends = (f"{self.tokenizer.eos_token}\n", str(self.tokenizer.eos_token))
        return next((text.removesuffix(end) for end in ends if text.endswith(end)), text)

    def _prefix(self, example: Example, turns: Sequence[Turn], place: int, whole: str) -> str:
        """The text before an answer, with what opens it."""
        if place:
            return self._text(example, turns[:place], ask=True)
        opening = self._opening(example)
        said = [self._text(example, [Turn("assistant", mark)]) for mark in ("x", "y")]
        same = [len(set(marks)) == 1 for marks in zip(*said, whole, strict=False)]
        prefix = whole[: same.index(False) if False in same else len(same)]
        if not opening or not prefix.endswith(opening):
            raise Unrenderable(
                f"the conversation begins with the assistant, and the chat template of {self.tokenizer.name_or_path!r} "
                "does not show where its answer begins; put a user's turn before it"
            )
        return prefix

    def _opening(self, example: Example) -> str:
        """What the template writes for the assistant to begin."""
        asked = self._text(example, [Turn("user", "x")], ask=True)
        return asked.removeprefix(self._answered(example, [Turn("user", "x")], asked))

    def _text(self, example: Example, turns: Sequence[Turn], ask: bool = False, template: str | None = None) -> str:
        inputs = example.inputs
        try:
            rendered = self.tokenizer.apply_chat_template(
                [turn.message for turn in turns],
                tokenize=False,
                add_generation_prompt=ask,
                chat_template=template,
                tools=inputs.pop("tools", None),
                **inputs,
            )
        except Exception as error:  # a template is its author's program, and raises what it likes
            raise Unrenderable(
                f"the chat template of {self.tokenizer.name_or_path!r} refuses it ({first_line(error)})"
            ) from error
        return str(rendered)

    def _check_shown(self, example: Example, text: str) -> None:
        """Refuse a rendering that leaves out what the model was to read: some templates pass over what they lack."""
        for key, words in _to_be_shown(example):
            missing = next((word for word in words if word not in text), None)
            if missing is not None:
                raise Unrenderable(
                    f"the chat template of {self.tokenizer.name_or_path!r} shows nothing of its {key} ({missing!r:.40}"
                    " is not in the rendered text); pass a model whose template does, or leave it out"
                )
        for turn in example.turns:
            parts = turn.keys.get("content")
            if parts and str(parts) in text:
                raise Unrenderable(
                    f"the chat template of {self.tokenizer.name_or_path!r} writes a list of content parts out as code; "
                    "pass content as text"
                )


def _to_be_shown(example: Example) -> list[tuple[str, list[str]]]:
    """Keys of a row, and words that stand in a text where they are shown.

    What an earlier turn of the assistant says may be left out by design, as thoughts are.
    """
    shown = [("tools", [name for tool in example.inputs.get("tools") or [] if (name := _name(tool))])]
    for turn in example.turns:
        keys = turn.keys
        calls = [*(keys.get("tool_calls") or []), *([keys["function_call"]] if keys.get("function_call") else [])]
        shown.append(("tool_calls", [name for call in calls if (name := _name(call))]))
        if turn.role != "assistant" or (turn is example.turns[-1] and not calls):
            words = _WORD.findall(turn.content.rpartition("</think>")[2][:_LOOKED_AT])
            shown.append((f"{turn.role} turn", sorted(words, key=len)[-1:]))
    return shown


def _name(schema: Any) -> str:
    """The name of a tool's schema or call, in either of the ways it is written."""
    if not isinstance(schema, dict):
        return ""
    function = schema.get("function")
    name = (function if isinstance(function, dict) else schema).get("name")
    return name if isinstance(name, str) else ""


def _default(tokenizer: "PreTrainedTokenizerBase") -> str:
    """The template, of several the one for plain conversations."""
    template = tokenizer.chat_template
    return str(template["default"] if isinstance(template, dict) else template)


def _marked(template: str, tokenizer: "PreTrainedTokenizerBase") -> str | None:
    from trl.chat_template_utils import get_training_chat_template, has_generation_markers

    if has_generation_markers(template):
        return template
    try:
        known: str | None = get_training_chat_template(tokenizer)
    except Exception:  # ValueError where TRL knows none; its probes end in whatever the template raises
        return None
    return known
