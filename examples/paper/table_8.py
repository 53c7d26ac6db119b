"""Table 8: rows chosen by SHED from a large pool, beside as many rows made by hand (LIMA in the paper).

python examples/paper/table_8.py --scale smoke --data DIR
"""

from common import MEASURED, Data, arguments, cells, compared, first_figure, instructions, write
from datasets import concatenate_datasets

import shed_hf


def main() -> None:
    """Choose from the pool alone, then compare in a dataset of pool and hand-made rows."""
    given = arguments(__doc__)
    scale, data = given.scale, Data(given.data, given.scale)
    pool = data.instruction_pool()
    by_hand = instructions(data.rows("hand-made"))
    size = min(len(by_hand), len(pool) // 2)
    ledger = given.out / "ledgers" / f"{given.name} table 8 choice"
    curated = shed_hf.curate(
        pool, size, eval_dataset=data.chosen_by(), sampler=shed_hf.QOCS(1.0), ledger=ledger, **scale.game()
    )
    methods = {
        "SHED, QOCS": shed_hf.Given(curated.rows),
        "hand-made": shed_hf.Given(range(len(pool), len(pool) + size)),
        "random": "random",
    }
    both = concatenate_datasets([pool, by_hand])
    table = compared("table 8", both, given, methods=methods, sizes=[size])
    rows = [cells(line) for task in MEASURED for line in first_figure(table, task)]
    write("Table 8: hand-made rows", given, rows, {"both": table})


if __name__ == "__main__":
    main()
