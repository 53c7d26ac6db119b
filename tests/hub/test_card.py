"""The card's metadata, what becomes of a README that was there before, and where the templates are."""

import tomllib
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetInfo
from huggingface_hub import DatasetCard

import shed_hf
from shed_hf.hub.readme import BEGIN, END, TAGS, template
from shed_hf.storage.curated_folder import CONFIGS
from shed_hf.storage.outcomes_table import utilities_table
from tests.helpers.cards import HUB, by_items, card_of, changed, curated, headings, metadata, usual_headings
from tests.helpers.curations import curated_of
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.rows import TOPICS, make_rows

OWNERS = """---
license: cc-by-4.0
pretty_name: Mine
tags: [cooking, shed]
my_key: {a: [1, 2]}
configs:
- config_name: extra
  data_files: extra/*.csv
- config_name: clusters
  data_files: old/*
dataset_info:
  config_name: extra
  features: [{name: x, dtype: int64}]
---
"""


# ---- what the Hub reads


def test_the_metadata_say_what_is_in_the_repository() -> None:
    data = metadata(card_of(curated(), license="mit", language=["de", "en"], task_categories=["question-answering"]))
    assert (data["license"], data["language"], data["task_categories"]) == ("mit", ["de", "en"], ["question-answering"])
    assert (data["size_categories"], data["tags"]) == (["n<1K"], list(TAGS))
    assert {config["config_name"]: config["data_files"] for config in data["configs"]} == {
        name: [{"split": "train", "path": f"{folder}/train-*"}]
        for name, folder in (("default", "data"), ("clusters", "clusters"), ("utilities", "utilities"))
    }
    told = {"kept": 30, "of": 120, "clusters": 4, "estimator": "Exact", "semivalue": "shapley", "fine_tunings": 17}
    assert data["shed"] == told
    assert {"source_datasets", "base_model"} & set(data) == set()
    assert (data["pretty_name"], data["library_name"]) == ("X", "shed_hf")


def test_the_source_passes_on_what_is_true_of_the_rows_and_nothing_else() -> None:
    data = metadata(card_of(curated(), license="mit", pretty_name="Theirs", configs=[{"config_name": "a"}], tags=["b"]))
    assert (data["license"], data["pretty_name"]) == ("mit", "X")
    assert (len(data["configs"]), data["tags"]) == (3, list(TAGS))


def test_the_columns_of_all_configurations_can_be_read_back() -> None:
    labelled = Dataset.from_list(make_rows(120)).cast_column("topic", ClassLabel(names=sorted(TOPICS)))
    result = curated_of(labelled, utility=by_items)
    tables = [result.dataset, result.clusters, utilities_table(result.ledger, result.valued.players)]
    for described, expected in zip(metadata(card_of(result))["dataset_info"], tables, strict=True):
        assert DatasetInfo._from_yaml_dict(described).features == expected.features


@pytest.mark.parametrize(
    ("model", "named"),
    [("me/model", True), ("org-1/Model_2.0", True), ("/home/me/model", False), ("./model", False), ("../model", False),
     ("model", False), ("a/b/c", False), ("~/model", False), ("me/model\n", False), ("", False), ("C:\\m/x", False)],
)  # fmt: skip
def test_only_a_model_of_the_hub_is_the_base_model(model: str, named: bool) -> None:
    tuner = {"model": model, "objective": None, "args": None, "peft_config": None}
    data = metadata(card_of(changed(curated(), tuner=tuner)))
    assert data.get("base_model") == (model if named else None)


def test_a_source_of_the_hub_is_named() -> None:
    data = metadata(card_of(changed(curated(), source=curated().recipe["source"] | {"hub": HUB})))
    assert data["source_datasets"] == ["me/rows"]


@pytest.mark.parametrize("existing", [None, OWNERS + "mine\n"])
def test_the_hub_finds_nothing_wrong_with_it(hub: LoopbackHub, existing: str | None) -> None:
    DatasetCard(card_of(curated(), existing, license="mit")).validate()
    assert ("POST", "/api/validate-yaml", 200) in hub.requests


# ---- what was there before


def test_the_owners_metadata_stay() -> None:
    data = metadata(card_of(curated(), OWNERS, license="mit"))
    assert (data["license"], data["pretty_name"], data["my_key"]) == ("cc-by-4.0", "Mine", {"a": [1, 2]})
    assert data["tags"] == ["cooking", *TAGS]
    assert [config["config_name"] for config in data["configs"]] == ["default", "clusters", "utilities", "extra"]
    assert data["configs"][1]["data_files"] == [{"split": "train", "path": "clusters/train-*"}]
    assert [info["config_name"] for info in data["dataset_info"]] == ["default", "clusters", "utilities", "extra"]


@pytest.mark.parametrize(
    "words",
    ["", "My words.\n", f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n", f"{BEGIN} half", f"half {END} more",
     f"{END} the wrong way {BEGIN} round"],
)  # fmt: skip
@pytest.mark.parametrize("front", ["", OWNERS])
def test_the_owners_words_stay_and_the_second_time_changes_nothing(front: str, words: str) -> None:
    card = card_of(curated(), front + words)
    assert card_of(curated(), card) == card
    own = [words] if BEGIN not in words or END not in words else words.split(f"{BEGIN}\nold\n{END}")
    assert all(part.strip() in card for part in own)
    assert headings(card) == usual_headings()


def test_what_the_owner_writes_around_the_generated_part_stays_in_its_place() -> None:
    card = card_of(curated()).replace(BEGIN, f"# Mine\n\nbefore\n\n{BEGIN}") + "\nafter\n"
    again = card_of(curated_of(Dataset.from_list(make_rows(120)), 20), card)
    assert 0 < again.index("before") < again.index("\n20 rows kept") < again.index("after")
    assert "\n30 rows kept" not in again


@pytest.mark.parametrize(
    "front", ["a: [", "- a\n- b", "1: one", "a: !!python/object:os.system {}", "a: b: c", "\ta: b", "just words"]
)
def test_metadata_that_cannot_be_read_are_kept_as_text(front: str) -> None:
    card = card_of(curated(), f"---\n{front}\n---\n\nMy words.\n")
    assert front in DatasetCard(card).text
    assert "My words." in card
    assert metadata(card)["tags"] == list(TAGS)
    assert card_of(curated(), card) == card


@pytest.mark.parametrize("odd", ["tags: nlp", "configs: [a, b]", "dataset_info:"])
def test_metadata_of_an_odd_shape_are_no_obstacle(odd: str) -> None:
    data = metadata(card_of(curated(), f"---\n{odd}\n---\nMy words.\n"))
    assert set(TAGS) <= set(data["tags"]) <= {*TAGS, "nlp"}
    assert [config["config_name"] for config in data["configs"] if isinstance(config, dict)] == list(CONFIGS)
    assert len(data["dataset_info"]) == 3


# ---- the templates


@pytest.mark.parametrize("name", ["dataset_card", "scorer_card"])
def test_the_templates_are_found(name: str) -> None:
    assert Path(template(name).filename).name == f"{name}.md.jinja"


def test_an_installed_package_has_every_template_where_it_looks_for_them() -> None:
    root = Path(__file__).parents[2]
    build = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    there = {path.relative_to(root).as_posix() for path in (root / "hub_cards").glob("*.jinja")}
    taken = {name: place for name, place in build["force-include"].items() if name.endswith(".jinja")}
    assert taken == {name: f"shed_hf/{name}" for name in there}
    assert {Path(name).name for name in there} == {
        "comparison_card.md.jinja",
        "dataset_card.md.jinja",
        "scorer_card.md.jinja",
    }
    assert template("dataset_card").environment.loader.searchpath[0] == str(Path(shed_hf.__file__).parent / "hub_cards")
