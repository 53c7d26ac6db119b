"""Table 5: MT-Bench, the questions of which tuned models answer greedily and a judge scores from 1 to 10.

The judge is a model behind an OpenAI-compatible endpoint, whose key is in OPENAI_API_KEY where it needs one. Without
``--judge-url`` the score is the likelihood of an answer under the model of ``--likelihood-under``, which measures
fluency and is not MT-Bench's.

    python examples/paper/table_5.py --scale paper --data DIR --judge-url https://api.openai.com/v1 --judge-model gpt-4
"""

from common import METHODS, Data, arguments, cells, compared, first_figure, write
from datasets import Dataset
from judges import EndpointJudge, LikelihoodJudge

import shed_hf


def main() -> None:
    """One comparison a pool."""
    given = arguments(
        __doc__,
        judge_url={"help": "an OpenAI-compatible endpoint, up to /v1"},
        judge_model={"help": "the judge's name there", "default": "gpt-4"},
        likelihood_under={"help": "a model to take likelihoods under; by default the one that is tuned"},
        questions={"type": int, "help": "how many questions, of all categories in turn; all by default"},
        tokens={"type": int, "default": 256, "help": "the longest answer"},
    )
    if given.judge_url:
        judge = EndpointJudge(given.judge_url, given.judge_model)
    else:
        judge = LikelihoodJudge(given.likelihood_under or given.scale.model)
    data = Data(given.data, given.scale)
    asked = data.mt_bench(given.questions)
    objective = shed_hf.Judged(judge, given.tokens)
    tables = {
        name: compared(
            f"table 5 {name}", pool, given, test_dataset={"mt-bench": Dataset.from_list(asked)},
            test_objective=objective, methods=METHODS, sizes=[min(given.scale.sizes[-2], len(pool) // 2)],
        )
        for name, pool in data.pools().items()
    }  # fmt: skip
    rows = [{"pool": name, **cells(line)} for name, table in tables.items() for line in first_figure(table)]
    write(f"Table 5: judged by {judge}", given, rows, tables)


if __name__ == "__main__":
    main()
