"""The sample that clusters are made of: which rows it has, and with what it is curated."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

pytest.importorskip("datatrove")

import shed_hf
from shed_hf.datatrove import Embed, RowReader, Sample, SampledRows, read_sample
from shed_hf.embedding.embed import encode_texts
from shed_hf.errors import InputError
from tests.helpers.curations import PLAIN, ByTopic
from tests.helpers.shards import ROWS, copied, put_shards, words


def sampled(pool: Path, target: Path, size: int = 30, seed: int = 0, tasks: int = 1) -> SampledRows:
    copied(pool, target, Embed(words()), Sample(RowReader(str(pool)), size, seed), tasks=tasks)
    return read_sample(target, encoder=words())


def test_the_sample_is_the_same_however_shards_are_cut(pool: Path, tmp_path: Path) -> None:
    one = sampled(pool, tmp_path / "one")
    cut = put_shards(tmp_path / "cut", Dataset.from_list(ROWS[::-1]), 7)
    other = sampled(cut, tmp_path / "other", tasks=3)
    assert len(one) == 30
    assert one.dataset.to_list() == other.dataset.to_list()
    np.testing.assert_array_equal(one.vectors, other.vectors)


def test_the_sample_is_drawn_anew_by_another_seed(pool: Path, tmp_path: Path) -> None:
    chosen = [set(sampled(pool, tmp_path / f"{seed}", seed=seed).dataset["n"]) for seed in range(2)]
    assert len(chosen[0] & chosen[1]) < 25
    assert {number // 40 for number in chosen[0]} == {0, 1, 2}


@pytest.mark.parametrize("size", [120, 1_000_000])
def test_a_small_pool_is_sampled_whole(pool: Path, tmp_path: Path, size: int) -> None:
    assert sorted(sampled(pool, tmp_path / "out", size).dataset["n"]) == [*range(120)]


def test_rows_have_their_own_columns_and_vectors(pool: Path, tmp_path: Path) -> None:
    sample = sampled(pool, tmp_path / "out")
    assert sample.dataset.to_list() == [ROWS[number] for number in sample.dataset["n"]]
    texts = [f"{row['instruction']}\n{row['output']}" for row in sample.dataset]
    np.testing.assert_allclose(sample.vectors, encode_texts(words(), texts, np.arange(30)), atol=1e-6)


def test_rows_without_vectors_are_sampled_too(pool: Path, tmp_path: Path) -> None:
    copied(pool, tmp_path / "out", Sample(RowReader(str(pool)), 30))
    sample = read_sample(tmp_path / "out", 20)
    assert (len(sample), sample.vectors) == (20, None)
    with pytest.raises(InputError, match="pass the name of a model as embedder="):
        _ = sample.embedder


def test_the_encoder_of_the_vectors_must_be_known(pool: Path, tmp_path: Path) -> None:
    sampled(pool, tmp_path / "out")
    with pytest.raises(InputError, match=r"embedded by 'own:FittedLexical \w+'; pass it as encoder="):
        read_sample(tmp_path / "out")
    with pytest.raises(InputError, match="embedded by 'own:FittedLexical"):
        read_sample(tmp_path / "out", encoder=shed_hf.SentenceTransformerEncoder("a/model"))


def test_a_folder_without_a_sample_is_refused(pool: Path) -> None:
    with pytest.raises(InputError, match="holds no sample"):
        read_sample(pool)


@pytest.mark.parametrize("size", [0, 1_000_001, 2.5])
def test_a_sample_is_of_one_to_a_million_rows(pool: Path, size: Any) -> None:
    with pytest.raises(InputError, match="size"):
        Sample(RowReader(str(pool)), size)


class Noting:
    """An encoder that remembers what it embedded."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, texts: list[str]) -> np.ndarray:
        self.seen += texts
        return np.asarray(words().encode(texts))


def test_a_curation_of_the_sample_embeds_nothing_again(pool: Path, tmp_path: Path) -> None:
    encoder = Noting()
    copied(pool, tmp_path / "out", Embed(encoder), Sample(RowReader(str(pool))))
    sample = read_sample(tmp_path / "out", 100, encoder)
    encoder.seen.clear()
    curated = shed_hf.curate(
        sample.dataset, 20, embedder=sample.embedder, columns=sample.columns, clusterer="topic", estimator="exact",
        utility=ByTopic(sample.dataset), sampler=PLAIN, proxies_per_cluster=1,
    )  # fmt: skip
    assert encoder.seen == []
    scored = sample.scorer(curated)({"instruction": ["Say something."], "output": ["The pan and the salt."]})
    assert encoder.seen == ["Say something.\nThe pan and the salt."]
    assert scored["shed_value"] == [pytest.approx(curated.valued.values[scored["shed_cluster"][0]])]


def test_a_column_that_the_workers_left_unread_is_left_unread_by_the_curation(tmp_path: Path) -> None:
    rows = [{**row, "input": f"see page {row['n']}"} for row in ROWS]
    pool = put_shards(tmp_path / "pool", Dataset.from_list(rows))
    reader = RowReader(str(pool), {"input": None})
    copied(pool, tmp_path / "out", Sample(reader), columns={"input": None})
    sample = read_sample(tmp_path / "out")
    assert sample.columns["input"] is None
    assert sample.columns["instruction"] == "instruction"
    found = shed_hf.curate(
        sample.dataset, 20, embedder=words(), columns=sample.columns, clusterer="topic", estimator="exact",
        utility=ByTopic(sample.dataset), proxies_per_cluster=1, sampler=PLAIN,
    )  # fmt: skip
    assert found.valued.format.columns == sample.format.columns
