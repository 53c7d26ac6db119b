"""The comparison for one model: rows are chosen, models are tuned on them and measured, and lines made of that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.clustering.clusterers import CLUSTERERS, HDBSCAN, Agglomerative, KMeans
from shed_hf.comparison.choices import choose_by_curating, choose_by_rows
from shed_hf.comparison.deciding_items import deciding_items
from shed_hf.comparison.design import Cell, Choices, ChoosingCost, Design, Failure
from shed_hf.comparison.ledgers import LedgerFamily
from shed_hf.comparison.lines import Line, Run, lines_of, runs_of
from shed_hf.comparison.measuring import Subsets, Tuned, measure
from shed_hf.comparison.methods import ByGame, BySize
from shed_hf.comparison.overlap import Seen
from shed_hf.comparison.tasks import (
    Column,
    Task,
    columns_of,
    items_of,
    objective_of,
    without_repeating,
)
from shed_hf.comparison.test_sets import NO_TUNER, ReadTasks, Tests
from shed_hf.curation.arguments import request_from
from shed_hf.curation.curate import curate_as
from shed_hf.curation.prepare import PreparedCuration, prepare
from shed_hf.curation.problem import Problem, read_request
from shed_hf.curation.request import Request
from shed_hf.curation.wire import CODEC
from shed_hf.curation.worker import load_worker, work_until_the_end
from shed_hf.data.pool import Pool
from shed_hf.distributed.launch import is_main, workers_of_launch
from shed_hf.distributed.ranks import MultiProcess
from shed_hf.errors import InputError, RankError
from shed_hf.evaluation.item_groups import split
from shed_hf.evaluation.objectives import Objective
from shed_hf.game.utility import AlignsWithPool, HasEvaluation, TrainableUtility, UtilityFactory, as_trainable_utility
from shed_hf.results.verdict import LEAST_ITEMS
from shed_hf.types import BoolVector, IntVector
from shed_hf.utils.console import Stopwatch, plural, say
from shed_hf.utils.naming import plain
from shed_hf.utils.progress import progress
from shed_hf.utils.quiet import silent
from shed_hf.utils.random_streams import Streams
from shed_hf.utils.warn import warn

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True, eq=False)
class ModelComparison:
    """The comparison for one model.

    Attributes:
        lines: The lines of its tables.
        runs: Every tuning.
        failures: What could not be had.
        notes: What selectors say of their choices, and what to keep in mind of the test items.
        utility: What determines an outcome besides the rows.
        columns: What was measured on which task.
        left_out: How many rows could not be chosen, by reason.
        n_tunings: How many tunings are behind the lines.
    """

    lines: list[Line]
    runs: list[Run]
    failures: list[Failure]
    notes: list[str]
    utility: dict[str, Any]
    columns: list[Column]
    left_out: dict[str, int]
    n_tunings: int


def check_model(name: str, arguments: dict[str, Any], design: Design, tests: Tests) -> None:
    """Read what a model would be shown, so that it is refused before another one was tuned for nothing.

    Args:
        name: The model's name.
        arguments: The arguments of `curate` that all methods share.
        design: What is compared.
        tests: What it is compared on.

    Raises:
        InputError: Where this model can't be compared with, such as for rows that its chat template refuses.
    """
    request = request_from({**arguments, "size": design.sizes[0]})
    try:
        with silent():
            read_request(request, Streams(request.seed), ReadTasks(tests, request))
    except InputError as error:
        raise InputError(f"the model {name!r} can't be compared with: {error}") from error


def compare_with(
    name: str, arguments: dict[str, Any], design: Design, tests: Tests, ledgers: LedgerFamily
) -> ModelComparison:
    """Compare all methods with one model; every rank of a launch calls it.

    Args:
        name: The model's name.
        arguments: The arguments of `curate` that all methods share.
        design: What is compared.
        tests: What it is compared on.
        ledgers: Where outcomes are kept.

    Returns:
        What was found, the same on every rank.
    """
    request = request_from({**arguments, "size": design.sizes[0], "ledger": ledgers.known_of(name)})
    chosen = _chosen(request, design, tests, lambda: ledgers.costs(name, _decided_by(design, request)))
    choices = chosen.choices
    if any(isinstance(method, ByGame | BySize) for method in design.methods.values()):
        curate_with = _Curate(_of_curations(request, chosen))
        choices = choices.and_those_of(choose_by_curating(design, curate_with, ledgers, name))
    costs = {of: chosen.known_costs.get(of, cost) for of, cost in choices.costs.items()}
    if is_main():
        ledgers.keep_costs(name, _decided_by(design, request), costs)
    utility, columns = _tests_bound(tests, chosen)
    tuned = _measured(name, choices, utility, chosen, ledgers)
    if not columns:
        columns = [Column("test", "outcome", np.arange(len(tuned.untuned)))]
    failures = [replace(failure, model=name) for failure in [*choices.failures, *tuned.failures]]
    return ModelComparison(
        lines=lines_of(name, design, tuned, columns, costs),
        runs=runs_of(name, tuned, columns),
        failures=failures,
        notes=[*choices.notes, *_of_columns(columns, tuned)],
        utility=utility.describe(),
        columns=columns,
        left_out=chosen.left_out,
        n_tunings=len(tuned.outcomes),
    )


@dataclass(frozen=True, eq=False)
class _Chosen:
    """What is known before the first game: the rows of methods that need none, and the tasks.

    The utility that methods chose by is not among it, so that only one model is loaded at a time.
    """

    source: "Dataset"
    pool: Pool
    tuner: UtilityFactory | None
    held_out: IntVector
    training_seed: int
    choices: Choices
    tasks: list[Task]
    left_out: dict[str, int]
    known_costs: dict[str, ChoosingCost] = field(default_factory=dict)

    @classmethod
    def by(cls, problem: Problem, choices: Choices, tasks: list[Task], left_out: dict[str, int]) -> "_Chosen":
        held_out = np.empty(0, dtype=np.int64) if problem.items is None else problem.items.held_out
        return cls(
            problem.source, problem.pool, problem.tuner, held_out, problem.training_seed, choices, tasks, left_out
        )


@dataclass(frozen=True, eq=False)
class _Curate:
    """`curate` with the arguments of the comparison."""

    shared: dict[str, Any]

    def __call__(self, **given: Any) -> Any:
        read_otherwise = {"rows": None} if _HOW_READ & given.keys() else {}
        return curate_as(request_from({**self.shared, **given, **read_otherwise}))  # without a note beside the ledger


def _decided_by(design: Design, request: Request) -> dict[str, str]:
    """What decides how long methods take to choose, as text; other sizes or seeds take another time."""
    games = [plain(request.estimator), request.budget]
    around = [design.sizes, design.seeds, design.choosing_seeds, design.seed, games]
    return {name: repr([method.described(), around]) for name, method in design.methods.items()}


def _chosen(request: Request, design: Design, tests: Tests, costs: Callable[[], dict[str, ChoosingCost]]) -> _Chosen:
    """Rank 0 embeds, chooses and looks for repeats with the help of all ranks, which then know the same."""
    read = ReadTasks(tests, request)
    with workers_of_launch(CODEC) as workers:
        if isinstance(workers, MultiProcess) and not workers.is_main:
            worker = load_worker(request, workers, read)
            return _told(work_until_the_end(worker, workers), worker.problem, read.tasks)
        watch = Stopwatch()
        prepared = prepare(_to_look_at_rows(request), workers, read)
        found = replace(_choose(design, prepared, read.tasks, watch.seconds), known_costs=costs())
        workers.end(
            {
                "known costs": {name: [cost.fine_tunings, cost.seconds] for name, cost in found.known_costs.items()},
                "choices": found.choices.as_plain(),
                "kept": [task.kept for task in found.tasks],
                "left out": found.left_out,
            }
        )
    return found


def _to_look_at_rows(request: Request) -> Request:
    """The arguments to read and embed rows with, without what only a game needs; labels that are given cost nothing."""
    asked = request.clusterer
    costly = isinstance(asked, KMeans | Agglomerative | HDBSCAN) or (isinstance(asked, str) and asked in CLUSTERERS)
    return replace(
        request, sampler="random", merit=None, features=None, warmup=0, clusterer=KMeans(1) if costly else asked,
        proxies_per_cluster=1, proxy_sets=1, budget=None,
    )  # fmt: skip


def _choose(design: Design, prepared: PreparedCuration, tasks: list[Task], embedding_seconds: float) -> _Chosen:
    problem, candidates = prepared.problem, prepared.candidates
    if design.sizes[-1] > len(candidates.rows):
        raise InputError(
            f"sizes= has {design.sizes[-1]}, and {len(candidates.rows)} rows can be chosen "
            f"({candidates.left_out_in_words}); pass sizes <= {len(candidates.rows)}"
        )
    others = deciding_items(design, problem)
    tasks = without_repeating(tasks, Seen(problem.pool, candidates, problem.items, others))
    choices = choose_by_rows(design, prepared, embedding_seconds)
    choices.notes.extend(others.notes)
    return _Chosen.by(problem, choices, tasks, dict(candidates.left_out))


def _told(content: Any, problem: Problem, tasks: Sequence[Task]) -> _Chosen:
    """What rank 0 chose, on another rank."""
    match content:
        case {
            "choices": dict(choices),
            "kept": list(kept),
            "left out": dict(left_out),
            "known costs": dict(costs),
        }:
            masks: list[BoolVector] = kept
            known = [replace(task, kept=mask) for task, mask in zip(tasks, masks, strict=True)]
            told = _Chosen.by(problem, Choices.from_plain(choices), known, left_out)
            return replace(told, known_costs={name: ChoosingCost(*cost) for name, cost in costs.items()})
    raise RankError(
        f"rank 0 sent a {type(content).__name__} at its end, where choices were due; call compare in the same place "
        "on every rank"
    )


_HOW_READ = {"split", "columns", "drop_invalid"}
"""Arguments by which a method's rows are read in a way of its own."""

_OF_ONE_CALL = ("size", "ledger", "seed", "tuning", "written")


def _of_curations(request: Request, chosen: _Chosen) -> dict[str, Any]:
    """The arguments of every call of `curate`: the same items held out, and the same precision."""
    shared = {name: value for name, value in vars(request).items() if name not in _OF_ONE_CALL}
    if chosen.tuner is not None and split(request.objective)[1] is None:
        shared |= {"model": None, "objective": None, "utility": chosen.tuner}
    else:
        shared |= request.tuning
    if len(chosen.held_out):
        shared |= {"eval_dataset": chosen.source.select(chosen.held_out), "eval_columns": request.columns}
    return shared


def _tests_bound(tests: Tests, chosen: _Chosen) -> tuple[TrainableUtility, list[Column]]:
    """What tunes and measures on test items, and where its figures stand; no columns where nothing is known of it."""
    if tests.utility is not None:
        utility = as_trainable_utility(tests.utility, "test_utility")
        return utility.aligned(chosen.pool) if isinstance(utility, AlignsWithPool) else utility, []
    items = items_of(chosen.tasks)
    tuner = _measuring(chosen.tuner, objective_of(chosen.tasks))
    bound = tuner.bind(chosen.pool, items, chosen.training_seed)
    kept: IntVector = np.arange(len(items))
    if isinstance(bound, HasEvaluation):
        kept = bound.evaluation.kept
    return bound, columns_of(chosen.tasks, kept)


def _measuring(tuner: UtilityFactory | None, objective: Objective) -> UtilityFactory:
    from shed_hf.finetuning.fine_tune import FineTune

    if isinstance(tuner, FineTune):
        return replace(tuner, objective=objective)
    raise InputError(NO_TUNER)


def _measured(name: str, choices: Choices, utility: TrainableUtility, chosen: _Chosen, ledgers: LedgerFamily) -> Tuned:
    subsets = Subsets(choices.rows, utility, chosen.pool, chosen.training_seed)
    ledger_name, path = ledgers.of_tunings(name)
    cells: list[Cell] = list(subsets.player_of)
    n = len(subsets.tunings)

    with progress(f"comparing on {name}", n, "tuning", shown=is_main()) as shown:

        def begun(n_known: int) -> None:
            shown.total = max(n - n_known, 0)
            known = f"; {n_known} in the ledger already" if n_known else ""
            say(
                f"bill: {plural(n, 'tuning')} of {name} on {subsets.n_rows(cells):,} rows together, to compare "
                f"{plural(len({cell.method for cell in cells}), 'method')}{known}"
            )

        return measure(subsets, path, lambda ledger: ledgers.hold(ledger_name, ledger), shown, begun)


def _of_columns(columns: Sequence[Column], tuned: Tuned) -> list[str]:
    """What to keep in mind of the test items."""
    outcomes = np.stack([tuned.untuned, *tuned.outcomes.values()])
    left_out, few = [], []
    for column in columns:
        dropped = [f"{count} {reason}" for reason, count in column.dropped.items() if count]
        if dropped:
            left_out.append(f"{column.task}: test items left out: {', '.join(dropped)}")
        n_items = column.n_deciding(outcomes)
        if n_items < LEAST_ITEMS:
            counted = plural(n_items, "test item") + ("" if n_items == len(column.places) else " of the lowest group")
            told = f"{counted} can't tell a gain on further items from luck; at least {LEAST_ITEMS} are needed"
            few.append(f"{column.task}: {told}")
    if is_main():
        for note in dict.fromkeys(few):
            warn(note)
    return list(dict.fromkeys([*left_out, *few]))
