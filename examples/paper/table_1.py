"""Table 1: two sets together are not worth the sum of what each is worth.

Rows chosen by DSIR, random rows, and half of each, in equal number, measured on MMLU. Where sets added up, the mix
would gain over no tuning what its two halves gain.

    python examples/paper/table_1.py --scale smoke --data DIR
"""

from dataclasses import dataclass

import numpy as np
from common import Data, arguments, cells, compared, first_figure, write

import shed_hf
from shed_hf.sampling.selectors import Need, RowSignals, Selection

MIX = "half DSIR, half random"


@dataclass(frozen=True)
class HalfRandom:
    """Half of the rows by DSIR, the others at random among the rest."""

    @property
    def needs(self) -> frozenset[Need]:
        """What DSIR reads."""
        return shed_hf.DSIR().needs

    @property
    def paper(self) -> str:
        """What a card would say."""
        return "half of the rows by DSIR, half at random"

    def wanted(self, available: int) -> None:
        """As many as are asked for."""

    def select(self, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection:
        """DSIR's rows first."""
        chosen = shed_hf.DSIR().select(signals, size - size // 2, rng).places
        rest = np.setdiff1d(np.arange(len(signals)), chosen)
        return Selection(np.concatenate([chosen, rng.choice(rest, size // 2, replace=False)]))


def main() -> None:
    """Compare at the largest size and at half of it."""
    given = arguments(__doc__)
    data = Data(given.data, given.scale)
    pool = data.mmlu_pool()
    size = min(given.scale.sizes[-2], len(pool) // 2) // 2 * 2
    methods = {"DSIR": "dsir", "random": "random", MIX: HalfRandom()}
    table = compared("table 1", pool, given, sizes=[size // 2, size], methods=methods)
    lines = first_figure(table, "mmlu")
    mean = {(line.method, line.size): line.mean for line in lines}
    untuned = mean["untuned", size]
    halves = mean["DSIR", size // 2] + mean["random", size // 2] - untuned
    sum_of_halves = dict.fromkeys(cells(lines[0])) | {"method": "no tuning + gains of both halves", "rows": size}
    rows = [*map(cells, lines), sum_of_halves | {"task": "mmlu", "figure": lines[0].figure, "mean": halves}]
    write("Table 1: sets together", given, rows, {"mmlu": table})


if __name__ == "__main__":
    main()
