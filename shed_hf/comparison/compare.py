"""`compare`: ways to choose rows, each tuned on alike, over sizes, models, seeds and tasks."""

import os
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from shed_hf.comparison.comparison import Comparison
from shed_hf.comparison.design import Design
from shed_hf.comparison.ledgers import LedgerFamily
from shed_hf.comparison.methods import DEFAULT_METHODS, FULL, check_methods, methods_from, names_asked
from shed_hf.comparison.model_comparison import ModelComparison, check_model, compare_with
from shed_hf.comparison.models import models_from
from shed_hf.comparison.recipe import recipe_of
from shed_hf.comparison.test_sets import Tests
from shed_hf.curation.arguments import defaults, request_from
from shed_hf.curation.early_checks import check_words
from shed_hf.curation.loaded_pool import LoadedPool
from shed_hf.curation.request import Request
from shed_hf.data.loading import load_source
from shed_hf.distributed.launch import is_main
from shed_hf.embedding.caching_encoder import caching_encoder
from shed_hf.errors import InputError
from shed_hf.sampling.sizes import resolve_size
from shed_hf.utils.checks import check_known, check_whole
from shed_hf.utils.console import Stopwatch, say
from shed_hf.utils.progress import progress
from shed_hf.utils.quiet import only_own_output, silent
from shed_hf.verification.request import MOST_TUNINGS

_INSTEAD = {
    "size": "sizes=",
    "sampler": "methods=",
    "model": "models=",
    "method": 'methods=, as in {"race": {"method": "race"}}',
    "require_signal": "curate itself",
    "require_better": "curate itself",
}
"""Arguments of `curate` that a comparison has another place for."""

DEFAULT_SIZES = (0.02, 0.05, 0.1)


@only_own_output()
def compare(
    dataset: Any,
    *,
    test_dataset: Any = None,
    sizes: Any = DEFAULT_SIZES,
    methods: Any = DEFAULT_METHODS,
    models: Any = None,
    seeds: int = 5,
    choosing_seeds: int = 1,
    eval_dataset: Any = None,
    utility: Any = "fine-tune",
    test_utility: Any = None,
    test_objective: Any = None,
    test_columns: Any = None,
    seed: int = 0,
    ledger: str | os.PathLike[str] | None = None,
    **arguments: Any,
) -> Comparison:
    """Which way of choosing rows is worth it: the same tuning on what each of them chooses, measured on test items.

    Every method chooses rows of every size; a model is tuned on them with several seeds, and on random rows of the same
    number, drawn anew for each seed. The untuned model and all rows are lines of every table. Test items that repeat
    rows of the dataset, evaluation items or one another are left out. What fails is named in the table, and the rest
    is kept.

    Args:
        dataset: The rows to choose from, as in `curate`.
        test_dataset: What tuned models are measured on, as `curate` takes a dataset: items that no method chooses by.
            A dict from names to datasets for several tasks, all measured in the same tunings; a mapping with ``path``
            and else only ``name``, ``split`` and ``revision`` is one dataset.
        sizes: How many rows are chosen: numbers, shares in (0, 1] or percentages; 2, 5 and 10 % by default.
        methods: What is compared: ``"shed"``, ``"random"``, ``"full"``, samplers and selectors of `curate` by name
            (``"qwcs"``, ``"retrieval"``, ``"rds"``, ``"dsir"``, ``"credit"`` for ``"credit-coverage"``, ``"dq"`` for
            ``"dataset-quantization"``, ``"rs"`` for random rows, ``"all"`` for all of them …) or as objects,
            ``Given(rows)``, results of `curate`, callables ``(rows, size, rng) -> row numbers``, and dicts of arguments
            of `curate`; a list, or a dict from names to them. ``"random"`` and ``"full"`` are always there; all rows
            are tuned on once, or with every seed where ``"full"`` is named.
        models: The models to tune: Hub ids, paths, loaded models or ``FineTune(…)``; a list, or a dict from names to
            them. By default that of ``utility``.
        seeds: How many times every choice is tuned on, each time in another order; 5 by default. With 1 there are no
            standard errors.
        choosing_seeds: How many games methods that value clusters play for each model; 1 by default: all sizes and
            seeds use the same game.
        eval_dataset: What methods choose by, as in `curate`; by default rows held out of ``dataset``.
        utility: How models are tuned, as in `curate`; with a callable, pass ``test_utility``.
        test_utility: A utility that measures row sets on test items, in place of ``test_dataset``; the mean of its
            outcomes is compared.
        test_objective: What is measured on test items: an objective of `curate` or ``Macro(…)``, a list of them, or a
            dict of these by task. By default accuracy and log-likelihood over the options where items have options,
            else the log-likelihood of completions; over groups of test items where ``objective`` is ``"macro"`` or
            ``"worst-group"``.
        test_columns: The test datasets' columns, as ``columns`` in `curate`; or a dict of these by task.
        seed: The seed of every random draw; 0 by default.
        ledger: The path that the names of ledgers begin with, in which every outcome is written the moment it is
            measured; the same call resumes from them. By default outcomes stay in memory, and are saved to files if
            the run is stopped.
        **arguments: Any other argument of `curate`, for reading rows and for the games: ``embedder``, ``clusterer``,
            ``estimator``, ``budget``, ``objective``, ``columns`` and so on.

    Returns:
        The table, with every figure measured. Among several ranks every rank returns the same.

    Raises:
        InputError: For what cannot be used.
        LedgerError: For ledgers of another comparison, or that cannot be written.
        Diverged: When the untuned model has outcomes that are not finite.
    """
    watch = Stopwatch()
    tests = Tests(test_dataset, test_utility, test_objective, test_columns)
    tests.check()
    tuned = models_from(models, utility)
    common = _common(dataset, eval_dataset, seed, arguments)
    _check_before_loading(methods, {**common, **next(iter(tuned.values()))})
    ledgers = LedgerFamily(ledger, is_main())
    common |= _loaded(common)
    source = common["dataset"]
    design = _design(len(source), sizes, methods, seeds, choosing_seeds, seed)
    if is_main():
        for note in _of_few_seeds(design.seeds):
            say(note)
    tests = tests.loaded()
    of_models: dict[str, ModelComparison] = {}
    for given in tuned.values():
        tests.check_apart(given["utility"])
    common |= _read_once(request_from({**common, **next(iter(tuned.values())), "size": design.sizes[0]}))
    for name, given in list(tuned.items())[1:]:
        check_model(name, {**common, **given}, design, tests)
    with ledgers:
        for name, given in tuned.items():
            of_models[name] = compare_with(name, {**common, **given}, design, tests, ledgers)
    notes = [*_of_few_seeds(design.seeds), *(note for one in of_models.values() for note in one.notes)]
    return Comparison(
        lines=tuple(line for one in of_models.values() for line in one.lines),
        runs=tuple(run for one in of_models.values() for run in one.runs),
        failures=tuple(failure for one in of_models.values() for failure in one.failures),
        notes=tuple(dict.fromkeys(notes)),
        recipe=recipe_of(source, design, of_models, watch.seconds),
    )


def _design(n_rows: int, sizes: Any, methods: Any, seeds: int, choosing_seeds: int, seed: int) -> Design:
    check_whole(1, MOST_TUNINGS, seeds=seeds, choosing_seeds=choosing_seeds)
    check_whole(0, seed=seed)
    if choosing_seeds > seeds:
        raise InputError(f"choosing_seeds={choosing_seeds} exceeds seeds={seeds}; pass at most as many")
    listed = list(sizes) if isinstance(sizes, Sequence) and not isinstance(sizes, str) else [sizes]
    if not listed:
        raise InputError("sizes= is empty; pass at least one, as in sizes=[0.05]")
    return Design(
        methods=methods_from(methods),
        sizes=tuple(sorted({_resolved(size, n_rows) for size in listed})),
        seeds=int(seeds),
        choosing_seeds=int(choosing_seeds),
        seed=int(seed),
        full_seeds=int(seeds) if FULL in names_asked(methods) else 1,
    )


def _resolved(size: Any, n_rows: int) -> int:
    try:
        return resolve_size(size, n_rows)
    except InputError as error:
        raise InputError(f"sizes= has {size!r}: {error}") from error


def _of_few_seeds(seeds: int) -> list[str]:
    """What to keep in mind where tunings are too few to tell how far they differ by luck."""
    if seeds == 1:
        return ["with 1 seed nothing is shown: how far tunings differ by luck is unknown; pass seeds=5"]
    if seeds == 2:
        return ["with 2 seeds little can be shown: intervals are wide, as 2 tunings tell little of luck; pass seeds=5"]
    return []


def _common(dataset: Any, eval_dataset: Any, seed: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `curate` that are the same for all methods and models."""
    taken = sorted(_INSTEAD.keys() & arguments.keys())
    if taken:
        raise InputError(f"{taken[0]}= is an argument of one curation; a comparison takes {_INSTEAD[taken[0]]}")
    known = {name: default for name, default in defaults().items() if name != "ledger"}
    check_known(arguments, {*known, *_OWN} - set(_INSTEAD), "compare(…)")
    return {**known, **arguments, "dataset": dataset, "eval_dataset": eval_dataset, "seed": seed}


def _check_before_loading(methods: Any, common: dict[str, Any]) -> None:
    """Refuse what is wrong whatever the rows are, before any of them is fetched."""
    check_methods(methods_from(methods), common)
    check_words(request_from({**common, "size": 1}))


def _loaded(common: dict[str, Any]) -> dict[str, Any]:
    """The rows to choose from, and those that methods choose by."""
    source = load_source(common["dataset"], common["split"], drop_invalid=common["drop_invalid"])
    if not len(source):
        raise InputError("dataset has 0 rows; pass one with rows")
    items = common["eval_dataset"]
    eval_rows = None if items is None else load_source(items, name="eval_dataset")
    return {"dataset": source, "split": None, "eval_dataset": eval_rows}


def _read_once(request: Request) -> dict[str, Any]:
    """Arguments by which no model and no game reads or embeds the rows again."""
    with progress("reading rows", shown=is_main()), nullcontext() if is_main() else silent():
        rows = LoadedPool.load(request.dataset, request.split, request.columns, request.drop_invalid)
    return {"rows": rows, "embedder": caching_encoder(request.embedder)}


_OWN = tuple(compare.__kwdefaults__ or {})
"""The arguments of a comparison that `curate` does not have."""
