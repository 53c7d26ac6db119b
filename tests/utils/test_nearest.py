"""The name that was probably meant, the same way for every word that a user can mistype."""

import pytest

from shed_hf.config.shed_config import WAYS_TO_CHOOSE
from shed_hf.sampling.registry import PRESETS, SAMPLERS, SELECTORS
from shed_hf.utils.nearest import nearest, unknown_name

WORDS = [*SAMPLERS, *SELECTORS, *PRESETS]


@pytest.mark.parametrize(
    ("said", "meant"),
    [("qocz", "qocs"), ("QWCS", "qwcs"), ("row_values", "row-values"), ("Credit Coverage", "credit-coverage"),
     ("dataset-quantisation", "dataset-quantization"), ("longst", "longest"),
     ("qcos", "qocs"), ("qwsc", "qwcs"), ("rsd", "rds"), ("idf", "ifd"), ("x", None), ("", None), ("zzzz", None)],
)  # fmt: skip
def test_the_nearest_word_is_found_whatever_its_case_and_dashes(said: str, meant: str | None) -> None:
    assert nearest(said, WORDS) == meant


def test_of_words_that_are_equally_near_the_first_is_proposed() -> None:
    assert nearest("A_b", ["a-b", "a_b"]) == "a-b"


def test_a_message_has_the_value_the_nearest_word_and_all_words() -> None:
    assert unknown_name("sampler", "qocz", ["qocs", "random"], "an object") == (
        "sampler='qocz' is unknown; did you mean 'qocs'? pass one of qocs, random, or an object"
    )
    assert unknown_name("prior", 5, ["flat"]) == "prior=5 is unknown; pass one of flat"


def test_help_lists_every_way_to_choose() -> None:
    listed = WAYS_TO_CHOOSE.replace("By clusters: ", "").replace(" By single rows: ", " ").replace(".", ",").split(", ")
    assert sorted(word.strip(" ,") for word in listed) == sorted(WORDS)
