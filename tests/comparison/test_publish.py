"""A comparison on the Hub: what arrives, who may read it, and what is kept."""

from functools import cache

import pytest
from datasets import load_dataset
from huggingface_hub import HfApi

import shed_hf
from shed_hf import HubError, InputError
from tests.helpers.comparisons import DEV, POOL, Worths, compared
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.pushes import published, words_in

pytestmark = pytest.mark.usefixtures("alice", "no_token_is_told")


@cache
def table() -> shed_hf.Comparison:
    return compared({"longest": "longest", "a|b <i>": "retrieval"}, sizes=[8])


def test_one_commit_holds_tables_picture_and_card(hub: LoopbackHub) -> None:
    address = table().push_to_hub("alice/comparison")
    assert address == f"{hub.url}/datasets/alice/comparison"
    assert set(hub.files("alice/comparison")) == {
        ".gitattributes", "README.md", "assets/comparison.png", "data/lines.parquet", "runs/runs.parquet",
        "shed_hf/comparison.json",
    }  # fmt: skip
    assert len(hub.commits("alice/comparison")) == 2
    table().push_to_hub("alice/comparison")
    assert len(hub.commits("alice/comparison")) == 2
    card = hub.files("alice/comparison")["README.md"].decode()
    assert "| longest |" in card
    assert "a|b <i>" not in card
    assert "assets/comparison.png" in card


def test_anyone_loads_its_tables_and_pulls_it(hub: LoopbackHub) -> None:
    table().push_to_hub("alice/tables")
    assert load_dataset("alice/tables", split="train")["method"][:] == [line.method for line in table().lines]
    assert len(load_dataset("alice/tables", "runs", split="train")) == len(table().runs)
    again = shed_hf.Comparison.from_hub("alice/tables")
    assert (str(again), again.runs) == (str(table()), table().runs)


def test_it_is_private_unless_its_source_is_public(hub: LoopbackHub) -> None:
    table().push_to_hub("alice/of-private")
    assert HfApi().dataset_info("alice/of-private").private
    open_rows = published("alice/open-rows", POOL)
    assert not HfApi().dataset_info("alice/open-rows").private
    of_public = shed_hf.compare(
        open_rows, methods="longest", sizes=[8], seeds=2, utility=Worths(6), test_utility=Worths(), eval_dataset=DEV,
        embedder="lexical",
    )  # fmt: skip
    of_public.push_to_hub("alice/of-public")
    assert not HfApi().dataset_info("alice/of-public").private


def test_no_word_of_a_row_is_published(hub: LoopbackHub) -> None:
    table().push_to_hub("alice/no-rows")
    assert "whiskers" not in words_in(hub, "alice/no-rows")


def test_what_its_owner_wrote_stays(hub: LoopbackHub) -> None:
    table().push_to_hub("alice/kept")
    card = hub.files("alice/kept")["README.md"].decode()
    HfApi().upload_file(path_or_fileobj=(card + "\nMy own words.\n").encode(), path_in_repo="README.md",
                        repo_id="alice/kept", repo_type="dataset")  # fmt: skip
    table().push_to_hub("alice/kept")
    assert "My own words." in hub.files("alice/kept")["README.md"].decode()


def test_another_repository_is_neither_written_over_nor_read(hub: LoopbackHub) -> None:
    POOL.push_to_hub("alice/others", private=True)
    with pytest.raises(InputError, match="holds files that shed_hf did not make"):
        table().push_to_hub("alice/others")
    with pytest.raises(InputError, match="without a comparison"):
        shed_hf.Comparison.from_hub("alice/others")
    with pytest.raises(HubError):
        shed_hf.Comparison.from_hub("alice/nothing-there")
