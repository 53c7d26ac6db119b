"""Publishing a comparison as a dataset repository, and pulling it."""

import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from shed_hf.comparison.picture import picture_of
from shed_hf.comparison.record import ComparisonRecord
from shed_hf.comparison.storage import FILES, MANIFEST, read, write
from shed_hf.comparison.table import (
    HEADER,
    OF_GAINS,
    OF_TALLIES,
    TALLY_HEADER,
    groups_of,
    heading,
    remarks_of,
    table_rows,
    tally_rows,
)
from shed_hf.errors import InputError
from shed_hf.hub.client import check_push, fetch
from shed_hf.hub.markdown import escaped
from shed_hf.hub.privacy import access_of, without_paths
from shed_hf.hub.readme import TAGS, dataset_readme, template
from shed_hf.hub.upload import Contents, PushSettings, publish
from shed_hf.utils.console import plural
from shed_hf.utils.redaction import without_secrets

CONTENTS = Contents("dataset", ("data/", "runs/", "shed_hf/", "assets/"), lambda files, _: MANIFEST in files)
PICTURE = "assets/comparison.png"


@without_secrets
def push(
    comparison: ComparisonRecord,
    repo_id: str,
    private: bool | None,
    revision: str | None,
    message: str | None,
    token: str | None,
) -> str:
    """Publish in one commit.

    Args:
        comparison: What was found.
        repo_id: The repository, as ``namespace/name``.
        private: Whether a new repository is private; None: unless the source is public.
        revision: The branch to commit to; None for the main one.
        message: The title of the commit; None for a generated one.
        token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``.

    Returns:
        The address of the repository's page.

    Raises:
        InputError: For arguments or a repository that can't be used.
        HubError: When the Hub refuses, or can't be reached.
    """
    check_push(repo_id, token)
    access = access_of(comparison.recipe["source"]["hub"], token)
    published = published_form(comparison)
    settings = PushSettings(
        private=access.makes_private(private),
        revision=revision,
        message=message or f"{len(published.runs):,} figures of a comparison with shed_hf",
        token=token,
    )
    with tempfile.TemporaryDirectory(prefix="shed_hf_") as name:
        folder = Path(name)
        write(published, folder)
        (folder / PICTURE).parent.mkdir()
        (folder / PICTURE).write_bytes(picture_of(published))
        return publish(
            repo_id, folder, lambda existing: card_of(published, repo_id, existing, revision), CONTENTS, settings
        )


@without_secrets
def pull(repo_id: str, revision: str | None, token: str | None) -> ComparisonRecord:
    """The comparison of a repository.

    Args:
        repo_id: The repository, as ``namespace/name``.
        revision: A branch, tag or commit; None for the main branch.
        token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``, if any.

    Returns:
        The comparison.

    Raises:
        InputError: When the repository holds no comparison or a damaged one.
        HubError: When the Hub refuses, or can't be reached and the cache lacks the files.
    """
    folder = fetch(repo_id, "dataset", revision, token, [MANIFEST], MANIFEST)
    if not (folder / MANIFEST).is_file():
        raise InputError(f"{repo_id} is a dataset without a comparison ({MANIFEST} is missing); pass another name")
    return read(folder, repo_id)


def published_form(comparison: ComparisonRecord) -> ComparisonRecord:
    """The comparison without paths of this machine.

    Args:
        comparison: What was found.
    """
    return replace(
        comparison,
        failures=tuple(replace(one, reason=without_paths(one.reason)) for one in comparison.failures),
        notes=tuple(without_paths(note) for note in comparison.notes),
        recipe=without_paths(comparison.recipe),
    )


def card_of(comparison: ComparisonRecord, repo_id: str, existing: str | None, revision: str | None) -> str:
    """The README of the repository.

    Args:
        comparison: What was found, as it is published.
        repo_id: The repository, as ``namespace/name``.
        existing: The README that the repository has, or None.
        revision: The branch it is for; None for the main one.

    Returns:
        The README as text; what its owner wrote is kept.
    """
    configs = [
        {"config_name": "default" if name == "lines" else name, "data_files": [{"split": "train", "path": path}]}
        for name, path in FILES.items()
    ]
    generated = {"configs": configs, "tags": [*TAGS, "comparison"]}
    return dataset_readme(existing, generated, _page(comparison, repo_id, revision))


def _page(comparison: ComparisonRecord, repo_id: str, revision: str | None) -> str:
    recipe = comparison.recipe
    tunings = sum(model["tunings"] for model in recipe["models"].values())
    tables = [
        {"heading": escaped(heading(group[0])), "rows": [_cells(row) for row in table_rows(group)]}
        for group in groups_of(comparison)
    ]
    tallies = [
        _cells([total.figure, *row]) for total in comparison.totals for row in tally_rows(comparison, total.figure)
    ]
    page: str = template("comparison_card").render(
        title=escaped(repo_id.split("/")[-1]),
        repo_id=repo_id,
        at_revision="" if revision is None else f", revision={json.dumps(revision)}",
        sizes=", ".join(f"{size:,}" for size in recipe["sizes"]),
        n_rows=f"{recipe['source']['rows']:,}",
        seeds=plural(recipe["seeds"], "seed"),
        tunings=plural(tunings, "tuning"),
        device=f" on {escaped(recipe['device'])}",
        picture=PICTURE,
        header=HEADER,
        tables=tables,
        of_gains=OF_GAINS if any(not math.isnan(line.gain) for line in comparison.lines) else "",
        tally_header=("figure", *TALLY_HEADER),
        tallies=tallies,
        of_tallies=OF_TALLIES,
        remarks=[escaped(remark) for remark in remarks_of(comparison)],
    )
    return page


def _cells(texts: Any) -> list[str]:
    return [escaped(text) if text else "" for text in texts]
