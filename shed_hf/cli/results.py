"""Reading and keeping results: folders and repositories, for the commands that go on with one."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shed_hf.errors import InputError

if TYPE_CHECKING:
    from shed_hf.curated_dataset import CuratedDataset


Private = Annotated[
    bool | None, typer.Option(help="Whether a new repository is private; by default unless the source is public.")
]


def load_result(place: str, source: str | None) -> "CuratedDataset":
    """The result in a folder or a repository.

    Args:
        place: A folder that `save_to_disk` wrote, or else a repository as ``namespace/name``.
        source: The dataset that was curated: a Hub id, a folder or a file; None where it is not needed.

    Returns:
        The result.

    Raises:
        InputError: For a folder or repository without a result.
        HubError: Where the repository can't be reached.
    """
    from shed_hf.curated_dataset import CuratedDataset

    if _is_path(place):
        return CuratedDataset.load_from_disk(place, source)
    return CuratedDataset.from_hub(place, source=source)


def check_there(place: str) -> None:
    """Refuse what is neither a folder nor, maybe, a repository, before what was typed behind it is looked at.

    Args:
        place: As in `load_result`.

    Raises:
        InputError: Where nothing is.
    """
    if _is_path(place) and not Path(place).expanduser().is_dir():
        what = "is a file" if Path(place).expanduser().exists() else "does not exist"
        raise InputError(
            f"{place} {what}; pass a folder that curate saved, or a repository that it published as namespace/name"
        )


def _is_path(place: str) -> bool:
    """Whether a result is looked for on the disk."""
    return Path(place).exists() or place.count("/") != 1 or place.startswith((".", "/", "~"))


def check_private(private: bool | None, push_to_hub: str | None) -> None:
    """Refuse to be told whether a repository is private where none is pushed to.

    Args:
        private: What was said; None for nothing.
        push_to_hub: The repository; None for none.

    Raises:
        InputError: Where there is no repository to be private or not.
    """
    if private is not None and push_to_hub is None:
        said = "--private" if private else "--no-private"
        raise InputError(f"{said} is of a repository; pass its name as --push-to-hub, or leave {said} out")


def check_places(output: str | None, push_to_hub: str | None, private: bool | None, needed: bool) -> None:
    """See that a result can be kept where it should be, before anything is paid for.

    Args:
        output: A folder to be.
        push_to_hub: A repository.
        private: Whether that is private where it is new; None where nothing was said.
        needed: Whether the folder or the repository must be there.

    Raises:
        InputError: Where something is already, where neither was passed, and for ``private`` without a repository.
    """
    from shed_hf.hub.client import check_push
    from shed_hf.storage.curated_folder import check_free

    check_private(private, push_to_hub)
    if needed and output is None and push_to_hub is None:
        raise InputError("pass a folder as --output, a repository as --push-to-hub, or both")
    if output is not None:
        check_free(output)
    if push_to_hub is not None:
        check_push(push_to_hub, None)


def keep(
    curated: "CuratedDataset",
    output: str | None,
    push_to_hub: str | None,
    private: bool | None = None,
    quietly: bool = False,
) -> dict[str, str]:
    """Save and publish a result; of several ranks the first does.

    Args:
        curated: The result.
        output: The folder; None for none.
        push_to_hub: The repository; None for none.
        private: Whether a new repository is private; None: unless the source is public.
        quietly: Whether nothing is printed.

    Returns:
        Where it is kept: ``saved_to`` and ``published_as``.
    """
    from shed_hf.distributed.launch import is_main

    kept: dict[str, str] = {}
    if not is_main():
        return kept
    tell = (lambda _: None) if quietly else print
    if output is not None:
        curated.save_to_disk(output)
        kept["saved_to"] = str(output)
        tell(f"saved to {output}; load the rows with datasets.load_dataset({str(output)!r}, split='train')")
    if push_to_hub is not None:
        kept["published_as"] = curated.push_to_hub(push_to_hub, private=private)
        tell(f"published as {kept['published_as']}")
    return kept


Places = tuple[str | None, str | None, bool | None]
"""The folder and the repository that a result is kept in, and whether a new repository is private."""


def keep_and_tell(curated: "CuratedDataset", places: Places, as_json: bool) -> None:
    """Save and publish a result, and print where; or one JSON object with what it is.

    Args:
        curated: The result.
        places: Where it is kept.
        as_json: Whether to print JSON.
    """
    from shed_hf.cli.json_output import of_curation
    from shed_hf.distributed.launch import is_main

    kept = keep(curated, *places, quietly=as_json)
    if as_json and is_main():
        print(json.dumps({**of_curation(curated), **kept}))
