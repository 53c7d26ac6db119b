"""A folder on the disk that lasts as long as somebody holds it."""

import shutil
import tempfile
import weakref


class TemporaryFolder:
    """A new folder, removed without a word once nobody holds this object, or when the process ends.

    Attributes:
        name: Its path.
    """

    def __init__(self) -> None:
        self.name = tempfile.mkdtemp(prefix="shed_hf_")
        weakref.finalize(self, shutil.rmtree, self.name, ignore_errors=True)
