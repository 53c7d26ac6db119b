"""Methods by name, from objects and from dicts."""

from typing import Any

import numpy as np
import pytest
import torch

from shed_hf import DSIR, QOCS, QWCS, CreditCoverage, DatasetQuantization, Full, Given, Random, Retrieval
from shed_hf.cli.shell_words import in_shell_words
from shed_hf.comparison.methods import ByCallable, ByGame, BySelector, BySize, RandomRows, methods_from
from shed_hf.comparison.models import models_from
from shed_hf.errors import InputError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shed", ByGame(QOCS())), ("QWCS", ByGame(QWCS())), ("dq", BySelector(DatasetQuantization())),
        ("credit", BySelector(CreditCoverage())), ("dsir", BySelector(DSIR())), ("retrieval", BySelector(Retrieval())),
    ],
)  # fmt: skip
def test_a_name_stands_for_a_method(name: str, expected: Any) -> None:
    assert methods_from([name])[name.lower()] == expected
    assert methods_from(name)[name.lower()] == expected


@pytest.mark.parametrize("asked", ["retrieval,longest", ["retrieval , longest"]])
def test_methods_in_one_text_are_told_how_several_are_passed(asked: Any) -> None:
    with pytest.raises(InputError, match=r"2 in one text; pass a list of them, methods=\['retrieval', ") as no:
        methods_from(asked)
    assert in_shell_words(str(no.value)).endswith("pass each by itself, as in --methods retrieval --methods longest")


@pytest.mark.parametrize("asked", ["random", "rs", Random()])
def test_random_and_all_rows_are_there_once_whoever_asks_for_them(asked: Any) -> None:
    found = methods_from([asked, "retrieval", Full()])
    assert list(found) == ["random", "retrieval", "full"]
    assert found["random"] == BySelector(RandomRows())


def test_objects_are_called_by_what_they_are() -> None:
    def mine(rows: Any, size: int, rng: Any) -> list[int]:
        return list(range(size))

    def sampler(values: Any, members: Any, size: int, rng: Any) -> Any:
        return members[0][:size]

    found = methods_from([QOCS(most=1.0), Retrieval("mean"), mine, sampler, Given([1, 2])])
    assert found["QOCS(most=1.0)"] == ByGame(QOCS(most=1.0))
    assert isinstance(found["mine"], ByCallable)
    assert isinstance(found["sampler"], ByGame)
    assert isinstance(found["given"], BySelector)
    assert [name for name in found if name.startswith("Retrieval(by='mean'")]


def test_a_dict_of_arguments_plays_a_game_of_its_own() -> None:
    found = methods_from({"banzhaf": {"estimator": "banzhaf", "sampler": "qwcs"}, "chosen": {"sampler": "longest"}})
    assert found["banzhaf"] == ByGame(QWCS(), {"estimator": "banzhaf"})
    assert found["chosen"] == BySize({"sampler": "longest"})


@pytest.mark.parametrize("asked", [np.array(["shed", "dsir"]), iter(["shed", "dsir"]), ("shed", "dsir")])
def test_whatever_can_be_gone_through_names_several(asked: Any) -> None:
    assert list(methods_from(asked)) == ["shed", "dsir", "random", "full"]


@pytest.mark.parametrize("one", [np.array("shed"), np.array(3), np.array(None), torch.tensor(3)], ids=repr)
def test_an_array_without_a_dimension_is_one_thing(one: Any) -> None:
    """Its class can be gone through, and it can't."""
    with pytest.raises(InputError, match=rf"methods= has '.*', a {type(one).__name__}; pass one of"):
        methods_from(one)
    assert models_from(one, "fine-tune") == {"model": {"model": one, "utility": "fine-tune"}}


@pytest.mark.parametrize("asked", [3, [QOCS], {"": "shed"}, {3: "shed"}, [lambda rows: rows], [None]])
def test_what_is_no_method_is_refused(asked: Any) -> None:
    with pytest.raises(InputError, match="methods"):
        methods_from(asked)
