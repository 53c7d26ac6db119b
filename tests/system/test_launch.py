"""`curate` on several ranks: the same answer as on one, whoever is killed on the way, and a trainer after it."""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shed_hf import read_ledger
from tests.helpers.processes import Running, ranks, torchrun

SCRIPT = """
import json, os, signal, sys, time
from pathlib import Path
import datasets, torch
import shed_hf
from shed_hf.embedding import embed
from shed_hf.sampling import row_ranking
from tests.helpers.rows import TOPICS, make_rows

embed.CHUNK = row_ranking.CHUNK = 64  # so that every rank reads a part of the rows
ledger, out, then = sys.argv[1:4]
rank = int(os.environ.get("RANK", "0"))
torch.use_deterministic_algorithms(True)

if "KILLED_WITH" in os.environ:
    put, of_rank_1 = shed_hf.Ledger.put, Path(f"{out}.pid")
    if rank == 1:
        of_rank_1.write_text(str(os.getpid()))

    # when as many outcomes as wanted are written, some of them by rank 1, rank 1 is killed while rank 0 waits
    def put_until_killed(ledger_of_rank, entry):
        put(ledger_of_rank, entry)
        if rank or ledger_of_rank.path is None:
            return
        if len(shed_hf.read_ledger(ledger)) >= int(os.environ["KILLED_WITH"]):
            while not Path(f"{ledger}.rank1").exists():
                time.sleep(0.01)
            os.kill(int(of_rank_1.read_text()), signal.SIGKILL)
            time.sleep(120)

    shed_hf.Ledger.put = put_until_killed


class Words:
    def encode(self, texts):
        return [[text.count(word) for words in TOPICS.values() for word in words] for text in texts]


if "RANK" in os.environ:
    from accelerate import Accelerator

    mine = Accelerator(cpu=True, gradient_accumulation_steps=3)
rows = datasets.Dataset.from_list(make_rows(140))
curated = shed_hf.curate(
    rows, 12, eval_dataset=datasets.Dataset.from_list(make_rows(8, seed=99)), model=then,
    objective="loss", embedder=Words(), clusterer=shed_hf.KMeans(6), proxies_per_cluster=4, features="ifd",
    warmup=4, budget=18, ledger=ledger or None, sampler="qocs",
)
found = {
    "rows": curated.rows.tolist(), "chosen": curated.dataset.to_list(), "clusters": curated.clusters.to_list(),
    "values": [value.hex() for value in curated.estimate.values.tolist()],
    "merit": [value.hex() for value in curated.valued.merit.tolist()],
    "keys": [entry.key for entry in curated.ledger],
    "outcomes": [value.hex() for entry in curated.ledger for value in entry.outcome.tolist()],
    "scored": curated.scorer(rows[:3])["shed_value"],
    "measured": curated.recipe["bill"]["fine_tunings"],
}
if "RANK" in os.environ:
    from accelerate import PartialState

    found["accelerator"] = [mine.gradient_accumulation_steps, mine.num_processes, mine.process_index]
    from trl import SFTConfig, SFTTrainer

    args = SFTConfig(output_dir=out + ".model", max_steps=2, per_device_train_batch_size=1, learning_rate=1e-2,
                     report_to=[], save_strategy="no", bf16=False, use_cpu=True, disable_tqdm=True)
    trainer = SFTTrainer(then, args, train_dataset=curated.dataset.select_columns(["instruction", "output"]).map(
        lambda row: {"prompt": row["instruction"], "completion": row["output"]},
        remove_columns=["instruction", "output"]))
    trainer.train()
    found["world"] = trainer.accelerator.num_processes
    found["wrapped"] = type(trainer.model_wrapped).__name__
    found["weights"] = float(sum(p.double().abs().sum() for p in trainer.model.parameters())).hex()
    PartialState().wait_for_everyone()
Path(f"{out}.{rank}.json").write_text(json.dumps(found))
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
"""


def start(n_ranks: int, model: Path, ledger: Path | str, out: Path, **environment: str) -> Running:
    script = out.parent / "script.py"
    script.write_text(SCRIPT)
    given = [str(ledger), str(out), str(model)]
    if n_ranks == 1:
        return Running(script, given, out.parent, environment)
    return torchrun(n_ranks, script, given, out.parent, environment)


def finished(process: Running, out: Path, n_ranks: int) -> list[dict[str, Any]]:
    assert process.wait() == 0, process.stderr
    return [json.loads(Path(f"{out}.{rank}.json").read_text()) for rank in range(n_ranks)]


def test_killed_on_two_ranks_and_resumed_on_three_it_ends_as_on_one(tiny_model: Path, tmp_path: Path) -> None:
    whole = finished(start(1, tiny_model, "", tmp_path / "one"), tmp_path / "one", 1)[0]

    process = start(2, tiny_model, tmp_path / "run.ledger", tmp_path / "two", KILLED_WITH="7")
    assert process.wait() != 0
    assert "exitcode  : -9" in process.stderr  # the launcher's word for a rank that was killed
    kept = len(read_ledger(tmp_path / "run.ledger"))
    assert kept >= 7

    resumed = finished(start(3, tiny_model, tmp_path / "run.ledger", tmp_path / "three"), tmp_path / "three", 3)
    alike = ("rows", "chosen", "clusters", "values", "merit", "keys", "outcomes", "scored")
    for rank, found in enumerate(resumed):
        for name in alike:
            assert found[name] == whole[name], f"{name} of rank {rank}"
        assert found["world"] == 3
        assert found["accelerator"] == [3, 3, rank]  # the script's own is as it was
        assert found["wrapped"] == "DistributedDataParallel"
    assert len({found["weights"] for found in resumed}) == 1
    assert resumed[0]["measured"] <= whole["measured"] - kept + 1  # v(∅) is an outcome and no fine-tuning
    assert {path.name for path in tmp_path.glob("run.ledger*")} == {"run.ledger", "run.ledger.yaml"}
    assert len(read_ledger(tmp_path / "run.ledger")) == len(whole["keys"])


TOGETHER = """
import json, os, sys
import datasets, torch
import shed_hf
from tests.helpers.rows import make_rows

out, model, lockstep = sys.argv[1:4]
curated = shed_hf.curate(
    datasets.Dataset.from_list(make_rows(60)), 8, eval_dataset=datasets.Dataset.from_list(make_rows(16, seed=99)),
    utility=shed_hf.FineTune(model, "loss", lockstep=lockstep == "True"), embedder="lexical",
    clusterer=shed_hf.KMeans(3), proxies_per_cluster=3, budget=6, warmup=3, sampler="qocs", merit=None,
)
found = {"outcomes": [entry.outcome.tolist() for entry in curated.ledger], "rows": curated.rows.tolist()}
with open(f"{out}.{os.environ.get('RANK', '0')}.json", "w") as file:
    json.dump(found, file)
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
"""


def test_in_lockstep_all_ranks_train_one_model_to_the_same_outcomes(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "script.py"
    script.write_text(TOGETHER)
    both = ranks(2, script, [str(tmp_path / "two"), str(tiny_model), "True"], tmp_path)
    assert [process.wait() for process in both] == [0, 0], both[0].stderr + both[1].stderr
    told = both[0].stderr + both[1].stderr
    monkeypatch.setattr(sys, "argv", ["script.py", str(tmp_path / "one"), str(tiny_model), "True"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(TOGETHER, {})
    one, *two = (json.loads((tmp_path / name).read_text()) for name in ("one.0.json", "two.0.json", "two.1.json"))
    assert "ranks: 2, all 2 train on every set of rows together" in told
    assert two[0] == two[1]
    np.testing.assert_allclose(two[0]["outcomes"], one["outcomes"], atol=2e-5)
    assert two[0]["outcomes"] != one["outcomes"]  # half of every step on each rank: not the same sums to the last bit
    assert "process group is initialized" not in told
