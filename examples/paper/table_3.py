"""Table 3: the best subset of every method on MMLU, with its size, beside all rows and no tuning.

python examples/paper/table_3.py --scale smoke --data DIR
"""

from best_size import write_best
from common import arguments

if __name__ == "__main__":
    write_best("Table 3: best size on MMLU", "mmlu", arguments(__doc__))
