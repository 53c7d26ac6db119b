"""Columns that nobody reads: text is reported once by name, pictures and sound are refused unless they are left out."""

import warnings
from typing import Any

import datasets
import pytest
from datasets import Dataset

from shed_hf.data.pool import read_pool
from shed_hf.data.unread_columns import refuse_media, warn_of_unread_text
from shed_hf.errors import InputError

PAIR = {"instruction": ["a", "b"], "output": ["c", "d"]}


def test_one_warning_names_every_column_of_text_that_is_not_read() -> None:
    pool = read_pool(Dataset.from_dict({**PAIR, "persona": ["x", "y"], "id": [1, 2], "notes": ["v", None]}))
    with pytest.warns(
        UserWarning, match=r"nothing of the columns \['persona', 'notes'\].*\"system\": \"persona\""
    ) as caught:
        warn_of_unread_text(pool, None)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("columns", "elsewhere"),
    [({"system": "persona"}, []), ({"persona": None}, []), (None, ["persona"]), (None, [object(), "persona"])],
)
def test_what_is_read_or_left_out_on_purpose_is_not_reported(columns: Any, elsewhere: list[Any]) -> None:
    pool = read_pool(Dataset.from_dict({**PAIR, "persona": ["x", "y"], "id": [1, 2]}), columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unread_text(pool, columns, elsewhere)


def test_labels_are_not_text_that_a_row_lacks() -> None:
    rows = {"instruction": list("abcdefghij") * 4, "output": list("klmnopqrst") * 4}
    labels = {"topic": ["sports", "music"] * 20, "licence": ["CC BY-SA 3.0", None] * 20, "none": [None] * 39 + ["x"]}
    prompts = {"persona": ["You are a helpful assistant."] * 40, "notes": [f"note {number}" for number in range(40)]}
    with pytest.warns(UserWarning, match=r"nothing of the columns \['persona', 'notes'\]"):
        warn_of_unread_text(read_pool(Dataset.from_dict({**rows, **labels, **prompts})), None)


@pytest.mark.parametrize("name", ["image", "images", "audio", "video"])
def test_columns_of_media_are_refused_with_how_to_leave_them_out(name: str) -> None:
    dataset = Dataset.from_dict({**PAIR, name: ["x.png", "y.png"]})
    with pytest.raises(InputError, match=rf"dataset has the columns \['{name}'\].*columns=\{{\"{name}\": None\}}"):
        refuse_media(read_pool(dataset), None)
    refuse_media(read_pool(dataset, {name: None}), {name: None})


@pytest.mark.parametrize("feature", [datasets.Image(), datasets.List(datasets.Image()), datasets.Audio()])
def test_columns_of_media_are_known_by_their_type(feature: Any) -> None:
    empty = [[], []] if isinstance(feature, datasets.List) else [None, None]
    features = datasets.Features({name: datasets.Value("string") for name in PAIR} | {"scan": feature})
    dataset = Dataset.from_dict({**PAIR, "scan": empty}, features=features)
    with pytest.raises(InputError, match=r"the columns \['scan'\]"):
        refuse_media(read_pool(dataset), None)
