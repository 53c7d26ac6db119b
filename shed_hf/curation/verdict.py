"""The verdict at the end of a curation, where a test set was given: made where it is cheap, or asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from shed_hf.curated_dataset import CuratedDataset
from shed_hf.curation.request import Request
from shed_hf.distributed.launch import is_main
from shed_hf.errors import InputError, NotBetter
from shed_hf.errors.safe_text import safe
from shed_hf.evaluation.item_groups import split
from shed_hf.game.interruption import step_of_call
from shed_hf.game.utility import UtilityFactory
from shed_hf.results.verdict import LEAST_ITEMS
from shed_hf.storage.rescue import rescue
from shed_hf.utils.console import plural, say

SEEDS = 5
"""How many times the chosen rows are tuned on; random subsets are as many."""

CHEAP = 0.2
"""A verdict is made unasked where it takes less than this share of what the game took."""

_PASSES = 3
"""A row that is trained on costs about as much as this many that are read: it goes forward, and back twice as far."""


def check_test_dataset(request: Request) -> None:
    """See, before anything is paid for, that a verdict could be made at the end.

    Args:
        request: The arguments of `curate`.

    Raises:
        InputError: For a test set that can't be bound, and for ``require_better`` without one that can.
    """
    brings_items = not isinstance(request.utility, str | UtilityFactory)
    if brings_items and request.require_better:
        besides = "" if request.test_dataset is None else " and test_dataset="
        raise InputError(
            "require_better=True compares on test items, and they can't be bound to a utility that brings its own "
            f"items; leave require_better{besides} out, and call curated.{_by_callable(request)} with a callable that "
            "measures on test items"
        )
    if request.test_dataset is None:
        if request.require_better:
            raise InputError("require_better=True needs items to compare on; pass test_dataset=")
        return
    if brings_items:
        raise InputError(
            "test_dataset= can't be bound to a utility that brings its own items; leave it out, and call "
            f"curated.{_by_callable(request)} with a callable that measures on test items"
        )


def check_can_be_better(request: Request, size: int, n_candidates: int, n_test_items: int | None) -> None:
    """See, before anything is measured, that ``require_better`` could be met.

    Args:
        request: The arguments of `curate`.
        size: How many rows will be kept.
        n_candidates: How many could be.
        n_test_items: How many test items are left of those given; None where there are none.

    Raises:
        InputError: Where all rows are kept, or test items are too few for a verdict.
    """
    if not request.require_better:
        return
    if size >= n_candidates:
        raise InputError(
            f"require_better=True compares the rows kept with random ones of the same number, and size={size} keeps "
            f"all {n_candidates} that can be chosen; pass a smaller size, or leave require_better out"
        )
    if n_test_items is not None and n_test_items < LEAST_ITEMS:
        raise InputError(
            f"require_better=True takes {LEAST_ITEMS} test items that are neither rows nor evaluation items, and "
            f"test_dataset has {n_test_items} of them; pass more"
        )


def with_verdict(curated: CuratedDataset, request: Request) -> CuratedDataset:
    """The result with its verdict, where one was asked for or takes less than a fifth of the game. All ranks call this.

    Args:
        curated: The result.
        request: The arguments of `curate`, with the test rows loaded.

    Returns:
        The same result.

    Raises:
        NotBetter: With ``require_better``, where the rows are not shown to be better than random ones. The result is
            in a folder then, which the error names.
    """
    if request.test_dataset is None:
        return curated
    if len(curated) == len(curated.pool_rows):
        say("not compared with random rows: all rows that could be chosen were kept")
        return curated
    if not curated.estimate.played and curated.race is None and not request.require_better:
        say(f"not compared with random rows: curated.verify(test_dataset) does it in {2 * SEEDS} fine-tunings")
        return curated
    share = share_of_game(curated, len(request.test_dataset))
    if share >= CHEAP and not request.require_better:
        say(
            f"not compared with random rows, which would take {share:.0%} of what the game took: "
            f"curated.verify(test_dataset) does it in {plural(2 * SEEDS, 'fine-tuning')}"
        )
        return curated
    try:
        with step_of_call(request.ledger, "load the saved result, and call its verify with"):
            verdict = curated.verify(
                request.test_dataset,
                seeds=SEEDS,
                full=False,
                columns=request.eval_columns,
                drop_invalid=request.drop_invalid,
                ledger=None if request.ledger is None else f"{request.ledger}.verdict",
            )
    except BaseException as error:
        error.add_note(safe(_kept(curated)))
        raise
    if is_main():
        say(f"verdict: {verdict}")
    if request.require_better and not verdict.is_better:
        raise NotBetter(f"{verdict.claim}, and require_better=True; {_kept(curated)}")
    return curated


_COMPARED_LATER: ContextVar[bool] = ContextVar("compared_later", default=False)


@contextmanager
def compared_later() -> Iterator[None]:
    """Curations inside are compared with random rows by who runs them, so nobody is told how that is done."""
    token = _COMPARED_LATER.set(True)
    try:
        yield
    finally:
        _COMPARED_LATER.reset(token)


def say_how_to_compare(curated: CuratedDataset, request: Request) -> None:
    """Tell, below the summary, how it is found out whether the rows are better than random ones, where nothing did.

    Args:
        curated: The result.
        request: The arguments of `curate`.
    """
    known = curated.verdict is not None or curated.race is not None or request.test_dataset is not None
    if known or _COMPARED_LATER.get() or len(curated) == len(curated.pool_rows) or not is_main():
        return
    tuned = isinstance(request.utility, str | UtilityFactory)
    how = "verify(test_dataset)" if tuned else f"{_by_callable(request)}, with one that measures on other items,"
    does_it = plural(2 * SEEDS, "fine-tuning" if tuned else "outcome")
    say(f"  not compared with random rows: curated.{how} does it in {does_it}")


def _by_callable(request: Request) -> str:
    """The call that compares by a callable; only a dataset tells which groups its items are in."""
    return "verify(utility=…)" if split(request.objective)[1] is None else "verify(test_dataset, utility=…)"


def share_of_game(curated: CuratedDataset, n_items: int) -> float:
    """What a verdict would take, as a share of what the game took: in rows that are trained on and items that are read.

    Args:
        curated: The result.
        n_items: The number of test items.

    Returns:
        The share.
    """
    entries = list(curated.ledger)
    of_game = sum(_PASSES * sum(map(len, entry.blocks)) + len(entry.outcome) for entry in entries)
    return (2 * SEEDS * (_PASSES * len(curated) + n_items) + n_items) / max(of_game, 1)


def _kept(curated: CuratedDataset) -> str:
    """Where the finished result is, in words; rank 0 saves it."""
    folder = rescue(curated, "curated") if is_main() else None
    if folder is None:
        return "rank 0 saved the result" if not is_main() else "the result could not be saved"
    say(f"the result is saved in {folder}")
    return f"the result is saved in {folder}; load it with CuratedDataset.load_from_disk({str(folder)!r})"
