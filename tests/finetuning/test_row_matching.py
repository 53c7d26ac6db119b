"""A trainer of the user's own is asked for the rows that are curated, whatever its preparation made of their order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

import shed_hf
from shed_hf.data.pool import read_pool
from shed_hf.errors import InputError
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.objectives import Loss
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_peft_config
from shed_hf.finetuning.trainer_utility import TrainerUtility
from tests.helpers.rows import make_rows

ITEMS = read_pool(Dataset.from_list(make_rows(4, seed=99))).examples(np.arange(4))
LONG = 5
"""The row whose prompt alone is longer than the maximum length: TRL drops it."""


def pairs(n: int = 16, long: bool = False) -> Dataset:
    rows = [{"prompt": f"{row['instruction']} ", "completion": row["output"]} for row in make_rows(n)]
    if long:
        rows[LONG]["prompt"] = "word " * 200
    return Dataset.from_list(rows)


def chats(n: int = 16) -> Dataset:
    turns = [(row["instruction"], row["output"]) for row in make_rows(n)]
    said = [[{"role": "user", "content": ask}, {"role": "assistant", "content": answer}] for ask, answer in turns]
    return Dataset.from_dict({"messages": said})


def sharegpt(n: int = 16) -> Dataset:
    turns = [(row["instruction"], row["output"]) for row in make_rows(n)]
    said = [[{"from": "human", "value": ask}, {"from": "gpt", "value": answer}] for ask, answer in turns]
    return Dataset.from_dict({"conversations": said})


def texts(n: int = 16) -> Dataset:
    return Dataset.from_list([{"text": row["output"]} for row in make_rows(n)])


def trained_on(model: Path, dataset: Dataset, folder: Path, given: Any = None, **fields: Any) -> TrainerUtility:
    args = {"learning_rate": 1e-2, "per_device_train_batch_size": 2, "max_length": 96, "bf16": False, "seed": 7}
    args |= {"num_train_epochs": 1, "output_dir": str(folder), "use_cpu": True, "save_strategy": "no"}
    args |= {"activation_checkpointing": False, "disable_tqdm": True, **fields}
    tokenizer = AutoTokenizer.from_pretrained(model)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(model),
        args=SFTConfig(**args),
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=default_peft_config(),
        **(given or {}),
    )
    return TrainerUtility(trainer, Evaluation(ITEMS, Loss(), tokenizer, 96))


def reference(model: Path, dataset: Dataset, rows: list[int], folder: Path, given: Any = None) -> Any:
    """The outcome of a trainer that was made with these very rows, in this order."""
    utility = trained_on(model, dataset.select(rows), folder, given)
    assert len(utility.trainer.train_dataset) == len(rows)
    return utility([np.arange(len(rows))])


ROWS = [9, 2]


ORDERS: dict[str, Callable[[Dataset], Dataset]] = {
    "as it is": lambda dataset: dataset,
    "reversed": lambda dataset: dataset.select(range(len(dataset) - 1, -1, -1)),
    "shuffled": lambda dataset: dataset.shuffle(seed=3),
}


@pytest.mark.parametrize(
    ("make", "order"),
    [(pairs, "as it is"), (chats, "reversed"), (sharegpt, "shuffled"), (texts, "shuffled")],
)
def test_rows_are_found_in_whatever_order_the_trainer_has_them(
    make: Callable[[], Dataset], order: str, tiny_model: Path, tmp_path: Path
) -> None:
    utility = trained_on(tiny_model, ORDERS[order](make()), tmp_path).aligned(read_pool(make()))
    expected = reference(tiny_model, make(), ROWS, tmp_path)
    np.testing.assert_allclose(utility([np.array(ROWS)]), expected, atol=1e-6)
    other = utility([np.array([row + 1 for row in ROWS])])
    assert np.abs(other - expected).max() > 1e-4  # a neighbour's tokens would show


def test_a_row_that_preparation_drops_shifts_no_other(tiny_model: Path, tmp_path: Path) -> None:
    dataset = pairs(long=True)
    utility = trained_on(tiny_model, dataset, tmp_path)
    assert len(utility.trainer.train_dataset) == len(dataset) - 1
    with pytest.warns(UserWarning, match=r"1 of 16 rows of the dataset were dropped .* max_length=96"):
        aligned = utility.aligned(read_pool(dataset))
    np.testing.assert_allclose(aligned([np.array(ROWS)]), reference(tiny_model, dataset, ROWS, tmp_path), atol=1e-6)
    assert aligned.trainable(np.arange(16)).tolist() == [row != LONG for row in range(16)]
    assert aligned.n_tokens(np.array([LONG])) == 0
    with pytest.raises(InputError, match=f"row {LONG} was dropped"):
        aligned([np.array([LONG])])


def test_trls_own_shuffle_shifts_no_row(tiny_model: Path, tmp_path: Path) -> None:
    dataset = pairs()
    utility = trained_on(tiny_model, dataset, tmp_path, shuffle_dataset=True)
    assert utility.trainer.train_dataset["prompt"] != dataset["prompt"]
    aligned = utility.aligned(read_pool(dataset))
    np.testing.assert_allclose(aligned([np.array(ROWS)]), reference(tiny_model, dataset, ROWS, tmp_path), atol=1e-6)


def test_rows_that_come_twice_are_found(tiny_model: Path, tmp_path: Path) -> None:
    dataset = Dataset.from_list([*texts(8), *texts(4)])
    for given in (dataset, texts(8)):  # the trainer may have been given each of them once
        aligned = trained_on(tiny_model, given.shuffle(seed=1), tmp_path).aligned(read_pool(dataset))
        once, again = aligned([np.array([0, 5, 2])]), aligned([np.array([8, 5, 10])])
        np.testing.assert_array_equal(once, again)
        np.testing.assert_allclose(once, reference(tiny_model, dataset, [0, 5, 2], tmp_path), atol=1e-6)


def test_rows_that_were_written_anew_are_found_by_the_columns_they_kept(tiny_model: Path, tmp_path: Path) -> None:
    raw = Dataset.from_list(make_rows(16))
    written = raw.map(lambda row: {"text": f"Q: {row['instruction']} A: {row['output']}"}).shuffle(seed=2)
    aligned = trained_on(tiny_model, written, tmp_path).aligned(read_pool(raw))
    place = written["instruction"].index(raw[9]["instruction"])
    tokens = aligned.rows.tokens(np.array([9]))[0]
    assert tokens.ids.tolist() == aligned.trainer.train_dataset[place]["input_ids"]


def numbered(raw: Dataset) -> Dataset:
    """Rows as text alone, with their number."""
    texts = [f"Question: {row['instruction']} Answer: {row['output']}" for row in raw]
    return Dataset.from_dict({"text": texts, "number": range(len(raw))})


def test_a_column_with_a_number_tells_rows_apart(tiny_model: Path, tmp_path: Path) -> None:
    raw = Dataset.from_list(make_rows(16))
    pool = read_pool(raw.add_column("number", list(range(16))))
    aligned = trained_on(tiny_model, numbered(raw).shuffle(seed=2), tmp_path).aligned(pool)
    said = aligned.trainer.processing_class.decode(aligned.rows.tokens(np.array([9]))[0].ids)
    assert raw[9]["output"] in said


def test_a_number_that_counts_other_rows_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    raw = Dataset.from_list(make_rows(16))
    counted_anew = numbered(raw).shuffle(seed=2).remove_columns("number").add_column("number", list(range(16)))
    with pytest.raises(InputError, match="cannot be matched"):
        trained_on(tiny_model, counted_anew, tmp_path).aligned(read_pool(raw.add_column("number", list(range(16)))))


def test_a_formatting_function_is_the_trainers_own_preparation(tiny_model: Path, tmp_path: Path) -> None:
    raw = Dataset.from_list(make_rows(16))
    given = {"formatting_func": lambda row: f"{row['instruction']} => {row['output']}"}
    aligned = trained_on(tiny_model, raw.shuffle(seed=4), tmp_path, given).aligned(read_pool(raw))
    np.testing.assert_allclose(aligned([np.array(ROWS)]), reference(tiny_model, raw, ROWS, tmp_path, given), atol=1e-6)


def test_rows_made_as_fine_tune_makes_them_are_found_without_a_column_in_common(
    tiny_model: Path, tmp_path: Path
) -> None:
    raw = Dataset.from_list(make_rows(16))
    pool = read_pool(raw)
    turns = [[turn._asdict() for turn in example.turns] for example in pool.examples(np.arange(16))]
    asked = Dataset.from_list([{"prompt": row[:-1], "completion": row[-1:]} for row in turns])
    aligned = trained_on(tiny_model, asked.shuffle(seed=2), tmp_path).aligned(pool)
    assert raw[9]["output"] in aligned.trainer.processing_class.decode(aligned.rows.tokens(np.array([9]))[0].ids)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda dataset: dataset.select(range(3, 16)), r"3 of 16 rows .* 13 of the trainer's .* first is row 0"),
        (lambda dataset: dataset.filter(lambda row: "dog" not in row["text"]), r"of 16 rows of the dataset are not"),
        (lambda _: Dataset.from_list([{"text": row["output"]} for row in make_rows(16, seed=5)]), "16 of 16 rows"),
    ],
    ids=["a part", "filtered", "others"],
)
def test_rows_that_the_trainer_was_not_made_with_are_named(
    change: Callable[[Dataset], Dataset], match: str, tiny_model: Path, tmp_path: Path
) -> None:
    utility = trained_on(tiny_model, change(texts()), tmp_path)
    with pytest.raises(InputError, match=match):
        utility.aligned(read_pool(texts()))


def test_rows_without_anything_in_common_say_what_to_do(tiny_model: Path, tmp_path: Path) -> None:
    other = Dataset.from_list([{"text": f"{row['output']} again"} for row in make_rows(16)])
    with pytest.raises(InputError, match=r"dataset\.add_column"):
        trained_on(tiny_model, other, tmp_path).aligned(read_pool(Dataset.from_list(make_rows(16))))


def test_a_stream_of_rows_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="IterableDataset"):
        trained_on(tiny_model, texts().to_iterable_dataset(), tmp_path, max_steps=2)


def test_a_larger_training_set_holds_the_pool(tiny_model: Path, tmp_path: Path) -> None:
    aligned = trained_on(tiny_model, texts(24).shuffle(seed=1), tmp_path).aligned(read_pool(texts()))
    np.testing.assert_allclose(aligned([np.array(ROWS)]), reference(tiny_model, texts(), ROWS, tmp_path), atol=1e-6)


def test_a_curation_measures_each_coalition_on_its_own_rows(tiny_model: Path, tmp_path: Path) -> None:
    """With a row dropped and TRL's own shuffle every outcome is that of a trainer made with the coalition's rows."""
    dataset = pairs(long=True)
    utility = trained_on(tiny_model, dataset, tmp_path, shuffle_dataset=True)
    with pytest.warns(UserWarning, match="dropped"):
        curated = shed_hf.curate(
            dataset, 4, utility=utility, clusterer=np.arange(16) % 2, embedder="lexical", estimator="exact", merit=None
        )
    measured = [entry for entry in curated.valued.ledger if any(entry.blocks)]
    assert len(measured) >= 3
    assert not any(LONG in block for entry in measured for block in entry.blocks)
    for entry in measured:
        expected = reference(tiny_model, dataset, list(entry.blocks[0]), tmp_path)
        np.testing.assert_allclose(entry.outcome, expected[0], atol=1e-6)


def test_a_utility_bound_to_another_dataset_is_refused(tiny_model: Path) -> None:
    utility = FineTune(str(tiny_model), "loss").bind(read_pool(texts()), ITEMS, 0)
    assert utility.aligned(read_pool(texts())) is utility
    with pytest.raises(InputError, match="bound to another dataset"):
        utility.aligned(read_pool(texts(12)))
