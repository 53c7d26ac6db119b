"""The rows that methods choose, for one model."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.comparison.design import Cell, Choices, ChoosingCost, Design, Failure
from shed_hf.comparison.ledgers import LedgerFamily
from shed_hf.comparison.methods import FULL, RANDOM, ByCallable, ByGame, ByResult, BySelector, BySize
from shed_hf.curated_dataset import CuratedDataset
from shed_hf.curation.prepare import PreparedCuration
from shed_hf.curation.row_choice import signals_of, sources_of
from shed_hf.curation.row_signals import check_signals, row_passes_of
from shed_hf.embedding.decontamination import Candidates
from shed_hf.errors import InputError, ShedError
from shed_hf.results.cost import choosing_seconds
from shed_hf.sampling.given_rows import GivenRows
from shed_hf.sampling.registry import sampler_of
from shed_hf.sampling.samplers import Sampler, choose
from shed_hf.sampling.selectors import RowSelector, RowSignals, select_rows
from shed_hf.types import IntVector
from shed_hf.utils.console import Stopwatch
from shed_hf.utils.naming import plain
from shed_hf.utils.random_streams import Streams
from shed_hf.utils.text import first_line

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(eq=False)
class Chooser:
    """Chooses rows for one model, and notes what fails.

    Attributes:
        design: What is compared.
        choices: What was chosen so far.
    """

    design: Design
    choices: Choices = field(default_factory=Choices)

    def by_selector(
        self, name: str, selector: RowSelector, prepared: PreparedCuration, embedding_seconds: float
    ) -> None:
        """Choose by what is known of each row; signals are made once for all sizes and seeds.

        Args:
            name: The method.
            selector: What chooses.
            prepared: The rows, with what their signals are made from.
            embedding_seconds: How long the rows took to embed, which is charged where vectors are used.
        """
        watch = Stopwatch()
        with self._failures_noted(Cell(name, 0, -1)):
            check_signals(selector, prepared.problem)
            signals = signals_of(selector, sources_of(prepared))
            fixed = selector.wanted(len(signals))
            shared, choosing = watch.seconds, 0.0
            for size in self._sizes(name) if fixed is None else (fixed,):
                choosing = max(choosing, self._of_size(name, selector, signals, size))
            embeds = bool({"embeddings", "item_embeddings"} & selector.needs)
            n_credited = row_passes_of(selector, prepared.problem, len(signals)).credited
            seconds = shared + choosing + (embedding_seconds if embeds else 0.0)
            self.choices.costs[name] = ChoosingCost(int(n_credited > 0), round(seconds, 4))

    def _of_size(self, name: str, selector: RowSelector, signals: RowSignals, size: int) -> float:
        """Choose rows for every seed, once where nothing is left to chance; returns the longest choice's seconds."""
        longest, same = 0.0, None
        for seed in range(self._n_seeds(name)):
            cell, watch = Cell(name, size, seed), Stopwatch()
            if same is not None:
                self.choices.rows[cell] = same
                continue
            with self._failures_noted(cell):
                rng = self.design.rng(cell)
                before = rng.bit_generator.state
                selection = select_rows(selector, signals, size, rng)
                self.choices.rows[cell] = rows = np.sort(signals.rows[selection.places])
                self.choices.notes.extend(f"{name}: {note}" for note in selection.notes)
                same = rows if rng.bit_generator.state == before else None
                longest = max(longest, watch.seconds)
        return longest

    def by_callable(self, name: str, method: ByCallable, source: "Dataset", candidates: Candidates) -> None:
        """Choose by a callable of the caller's, for every size and seed.

        Args:
            name: The method.
            method: What chooses.
            source: The dataset, of which the callable gets the rows that may be chosen.
            candidates: Which these are.
        """
        rows, seconds = source.select(candidates.rows), []
        for cell in self._cells(name):
            watch = Stopwatch()
            with self._failures_noted(cell):
                places = _checked(method.function(rows, cell.size, self.design.rng(cell)), cell.size, len(rows), name)
                seconds.append(watch.seconds)
                self.choices.rows[cell] = np.sort(candidates.rows[places])
        self.choices.costs[name] = ChoosingCost(0, round(max(seconds, default=0.0), 4))

    def by_games(self, games: dict[str, ByGame], play: "Callable[..., CuratedDataset]") -> None:
        """Choose by the values of clusters; methods that differ in their sampler alone share a game.

        Args:
            games: The methods by name.
            play: Plays the game with some arguments, and the number of its seed.
        """
        for names in _sharing(games).values():
            costs = []
            for number in range(self.design.choosing_seeds):
                seeds = range(number, self.design.seeds, self.design.choosing_seeds)
                first, seed = games[names[0]], -1 if self.design.choosing_seeds == 1 else number
                with self._failures_noted(*(Cell(name, 0, seed) for name in names)):
                    curated = play({**first.arguments, "sampler": first.sampler}, number)
                    costs.append(_cost_of(curated))
                    for name in names:
                        self._resampled(name, curated, games[name].sampler, seeds)
            for name in names:
                self.choices.costs[name] = _largest(costs)

    def by_result(self, name: str, method: ByResult, source: "Dataset", signals: RowSignals) -> None:
        """Resample a result to every size, and find its rows among those that may be chosen, by their content.

        Args:
            name: The method.
            method: The result.
            source: The dataset.
            signals: The rows that may be chosen, with their digests.
        """
        curated = method.curated
        for size in self.design.sizes:
            with self._failures_noted(Cell(name, size, -1)):
                sized = curated
                if size != len(curated):
                    at_hand = None if curated.valued.source is not None else source
                    sized = curated.resample(size, sampler_of(curated.recipe["sampler"]), source=at_hand)
                chosen = select_rows(GivenRows(sized), signals, size, np.random.default_rng(self.design.seed))
                for seed in range(self.design.seeds):
                    self.choices.rows[Cell(name, size, seed)] = np.sort(signals.rows[chosen.places])
        self.choices.costs[name] = _cost_of(curated)

    def by_size(self, name: str, method: BySize, play: "Callable[..., CuratedDataset]") -> None:
        """Let `curate` choose once for every size and choosing seed.

        Args:
            name: The method.
            method: The arguments of `curate`.
            play: Calls it with some arguments, the number of the seed, and a size.
        """
        costs = []
        for number in range(self.design.choosing_seeds):
            for size in self.design.sizes:
                with self._failures_noted(Cell(name, size, -1 if self.design.choosing_seeds == 1 else number)):
                    curated = play(dict(method.arguments), number, size)
                    costs.append(_cost_of(curated))
                    for seed in range(number, self.design.seeds, self.design.choosing_seeds):
                        self.choices.rows[Cell(name, size, seed)] = np.sort(curated.rows)
        self.choices.costs[name] = _largest(costs)

    def _resampled(self, name: str, curated: CuratedDataset, sampler: Sampler, seeds: Sequence[int]) -> None:
        """The rows that `CuratedDataset.resample` keeps, without the tables that it makes of them."""
        for size in self.design.sizes:
            with self._failures_noted(Cell(name, size, -1)):
                valued, rng = curated.valued, Streams(curated.recipe["sampling_seed"]).for_rows
                values = np.append(valued.values, np.nan)
                rows = np.sort(choose(sampler, values, valued.members, size, rng, valued.merits))
                for seed in seeds:
                    self.choices.rows[Cell(name, size, seed)] = rows

    def _sizes(self, name: str) -> list[int]:
        """The sizes asked for; for random rows also those that other methods brought themselves."""
        brought = {cell.size for cell in self.choices.rows if cell.method != FULL} if name == RANDOM else set()
        return sorted({*self.design.sizes, *brought})

    def _cells(self, name: str) -> list[Cell]:
        return [Cell(name, size, seed) for size in self.design.sizes for seed in range(self.design.seeds)]

    def _n_seeds(self, name: str) -> int:
        return self.design.full_seeds if name == FULL else self.design.seeds

    @contextmanager
    def _failures_noted(self, *cells: Cell) -> Iterator[None]:
        """An exception ends what is inside and is noted for some cells; other methods are kept."""
        try:
            yield
        except Exception as error:  # a caller's own part can raise anything
            kind = "" if isinstance(error, ShedError) else f"{type(error).__name__}: "
            told = kind + (first_line(error) or "no message")
            self.choices.failures.extend(Failure(*cell, "choosing", told) for cell in cells)


def choose_by_rows(design: Design, prepared: PreparedCuration, embedding_seconds: float) -> Choices:
    """The choices of all methods that need no game.

    Args:
        design: What is compared.
        prepared: The rows that may be chosen, with what is known of them.
        embedding_seconds: How long embedding took.

    Returns:
        The rows of every cell, and what failed.
    """
    chooser, problem, candidates = Chooser(design), prepared.problem, prepared.candidates
    for name in sorted(design.methods, key=RANDOM.__eq__):  # random rows last
        method = design.methods[name]
        match method:
            case BySelector(selector):
                chooser.by_selector(name, selector, prepared, embedding_seconds)
            case ByCallable():
                chooser.by_callable(name, method, problem.source, candidates)
            case ByResult():
                digests = problem.pool.digests[candidates.rows]
                signals = RowSignals(rows=candidates.rows, digests=digests, format=problem.pool.format)
                chooser.by_result(name, method, problem.source, signals)
            case ByGame() | BySize():
                pass
    return chooser.choices


def choose_by_curating(
    design: Design, curate_with: "Callable[..., CuratedDataset]", ledgers: LedgerFamily, model: str
) -> Choices:
    """The choices of all methods for which `curate` is called; every rank of a launch calls it.

    Args:
        design: What is compared.
        curate_with: Calls `curate` with the arguments of the comparison and some more.
        ledgers: Where games are kept.
        model: The model's name, for the ledgers' names.

    Returns:
        The rows of every cell, and what failed.
    """
    chooser = Chooser(design)

    def play(arguments: dict[str, Any], number: int, size: int | None = None) -> CuratedDataset:
        game = {name: plain(one) for name, one in arguments.items() if name != "sampler"}
        name, path = ledgers.of_game(model, game, design.seed + number)
        given = {**arguments, "size": design.sizes[0] if size is None else size, "ledger": path}
        curated = curate_with(**given, seed=design.seed + number)
        ledgers.hold(name, curated.ledger)
        return curated

    chooser.by_games({name: one for name, one in design.methods.items() if isinstance(one, ByGame)}, play)
    for name, method in design.methods.items():
        if isinstance(method, BySize):
            chooser.by_size(name, method, play)
    return chooser.choices


def _sharing(games: dict[str, ByGame]) -> dict[str, list[str]]:
    """The names of methods whose games are the same."""
    found: dict[str, list[str]] = {}
    for name, game in games.items():
        described = {key: value for key, value in game.described().items() if key != "sampler"}
        found.setdefault(json.dumps(described, sort_keys=True), []).append(name)
    return found


def _cost_of(curated: CuratedDataset) -> ChoosingCost:
    """What a curation took, in this run or in those whose outcomes its ledger held."""
    bill = curated.recipe["bill"]
    return ChoosingCost(bill["all_fine_tunings"], round(choosing_seconds(bill), 4))


def _largest(costs: Sequence[ChoosingCost]) -> ChoosingCost:
    return max(costs, key=lambda cost: cost.seconds, default=ChoosingCost())


def _checked(chosen: Any, size: int, n_rows: int, name: str) -> IntVector:
    places = np.asarray(chosen)
    if places.ndim != 1 or places.dtype.kind not in "iu":
        raise InputError(
            f"{name} returned an array of {places.dtype} and shape {places.shape}; return {size} row numbers"
        )
    different = np.unique(places[(places >= 0) & (places < n_rows)])
    if len(places) != size or len(different) != size:
        raise InputError(
            f"{name} returned {len(places)} rows, {len(different)} different ones of them among the {n_rows} that may "
            f"be chosen; return {size}, each once"
        )
    return places.astype(np.int64)
