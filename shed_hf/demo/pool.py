"""The demo's pool: instruction rows of nine topics from openly licensed sets, and the damage done to three of them."""

import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import TypeAlias

import numpy as np

Row: TypeAlias = dict[str, str]

BOILERPLATE = "I'm sorry, but I cannot help with that request at this time."


def rows(split: str) -> list[Row]:
    """The sound rows of a split: ``"pool"`` to choose from, ``"dev"`` to value on, ``"test"`` to judge by."""
    lines = files("shed_hf.demo").joinpath("pool.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["split"] == split]


def topics(of: Sequence[Row]) -> list[str]:
    """The topics, sorted."""
    return sorted({row["topic"] for row in of})


def damaged(sound: Sequence[Row], damages: Sequence[str], seed: int) -> list[Row]:
    """The rows with a random topic damaged for each of ``damages``; the column ``damage`` names it or is empty."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(topics(sound), size=len(damages), replace=False)
    kinds = dict(zip(chosen.tolist(), damages, strict=True))
    hurt = [place for place, row in enumerate(sound) if row["topic"] in kinds]
    shuffled = [sound[place]["output"] for place in np.roll(rng.permutation(hurt), 1)]
    answers = dict(zip(rng.permutation(hurt).tolist(), shuffled, strict=True))
    return [
        {
            **row,
            "output": _DAMAGES[kinds[row["topic"]]](row["output"], answers[place], rng),
            "damage": kinds[row["topic"]],
        }
        if row["topic"] in kinds
        else {**row, "damage": ""}
        for place, row in enumerate(sound)
    ]


def _words_shuffled(own: str, _other: str, rng: np.random.Generator) -> str:
    return " ".join(rng.permutation(own.split()).tolist())


_DAMAGES: dict[str, Callable[[str, str, np.random.Generator], str]] = {
    "answers shuffled": lambda _own, other, _rng: other,
    "words shuffled": _words_shuffled,
    "boilerplate": lambda _own, _other, _rng: BOILERPLATE,
}
