"""Rows of instruction data for tests, of four topics told apart by their words."""

import numpy as np

TOPICS = {
    "cooking": ["pan", "salt", "oven", "butter", "flour", "simmer", "recipe", "garlic"],
    "animals": ["dog", "cat", "fur", "tail", "paw", "feather", "burrow", "whiskers"],
    "sports": ["goal", "team", "ball", "match", "referee", "league", "sprint", "coach"],
    "music": ["chord", "guitar", "melody", "drum", "tempo", "choir", "violin", "verse"],
}


def make_rows(n: int, seed: int = 0) -> list[dict[str, str]]:
    """Rows of four topics in turn, told apart by their words; no two are equal."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        topic = list(TOPICS)[number % 4]
        words = rng.choice(TOPICS[topic], size=6)
        rows.append(
            {
                "instruction": f"Say something about {words[0]} and {words[1]}.",
                "output": f"The {words[2]} and the {words[3]} go with {words[4]} {words[5]} number {number}.",
                "topic": topic,
            }
        )
    return rows


def make_rows_of_many_lengths(n: int) -> list[dict[str, str]]:
    """The same, with outputs once to four times as long: no two rows of a batch need have as many tokens."""
    return [{**row, "output": row["output"] * (1 + number % 4)} for number, row in enumerate(make_rows(n))]
