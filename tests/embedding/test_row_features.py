"""Features of rows: what the model makes of them, with_features the embedding, and what clusters then part."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import roc_auc_score
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from trl import SFTConfig, SFTTrainer

from shed_hf.clustering.clusterers import Given, KMeans, cluster
from shed_hf.data.pool import Pool, read_pool
from shed_hf.data.tokenization import IGNORED, Tokens, tokenise
from shed_hf.demo import models
from shed_hf.demo import pool as demo_pool
from shed_hf.embedding.embed import embed
from shed_hf.embedding.row_features import FEATURES, Features, features_by_name, features_from, spread, with_features
from shed_hf.errors import InputError
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.objectives import Loss
from shed_hf.finetuning import row_losses as row_features
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.prepared_rows import PreparedRows
from shed_hf.finetuning.row_losses import features_of_tokens
from shed_hf.finetuning.trainer_settings import default_peft_config
from shed_hf.finetuning.trainer_utility import TrainerUtility
from tests.helpers.rows import make_rows

ALL = np.arange(40)


@pytest.fixture(scope="module")
def rows() -> Pool:
    return read_pool(Dataset.from_list(make_rows(40)))


@pytest.fixture(scope="module")
def utility(tiny_model: Path, rows: Pool) -> TrainerUtility:
    return FineTune(str(tiny_model), "loss").bind(rows, rows.examples([0, 1]), 0)


@pytest.fixture(scope="module")
def plain(tiny_model: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(tiny_model).eval()


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_model)


def loss(model: PreTrainedModel, context: Sequence[int], completion: Sequence[int]) -> float:
    """The mean negative log-likelihood of the completion, from the logits of the one row."""
    with torch.no_grad():
        logits = model(torch.tensor([[*context, *completion]])).logits[0, len(context) - 1 : -1]
    return float(torch.nn.functional.cross_entropy(logits.double(), torch.tensor(list(completion))))


def tokens_of(ids: Sequence[int], learned: Sequence[int]) -> Tokens:
    marked = np.array(learned, dtype=np.bool_)
    return Tokens(np.array(ids), np.where(marked, ids, IGNORED).astype(np.int64), 0)


def test_features_are_the_losses_that_the_logits_give(
    utility: TrainerUtility, rows: Pool, plain: PreTrainedModel, tokenizer: Any
) -> None:
    found = utility.row_features(ALL)
    user = tokenizer.convert_tokens_to_ids("<|user|>")
    for row, tokens in enumerate(tokenise(rows.examples(ALL), tokenizer, 512)):
        start = int(np.flatnonzero(tokens.labels != IGNORED)[0])
        prompt, completion = tokens.ids[:start].tolist(), tokens.ids[start:].tolist()
        expected = [loss(plain, prompt, completion), loss(plain, [user], completion), np.log(len(completion))]
        np.testing.assert_allclose(found[row], expected, atol=1e-5)


def test_features_follow_the_order_that_rows_are_asked_for_in(utility: TrainerUtility) -> None:
    asked = np.array([7, 3, 3, 39])
    np.testing.assert_allclose(utility.row_features(asked), utility.row_features(ALL)[asked], atol=1e-5)
    assert utility.row_features(asked[:0]).shape == (0, 3)


def test_of_a_conversation_the_last_completion_counts(plain: PreTrainedModel, tokenizer: Any) -> None:
    tokens = tokens_of([50, 60, 70, 80, 90, 100, 110], [0, 1, 1, 0, 1, 1, 0])
    expected = [loss(plain, [50, 60, 70, 80], [90, 100]), loss(plain, [tokenizer.eos_token_id], [90, 100]), np.log(2)]
    np.testing.assert_allclose(features_of_tokens(plain, [tokens], tokenizer)[0], expected, atol=1e-5)


def test_a_row_that_is_all_completion_has_no_prompt_that_could_help(plain: PreTrainedModel, tokenizer: Any) -> None:
    whole, with_bos = tokens_of([50, 60, 70], [1, 1, 1]), tokens_of([0, 60, 70], [0, 1, 1])
    features = features_of_tokens(plain, [whole, with_bos], tokenizer)
    np.testing.assert_allclose(features[0], [loss(plain, [50], [60, 70])] * 2 + [np.log(2)], atol=1e-5)
    np.testing.assert_allclose(features[1], [loss(plain, [0], [60, 70])] * 2 + [np.log(2)], atol=1e-5)
    assert features_by_name(features)["ifd"] == pytest.approx([0, 0], abs=1e-6)


def test_a_beginning_of_sequence_stands_before_a_completion_alone(tiny_model: Path, plain: PreTrainedModel) -> None:
    opened = AutoTokenizer.from_pretrained(tiny_model, bos_token="<|system|>")
    expected = loss(plain, [opened.convert_tokens_to_ids("<|system|>")], [70, 80])
    found = features_of_tokens(plain, [tokens_of([50, 60, 70, 80], [0, 0, 1, 1])], opened)
    assert found[0, 1] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("learned", [[0, 0, 0], [1, 0, 0]], ids=["none", "the first, which is never predicted"])
def test_rows_without_a_learned_token_are_nan(plain: PreTrainedModel, tokenizer: Any, learned: list[int]) -> None:
    sound = tokens_of([50, 60, 70], [0, 1, 1])
    features = features_of_tokens(plain, [tokens_of([50, 60, 70], learned), sound, tokens_of([], [])], tokenizer)
    assert np.isnan(features).all(axis=1).tolist() == [True, False, True]
    assert np.isnan(features_of_tokens(plain, [tokens_of([], [])], tokenizer)).all()


def test_a_row_that_lost_its_completion_is_nan_and_no_proxy_that_was_cut(tiny_model: Path, rows: Pool) -> None:
    long = [{"prompt": "word " * 300, "completion": "lost"}, {"prompt": "short", "completion": "kept"}]
    pool = read_pool(Dataset.from_list(long))
    bound = FineTune(str(tiny_model), "loss").bind(pool, rows.examples([0]), 0)
    assert np.isnan(bound.row_features(np.arange(2))).all(axis=1).tolist() == [True, False]
    assert bound.rows is not None
    assert bound.rows._tokens == {}


def test_chunks_and_batches_change_nothing(utility: TrainerUtility, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = utility.row_features(ALL)
    monkeypatch.setattr(row_features, "CHUNK", 7)
    monkeypatch.setattr(row_features, "TOKENS_PER_BATCH", 200)
    np.testing.assert_allclose(utility.row_features(ALL), expected, atol=1e-5)


def test_rows_of_one_prompt_do_not_all_share_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    alike = [row_features.Candidate(np.arange(3 + n % 20), 2) for n in range(500)]
    batches = list(row_features._within_budget(alike, vocabulary=1))
    assert sorted(place for batch in batches for place in batch) == list(range(500))
    widths = [len(batch) * max(len(alike[place].ids) for place in batch) for batch in batches]
    assert max(widths) <= row_features.TOKENS_PER_BATCH
    monkeypatch.setattr(row_features, "LOGITS_PER_BATCH", 1)
    assert [len(batch) for batch in row_features._within_budget(alike, vocabulary=9)] == [1] * 500


def test_features_are_those_of_the_origin_and_leave_no_trace(utility: TrainerUtility) -> None:
    expected = utility.row_features(ALL[:4])
    model = utility.trainer.model
    with torch.no_grad():
        for parameter in utility.origin.parameters:
            parameter.add_(0.1)
    model.train()
    modes: list[bool] = []
    watch = model.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    random_state = torch.get_rng_state()
    np.testing.assert_array_equal(utility.row_features(ALL[:4]), expected)
    watch.remove()
    assert not any(modes)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert model.training


def test_a_trainer_of_ones_own_gives_what_fine_tune_gives(
    utility: TrainerUtility, rows: Pool, tiny_model: Path, tokenizer: Any, tmp_path: Path
) -> None:
    turns = [[turn._asdict() for turn in example.turns] for example in rows.examples(ALL[:9])]
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_model),
        args=SFTConfig(str(tmp_path), max_length=128, bf16=False, use_cpu=True, report_to=[]),
        train_dataset=Dataset.from_list([{"prompt": row[:-1], "completion": row[-1:]} for row in turns]),
        processing_class=tokenizer,
        peft_config=default_peft_config(),
    )
    mine = TrainerUtility(trainer, Evaluation(rows.examples([0]), Loss(), tokenizer, 128))
    np.testing.assert_allclose(mine.row_features(ALL[:9]), utility.row_features(ALL[:9]), atol=1e-5)


def test_a_prepared_dataset_without_labels_is_learned_whole() -> None:
    (tokens,) = PreparedRows(Dataset.from_dict({"input_ids": [[5, 6, 7]]})).tokens(np.array([0]))
    assert tokens.labels.tolist() == tokens.ids.tolist() == [5, 6, 7]


def test_the_prompts_help_is_positive() -> None:
    features = np.array([[1.0, 3.0, 2.0], [4.0, 3.5, 1.0], [np.nan] * 3])
    assert list(features_by_name(features)) == list(FEATURES)
    np.testing.assert_array_equal(features_by_name(features)["ifd"], [2.0, -0.5, np.nan])


@st.composite
def _embedded(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(1, 12))
    embeddings = draw(arrays.arrays(np.float32, (n, 3), elements=st.floats(-1, 1, width=16)))
    figures = st.floats(-50, 50, width=16) | st.just(float("nan"))
    return embeddings, draw(arrays.arrays(np.float64, (n, 3), elements=figures))


names = st.lists(st.sampled_from(FEATURES), min_size=1, unique=True)


@settings(max_examples=60, deadline=None)
@given(of=_embedded(), chosen=names, scale=st.floats(0, 4))
def test_together_the_features_spread_as_widely_as_scale_says(of: Any, chosen: list[str], scale: float) -> None:
    embeddings, features = of
    wide = with_features(embeddings, features, chosen, scale)
    assert (wide.dtype, wide.shape) == (np.float32, (len(embeddings), 3 + len(chosen)))
    np.testing.assert_array_equal(wide[:, :3], embeddings)
    columns = wide[:, 3:]
    assert np.isfinite(columns).all()
    assert columns.mean(axis=0) == pytest.approx(np.zeros(len(chosen)), abs=1e-5)
    varied = sum(
        len(np.unique(of_one[np.isfinite(of_one)])) > 1 for of_one in map(features_by_name(features).get, chosen)
    )
    assert spread(columns) == pytest.approx(scale * spread(embeddings) * np.sqrt(varied / len(chosen)), abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(of=_embedded())
def test_only_the_order_of_a_feature_counts_and_a_missing_one_is_at_zero(of: Any) -> None:
    embeddings, features = of
    bent = features.copy()
    _, places = np.unique(features[:, 0], return_inverse=True)
    bent[:, 0] = np.where(np.isnan(features[:, 0]), np.nan, places**3.0 + 1)
    column = with_features(embeddings, features, ["loss"], 1.0)[:, 3]
    np.testing.assert_allclose(with_features(embeddings, bent, ["loss"], 1.0)[:, 3], column, atol=1e-6)
    assert (column[np.isnan(features[:, 0])] == 0).all()
    known = np.isfinite(features[:, 0])
    assert (np.diff(column[known][np.argsort(features[known, 0])]) >= 0).all()


@pytest.mark.parametrize(
    ("argument", "expected"),
    [(None, None), ("ifd", Features(("ifd",))), (["loss", "ifd"], Features(("loss", "ifd"))), (Features(), Features())],
)
def test_features_have_short_names(argument: Any, expected: Features | None) -> None:
    assert features_from(argument) == expected


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("perplexity", "features='perplexity' is unknown; pass one of loss, ifd, length"),
        (["ifd", 3], r"features=3 is unknown"),
        (["ifd", "ifd"], "names one twice"),
        ([], "names none"),
        (7, "features=7 is no list of names"),
    ],
)
def test_names_that_cannot_be_used_are_refused(argument: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        features_from(argument)
    if not isinstance(argument, str):
        with pytest.raises(InputError, match=told):
            with_features(np.eye(3, dtype=np.float32), np.zeros((3, 3)), argument, 1.0)


@pytest.mark.parametrize("scale", [-0.1, float("nan"), float("inf"), "1", True, None])
def test_a_scale_that_cannot_be_is_refused(scale: Any) -> None:
    with pytest.raises(InputError, match=r"scale=.* is not a finite number >= 0"):
        Features(scale=scale)
    with pytest.raises(InputError, match=r"scale=.* is not a finite number >= 0"):
        with_features(np.eye(3, dtype=np.float32), np.zeros((3, 3)), ["ifd"], scale)


def test_lines_that_do_not_belong_to_the_embeddings_are_refused() -> None:
    embeddings = np.eye(4, dtype=np.float32)
    with pytest.raises(InputError, match="features have 3 rows, the embeddings 4"):
        with_features(embeddings, np.zeros((3, 3)), ["ifd"], 1.0)
    with pytest.raises(InputError, match=r"features have shape \(4, 2\); pass \(n, 3\)"):
        with_features(embeddings, np.zeros((4, 2)), ["ifd"], 1.0)
    for shape in ((3, 5), (4,)):
        with pytest.raises(InputError, match=r"features have shape .* for 4 rows"):
            cluster(embeddings, Given([0, 0, 1, 1]), np.random.default_rng(0), np.zeros(shape, dtype=np.float32))


def test_clusters_are_made_on_features_and_centred_in_the_embedding() -> None:
    embeddings = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], dtype=np.float32)
    apart = np.array([[0.0], [0.1], [9.0], [9.1]], dtype=np.float32)
    found = cluster(embeddings, KMeans(2), np.random.default_rng(0), apart)
    assert found.labels[0] == found.labels[1] != found.labels[2] == found.labels[3]
    np.testing.assert_array_equal(found.centroids, np.full((2, 2), 0.5))
    without = cluster(embeddings, KMeans(2), np.random.default_rng(0))
    assert without.labels[0] == without.labels[2] != without.labels[1]


def test_shuffled_answers_come_apart_from_sound_rows_of_their_topic() -> None:
    sound = demo_pool.rows("pool")[::3]
    hurt = np.arange(len(sound)) % 2 == 1
    answers = dict(zip(np.flatnonzero(hurt), np.roll(np.flatnonzero(hurt), 5), strict=True))
    mixed = [{**row, "output": sound[answers.get(place, place)]["output"]} for place, row in enumerate(sound)]
    pool, everyone = read_pool(Dataset.from_list(mixed)), np.arange(len(mixed))
    bound = FineTune(str(models.SMALL_MODEL), "loss").bind(pool, pool.examples([0]), 0)
    features = bound.row_features(everyone)
    assert roc_auc_score(hurt, -features_by_name(features)["ifd"]) > 0.9
    assert roc_auc_score(hurt, features_by_name(features)["loss"]) > 0.7
    embeddings, _ = embed(pool, everyone, "lexical")

    def purity(wider: Any) -> float:
        """The share of rows whose cluster has a majority of their kind, sound or shuffled, over three runs."""
        found = [cluster(embeddings, KMeans(9), np.random.default_rng(seed), wider).labels for seed in range(3)]
        kinds = [np.bincount(labels[hurt], minlength=9) for labels in found]
        sizes = [np.bincount(labels, minlength=9) for labels in found]
        return float(np.mean([np.maximum(k, n - k).sum() / n.sum() for k, n in zip(kinds, sizes, strict=True)]))

    assert purity(with_features(embeddings, features, FEATURES, 1.0)) > purity(None) + 0.1
