"""What of a curated dataset is published, and what stays at home."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from shed_hf.assembly import clusters_table
from shed_hf.bundle import CONFIGS, MANIFEST, read, save, write
from shed_hf.curated import CuratedDataset, Excerpts
from shed_hf.embedding import FittedLexical
from shed_hf.errors import HubError, InputError, ShedError
from shed_hf.hub import Carded, check_name, client, fetch, publish, with_patience
from shed_hf.ledger import Ledger
from shed_hf.report import say
from shed_hf.terms import LOOKED_AT, top_terms

OWNED = ("data/", "clusters/", "utilities/", "shed_hf/", "assets/")
"""Where the files of a curated dataset are; what else a repository holds is its owner's."""


@dataclass(frozen=True)
class Origin:
    """What the Hub says of the source: whether anybody may read its rows, and the metadata of its card."""

    public: bool = False
    card: dict[str, Any] = field(default_factory=dict)


def push(
    curated: CuratedDataset,
    repo_id: str,
    private: bool | None,
    revision: str | None,
    message: str | None,
    excerpts: Excerpts,
    token: str | None,
) -> str:
    """Publish in one commit; whatever goes wrong, the result is on the disk."""
    with _keeping(
        curated, repo_id, {"private": private, "revision": revision, "commit_message": message, "excerpts": excerpts}
    ):
        if excerpts not in ("auto", True, False):
            raise InputError(f'excerpts={excerpts!r} is unknown; pass "auto", True or False')
        check_name(repo_id)
        client(token)
        origin = origin_of(curated, token)
        shown = origin.public if excerpts == "auto" else bool(excerpts)
        published = as_published(curated, shown)
        with tempfile.TemporaryDirectory(prefix="shed_hf_") as folder:
            return publish(
                repo_id,
                Path(folder),
                written(published, repo_id, origin, Path(folder), revision),
                kind="dataset",
                owned=OWNED,
                ours=lambda files, _: MANIFEST in files,
                private=not origin.public if private is None else private,
                revision=revision,
                message=message or f"{len(curated):,} rows curated with shed_hf",
                token=token,
            )


def pull(repo_id: str, source: Any, revision: str | None, token: str | None) -> CuratedDataset:
    """The curated dataset of a repository."""
    wanted = [f"{place}/*" for place in (*CONFIGS.values(), "shed_hf")]
    folder = fetch(repo_id, "dataset", revision, token, wanted, MANIFEST)
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"{repo_id} is a dataset, but not one that shed_hf curated ({MANIFEST} is missing); load it with "
            f"datasets.load_dataset({repo_id!r})"
        )
    return read(folder, repo_id, source)


def origin_of(curated: CuratedDataset, token: str | None) -> Origin:
    """What the Hub knows of the source; nothing where it came from elsewhere or can't be seen.

    Its rows count as public only where they are read, untouched, from a repository without a gate.
    """
    hub = curated.recipe["source"]["hub"]
    if hub is None:
        return Origin()
    try:
        info = with_patience(
            lambda: client(token).dataset_info(hub["repo"], revision=hub["revision"]), f"reading {hub['repo']}"
        )
    except HubError as error:
        say(f"the source's card can't be read, so its licence is not inherited and it counts as private: {error}")
        return Origin()
    open_to_all = not info.private and not getattr(info, "gated", False)
    card: dict[str, Any] = info.card_data.to_dict() if info.card_data is not None else {}  # type: ignore[no-untyped-call]
    return Origin(open_to_all and hub["untouched"], card)


def as_published(curated: CuratedDataset, excerpts: bool) -> CuratedDataset:
    """The result without paths of this machine and, unless ``excerpts``, without a word of rows that were not kept.

    What goes then: the excerpts of proxies and a `Lexical` embedder, whose vocabulary is that of the whole pool; top
    terms are found anew among the kept rows.
    """
    ledger = Ledger.of(_without_paths(curated.ledger.header), curated.ledger)
    valued = replace(curated.valued, ledger=ledger)
    if not excerpts:
        valued = replace(
            valued,
            excerpts=[None] * len(valued.excerpts),
            terms=_terms_of_kept(curated),
            encoder=None if isinstance(valued.encoder, FittedLexical) else valued.encoder,
        )
    recipe = _without_paths(curated.recipe)
    return replace(curated, valued=valued, recipe=recipe, clusters=clusters_table(valued, curated.rows))


def _terms_of_kept(curated: CuratedDataset) -> list[list[str]]:
    clusters = np.array(curated.dataset["shed_cluster"][:])
    n_clusters = curated.clustering.n_clusters
    looked_at = [np.flatnonzero(clusters == number)[:LOOKED_AT] for number in range(n_clusters)]
    rows = curated.dataset.with_format(None)[np.concatenate(looked_at)]
    read = curated.valued.format.read
    texts = [read(dict(zip(rows, cells, strict=True))).text for cells in zip(*rows.values(), strict=True)]
    return top_terms(texts, np.repeat(np.arange(n_clusters), [len(of) for of in looked_at]), n_clusters)


def written(curated: CuratedDataset, repo_id: str, origin: Origin, folder: Path, revision: str | None = None) -> Carded:
    """Write everything but the card, and return what makes the card."""
    from shed_hf.card import dataset_card, pictures_of

    write(curated, folder)
    pictures = pictures_of(curated)
    (folder / "assets").mkdir()
    for name, png in pictures.items():
        (folder / "assets" / name).write_bytes(png)
    return lambda existing: dataset_card(curated, repo_id, origin.card, list(pictures), existing, revision)


_FOLDERS = r"(?:(?:file://)?/|~/|[A-Za-z]:[/\\])"
_QUOTED = re.compile(rf"(?P<quote>['\"])(?P<path>{_FOLDERS}[^'\"]*[/\\][^'\"]*)(?P=quote)")
_BARE = re.compile(r"(?<=[\s(=,])(?:file://)?/(?:[\w.@+-]+/)+[\w.@+-]+")


def _without_paths(record: Any) -> Any:
    """The record with folders of this machine cut to their last name: they tell who works where, and help nobody
    else.
    """
    if isinstance(record, dict):
        return {name: _without_paths(part) for name, part in record.items()}
    if isinstance(record, list | tuple):
        return [_without_paths(part) for part in record]
    if not isinstance(record, str):
        return record
    if re.fullmatch(rf"{_FOLDERS}.*[/\\].*", record):
        return _cut(record)
    quoted = _QUOTED.sub(lambda found: found["quote"] + _cut(found["path"]) + found["quote"], record)
    return _BARE.sub(lambda found: _cut(found[0]), quoted)


def _cut(path: str) -> str:
    """``./name``, which can't be taken for a name on the Hub."""
    return "./" + re.split(r"[/\\]", path.rstrip("/\\"))[-1]


@contextmanager
def _keeping(curated: CuratedDataset, repo_id: str, given: dict[str, Any]) -> Iterator[None]:
    """Whatever ends a push, the result is in a folder afterwards, and the user knows how to push it from there."""
    try:
        yield
    except BaseException as error:
        arguments = "".join(f", {n}={v!r}" for n, v in given.items() if v not in (None, "auto"))
        folder = _rescued(curated, repo_id)
        if folder is None:
            raise
        later = f"shed_hf.CuratedDataset.load_from_disk({str(folder)!r}).push_to_hub({repo_id!r}{arguments})"
        kept = f"the result is saved in {folder}; to push it later: {later}"
        if isinstance(error, ShedError):
            raise type(error)(f"{error}. {kept[0].upper()}{kept[1:]}") from error.__cause__
        error.add_note(kept)
        say(kept)
        raise


def _rescued(curated: CuratedDataset, repo_id: Any) -> Path | None:
    """The folder the result was saved to, in the working folder or else the temporary one; None where neither can be
    written.
    """
    content = json.dumps([curated.recipe, curated.rows.tolist()]).encode()
    name = re.sub(r"[^\w.-]+", "-", str(repo_id).rsplit("/", 1)[-1]).strip("-.") or "curated"
    name = f"{name}-{hashlib.blake2b(content, digest_size=4).hexdigest()}"
    for place in (os.curdir, tempfile.gettempdir()):
        try:
            folder = Path(place).resolve() / name
            if not (folder / MANIFEST).is_file():  # the same result, saved by an earlier attempt
                save(curated, folder)
        except (OSError, InputError):
            continue
        return folder
    return None
