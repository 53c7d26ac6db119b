"""The step that gives rows the values of their clusters."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

pytest.importorskip("datatrove")

from datatrove.data import Document

from shed_hf.cluster_scorer import ClusterScorer
from shed_hf.data.formats import detect
from shed_hf.datatrove import Embed, RowReader, Score
from shed_hf.embedding.encoders import Lexical
from shed_hf.errors import InputError
from tests.helpers.scorers import topic_scorer
from tests.helpers.shards import ROWS, copied, run, words

ADDED = ["shed_cluster", "shed_value", "shed_value_stderr", "shed_distance"]


@pytest.fixture(scope="module")
def scorer() -> ClusterScorer:
    return topic_scorer(Dataset.from_list(ROWS))


@pytest.mark.parametrize("embedded", [True, False])
def test_rows_get_what_the_scorer_says_of_them(
    pool: Path, tmp_path: Path, scorer: ClusterScorer, embedded: bool
) -> None:
    steps = [Embed(scorer.encoder)] if embedded else []
    found = copied(pool, tmp_path / "out", *steps, Score(scorer, batch_size=50))
    expected = Dataset.from_list(ROWS).map(scorer, batched=True)
    assert found.column_names == [*ROWS[0], *ADDED]
    assert found["shed_cluster"][:] == expected["shed_cluster"][:]
    for column in ADDED[1:]:
        np.testing.assert_allclose(found[column][:], expected[column][:], atol=1e-6)


def test_vectors_are_not_made_again_and_kept_where_that_is_asked(pool: Path, scorer: ClusterScorer) -> None:
    class Refuses:
        def encode(self, texts: list[str]) -> Any:
            raise AssertionError(texts)

    documents = run([RowReader(str(pool)), Embed(words())])
    for document in documents:
        document.metadata["shed_encoder"] = f"own:{Refuses.__qualname__}"
    step = Score(replace(scorer, encoder=Refuses()), keep_vectors=True)
    assert all("shed_embedding" in document.metadata for document in step(iter(documents)))
    assert step.stats["scored"].total == 120


def test_vectors_of_another_encoder_are_refused(pool: Path, scorer: ClusterScorer) -> None:
    other = Lexical(16).fit(["a dog and a cat", "two cats and no dog"])
    with pytest.raises(InputError, match=r"rows were embedded by 'own:FittedLexical .*, and the scorer's clusters"):
        run([RowReader(str(pool)), Embed(other), Score(scorer)])


def test_all_rows_have_vectors_or_none(pool: Path, scorer: ClusterScorer) -> None:
    documents = run([RowReader(str(pool)), Embed(scorer.encoder)])
    bare = copy.deepcopy(documents[3])
    bare.metadata = dict(ROWS[3])
    with pytest.raises(InputError, match=r"row 0\.parquet/3 has no column .*; embed all rows"):
        list(Score(scorer)(iter([*documents[:3], bare])))


def test_a_row_of_unknown_words_has_no_cluster(pool: Path, scorer: ClusterScorer) -> None:
    documents = run([RowReader(str(pool)), Embed(scorer.encoder)])
    documents[0].metadata["shed_embedding"] = [0.0] * 16
    step = Score(scorer)
    found = list(step(iter(documents)))
    assert (found[0].metadata["shed_cluster"], np.isnan(found[0].metadata["shed_value"])) == (-1, True)
    assert step.stats["without_cluster"].total == 1


def test_rows_of_other_columns_are_named(pool: Path, scorer: ClusterScorer) -> None:
    documents = run([RowReader(str(pool))])
    for document in documents:
        del document.metadata["output"]
    with pytest.raises(InputError, match=r"counted from row 0\.parquet/0: .*reads \['output'\]"):
        list(Score(scorer)(iter(documents)))


@pytest.mark.parametrize("order", [1, -1], ids=["absent first", "absent last"])
@pytest.mark.parametrize("absent", [1, 60])
def test_a_row_without_an_optional_column_is_scored_as_one_that_has_nothing_in_it(
    scorer: ClusterScorer, absent: int, order: int
) -> None:
    rows = [{**row, "input": f"about {row['instruction']}", "system": None} for row in ROWS]
    reads_more = replace(scorer, format=detect(list(rows[0])))
    expected = reads_more({name: [row[name] for row in rows] for name in rows[0]} | {"input": [
        None if number < absent else row["input"] for number, row in enumerate(rows)
    ]})["shed_distance"]  # fmt: skip
    documents = [Document(text="", id=f"{number}", metadata=dict(row)) for number, row in enumerate(rows)]
    for document in documents[:absent]:
        del document.metadata["input"]
    found = list(Score(reads_more)(iter(documents[::order])))[::order]
    np.testing.assert_allclose([document.metadata["shed_distance"] for document in found], expected, atol=1e-6)
    assert all("input" not in document.metadata for document in found[:absent])


@pytest.mark.parametrize("place", [0, 5])
def test_a_row_without_a_column_that_rows_must_have_is_named(scorer: ClusterScorer, place: int) -> None:
    documents = [Document(text="", id=f"row {number}", metadata=dict(row)) for number, row in enumerate(ROWS)]
    del documents[place].metadata["output"]
    with pytest.raises(InputError, match=rf"row row {place} has no column 'output'; give all rows"):
        list(Score(scorer)(iter(documents)))


def test_a_scorer_is_read_from_where_it_was_saved(pool: Path, tmp_path: Path, scorer: ClusterScorer) -> None:
    scorer.save_pretrained(tmp_path / "scorer")
    one, other = (run([RowReader(str(pool)), Score(each)]) for each in (scorer, tmp_path / "scorer"))
    assert [document.metadata for document in one] == [document.metadata for document in other]


def test_what_is_no_scorer_is_refused() -> None:
    with pytest.raises(InputError, match=r"is a list; pass curated\.scorer"):
        Score([1, 2])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["nosuch", "./nosuch", "no/such/folder", "no such/scorer", Path("nosuch")])
def test_a_scorer_that_is_nowhere_is_told_by_the_argument_and_what_it_may_be(name: str | Path) -> None:
    with pytest.raises(
        InputError, match=r"^scorer='.*no.*such.*' can't be used: .*neither a folder nor the name"
    ) as no:
        Score(name)
    assert "repo_id" not in str(no.value)


def test_a_folder_that_holds_no_scorer_is_told_by_the_argument(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^scorer='.*' can't be used: .* holds no scorer"):
        Score(tmp_path)
