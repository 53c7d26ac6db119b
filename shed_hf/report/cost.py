"""What a result cost, and what took no part in it, in plain words."""

from shed_hf.results.cost import before_in_words, choosing_in_words, cost_in_words
from shed_hf.results.curation import Curation
from shed_hf.results.history import KNOWN, REPEATED
from shed_hf.results.recipe import Recipe
from shed_hf.utils.console import duration, plural
from shed_hf.utils.text import excerpt

REASONS = {
    "invalid": "could not be read: empty, missing, not text, or refused by the chat template",
    "held out": "held out to evaluate on, and never trained on",
    "repeating evaluation items": "repeat evaluation items: equal but for case and blanks, or a cosine >= 0.95",
    KNOWN: "were added, and in the pool already",
    REPEATED: "were added, as others of the same content were in the same call",
    "without a vector": "the embedder knows nothing of their text",
}
"""Why rows take no part, as a recipe calls it and in words."""


def left_out_lines(recipe: Recipe) -> list[list[str]]:
    """How many rows took no part, and why.

    Args:
        recipe: The recipe of the curation.

    Returns:
        Pairs of a number of rows and a reason, or of "not read" and a file; none where every row took part.
    """
    rows = [[plural(n, "row"), REASONS.get(why, excerpt(why))] for why, n in recipe["left_out"].items() if n]
    return rows + [["not read", excerpt(each)] for each in recipe["source"].get("unread", [])]


def cost_lines(curated: Curation) -> list[list[str]]:
    """What the result cost.

    Args:
        curated: The result.

    Returns:
        Pairs of a name and an amount.
    """
    recipe, verdict = curated.recipe, curated.verdict
    bill = recipe["bill"]
    lines = [
        ["Choosing", choosing_in_words(recipe)],
        ["Of this in the last run", cost_in_words(recipe) if before_in_words(recipe) else ""],
        ["Tokens trained on", f"{bill['tokens']:,}"] if bill["tokens"] else ["", ""],
        ["On", excerpt(bill["device"])],
    ]
    if verdict is not None and verdict.cost is not None:
        cost = verdict.cost
        beside = "" if cost.ratio is None else f"{cost.ratio:.3g} times its {duration(cost.tuning_seconds)}"
        lines += [
            ["Beside one tuning on the kept rows", beside],
            ["Paid for after", _pays_after(cost.pays_after)],
            [
                "Verifying",
                f"{plural(cost.verifying_fine_tunings, excerpt(cost.verified_by))}, {duration(cost.verifying_seconds)}",
            ],
        ]
    return [line for line in lines if line[1]]


def _pays_after(tunings: int | None) -> str:
    if tunings is None:
        return "never: a tuning on all rows takes no longer, or its time is unknown"
    return f"{plural(tunings, 'tuning')} on the kept rows instead of on all"
