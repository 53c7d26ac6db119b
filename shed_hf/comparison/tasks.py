"""The tasks of a comparison: test items that had no say in any choice, and what is measured on them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.comparison.figures import Figure, figures_from
from shed_hf.comparison.overlap import Seen, repeating
from shed_hf.curation.problem import screen_if_needed
from shed_hf.data.evaluation_items import EvaluationItems, items_from, repeats_earlier
from shed_hf.data.formats import Example
from shed_hf.data.loading import is_place
from shed_hf.data.pool import Pool
from shed_hf.errors import InputError
from shed_hf.evaluation.item_groups import OverGroups, split
from shed_hf.evaluation.objectives import LikelihoodObjective, Objective
from shed_hf.evaluation.tasks import TaskItem, TaskObjective
from shed_hf.game.utility import UtilityFactory
from shed_hf.results.verdict import TOO_LONG
from shed_hf.types import BoolVector, FloatMatrix, IntVector
from shed_hf.utils.naming import bare_name
from shed_hf.verification.unseen_items import OF_TEST, equal_to

if TYPE_CHECKING:
    from shed_hf.curation.request import Request

TEST = "test"
"""The name of a task that the caller did not name."""


REPEATING = "repeating rows of the pool or evaluation items"


@dataclass(frozen=True, eq=False)
class Task:
    """A test set.

    Attributes:
        name: The name of the task.
        items: Its items.
        figures: What is measured of each.
        kept: Which of the items may be used: those that repeat nothing that had a say in a choice, and no earlier one.
        repeats: Which of the items repeat an earlier one.
    """

    name: str
    items: EvaluationItems
    figures: tuple[Figure, ...]
    kept: BoolVector
    repeats: BoolVector

    @property
    def dropped(self) -> dict[str, int]:
        """How many items were left out, by reason."""
        dropped = {REPEATING: int((~self.kept & ~self.repeats).sum())}
        return dropped | ({OF_TEST: int(self.repeats.sum())} if self.repeats.any() else {})


@dataclass(frozen=True, eq=False)
class Column:
    """Where a figure of a task stands among the outcomes of one tuning.

    Attributes:
        task: The name of the task.
        figure: The name of the figure.
        places: The positions of its outcomes ``(n_items,)``.
        grouping: The groups of its items, where these count as groups; None for the mean over items.
        dropped: How many test items were left out, by reason.
    """

    task: str
    figure: str
    places: IntVector
    grouping: OverGroups | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)

    def of(self, outcomes: FloatMatrix) -> FloatMatrix:
        """The figure's outcomes, such that their mean over items is the figure.

        Args:
            outcomes: All outcomes of some tunings ``(m, n_outcomes)``.

        Returns:
            ``(m, n_items)``.
        """
        own = outcomes[:, self.places]
        return own if self.grouping is None else self.grouping.contributions(own)

    def n_deciding(self, outcomes: FloatMatrix) -> int:
        """How many items the figure rests on at least: fewer than all where only the lowest group counts.

        Args:
            outcomes: All outcomes of some tunings ``(m, n_outcomes)``.
        """
        return len(self.places) if self.grouping is None else self.grouping.n_deciding(outcomes[:, self.places])


def tasks_from(
    test_dataset: Any,
    objective: Any,
    test_columns: Any,
    request: "Request",
    pool: Pool,
    tuner: UtilityFactory | None,
) -> list[Task]:
    """Read the test sets.

    Args:
        test_dataset: A dataset as `curate` takes it, or a dict from names of tasks to datasets.
        objective: What is measured: an objective, a list of them, or a dict of these by task; None for the usual ones,
            over groups where the objective of the curations is.
        test_columns: Where the parts of an item are; for single tasks by their name.
        request: The arguments of the curations.
        pool: The rows to choose from.
        tuner: What fine-tunes; None where nothing is known of it.

    Returns:
        The tasks, with all of their items.

    Raises:
        InputError: For test sets that cannot be read, and objectives that cannot be used.
    """
    sets = named_sets(test_dataset)
    unknown = [name for name in objective if name not in sets] if isinstance(objective, Mapping) else []
    if unknown:
        raise InputError(
            f"test_objective= names the task {unknown[0]!r}, which test_dataset= lacks; it has {list(sets)}"
        )
    columns = _columns_by_task(test_columns, sets)
    return [_task(name, dataset, objective, columns[name], request, pool, tuner) for name, dataset in sets.items()]


def without_repeating(tasks: Sequence[Task], seen: Seen) -> list[Task]:
    """The tasks without items that had a say in a choice, and with one of those that are given several times.

    Args:
        tasks: The tasks.
        seen: The rows and items that may not be tested on.

    Returns:
        The same tasks, with fewer items.

    Raises:
        InputError: Where no item of a task is left.
    """
    left = [replace(task, kept=~(repeating(task.items.examples, seen) | task.repeats)) for task in tasks]
    for task in left:
        _check_some_left(task.name, ~task.kept)
    return left


def check_not_all_equal(tasks: Sequence[Task], pool: Pool, evaluation: Sequence[Example]) -> None:
    """See, before a model is loaded, that no task consists of rows and evaluation items themselves.

    Args:
        tasks: The tasks.
        pool: The rows to choose from.
        evaluation: The evaluation items.

    Raises:
        InputError: Where no item of a task is left.
    """
    for task in tasks:
        in_rows, in_items = equal_to(task.items.examples, pool, evaluation)
        _check_some_left(task.name, in_rows | in_items)


def _check_some_left(task: str, repeats: BoolVector) -> None:
    if repeats.all():
        raise InputError(
            f"all {len(repeats)} items of the task {task!r} repeat rows of the pool or evaluation items; pass others "
            "as test_dataset="
        )


def named_sets(test_dataset: Any) -> dict[str, Any]:
    """The test sets by the names of their tasks.

    Args:
        test_dataset: A dataset, or a dict from names to datasets. A mapping with ``path`` and else only ``name``,
            ``split`` and ``revision``, all of them text, is one dataset, as it is for `curate`.

    Returns:
        Datasets by name; a single one is called `TEST`.

    Raises:
        InputError: For an empty dict, and keys that are no names.
    """
    from datasets import DatasetDict

    if not isinstance(test_dataset, Mapping) or isinstance(test_dataset, DatasetDict) or is_place(test_dataset):
        return {TEST: test_dataset}
    wrong = [name for name in test_dataset if not isinstance(name, str) or not name.strip()]
    if wrong or not test_dataset:
        problem = f"has the key {wrong[0]!r}, which is no name" if wrong else "has no task"
        raise InputError(f'test_dataset= {problem}; pass a dataset, or a dict such as {{"mmlu": …, "held-out": …}}')
    return dict(test_dataset)


def argument_of(task: str) -> str:
    """What errors call a task's test set.

    Args:
        task: The name of the task.
    """
    return "test_dataset" if task == TEST else f"test_dataset[{task!r}]"


def _columns_by_task(given: Any, tasks: Iterable[str]) -> dict[str, Any]:
    """Where the parts of each task's items are: the same for all, or as it was given by task."""
    if not isinstance(given, Mapping) or not any(isinstance(one, Mapping) for one in given.values()):
        return dict.fromkeys(tasks, given)
    found = {task: given.get(task) for task in tasks}
    unknown = [name for name in given if name not in found]
    if unknown:
        raise InputError(
            f"test_columns= names the task {unknown[0]!r}, which test_dataset= lacks; it has {list(found)}"
        )
    return found


def _task(
    name: str,
    dataset: Any,
    objective: Any,
    columns: Any,
    request: "Request",
    pool: Pool,
    tuner: UtilityFactory | None,
) -> Task:
    argument = argument_of(name)
    items = items_from(
        dataset,
        pool,
        request.columns,
        request.drop_invalid,
        np.random.default_rng(request.seed),
        lambda rows: screen_if_needed(rows, columns, request, tuner, argument),
        columns,
        argument,
        "test_columns",
    )
    everything = np.ones(len(items.examples), dtype=np.bool_)
    figures = figures_from(objective, name, items.examples, split(request.objective)[1])
    for grouping in (figure.grouping for figure in figures if figure.grouping is not None):
        grouping.check_labels(items, argument, ', or pass test_objective= with a mean over items, such as "loss"')
    return Task(name, items, figures, everything, repeats_earlier(items.examples))


def items_of(tasks: Sequence[Task]) -> list[Example]:
    """The items of all tasks that are measured, one after another.

    Args:
        tasks: The tasks.
    """
    kept = [(task.name, task.items.examples[place]) for task in tasks for place in np.flatnonzero(task.kept)]
    return [TaskItem.of(example, name, place) for place, (name, example) in enumerate(kept)]


def objective_of(tasks: Sequence[Task]) -> Objective:
    """What measures all figures of all tasks.

    Args:
        tasks: The tasks.

    Returns:
        An objective for `items_of`.

    Raises:
        InputError: Where a figure that is not made of log-likelihoods is not the only one.
    """
    objectives = {task.name: [figure.objective for figure in task.figures] for task in tasks}
    flat = [objective for of_task in objectives.values() for objective in of_task]
    if len(flat) == 1:
        return flat[0]
    likelihoods = {
        name: [objective for objective in of_task if isinstance(objective, LikelihoodObjective)]
        for name, of_task in objectives.items()
    }
    others = [one for one in flat if not isinstance(one, LikelihoodObjective)]
    if others:
        raise InputError(
            f"{bare_name(others[0])} looks at the model itself, and {len(flat) - 1} other figures are to be measured "
            "with it; compare by it alone, with test_objective= and one test_dataset"
        )
    return TaskObjective(likelihoods)


def columns_of(tasks: Sequence[Task], measured: IntVector) -> list[Column]:
    """Where every figure stands among the outcomes.

    Args:
        tasks: The tasks.
        measured: Which of `items_of` the evaluation kept ``(n_measured,)``, ascending.

    Returns:
        A column for each figure of each task.

    Raises:
        InputError: For a task of which no item fits into the model.
    """
    columns: list[Column] = []
    first_item = first_outcome = 0
    for task in tasks:
        usable = np.flatnonzero(task.kept)
        own = measured[(measured >= first_item) & (measured < first_item + len(usable))] - first_item
        if not len(own):
            raise InputError(f"no item of the task {task.name!r} fits into the model; raise max_length in args")
        dropped = {**task.dropped, TOO_LONG: len(usable) - len(own)}
        for number, figure in enumerate(task.figures):
            places = first_outcome + np.arange(len(own)) * len(task.figures) + number
            grouping = None if figure.grouping is None else figure.grouping.over(task.items, usable[own])
            columns.append(Column(task.name, figure.name, places, grouping, dropped))
        first_item += len(usable)
        first_outcome += len(own) * len(task.figures)
    return columns
