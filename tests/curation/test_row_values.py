"""`curate` with `RowValues`: what rows are worth, how it is kept, and when something else chooses."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CreditCoverage, CuratedDataset, Exact, InputError, RowValues
from shed_hf.cli.shell import app
from shed_hf.hub.card_text import choice_in_words
from shed_hf.sampling import signal_test
from tests.helpers.credited import Crediting
from tests.helpers.curations import ByTopic, curated_of
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(120))
ITEMS = Dataset.from_list(make_rows(15, seed=99))
LABELS = (np.arange(120) % 8).tolist()


def valued(size: Any = 12, **changes: Any) -> CuratedDataset:
    arguments = {"sampler": "row-values", "eval_dataset": ITEMS, "utility": Crediting(), "clusterer": LABELS}
    arguments |= {"proxies_per_cluster": 4, "estimator": "least-squares", "budget": 24, "seed": 3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return curated_of(POOL, size, **arguments | changes)


@pytest.fixture(scope="module")
def curated() -> CuratedDataset:
    return valued()


def test_signals_are_weighed_by_the_game_and_rows_that_do_more_are_chosen(curated: CuratedDataset) -> None:
    weights = {each["signal"]: each for each in curated.recipe["row_values"]["weights"]}
    assert weights["credit"]["weight"] > 4 * weights["credit"]["stderr"]
    assert "weights of signals: credit 0." in repr(curated)
    by_value = curated.resample(12, "qocs")
    of = Crediting().of
    assert of(curated.rows).mean() > of(by_value.rows).mean() + 0.3
    assert "the game (weights of signals" in choice_in_words(curated.recipe)


def test_merits_have_a_line_for_every_row_that_could_be_chosen(curated: CuratedDataset) -> None:
    merits = curated.merits
    assert merits["shed_row"][:] == curated.pool_rows.tolist()
    assert merits["cluster"][:] == curated.clustering.labels.tolist()
    parts = [name for name in merits.column_names if name not in ("shed_row", "cluster", "value", "stderr")]
    assert parts == ["any_row", "credit", "nearness", "mean_credit", "length", "of_cluster"]
    np.testing.assert_allclose(np.sum([merits[part][:] for part in parts], axis=0), merits["value"][:])
    played = np.isin(curated.pool_rows, np.concatenate(curated.valued.players.rows))
    gain = curated.estimate.v_grand - curated.estimate.v_empty
    assert np.array(merits["value"][:])[played].sum() == pytest.approx(gain)
    assert min(merits["stderr"][:]) > 0


def test_where_clusters_alone_are_valued_their_value_is_divided_among_their_rows() -> None:
    curated = valued(sampler="qocs", merit=np.arange(120.0))
    merits = curated.merits
    of_cluster = curated.valued.values[curated.clustering.labels] / 4
    np.testing.assert_allclose(merits["value"][:], of_cluster)
    np.testing.assert_allclose(np.array(merits["any_row"][:]) + merits["of_cluster"][:], of_cluster)
    assert merits["merit"][:] == list(range(120))


def test_any_size_can_be_had_later_and_is_what_would_have_been_chosen(curated: CuratedDataset, tmp_path: Path) -> None:
    curated.save_to_disk(tmp_path / "saved", pages=False)
    loaded = CuratedDataset.load_from_disk(tmp_path / "saved", source=POOL)
    assert loaded.merits.to_list() == curated.merits.to_list()
    assert (repr(loaded), loaded.recipe) == (repr(curated), curated.recipe)
    for size in (5, 60):
        assert loaded.resample(size, "row-values").rows.tolist() == valued(size).rows.tolist()
    by_value = loaded.resample(7, "qocs")
    assert by_value.resample(60, "row-values").rows.tolist() == loaded.resample(60, "row-values").rows.tolist()
    for sampler, seed in ((RowValues("credit"), None), ("row-values", 4)):
        with pytest.raises(InputError, match="chooses by the rows' outcomes, which a result does not"):
            loaded.resample(5, sampler, seed=seed)


def test_an_altered_value_of_a_row_is_found(curated: CuratedDataset, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    curated.save_to_disk(tmp_path / "saved", pages=False)
    path = tmp_path / "saved" / "shed_hf" / "arrays.safetensors"
    arrays = load_file(path)
    for name, change in (("row_values", 1.0), ("row_stderr", -9.0), ("row_order", 5)):
        save_file({**arrays, name: arrays[name] + change}, path)
        with pytest.raises(InputError, match=r"do not belong together: .* rows"):
            CuratedDataset.load_from_disk(tmp_path / "saved")


@pytest.mark.usefixtures("alice", "no_token_is_told")
def test_values_of_rows_are_pushed_and_pulled(curated: CuratedDataset, hub: LoopbackHub) -> None:
    curated.push_to_hub("alice/row-values")
    pulled = CuratedDataset.from_hub("alice/row-values", source=POOL)
    assert pulled.merits.to_list() == curated.merits.to_list()
    assert "sampler=shed_hf.RowValues(" in hub.files("alice/row-values")["README.md"].decode()


def test_training_that_harms_leaves_the_choice_to_credit() -> None:
    harmed, by_credit = valued(utility=Crediting(worth=-1.0)), valued(sampler=CreditCoverage())
    note = harmed.recipe["selection_notes"][0]
    assert note.startswith(
        "rows were chosen by credit for each evaluation item: tuned on a sample of every cluster the mod"
    )
    assert harmed.rows.tolist() == by_credit.rows.tolist()


@pytest.mark.parametrize(
    "changes",
    [
        {"clusterer": [0] * 120},
        {"budget": 3},
        {"eval_dataset": ITEMS.select([0])},
        {"estimator": "banzhaf"},
        {"estimator": "permutation"},
        {"estimator": "shed"},
        {"proxy_sets": 2, "proxies_per_cluster": 2},
    ],
    ids=["one cluster", "two coalitions", "other items", "banzhaf", "orders", "blocks", "two sets"],
)
def test_every_game_leads_to_a_choice(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal_test, "ROTATIONS", 19)
    assert len(valued(**changes).rows) == 12


def test_a_callable_needs_no_items() -> None:
    curated = valued(utility=ByTopic(POOL), eval_dataset=None, clusterer="topic", estimator=Exact(), budget=None)
    assert {each["signal"] for each in curated.recipe["row_values"]["weights"]} == {"length"}
    assert set(curated.dataset["topic"]) >= {"cooking"}


def test_the_shell_knows_the_sampler() -> None:
    from typer.testing import CliRunner

    assert "row-values" in CliRunner().invoke(app, ["curate", "--help"], env={"COLUMNS": "200"}).output
