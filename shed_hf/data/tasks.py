"""MMLU and ARC as evaluation sets, with the prompts of lm-evaluation-harness.

Prompts are read verbatim, without a chat template, and options are continuations of them. Evaluated with
``"accuracy"`` or ``"normalised-accuracy"``, a set gives lm-evaluation-harness's ``acc`` and ``acc_norm``.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.data.examples import Example
from shed_hf.data.loading import load_source
from shed_hf.data.multiple_choice import LETTERS
from shed_hf.data.pool import read_pool
from shed_hf.errors import InputError
from shed_hf.utils.warn import warn

if TYPE_CHECKING:
    from datasets import Dataset

_SEPARATOR = "\n\n"


def mmlu(
    rows: Any, *, shots: int = 0, examples: Any = None, columns: Mapping[str, str | None] | None = None
) -> "Dataset":
    """MMLU (Hendrycks et al. 2021, arXiv 2009.03300) as an evaluation set: the model chooses a letter.

    The prompts are those of lm-evaluation-harness's tasks ``mmlu_*``. With ``objective="macro"`` every subject counts
    alike; MMLU's macro accuracy is ``Macro("subject", "accuracy")``::

        test = shed_hf.mmlu(load_dataset("cais/mmlu", "all", split="test"), shots=5, examples=dev)
        shed_hf.curate(pool, eval_dataset=validation, objective="macro")

    Args:
        rows: Questions with ``question``, ``choices``, ``answer`` and ``subject``, of the kinds that `curate` takes as
            a dataset.
        shots: How many worked examples stand before each question: the first of its subject among ``examples``; 0 by
            default.
        examples: Rows of the same columns to take them from, MMLU's dev split; not needed without shots.
        columns: Parts of a row to columns, as in `curate`. By default answers that are whole numbers count from 0.

    Returns:
        A `Dataset` with ``preamble`` (the description and the worked examples), ``prompt``, ``completion``, ``choices``
        and ``subject``, in the order of ``rows``.

    Raises:
        InputError: For rows that cannot be read, a subject with too few examples, or another number of shots.
    """
    return _task(_Layout(_mmlu_prompt, _letters, _mmlu_description), "subject", rows, shots, examples, columns)


def arc(
    rows: Any, *, shots: int = 0, examples: Any = None, columns: Mapping[str, str | None] | None = None
) -> "Dataset":
    """ARC (Clark et al. 2018, arXiv 1803.05457) as an evaluation set: the model chooses an option by its text.

    The prompts are those of lm-evaluation-harness's tasks ``arc_easy`` and ``arc_challenge``; with shots, of such a
    task whose ``fewshot_config`` says ``sampler: first_n``.

    Args:
        rows: Questions with ``question``, ``choices`` and ``answer`` or ``answerKey``, of the kinds that `curate`
            takes as a dataset.
        shots: How many worked examples stand before each question: the first of ``examples``; 0 by default.
        examples: Rows of the same columns to take them from, such as ARC's training split; not needed without shots.
        columns: Parts of a row to columns, as in `curate`. By default answers that are whole numbers count from 0.

    Returns:
        A `Dataset` with ``prompt``, ``completion`` and ``choices``, and with shots ``preamble``, in the order of
        ``rows``.

    Raises:
        InputError: For rows that cannot be read, too few examples, or another number of shots.
    """
    return _task(_Layout(_arc_prompt, _texts, lambda _: ""), None, rows, shots, examples, columns)


@dataclass(frozen=True)
class _Layout:
    """How a question is shown: its prompt, its options as continuations, and what stands before all prompts."""

    prompt: Callable[[Example], str]
    options: Callable[[Example], list[str]]
    description: Callable[[str], str]

    def worked(self, example: Example) -> str:
        return self.prompt(example) + self.options(example)[example.answer] + _SEPARATOR


def _mmlu_prompt(example: Example) -> str:
    labelled = [f"{letter}. {option}" for letter, option in zip(LETTERS, example.options, strict=False)]
    return "\n".join([_question(example).strip(), *labelled, "Answer:"])


def _letters(example: Example) -> list[str]:
    if len(example.options) > len(LETTERS):
        raise InputError(
            f"{_question(example)!r:.60} has {len(example.options)} choices, and there are {len(LETTERS)} letters for "
            "them; leave such questions out"
        )
    return [f" {letter}" for letter in LETTERS[: len(example.options)]]


def _mmlu_description(subject: str) -> str:
    return f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.{_SEPARATOR}"


def _arc_prompt(example: Example) -> str:
    return f"Question: {_question(example)}\nAnswer:"


def _texts(example: Example) -> list[str]:
    return [f" {option}" for option in example.options]


def _question(example: Example) -> str:
    return example.turns[-2].content


def _task(
    layout: _Layout,
    group: str | None,
    rows: Any,
    shots: int,
    examples: Any,
    columns: Mapping[str, str | None] | None,
) -> "Dataset":
    from datasets import Dataset

    if isinstance(shots, bool) or not isinstance(shots, int) or shots < 0:
        raise InputError(f"shots={shots!r}; pass a whole number of worked examples, 0 for none")
    if shots and examples is None:
        raise InputError(f"shots={shots} needs worked examples; pass examples= with rows such as MMLU's dev split")
    questions, groups = _read(rows, group, columns, "rows")
    worked: dict[str, list[Example]] = defaultdict(list)
    if shots:
        for example, of_group in zip(*_read(examples, group, columns, "examples"), strict=True):
            worked[of_group].append(example)
    for of_group in dict.fromkeys(groups) if shots else ():
        if len(worked[of_group]) < shots:
            about = f" about {of_group!r}" if group else ""
            raise InputError(f"shots={shots}, and examples has {len(worked[of_group])} rows{about}; pass more of them")
    _warn_of_answered(questions, groups, {name: found[:shots] for name, found in worked.items()})
    before = {
        name: layout.description(name) + "".join(layout.worked(example) for example in worked[name][:shots])
        for name in dict.fromkeys(groups)
    }
    options = [layout.options(question) for question in questions]
    made: dict[str, Sequence[Any]] = {
        "preamble": [before[name] for name in groups],
        "prompt": [layout.prompt(question) for question in questions],
        "completion": [texts[question.answer] for texts, question in zip(options, questions, strict=True)],
        "choices": options,
    }
    if not any(made["preamble"]):
        del made["preamble"]
    return Dataset.from_dict(made if group is None else {**made, group: groups})


def _read(
    rows: Any, group: str | None, columns: Mapping[str, str | None] | None, name: str
) -> tuple[list[Example], list[str]]:
    """The questions with their groups; all in one group where nothing parts them."""
    dataset = load_source(rows, name=name)
    if columns is None and str(getattr(dataset.features.get("answer"), "dtype", "")).startswith(("int", "uint")):
        columns = {"answer_from_0": "answer"}
    pool = read_pool(dataset, columns, name=name)
    questions = pool.examples(np.arange(len(pool)))
    without = next((number for number, question in enumerate(questions) if not question.options), None)
    if without is not None or pool.format.name != "question":
        raise InputError(
            f"row {without or 0} of {name} has no choices (its format is {pool.format.name!r}); pass rows with "
            "question, choices and answer, or say where they are with columns="
        )
    if group is None:
        return questions, [""] * len(questions)
    if group not in dataset.column_names:
        raise InputError(f"{name} has no column {group!r}; it has {dataset.column_names}; rename the one with subjects")
    labels = list(dataset[group])
    unnamed = next((number for number, label in enumerate(labels) if label is None or not str(label).strip()), None)
    if unnamed is not None:
        raise InputError(f"row {unnamed} of {name} has {labels[unnamed]!r} in the column {group!r}; name its {group}")
    return questions, [str(label) for label in labels]


def _warn_of_answered(questions: Sequence[Example], groups: Sequence[str], worked: Mapping[str, list[Example]]) -> None:
    known = {name: {(example.turns, example.options) for example in found} for name, found in worked.items()}
    answered = sum(
        (question.turns, question.options) in known.get(name, ())
        for question, name in zip(questions, groups, strict=True)
    )
    if answered:
        warn(
            f"{answered} of {len(questions)} questions stand among their own worked examples, with the answer; "
            "lm-evaluation-harness shows them so too, leave them out for a score without them",
        )
