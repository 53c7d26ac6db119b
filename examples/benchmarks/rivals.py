"""Estimators of other packages on a game that is a plain function: pyDVL and shapiq, each called as it is shipped.

The budget is a number of distinct coalitions, the empty and the full one among them; a coalition that was asked for
before is free, as it is with a ledger. No run goes beyond it. pyDVL's samplers never end by themselves, so they are
stopped when they ask for one coalition too many, and the values they had by then count (an order of the players that
was begun is dropped, as both packages only take up whole ones). shapiq is told how much it may ask for.

    pip install shapiq lightgbm xgboost    # shapiq 1.8 asks for Python 3.12
    pip install --no-deps pydvl    # it asks for numpy < 2 and runs with later ones; the rest of what it needs:
    pip install cvxpy numcodecs more-itertools pyDeprecate
    python examples/benchmarks/rivals.py     # a check: additive game, 8 players, the order of the values must be right
"""

import importlib
import importlib.metadata
import importlib.util
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

Values = NDArray[np.float64]
Game = Callable[[NDArray[np.bool_]], Values]  # coalitions (m, n) to outcomes (m,)
Run = Callable[[Game, int, int, int], Values]  # game, players, budget, seed to values (n,)

CALLS = 10  # repeats are free, but no run asks for more than this many coalitions per coalition of its budget


@dataclass(frozen=True)
class Rival:
    """An estimator of another package; ``run(game, n, budget, seed)`` gives the values of the players.

    One that needs more coalitions than the budget has (ProxySPEX cross-validates) raises an error of its package.
    """

    name: str
    package: str
    run: Run
    needs: tuple[str, ...] = ()  # packages beside its own
    approximator: str = ""  # of shapiq, where older versions lack it

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.package)


class _Spent(Exception):
    """A coalition beyond the budget was asked for; it was not evaluated."""


class Counted:
    """A game that counts the distinct coalitions asked of it and refuses those beyond the budget."""

    def __init__(self, game: Game, budget: int) -> None:
        if budget < 2:
            raise ValueError(f"a budget holds the empty and the full coalition, so it is 2 at least, not {budget}")
        self.game, self.budget = game, budget
        self.asked: set[bytes] = set()
        self.calls = 0

    def __call__(self, coalitions: NDArray[np.bool_]) -> Values:
        coalitions = np.atleast_2d(np.asarray(coalitions, dtype=bool))
        for row in np.packbits(coalitions, axis=1):
            self._count(row.tobytes())
        return np.asarray(self.game(coalitions), dtype=np.float64)

    def _count(self, coalition: bytes) -> None:
        new = coalition not in self.asked
        if (new and len(self.asked) == self.budget) or self.calls == CALLS * self.budget:
            raise _Spent
        self.asked.add(coalition)
        self.calls += 1


def _centred(game: Game, n: int) -> Game:
    """The game less its value of the empty coalition, as both packages have their games."""
    empty = game(np.zeros((1, n), dtype=bool))[0]
    return lambda coalitions: game(coalitions) - empty


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# shapiq


def _shapiq(approximator: str, walks: bool = False, **options: Any) -> Run:
    """An approximator of shapiq; one that ``walks`` counts repeats too, and is told a number that allows for them."""

    def run(game: Game, n: int, budget: int, seed: int) -> Values:
        with _quiet():
            shapiq = importlib.import_module("shapiq.approximator")
            build = partial(getattr(shapiq, approximator), n=n, random_state=seed, **options)
            asked = _calls_that_fit(build, budget) if walks else min(budget, 2**n)
            values: Values = build().approximate(asked, _centred(Counted(game, budget), n)).get_n_order_values(1)
        return values

    return run


def _calls_that_fit(build: Callable[[], Any], budget: int) -> int:
    """How many coalitions, repeats included, can be asked for: what these draw does not depend on the outcomes."""
    asked = CALLS * budget - 1  # one goes to the value of the empty coalition
    while True:
        rehearsal = Counted(lambda coalitions: np.zeros(len(coalitions)), budget)
        try:
            build().approximate(asked, rehearsal)
        except _Spent:
            asked = min(rehearsal.calls, asked - 1)
        else:
            return asked


def _owen(game: Game, n: int, budget: int, seed: int) -> Values:
    """Owen sampling at shapiq's 10 points, or at as many as the budget tries once for every player."""
    points = min(10, 1 + (budget - 2) // (2 * n))
    return _shapiq("OwenSamplingSV", walks=True, n_anchor_points=points)(game, n, budget, seed)


# pyDVL


def _pydvl(build: Callable[[Any, int], Any]) -> Run:
    """A valuation of pyDVL, run in this thread until the budget is spent; a player it knows nothing about gets 0."""

    def run(game: Game, n: int, budget: int, seed: int) -> Values:
        with _quiet():
            from joblib import parallel_config
            from pydvl.valuation import Dataset

            valuation = build(_utility(_centred(Counted(game, budget), n), n), seed)
            players = Dataset(np.arange(n, dtype=float).reshape(-1, 1), np.zeros(n))
            with parallel_config(backend="threading", n_jobs=1), suppress(_Spent):
                valuation.fit(players)
        return np.nan_to_num(np.asarray(valuation.result.values, dtype=np.float64))

    return run


def _utility(game: Game, n: int) -> Any:
    """The game as a utility of pyDVL, which asks for one coalition at a time."""
    from pydvl.valuation.utility.base import UtilityBase

    class SetFunction(UtilityBase):  # type: ignore[misc, unused-ignore]
        def __call__(self, sample: Any) -> float:
            members = np.zeros((1, n), dtype=bool)
            if sample is not None:
                members[0, sample.subset] = True
            return float(game(members)[0])

    return SetFunction()


def _permutations(sampler: str) -> Callable[[Any, int], Any]:
    def build(utility: Any, seed: int) -> Any:
        pydvl = importlib.import_module("pydvl.valuation")
        orders = getattr(pydvl, sampler)(truncation=pydvl.NoTruncation(), seed=seed)
        return pydvl.ShapleyValuation(utility, orders, pydvl.NoStopping())

    return build


def _owen_sets(sampler: str) -> Callable[[Any, int], Any]:
    def build(utility: Any, seed: int) -> Any:
        pydvl = importlib.import_module("pydvl.valuation")
        chances = pydvl.UniformOwenStrategy(1, seed=np.random.default_rng([seed, 1]))  # not the stream of the sets
        everyone = pydvl.SequentialIndexIteration
        sets = getattr(pydvl, sampler)(chances, n_samples_inner=1, index_iteration=everyone, seed=seed)
        return pydvl.ShapleyValuation(utility, sets, pydvl.NoStopping())

    return build


def _ready_made(valuation: str) -> Callable[[Any, int], Any]:
    def build(utility: Any, seed: int) -> Any:
        pydvl = importlib.import_module("pydvl.valuation")
        return getattr(pydvl, valuation)(utility, is_done=pydvl.NoStopping(), seed=seed)

    return build


def _rivals() -> Iterator[Rival]:
    yield Rival("pyDVL permutation Shapley", "pydvl", _pydvl(_permutations("PermutationSampler")))
    yield Rival("pyDVL antithetic permutations", "pydvl", _pydvl(_permutations("AntitheticPermutationSampler")))
    yield Rival("pyDVL TMC-Shapley", "pydvl", _pydvl(_ready_made("TMCShapleyValuation")))
    yield Rival("pyDVL stratified Shapley", "pydvl", _pydvl(_ready_made("StratifiedShapleyValuation")))
    yield Rival("pyDVL Owen", "pydvl", _pydvl(_owen_sets("OwenSampler")))
    yield Rival("pyDVL antithetic Owen", "pydvl", _pydvl(_owen_sets("AntitheticOwenSampler")))
    yield Rival("pyDVL Banzhaf, sample reuse", "pydvl", _pydvl(_ready_made("MSRBanzhafValuation")))
    yield Rival("shapiq PermutationSamplingSV", "shapiq", _shapiq("PermutationSamplingSV", walks=True))
    yield Rival("shapiq StratifiedSamplingSV", "shapiq", _shapiq("StratifiedSamplingSV", walks=True))
    yield Rival("shapiq OwenSamplingSV", "shapiq", _owen)
    for name in ("KernelSHAP", "UnbiasedKernelSHAP", "SVARM"):
        yield Rival(f"shapiq {name}", "shapiq", _shapiq(name))
        yield Rival(f"shapiq {name}, paired", "shapiq", _shapiq(name, pairing_trick=True))
    yield Rival("shapiq kADDSHAP", "shapiq", _shapiq("kADDSHAP", max_order=2))
    yield Rival("shapiq kADDSHAP, paired", "shapiq", _shapiq("kADDSHAP", max_order=2, pairing_trick=True))
    for name, needs, options in (
        ("RegressionMSR", ("xgboost",), {"index": "SV"}),
        ("ProxySHAP", ("xgboost",), {"index": "SV", "max_order": 1}),
        ("LeverageSHAP", (), {}),
        ("OddSHAP", (), {}),
    ):
        yield Rival(f"shapiq {name}", "shapiq", _shapiq(name, **options), needs, name)
    yield Rival("shapiq PolySHAP, paired", "shapiq", _shapiq("PolySHAP", pairing_trick=True), (), "PolySHAP")
    for name in ("KernelSHAPIQ", "InconsistentKernelSHAPIQ"):
        yield Rival(f"shapiq {name}", "shapiq", _shapiq(name, max_order=2, index="SII"))
    yield Rival("shapiq ProxySPEX", "shapiq", _shapiq("ProxySPEX", index="SV"), ("lightgbm",))


RIVALS: dict[str, Rival] = {rival.name: rival for rival in _rivals()}


def available() -> list[Rival]:
    """The rivals whose packages are installed; the others are named on stderr."""
    found = []
    for rival in RIVALS.values():
        missing = [package for package in (rival.package, *rival.needs) if importlib.util.find_spec(package) is None]
        if not missing and rival.approximator:
            known = dir(importlib.import_module("shapiq.approximator"))
            missing = [] if rival.approximator in known else [f"a version of shapiq with {rival.approximator}"]
        if missing:
            print(f"skipped {rival.name}: {', '.join(missing)} not installed", file=sys.stderr)
        else:
            found.append(rival)
    return found


def check(players: int = 8, budget: int = 200, seed: int = 0) -> int:
    """Print how well each rival orders the players of an additive game; the number of those that do not."""
    worth = np.random.default_rng(seed).normal(size=players)
    failed = 0
    print(f"{'name':36}{'package':9}{'version':9}{'rho':>7}{'coalitions':>12}{'seconds':>9}")
    for rival in available():
        game = Counted(lambda coalitions: coalitions @ worth, budget)
        start = time.perf_counter()
        values = rival.run(game, players, budget, seed)
        seconds = time.perf_counter() - start
        rho = float(spearmanr(values, worth).statistic)
        failed += not rho > 0.9
        row = f"{rival.name:36}{rival.package:9}{rival.version:9}{rho:7.3f}{len(game.asked):12}{seconds:9.2f}"
        print(row, flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(check() > 0)
