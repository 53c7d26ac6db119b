"""What a card says: one function for each number and for each sentence with numbers in it."""

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators.no_game import NoGame
from shed_hf.estimators.significance import verdict_of
from shed_hf.finetuning.known_models import SHORT_NAMES
from shed_hf.game.coalitions import coalitions_of
from shed_hf.hub.card_race import race_choice
from shed_hf.hub.markdown import as_code, escaped, plain_name
from shed_hf.results.cost import before_in_words, choosing_in_words, cost_in_words
from shed_hf.results.history import KNOWN, REPEATED
from shed_hf.results.learned_signal_entry import order_in_words
from shed_hf.results.recipe import HubEntry, Recipe, StepsEntry
from shed_hf.results.summary import weights_in_words
from shed_hf.results.units import outcome_in_words
from shed_hf.sampling.given_rows import GivenRows
from shed_hf.sampling.registry import sampler_of
from shed_hf.sampling.selectors import RowSelector
from shed_hf.types import FloatVector
from shed_hf.utils.console import plural

if TYPE_CHECKING:
    from shed_hf.results.curation import Curation


def kept_share(curated: "Curation") -> FloatVector:
    """The share of each cluster's rows that were kept; noise is left out.

    Args:
        curated: The result.

    Returns:
        ``(c,)`` numbers in [0, 1], by cluster.
    """
    sizes, selected = (np.array(curated.clusters[name], dtype=np.float64) for name in ("size", "selected"))
    share: FloatVector = (selected / sizes)[: curated.clustering.n_clusters]
    return share


def n_items(curated: "Curation") -> int:
    """The number of evaluation items in each outcome.

    Args:
        curated: The result.

    Returns:
        The length of an outcome; 0 where nothing was measured.
    """
    return next((len(entry.outcome) for entry in curated.ledger), 0)


def chance(curated: "Curation") -> str:
    """The p-value of the permutation test, in words.

    Args:
        curated: The result.

    Returns:
        Such as ``p = 0.012``, or ``unknown``.
    """
    p_value = curated.estimate.p_value
    return "unknown" if np.isnan(p_value) else f"p = {p_value:.3f}"


def order_noise(curated: "Curation") -> str:
    """How far v(N) varies with the order of training, in words.

    Args:
        curated: The result.

    Returns:
        A standard deviation in the units of the utility, or ``not measured``.
    """
    floor = curated.estimate.noise_floor
    return "not measured" if np.isnan(floor) else f"{floor:.4f}"


def noise_floor(curated: "Curation") -> float:
    """The standard error of v(N) − v(∅) over the evaluation items.

    Differences between coalitions that are not well above it may come from the choice of items.

    Args:
        curated: The result.

    Returns:
        A number in the units of the utility; NaN where the ledger lacks one of the two coalitions, or has one item.
    """
    coalitions, outcomes = coalitions_of(curated.ledger, curated.valued.players.rows)
    empty, grand = outcomes[~coalitions.any(axis=1)], outcomes[coalitions.all(axis=1)]
    if not len(empty) or not len(grand) or outcomes.shape[1] < 2:
        return float("nan")
    difference = grand[0] - empty[0]
    return float(difference.std(ddof=1) / np.sqrt(len(difference)))


def verdict(curated: "Curation") -> str:
    """Whether the ranking of the clusters is reliable, in words.

    Args:
        curated: The result.

    Returns:
        One or two sentences of Markdown, the answer in bold.
    """
    if not curated.estimate.played:
        return "**There is none.** No game was played: clusters were not valued."
    found = verdict_of(curated.estimate)
    notes = "".join(f" {note[0].upper()}{note[1:]}." for note in found.notes)
    if found.equal:
        many = len(curated.estimate.values) > 1
        what = "all clusters are worth the same, so the choice among them is arbitrary" if many else "only one cluster"
        return f"**There is none**: {what if many else f'{what} was valued'}."
    if found.noise:
        rows = ", and the rows are not to be trusted to be better than random ones"
        trust = rows if by_clusters(curated.recipe) else ""
        return f"**No.** The values can't be told from noise ({found.failed}){trust}.{notes}"
    if found.no_help:
        return f"**Of no use.** Choosing by worth would not help: {found.failed}; {found.advice}.{notes}"
    if found.unknown:
        why = f"{found.unknown[0].upper()}{found.unknown[1:]}"
        return f"**Unknown.** {why} whether the ranking is more than noise; {found.advice}.{notes}"
    if np.isnan(found.reliability):
        again = "how much of it would come out again was not measured"
        return f"**It is more than chance** ({found.figures}); {again}.{notes}"
    if found.reliability < 0.8:
        some = f"Two halves of the measurements agree to {found.reliability:.2f} of 1 (reliability)"
        return f"**In part.** {some}: some of the ranking would come out otherwise.{notes}"
    again = f"two halves of the measurements agree to {found.reliability:.2f} of 1 (reliability)"
    return f"**It would come out much the same again**: {again}.{notes}"


def ranked_lines(curated: "Curation", n: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines of the clusters of most value and of least.

    Args:
        curated: The result.
        n: How many of each at most.

    Returns:
        The best lines and the worst lines, both in descending order of value; no cluster is in both.
    """
    valued = [dict(line) for line in curated.clusters if line["value"] is not None]
    ranked = sorted(valued, key=lambda line: -line["value"])
    return ranked[:n], ranked[max(n, len(ranked) - n) :]


def source_in_words(recipe: Recipe) -> str:
    """Where the rows came from, with a link to the very commit where it is on the Hub.

    Args:
        recipe: The recipe of the curation.

    Returns:
        A phrase of Markdown.
    """
    source = recipe["source"]
    hub = source["hub"]
    if hub is None:
        return "a dataset that is not named" if not source["name"] else as_code(source["name"])
    changed = "" if hub["untouched"] else ", changed before it was curated"
    part = f"configuration {as_code(hub['config'])}, split {as_code(hub['split'])}"
    return f"{_link(hub)} ({part}, revision {as_code(hub['revision'][:8])}{changed})"


def _link(hub: HubEntry) -> str:
    """A dataset on the Hub at a commit; only the name where the two can't be an address."""
    repo, revision = hub["repo"], hub["revision"]
    if not all(re.fullmatch(r"\w[\w./-]*", part, re.ASCII) for part in (repo, revision)):
        return as_code(repo)
    return f"[{repo}](https://huggingface.co/datasets/{repo}/tree/{revision})"


def worth_in_words(recipe: Recipe) -> str:
    """What the values are values for: the model that was fine-tuned, or the curator's own utility.

    Args:
        recipe: The recipe of the curation.

    Returns:
        A phrase of Markdown.
    """
    tuner = recipe["tuner"]
    if tuner is None:
        return "by a measure of the curator's own"
    name = tuner["model"] or "a model without a name"
    shipped = ", which comes with shed_hf" if name in SHORT_NAMES else ""
    return f"for fine-tuning {as_code(name.removeprefix('./'))}{shipped}"


def choice_in_words(recipe: Recipe) -> str:
    """How rows were chosen: by the values of clusters, or one by one, with the paper.

    Args:
        recipe: The recipe of the curation.

    Returns:
        The beginning of a phrase of Markdown that `worth_in_words` goes on with.
    """
    values = "what clusters of them are worth"
    if "race" in recipe and recipe["race"]["is_current"]:
        return f"{race_choice(recipe['race'])}; the page also says {values}"
    if recipe["sampler"]["name"] == GivenRows.__name__:
        return f"the curator, row by row; the page also says {values}"
    try:
        sampler = sampler_of(recipe["sampler"])
    except InputError:  # the curator's own
        return values
    if recipe["estimator"]["name"] == NoGame.__name__:
        return sampler.paper if isinstance(sampler, RowSelector) else "chance"
    if not isinstance(sampler, RowSelector):
        order = recipe.get("learned_merit")
        return values if order is None else f"{values} ({escaped(order_in_words(order))})"
    notes = "".join(f" ({escaped(note)})" for note in recipe.get("selection_notes", []))
    entry = recipe.get("row_values")
    if entry is not None and entry["weights"] and entry["selector"] == recipe["sampler"]:
        weights = escaped(weights_in_words(entry))
        return f"{sampler.paper} ({weights}){notes}; the page also says {values}"
    return f"{sampler.paper}{notes}, not by the values of clusters; the page also says {values}"


def by_clusters(recipe: Recipe) -> bool:
    """Whether the values of clusters decided which rows were kept.

    Args:
        recipe: The recipe of the curation.

    Returns:
        False where rows were chosen one by one.
    """
    return choice_in_words(recipe) == "what clusters of them are worth"


def estimator_name(recipe: Recipe) -> str:
    """The estimator behind the values: the one that measured, or one that used its outcomes later.

    Args:
        recipe: The recipe of the curation.

    Returns:
        The name of its class.
    """
    return str((recipe["reestimate"] or recipe)["estimator"]["name"])


def utility_in_words(recipe: Recipe) -> str:
    """What an outcome is.

    Args:
        recipe: The recipe of the curation.

    Returns:
        A phrase of Markdown.
    """
    utility = recipe["utility"]
    shown = utility.get("objective") or utility.get("utility", "a callable")
    said, code = outcome_in_words(utility), as_code(str(shown))
    return f"{f'{said} ({code})' if said else code}, the mean over the evaluation items"


def evaluation_in_words(recipe: Recipe) -> str:
    """What the models were evaluated on.

    Args:
        recipe: The recipe of the curation.

    Returns:
        A phrase of Markdown.
    """
    evaluation = recipe["evaluation"]
    if evaluation is None:
        return "items of the measure's own"
    items = plural(evaluation["items"], "item")
    if evaluation["held_out"]:
        return f"{items} held out of the same dataset, of which none was kept"
    hub = evaluation["hub"]
    if hub is None:
        return f"{items} of a dataset that is not named"
    return f"{items} of {_link(hub)}"


def left_out_in_words(recipe: Recipe) -> str:
    """How many rows took no part, and why.

    Args:
        recipe: The recipe of the curation.

    Returns:
        One or two sentences.
    """
    reasons = {
        "invalid": "{} could not be read (empty, missing, not text, or refused by the chat template)",
        "held out": "{} held out to evaluate on",
        "repeating evaluation items": "{} left out because they repeat evaluation items (equal but for case and "
        "blanks, or a cosine of at least 0.95)",
        KNOWN: "{} of those added left out because the pool had them already",
        REPEATED: "{} of those added left out because others added with them have the same content",
        "without a vector": "{} left out because the embedder knows nothing of their text (a vector of zeros)",
    }
    left_out = {why: plural(n, "row") for why, n in recipe["left_out"].items() if n}
    parts = [reasons[why].format(n) if why in reasons else f"{n}: {escaped(why)}" for why, n in left_out.items()]
    unread = recipe["source"].get("unread", []) if "source" in recipe else []
    parts += [f"not read at all: {escaped(each)}" for each in unread]
    cut = recipe["utility"].get("training", {}).get("max_length")
    length = f" Rows are cut at {cut:,} tokens for training; none is dropped for its length." if cut else ""
    return ("; ".join(parts) or "Every row took part") + "." + length


def bill_in_words(recipe: Recipe) -> str:
    """Fine-tunings, tokens, time and device, and how steps were gone through.

    Args:
        recipe: The recipe of the curation.

    Returns:
        A sentence or two.
    """
    bill = recipe["bill"]
    tokens = f"; {bill['tokens']:,} tokens trained on" if bill["tokens"] else ""
    took = f"Choosing took {choosing_in_words(recipe)}, on {plain_name(bill['device'])}{tokens}."
    if before_in_words(recipe):
        took += f" Of this the last run took {cost_in_words(recipe)}."
    return took if "steps" not in bill else f"{took} {_steps_in_words(bill['steps'])}"


def _steps_in_words(steps: StepsEntry) -> str:
    precision, padding, as_given = plain_name(steps["precision"]), steps["padding"], steps["padding_as_given"]
    if padding is None or as_given is None:
        return f"Steps in {precision}."
    how = f"rows grouped by length, {padding:.0%} of padding instead of {as_given:.0%}"
    return f"Steps in {precision}; {how if steps['grouped_by_length'] else f'{padding:.0%} of padding'}."
