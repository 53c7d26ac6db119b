"""What a pulled curation is good for: other subsets and values from rows found again, and a scorer of one's own."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, DatasetDict, concatenate_datasets, load_dataset
from huggingface_hub import HfApi

from shed_hf import ClusterScorer, CuratedDataset, HubError, InputError
from shed_hf.embedding.encoders import SentenceTransformerEncoder
from shed_hf.estimators import Permutation
from tests.helpers.curations import _assert_equal, curated_of
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.pushes import POOL, published, put, result, scorer, words_in
from tests.helpers.rows import make_rows

pytestmark = pytest.mark.usefixtures("alice", "no_token_is_told")


# ---- all of it


@pytest.mark.parametrize("xet", [True, False])
def test_a_pull_gives_back_all_that_was_pushed(hub: LoopbackHub, xet: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", not xet)
    pool = Dataset.from_list(make_rows(120, seed=40 + xet))  # content that the Hub has is not sent again
    curated = curated_of(pool, 47, estimator=Permutation(n_orders=4), sampler="qwcs")
    curated.push_to_hub(f"alice/back-{xet:d}", excerpts=True)
    assert any("xet-write-token" in path for _, path, _ in hub.requests) == xet
    assert any(path.startswith("/lfs/") for _, path, _ in hub.requests) != xet
    hub.requests.clear()
    pulled = CuratedDataset.from_hub(f"alice/back-{xet:d}")
    assert len(hub.requests) <= 15, hub.requests  # two for each of six files
    _assert_equal(curated, pulled)
    new = Dataset.from_list(make_rows(20, seed=9))
    assert new.map(curated.scorer, batched=True).to_list() == new.map(pulled.scorer, batched=True).to_list()
    hub.requests.clear()
    CuratedDataset.from_hub(f"alice/back-{xet:d}")
    assert len(hub.requests) <= 2, hub.requests


SETTINGS = [
    r".*\.(q_proj|v_proj)$",
    r"(.*\.)?layers\.(\d+)",
    r"\S+\.q_proj",
    "Answers(stop='\\nQ:')",
    "Answers(stop='\\nQ:\\nA:')",
    "s3://bucket/some/prefix",
    "org/model",
    "4 words /minute",
]


def test_settings_that_are_no_paths_are_left_as_they_are(hub: LoopbackHub) -> None:
    recipe = result().recipe | {"utility": {"objective": SETTINGS}}
    replace(result(), recipe=recipe).push_to_hub("alice/settings", excerpts=True)
    assert CuratedDataset.from_hub("alice/settings").recipe["utility"]["objective"] == SETTINGS


def test_paths_with_blanks_are_cut_as_well(hub: LoopbackHub) -> None:
    utility = {"objective": "ROUGE(path='/home/me/my work/of somebody/rouge.py')"}
    replace(result(), recipe=result().recipe | {"utility": utility}).push_to_hub("alice/blanks", excerpts=True)
    assert "somebody" not in words_in(hub, "alice/blanks")


# ---- the rows to choose from


@pytest.mark.parametrize("sampler", ["qocs", "qwcs", "random"])
def test_the_same_choice_gives_the_very_same_rows(hub: LoopbackHub, sampler: str) -> None:
    curated = curated_of(POOL, 47, sampler=sampler, seed=3)
    curated.push_to_hub(f"alice/same-{sampler}")
    pulled = CuratedDataset.from_hub(f"alice/same-{sampler}", source=POOL)
    again = pulled.resample(47, sampler)
    assert again.dataset.to_list() == curated.dataset.to_list() == pulled.dataset.to_list()
    other = pulled.resample(0.25, "random", seed=8)
    assert other.dataset.to_list() == curated.resample(30, "random", seed=8).dataset.to_list()
    assert (other.rows != pulled.resample(30, "random", seed=9).rows).any()


def test_values_are_estimated_anew_without_measuring(hub: LoopbackHub) -> None:
    curated = curated_of(POOL, estimator=Permutation(n_orders=4))
    curated.push_to_hub("alice/anew")
    pulled = CuratedDataset.from_hub("alice/anew", source=POOL)
    for estimator in ("banzhaf", Permutation(n_orders=4)):
        here, there = curated.reestimate(estimator), pulled.reestimate(estimator)
        for part in ("values", "stderr", "replicates"):
            np.testing.assert_array_equal(getattr(here.estimate, part), getattr(there.estimate, part))
        assert here.dataset.to_list() == there.dataset.to_list()
    with pytest.raises(InputError, match=r"the ledger lacks \d+ coalitions? .*banzhaf"):
        pulled.reestimate(Permutation(n_orders=64))


def test_rows_that_are_nowhere_on_the_hub_are_asked_for(hub: LoopbackHub) -> None:
    result().push_to_hub("alice/nowhere")
    with pytest.raises(InputError, match=r"rows to choose from are not at hand.*pass source= .*\(120 rows\)"):
        CuratedDataset.from_hub("alice/nowhere").resample(5)


def test_the_source_is_loaded_as_it_was_even_if_it_has_moved_on(hub: LoopbackHub) -> None:
    curated = curated_of(published("alice/moving", POOL))
    curated.push_to_hub("alice/of-moving")
    Dataset.from_list(make_rows(50, seed=4)).push_to_hub("alice/moving")
    pulled = CuratedDataset.from_hub("alice/of-moving")
    assert pulled.resample(60, "qwcs").dataset.to_list() == curated.resample(60, "qwcs").dataset.to_list()
    assert pulled.reestimate("banzhaf").rows.tolist() == curated.reestimate("banzhaf").rows.tolist()
    sha = curated.recipe["source"]["hub"]["revision"]
    with pytest.raises(InputError, match=rf"source has 0 of the 120 rows .*load_dataset\(.alice/moving., .*{sha}"):
        CuratedDataset.from_hub("alice/of-moving", source="alice/moving")


@pytest.mark.parametrize("name", ["OpenPool", "pool-V2.1_Large"])
def test_a_source_with_capitals_in_its_name_is_found_again(hub: LoopbackHub, name: str) -> None:
    curated = curated_of(published(f"alice/{name}", POOL))
    assert curated.recipe["source"]["hub"]["repo"] == f"alice/{name}"
    repo = f"alice/of-{name.lower()}"
    curated.push_to_hub(repo)
    assert not hub.is_private(repo)
    assert len(CuratedDataset.from_hub(repo).resample(7)) == 7


def test_a_source_loaded_by_its_files_is_found_again(hub: LoopbackHub) -> None:
    published("alice/by-files", POOL)
    curated = curated_of(load_dataset("alice/by-files", data_files="data/train-*", split="train"))
    curated.push_to_hub("alice/of-files")
    again = CuratedDataset.from_hub("alice/of-files").resample(60)
    assert again.dataset.to_list() == curated.resample(60).dataset.to_list()


def test_a_namesake_is_not_taken_for_the_source(hub: LoopbackHub) -> None:
    Dataset.from_list(make_rows(10, seed=5)).push_to_hub("alice/my_rows", private=False)
    curated = curated_of(published("alice/MyRows", POOL, private=True))
    curated.push_to_hub("alice/of-my-rows")
    assert hub.is_private("alice/of-my-rows")


def _with_more(pool: Dataset) -> Dataset:
    more = Dataset.from_list(make_rows(7, seed=6))
    return concatenate_datasets([more, pool, more])


ALTERED: dict[str, Callable[[Dataset], Any]] = {
    "shuffled": lambda pool: pool.shuffle(seed=2),
    "longer": _with_more,
    "columns": lambda pool: pool.select_columns(["topic", "output", "instruction"]).add_column("more", [1] * 120),
    "unreadable": lambda pool: concatenate_datasets(
        [Dataset.from_dict({"instruction": [None], "output": [""]}, features=None), pool]
    ),
    "splits": lambda pool: DatasetDict({"train": pool}),
    "numpy": lambda pool: pool.with_format("numpy"),
}


@pytest.mark.parametrize("how", ALTERED)
def test_rows_are_found_by_their_content(hub: LoopbackHub, how: str) -> None:
    result().push_to_hub(f"alice/found-{how}")
    pulled = CuratedDataset.from_hub(f"alice/found-{how}", source=ALTERED[how](POOL))
    for size in (30, 100):
        assert pulled.resample(size).dataset.to_list() == result().resample(size).dataset.to_list()


def test_rows_of_the_same_content_are_found_one_by_one(hub: LoopbackHub) -> None:
    rows = [row | {"id": number} for number, row in enumerate(make_rows(60) * 2)]
    pool = Dataset.from_list(rows)
    curated_of(pool).push_to_hub("alice/twice")
    longer = concatenate_datasets([Dataset.from_list([make_rows(1, seed=7)[0] | {"id": -1}]), pool])
    pulled = CuratedDataset.from_hub("alice/twice", source=longer)
    assert sorted(pulled.resample(120).dataset["id"]) == list(range(120))


def test_a_source_that_lost_rows_is_refused_with_how_many(hub: LoopbackHub) -> None:
    result().push_to_hub("alice/lost")
    for source, found in ((POOL.select(range(100)), 100), (Dataset.from_list(make_rows(9, seed=8)), 0)):
        with pytest.raises(InputError, match=rf"source has {found} of the 120 rows that were valued"):
            CuratedDataset.from_hub("alice/lost", source=source)
    with pytest.raises(InputError, match=r"source lacks the columns \['topic'\]"):
        CuratedDataset.from_hub("alice/lost", source=POOL.remove_columns("topic"))
    with pytest.raises(InputError, match=r"source lacks the columns .*pass source="):
        CuratedDataset.from_hub("alice/lost", source=Dataset.from_dict({"text": ["x"]}))


def test_a_source_that_cannot_be_seen_is_asked_for(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curated_of(published("alice/hidden", POOL, private=True)).push_to_hub("alice/of-hidden", private=False)
    monkeypatch.setenv("HF_TOKEN", "hf_bob_secret")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    pulled = CuratedDataset.from_hub("alice/of-hidden")
    assert len(pulled) == 30
    with pytest.raises(
        InputError, match=r"(?s)the source alice/hidden at revision \w{8} can't be loaded .*pass source="
    ):
        pulled.resample(5)


# ---- the scorer


class Own:
    """An encoder that this package does not know: lengths and vowels."""

    def encode(self, sentences: list[str], /) -> np.ndarray:
        return np.array([[len(text), *(text.count(vowel) for vowel in "aeiou")] for text in sentences], np.float32)


def _assert_same(one: ClusterScorer, two: ClusterScorer) -> None:
    for part in ("centroids", "values", "stderr"):
        np.testing.assert_array_equal(getattr(one, part), getattr(two, part), strict=True)
    assert (one.format, one.version, type(one.encoder)) == (two.format, two.version, type(two.encoder))


@pytest.mark.parametrize("own", [False, True])
def test_a_scorer_scores_alike_from_a_folder_and_from_the_hub(hub: LoopbackHub, tmp_path: Path, own: bool) -> None:
    made, repo = scorer(Own() if own else None), f"alice/scorer-{own:d}"
    given: Any = {"encoder": Own()} if own else {}
    made.save_pretrained(tmp_path / "saved")
    assert made.push_to_hub(repo, commit_message="Values") == f"{hub.url}/{repo}"
    assert hub.commits(repo, "models") == ["Values", "initial commit"]
    for place in (tmp_path / "saved", str(tmp_path / "saved"), repo):
        loaded = ClusterScorer.from_pretrained(place, **given)
        _assert_same(made, loaded)
        assert str(POOL.map(made, batched=True).to_list()) == str(POOL.map(loaded, batched=True).to_list())  # NaNs
        if own:
            with pytest.raises(InputError, match=r"encoder of its owner's, Own; pass encoder="):
                ClusterScorer.from_pretrained(place)
    assert ("words.json" in hub.files(repo, "models")) == hub.is_private(repo, "models") == (not own)
    loaded.push_to_hub(repo)
    assert len(hub.commits(repo, "models")) == 2
    assert "secret" not in str(hub.files(repo, "models"))


def test_a_lexical_scorer_is_public_only_when_told(hub: LoopbackHub) -> None:
    scorer().push_to_hub("alice/scorer-told", private=False)
    assert not hub.is_private("alice/scorer-told", "models")
    with pytest.raises(InputError, match=r"alice/scorer-told exists and is public"):
        scorer().push_to_hub("alice/scorer-told")


def test_a_scorer_by_a_models_name_keeps_the_name_but_no_folder(hub: LoopbackHub) -> None:
    repo = "alice/scorer-named"
    scorer().push_to_hub(repo, private=False)
    for file in ("notes.txt", "words.json.md"):
        put(repo, file, "mine", "model")
    put(repo, "README.md", "---\nlicense: mit\ntags:\n- mine\n---\nMy words", "model")
    scorer(SentenceTransformerEncoder("some-org/encoder")).push_to_hub(repo)
    data = HfApi().model_info(repo).card_data
    assert (data.license, data.base_model, data.library_name) == ("mit", "some-org/encoder", "shed_hf")
    assert (data.tags[0], "My words" in hub.files(repo, "models")["README.md"].decode()) == ("mine", True)
    files = {"config.json", "model.safetensors", "README.md", "notes.txt", "words.json.md", ".gitattributes"}
    assert set(hub.files(repo, "models")) == files
    loaded = ClusterScorer.from_pretrained(repo)
    assert loaded.encoder == SentenceTransformerEncoder("some-org/encoder")
    scorer(SentenceTransformerEncoder("/home/somebody/encoder")).push_to_hub("alice/scorer-folder", revision="v2")
    assert hub.commits("alice/scorer-folder", "models") == ["initial commit"]
    assert "somebody" not in str(hub.files("alice/scorer-folder", "models", "v2"))
    assert "base_model" not in str(hub.files("alice/scorer-folder", "models", "v2")["README.md"])
    _assert_same(loaded, ClusterScorer.from_pretrained("alice/scorer-folder", revision="v2"))


def test_a_name_that_is_no_scorers_is_told_apart(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    result().push_to_hub("alice/a-dataset")
    with pytest.raises(HubError, match=r"alice/a-dataset failed.*there is a dataset of that name"):
        ClusterScorer.from_pretrained("alice/a-dataset")
    scorer().push_to_hub("alice/a-dataset")  # names of models and datasets are apart
    assert len(ClusterScorer.from_pretrained("alice/a-dataset").values) == 4
    assert len(hub.commits("alice/a-dataset")) == 2
    HfApi().create_repo("alice/a-model")
    with pytest.raises(InputError, match=r"'alice/a-model' holds no scorer \(config.json or model.safetensors"):
        ClusterScorer.from_pretrained("alice/a-model")
    with pytest.raises(HubError, match=r"alice/unknown failed, the Hub answered 404: there is no such repository"):
        ClusterScorer.from_pretrained("alice/unknown")
    with pytest.raises(InputError, match=r"^'./no/such/folder' is neither a folder nor the name of a repository"):
        ClusterScorer.from_pretrained("./no/such/folder")
    monkeypatch.setenv("HF_TOKEN", "hf_bob_secret")
    with pytest.raises(HubError, match=r"pushing to alice/scorer-bobs failed, the Hub answered 403"):
        scorer().push_to_hub("alice/scorer-bobs")
