"""Reading and keeping results: folders and repositories, for the commands that go on with one."""

from pathlib import Path
from typing import TYPE_CHECKING

from shed_hf.errors import InputError

if TYPE_CHECKING:
    from shed_hf.curated_dataset import CuratedDataset


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

    if Path(place).exists() or place.count("/") != 1 or place.startswith((".", "/", "~")):
        return CuratedDataset.load_from_disk(place, source)
    return CuratedDataset.from_hub(place, source=source)


def check_places(output: str | None, push_to_hub: str | None, needed: bool) -> None:
    """See that a result can be kept where it should be, before anything is paid for.

    Args:
        output: A folder to be.
        push_to_hub: A repository.
        needed: Whether one of the two must be there.

    Raises:
        InputError: Where something is already, or neither was passed.
    """
    from shed_hf.hub.client import check_name, client
    from shed_hf.storage.curated_folder import check_free

    if needed and output is None and push_to_hub is None:
        raise InputError("pass a folder as --output, a repository as --push-to-hub, or both")
    if output is not None:
        check_free(output)
    if push_to_hub is not None:
        check_name(push_to_hub)
        client(None)


def keep(curated: "CuratedDataset", output: str | None, push_to_hub: str | None) -> None:
    """Save and publish a result; of several ranks the first does.

    Args:
        curated: The result.
        output: The folder; None for none.
        push_to_hub: The repository; None for none.
    """
    from shed_hf.distributed.launch import is_main

    if not is_main():
        return
    if output is not None:
        curated.save_to_disk(output)
        print(f"saved to {output}; load the rows with datasets.load_dataset({str(output)!r}, split='train')")
    if push_to_hub is not None:
        print(f"published as {curated.push_to_hub(push_to_hub)}")
