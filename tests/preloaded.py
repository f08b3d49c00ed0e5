"""``python nst_main.py`` as a process that is forked from one which has imported TensorFlow.

It does all that a process does, and can be killed, but begins some four seconds sooner.
"""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest import mock

from helpers import ROOT

# All that takes long to import. Nothing may be computed there: TensorFlow would start threads,
# which are lost in a fork.
MODULES = ["nst_utils", "nst.cli.console", "nst.engine.forecast", "nst.runs.run"]


class Preloaded:
    """A running program, with what the tests use of ``subprocess.Popen``.

    Its output goes to files, so that it never waits for a reader.
    """

    def __init__(
        self,
        arguments: Sequence[object],
        folder: Path,
        streams: Path,
        before: Callable[[], None] | None = None,
    ) -> None:
        """Start it in ``folder``, with signals that work whoever runs the tests.

        streams: a folder for what it prints. before: called in the process first; a function of a
        module, or a partial of one.
        """
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(MODULES)
        number = len(list(streams.iterdir()))
        self._out, self._err = streams / f"{number}.out", streams / f"{number}.err"
        self._out.touch()
        self._process = context.Process(
            target=_run,
            args=(list(map(str, arguments)), folder, self._out, self._err, before),
            daemon=True,
        )
        with mock.patch.dict(os.environ, PYTHONPATH=str(ROOT)):  # of the process that imports
            self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid
        self.stdout = self._lines()

    @property
    def returncode(self) -> int | None:
        """The exit code, minus the number of the signal that killed it, None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        """Wait until it has ended; return all that it printed, to both streams."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("nst_main.py", timeout)
        return self._out.read_text(), self._err.read_text()

    def _lines(self) -> Iterator[str]:
        """The lines of its standard output, as they come."""
        line = ""
        with open(self._out) as file:
            while True:
                ended = self.poll() is not None
                line += file.readline()
                if line.endswith("\n"):
                    yield line
                    line = ""
                elif ended:
                    return
                else:
                    time.sleep(0.02)


def _run(
    arguments: list[str], folder: Path, out: Path, err: Path, before: Callable[[], None] | None
) -> None:
    """Run the program in this process, which was just forked."""
    os.chdir(folder)
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if before:
        before()
    sys.argv = ["nst_main.py", *arguments]
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    import nst_main
    from nst.cli.process import leave

    leave(nst_main.main(own_process=True))
