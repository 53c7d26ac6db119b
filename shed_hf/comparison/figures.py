"""What a comparison measures of every test item, and how items are averaged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shed_hf.data.formats import Example
from shed_hf.errors import InputError
from shed_hf.evaluation.item_groups import Grouped, split
from shed_hf.evaluation.objectives import Objective
from shed_hf.evaluation.registry import objective_from
from shed_hf.utils.naming import bare_name


@dataclass(frozen=True, eq=False)
class Figure:
    """One number that is measured of every item of a task.

    Attributes:
        name: What it is called in the table.
        objective: What measures an item.
        grouping: How items are averaged; None for their mean.
    """

    name: str
    objective: Objective
    grouping: Grouped | None = None


def figures_from(
    asked: Any, task: str, items: Sequence[Example], chosen_by: Grouped | None = None
) -> tuple[Figure, ...]:
    """What is measured on the items of a task.

    Args:
        asked: An objective, a list of them, or a dict of these by task; None for accuracy and log-likelihood over
            options where all items have options, else the log-likelihood of completions.
        task: The task's name.
        items: Its items.
        chosen_by: The objective over groups that rows are chosen by, which figures that are not asked for are over as
            well; None for means over items.

    Returns:
        The figures, the one that counts first.

    Raises:
        InputError: For what is no objective, and two of one name.
    """
    if isinstance(asked, Mapping):
        asked = asked.get(task)
    if asked is None:
        asked = ["accuracy", "choice"] if all(item.options for item in items) else ["loss"]
        if chosen_by is not None:
            own = asked if chosen_by.objective is None else [chosen_by.objective]
            asked = [replace(chosen_by, objective=one) for one in own]
    figures = tuple(_figure(one, items) for one in (asked if isinstance(asked, list | tuple) else [asked]))
    names = [figure.name for figure in figures]
    if not figures or len(set(names)) < len(names):
        raise InputError(f"test_objective= names {names} for {task!r}; name at least one, and each once")
    return figures


def _figure(asked: Any, items: Sequence[Example]) -> Figure:
    single, grouped = split(asked)
    objective = objective_from(single, items)
    name = single if isinstance(single, str) else bare_name(objective) if single is not None else _usual(objective)
    return Figure(name if grouped is None else f"{grouped.kind} {name}", objective, grouped)


def _usual(objective: Objective) -> str:
    return type(objective).__name__.lower()
