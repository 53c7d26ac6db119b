"""How an example becomes text, and how the text's tokens are marked as learned or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from shed_hf.data.chat_template import ChatTemplate, Segment, Unrenderable
from shed_hf.data.examples import Example
from shed_hf.types import BoolVector

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Text(NamedTuple):
    """A text to tokenise.

    Attributes:
        text: The text.
        special: Whether the tokenizer adds its special tokens; a chat template writes its own.
    """

    text: str
    special: bool


class Encoded:
    """The ids of texts and where their tokens stand; every text is read once, all of a kind together.

    Args:
        tokenizer: The model's tokenizer.
        texts: Any number; equal ones are read once.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", texts: Sequence[Text]) -> None:
        self.tokenizer = tokenizer
        self._encodings: dict[Text, tuple[list[int], list[tuple[int, int]]]] = {}
        for special in (False, True):
            wanted = list(dict.fromkeys(text for text in texts if text.special == special))
            if wanted:
                encoded = tokenizer(
                    [text.text for text in wanted],
                    add_special_tokens=special,
                    return_offsets_mapping=True,
                    verbose=False,
                )
                self._encodings |= zip(
                    wanted, zip(encoded["input_ids"], encoded["offset_mapping"], strict=True), strict=True
                )

    def ids(self, text: Text) -> list[int]:
        """The token ids of a text.

        Args:
            text: One of the texts.

        Returns:
            ``t`` ids.
        """
        return self._encodings[text][0]

    def offsets(self, text: Text) -> list[tuple[int, int]]:
        """Where the tokens of a text stand.

        Args:
            text: One of the texts.

        Returns:
            ``t`` pairs of the first character and the one behind the last.
        """
        return self._encodings[text][1]


class Rendered(Protocol):
    """An example as texts, and how their tokens become the row's."""

    @property
    def texts(self) -> list[Text]: ...

    def tokens(self, encoded: Encoded) -> tuple[list[int], BoolVector]: ...


@dataclass(frozen=True)
class _AfterPrompt:
    """Everything is learned from where the tokens of prompt and whole part; without a prompt, all of it."""

    prompt: Text | None
    whole: Text

    @property
    def texts(self) -> list[Text]:
        return [self.whole] if self.prompt is None else [self.prompt, self.whole]

    def tokens(self, encoded: Encoded) -> tuple[list[int], BoolVector]:
        ids = encoded.ids(self.whole)
        start = 0 if self.prompt is None else _shared(encoded.ids(self.prompt), ids)
        return ids, np.arange(len(ids)) >= start


def _shared(prompt: Sequence[int], whole: Sequence[int]) -> int:
    """How many tokens two texts begin with alike."""
    same = [one == other for one, other in zip(prompt, whole, strict=False)]
    return same.index(False) if False in same else len(same)


@dataclass(frozen=True)
class _InPieces:
    """A token is learned where its last character stands in a piece that is."""

    pieces: Sequence[Segment]
    special: bool

    @property
    def texts(self) -> list[Text]:
        return [Text("".join(piece.text for piece in self.pieces), self.special)]

    def tokens(self, encoded: Encoded) -> tuple[list[int], BoolVector]:
        (whole,) = self.texts
        ends = np.cumsum([len(piece.text) for piece in self.pieces])
        last_characters = np.array([end - 1 for _, end in encoded.offsets(whole)], dtype=np.int64)
        owners = np.searchsorted(ends, last_characters, side="right")
        learned = np.array([piece.learned for piece in self.pieces])[np.minimum(owners, len(self.pieces) - 1)]
        return encoded.ids(whole), learned & (last_characters >= 0)  # what the tokenizer adds stands nowhere in it


@dataclass(frozen=True)
class _InAnswers:
    """Every answer is learned from where its tokens and those of the text before it part, to its last character."""

    pieces: Sequence[Segment]

    @property
    def texts(self) -> list[Text]:
        starts = np.cumsum([0, *(len(piece.text) for piece in self.pieces)])
        whole = "".join(piece.text for piece in self.pieces)
        before = [whole[:start] for start, piece in zip(starts, self.pieces, strict=False) if piece.learned]
        return [Text(text, False) for text in (whole, *before)]

    def tokens(self, encoded: Encoded) -> tuple[list[int], BoolVector]:
        whole, *before = self.texts
        ids = encoded.ids(whole)
        last_characters = np.array([end - 1 for _, end in encoded.offsets(whole)], dtype=np.int64)
        learned = np.zeros(len(ids), dtype=np.bool_)
        for prompt, piece in zip(before, (piece for piece in self.pieces if piece.learned), strict=True):
            end = len(prompt.text) + len(piece.text)
            learned[_shared(encoded.ids(prompt), ids) : np.searchsorted(last_characters, end)] = True
        return ids, learned


@dataclass(frozen=True)
class _InMarks:
    """A token is learned where the chat template's marks say so."""

    inputs: dict[str, Any]

    @property
    def texts(self) -> list[Text]:
        return []

    def tokens(self, encoded: Encoded) -> tuple[list[int], BoolVector]:
        tokenizer = encoded.tokenizer
        row = tokenizer.apply_chat_template(**self.inputs, return_dict=True, return_assistant_tokens_mask=True)
        learned = np.array(row["assistant_masks"], dtype=np.bool_)
        if not learned.any():
            raise Unrenderable(
                f"the chat template of {tokenizer.name_or_path!r} marks nothing of it as the assistant's; pass "
                "prompt + completion"
            )
        return list(row["input_ids"]), learned


def rendered(example: Example, template: ChatTemplate | None, tokenizer: "PreTrainedTokenizerBase") -> Rendered:
    """The texts of an example, and how their tokens are marked.

    Args:
        example: Any example.
        template: The tokenizer's chat template; None where it has none.
        tokenizer: The model's tokenizer.

    Returns:
        What the tokenizer has to read, and what to make of it.

    Raises:
        Unrenderable: For an example that cannot be shown.
    """
    if example.verbatim:
        prompt, whole = _verbatim(example, tokenizer)
        return _AfterPrompt(Text(prompt, True) if prompt else None, Text(whole, True))
    if template is None:
        return _InPieces(render_plainly(example, tokenizer), special=True)
    if example.given:
        before, all_of_it = template.prompt_and_whole(example)
        return _AfterPrompt(Text(before, False), Text(all_of_it, False))
    return _InMarks(template.marked_inputs(example)) if template.marked else _InAnswers(template.segments(example))


def prompt_text(
    example: Example, template: ChatTemplate | None, tokenizer: "PreTrainedTokenizerBase"
) -> tuple[str, bool]:
    """What an evaluation item's completion is generated after.

    Args:
        example: An item.
        template: The tokenizer's chat template; None where it has none.
        tokenizer: The model's tokenizer.

    Returns:
        The text, and whether the tokenizer adds its special tokens to it.

    Raises:
        Unrenderable: For an item that cannot be shown.
    """
    if template is not None and not example.verbatim:
        return template.prompt(example), False
    if example.verbatim:
        return _verbatim(example, tokenizer)[0], True
    return "".join(piece.text for piece in render_plainly(example, tokenizer)[:-1]), True


def _ended(completion: str, tokenizer: "PreTrainedTokenizerBase") -> str:
    eos = str(tokenizer.eos_token)
    return completion if completion.endswith(eos) else completion + eos


def _verbatim(example: Example, tokenizer: "PreTrainedTokenizerBase") -> tuple[str, str]:
    """The prompt, empty where there is none, and prompt and completion."""
    prompt = "".join(turn.content for turn in example.turns[:-1])
    return prompt, prompt + (_ended(example.completion, tokenizer) if example.ended else example.completion)


_ALPACA = {"user": "### Instruction:\n{}\n\n### Response:\n", "system": "{}\n\n"}
_WITHOUT_TEMPLATE = {"name", "id"}
"""What a message may have beside its text where nothing but text is shown."""


def render_plainly(example: Example, tokenizer: "PreTrainedTokenizerBase") -> list[Segment]:
    """A conversation in the layout of Alpaca, for models without a chat template.

    Args:
        example: A conversation.
        tokenizer: The model's tokenizer.

    Returns:
        Pieces whose texts joined are what the model reads.

    Raises:
        Unrenderable: For a message or an example with what only a chat template could show.
    """
    inputs = [name for name, value in example.inputs.items() if value]
    keys = [key for turn in example.turns for key in turn.keys if key not in _WITHOUT_TEMPLATE]
    if inputs or keys:
        raise Unrenderable(
            f"it has {(inputs + keys)[0]!r}, and the tokenizer {tokenizer.name_or_path!r} has no chat template to show "
            "it by; set tokenizer.chat_template, or leave it out"
        )
    segments = []
    for place, turn in enumerate(example.turns):
        if turn.role == "assistant":
            last = place == len(example.turns) - 1
            text = _ended(turn.content, tokenizer) if last else f"{turn.content}\n\n"
            segments.append(Segment(text, learned=place >= example.given))
        else:
            segments.append(Segment(_ALPACA.get(turn.role, "{}\n\n").format(turn.content), False))
    return segments
