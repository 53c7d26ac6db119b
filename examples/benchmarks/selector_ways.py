"""The ways to choose rows that `compare_selectors.py` compares."""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset
from selector_pools import COLUMNS, bound, texts_to_embed

import shed_hf
from shed_hf.curation.measured_game import played_from
from shed_hf.embedding.decontamination import decontaminate
from shed_hf.embedding.embed import encode_texts
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_utility import TrainerUtility
from shed_hf.results.tables import choose_rows
from shed_hf.sampling.selectors import RowSelector, RowSignals, select_rows

CHUNK = 512


class Precomputed:
    """An embedder that knows the vectors of some texts.

    Args:
        texts: n texts.
        vectors: Their vectors, a line each; further lines are left out.
    """

    def __init__(self, texts: list[str], vectors: Any) -> None:
        if len(texts) > len(vectors):
            raise SystemExit(f"{len(vectors)} embeddings for {len(texts)} rows and items; make them anew")
        self._vectors = dict(zip(texts, vectors, strict=False))

    def encode(self, texts: list[str]) -> Any:
        """The vectors of texts."""
        return np.stack([self._vectors[text] for text in texts])


class Chooser:
    """Chooses rows of one pool by every way, each by what it needs and computes once.

    Args:
        rows: The pool's rows.
        items: The items to choose by.
        arguments: The benchmark's arguments.
        tuner: Makes a fine-tuning from an objective.

    Attributes:
        why_not: Why a way was left out, by its name.
    """

    SELECTORS: ClassVar[dict[str, RowSelector]] = {
        "retrieval": shed_hf.Retrieval(),
        "retrieval, mean": shed_hf.Retrieval("mean"),
        "retrieval, greedy": shed_hf.Retrieval("greedy"),
        "RDS": shed_hf.Retrieval(vectors="model"),
        "credit coverage": shed_hf.CreditCoverage(),
        "credit coverage, greedy": shed_hf.CreditCoverage("facility-location"),
        "DSIR": shed_hf.DSIR(),
        "dataset quantization": shed_hf.DatasetQuantization(),
        "longest": shed_hf.Longest(),
        "IFD": shed_hf.IFD(),
    }
    VALUED = ("QOCS", "paper QOCS", "paper QWCS", "mean credit", "row values")
    WAYS = (*SELECTORS, *VALUED)

    def __init__(
        self, rows: list[Any], items: list[Any], arguments: argparse.Namespace, tuner: Callable[[Any], FineTune]
    ) -> None:
        self.arguments, self.tuner, self.raw_items = arguments, tuner, items
        self.dataset = Dataset.from_list([{name: row[name] for name in COLUMNS} for row in rows])
        self.pool, self.items = bound(rows, items)
        texts = texts_to_embed(self.pool, self.items)
        given = arguments.embeddings
        self.embedder: Any = "lexical" if given is None else Precomputed(texts, np.load(given))
        self.candidates = decontaminate(self.pool, self.items, self.embedder)
        self.item_texts = texts[len(rows) :]
        self.why_not: dict[str, str] = {}
        self._curated: dict[int, Any] = {}

    def rows(self, way: str, size: float, seed: int) -> list[int] | None:
        """The rows that a way chooses; None where it cannot, with the reason in `why_not`."""
        count = max(1, round(size * len(self.pool)))
        if way in self.VALUED:
            return self._by_value(way, count, seed)
        selector = self.SELECTORS[way]
        if "credits" in selector.needs and self.item_credits is None:
            self.why_not[way] = "the utility gives no credits per item"
            return None
        selection = select_rows(selector, self.signals, count, np.random.default_rng([seed, 3]))
        for note in selection.notes:
            print(f"{way}: {note}", flush=True)
        found: list[int] = self.candidates.rows[selection.places].tolist()
        return found

    def prepare(self, ways: list[str]) -> None:
        """Compute what the selectors among the ways look at, so that their seconds are those of choosing alone."""
        if any(way in self.SELECTORS for way in ways):
            _ = self.signals

    @cached_property
    def utility(self) -> TrainerUtility:
        """What measures the items to choose by."""
        return self.tuner("loss").bind(self.pool, self.items.examples, 0)

    @cached_property
    def item_credits(self) -> Any:
        """Credits per row and item; None where the utility has none."""
        per_item = getattr(self.utility, "credit_per_item", None)
        return None if per_item is None else _timed("credits per item", lambda: per_item(self.candidates.rows))

    @cached_property
    def signals(self) -> RowSignals:
        """What the ways that are asked for look at."""
        needs: set[str] = set()
        for way in self.arguments.ways:
            needs |= shed_hf.RowValues().wants if way == "row values" else set()
            needs |= self.SELECTORS[way].needs if way in self.SELECTORS else set()
        rows, encoder = self.candidates.rows, self.candidates.encoder
        of_model = "hidden_states" in needs
        tokens = self.utility.rows.read_tokens(rows)
        return RowSignals(
            rows=rows,
            embeddings=self.candidates.embeddings,
            item_embeddings=encode_texts(encoder, self.item_texts, np.arange(len(self.item_texts))),
            texts=self.pool.texts(rows),
            item_texts=self.item_texts,
            completion_lengths=np.array([of_row.n_learned for of_row in tokens], dtype=np.float64),
            features=_timed("features", lambda: self.utility.row_features(rows)) if "features" in needs else None,
            credits=self.item_credits if "credits" in needs else None,
            hidden_states=_timed("hidden states", lambda: self.utility.hidden_states(rows)) if of_model else None,
            item_hidden_states=self.utility.hidden_states_of(self.items.examples) if of_model else None,
        )

    def curated(self, seed: int) -> Any:
        """The pool with valued clusters."""
        if seed not in self._curated:
            arguments = self.arguments
            ledger = arguments.out and arguments.out.with_suffix(f".{seed}.ledger")
            self._curated[seed] = _timed(
                "curate",
                lambda: shed_hf.curate(
                    self.dataset,
                    0.1,
                    eval_dataset=Dataset.from_list(self.raw_items),
                    embedder=self.embedder,
                    clusterer=shed_hf.KMeans(arguments.clusters),
                    proxies_per_cluster=arguments.proxies,
                    utility=self.tuner("loss"),
                    budget=arguments.budget,
                    sampler="qocs",
                    seed=seed,
                    ledger=ledger,
                ),
            )
        return self._curated[seed]

    def _by_value(self, way: str, count: int, seed: int) -> list[int]:
        of = self.curated(seed)
        if way == "mean credit":
            best: list[int] = of.pool_rows[np.argsort(-of.valued.merit, kind="stable")[:count]].tolist()
            return best
        if way == "row values":
            return self._by_row_values(of, count, seed)
        sampler: Any = {"paper QOCS": shed_hf.QOCS(1.0), "paper QWCS": shed_hf.QWCS(by_size=False)}.get(
            way, shed_hf.QOCS()
        )
        valued = of.valued if way == "QOCS" else replace(of.valued, merit=None)
        recipe = {**of.recipe, "size": count}
        found: list[int] = choose_rows(valued, recipe, sampler, np.random.default_rng([seed, 4])).rows.tolist()
        return found

    def _by_row_values(self, of: Any, count: int, seed: int) -> list[int]:
        """Rows by what the curation's game says of their signals and clusters, nothing fine-tuned anew."""
        kept = self.utility.evaluation.kept
        game = played_from(
            list(of.ledger),
            of.pool_rows,
            of.valued.players,
            of.clustering.labels,
            of.estimate,
            kept_items=None if len(kept) == len(self.items.examples) else kept,
        )
        signals = replace(self.signals, outcomes=game)
        selection = select_rows(shed_hf.RowValues(), signals, count, np.random.default_rng([seed, 3]))
        weights = [] if selection.worth is None else selection.worth.weights
        print("row values:", ", ".join(f"{each.signal} {each.weight:.2f} ± {each.stderr:.2f}" for each in weights))
        for note in selection.notes:
            print(f"row values: {note}", flush=True)
        found: list[int] = self.candidates.rows[selection.places].tolist()
        return found


def _timed(what: str, work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    found = work()
    print(f"{what}: {time.perf_counter() - start:.1f} s", flush=True)
    return found
