"""`shed-hf demo`: curates a small damaged pool, and compares the rows it keeps with random rows and with no tuning."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.clustering.clusterers import KMeans
from shed_hf.curated_dataset import CuratedDataset
from shed_hf.curation.curate import curate
from shed_hf.curation.verdict import compared_later
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.choice import Chosen, choose_model, cost_of_valuing, demo_rows
from shed_hf.demo.settings import DAMAGES, Setting
from shed_hf.estimators.significance import verdict_of
from shed_hf.game.interruption import step_of_call
from shed_hf.game.ledger import read_ledger
from shed_hf.game.ledger_files import base_of
from shed_hf.game.ledger_header import OtherRun
from shed_hf.results.verdict import Verdict
from shed_hf.types import IntVector
from shed_hf.utils.console import Stopwatch, duration, plural, say
from shed_hf.utils.quiet import only_own_output

if TYPE_CHECKING:
    from datasets import Dataset


_TOLD = {
    "plain text": "answers not in JSON",
    "capitals": "answers in capitals",
    "boilerplate": "the same refusal everywhere",
}


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What the demo measured. Losses are nats a token on the test rows: lower is better.

    Attributes:
        model: The model's name.
        damages: The kinds of damage, one topic each.
        damaged_share_before: Share of damaged rows in the pool.
        damaged_share_after: Share of damaged rows among those kept.
        heldout_loss_untuned: The loss without fine-tuning.
        heldout_loss_random: The mean loss after fine-tuning on random rows.
        heldout_loss_curated: The mean loss after fine-tuning on the rows kept.
        better_than_random: Whether the rows kept are shown to be better than random ones.
        verdict: What the comparison showed, in words.
        ranking_holds: Whether the curation's own measurements tell the ranking of clusters from noise.
        reliability: How far halves of these measurements agree, at most 1; NaN where unknown.
        auc_damaged_last: How well the values rank damaged clusters last; see `auc`.
        n_fine_tunings: Fine-tunings that the curation made.
        seconds: How long all of it took.
        curated: The curation.
        damaged: The damage of each row of the pool; empty for none.
        topics: The topic of each row of the pool.
        curate_with: The arguments with which `curate` uses the same model on this machine.
    """

    model: str
    damages: tuple[str, ...]
    damaged_share_before: float
    damaged_share_after: float
    heldout_loss_untuned: float
    heldout_loss_random: float
    heldout_loss_curated: float
    better_than_random: bool
    verdict: str
    ranking_holds: bool
    reliability: float
    auc_damaged_last: float
    n_fine_tunings: int
    seconds: float
    curated: CuratedDataset = field(repr=False)
    damaged: Sequence[str] = field(repr=False)
    topics: Sequence[str] = field(repr=False)
    curate_with: Mapping[str, str] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """The figures, without the dataset."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.repr}


@only_own_output()
def run(model: str = "auto", seed: int = 0, ledger: str | os.PathLike[str] | None = None) -> DemoResult:
    """Curates the demo's pool and compares the rows kept with random rows.

    Args:
        model: ``"smollm2"``, ``"small"`` for the model that ships with the package, or ``"auto"``: the one that
            ``ledger`` was begun with, else SmolLM2-135M where it can be had and the demo takes at most 90 s with it on
            this machine.
        seed: Which topics are damaged, and every other draw.
        ledger: A path, where every outcome is written the moment it is measured, those of the comparison beside it; the
            same call resumes from it. None for files that stay only where the demo is stopped.

    Returns:
        The figures and the curation.

    Raises:
        InputError: Where SmolLM2 was asked for and can't be had.
        LedgerError: For a ledger of another run, or one that cannot be written.
    """
    from datasets import Dataset

    watch = Stopwatch()
    with _lasting(ledger) as path, _telling_of_other_runs():
        chosen = choose_model(model, seed, path)
        rows, dev, test = demo_rows(chosen.setting, seed)
        say(_task(chosen.setting, rows))
        say(_total(chosen, path))
        with compared_later():
            curated = _curated(chosen, Dataset.from_list(rows), Dataset.from_list(dev), seed, path)
        verdict, untuned = _compared(curated, Dataset.from_list(test), chosen.setting, path)
    return _result(chosen, curated, rows, verdict, untuned, watch.seconds)


@contextmanager
def _lasting(ledger: str | os.PathLike[str] | None) -> Iterator[Path]:
    """Where the outcomes are: what was passed, or files that are removed unless the demo is stopped with some."""
    if ledger is not None:
        yield base_of(ledger)
        return
    folder = Path(tempfile.mkdtemp(prefix="shed_hf_demo_"))
    path, finished = folder / "demo.ledger", False
    try:
        yield path
        finished = True
    finally:
        if finished or not path.exists() or not read_ledger(path):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _telling_of_other_runs() -> Iterator[None]:
    """A ledger that is refused is told in the words of a call that has no dataset of its own."""
    try:
        yield
    except OtherRun as error:
        error.args = (
            f"{error.path} holds the outcomes of another run, or of a demo with another model or seed; pass another "
            "path as ledger=, or that demo's model and seed",
        )
        raise


def _curated(chosen: Chosen, pool: "Dataset", dev: "Dataset", seed: int, ledger: Path) -> CuratedDataset:
    setting = chosen.setting
    return curate(
        pool,
        setting.share,
        eval_dataset=dev,
        embedder="lexical",
        clusterer=KMeans(setting.n_clusters),
        proxies_per_cluster=setting.proxies,
        utility=chosen.tuner,
        estimator=setting.estimator,
        sampler=setting.sampler,
        merit=setting.merit,
        budget=setting.budget,
        seed=seed,
        ledger=ledger,
    )


def _compared(curated: CuratedDataset, test: "Dataset", setting: Setting, ledger: Path) -> tuple[Verdict, float]:
    """The verdict on rows that had no part in the choice, and the loss of the model before tuning."""
    beside = _beside(ledger)
    with step_of_call(ledger, ""):
        verdict = curated.verify(test, seeds=setting.tunings, draws=setting.draws, full=False, ledger=beside)
    (untuned,) = (entry for entry in read_ledger(beside) if not any(entry.blocks))
    return verdict, -float(untuned.outcome.mean())


def _beside(ledger: Path) -> Path:
    """Where the outcomes of the comparison are."""
    return ledger.with_name(f"{ledger.name}.verdict")


def _result(
    chosen: Chosen,
    curated: CuratedDataset,
    rows: Sequence[demo_pool.Row],
    verdict: Verdict,
    untuned: float,
    seconds: float,
) -> DemoResult:
    ranking, hurt = verdict_of(curated.estimate), [row["damage"] for row in rows]
    return DemoResult(
        model=chosen.setting.name,
        damages=DAMAGES,
        damaged_share_before=_share(hurt, curated.pool_rows),
        damaged_share_after=_share(hurt, curated.rows),
        heldout_loss_untuned=untuned,
        heldout_loss_random=untuned - verdict.over_untuned.gain + verdict.gain,
        heldout_loss_curated=untuned - verdict.over_untuned.gain,
        better_than_random=verdict.is_better,
        verdict=verdict.claim,
        ranking_holds=ranking.passes,
        reliability=ranking.reliability,
        auc_damaged_last=auc(curated, hurt),
        n_fine_tunings=curated.recipe["bill"]["all_fine_tunings"],
        seconds=round(seconds, 1),
        curated=curated,
        damaged=hurt,
        topics=[row["topic"] for row in rows],
        curate_with=chosen.curate_with,
    )


def _task(setting: Setting, rows: Sequence[demo_pool.Row]) -> str:
    hurt = {row["topic"]: row["damage"] for row in rows if row["damage"]}
    kinds = [f"{' and '.join(topic for topic in hurt if hurt[topic] == kind)} ({told})" for kind, told in _TOLD.items()]
    return (
        f"task: teach {setting.name} to answer in JSON, from the best {setting.share:.0%} of {len(rows)} rows on "
        f"{len(demo_pool.topics(rows))} topics\n"
        f"{len(hurt)} topics were damaged on purpose, which the curation is not told: {', '.join(kinds)}"
    )


def _total(chosen: Chosen, ledger: Path) -> str:
    """What will be done and how long it takes, less what a demo that was stopped has measured."""
    setting, files = chosen.setting, (ledger, _beside(ledger))
    valuing, comparing = cost_of_valuing(setting).fine_tunings, setting.tunings + setting.draws
    asked = valuing + comparing + 2  # each of the two also measures the model before tuning
    done = sum(len(read_ledger(path)) for path in files if path.is_file())
    before = f" ({plural(done, 'outcome')} of {asked} measured before)" if done else ""
    return (
        f"in all: up to {valuing} fine-tunings to value {setting.n_clusters} clusters, then {comparing} to compare the "
        f"rows kept with random ones, about {duration(chosen.seconds * max(1 - done / asked, 0))}{before}"
    )


def damaged_in(curated: CuratedDataset, damaged: Sequence[str]) -> list[float]:
    """The share of damaged rows in each cluster.

    Args:
        curated: A curation of the demo's pool.
        damaged: The damage of each row of the pool; empty for none.

    Returns:
        One share per cluster.
    """
    labels = curated.clustering.labels
    return [_share(damaged, curated.pool_rows[labels == cluster]) for cluster in range(curated.clustering.n_clusters)]


def auc(curated: CuratedDataset, damaged: Sequence[str]) -> float:
    """How well the values rank clusters that are mostly damaged last.

    Args:
        curated: A curation of the demo's pool.
        damaged: The damage of each row of the pool; empty for none.

    Returns:
        The area under the ROC curve: 1 is perfect, 0.5 is chance, NaN without both kinds of clusters.
    """
    bad = np.array(damaged_in(curated, damaged)) > 0.5
    values = np.array([np.nan if value is None else value for value in curated.clusters["value"]])[: len(bad)]
    bad, values = bad[~np.isnan(values)], values[~np.isnan(values)]
    if bad.all() or not bad.any():
        return float("nan")
    higher = values[~bad][:, None] > values[bad][None]
    level = values[~bad][:, None] == values[bad][None]
    return float((higher + 0.5 * level).mean())


def _share(damaged: Sequence[str], rows: IntVector) -> float:
    return float(np.mean([bool(damaged[row]) for row in rows])) if len(rows) else float("nan")
