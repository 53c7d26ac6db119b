"""Table 4: the best subset of every method on ARC-challenge, with its size, beside all rows and no tuning.

python examples/paper/table_4.py --scale smoke --data DIR
"""

from best_size import write_best
from common import arguments

if __name__ == "__main__":
    write_best("Table 4: best size on ARC-challenge", "arc-challenge", arguments(__doc__))
