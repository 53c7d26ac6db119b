"""What a card says, one function for each number and each sentence with numbers in it."""

from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.estimators.significance import UNKNOWN, failed_checks, suggestion, untested_reason
from shed_hf.game.coalitions import coalitions_of
from shed_hf.hub.markdown import as_code
from shed_hf.results.recipe import Recipe
from shed_hf.types import FloatVector
from shed_hf.utils.console import duration, plural

if TYPE_CHECKING:
    from shed_hf.results.curation import Curation


def kept_share(curated: "Curation") -> FloatVector:
    """The share of each cluster's rows that were kept ``(c,)``, noise left out."""
    sizes, selected = (np.array(curated.clusters[name], dtype=np.float64) for name in ("size", "selected"))
    share: FloatVector = (selected / sizes)[: curated.clustering.n_clusters]
    return share


def n_items(curated: "Curation") -> int:
    """How many evaluation items every outcome has."""
    return next((len(entry.outcome) for entry in curated.ledger), 0)


def chance(curated: "Curation") -> str:
    """How often chance would have spread the values as far."""
    p_value = curated.estimate.p_value
    return "unknown" if np.isnan(p_value) else f"p = {p_value:.3f}"


def order_noise(curated: "Curation") -> str:
    """How far v(N) varies with the order of training."""
    floor = curated.estimate.noise_floor
    return "not measured" if np.isnan(floor) else f"{floor:.4f}"


def noise_floor(curated: "Curation") -> float:
    """The standard error of v(N) − v(∅) over the evaluation items, in the units of the utility; NaN where the ledger
    has not both, or one item.

    Differences between coalitions that are not well above it may be the items' doing.
    """
    coalitions, outcomes = coalitions_of(curated.ledger, curated.valued.players.rows)
    empty, grand = outcomes[~coalitions.any(axis=1)], outcomes[coalitions.all(axis=1)]
    if not len(empty) or not len(grand) or outcomes.shape[1] < 2:
        return float("nan")
    difference = grand[0] - empty[0]
    return float(difference.std(ddof=1) / np.sqrt(len(difference)))


def verdict(curated: "Curation") -> str:
    """Whether the ranking holds, in words, by its reliability."""
    reliability = curated.estimate.reliability
    if len(curated.estimate.values) < 2:
        return "**There is none**: only one cluster has a value."
    if not np.ptp(curated.estimate.values):
        return "**There is none**: all clusters have the same value, so the choice among them is arbitrary."
    if estimator_name(curated.recipe) == "Exact":
        return "**Nothing was left to chance**: every coalition was measured; the noise of the measurement is below."
    why = untested_reason(curated.estimate)
    if why is not None and why != UNKNOWN:
        what = suggestion(curated.estimate)
        return f"**Unknown.** {why[0].upper()}{why[1:]} whether the values are more than noise; {what}."
    if np.isnan(reliability):
        return (
            "**Unknown.** There is only one replicate of the values, so nothing says whether they would come out alike."
        )
    problem = failed_checks(curated.estimate)
    if problem:
        return (
            f"**No.** The values can't be told from noise ({problem}), and the rows are not to be trusted to be better "
            "than random ones."
        )
    if reliability < 0.8:
        return f"**In part.** With a reliability of {reliability:.2f} some of the ranking would come out otherwise."
    return f"**It would come out much the same again**: its reliability is {reliability:.2f}."


def ranked_lines(curated: "Curation", n: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines of the ``n`` clusters of most value and of the ``n`` of least, best first; none is in both."""
    valued = [dict(line) for line in curated.clusters if line["value"] is not None]
    ranked = sorted(valued, key=lambda line: -line["value"])
    return ranked[:n], ranked[max(n, len(ranked) - n) :]


def signed(value: float | None, stderr: float | None) -> str:
    """``+0.0123 ± 0.0040``."""
    if value is None:
        return "none"
    return f"{value:+.4f}" + ("" if stderr is None else f" ± {stderr:.4f}")


def size_category(n: int) -> str:
    """The Hub's word for that many rows: ``1K<n<10K``."""
    names = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
    lower = None
    for power, name in enumerate(names, start=3):
        if n < 10**power:
            return f"n<{name}" if lower is None else f"{lower}<n<{name}"
        lower = name
    return "n>1T"


def source_in_words(recipe: Recipe) -> str:
    """Where the rows came from, with a link to the very commit where it is on the Hub."""
    source = recipe["source"]
    hub = source["hub"]
    if hub is None:
        return "a dataset that is not named" if not source["name"] else as_code(source["name"])
    repo, revision = hub["repo"], hub["revision"]
    changed = "" if hub["untouched"] else ", changed before it was curated"
    place = f"[{repo}](https://huggingface.co/datasets/{repo}/tree/{revision})"
    part = f"configuration {as_code(hub['config'])}, split {as_code(hub['split'])}"
    return f"{place} ({part}, revision `{revision[:8]}`{changed})"


def worth_in_words(recipe: Recipe) -> str:
    """What the rows are worth something for: the model that was fine-tuned, or a utility of the curator's."""
    tuner = recipe["tuner"]
    if tuner is None:
        return "by a utility of the curator's own"
    return f"for fine-tuning {as_code((tuner['model'] or 'a model without a name').removeprefix('./'))}"


def estimator_name(recipe: Recipe) -> str:
    """The estimator behind the values: the one that measured, or one that used its outcomes later."""
    return str((recipe["reestimate"] or recipe)["estimator"]["name"])


def utility_in_words(recipe: Recipe) -> str:
    """What an outcome is."""
    utility = recipe["utility"]
    shown = utility.get("objective") or utility.get("utility", "a callable")
    return f"{as_code(str(shown))}, the mean over the evaluation items"


def evaluation_in_words(recipe: Recipe) -> str:
    """What the models were evaluated on."""
    evaluation = recipe["evaluation"]
    if evaluation is None:
        return "items of the utility's own"
    items = plural(evaluation["items"], "item")
    if evaluation["held_out"]:
        return f"{items} held out of the same dataset, of which none was kept"
    hub = evaluation["hub"]
    if hub is None:
        return f"{items} of a dataset that is not named"
    return f"{items} of [{hub['repo']}](https://huggingface.co/datasets/{hub['repo']}/tree/{hub['revision']})"


def left_out_in_words(recipe: Recipe) -> str:
    """How many rows took no part, and why."""
    reasons = {
        "invalid": "{} could not be read (empty, missing or not text)",
        "held out": "{} held out to evaluate on",
        "repeating evaluation items": "{} left out because they repeat evaluation items (equal but for case and "
        "blanks, or a cosine of at least 0.95)",
    }
    told = [reasons[why].format(plural(n, "row")) for why, n in recipe["left_out"].items() if n]
    cut = recipe["utility"].get("training", {}).get("max_length")
    length = f" Rows are cut at {cut:,} tokens for training; none is dropped for its length." if cut else ""
    return ("; ".join(told) or "Every row took part") + "." + length


def bill_in_words(recipe: Recipe) -> str:
    """Fine-tunings, tokens, time and device."""
    bill = recipe["bill"]
    tokens = f", {bill['tokens']:,} tokens trained on" if bill["tokens"] else ""
    took = duration(bill["measuring_seconds"])
    return f"{plural(bill['all_fine_tunings'], 'fine-tuning')}{tokens}, {took} of measuring on {bill['device']}."
