"""`CuratedDataset`: what was kept, what every cluster is worth, and everything needed to do it again."""

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.arrays import IntVector
from shed_hf.clustering import Clustering
from shed_hf.embedding import FittedLexical
from shed_hf.errors import InputError
from shed_hf.estimators import ValueEstimate
from shed_hf.ledger import Ledger, read_ledger
from shed_hf.recipe import scorer_of
from shed_hf.report import duration, plural
from shed_hf.scoring import ClusterScorer
from shed_hf.valuation import UNRELIABLE

if TYPE_CHECKING:
    from datasets import Dataset

FORMAT_VERSION = 1
_MANIFEST = "shed_hf.json"


@dataclass(frozen=True, eq=False)
class CuratedDataset:
    """The chosen rows as a plain `Dataset`, with what led to them.

    ``rows`` ``(size,)`` int64 are row ids of the source, ascending. ``clustering.labels`` belong to ``pool_rows``
    ``(m,)``, the rows of the source that took part. ``clusters`` has a line per cluster, ``estimate`` a value per
    *valued* cluster.
    """

    dataset: "Dataset"
    rows: IntVector
    clusters: "Dataset"
    clustering: Clustering
    pool_rows: IntVector
    estimate: ValueEstimate
    recipe: dict[str, Any]
    ledger: Ledger
    _scorer: ClusterScorer | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"CuratedDataset({summary(self)})"

    @property
    def scorer(self) -> ClusterScorer:
        """Clusters and values for ``Dataset.map``. Raises `InputError` when rows came as a matrix, which embeds no new
        text.
        """
        if self._scorer is None:
            raise InputError(
                "the embeddings were given as a matrix, or the result was loaded from disk with an encoder of your "
                "own; build shed_hf.ClusterScorer(centroids, values, stderr, encoder, format) with an encoder for new "
                "rows"
            )
        return self._scorer

    def save_to_disk(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a folder, which appears only when it is complete. Raises `InputError` if it exists
        already.
        """
        target = check_free(path)
        partial = target.with_name(f".{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        self.dataset.save_to_disk(str(partial / "data"))
        self.clusters.save_to_disk(str(partial / "clusters"))
        np.savez(partial / "arrays.npz", **self._arrays())
        self.ledger.dump(partial / "ledger.jsonl")
        manifest = {"version": FORMAT_VERSION, "recipe": self.recipe, "estimate": _scalars(self.estimate)}
        (partial / _MANIFEST).write_text(json.dumps(manifest, indent=1))
        if target.exists():
            target.rmdir()
        partial.rename(target)

    @classmethod
    def load_from_disk(cls, path: str | os.PathLike[str]) -> "CuratedDataset":
        """Read what `save_to_disk` wrote; nothing in it is executed. Raises `InputError` for any other folder."""
        from datasets import load_from_disk

        folder = Path(path)
        manifest = _manifest(folder)
        with np.load(folder / "arrays.npz", allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        estimate = ValueEstimate(
            **manifest["estimate"], **{name: arrays[name] for name in ("values", "stderr", "counts", "replicates")}
        )
        clusters = load_from_disk(str(folder / "clusters"))
        clustering = Clustering(arrays["labels"], arrays["centroids"])
        return cls(
            dataset=load_from_disk(str(folder / "data")),
            rows=arrays["rows"],
            clusters=clusters,
            clustering=clustering,
            pool_rows=arrays["pool_rows"],
            estimate=estimate,
            recipe=manifest["recipe"],
            ledger=read_ledger(folder / "ledger.jsonl"),
            _scorer=scorer_of(manifest["recipe"], clustering, clusters, arrays),
        )

    def _arrays(self) -> dict[str, Any]:
        arrays: dict[str, Any] = {"rows": self.rows, "pool_rows": self.pool_rows, "labels": self.clustering.labels}
        arrays |= {"centroids": self.clustering.centroids}
        arrays |= {name: getattr(self.estimate, name) for name in ("values", "stderr", "counts", "replicates")}
        encoder = None if self._scorer is None else self._scorer.encoder
        if isinstance(encoder, FittedLexical):  # Lexical's fitted state is arrays and words
            words = sorted(encoder.vocabulary, key=encoder.vocabulary.__getitem__)
            arrays |= {
                "lexical_words": np.frombuffer(json.dumps(words).encode(), dtype=np.uint8),
                "lexical_idf": encoder.idf,
                "lexical_components": encoder.components,
            }
        return arrays


def check_free(path: str | os.PathLike[str]) -> Path:
    """The path, where a new folder can be made. Raises `InputError` where something is already or nothing can be
    written.
    """
    target = Path(path).resolve()
    if target.exists() and any(target.iterdir() if target.is_dir() else [target]):
        raise InputError(f"{target} exists already; pass another path or remove it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{target} cannot be made ({error}); pass another path") from error
    if not os.access(target.parent, os.W_OK):
        raise InputError(f"{target.parent} cannot be written; pass another path")
    return target


def summary(curated: CuratedDataset) -> str:
    """The result in a few lines: what was kept, from which clusters, whether the ranking holds, and what it cost."""
    estimate, recipe = curated.estimate, curated.recipe
    kept = sum(1 for n in curated.clusters["selected"] if n)
    lines = [
        f"kept {len(curated):,} of {plural(recipe['source']['rows'], 'row')}, from {kept} of "
        f"{plural(len(curated.clusters), 'cluster')}",
        f"best {_ranked(curated, best=True)}; worst {_ranked(curated, best=False)}",
        f"v(∅) = {estimate.v_empty:.4f}, v(N) = {estimate.v_grand:.4f} "
        f"({recipe['utility'].get('objective', 'mean outcome')})",
        _reliability_line(estimate),
        f"cost {plural(recipe['bill']['fine_tunings'], 'fine-tuning')}, {duration(recipe['bill']['seconds'])}; left "
        f"out: {_dropped(recipe)}",
    ]
    return "\n  ".join(lines)


def _ranked(curated: CuratedDataset, best: bool) -> str:
    valued = [line for line in curated.clusters if line["value"] is not None]
    chosen = sorted(valued, key=lambda line: -line["value"] if best else line["value"])[:1]
    return ", ".join(f"cluster {line['cluster']} ({line['value']:+.4f})" for line in chosen)


def _reliability_line(estimate: ValueEstimate) -> str:
    reliability = estimate.reliability
    if np.isnan(reliability):
        return "reliability of the values: unknown (one replicate)"
    if reliability < UNRELIABLE:
        return f"reliability of the values: {reliability:.2f}: NOT to be told from noise"
    return f"reliability of the values: {reliability:.2f} (1 is a ranking that would come out alike again)"


def _dropped(recipe: dict[str, Any]) -> str:
    parts = [f"{count} {what}" for what, count in recipe["left_out"].items() if count]
    return ", ".join(parts) or "nothing"


def _scalars(estimate: ValueEstimate) -> dict[str, Any]:
    names = ("semivalue", "v_empty", "v_grand", "n_evaluations")
    return {name: field_ for name, field_ in asdict(estimate).items() if name in names}


def _manifest(folder: Path) -> dict[str, Any]:
    if not (folder / _MANIFEST).is_file():
        raise InputError(
            f"{folder} holds no curated dataset ({_MANIFEST} is missing); pass a folder that save_to_disk wrote"
        )
    manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_text())
    if manifest.get("version") != FORMAT_VERSION:
        raise InputError(
            f"{folder} was written in format {manifest.get('version')}, this version of shed_hf reads "
            f"{FORMAT_VERSION}; install the one that wrote it"
        )
    return manifest
