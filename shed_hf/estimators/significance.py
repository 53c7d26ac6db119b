"""Whether the ranking of the values is more than noise, and whether training on anything helps at all: one verdict."""

from dataclasses import dataclass

import numpy as np

from shed_hf.estimators.base import ValueEstimate

UNRELIABLE = 0.5
"""Below this reliability less than half of the values' variance is signal."""


CHANCE = 0.05
"""Above this p-value a ranking is no better than one that chance makes of players who are all alike."""


LEAST_CLUSTERS = 4
"""Of three players who are all alike chance makes one ranking in six as clear as can be, of two every one."""


IN_RUN = "in-run"


UNKNOWN = "too little was measured to say"


LEAST_CHECKED = 32
"""The least budget that pays for a check on halves of the rows."""


REMEDY = (
    "use more evaluation items, fewer clusters, more proxies_per_cluster, a higher learning rate or a larger budget "
    "before trusting the ranking"
)

UNMOVED_REMEDY = (
    'where training moves no outcome, use another objective, such as objective="loss", other evaluation items or a '
    "higher learning rate rather than more measurements"
)

NO_HELP_REMEDY = (
    "use a lower learning rate, other rows, or evaluation items that the rows can help with before choosing by the "
    "values"
)


@dataclass(frozen=True)
class RankingVerdict:
    """What can be said of an estimate's ranking. Everything that tells of it tells this.

    Attributes:
        equal: Why there is no ranking at all, in words; empty where there is one.
        noise: The checks against noise that the ranking fails, in words.
        no_help: Why choosing by the values would not help, in words.
        unknown: Why the ranking could not be judged, in words; empty where it could.
        notes: What else is to be known of the standard errors.
        advice: What to do about a ranking that does not pass; empty where it does.
        reliability: The reliability of the values; NaN where unknown.
        figures: The figures behind the verdict, in words; empty where there are none.
        short_figures: The figures that it rests on, in a few words; empty where there are none.
        unchecked: What the notes say was not measured, in a few words each.
    """

    equal: str
    noise: tuple[str, ...]
    no_help: tuple[str, ...]
    unknown: str
    notes: tuple[str, ...]
    advice: str
    reliability: float
    figures: str
    short_figures: str = ""
    unchecked: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether the ranking is shown to be more than noise, of values of which some help."""
        return not (self.failed or self.unknown)

    @property
    def failed(self) -> str:
        """The checks that fail, in words; empty where none does."""
        return " and ".join(filter(None, (self.equal, *self.noise, *self.no_help)))

    @property
    def claim(self) -> str:
        """What is wrong with values that do not pass, in words."""
        only_no_help = self.no_help and not (self.noise or self.equal)
        return "choosing by the values would not help" if only_no_help else "the values cannot be told from noise"

    @property
    def in_brief(self) -> str:
        """The verdict for a summary: an answer, the two figures that it rests on, and what was not checked."""
        behind = "; ".join(filter(None, (self.short_figures, *self.unchecked)))
        return self._answer + (f" ({behind})" if behind and not self.equal else "")

    @property
    def _answer(self) -> str:
        if self.equal:
            return f"none: {self.equal}"
        if self.noise:
            return "NOT to be told from noise"
        if self.no_help:
            return f"NOT of use: {' and '.join(self.no_help)}"
        return f"unknown: {self.unknown}" if self.unknown else "more than chance"


def verdict_of(estimate: ValueEstimate) -> RankingVerdict:
    """The verdict on an estimate.

    To pass, values must differ, be reliable (`ValueEstimate.reliability` of at least 0.5) and spread further than those
    of players who are all alike (p-value of at most 0.05), and coalitions that were measured again must agree better
    than different ones. Where halves of the rows were measured and there are four clusters or more, values must also
    spread further than those of like clusters that send other rows. What is unknown (NaN) does not count as a failure,
    but the p-value must be known, and the coalitions must not have shared their training orders. Where v(∅) is the
    model before training, training on everything must not make it worse by more than the standard error, and the best
    value must exceed its own.

    Args:
        estimate: The estimate to judge.

    Returns:
        The verdict.
    """
    if not estimate.played:
        return RankingVerdict(
            equal="",
            noise=(),
            no_help=(),
            unknown="no game was played, so nothing says",
            notes=(),
            advice='pass estimator="least-squares" to play one',
            reliability=float("nan"),
            figures="",
        )
    equal = _no_ranking(estimate)
    noise, no_help, unknown = tuple(_noise(estimate)), tuple(_no_help(estimate)), _unknown(estimate)
    return RankingVerdict(
        equal=equal,
        noise=() if equal else noise,
        no_help=no_help,
        unknown=unknown,
        notes=tuple(_notes(estimate)),
        advice=_advice(estimate, bool(equal or noise), bool(no_help), unknown),
        reliability=estimate.reliability,
        figures=_figures(estimate),
        short_figures=_short_figures(estimate),
        unchecked=tuple(_unchecked(estimate)),
    )


def _no_ranking(estimate: ValueEstimate) -> str:
    if len(estimate.values) < 2:
        return "there is only one value"
    if not np.ptp(estimate.values):
        return f"all {len(estimate.values)} clusters have the same value {estimate.values[0]:.4g}"
    return ""


def _noise(estimate: ValueEstimate) -> list[str]:
    found = []
    if estimate.reliability < UNRELIABLE:
        found.append(
            f"halves of the measurements agree to {_beside(estimate.reliability, UNRELIABLE)} of 1 (reliability), "
            f"below {UNRELIABLE}"
        )
    if estimate.p_value > CHANCE:
        found.append(
            "clusters of equal worth would be ranked as clearly by chance with p = "
            f"{_beside(estimate.p_value, CHANCE)}, above {CHANCE}"
        )
    if len(estimate.values) >= LEAST_CLUSTERS and estimate.row_p_value > CHANCE:
        found.append(
            "rows dealt to the clusters by chance would be ranked as clearly with p = "
            f"{_beside(estimate.row_p_value, CHANCE)}, above {CHANCE}"
        )
    if estimate.agreement <= 0:
        found.append(
            "the same clusters measured again in another training order agree no better than different ones "
            f"({estimate.agreement:.2f} <= 0)"
        )
    return found


def harm_of(estimate: ValueEstimate) -> str:
    """Whether training on all players makes the model worse, by more than the standard error.

    Args:
        estimate: The estimate to judge.

    Returns:
        That it does, in words; empty where it does not, and where v(∅) is not the model before training.
    """
    gain, error = estimate.v_grand - estimate.v_empty, float(np.nan_to_num(estimate.gain_stderr))
    if not estimate.starts_untrained or not gain < -error:
        return ""
    return (
        f"tuned on a sample of every cluster the model is worse than untuned, by {-gain:.4f} ± {error:.4f} "
        "(v(∅) − v(N))"
    )


def is_unmoved(estimate: ValueEstimate) -> bool:
    """Whether all that was trained on left the outcome as it was, but for the rounding of sums.

    Args:
        estimate: The estimate to judge.
    """
    rounding = 1e-12 * max(1.0, abs(estimate.v_empty))
    moved = np.abs([*estimate.values, estimate.v_grand - estimate.v_empty])
    return estimate.played and bool((moved <= rounding).all())


def _no_help(estimate: ValueEstimate) -> list[str]:
    if not estimate.starts_untrained or not len(estimate.values):
        return []
    best = int(np.argmax(estimate.values))
    value, of_value = float(estimate.values[best]), float(estimate.stderr[best])
    found = list(filter(None, [harm_of(estimate)]))
    if value <= of_value:
        found.append(f"the best cluster's worth, {value:+.4f} ± {of_value:.4f}, is within its standard error of 0")
    elif value <= 0:
        found.append(f"the best cluster's worth, {value:+.4f}, is not above 0")
    return found


def _unknown(estimate: ValueEstimate) -> str:
    if np.isnan(estimate.p_value):
        if len(estimate.values) < LEAST_CLUSTERS:
            return f"fewer than {LEAST_CLUSTERS} clusters make too few combinations to say"
        return "a single run with credits is too little to say" if estimate.semivalue == IN_RUN else UNKNOWN
    if estimate.shared_orders and estimate.noise_floor != 0:
        orders = "one training order" if estimate.shared_orders == 1 else f"{estimate.shared_orders} training orders"
        return f"all outcomes share {orders}, and luck that they share cannot be told from worth, so nothing says"
    return ""


def _lacks_orders(estimate: ValueEstimate) -> bool:
    return bool(np.isnan(estimate.noise_floor)) and estimate.semivalue != IN_RUN


def _lacks_other_rows(estimate: ValueEstimate) -> bool:
    return not estimate.row_pairs and estimate.semivalue != IN_RUN


def _unchecked(estimate: ValueEstimate) -> list[str]:
    found = ["not checked in other training orders"] if _lacks_orders(estimate) else []
    return [*found, "not checked on other rows of the clusters"] if _lacks_other_rows(estimate) else found


def _notes(estimate: ValueEstimate) -> list[str]:
    found = []
    if _lacks_orders(estimate):
        found.append(
            "nothing was measured in another training order, so how far chance moves an outcome is known only from "
            "what the clusters' worth does not explain"
        )
    if _lacks_other_rows(estimate):
        found.append(
            "whether other rows of the same clusters would be ranked alike was not measured: that takes samples of two "
            f"rows (proxies_per_cluster) and a budget of at least {LEAST_CHECKED}"
        )
    if not estimate.starts_untrained and estimate.v_grand < estimate.v_empty:
        found.append(
            "the outcome of a sample of every cluster is below that of no rows (v(N) < v(∅)): if the latter is that of "
            "the untuned model, training makes it worse"
        )
    return found


def _advice(estimate: ValueEstimate, is_noise: bool, is_no_help: bool, unknown: str) -> str:
    if not (is_noise or is_no_help or unknown):
        return ""
    if is_unmoved(estimate):
        return UNMOVED_REMEDY
    if len(estimate.values) < LEAST_CLUSTERS:
        return f"cluster the rows into at least {LEAST_CLUSTERS} before trusting the ranking"
    if is_noise:
        return REMEDY
    if is_no_help:
        return NO_HELP_REMEDY
    if estimate.shared_orders and not np.isnan(estimate.p_value):
        return "measure the clusters anew before trusting the ranking"
    enough = 'estimator="least-squares"' if estimate.semivalue == IN_RUN else "a larger budget"
    return f"use {enough} before trusting the ranking"


def _figures(estimate: ValueEstimate) -> str:
    known = {
        "halves of the measurements agree to {:.2g} of 1 (reliability)": estimate.reliability,
        "chance ranks as clearly with p = {:.2g}": estimate.p_value,
        "rows dealt by chance with p = {:.2g}": estimate.row_p_value,
        "one measurement is off by about {:.2g} (noise floor)": estimate.noise_floor,
    }
    return ", ".join(words.format(figure) for words, figure in known.items() if not np.isnan(figure))


def _short_figures(estimate: ValueEstimate) -> str:
    """The figures in a few words, those that fail with the bound that they miss."""
    low = f", below {UNRELIABLE}" if estimate.reliability < UNRELIABLE else ""
    known = {
        f"reliability {{:.2g}} of 1{low}": estimate.reliability,
        f"p = {{:.2g}} by chance{_too_high(estimate.p_value)}": estimate.p_value,
        f"p = {{:.2g}} with rows dealt by chance{_too_high(estimate.row_p_value)}": estimate.row_p_value,
        "measured again they agree to {:.2g} of 1": estimate.agreement if estimate.agreement <= 0 else np.nan,
    }
    return "; ".join(words.format(figure) for words, figure in known.items() if not np.isnan(figure))


def _too_high(p_value: float) -> str:
    return f", above {CHANCE}" if p_value > CHANCE else ""


def _beside(number: float, bound: float) -> str:
    """The number with two digits behind the point, or as many as tell it from the ``bound``."""
    digits = next((n for n in range(2, 17) if round(number, n) != bound), None)
    return repr(float(number)) if digits is None else f"{round(number, digits) + 0.0:.{digits}f}"  # never -0.00
