"""The Hub of the tests, up before the clients are imported: they read where it is then, and never again."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from tests.helpers.loopback_hub import LoopbackHub

PLACE = Path(tempfile.mkdtemp(prefix="shed_hf_tests_"))
TOKENS = {"hf_alice_secret": "alice", "hf_bob_secret": "bob", "hf_alice_reads_secret": "alice"}
TOKENS |= {"hf_me_secret": "me", "hf_databricks_secret": "databricks"}
TOKENS |= {"hf_huggingfacetb_secret": "HuggingFaceTB"}
HUB = LoopbackHub(PLACE / "hub", TOKENS, read_only=frozenset({"hf_alice_reads_secret"}))
HUB.start()
atexit.register(shutil.rmtree, PLACE, ignore_errors=True)
os.environ |= {
    "HF_ENDPOINT": HUB.url,
    "HF_HOME": str(PLACE / "home"),
    "HF_HUB_OFFLINE": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
os.environ.pop("HF_TOKEN", None)
