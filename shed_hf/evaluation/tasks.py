"""Several tasks, each with figures of its own, measured in one evaluation of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from shed_hf.data.formats import Example
from shed_hf.evaluation.objectives import LikelihoodObjective, Likelihoods
from shed_hf.types import FloatVector, IntVector


@dataclass(frozen=True, slots=True)
class TaskItem(Example):
    """An evaluation item that knows its task.

    Attributes:
        task: The name of the task.
        place: The number of the item among those of all tasks.
    """

    task: str = ""
    place: int = 0

    @classmethod
    def of(cls, example: Example, task: str, place: int) -> "TaskItem":
        """An evaluation item as one of a task.

        Args:
            example: The item.
            task: The name of the task.
            place: The number of the item among those of all tasks.
        """
        return cls(**{field.name: getattr(example, field.name) for field in fields(Example)}, task=task, place=place)


class TaskObjective:
    """Measures every item with all objectives of its task; what several of them read is read once.

    So accuracy, log-likelihood over the options and loss cost no more than one of them.

    Args:
        figures: For each task, by name, its objectives.
    """

    def __init__(self, figures: Mapping[str, Sequence[LikelihoodObjective]]) -> None:
        self.figures = {task: tuple(objectives) for task, objectives in figures.items()}
        self._read: dict[int, list[IntVector]] = {}

    def __getstate__(self) -> dict[str, tuple[LikelihoodObjective, ...]]:
        """What decides an outcome: the objectives, and not which candidates they were seen to share."""
        return dict(self.figures)

    def __setstate__(self, figures: dict[str, tuple[LikelihoodObjective, ...]]) -> None:
        self.figures, self._read = figures, {}

    def candidates(self, items: Sequence[Example], rng: np.random.Generator) -> list[list[Example]]:
        """The candidates of all objectives, each once.

        Args:
            items: Items of tasks.
            rng: For objectives that draw candidates by chance.

        Returns:
            For each item its candidates.
        """
        of_tasks: dict[str, list[TaskItem]] = {}
        for item in items:
            of_tasks.setdefault(_task_item(item).task, []).append(_task_item(item))
        found: dict[int, list[Example]] = {}
        for task, of_task in of_tasks.items():
            by_figure = [objective.candidates(of_task, rng) for objective in self.figures[task]]
            for number, item in enumerate(of_task):
                found[item.place], self._read[item.place] = _merged([figure[number] for figure in by_figure])
        return [found[_task_item(item).place] for item in items]

    def outcomes(self, item: Example, likelihoods: Likelihoods) -> FloatVector:
        """The figures of one item.

        Args:
            item: An item of a task.
            likelihoods: Those of its candidates, in their order.

        Returns:
            One number for each objective of the task, higher is better.
        """
        of_task = _task_item(item)
        pairs = zip(self.figures[of_task.task], self._read[of_task.place], strict=True)
        return np.array([objective.outcome(item, likelihoods.part(places)) for objective, places in pairs])

    def outcome(self, item: Example, likelihoods: Likelihoods) -> float:
        """The first figure of one item.

        Args:
            item: An item of a task.
            likelihoods: Those of its candidates, in their order.

        Returns:
            A number, higher is better.
        """
        return float(self.outcomes(item, likelihoods)[0])


def _task_item(item: Example) -> TaskItem:
    if not isinstance(item, TaskItem):
        raise TypeError(f"a TaskObjective measures TaskItems, and got a {type(item).__name__}")
    return item


def _merged(by_figure: Sequence[Sequence[Example]]) -> tuple[list[Example], list[IntVector]]:
    """The different candidates of one item, and for each figure the places of its own among them."""
    candidates: dict[object, int] = {}
    different: list[Example] = []
    places = []
    for of_figure in by_figure:
        for candidate in of_figure:
            if candidates.setdefault(_shown(candidate), len(different)) == len(different):
                different.append(candidate)
        places.append(np.array([candidates[_shown(candidate)] for candidate in of_figure], dtype=np.int64))
    return different, places


def _shown(candidate: Example) -> object:
    """What a model is shown of a candidate."""
    item = candidate.as_item()
    return item.turns, item.verbatim, item.given, item.template_inputs
