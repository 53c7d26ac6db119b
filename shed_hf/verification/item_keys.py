"""Digests of evaluation items, kept with a result so that test items equal to one are found without the items."""

from collections.abc import Sequence
from dataclasses import dataclass

from shed_hf.data.content import key_of
from shed_hf.data.formats import Example, RowFormat
from shed_hf.errors import InputError
from shed_hf.errors.safe_text import one_line

KEY_BYTES = 8
"""The length of a key; two texts that differ share theirs with a probability of 5e-20."""

MOST_ITEMS = 8_192
"""Of more items no keys are kept."""


@dataclass(frozen=True)
class ItemKeys:
    """The texts of items, folded and hashed, with what rows share before them and without.

    Attributes:
        keys: The beginnings of their digests.
    """

    keys: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, items: Sequence[Example], row_format: RowFormat) -> "ItemKeys":
        """The keys of items.

        Args:
            items: The items.
            row_format: How rows of the pool are read, which tells what they share.
        """
        return cls(frozenset(_key(text) for item in items for text in (item.text, row_format.text_of(item))))

    def __contains__(self, text: str) -> bool:
        return _key(text) in self.keys

    def to_text(self) -> str:
        """The keys as a recipe holds them: hexadecimal digits, ascending."""
        return "".join(sorted(key.hex() for key in self.keys))

    @classmethod
    def from_text(cls, text: str) -> "ItemKeys":
        """The keys that `to_text` wrote.

        Args:
            text: The recipe's entry.

        Raises:
            InputError: For any other text.
        """
        try:
            content = bytes.fromhex(text)
        except ValueError:
            content = b"?"
        if len(content) % KEY_BYTES:
            raise InputError(
                f"the recipe's keys of evaluation items are damaged: {one_line(text, 40)!r} is no list of {KEY_BYTES} "
                "bytes each; get the result again, or pass eval_dataset="
            )
        return cls(frozenset(content[at : at + KEY_BYTES] for at in range(0, len(content), KEY_BYTES)))


def _key(text: str) -> bytes:
    return key_of(text)[:KEY_BYTES]
