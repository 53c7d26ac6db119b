"""Table 2: subsets of the same size, chosen by SHED and by others from two pools, on MMLU and ARC-challenge.

python examples/paper/table_2.py --scale smoke --data DIR
"""

from common import MEASURED, arguments, by_pool, cells, first_figure, write


def main() -> None:
    """One comparison a pool; tables 3 and 4 read the same."""
    given = arguments(__doc__)
    tables = by_pool(given)
    rows = []
    for pool, comparison in tables.items():
        sizes = sorted({line.size for line in comparison.lines})
        size = sizes[max(len(sizes) - 2, 0)]
        for task in MEASURED:
            lines = [line for line in first_figure(comparison, task) if line.size == size]
            rows += [{"pool": pool, **cells(line)} for line in sorted(lines, key=lambda line: -line.mean)]
    write("Table 2: same size", given, rows, tables)


if __name__ == "__main__":
    main()
