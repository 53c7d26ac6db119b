"""The candidates of a race: who takes part, and who is left out and why."""

from dataclasses import replace

import numpy as np

from shed_hf import (
    Given,
    Longest,
    Race,
    Retrieval,
)
from tests.helpers.races import NAMES, POOL, race_of, raced, usual


def test_all_selectors_that_can_be_fed_take_part_and_the_others_are_named_with_the_reason() -> None:
    race = race_of(usual())
    assert sorted(candidate.name for candidate in race.candidates) == sorted(NAMES)
    assert sorted(usual().ledger.entry(race.best.key).blocks[0]) == sorted(usual().rows.tolist())
    assert set(race.left_out) == {"rds", "credit-coverage", "ifd"}
    assert "training run, which this utility does not make" in race.left_out["credit-coverage"]
    assert all(why in str(usual()) for why in ("credit-coverage", "this utility has no model"))


def test_subsets_that_coincide_count_once() -> None:
    rows = POOL.filter(lambda row: row["topic"] == "cooking")
    first = np.flatnonzero(np.array(POOL["topic"]) == "cooking")[:16]
    given = Race([Given(first), Given(rows.select(range(16))), "longest"], budget=14)
    race = race_of(raced(method=given))
    assert [candidate.name for candidate in race.candidates] == ["GivenRows(source='rows')", "longest"]
    assert race.left_out == {"GivenRows(source='rows') 2": "the same rows as GivenRows(source='rows')"}


def test_a_candidate_of_another_size_is_left_out_and_named() -> None:
    race = race_of(raced(method=Race([Given(range(9)), "longest"], budget=6)))
    assert [candidate.name for candidate in race.candidates] == ["longest"]
    assert "takes 9 of the 160" in race.left_out["GivenRows(source='rows')"]


def test_the_curations_own_sampler_takes_part_beside_the_default() -> None:
    race = race_of(raced(sampler=Retrieval("mean"), method=Race(budget=60)))
    names = {candidate.name for candidate in race.candidates} | set(race.left_out)
    assert {"Retrieval(by='mean', near=None, vectors='embedder')", "retrieval", "qocs"} <= names


def test_candidates_that_are_named_twice_take_part_once() -> None:
    race = race_of(raced(method=Race(["longest", Longest(), "longest"], budget=6)))
    assert [candidate.name for candidate in race.candidates] == ["longest"]
    assert not race.left_out


def test_candidates_that_are_left_out_have_a_short_reason_each() -> None:
    why = "credits are not to be had of this utility; pass one that trains, or name others " + "x" * 400
    race = replace(race_of(usual()), left_out={"rds": why, "ifd": why, "dsir": "all rows are the same"})
    assert race.lines()[3:] == [
        "not in the race: rds, ifd, since credits are not to be had of this utility",
        "not in the race: dsir, since all rows are the same",
    ]


def test_candidates_left_out_for_one_reason_share_a_line_though_each_is_named_in_its_own() -> None:
    usual_words = "compares rows with evaluation items, and the utility brings none that are known; pass eval_dataset="
    before = f"sampler=Retrieval(by='item', near=None, vectors='embedder') {usual_words}"  # as earlier versions told it
    left_out = {"retrieval": before, "rds": f"sampler='rds' {usual_words}", "dsir": f"sampler='dsir' {usual_words}"}
    shared = replace(race_of(usual()), left_out=left_out).lines()[3:]
    said = "compares rows with evaluation items, and the utility brings none that are known"
    assert shared == [f"not in the race: retrieval, rds, dsir, since each {said}"]
    alone = replace(race_of(usual()), left_out={"rds": left_out["rds"]}).lines()[3:]
    assert alone == [f"not in the race: rds, since it {said}"]
