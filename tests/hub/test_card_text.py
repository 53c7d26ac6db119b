"""Every number and every sentence of a card against another way of finding it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf import CuratedDataset
from shed_hf.estimators import Permutation, ValueEstimate
from shed_hf.game.entry import Entry
from shed_hf.game.ledger import Ledger
from shed_hf.hub.card_metadata import size_category
from shed_hf.hub.card_text import (
    Recipe,
    bill_in_words,
    evaluation_in_words,
    kept_share,
    left_out_in_words,
    noise_floor,
    ranked_lines,
    source_in_words,
    utility_in_words,
    verdict,
    worth_in_words,
)
from tests.helpers.cards import HUB, by_items
from tests.helpers.curations import curated_of
from tests.helpers.failed_checks import halves
from tests.helpers.rows import make_rows


@cache
def curated() -> CuratedDataset:
    return curated_of(Dataset.from_list(make_rows(120)), 37, utility=by_items)


def with_ledger(*entries: Entry) -> CuratedDataset:
    ledger = Ledger()
    for measured in entries:
        ledger.put(measured)
    return replace(curated(), valued=replace(curated().valued, ledger=ledger))


def entry(blocks: Sequence[Sequence[int]], outcome: Sequence[float]) -> Entry:
    return Entry(repr(blocks), tuple(tuple(block) for block in blocks), np.array(outcome, float), 1.0, {})


# ---- shares and noise


@pytest.mark.parametrize("noise", [False, True])
def test_the_kept_share_is_counted_from_the_kept_rows(noise: bool) -> None:
    labels = np.arange(120) % 4
    labels[:9] = -1 if noise else labels[:9]
    result = curated_of(Dataset.from_list(make_rows(120)), 47, clusterer=labels, sampler="random")
    expected = [np.mean(np.isin(np.flatnonzero(labels == number), result.rows)) for number in range(4)]
    np.testing.assert_allclose(kept_share(result), expected)
    assert all(0 < share < 1 for share in expected)


def test_the_noise_floor_is_that_of_the_two_ends() -> None:
    rows = np.concatenate(curated().valued.players.rows)
    difference = by_items([rows])[0] - by_items([np.array([], dtype=int)])[0]
    by_hand = (sum((d - sum(difference) / 3) ** 2 for d in difference) / 2) ** 0.5 / 3**0.5
    assert by_hand > 0
    assert noise_floor(curated()) == pytest.approx(by_hand)


def test_the_noise_floor_needs_both_ends_and_two_items() -> None:
    rows = [int(row) for rows in curated().valued.players.rows for row in rows]
    empty, grand, single = entry([[]], [0, 1, 2]), entry([rows], [5, 3, 1]), entry([rows[:1]], [1, 1, 1])
    assert noise_floor(with_ledger(empty, single, grand)) == pytest.approx(np.std([5, 2, -1], ddof=1) / 3**0.5)
    assert np.isnan(noise_floor(with_ledger(empty, single)))
    assert np.isnan(noise_floor(with_ledger(single, grand)))
    assert np.isnan(noise_floor(with_ledger(entry([[]], [0]), entry([rows], [5]))))


def test_walks_through_all_rows_are_not_taken_for_the_untouched_model() -> None:
    rows = [int(row) for rows in curated().valued.players.rows for row in rows]
    walk, grand = entry([rows[:1], rows[1:]], [9, 9, 1]), entry([rows], [5, 3, 1])
    assert np.isnan(noise_floor(with_ledger(grand, walk)))


def test_the_noise_floor_of_continued_walks_is_not_that_of_whichever_came_last() -> None:
    rows = [int(row) for rows in curated().valued.players.rows for row in rows]
    empty, grand = entry([[]], [0, 0, 0]), entry([rows], [1, 2, 3])
    walks = [entry([rows[:1], rows[1:]], [1, 2, 30]), entry([rows[:2], rows[2:]], [1, 2, 300])]
    first, second = with_ledger(empty, grand, *walks), with_ledger(empty, grand, *walks[::-1])
    assert noise_floor(first) == noise_floor(second)


# ---- the verdict


@dataclass(frozen=True)
class Reliable(ValueEstimate):
    """An estimate of a chosen reliability."""

    told: float = 0.0

    @property
    def reliability(self) -> float:
        return self.told


def judged(reliability: float) -> str:
    estimate = Reliable(
        np.arange(4.0), np.ones(4), np.ones(4, int), "shapley", 0.0, 1.0, 9, p_value=0.01, told=reliability
    )
    recipe = curated().recipe | {"estimator": {"name": "Permutation"}}
    return verdict(replace(curated(), recipe=recipe, valued=replace(curated().valued, estimate=estimate)))


@pytest.mark.parametrize(
    ("reliability", "begins"),
    [
        (
            -1.0,
            f"**No.** The values can't be told from noise ({halves('-1.00')})",
        ),
        (
            0.0,
            f"**No.** The values can't be told from noise ({halves('0.00')})",
        ),
        (np.nextafter(0.5, 0), "**No.**"),
        (0.5, "**In part.** Two halves of the measurements agree to 0.50 of 1 (reliability)"),
        (np.nextafter(0.8, 0), "**In part.**"),
        (0.8, "**It would come out much the same again**: two halves of the measurements agree to 0.80 of 1"),
        (1.0, "**It would come out much the same again**: two halves of the measurements agree to 1.00 of 1"),
        (
            float("nan"),
            "**It is more than chance** (chance ranks as clearly with p = 0.01); how much of it would "
            "come out again was not measured",
        ),
    ],
)
def test_the_verdict_turns_at_its_thresholds(reliability: float, begins: str) -> None:
    assert judged(reliability).startswith(begins)
    assert "nan" not in judged(reliability)


def test_one_replicate_says_nothing() -> None:
    pool = Dataset.from_list(make_rows(120))
    told = verdict(curated_of(pool, estimator=Permutation(n_orders=1)))
    assert told.startswith("**Unknown.** Too little was measured to say whether the ranking is more than noise")


def test_exact_values_are_judged_like_all_others() -> None:
    noise = replace(curated().estimate, p_value=0.8)
    told = verdict(replace(curated(), valued=replace(curated().valued, estimate=noise)))
    assert told.startswith("**No.** The values can't be told from noise")
    assert "left to chance" not in told


def test_a_single_cluster_is_not_said_to_have_one_replicate() -> None:
    pool = Dataset.from_list(make_rows(120))
    result = curated_of(pool, clusterer=["all"] * 120, estimator=Permutation(n_orders=8))
    assert len(result.estimate.replicates) == 4
    assert "only one replicate" not in verdict(result)


# ---- the table


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.floats(-2, 2).map(lambda v: round(v, 1))), max_size=25),
    n=st.integers(1, 10),
)
def test_the_table_has_the_ends_of_the_ranking_and_no_cluster_twice(values: list[float | None], n: int) -> None:
    lines = Dataset.from_dict({"cluster": list(range(len(values))), "value": values})
    best, worst = ranked_lines(replace(curated(), clusters=lines), n)
    numbers = [line["cluster"] for line in (*best, *worst)]
    valued = [value for value in values if value is not None]
    assert len(set(numbers)) == len(numbers) == min(2 * n, len(valued))
    assert [values[number] for number in numbers] == [line["value"] for line in (*best, *worst)]
    ranking = sorted(valued, reverse=True)
    assert [line["value"] for line in best] == ranking[:n]
    assert [line["value"] for line in worst] == ranking[len(best) :][::-1][:n][::-1]


NAMES = ["n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B",
         "10B<n<100B", "100B<n<1T", "n>1T"]  # fmt: skip


@pytest.mark.parametrize("place", range(len(NAMES)))
def test_every_size_has_the_hubs_name_at_both_its_borders(place: int) -> None:
    first, last = 10 ** (place + 2) if place else 0, 10 ** (place + 3) - 1
    assert (size_category(first), size_category(last)) == (NAMES[place], NAMES[place])


# ---- words

PLACE = f"[me/rows](https://huggingface.co/datasets/me/rows/tree/{HUB['revision']})"
NONE_LEFT_OUT = {"invalid": 0, "held out": 0, "repeating evaluation items": 0}
OWN = {"utility": "mine.<lambda>#0f"}
TUNED = {"utility": "fine-tune", "objective": "Loss()", "training": {"max_length": 1024}}
BILL = {"fine_tunings": 3, "all_fine_tunings": 1200, "seconds": 12.0, "measuring_seconds": 70.0, "tokens": 0,
        "device": "GPU"}  # fmt: skip
SENTENCES: list[tuple[Callable[[Recipe], str], str, Any, str]] = [
    (source_in_words, "source", {"hub": None, "name": None}, "a dataset that is not named"),
    (source_in_words, "source", {"hub": None, "name": ""}, "a dataset that is not named"),
    (source_in_words, "source", {"hub": None, "name": "a|b`"}, "`` a¦b` ``"),
    (source_in_words, "source", {"hub": HUB, "name": "rows"},
     f"{PLACE} (configuration `` de`ep ``, split `train`, revision `01234567`)"),
    (source_in_words, "source", {"hub": HUB | {"untouched": False}, "name": "rows"},
     f"{PLACE} (configuration `` de`ep ``, split `train`, revision `01234567`, changed before it was curated)"),
    (worth_in_words, "tuner", None, "by a measure of the curator's own"),
    (worth_in_words, "tuner", {"model": "me/model"}, "for fine-tuning `me/model`"),
    (worth_in_words, "tuner", {"model": "small"}, "for fine-tuning `small`, which comes with shed_hf"),
    (worth_in_words, "tuner", {"model": "./small"}, "for fine-tuning `small`"),
    (worth_in_words, "tuner", {"model": ""}, "for fine-tuning `a model without a name`"),
    (worth_in_words, "tuner", {"model": None}, "for fine-tuning `a model without a name`"),
    (utility_in_words, "utility", TUNED,
     "minus the loss on the evaluation items, in nats a token (`Loss()`), the mean over the evaluation items"),
    (utility_in_words, "utility", OWN, "`mine.<lambda>#0f`, the mean over the evaluation items"),
    (utility_in_words, "utility", {}, "`a callable`, the mean over the evaluation items"),
    (evaluation_in_words, "evaluation", None, "items of the measure's own"),
    (evaluation_in_words, "evaluation", {"items": 1, "held_out": True, "hub": None},
     "1 item held out of the same dataset, of which none was kept"),
    (evaluation_in_words, "evaluation", {"items": 1200, "held_out": True, "hub": HUB},
     "1,200 items held out of the same dataset, of which none was kept"),
    (evaluation_in_words, "evaluation", {"items": 16, "held_out": False, "hub": None},
     "16 items of a dataset that is not named"),
    (evaluation_in_words, "evaluation", {"items": 16, "held_out": False, "hub": HUB}, f"16 items of {PLACE}"),
    (left_out_in_words, "left_out", NONE_LEFT_OUT, "Every row took part."),
    (left_out_in_words, "left_out", NONE_LEFT_OUT | {"held out": 2}, "2 rows held out to evaluate on."),
    (left_out_in_words, "left_out", {"invalid": 1, "held out": 1200, "repeating evaluation items": 3},
     "1 row could not be read (empty, missing, not text, or refused by the chat template); 1,200 rows held out to "
     "evaluate on; 3 rows left out because they repeat evaluation items (equal but for case and blanks, or a cosine "
     "of at least 0.95)."),
    (bill_in_words, "bill", BILL | {"fine_tunings": 1, "all_fine_tunings": 1, "measuring_seconds": 11.0},
     "Choosing took 1 outcome, 12 s, on GPU."),
    (bill_in_words, "bill", BILL | {"tokens": 3_000_000, "earlier_seconds": 63},
     "Choosing took 1,200 outcomes, 1 min 15 s, on GPU; 3,000,000 tokens trained on. "
     "Of this the last run took 3 outcomes, 12 s; 1,197 measured before, 1 min 3 s."),
    (bill_in_words, "bill", BILL,
     "Choosing took 1,200 outcomes, at least 1 min 10 s, on GPU. "
     "Of this the last run took 3 outcomes, 12 s; 1,197 measured before."),
]  # fmt: skip


@pytest.mark.parametrize(("say", "field", "told", "words"), SENTENCES)
def test_the_sentences_of_a_card(say: Callable[[Recipe], str], field: str, told: Any, words: str) -> None:
    assert say({"utility": OWN} | {field: told}) == words


@pytest.mark.parametrize(
    "tuned", [{"utility": TUNED}, {"utility": OWN, "tuner": {"model": "me/model"}}], ids=["a", "b"]
)
def test_only_what_may_have_tuned_nothing_is_counted_in_outcomes(tuned: Recipe) -> None:
    bill = BILL | {"fine_tunings": 2, "all_fine_tunings": 2, "measuring_seconds": 11.0}
    assert bill_in_words(tuned | {"bill": bill}) == "Choosing took 2 fine-tunings, 12 s, on GPU."


def test_rows_cut_for_training_are_said_to_be() -> None:
    assert left_out_in_words({"left_out": NONE_LEFT_OUT, "utility": TUNED}) == (
        "Every row took part. Rows are cut at 1,024 tokens for training; none is dropped for its length."
    )


def test_the_reasons_are_all_that_an_admission_knows() -> None:
    assert set(curated().recipe["left_out"]) == set(NONE_LEFT_OUT)


def test_a_source_of_several_splits_shows_no_empty_name() -> None:
    assert "split ``" not in source_in_words({"source": {"hub": HUB | {"split": ""}, "name": "rows"}})
