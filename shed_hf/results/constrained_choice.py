"""Choosing how many rows each cluster gives so that no group of evaluation items is expected to fall too far."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators import Estimator, InRun
from shed_hf.evaluation.constraints import Constraints, GroupConstraint, Tolerance, constraints_over, tolerances_from
from shed_hf.results.curation import Curation
from shed_hf.results.group_outcomes import Expectation, expectation_of, group_entries
from shed_hf.results.recipe import ConstraintEntry, GroupEntry
from shed_hf.results.valued_pool import ValuedPool
from shed_hf.sampling.constrained import QuotaProgram, TakesBestClusters, TakesQuotas
from shed_hf.sampling.registry import AnySampler, as_passed
from shed_hf.types import FloatVector, IntVector

SHOWN = 3
"""How many groups an error names."""


@dataclass(frozen=True, eq=False)
class ConstrainedChoice:
    """How many rows each cluster gives, and what that is expected to do.

    Attributes:
        sampler: Takes the rows.
        groups: An entry for each group of items.
    """

    sampler: TakesQuotas
    groups: list[GroupEntry]


def check_can_constrain(sampler: AnySampler, estimator: Estimator | None = None) -> None:
    """Raise where constraints cannot be kept, before anything is measured.

    Args:
        sampler: What is to choose rows.
        estimator: What is to value clusters; None where they are valued.

    Raises:
        InputError: For a sampler that does not take the best clusters first, and an estimator without values by item.
    """
    _best_clusters(sampler)
    if isinstance(estimator, InRun):
        raise InputError(
            f"constraints= need values by evaluation item, and estimator={estimator} gives none; pass another one, "
            'such as estimator="least-squares"'
        )


def choose_within(
    valued: ValuedPool, constraints: Sequence[GroupConstraint], sampler: AnySampler, size: int
) -> ConstrainedChoice:
    """The numbers of rows with the largest sum of values of which no group is expected to fall beyond its tolerance.

    The sampler's own choice is kept where it keeps the constraints; its limits for clusters hold in any case, and rows
    without a value are taken only where those with one are used up.

    Args:
        valued: The valued pool.
        constraints: The groups, at least of one column.
        sampler: A sampler that takes the best clusters first.
        size: How many rows are chosen.

    Returns:
        The choice.

    Raises:
        InputError: For another sampler, constraints over other items than were measured, and where nothing keeps the
            constraints: it says which groups miss by how much, and what tolerances would do.
    """
    best_clusters, expectation = _best_clusters(sampler), expectation_of(valued)
    _check_items(constraints, len(expectation.untuned))
    values = np.append(valued.values, np.nan)
    preferred = best_clusters.quotas(values, expectation.sizes, size)
    limits = best_clusters.limits(values, expectation.sizes, size)
    program = _program(expectation, constraints, values, preferred, limits)
    quotas = program.best()
    if quotas is None:
        uncapped = _program(expectation, constraints, values, preferred, expectation.sizes)
        raise InputError(_infeasible(constraints, program, uncapped, size))
    return ConstrainedChoice(TakesQuotas(quotas), group_entries(expectation, constraints, quotas, preferred))


def _best_clusters(sampler: AnySampler) -> TakesBestClusters:
    if isinstance(sampler, TakesBestClusters):
        return sampler
    raise InputError(
        f"constraints= decide how many rows each cluster gives, and sampler={as_passed(sampler)} "
        "does so by itself; pass "
        'sampler="qocs", or no constraints'
    )


def _check_items(constraints: Sequence[GroupConstraint], n_items: int) -> None:
    for constraint in constraints:
        if len(constraint.groups) != n_items:
            raise InputError(
                f"column {constraint.column!r} of constraints= has groups of {len(constraint.groups)} items, and an "
                f"outcome is of {n_items}; pass eval_dataset= with the rows that the utility evaluates on, in their "
                "order"
            )


def _program(
    expectation: Expectation,
    constraints: Sequence[GroupConstraint],
    values: FloatVector,
    preferred: IntVector,
    limits: IntVector,
) -> QuotaProgram:
    per_row = expectation.sums(np.eye(len(expectation.sizes)))
    of_random = expectation.sums(expectation.random(int(preferred.sum())))
    effects, least = [], []
    for constraint in constraints:
        for members in constraint.members():
            effects.append(per_row[:, members].mean(axis=1))
            floor = 0.0 if constraint.tolerance.against == "untuned" else float(of_random[members].mean())
            least.append(floor - constraint.tolerance.amount)
    return QuotaProgram(values, preferred, limits, np.stack(effects), np.array(least))


def _infeasible(
    constraints: Sequence[GroupConstraint], program: QuotaProgram, uncapped: QuotaProgram, size: int
) -> str:
    """Which groups miss by how much in the choice that misses least, and what would do."""
    nearest = program.nearest()
    missed = program.least - program.effects @ nearest
    owners = [constraint for constraint in constraints for _ in constraint.labels]
    labels = [label for constraint in constraints for label in constraint.labels]
    worst = [number for number in np.argsort(-missed, kind="stable") if missed[number] > 0]
    named = [
        f"group {labels[number]!r} of {owners[number].column!r} falls "
        f"{owners[number].tolerance.amount + missed[number]:.4g} below {_floor(owners[number].tolerance)}, where "
        f"{owners[number].tolerance.amount:g} is allowed"
        for number in worst[:SHOWN]
    ]
    more = f" (and {len(worst) - SHOWN} more)" if len(worst) > SHOWN else ""
    enough = {
        constraint.column: _enough(
            constraint.tolerance, max(missed[n] for n, owner in enumerate(owners) if owner is constraint)
        )
        for constraint in constraints
    }
    shown = ", ".join(f"{column!r}: {_as_code(tolerance)}" for column, tolerance in enough.items())
    cap = ", or sampler=QOCS(most=1.0), without a limit for clusters" if uncapped.best() is not None else ""
    return (
        f"no {size} rows of these clusters are expected to keep the constraints: at best {', '.join(named)}{more}; "
        f"constraints={{{shown}}} would do{cap}; what was measured is kept, so another call with the same ledger, or "
        "resample, fine-tunes nothing again"
    )


def _floor(tolerance: Tolerance) -> str:
    return "untuned" if tolerance.against == "untuned" else "random rows"


def _enough(tolerance: Tolerance, missed: float) -> Tolerance:
    """A tolerance that is kept although it was missed, rounded up to four digits."""
    if missed <= 0:
        return tolerance
    needed = tolerance.amount + missed
    unit = 10.0 ** (math.floor(math.log10(needed)) - 3)
    return Tolerance(float(f"{math.ceil(needed / unit) * unit:.4g}"), tolerance.against)


def _as_code(tolerance: Tolerance) -> str:
    if tolerance.against == "untuned":
        return f"{tolerance.amount:g}"
    return f'Tolerance({tolerance.amount:g}, against="random")'


def resolve_constraints(curated: Curation, constraints: Constraints | None) -> tuple[GroupConstraint, ...]:
    """The constraints for another choice from a result.

    Args:
        curated: The result.
        constraints: As in `curate`; None for those of the last choice.

    Returns:
        The constraints, over the items at hand or the groups that the result remembers.

    Raises:
        InputError: For constraints that can't be used, and for columns whose groups are not at hand.
    """
    known = constraints_in(curated.recipe.get("constraints", []))
    if constraints is None:
        return known
    tolerances, items = tolerances_from(constraints), curated.valued.measured_items
    if items is not None:
        return constraints_over(tolerances, items)
    remembered = {constraint.column: constraint for constraint in known}
    for column in tolerances.keys() - remembered.keys():
        columns = f"those of {sorted(remembered)}" if remembered else "none"
        raise InputError(
            f"constraints={{{column!r}: …}} need the group of every evaluation item, and a result that was read back "
            f"remembers {columns}; call curate again with ledger=, which fine-tunes nothing anew"
        )
    return tuple(replace(remembered[column], tolerance=tolerance) for column, tolerance in tolerances.items())


def constraint_entries(constraints: Sequence[GroupConstraint]) -> list[ConstraintEntry]:
    """Constraints as a recipe has them.

    Args:
        constraints: The constraints.

    Returns:
        An entry for each column.
    """
    return [
        {
            "column": constraint.column,
            "tolerance": float(constraint.tolerance.amount),
            "against": constraint.tolerance.against,
            "labels": list(constraint.labels),
            "groups": constraint.groups.tolist(),
        }
        for constraint in constraints
    ]


def constraints_in(entries: Sequence[ConstraintEntry]) -> tuple[GroupConstraint, ...]:
    """Constraints from what a recipe has of them.

    Args:
        entries: An entry for each column.

    Returns:
        The constraints.
    """
    return tuple(
        GroupConstraint(
            entry["column"],
            Tolerance(entry["tolerance"], entry["against"]),
            tuple(entry["labels"]),
            np.array(entry["groups"], dtype=np.int64),
        )
        for entry in entries
    )
