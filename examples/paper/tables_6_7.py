"""Tables 6 and 7: rows that were chosen with one model, tuned on with others; MMLU and ARC-challenge.

Clusters are valued with the scale's model, once. The rows chosen then compete with random rows of the same number in
every model of ``--to``.

    python examples/paper/tables_6_7.py --scale smoke --data DIR --to DIR [DIR …]
"""

from pathlib import Path

from common import MEASURED, Data, arguments, cells, compared, first_figure, write

import shed_hf

TARGETS = {"paper": ["huggyllama/llama-13b", "lmsys/vicuna-7b-v1.5", "openai-community/gpt2"]}
"""What is tuned where ``--to`` says nothing."""


def main() -> None:
    """Value with one model, compare with the others."""
    given = arguments(__doc__, to={"nargs": "+", "help": "models: Hub ids or folders"})
    targets = given.to or TARGETS.get(given.name)
    if not targets:
        raise SystemExit("pass --to with models other than the one that rows are chosen with")
    scale, data = given.scale, Data(given.data, given.scale)
    pool = data.mmlu_pool()
    size = min(scale.sizes[-2], len(pool) // 2)
    ledger = given.out / "ledgers" / f"{given.name} tables 6 7 choice"
    curated = shed_hf.curate(
        pool, size, eval_dataset=data.chosen_by(), sampler=shed_hf.QOCS(1.0), ledger=ledger, **scale.game()
    )
    chosen = {f"chosen with {Path(scale.model).name}": shed_hf.Given(curated.rows), "random": "random"}
    tables = {
        Path(target).name: compared(
            f"tables 6 7 {Path(target).name}", pool, given, utility=scale.tuner(target), methods=chosen, sizes=[size]
        )
        for target in [scale.model, *targets]
    }
    rows = [
        {"model": model, **cells(line)}
        for model, table in tables.items()
        for task in MEASURED
        for line in first_figure(table, task)
    ]
    write("Tables 6 and 7: transfer", given, rows, tables)


if __name__ == "__main__":
    main()
