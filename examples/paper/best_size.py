"""What tables 3 and 4 share: the best size of every method on one task, with its number of rows."""

from argparse import Namespace

from common import by_pool, cells, first_figure, write


def write_best(title: str, task: str, given: Namespace) -> None:
    """The best size of every method for each pool.

    The best of several sizes is chosen on the test questions themselves, as in the paper, so it flatters every method
    that has several; the untuned model and all rows have one.

    Args:
        title: The table's name.
        task: The task.
        given: The script's arguments.
    """
    tables = by_pool(given)
    rows = []
    for pool, comparison in tables.items():
        best = {}
        for line in first_figure(comparison, task):
            best[line.method] = max(best.get(line.method, line), line, key=lambda one: one.mean)
        rows += [{"pool": pool, **cells(line)} for line in sorted(best.values(), key=lambda line: -line.mean)]
    write(title, given, rows, tables)
