"""The test sets of a comparison, from what the caller passes to tasks that can be tested on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shed_hf.comparison.tasks import Task, argument_of, check_not_all_equal, named_sets, tasks_from
from shed_hf.curation.request import Request
from shed_hf.data.evaluation_items import EvaluationItems
from shed_hf.data.loading import load_source
from shed_hf.data.pool import Pool
from shed_hf.errors import InputError
from shed_hf.evaluation.registry import check_objective_name
from shed_hf.game.utility import UtilityFactory, as_trainable_utility

NO_TUNER = (
    "test_dataset= is measured by FineTune(…), and utility= is something else, which knows no other items than its "
    "own; pass test_utility= with what measures rows on test items"
)


@dataclass(frozen=True, eq=False)
class Tests:
    """What all methods are compared on.

    Attributes:
        dataset: Test items, or a dict of them by task.
        utility: What measures row sets on test items, in place of a dataset.
        objective: What is measured on test items.
        columns: Where the parts of a test item are.
    """

    dataset: Any
    utility: Any
    objective: Any
    columns: Any

    def check(self) -> None:
        """Check that there is something to test on, and one thing only, and that words name what is measured.

        Raises:
            InputError: Where there is not, for what measures nothing, and for an unknown word.
        """
        if (self.dataset is None) == (self.utility is None):
            raise InputError(
                "pass test_dataset= with items that no method chooses by, or test_utility= with what measures rows on "
                "such items, and not both"
            )
        for name, given in (("test_objective", self.objective), ("test_columns", self.columns)):
            if self.utility is not None and given is not None:
                raise InputError(
                    f"{name}= is about test_dataset=, and test_utility= measures on items of its own; leave it out"
                )
        if self.utility is not None:
            as_trainable_utility(self.utility, "test_utility")
        by_task = self.objective.values() if isinstance(self.objective, Mapping) else [self.objective]
        for asked in by_task:
            for one in asked if isinstance(asked, list | tuple) else [asked]:
                check_objective_name(one, "test_objective")

    def check_apart(self, utility: Any) -> None:
        """Check that what is compared on is not what methods choose by.

        Args:
            utility: What tunes and measures, as `curate` takes it.

        Raises:
            InputError: Where both are one utility, by code and state.
        """
        if self.utility is None or isinstance(utility, str | UtilityFactory):
            return
        chosen_by, compared_on = (as_trainable_utility(each).describe() for each in (utility, self.utility))
        if chosen_by == compared_on:
            raise InputError(
                "test_utility= measures the same as utility=, by which methods choose, so it can't compare them; pass "
                "one that measures on items that no method chooses by"
            )

    def loaded(self) -> "Tests":
        """The same with every test set loaded, before anything else is.

        Raises:
            InputError: For one that can't be.
        """
        if self.dataset is None:
            return self
        sets = named_sets(self.dataset)
        found = {name: load_source(one, name=argument_of(name)) for name, one in sets.items()}
        return replace(self, dataset=found)


@dataclass(eq=False)
class ReadTasks:
    """Reads the test sets once rows are read, and refuses what can't be tested on before a model is loaded.

    Attributes:
        tests: The test sets.
        request: The arguments of the curations.
        tasks: What was read.
    """

    tests: Tests
    request: Request
    tasks: list[Task] = field(default_factory=list)

    def __call__(self, pool: Pool, items: EvaluationItems | None, tuner: UtilityFactory | None) -> None:
        tests = self.tests
        if tests.dataset is None:
            return
        if tuner is None:
            raise InputError(NO_TUNER)
        self.tasks = tasks_from(tests.dataset, tests.objective, tests.columns, self.request, pool, tuner)
        check_not_all_equal(self.tasks, pool, [] if items is None else items.examples)
