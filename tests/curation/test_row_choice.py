"""`curate` with a selector of rows: what it computes for it, what is kept of the choice, and what is refused early."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

import shed_hf
from shed_hf import (
    DSIR,
    IFD,
    CreditCoverage,
    CuratedDataset,
    DatasetQuantization,
    Full,
    Given,
    InputError,
    Longest,
    Retrieval,
    curate,
)
from shed_hf.data.pool import read_pool
from shed_hf.sampling.coverage import facility_location, round_robin
from shed_hf.sampling.selectors import RowSelector, RowSignals, Selection, TakesAnySize
from shed_hf.types import FloatMatrix, IntVector
from tests.helpers.curations import ByTopic, curated_of
from tests.helpers.games import Counting
from tests.helpers.rows import TOPICS, make_rows

POOL = Dataset.from_list(make_rows(120))
COOKING = Dataset.from_list([row for row in make_rows(60, seed=99) if row["topic"] == "cooking"])


VOCABULARY = [word for words in TOPICS.values() for word in words]


class Words:
    """An embedder of how often the topics' words occur."""

    def encode(self, texts: list[str]) -> np.ndarray:
        return np.array([[text.count(word) for word in VOCABULARY] for text in texts], dtype=float)


def selected(sampler: Any, size: Any = 12, **changes: Any) -> CuratedDataset:
    return curated_of(POOL, size, **{"sampler": sampler, "eval_dataset": COOKING, "seed": 3} | changes)


def units(texts: list[str]) -> np.ndarray:
    vectors = Words().encode(texts)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def cosines_of(rows: Dataset, items: Dataset) -> np.ndarray:
    """Cosines ``(m, n_items)`` of rows and items, prompt and answer together."""
    of_rows, of_items = (units([f"{row['instruction']}\n{row['output']}" for row in of]) for of in (rows, items))
    return np.round((of_rows @ of_items.T).astype(np.float32), 6)


def test_retrieval_takes_the_rows_nearest_each_item_prompt_and_answer_together() -> None:
    curated = selected(Retrieval("mean"), embedder=Words())
    means = cosines_of(POOL.select(curated.pool_rows), COOKING).mean(axis=1, dtype=np.float64)
    nearest = curated.pool_rows[np.argsort(-means, kind="stable")[:12]]
    assert curated.valued.taken is not None
    assert curated.valued.taken.tolist() == nearest.tolist()
    assert curated.rows.tolist() == nearest.tolist()


def test_items_held_out_of_a_matrix_of_embeddings_have_lines_there(tiny_model: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(120, 40))
    tuner = shed_hf.FineTune(str(tiny_model), "loss")
    curated = shed_hf.curate(
        POOL, 9, sampler=Retrieval("mean", near=-1), embedder=matrix, utility=tuner, clusterer="topic",
        proxies_per_cluster=1, estimator="exact",
    )  # fmt: skip
    held_out = np.setdiff1d(np.arange(120), curated.pool_rows)
    vectors = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    means = (vectors[curated.pool_rows] @ vectors[held_out].T).mean(axis=1)
    assert set(curated.rows.tolist()) == set(curated.pool_rows[np.argsort(-means)[:9]].tolist())


def test_dsir_reads_the_items_texts() -> None:
    curated = selected("dsir", 25)
    texts = [f"{row['instruction']}\n{row['output']}" for row in COOKING]
    assert set(curated.dataset["topic"]) == {"cooking"}
    assert len(texts) == 15


def test_length_is_counted_in_tokens_of_the_model_and_difficulty_is_the_models(tiny_model: Path) -> None:
    rows = Dataset.from_list([{**row, "output": row["output"] * (1 + n % 3)} for n, row in enumerate(make_rows(24))])
    tuner = shed_hf.FineTune(str(tiny_model), "loss")
    given: dict[str, Any] = {"eval_dataset": COOKING, "utility": tuner, "embedder": "lexical", "clusterer": "topic"}
    longest = shed_hf.curate(rows, 8, sampler="longest", proxies_per_cluster=1, estimator="exact", **given)
    pool = read_pool(rows)
    utility = tuner.bind(pool, pool.examples([0, 1]), 0)
    lengths = np.array([tokens.n_learned for tokens in utility.rows.tokens(np.arange(24))])
    assert longest.rows.tolist() == np.argsort(-lengths, kind="stable")[:8].tolist()
    hardest = shed_hf.curate(rows, 8, sampler="ifd", estimator=None, **given)
    features = utility.row_features(np.arange(24))
    ratio = features[:, 0] / features[:, 1]
    order = sorted(range(24), key=lambda row: (ratio[row] >= 1, -ratio[row] if ratio[row] < 1 else ratio[row]))
    assert hardest.rows.tolist() == list(order[:8])
    assert longest.recipe["merit"] is None  # no training run for an order within clusters


def test_the_game_is_played_all_the_same_and_values_are_those_of_any_sampler() -> None:
    by_value, by_row = selected("qocs"), selected(DatasetQuantization(3))
    assert by_row.estimate.values.tolist() == by_value.estimate.values.tolist()
    assert by_row.rows.tolist() != by_value.rows.tolist()
    assert "rows chosen one by one: dataset quantization, whatever the clusters are worth" in repr(by_row)
    assert "one by one" not in repr(by_value)


@pytest.mark.parametrize("sampler", ["retrieval", "dsir", "dataset-quantization", "longest"])
def test_the_same_seed_takes_the_same_rows(sampler: str) -> None:
    one, two = selected(sampler, 20), selected(sampler, 20)
    assert one.valued.taken is not None
    assert two.valued.taken is not None
    assert one.valued.taken.tolist() == two.valued.taken.tolist()
    assert one.rows.tolist() == one.valued.taken.tolist()


class Credited(Counting):
    """A utility that knows what each row does for each of five items."""

    CREDITS = np.random.default_rng(8).normal(size=(120, 5))

    def credit_per_item(self, rows: IntVector, *, adam: bool = True) -> FloatMatrix:
        return self.CREDITS[rows]


def test_credits_are_asked_of_the_rows_that_can_be_chosen_and_cover_the_items() -> None:
    items = Dataset.from_list([POOL[7], POOL[50], *COOKING])
    curated = selected(CreditCoverage("facility-location"), 9, utility=Credited(), eval_dataset=items)
    rows = np.setdiff1d(np.arange(120), [7, 50])
    credits = Credited.CREDITS[rows]
    assert curated.valued.taken is not None
    assert curated.valued.taken.tolist() == rows[facility_location(credits / credits.std(axis=0), 9)].tolist()


# ---- rows that are given, and all of them


def test_all_rows_are_those_that_can_be_chosen() -> None:
    curated = selected(Full(), "auto", eval_dataset=Dataset.from_list([POOL[7], POOL[50], *COOKING]))
    assert sorted(curated.rows.tolist()) == [row for row in range(120) if row not in (7, 50)]
    with pytest.raises(InputError, match=r"size=0.1 asks for 12 rows, and sampler='full' takes 120 of the 120"):
        selected("full", 0.1)


def test_given_rows_are_kept_and_others_refused() -> None:
    assert selected(Given([5, 99, 3]), "auto").rows.tolist() == [5, 99, 3]
    earlier = selected("longest")
    assert selected(Given(earlier), "auto").rows.tolist() == earlier.rows.tolist()
    assert selected(Given(earlier.dataset), "auto").rows.tolist() == earlier.rows.tolist()
    with pytest.raises(InputError, match="size=4 asks for 4 rows, and sampler=GivenRows"):
        selected(Given([5, 99, 3]), 4)
    with pytest.raises(InputError, match="the first is row 7"):
        selected(Given([5, 7]), "auto", eval_dataset=Dataset.from_list([POOL[7], *COOKING]))


# ---- what is refused before anything is measured


class Refusing(ByTopic):
    """A utility that must not be asked."""

    def __call__(self, row_sets: Any) -> np.ndarray:
        raise AssertionError("something was measured")


@pytest.mark.parametrize(
    ("sampler", "changes", "said"),
    [
        (
            "retrieval",
            {"eval_dataset": None},
            "='retrieval' compares rows with evaluation items, .* eval_dataset=",
        ),
        (DSIR(), {"eval_dataset": None}, "compares rows with evaluation items"),
        (Retrieval(), {"embedder": np.random.default_rng(0).random((120, 4))}, "is a matrix without lines for them"),
        ("ifd", {}, r"this utility has no model; pass utility=FineTune"),
        ("credit-coverage", {}, r"credits per row and evaluation item .* utility=FineTune"),
        (Given([3, 3]), {"size": "auto"}, "names row 3 2 times"),
        (IFD, {}, "cannot be called"),
    ],
    ids=["no items", "no texts", "a matrix", "no model", "no credits", "twice", "a class"],
)
def test_what_a_selector_cannot_have_is_told_before_anything_is_measured(
    sampler: Any, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        selected(sampler, **{"utility": Refusing(POOL), "size": 12} | changes)


def test_an_evaluation_set_without_a_near_row_is_warned_of_and_noted() -> None:
    with pytest.warns(UserWarning, match="not a single row is near an evaluation item: the highest cosine is"):
        curated = selected(Retrieval(near=0.999), embedder=Words())
    assert curated.recipe["selection_notes"][0].startswith("not a single row is near")
    assert "not a single row is near" in repr(curated)
    assert json.loads(json.dumps(curated.recipe)) == curated.recipe


def test_an_evaluation_set_of_which_the_embedder_knows_nothing_is_refused() -> None:
    foreign = Dataset.from_list([{"instruction": "一二三四", "output": f"五六七八 {n}"} for n in range(9)])
    with pytest.raises(InputError, match="every row has the same cosine with each evaluation item"):
        selected("retrieval", utility=Refusing(POOL), eval_dataset=foreign, embedder=Words())


def test_one_cluster_and_one_item_are_enough() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        curated = selected("retrieval", 5, clusterer=[0] * 120, eval_dataset=COOKING.select([0]), embedder=Words())
    cosines = cosines_of(POOL.select(curated.pool_rows), COOKING.select([0]))
    assert curated.rows.tolist() == curated.pool_rows[round_robin(cosines, 5)].tolist()


# ---- a selector of the user's own


class EverySecond(TakesAnySize):
    """Every second row."""

    needs = frozenset({"texts"})
    paper = "every second row"

    def select(self, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection:
        assert signals.texts is not None
        assert signals.embeddings is None
        return Selection(np.arange(0, 2 * size, 2), ("half of the rows were passed over",))


def test_a_selector_of_the_users_own_gets_what_it_needs_and_nothing_else() -> None:
    own = EverySecond()
    assert isinstance(own, RowSelector)
    with pytest.warns(UserWarning, match="half of the rows were passed over"):
        curated = selected(own)
    assert curated.rows.tolist() == list(range(0, 24, 2))


# ---- kept with the result


def test_the_order_of_the_rows_is_saved_and_a_smaller_choice_begins_with_it(tmp_path: Path) -> None:
    curated = selected("retrieval", 24, embedder=Words())
    curated.save_to_disk(tmp_path / "saved", pages=False)
    loaded = CuratedDataset.load_from_disk(tmp_path / "saved", source=POOL)
    assert curated.valued.taken is not None
    assert loaded.valued.taken is not None
    assert loaded.valued.taken.tolist() == curated.valued.taken.tolist()
    again = selected("retrieval", 10, embedder=Words())
    assert loaded.resample(10, "retrieval").rows.tolist() == again.rows.tolist()
    assert loaded.resample(10, "retrieval").recipe["sampler"] == again.recipe["sampler"]
    more = loaded.resample(30, "retrieval").rows.tolist()  # the whole order is known
    assert more[:24] == curated.rows.tolist()
    for size, sampler, seed in ((10, Retrieval("mean"), None), (10, "retrieval", 9)):
        with pytest.raises(InputError, match="chooses by the rows' embeddings, item_embeddings, which a result does"):
            loaded.resample(size, sampler, seed=seed)


def test_a_result_can_be_sampled_by_value_afterwards_and_by_rows_again() -> None:
    curated = selected("dsir", 24)
    by_value = curated.resample(12, "qocs")
    assert by_value.valued.taken is None
    assert set(by_value.rows.tolist()) == set(selected("qocs", 12).rows.tolist())
    assert sorted(curated.resample("auto", "full").rows.tolist()) == list(range(120))
    assert curated.resample("auto", Given([8, 2])).rows.tolist() == [8, 2]
    assert curated.resample("auto", Given(by_value)).rows.tolist() == by_value.rows.tolist()


def test_other_values_leave_rows_that_were_chosen_one_by_one() -> None:
    curated = selected("dsir", 24)
    again = curated.reestimate("least-squares")
    assert again.rows.tolist() == curated.rows.tolist()
    assert again.recipe["sampler"] == curated.recipe["sampler"]
    assert curated.reestimate("least-squares", sampler="qocs").rows.tolist() != curated.rows.tolist()
    given = selected(Given([4, 9, 50]), "auto")
    assert given.reestimate("least-squares").rows.tolist() == [4, 9, 50]


def test_the_card_names_what_chose_and_its_paper() -> None:
    from shed_hf.hub.card_text import choice_in_words

    assert choice_in_words(selected("qocs").recipe) == "what clusters of them are worth"
    assert "retrieval by embeddings" in choice_in_words(selected("retrieval", embedder=Words()).recipe)
    assert "arXiv 2302.03169" in choice_in_words(selected("dsir").recipe)
    assert "row by row" in choice_in_words(selected(Given([4, 9]), "auto").recipe)
    assert Longest().paper in choice_in_words(selected("longest").recipe)


@pytest.mark.parametrize(("n_long", "says"), [(0, None), (3, "of 3 of 43 rows no")])
def test_rows_whose_prompt_leaves_no_token_of_the_answer_are_told_of(
    tiny_model: Path, n_long: int, says: str | None
) -> None:
    rows = make_rows(40)
    long = [{**rows[n], "instruction": "the dog and the cat " * 40, "output": f"{n} " * 400} for n in range(n_long)]
    few = {"estimator": None, "clusterer": "topic", "embedder": "lexical", "eval_dataset": COOKING}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = curate(
            Dataset.from_list([*rows, *long]), 8, sampler="longest", model=str(tiny_model), max_length=100, **few
        )
    told = [str(warning.message) for warning in caught if "no token is learned" in str(warning.message)]
    assert [says in line and "raise max_length=" in line for line in told] == ([] if says is None else [True])
    assert found.rows.max() < 40
