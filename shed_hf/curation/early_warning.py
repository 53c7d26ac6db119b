"""Warns after v(∅) and v(N), the first outcomes of every game, where tuning makes the model worse."""

import numpy as np

from shed_hf.estimators.base import spread_over_items
from shed_hf.game.game import Game
from shed_hf.game.utility import PlainUtility


def harm_note(game: Game) -> str:
    """Whether the model is worse after tuning on one sample of every cluster than before, and what to do then.

    Args:
        game: The game, whose v(∅) and v(N) were measured.

    Returns:
        A paragraph in words; empty where tuning helps, and for a callable, of whose empty set nothing is known.
    """
    if isinstance(game.utility, PlainUtility):
        return ""
    untuned, tuned = (game.entry(players).outcome for players in (np.arange(0), np.arange(game.n_players)))
    before, after = game.aggregate(np.stack([untuned, tuned])).tolist()
    if after >= before:
        return ""
    stderr = float(spread_over_items((tuned - untuned)[None], game)[0])
    surely = "" if before - after > 2 * stderr else ", which may be chance"
    return (
        f"the model is worse after tuning on one sample of every cluster than untuned: v(N) = {after:.4f}, v(∅) = "
        f"{before:.4f}, higher is better; {before - after:.4f} ± {stderr:.4f} lower over the evaluation items{surely}. "
        "Values would say which clusters do the least harm, not which help. Before the budget is spent: "
        f"{_lower_rate(game)}, and see that the rows are of the form and the kind that the evaluation items ask for. "
        "Ctrl-C stops here; what was measured is kept"
    )


def _lower_rate(game: Game) -> str:
    training = game.utility.describe().get("training")
    rate = training.get("learning_rate") if isinstance(training, dict) else None
    if not isinstance(rate, float) or rate <= 0:
        return "lower the learning rate"
    return f"lower the learning rate, which is {rate:g}, for example to {rate / 3:.1g}"
