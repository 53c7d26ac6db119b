"""Shares of clusters and sources among the kept rows, and the configurations that train on them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from datasets import Dataset
from trl import ModelConfig, ScriptArguments, SFTConfig, TrlParser
from trl.scripts.utils import DatasetMixtureConfig, get_dataset

from shed_hf import CuratedDataset, InputError
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.estimators import LeastSquares, Permutation
from shed_hf.results.mixture import Mixture
from shed_hf.sampling.played_game import RowWorth
from shed_hf.sampling.retrieval import Retrieval
from shed_hf.sampling.samplers import QWCS
from tests.helpers.credited import Crediting
from tests.helpers.curations import WORTH, curated_of
from tests.helpers.rows import make_rows

ROWS = make_rows(120)
POOL = Dataset.from_list([{**row, "source": ("web", "book", "chat")[i % 3]} for i, row in enumerate(ROWS)])
ITEMS = Dataset.from_list(make_rows(8, seed=5))
LABELS = (np.arange(120) % 6).tolist()


@pytest.fixture(scope="module")
def curated() -> CuratedDataset:
    return curated_of(POOL, 40, sampler=QWCS())


@pytest.fixture(scope="module")
def mixture(curated: CuratedDataset) -> Mixture:
    return curated.mixture()


def parsed(path: Path) -> tuple[Any, ...]:
    parser = TrlParser((ScriptArguments, SFTConfig, ModelConfig, DatasetMixtureConfig))
    return parser.parse_args_and_config(["--config", str(path)], fail_with_unknown_args=True)


# ---- shares and gains


def test_groups_are_the_clusters_of_the_kept_rows_the_largest_first(curated: CuratedDataset, mixture: Mixture) -> None:
    kept = [line["selected"] for line in curated.clusters]
    assert sorted((group.rows for group in mixture.groups), reverse=True) == sorted(filter(None, kept), reverse=True)
    assert [group.rows for group in mixture.groups] == sorted((g.rows for g in mixture.groups), reverse=True)
    assert sum(group.share for group in mixture.groups) == pytest.approx(1)
    assert all(group.pool_share == 0.25 for group in mixture.groups)


def test_a_clusters_gain_is_its_value(curated: CuratedDataset, mixture: Mixture) -> None:
    frame = mixture.to_pandas().set_index("name")
    for number, value in enumerate(curated.valued.values):
        line = frame[frame.index.str.startswith(f"cluster {number} ")]
        assert line["gain"].tolist() == pytest.approx([value])


def test_a_columns_gain_is_the_mean_value_of_its_rows(curated: CuratedDataset) -> None:
    by_topic = curated.mixture(by="topic")
    assert {group.name: group.gain for group in by_topic.groups} == pytest.approx(WORTH)
    by_source = curated.mixture(by="source")
    for group in by_source.groups:
        rows = [row for row in curated.dataset if row["source"] == group.name]
        assert group.rows == len(rows)
        assert group.gain == pytest.approx(np.mean([WORTH[row["topic"]] for row in rows]))


@pytest.mark.parametrize("sampler", [Retrieval(), Retrieval("mean")], ids=["turns", "mean"])
def test_nearness_to_the_evaluation_items_is_no_gain(sampler: Retrieval, tmp_path: Path) -> None:
    near = curated_of(POOL, 12, sampler=sampler, estimator=None, eval_dataset=ITEMS)
    assert near.recipe["row_values"]["parts"] == ["nearness"]
    for by in ("cluster", "source"):
        mixture = near.mixture(by=by)
        assert {(group.gain, group.gain_stderr) for group in mixture.groups} == {(None, None)}
        assert mixture.to_pandas()["gain"].isna().all()
        assert "gain" not in str(mixture)
        assert "gain" not in mixture.to_yaml("trl", tmp_path / f"{by}.yaml", model="any").read_text()


def test_without_a_game_a_groups_gain_is_the_mean_credit_of_its_rows() -> None:
    near = curated_of(POOL, 12, sampler=Retrieval(), estimator=None, eval_dataset=ITEMS)
    values, m = np.linspace(-1, 1, len(near.pool_rows)), len(near.pool_rows)
    parts = np.stack([np.full(m, 0.0), values], axis=1)
    worth = RowWorth(values, np.full(m, 0.5), parts, ["any_row", "credit"], np.arange(m), [])
    credited = replace(near, valued=replace(near.valued, worth=worth))
    for group in credited.mixture(by="source").groups:
        rows = [number for number, row in zip(near.rows, near.dataset, strict=True) if row["source"] == group.name]
        assert group.gain == pytest.approx(values[np.searchsorted(near.pool_rows, rows)].mean())
        assert group.gain_stderr == pytest.approx(0.5)
    assert ", gain per group" in str(credited.mixture())


def test_shares_of_known_values_have_no_error_and_of_uncertain_ones_have(curated: CuratedDataset) -> None:
    exact = curated_of(POOL, 40).mixture()
    assert exact.error_of == "values"
    assert all(group.share_stderr == 0 for group in exact.groups)
    unsure = curated_of(
        POOL, 40, clusterer=LABELS, estimator=LeastSquares(), utility=Crediting(), budget=12, sampler="qocs"
    )
    assert max(group.share_stderr for group in unsure.mixture().groups) > 0
    assert max(group.share_stderr for group in unsure.mixture(by="source").groups) > 0


@pytest.mark.parametrize("unknown", [[0, 1, 2, 3], [2]], ids=["of all", "of one"])
def test_values_without_standard_errors_do_not_make_shares_certain(unknown: list[int], curated: CuratedDataset) -> None:
    estimate = replace(curated.estimate, stderr=np.where(np.isin(np.arange(4), unknown), np.nan, 0.1))
    mixture = replace(curated, valued=replace(curated.valued, estimate=estimate)).mixture()
    assert mixture.error_of == "rows"
    for group in mixture.groups:
        assert group.share_stderr == pytest.approx(np.sqrt(group.share * (1 - group.share) / 40))
        assert (group.gain_stderr is None) == (int(group.name.split()[1]) in unknown)


def test_one_permutation_leaves_the_error_of_a_sample() -> None:
    mixture = curated_of(POOL, 40, estimator=Permutation(n_orders=1), sampler=QWCS()).mixture()
    assert mixture.error_of == "rows"
    assert min(group.share_stderr for group in mixture.groups) > 0.01


def test_rows_chosen_by_chance_have_the_error_of_a_sample(curated: CuratedDataset) -> None:
    drawn = curated.resample(40, "random").mixture(by="source")
    assert drawn.error_of == "rows"
    for group in drawn.groups:
        assert group.share_stderr == pytest.approx(np.sqrt(group.share * (1 - group.share) / 40))


def test_it_prints_as_a_table(mixture: Mixture) -> None:
    head, *lines = str(mixture).splitlines()
    assert head == "mixture by cluster: share of 40 kept rows, gain per group"
    assert len(lines) == len(mixture)
    assert all("% of the pool, gain " in line for line in lines)


@pytest.mark.parametrize(
    ("by", "problem"),
    [
        ("nowhere", 'neither "cluster" nor a column'),
        (3, "neither"),
        (np.array(["a"]), "neither"),
        ("output", "different values in 40 rows"),
    ],
)
def test_what_is_no_group_is_refused(curated: CuratedDataset, by: Any, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        curated.mixture(by=by)


# ---- configurations


def test_trls_own_parser_and_loader_make_the_kept_rows_of_it(mixture: Mixture, tmp_path: Path) -> None:
    path = mixture.to_yaml("trl", tmp_path / "mixture.yaml", model="small")
    _, training, model, datasets = parsed(path)
    assert (model.model_name_or_path, training.output_dir) == (str(SMALL_MODEL), str(tmp_path / "mixture-sft"))
    rows = get_dataset(datasets)["train"]
    kept = mixture.curation.dataset.select(np.concatenate(mixture.places))
    assert [answers[0]["content"] for answers in rows["completion"]] == kept["output"][:]
    questions = [turns[0]["content"] for turns in rows["prompt"]]
    assert all(part in question for question, part in zip(questions, kept["instruction"], strict=True))


def test_a_changed_fraction_takes_the_best_rows_of_each_group(mixture: Mixture, tmp_path: Path) -> None:
    path = mixture.to_yaml("trl", tmp_path / "mixture.yaml", model="any")
    *_, datasets = parsed(path)
    first, second = datasets.datasets[:2]
    first.fraction, second.fraction, datasets.datasets = 0.5, 0.5, [first, second]
    rows = get_dataset(datasets)["train"]
    n = mixture.groups[1].rows
    assert len(rows) == 2 * n
    answers = [completion[0]["content"] for completion in rows["completion"]]
    dataset = mixture.curation.dataset
    assert answers[:n] == dataset.select(mixture.places[0][:n])["output"][:]


def test_axolotl_learns_the_answers_alone(mixture: Mixture, tmp_path: Path) -> None:
    path = mixture.to_yaml("axolotl", tmp_path / "mixture.yml", model="me/model")
    content = yaml.safe_load(path.read_text())
    assert content["base_model"] == "me/model"
    assert len(content["datasets"]) == len(mixture)
    lines = [json.loads(line) for line in Path(content["datasets"][0]["path"]).read_text().splitlines()]
    assert len(lines) == mixture.groups[0].rows
    field = content["datasets"][0]["message_field_training"]
    for line in lines:
        assert [message[field] for message in line["messages"]] == [m["role"] == "assistant" for m in line["messages"]]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"text": f"word {i}"} for i in range(40)], {"text"}),
        ([{"prompt": f"word {i}", "completion": f" is {i}"} for i in range(40)], {"prompt", "completion"}),
        (
            [{"messages": [{"role": r, "content": f"{r} {i}"} for r in ("user", "assistant") * 2]} for i in range(40)],
            {"messages"},
        ),
        (
            [{"messages": [{"role": r, "content": f"{r} {i}"} for r in ("user", "assistant")]} for i in range(40)],
            {"prompt", "completion"},
        ),
    ],
    ids=["text", "strings", "conversations", "one answer"],
)
def test_every_kind_of_rows_is_written_as_trl_reads_it(rows: list[Any], expected: set[str], tmp_path: Path) -> None:
    pool = Dataset.from_list([{**row, "topic": "music"} for row in rows])
    labels = [0, 1] * 20
    curated = curated_of(pool, 10, clusterer=labels, utility=Crediting(), sampler="random", estimator=None)
    *_, training, _, datasets = parsed(curated.mixture().to_yaml("trl", tmp_path / "m.yaml", model="any"))
    found = get_dataset(datasets)["train"]
    assert set(found.column_names) == expected
    assert len(found) == 10
    assert training.assistant_only_loss == (expected == {"messages"})


def test_names_of_groups_cannot_write_into_the_configuration(tmp_path: Path) -> None:
    hostile = POOL.remove_columns("source").add_column("source", ["a\nmodel_name_or_path: evil", "../../b"] * 60)
    curated = curated_of(hostile, 20, sampler="random")
    path = curated.mixture(by="source").to_yaml("trl", tmp_path / "m.yaml", model="good")
    assert yaml.safe_load(path.read_text())["model_name_or_path"] == "good"
    assert {file.parent for file in tmp_path.rglob("*.jsonl")} == {tmp_path / "m_rows"}


def test_what_cannot_be_written_is_refused(mixture: Mixture, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model is known that was fine-tuned here; pass model="):
        mixture.to_yaml("trl", tmp_path / "none.yaml")
    framework: Any = "unsloth"
    with pytest.raises(InputError, match='framework=\'unsloth\' is unknown; pass "trl" or "axolotl"'):
        mixture.to_yaml(framework, tmp_path / "none.yaml", model="any")
    for path in map(Path, (".", "..", "a/..")):
        with pytest.raises(InputError, match="is no path; pass that of a new file"):
            mixture.to_yaml("trl", path, model="any")
    mixture.to_yaml("trl", tmp_path / "twice.yaml", model="any")
    with pytest.raises(InputError, match=r"twice.yaml exists already"):
        mixture.to_yaml("trl", tmp_path / "twice.yaml", model="any")
    assert not list(tmp_path.glob("none*"))


@pytest.mark.parametrize("model", ["\x00", "me/mod\x00el", "me/model\n", "a\x85b", "\ud800", " ", "\u3000"], ids=ascii)
def test_what_is_no_name_of_a_model_is_refused(model: str, mixture: Mixture, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no name of a model; pass a Hub id or a path"):
        mixture.to_yaml("trl", tmp_path / "none.yaml", model=model)
    assert not list(tmp_path.iterdir())


def test_a_path_of_a_model_may_have_any_script_and_sign(mixture: Mixture, tmp_path: Path) -> None:
    model = "/modèles/می\u200cخواهم/a\u00a0b"
    path = mixture.to_yaml("axolotl", tmp_path / "m.yaml", model=model)
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["base_model"] == model


@pytest.mark.parametrize("error", [OSError("the disk is full"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("fails_at", ["01-", ".m.yaml"])
def test_what_is_cut_short_leaves_nothing_behind(
    error: BaseException, fails_at: str, mixture: Mixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path.write_text

    def failing(path: Path, text: str, **how: Any) -> int:
        written = whole(path, text[:10] if path.name.startswith(fails_at) else text, **how)
        if path.name.startswith(fails_at):
            raise error
        return written

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", failing)
        with pytest.raises(InputError if isinstance(error, OSError) else type(error)):
            mixture.to_yaml("trl", tmp_path / "m.yaml", model="any")
    assert list(tmp_path.iterdir()) == []
    mixture.to_yaml("trl", tmp_path / "m.yaml", model="any")
