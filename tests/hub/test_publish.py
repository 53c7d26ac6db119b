"""Pushing and pulling, spoken through the real clients to a Hub of our own: what arrives, what stays, what leaks."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, List, Value, concatenate_datasets, load_dataset
from huggingface_hub import HfApi, metadata_update
from PIL import Image as Picture
from safetensors.numpy import load

from shed_hf import CuratedDataset, InputError
from shed_hf.embedding.encoders import SentenceTransformerEncoder
from shed_hf.results.map_columns import without_places
from shed_hf.storage.outcomes_table import utilities_table
from tests.helpers.curations import ByTopic, curated_of
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.pushes import published, put, result, words_in
from tests.helpers.rows import TOPICS, make_rows

pytestmark = pytest.mark.usefixtures("alice", "no_token_is_told")
FILES = {
    "README.md", "assets/map.png", "assets/values.png", "clusters/train-00000-of-00001.parquet",
    "data/train-00000-of-00001.parquet", "shed_hf/arrays.safetensors", "shed_hf/manifest.json",
    "utilities/train-00000-of-00001.parquet",
}  # fmt: skip


@cache
def on_the_hub(private: bool) -> Dataset:
    """120 rows as they come from a repository that stays as it is."""
    return published(f"alice/pool-{private}", Dataset.from_list(make_rows(120)), private)


SECRETS = [f"zq{chr(97 + n // 26)}{chr(97 + n % 26)}x" for n in range(120)]


@cache
def with_secrets_on_the_hub(private: bool) -> Dataset:
    """The rows with a word of its own in each."""
    rows = [row | {"instruction": f"{s} {row['instruction']}"} for row, s in zip(make_rows(120), SECRETS, strict=True)]
    return published(f"alice/pool-words-{private}", Dataset.from_list(rows), private)


def card_of(hub: LoopbackHub, repo: str) -> str:
    return hub.files(repo)["README.md"].decode()


# ---- what a push makes


def test_one_commit_holds_everything(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    address = result().push_to_hub("alice/first", commit_message="Thirty good rows")
    assert len(hub.requests) <= 6, hub.requests
    assert address == f"{hub.url}/datasets/alice/first"
    assert hub.commits("alice/first") == ["Thirty good rows", "initial commit"]
    assert set(hub.files("alice/first")) == {*FILES, ".gitattributes"}
    assert hub.files("alice/first")["assets/map.png"].endswith(b"IEND\xaeB`\x82")
    arrays = load(hub.files("alice/first")["shed_hf/arrays.safetensors"])
    assert "sketch_coordinates" in arrays
    assert "sketch_vectors" not in arrays
    result().push_to_hub("alice/first")
    assert len(hub.commits("alice/first")) == 2


def test_anyone_loads_rows_clusters_and_utilities(hub: LoopbackHub) -> None:
    curated = result()
    curated.push_to_hub("alice/tables", excerpts=True)
    expected = {
        "default": curated.dataset,
        "clusters": curated.clusters,
        "utilities": utilities_table(curated.ledger, curated.valued.players),
    }
    for config, table in expected.items():
        loaded = without_places(load_dataset("alice/tables", config, split="train"))
        assert (loaded.to_list(), loaded.features) == (table.to_list(), table.features)


def test_rows_arrive_with_their_places_on_the_map_and_come_back_without_them() -> None:
    curated = result()
    curated.push_to_hub("alice/map")
    loaded, plane = load_dataset("alice/map", split="train"), curated.valued.embedding_map
    places = dict(zip(plane.rows.tolist(), plane.coordinates.tolist(), strict=True))
    assert [[row["x"], row["y"]] for row in loaded] == [places[row["shed_row"]] for row in loaded]
    again = CuratedDataset.from_hub("alice/map")
    assert again.dataset.to_list() == curated.dataset.to_list()
    again.push_to_hub("alice/again")
    assert load_dataset("alice/again", split="train").to_list() == loaded.to_list()


def test_every_kind_of_column_arrives_and_pictures_are_inside(hub: LoopbackHub, tmp_path: Path) -> None:
    features = Features(
        {
            **{name: Value("string") for name in ("instruction", "output")},
            "topic": ClassLabel(names=sorted(TOPICS)),
            "grade": Value("int8"),
            "notes": List({"who": Value("string"), "marks": List(Value("float32"))}),
            "picture": Image(),
        }
    )
    rows = make_rows(120)
    for number in range(4):
        Picture.new("RGB", (3, 2), (40 * number, 0, 7)).save(tmp_path / f"{number}.png")
    notes = [[{"who": "bo", "marks": [0.5, n]}] * (n % 3) for n in range(120)]
    more = [{"grade": n - 60, "notes": notes[n], "picture": str(tmp_path / f"{n % 4}.png")} for n in range(120)]
    full = [row | extra for row, extra in zip(rows, more, strict=True)]
    pool = Dataset.from_list(full, features=features)
    curated = curated_of(pool, 50, utility=ByTopic(Dataset.from_list(rows)))
    curated.push_to_hub("alice/columns")
    for path in tmp_path.glob("*.png"):
        path.unlink()
    loaded, pulled = load_dataset("alice/columns", split="train"), CuratedDataset.from_hub("alice/columns")
    for dataset in (without_places(loaded), pulled.dataset):
        assert dataset.features == curated.dataset.features
        assert {name: dataset.features[name] for name in features} == features
        assert dataset["notes"][:] == [notes[row] for row in curated.rows]
        assert [picture.getpixel((0, 0))[0] for picture in dataset["picture"]] == [40 * (r % 4) for r in curated.rows]
    assert str(tmp_path) not in words_in(hub, "alice/columns")
    pulled.push_to_hub("alice/columns")
    assert len(hub.commits("alice/columns")) == 2


# ---- pushing again


@pytest.mark.parametrize("public", [True, False])
def test_the_same_content_makes_no_second_commit(hub: LoopbackHub, public: bool, tmp_path: Path) -> None:
    curated, repo = curated_of(on_the_hub(not public)), f"alice/again-{public:d}"
    curated.push_to_hub(repo)
    hub.requests.clear()
    curated.push_to_hub(repo)
    assert len(hub.requests) <= 9, hub.requests  # one to look at the source
    assert len(hub.commits(repo)) == 2
    CuratedDataset.from_hub(repo).push_to_hub(repo)
    curated.save_to_disk(tmp_path / "saved", pages=False)
    CuratedDataset.load_from_disk(tmp_path / "saved").push_to_hub(repo)
    assert len(hub.commits(repo)) == 2


def test_other_rows_replace_the_old_ones_and_foreign_files_stay(hub: LoopbackHub) -> None:
    curated = result()
    curated.push_to_hub("alice/replaced")
    shard = hub.files("alice/replaced")["data/train-00000-of-00001.parquet"]
    for stale in ("data/train-00001-of-00002.parquet", "data/more/train-7.parquet", "shed_hf/words.json"):
        put("alice/replaced", stale, shard)
    put("alice/replaced", "notes.txt", "mine")
    put("alice/replaced", "database/rows.txt", "mine too")
    before = hub.commits("alice/replaced")
    other = curated.resample(11, "random", seed=5)
    other.push_to_hub("alice/replaced")
    assert hub.commits("alice/replaced")[1:] == before
    files = hub.files("alice/replaced")
    assert set(files) == {*FILES, ".gitattributes", "notes.txt", "database/rows.txt"}
    assert (files["notes.txt"], files["database/rows.txt"]) == (b"mine", b"mine too")
    replaced = without_places(load_dataset("alice/replaced", split="train"))
    assert replaced.to_list() == other.dataset.to_list()


def test_what_the_owner_wrote_stays(hub: LoopbackHub, tmp_path: Path) -> None:
    repo, curated = "alice/owned", result()
    curated.push_to_hub(repo)
    Dataset.from_dict({"a": [1, 2]}).to_parquet(tmp_path / "rows.parquet")
    put(repo, "extra/rows.parquet", (tmp_path / "rows.parquet").read_bytes())
    extra = {"config_name": "extra", "data_files": "extra/rows.parquet"}
    _, head, text = card_of(hub, repo).split("---\n", 2)
    head = head.replace("configs:\n", f"configs:\n- {extra}\n").replace("tags:\n", "tags:\n- mine\n")
    head = head.replace("pretty_name: Owned\n", "pretty_name: Mine\n")
    text = text.replace("<!-- shed_hf: what", "Before ünd\n\n<!-- shed_hf: what") + "\n## Mine\n\nAfter, with --- lines"
    put(repo, "README.md", f"---\nlicense: mit\n{head}---\n{text}")
    curated.resample(12).push_to_hub(repo)
    once = card_of(hub, repo)
    assert "12 rows kept of the 120" in once
    assert once.index("Before ünd") < once.index("# owned") < once.index("## Mine\n\nAfter, with --- lines")
    assert once.count("# owned") == once.count("<!-- shed_hf: until here -->") == once.count("config_name: extra") == 1
    data = HfApi().dataset_info(repo).card_data
    assert (data.license, data.pretty_name) == ("mit", "Mine")
    assert data.tags == ["mine", "shed", "shapley", "data-curation"]
    assert load_dataset(repo, "extra", split="train")["a"][:] == [1, 2]
    assert len(load_dataset(repo, split="train")) == 12
    curated.resample(12).push_to_hub(repo)
    assert (card_of(hub, repo), len(hub.commits(repo))) == (once, 5)


def test_rows_that_shed_hf_did_not_push_are_left_alone(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = Dataset.from_list([{"text": "old"}] * 5)
    DatasetDict({"train": rows, "test": rows}).push_to_hub("alice/plain", private=True)
    before = hub.files("alice/plain")
    with pytest.raises(InputError, match=r"alice/plain holds files that shed_hf did not make.*pass another name"):
        result().push_to_hub("alice/plain")
    assert hub.files("alice/plain") == before
    source = published("alice/eaten", Dataset.from_list(make_rows(120)))
    with pytest.raises(InputError, match="did not make"):
        curated_of(source).push_to_hub("alice/eaten")
    assert len(load_dataset("alice/eaten", split="train")) == 120


def test_a_revision_is_a_branch_and_main_stays_as_it_is(hub: LoopbackHub) -> None:
    result().push_to_hub("alice/branched")
    before, half = hub.commits("alice/branched"), result().resample(15)
    address = half.push_to_hub("alice/branched", revision="half", commit_message="Half")
    assert address == f"{hub.url}/datasets/alice/branched/tree/half"
    assert hub.commits("alice/branched") == before
    assert hub.commits("alice/branched", revision="half") == ["Half", *before]
    for revision, rows in (("half", half.rows), ("main", result().rows), (None, result().rows)):
        assert (CuratedDataset.from_hub("alice/branched", revision=revision).rows == rows).all()
    assert load_dataset("alice/branched", split="train", revision="half")["shed_row"][:] == half.rows.tolist()
    half.push_to_hub("alice/branched", revision="half")
    assert len(hub.commits("alice/branched", revision="half")) == len(before) + 1


# ---- who may see it


SOURCES: dict[str, tuple[bool, Any]] = {
    "untouched": (True, lambda rows: rows),
    "shuffled": (True, lambda rows: rows.shuffle(seed=1)),
    "filtered": (True, lambda rows: rows.filter(lambda row: "1" in row["output"])),
    "renamed": (True, lambda rows: rows.rename_column("output", "response")),
    "changed": (False, lambda rows: rows.map(lambda row: {"output": row["output"] + " at home"})),
    "lengthened": (False, lambda rows: concatenate_datasets([rows, Dataset.from_list(make_rows(9, seed=3))])),
    "widened": (False, lambda rows: rows.add_column("more", ["x"] * 120)),
}


@pytest.mark.parametrize("how", SOURCES)
def test_only_rows_of_a_public_dataset_are_public_unless_told(hub: LoopbackHub, how: str) -> None:
    public, change = SOURCES[how]
    curated_of(change(on_the_hub(False)), 20).push_to_hub(f"alice/seen-{how}")
    assert hub.is_private(f"alice/seen-{how}") != public
    assert ("a row of its sample begins" in card_of(hub, f"alice/seen-{how}")) == public


@pytest.mark.parametrize("how", ["private", "gated"])
def test_rows_that_not_everybody_may_read_stay_private(hub: LoopbackHub, how: str) -> None:
    pool = on_the_hub(True)
    if how == "gated":
        pool = published("alice/pool-gated", Dataset.from_list(make_rows(120)))
        HfApi().update_repo_settings("alice/pool-gated", repo_type="dataset", gated="auto")
    curated = curated_of(pool)
    curated.push_to_hub(f"alice/kept-{how}")
    assert hub.is_private(f"alice/kept-{how}")
    assert "a row of its sample begins" not in card_of(hub, f"alice/kept-{how}")
    curated.push_to_hub(f"alice/told-{how}", private=False)
    assert not hub.is_private(f"alice/told-{how}")


def test_a_public_repository_is_not_taken_for_a_private_one(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result().push_to_hub("alice/public", private=False)
    for private in (True, None):
        with pytest.raises(InputError, match=r"alice/public exists and is public; .*pass private=False"):
            result().resample(9).push_to_hub("alice/public", private=private)
    assert len(hub.commits("alice/public")) == 2
    result().resample(9).push_to_hub("alice/public", private=False)
    assert len(hub.commits("alice/public")) == 3


@pytest.mark.parametrize("public", [True, False])
@pytest.mark.parametrize("excerpts", ["auto", True, False])
def test_words_of_rows_that_were_not_kept_are_shown_only_when_told(
    hub: LoopbackHub, public: bool, excerpts: Any
) -> None:
    name = f"{public}-{excerpts}".lower()
    curated = curated_of(with_secrets_on_the_hub(not public), 40, sampler="qwcs")
    curated.push_to_hub(f"alice/words-{name}", excerpts=excerpts)
    shown = public if excerpts == "auto" else excerpts
    text, kept = words_in(hub, f"alice/words-{name}"), set(curated.rows)
    assert all(secret in text for row, secret in enumerate(SECRETS) if row in kept)
    told = {secret for row, secret in enumerate(SECRETS) if row not in kept and secret in text}
    assert bool(told) == shown, told
    assert ("a row of its sample begins" in card_of(hub, f"alice/words-{name}")) == shown
    assert ("shed_hf/words.json" in hub.files(f"alice/words-{name}")) == shown
    clusters = load_dataset(f"alice/words-{name}", "clusters", split="train")
    assert [excerpt is not None for excerpt in clusters["excerpt"]] == [shown] * 4
    assert clusters.features == curated.clusters.features
    if not shown:
        with pytest.raises(InputError, match="there is nothing to embed new rows with"):
            _ = CuratedDataset.from_hub(f"alice/words-{name}").scorer


def test_neither_token_nor_paths_of_this_machine_are_published(hub: LoopbackHub) -> None:
    model, curated = "/home/somebody/my models/minilm", result()
    tuner = {"model": "/home/somebody/llama", "objective": "Loss('/home/somebody/x')", "args": None}
    recipe = curated.recipe | {
        "tuner": tuner | {"peft_config": None},
        "embedder": {"name": "SentenceTransformerEncoder", "model": model},
        "utility": {"objective": "ROUGE(path='/home/somebody/metrics/rouge.py')", "training": {"to": "~/somebody/run"}},
    }
    valued = replace(curated.valued, encoder=SentenceTransformerEncoder(model))
    valued.ledger.header["model"] = ["/home/somebody/llama", {"adapter": "C:\\Users\\somebody\\adapter"}]
    replace(curated, recipe=recipe, valued=valued).push_to_hub("alice/paths", excerpts=True)
    del valued.ledger.header["model"]
    text = words_in(hub, "alice/paths")
    assert "somebody" not in text
    assert "secret" not in text
    assert {"./minilm", "./rouge.py"} <= set(text.replace('"', " ").replace("'", " ").split())
    assert "base_model" not in card_of(hub, "alice/paths")


# ---- the card


def test_the_card_inherits_from_its_source_and_names_its_parents(hub: LoopbackHub) -> None:
    about = {"license": "cc-by-4.0", "language": ["en", "de"], "task_categories": ["text-generation"]}
    curated = curated_of(published("alice/pool-card", Dataset.from_list(make_rows(120)), tags=["its-own"], **about))
    tuner = {"model": "some-org/some-model", "objective": None, "args": None, "peft_config": None}
    replace(curated, recipe=curated.recipe | {"tuner": tuner}).push_to_hub("alice/card")
    data = HfApi().dataset_info("alice/card").card_data.to_dict()
    assert {name: data[name] for name in about} == about
    assert (data["source_datasets"], data["base_model"]) == (["alice/pool-card"], "some-org/some-model")
    assert data["tags"] == ["shed", "shapley", "data-curation"]
    assert (data["size_categories"], data["shed"]["kept"], data["shed"]["of"]) == (["n<1K"], 30, 120)
    sha = HfApi().dataset_info("alice/pool-card").sha
    assert f"[alice/pool-card](https://huggingface.co/datasets/alice/pool-card/tree/{sha})" in card_of(
        hub, "alice/card"
    )
    metadata_update("alice/card", {"license": "mit"}, repo_type="dataset", overwrite=True)
    curated.push_to_hub("alice/card")
    assert HfApi().dataset_info("alice/card").card_data.license == "mit"


@pytest.mark.parametrize("excerpts", [True, False])
def test_the_tables_of_the_card_are_tables(hub: LoopbackHub, excerpts: bool) -> None:
    result().push_to_hub(f"alice/markdown-{excerpts}", excerpts=excerpts)
    lines = card_of(hub, f"alice/markdown-{excerpts}").splitlines()
    start = lines.index(next(line for line in lines if line.startswith("| cluster |")))
    table = lines[start : start + 6]  # a blank line would end it
    assert [line.count("|") - 1 for line in table] == [5 + excerpts] * 6
