"""Files, folders and command lines that are damaged or wrong."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from datasets import Dataset

from tests.helpers.rows import make_rows


def damaged_files(folder: Path, rng: np.random.Generator) -> Iterator[tuple[Path, bool]]:
    """Files named as data, most of them unreadable, and whether each can be read.

    Args:
        folder: Where to write them.
        rng: Where they are cut and what is flipped.
    """
    rows = make_rows(24)
    lines = "\n".join(json.dumps(row) for row in rows).encode()
    Dataset.from_list(rows).to_parquet(folder / "whole.parquet")
    parquet = (folder / "whole.parquet").read_bytes()
    table = b"instruction,output\n" + b"".join(b"say %d,it is %d\n" % (i, i) for i in range(24))
    cut = [int(n) for n in rng.integers(1, len(parquet) - 1, size=6)]
    contents: dict[str, tuple[bytes, bool]] = {
        "whole.jsonl": (lines, True), "bom.jsonl": (b"\xef\xbb\xbf" + lines, True), "whole.csv": (table, True),
        "list.json": (json.dumps(rows).encode(), True), "empty.jsonl": (b"", False), "empty.json": (b"", False),
        "empty.csv": (b"", False), "empty.parquet": (b"", False), "blank.jsonl": (b"\n\n", False),
        "half.jsonl": (lines[: len(lines) // 2], False),
        "latin.jsonl": (lines + b'\n{"instruction": "caf\xe9"}', False),
        "latin.csv": (table + b"caf\xe9,x\n", False), "numbers.jsonl": (b"1\n2\n", False),
        "text.jsonl": (b"hello", False),
        "true.json": (b"true", False), "deep.json": (b"[" * 150, False),
        "mixed.jsonl": (b'{"a": 1}\n{"a": "x"}', False),
        "zeros.jsonl": (bytes(500), False), "noise.parquet": (rng.bytes(500), False),
        "noise.jsonl": (rng.bytes(500), False),
        "noise.csv": (rng.bytes(500), False), "ragged.csv": (table + b"a,b,c,d\n", False),
        "header.csv": (b"a,b\n", False),
        "zip.jsonl": (gzip.compress(lines)[:60], False), "other.txt": (lines, False), "noext": (lines, False),
    }  # fmt: skip
    contents |= {f"cut{n}.parquet": (parquet[:n], False) for n in cut}
    for name, (content, readable) in contents.items():
        (folder / name).write_bytes(content)
        yield folder / name, readable
    (folder / "dangling.jsonl").symlink_to(folder / "nothing")
    (folder / "folder.jsonl").mkdir()
    (folder / "empty folder").mkdir()
    (folder / "state").mkdir()
    (folder / "state" / "dataset_info.json").write_text("{broken")
    (folder / "dict").mkdir()
    (folder / "dict" / "dataset_dict.json").write_text('{"splits": ["gone"]}')
    for name in ("dangling.jsonl", "folder.jsonl", "empty folder", "state", "dict"):
        yield folder / name, False


def damaged_ledgers(folder: Path, whole: bytes, rng: np.random.Generator) -> Iterator[Path]:
    """Ledger files that do not hold what a run wrote.

    Args:
        folder: Where to write them.
        whole: A ledger as a run wrote it.
        rng: What is flipped.
    """
    lines = whole.splitlines(keepends=True)
    contents = [
        b"hello", b"{}\n", b"[]\n", b"null\n", b"\xff\xfe\n", rng.bytes(300), b"[" * 3000 + b"\n", b"1" * 5000 + b"\n",
        *lines[1:], lines[0] + b"{}\n" + lines[-1], lines[0] + b"null\n" + lines[-1], lines[0] + b"\xe9\n" + lines[-1],
        lines[0] + b'{"key": 5}\n' + lines[-1], lines[0] + b"[" * 3000 + b"\n" + lines[-1],
    ]  # fmt: skip
    for number, content in enumerate(contents):
        path = folder / f"damaged{number}.ledger"
        path.write_bytes(content)
        yield path


def damaged_models(folder: Path, model: Path, rng: np.random.Generator) -> Iterator[Path]:
    """Folders that hold no usable model.

    Args:
        folder: Where to write them.
        model: A folder with a usable model.
        rng: The garbage.
    """
    config = json.loads((model / "config.json").read_text())
    changes: dict[str, dict[str, bytes | None]] = {
        "nothing": dict.fromkeys(file.name for file in model.iterdir()), "no config": {"config.json": None},
        "no weights": {"model.safetensors": None},
        "no tokenizer": {"tokenizer.json": None, "tokenizer_config.json": None, "chat_template.jinja": None},
        "garbage weights": {"model.safetensors": rng.bytes(2000)}, "empty weights": {"model.safetensors": b""},
        "half weights": {"model.safetensors": (model / "model.safetensors").read_bytes()[:5000]},
        "garbage config": {"config.json": b"{broken"}, "empty config": {"config.json": b"{}"},
        "list config": {"config.json": b"[]"}, "unknown type": {"config.json": b'{"model_type": "nonesuch"}'},
        "latin config": {"config.json": b'{"model_type": "caf\xe9"}'},
        "garbage tokenizer": {"tokenizer.json": b"{broken"},
        "wrong shape": {"config.json": json.dumps({**config, "hidden_size": 2 * config["hidden_size"]}).encode()},
    }  # fmt: skip
    for name, changed in changes.items():
        path = folder / name
        path.mkdir()
        for file in model.iterdir():
            content = changed.get(file.name, file.read_bytes())
            if content is not None:
                (path / file.name).write_bytes(content)
        yield path
