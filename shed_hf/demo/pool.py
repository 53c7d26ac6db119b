"""The demo's pool: instruction rows of nine topics from openly licensed sets, and the damage done to some of them."""

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import TypeAlias

import numpy as np

Row: TypeAlias = dict[str, str]


BOILERPLATE = "I'm sorry, but I cannot help with that request at this time."


def rows(split: str) -> list[Row]:
    """The undamaged rows of a split.

    Args:
        split: ``"pool"`` to choose from, ``"dev"`` to value on, or ``"test"`` for the comparison at the end.

    Returns:
        Rows with instruction, input, output, topic and licence.
    """
    lines = files("shed_hf.demo").joinpath("pool.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["split"] == split]


def as_json(of: Sequence[Row]) -> list[Row]:
    """The rows with answers that are JSON objects: a form that the demo's models have to learn.

    Args:
        of: Rows of `rows`.

    Returns:
        The same rows; each output is an object of the topic and the answer.
    """
    return [{**row, "output": json.dumps({"topic": row["topic"], "reply": row["output"]})} for row in of]


def topics(of: Sequence[Row]) -> list[str]:
    """The topics of rows.

    Args:
        of: The rows.

    Returns:
        Each topic once, sorted.
    """
    return sorted({row["topic"] for row in of})


def spread(of: Sequence[Row], count: int) -> list[Row]:
    """Rows taken in turn from the topics.

    Args:
        of: The rows.
        count: How many to take.

    Returns:
        ``count`` rows, or all there are.
    """
    places: dict[str, int] = {}
    turns = []
    for row in of:
        places[row["topic"]] = places.get(row["topic"], 0) + 1
        turns.append(places[row["topic"]])
    return [of[place] for place in np.argsort(turns, kind="stable")[:count]]


def damaged(sound: Sequence[Row], damages: Sequence[str], seed: int) -> list[Row]:
    """The rows with some random topics damaged.

    Args:
        sound: Undamaged rows.
        damages: The kinds of damage, one for each topic that is drawn.
        seed: The seed of the draw.

    Returns:
        All rows; the column ``damage`` names the damage or is empty.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.choice(topics(sound), size=len(damages), replace=False)
    return damage(sound, dict(zip(chosen.tolist(), damages, strict=True)), rng)


def damage(sound: Sequence[Row], kinds: Mapping[str, str], rng: np.random.Generator) -> list[Row]:
    """The rows with every row of certain topics damaged.

    Args:
        sound: Undamaged rows.
        kinds: The kind of damage by topic.
        rng: The generator to draw from.

    Returns:
        All rows with a column ``damage``; shuffled answers come from other damaged topics.
    """
    hurt = [place for place, row in enumerate(sound) if row["topic"] in kinds]
    answers = {place: sound[_elsewhere(place, hurt, sound, rng)]["output"] for place in hurt}
    return [
        {**row, "output": _DAMAGES[kind](row["output"], answers[place], rng), "damage": kind}
        if (kind := kinds.get(row["topic"], ""))
        else {**row, "damage": ""}
        for place, row in enumerate(sound)
    ]


def _elsewhere(place: int, hurt: Sequence[int], sound: Sequence[Row], rng: np.random.Generator) -> int:
    others = [other for other in hurt if sound[other]["topic"] != sound[place]["topic"]]
    return int(rng.choice(others or hurt))


def _words_shuffled(own: str, _other: str, rng: np.random.Generator) -> str:
    return " ".join(rng.permutation(own.split()).tolist())


_DAMAGES: dict[str, Callable[[str, str, np.random.Generator], str]] = {
    "answers shuffled": lambda _own, other, _rng: other,
    "words shuffled": _words_shuffled,
    "boilerplate": lambda _own, _other, _rng: BOILERPLATE,
    "capitals": lambda own, _other, _rng: own.upper(),
    "plain text": lambda own, _other, _rng: str(json.loads(own)["reply"]),
}
