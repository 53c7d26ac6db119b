"""Files of text that are compressed are read by name, by pattern and in folders."""

import bz2
import gzip
from pathlib import Path

import pytest
from datasets import Dataset

from shed_hf.data.loading import load_source
from shed_hf.errors import InputError

LINES = b'{"text": "x", "n": 1}\n{"text": "y", "n": 2}\n'
FILES = {"rows.jsonl": LINES, "rows.json": LINES, "rows.csv": b"text,n\nx,1\ny,2\n"}


@pytest.mark.parametrize("place", ["{}.gz", "*{}.gz", ""])
@pytest.mark.parametrize("name", FILES)
def test_compressed_text_is_read_as_if_it_were_not(tmp_path: Path, name: str, place: str) -> None:
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(FILES[name]))
    assert load_source(f"{tmp_path}/{place.format(name)}").to_list() == [{"text": "x", "n": 1}, {"text": "y", "n": 2}]


@pytest.mark.parametrize("place", ["{}", "*{}"])
@pytest.mark.parametrize("name", ["rows.parquet.gz", "rows.gz", "rows.jsonl.bz2"])
def test_other_compressed_files_are_refused_with_what_can_be_read(tmp_path: Path, name: str, place: str) -> None:
    Dataset.from_dict({"text": ["x"]}).to_parquet(tmp_path / "rows.parquet")
    content = bz2.compress(LINES) if name.endswith("bz2") else gzip.compress((tmp_path / "rows.parquet").read_bytes())
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"\.jsonl, \.json, \.csv.* ends? .*\.gz behind"):
        load_source(f"{tmp_path}/{place.format(name)}")


@pytest.mark.parametrize(
    "content",
    [b"", gzip.compress(b""), gzip.compress(LINES)[:-12], LINES, gzip.compress(b"null\n"), gzip.compress(LINES + b"{")],
    ids=["nothing", "compressed nothing", "cut off", "not compressed", "no row", "no JSON"],
)
@pytest.mark.parametrize("place", ["rows.jsonl.gz", "*.jsonl.gz"])
def test_a_compressed_file_that_cannot_be_read_is_named(tmp_path: Path, place: str, content: bytes) -> None:
    (tmp_path / "rows.jsonl.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"\.jsonl\.gz (cannot be read|is empty|has 0 rows)"):
        load_source(f"{tmp_path}/{place}")
