"""Which split of a dataset is meant."""

from collections.abc import Collection

from shed_hf.errors import InputError
from shed_hf.utils.nearest import did_you_mean


def check_split(split: object) -> str | None:
    """Checks that an argument names a split.

    Args:
        split: The argument; None for none.

    Returns:
        The name.

    Raises:
        InputError: For anything else than a `datasets.NamedSplit` and text that is not empty.
    """
    from datasets import NamedSplit

    if split is None or (isinstance(split, str) and split):
        return split
    if isinstance(split, NamedSplit):
        return str(split)
    raise InputError(f'split={split!r} is not the name of a split; pass one, such as "train"')


def split_of(splits: Collection[str], split: str | None, name: str) -> str:
    """Which split of several to take.

    Args:
        splits: The splits that there are.
        split: The one that is asked for; None where there should be no other.
        name: What error messages call the dataset.

    Returns:
        One of ``splits``.

    Raises:
        InputError: Where it isn't there, there are several and none is asked for, or there is none.
    """
    if not splits:
        raise InputError(f"{name} has no split at all; pass a datasets.Dataset with rows")
    chosen = split or (next(iter(splits)) if len(splits) == 1 else "")
    if chosen not in splits:
        how = "split=" if name == "dataset" or split is not None else f"{name}=dataset_dict[…]"
        asked = "" if split is None else f"split={split!r} is unknown; {did_you_mean(split, splits)}"
        raise InputError(f"{asked}{name} has the splits {list(splits)}; pass {how} with one of them")
    return chosen
