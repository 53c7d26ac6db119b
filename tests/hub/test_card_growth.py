"""What a card says of other models and of rows that came later."""

from shed_hf import Transfer
from tests.helpers.cards import card_of, changed, curated, headings

HISTORY = {
    "rows": 120, "digest": "0" * 32, "added": 120, "joined": 0, "near_repeats": 0, "clusters": 4, "left_out": {},
    "fine_tunings": 15, "outcomes": 16, "seconds": 1.0,
}  # fmt: skip


def test_a_card_tells_of_other_models_and_of_growth_and_breaks_on_neither() -> None:
    found = Transfer(
        name="evil](http://x) | **model**", correlation=0.9, low=0.8, high=0.95, estimated=0.7, kept=0.6, kept_low=0.5,
        kept_high=0.7, kept_by_chance=0.1, n_rows=12, n_clusters=4, coalitions=14, fine_tunings=15, seconds=2.0,
        gain=1.0, values=(1.0,) * 4, stderr=(0.1,) * 4, seed=1, utility={},
    )  # fmt: skip
    grown = HISTORY | {
        "added": 30,
        "joined": 10,
        "clusters": 2,
        "near_repeats": 3,
        "left_out": {"in the pool already": 5},
    }
    card = card_of(changed(curated(), transfers=[found.as_json()], history=[HISTORY, grown]))
    assert "summary Does the ranking hold for other models?" in headings(card)
    assert "summary What came when" in headings(card)
    assert "](http://x)" not in card
    assert "0.90 (0.80 to 0.95)" in card
    assert "grown by 30 rows" in card


def test_a_card_without_either_says_nothing_of_them() -> None:
    assert not {"summary Does the ranking hold for other models?", "summary What came when"} & set(
        headings(card_of(curated()))
    )
