"""Figure 3: accuracy on MMLU and ARC-challenge, and hours of choosing, by the number of clusters.

python examples/paper/figure_3.py --scale smoke --data DIR
"""

from common import MEASURED, Data, arguments, cells, compared, first_figure, write

import shed_hf

CLUSTERS = {"smoke": (3, 6, 12), "gpu": (8, 16, 32, 64), "paper": (1000, 2000, 3000, 4000, 5000)}


def main() -> None:
    """A game for every number of clusters, all else alike; a game of twice as many fine-tunings as clusters."""
    given = arguments(__doc__, clusters={"nargs": "+", "type": int, "help": "other numbers of clusters"})
    scale, pool = given.scale, Data(given.data, given.scale).mmlu_pool()
    numbers = given.clusters or CLUSTERS[given.name]
    games = {
        f"{number} clusters": {
            "sampler": shed_hf.QOCS(1.0),
            "clusterer": shed_hf.KMeans(number),
            "budget": 2 * number + 2 if scale.estimator == "least-squares" else None,
        }
        for number in numbers
    }
    size = min(scale.sizes[-2], len(pool) // 2)
    comparison = compared("figure 3", pool, given, methods=games, sizes=[size])
    rows = [
        {**cells(line), "fine-tunings": line.choosing_fine_tunings, "hours": line.choosing_seconds / 3600}
        for task in MEASURED
        for line in first_figure(comparison, task)
    ]
    write("Figure 3: clusters", given, rows, {"mmlu": comparison})


if __name__ == "__main__":
    main()
