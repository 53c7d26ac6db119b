"""Digests of evaluation items in a recipe."""

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import InputError
from shed_hf.data.pool import read_pool
from shed_hf.verification.item_keys import KEY_BYTES, ItemKeys

SYSTEM = "You are the clerk of a shop that sells boots and umbrellas, and you answer every question in short."


def test_an_item_is_known_with_what_rows_share_before_it_and_without() -> None:
    rows = [
        [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"Is boot {number} in stock?"},
         {"role": "assistant", "content": f"Yes, {number} pairs of it."}] for number in range(40)
    ]  # fmt: skip
    pool = read_pool(Dataset.from_dict({"messages": rows}))
    assert pool.format.preambles
    item = pool.examples(np.arange(1))[0]
    keys = ItemKeys.from_text(ItemKeys.of([item], pool.format).to_text())
    assert len(keys.keys) == 2
    for text in (item.text, pool.format.text_of(item), f"  {item.text.upper()}\n"):
        assert text in keys
    assert pool.examples(np.arange(1, 2))[0].text not in keys


@pytest.mark.parametrize("text", ["0", "00" * (KEY_BYTES + 1), "wörter", "zz" * KEY_BYTES])
def test_damaged_keys_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="keys of evaluation items are damaged"):
        ItemKeys.from_text(text)
