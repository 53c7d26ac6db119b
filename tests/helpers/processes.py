"""Scripts in processes of their own that begin with the heavy libraries imported already.

Importing them takes seconds, and tests of what is killed, resumed or typed into a shell start many processes. A server
imports them once; every script runs in a fork of it, with its own arguments, environment, folder and output.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

PRELOADED = [
    "datasets",
    "trl",
    "peft",
    "shed_hf.curation.curate",
    "shed_hf.finetuning.fine_tune",
    "shed_hf.hub.publish",
]
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(PRELOADED)
_STARTED: list[BaseProcess] = []


@atexit.register
def _end_all() -> None:
    """No script outlives the tests, which would wait for it."""
    for process in _STARTED:
        if process.is_alive():
            process.kill()


class Running:
    """A script that runs: what `subprocess.Popen` offers, with all that it wrote so far."""

    def __init__(
        self, script: Path, arguments: list[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._outputs = Path(tempfile.mkdtemp(prefix="shed_hf_outputs_"))
        wanted = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
        given = (str(script), [str(argument) for argument in arguments], str(folder), wanted, str(self._outputs))
        self._process = _FORKS.Process(target=_run, args=given)
        self._process.start()
        _STARTED.append(self._process)

    @property
    def stdout(self) -> str:
        return self._written("stdout")

    @property
    def stderr(self) -> str:
        return self._written("stderr")

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float = 250) -> int:
        self._process.join(timeout)
        assert self._process.exitcode is not None, f"it did not end within {timeout:g} s: {self.stderr[-3000:]}"
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def interrupt(self) -> None:
        """What ctrl-C in a shell does."""
        self.send(signal.SIGINT)

    def send(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def wait_until(self, reached: Callable[[], bool], seconds: float = 200) -> None:
        """Wait while the script runs; it is an error if it ends before."""
        deadline = time.monotonic() + seconds
        while not reached():
            assert self.poll() is None, self.stderr
            assert time.monotonic() < deadline, self.stderr
            time.sleep(0.002)

    def _written(self, name: str) -> str:
        path = self._outputs / name
        return path.read_text() if path.exists() else ""


def ranks(
    n_ranks: int, script: Path, arguments: list[str], folder: Path, environment: Mapping[str, str] | None = None
) -> list[Running]:
    """A script on ranks that meet by themselves, as where no launcher starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": str(n_ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, **(environment or {})}
    return [
        Running(script, arguments, folder, {**common, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(n_ranks)
    ]


LAUNCHER = """
import runpy, sys, uuid
from torch.distributed.launcher.api import LaunchConfig, elastic_launch


def rank(*command):
    sys.argv = list(command)
    runpy.run_path(command[0], run_name="__main__")


n_ranks, *command = sys.argv[1:]
config = LaunchConfig(
    1, 1, int(n_ranks), run_id=str(uuid.uuid4()), rdzv_backend="c10d", rdzv_endpoint="localhost:0", max_restarts=0,
    start_method="fork",
)
elastic_launch(config, rank)(*command)
"""


def torchrun(
    n_ranks: int, script: Path, arguments: list[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Running:
    """A script on ranks that torch's launcher starts and watches, as ``torchrun --standalone`` does."""
    launcher = script.with_name("torchrun.py")
    launcher.write_text(LAUNCHER)
    return Running(launcher, [str(n_ranks), str(script), *arguments], folder, environment)


def _run(script: str, arguments: list[str], folder: str, environment: dict[str, str], outputs: str) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(f"{outputs}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(Path(script).parent))
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
