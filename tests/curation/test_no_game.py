"""``estimator=None``: rows chosen without a game, and what can and cannot be done with the result."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, load_dataset

import shed_hf
from shed_hf import CuratedDataset, InputError
from shed_hf.hub.reproduction import code_of
from tests.helpers.curations import ByTopic, curated_of
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(120))
COOKING = Dataset.from_list([row for row in make_rows(60, seed=99) if row["topic"] == "cooking"])


class Refusing(ByTopic):
    """A utility that must not be asked."""

    def __call__(self, row_sets: Any) -> np.ndarray:
        raise AssertionError("something was measured")


def unplayed(size: Any = 12, **changes: Any) -> CuratedDataset:
    arguments = {"sampler": "dsir", "eval_dataset": COOKING, "estimator": None, "utility": Refusing(POOL)}
    return curated_of(POOL, size, **arguments | changes)


@pytest.fixture(scope="module")
def curated() -> CuratedDataset:
    return unplayed()


def test_nothing_is_measured_and_the_choice_is_the_selectors_own(curated: CuratedDataset) -> None:
    with_game = unplayed(estimator="exact", utility=ByTopic(POOL))
    assert curated.rows.tolist() == with_game.rows.tolist()
    assert (len(curated.ledger), curated.recipe["bill"]["all_fine_tunings"]) == (0, 0)
    assert not curated.estimate.played
    chosen = 'rows chosen one by one: importance resampling by hashed n-grams ("dsir")'
    assert f"\n  {chosen}\n  clusters were not valued: no game was played\n" in repr(curated)
    assert set(curated.clusters["in_words"]) == {"not valued: no game was played"}
    assert set(curated.dataset["shed_value"]) == set(curated.merits["value"]) == {None}


@pytest.mark.parametrize("use", [lambda of: of.scorer, lambda of: of.plot("values")], ids=["scorer", "plot"])
def test_what_needs_values_names_the_verb_that_gives_them(curated: CuratedDataset, use: Any) -> None:
    with pytest.raises(InputError, match=r"^no game was played, so .*; .*curate again with an estimator$"):
        use(curated)


def test_it_is_saved_loaded_and_resampled(curated: CuratedDataset, tmp_path: Path) -> None:
    curated.save_to_disk(tmp_path / "saved", pages=False)
    loaded = CuratedDataset.load_from_disk(tmp_path / "saved", source=POOL)
    assert (repr(loaded), loaded.recipe) == (repr(curated), curated.recipe)
    np.testing.assert_array_equal(loaded.estimate.values, curated.estimate.values)
    assert len(loaded.resample(5, "dsir").rows) == 5
    assert len(loaded.resample(30, "random").rows) == 30
    assert len(load_dataset(str(tmp_path / "saved"), split="train")) == 12


@pytest.mark.usefixtures("alice", "no_token_is_told")
def test_it_is_pushed_and_pulled_and_its_card_says_so(curated: CuratedDataset, hub: LoopbackHub) -> None:
    curated.push_to_hub("alice/unplayed")
    assert repr(CuratedDataset.from_hub("alice/unplayed")) == repr(curated)
    assert len(load_dataset("alice/unplayed", "clusters", split="train")) == 4
    card = hub.files("alice/unplayed")["README.md"].decode()
    assert "No game was played" in card
    assert card.count("| 30 | ") == 4  # a line for every cluster
    assert "Whether these rows are better than others was not measured." in card
    for absent in ("utilities", "nan", "v(N)", "reestimate", "values.png"):
        assert absent not in card
    assert "    estimator=None," in code_of(curated.recipe)


def test_what_needs_values_is_refused(curated: CuratedDataset) -> None:
    with pytest.raises(InputError, match="estimator=None values nothing"):
        unplayed(estimator="exact", utility=ByTopic(POOL)).reestimate(None)  # type: ignore[arg-type]
    asking: list[Callable[[], object]]
    asking = [lambda: curated.scorer, lambda: curated.resample(5, "qocs"), lambda: curated.reestimate("banzhaf")]
    for asked in asking:
        with pytest.raises(InputError, match=r"no(ne| game) was played"):
            asked()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sampler": "qocs"}, "sampler='qocs' chooses by what a game measures, and estimator=None plays none"),
        ({"sampler": "row-values"}, "chooses by what a game measures"),
        ({"budget": 9}, "budget= is about a game"),
        ({"require_signal": True}, "require_signal= is about a game"),
    ],
)
def test_what_is_about_a_game_is_refused_before_anything_is_embedded(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        unplayed(**changes)


def test_a_plan_without_a_game_costs_nothing() -> None:
    found = shed_hf.plan(
        POOL, 12, sampler="random", estimator=None, utility=Refusing(POOL), embedder="lexical", merit=None
    )
    assert (found.fine_tunings, found.rows_trained, found.seconds) == (0, 0, 0.0)
