"""What a curation would cost, and how reliable its values would be with more or fewer fine-tunings."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from shed_hf.curation.early_warning import harm_note
from shed_hf.curation.prepare import PreparedCuration
from shed_hf.curation.race_candidates import reads_a_sample
from shed_hf.curation.row_passes import row_passes
from shed_hf.errors import InputError
from shed_hf.estimators import Hierarchical, LeastSquares
from shed_hf.estimators.base import Cost
from shed_hf.estimators.budget import Speed, fine_tunings_of
from shed_hf.estimators.coalition_design import draw_pairs
from shed_hf.estimators.no_game import plays
from shed_hf.estimators.outcomes import outcomes_in_ledger
from shed_hf.estimators.row_spread import budget_left, checked_on_halves
from shed_hf.game.coalitions import entries_of
from shed_hf.game.counting import n_trained
from shed_hf.game.execution import Execution, execution_of
from shed_hf.game.game import Game
from shed_hf.game.rank_agreement import check_ranks_agree
from shed_hf.game.utility import EstimatesFlops, measurement_of
from shed_hf.sampling.row_passes import READING, RowPasses
from shed_hf.utils.console import duration, plural

SMALL, LARGER = 16, 64
"""About how many rows the two timed fine-tunings train on."""


LEAST_PILOT = 8
"""Halves of fewer coalitions tell nothing of how reliable values would be."""


@dataclass(frozen=True)
class Plan:
    """What a curation would take.

    Where rows are ranked or chosen by credit, a training run over all of them, or over the sample that it is learned
    from, is counted in ``rows_trained``, ``tokens``, ``flops`` and ``seconds`` beside the game. Where they are chosen
    by the model's hidden states, for which every row, or the sample, is read once, a third of such a run is counted in
    ``flops`` and ``seconds``.

    Attributes:
        players: The number of players.
        rows_per_player: The mean number of rows that a player brings.
        fine_tunings: The most fine-tunings that the game asks for. The model before tuning, v(∅), is measured beside
            them, and counted neither here nor below.
        in_ledger: Of how many fine-tunings of this game the ledger held the outcomes before.
        rows_trained: Rows trained on, summed over all fine-tunings.
        tokens: Tokens trained on; 0 where the utility can't tell.
        flops: Floating-point operations; 0 where the utility can't tell.
        seconds: How long it would take, extrapolated from two timed fine-tunings.
        memory_bytes: The most memory held so far, of the accelerator or else of the process.
        reliability: The expected `ValueEstimate.reliability` at ``"half"``, ``"same"`` and ``"double"`` the
            fine-tunings; empty where too little was measured to predict it.
        execution: How steps are gone through; None where the utility can't tell.
        race_fine_tunings: The most fine-tunings of a race, which are counted in everything above but
            ``fine_tunings``; 0 without one.
        harm: That tuning on one sample of every cluster makes the model worse, with what to do then; empty where it
            does not, and without a pilot, which is what shows it.
        measured_now: How many were made for the plan itself, to time them and as its pilot.
        measurement: What one of them is called: ``"outcome"`` where a callable measures, which may tune nothing.
        rows_read: Rows that the model reads for their hidden states, so that rows can be chosen by them.
    """

    players: int
    rows_per_player: float
    fine_tunings: int
    in_ledger: int
    rows_trained: int
    tokens: int
    flops: float
    seconds: float
    memory_bytes: int
    reliability: Mapping[str, float] = field(default_factory=dict)
    execution: Execution | None = None
    race_fine_tunings: int = 0
    harm: str = ""
    measurement: str = "fine-tuning"
    measured_now: int = 0
    rows_read: int = 0

    def __str__(self) -> str:
        lines = [
            f"{plural(self.players, 'cluster sample')} of {self.rows_per_player:.3g} rows (players); at most "
            f"{plural(self.fine_tunings, self.measurement)}{self._race}{self._measured}",
            f"{self.rows_trained:,} rows trained" + (f", {self.rows_read:,} read" if self.rows_read else "")
            + (f", {self.tokens:,} tokens" if self.tokens else "")
            + (f", {self.flops:.2g} FLOPs" if self.flops else ""),
            f"about {duration(self.seconds)}; memory {self.memory_bytes / 2**30:.2f} GiB",
            *([] if self.execution is None else [str(self.execution)]),
        ]  # fmt: skip
        lines += [self._expected, *([self.harm] if self.harm else [])]
        return "\n".join(lines)

    @property
    def _expected(self) -> str:
        what = "how far two halves of the measurements would agree (reliability, 1 is best)"
        if not self.reliability:
            return f"{what}: unknown; pass pilot=16 to measure a little beforehand"
        half, same, double = (self.reliability[share] for share in ("half", "same", "double"))
        return f"{what}: {same:.2f}; {half:.2f} for half the {self.measurement}s, {double:.2f} for twice as many"

    @property
    def _measured(self) -> str:
        held = f", {self.in_ledger} in the ledger already" if self.in_ledger else ""
        return held + (f"; {self.measured_now} measured now, for this plan" if self.measured_now else "")

    @property
    def _race(self) -> str:
        return f" and {self.race_fine_tunings} in the race" if self.race_fine_tunings else ""


@dataclass(frozen=True)
class RaceCost:
    """What a race takes at most beside the game.

    Attributes:
        fine_tunings: Fine-tunings, of random rows too.
        rows: Rows trained on, summed over them.
        tokens: Tokens trained on; 0 where the utility can't tell.
    """

    fine_tunings: int = 0
    rows: int = 0
    tokens: float = 0.0


@dataclass(frozen=True)
class _Work:
    """What a curation trains: rows and tokens, and its floating-point operations, those of reading included."""

    rows: int
    tokens: int
    flops: float


def planned(prepared: PreparedCuration, game: Game, pilot: int) -> Plan:
    """Time two small fine-tunings, measure the pilot's coalitions, and add up.

    Args:
        prepared: The curation, ready to be measured.
        game: Its game.
        pilot: How many coalitions to measure, 0 or at least 8.

    Returns:
        What the curation would take.

    Raises:
        InputError: For another ``pilot``, and where ranks measure differently.
    """
    _check_pilot(pilot)
    in_ledger, passes = _n_measured(game), row_passes(prepared)
    speed = _speed(prepared, game, passes)
    checked = checked_on_halves(prepared.estimator, game)
    budget = fine_tunings_of(prepared.budget, checked, game.n_players, lambda: speed)
    cost, left = checked.cost(game.n_players, budget), budget_left(prepared.estimator, game, budget)
    if pilot:  # the first coalitions that the run itself will ask for
        _measure_pilot(prepared, game, int(pilot), left)
    n_rows, race = sum(map(len, game.players)), _race_cost(prepared)
    work = _work(prepared, game, cost, passes, race)
    return Plan(
        players=game.n_players,
        rows_per_player=n_rows / game.n_players,
        fine_tunings=cost.fine_tunings,
        in_ledger=in_ledger,
        rows_trained=work.rows,
        tokens=work.tokens,
        flops=work.flops,
        seconds=speed.seconds(cost, game.n_players)
        + (race.rows + passes.as_trained) * speed.training / n_rows
        + race.fine_tunings * speed.evaluating,
        memory_bytes=_memory(),
        reliability=_predicted(game, _coalitions_planned(prepared, game, left)),
        execution=execution_of(game.utility, np.concatenate(game.players)),
        race_fine_tunings=race.fine_tunings,
        harm=harm_note(game) if pilot else "",
        measurement=measurement_of(game.utility),
        measured_now=_n_measured(game) - in_ledger,
        rows_read=passes.read,
    )


def _n_measured(game: Game) -> int:
    """How many outcomes of fine-tunings of this game the ledger holds."""
    return n_trained(entries_of(game.ledger, game.players))


def _check_pilot(pilot: int) -> None:
    is_whole = isinstance(pilot, int | np.integer) and not isinstance(pilot, bool)
    if not is_whole or pilot < 0 or 0 < pilot < LEAST_PILOT:
        raise InputError(f"pilot={pilot!r} is neither 0 nor a whole number >= {LEAST_PILOT}; pass one that is")


def _speed(prepared: PreparedCuration, game: Game, passes: RowPasses) -> Speed:
    """How fast the model is; nothing is measured for a curation that does not ask it anything."""
    asks = plays(prepared.estimator) or prepared.race is not None or passes.credited or passes.read
    if not asks:
        return Speed(0.0, 0.0)
    check_ranks_agree(game)
    return _timed(game)


def _work(prepared: PreparedCuration, game: Game, cost: Cost, passes: RowPasses, race: RaceCost) -> _Work:
    """What is computed by the game, the race, and the signals of single rows."""
    rows, share = np.concatenate(game.players), cost.players_trained / game.n_players
    of_row = _tokens_of_row(prepared) if passes.credited or passes.read else 0.0
    tokens = share * game.utility.n_tokens(rows) + race.tokens + passes.credited * of_row
    n_outcomes = cost.fine_tunings + plays(prepared.estimator) + race.fine_tunings
    return _Work(
        rows=round(share * len(rows)) + race.rows + passes.credited,
        tokens=round(tokens),
        flops=_flops(game, tokens + READING * passes.read * of_row, n_outcomes),
    )


def _flops(game: Game, tokens: float, n_outcomes: int) -> float:
    return game.utility.flops(tokens, n_outcomes) if isinstance(game.utility, EstimatesFlops) else 0.0


def _tokens_of_row(prepared: PreparedCuration) -> float:
    """The mean over the rows that may be chosen."""
    rows = prepared.candidates.rows
    return prepared.problem.utility.n_tokens(rows) / len(rows)


def _race_cost(prepared: PreparedCuration) -> RaceCost:
    """As if every candidate took part, with rows of the usual length."""
    if prepared.race is None:
        return RaceCost()
    named = prepared.race.named(prepared.sampler, reads_a_sample(prepared))
    n = prepared.race.fine_tunings(len(named))
    return RaceCost(n, n * prepared.size, n * prepared.size * _tokens_of_row(prepared))


def _measure_pilot(prepared: PreparedCuration, game: Game, pilot: int, budget: int | None) -> None:
    """Measures the first coalitions that the run will ask for; of a regression more, for a pilot beyond its budget."""
    wanted = pilot // 2 * 2
    if isinstance(prepared.estimator, Hierarchical):
        prepared.estimator.measure_first(game, prepared.streams.for_values, budget, wanted)
        return
    estimator = prepared.estimator if isinstance(prepared.estimator, LeastSquares) else LeastSquares()
    if 2 * estimator.n_pairs(game.n_players, budget) < wanted:
        estimator, budget = LeastSquares(max(wanted, 2)), None
    _, n_pairs = estimator.begin(game, budget)
    coalitions = draw_pairs(game.n_players, n_pairs, prepared.streams.for_values)
    if len(coalitions):
        game.outcomes(coalitions[:wanted])


def _timed(game: Game) -> Speed:
    """From v(∅) and two small coalitions: what an evaluation takes, and training on all players' rows."""
    game(np.zeros((1, game.n_players), np.bool_))
    sizes = np.cumsum([len(rows) for rows in game.players])
    for rows in (SMALL, LARGER):  # the first starts things up, the second is judged by
        few = np.arange(game.n_players) <= np.searchsorted(sizes, rows)
        game(few[None])
    evaluating, seconds = (game.entry(players).seconds for players in (np.arange(0), np.flatnonzero(few)))
    training = max(seconds - evaluating, 0.0) * float(sizes[-1] / sizes[few][-1])
    return Speed(evaluating / game.n_apart, training / game.n_apart)


def _coalitions_planned(prepared: PreparedCuration, game: Game, budget: int | None) -> int:
    """How many coalitions the estimator will ask for, replicates and v(N) left out where that is known."""
    if isinstance(prepared.estimator, LeastSquares):
        return 2 * prepared.estimator.n_pairs(game.n_players, budget)
    return prepared.estimator.cost(game.n_players, budget).fine_tunings


def _predicted(game: Game, planned: int) -> dict[str, float]:
    """The Spearman–Brown prediction formula: k times the coalitions make a reliability r into k·r / (1 + (k − 1)·r)."""
    try:
        n = len(outcomes_in_ledger(game).coalitions)
    except InputError:  # not even v(N)
        return {}
    r = LeastSquares().from_ledger(game).reliability if n >= LEAST_PILOT - 2 else float("nan")
    if np.isnan(r):
        return {}
    r = min(max(r, 0.0), 0.999)
    most = 2 ** min(game.n_players, 62) - 2
    times = {"half": min(planned / 2, most) / n, "same": min(planned, most) / n, "double": min(planned * 2, most) / n}
    return {name: k * r / (1 + (k - 1) * r) for name, k in times.items()}


def _memory() -> int:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
