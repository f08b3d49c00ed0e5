"""The errors that users meet, and their exit codes, which are part of the public interface.

Every message names the file or the setting, says what is wrong and how to fix it. ``nst_main``
alone turns these exceptions into a line on stderr and an exit code.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of ``nst_main.py``. Scripts depend on them: never renumber them."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    PICTURE = 3
    WEIGHTS = 4
    OUTPUT = 5
    MEMORY = 6
    DIVERGED = 7
    CLUSTER = 8
    BUG = 70
    INTERRUPTED = 130
    TERMINATED = 143


class NSTError(Exception):
    """An error that the user can fix. Its message is one line."""

    exit_code = ExitCode.BUG


class UsageError(NSTError):
    """A setting is out of range, or settings contradict each other."""

    exit_code = ExitCode.USAGE


class TensorFlowError(NSTError):
    """TensorFlow is installed but cannot be imported, or is in a mode that cannot be used."""

    exit_code = ExitCode.USAGE


class PictureError(NSTError):
    """An input picture is missing, unreadable, damaged, or not a picture."""

    exit_code = ExitCode.PICTURE


class WeightsError(NSTError):
    """VGG weights are missing, damaged, of unknown format, or lack a layer."""

    exit_code = ExitCode.WEIGHTS


class OutputError(NSTError):
    """Results cannot be written."""

    exit_code = ExitCode.OUTPUT


class FullError(OutputError):
    """The disk is full or read-only: no later write can succeed either."""


class MemoryLimitError(NSTError):
    """The picture does not fit in memory, or its threads into their limit."""

    exit_code = ExitCode.MEMORY


class DivergedError(NSTError):
    """The cost is no longer a finite number."""

    exit_code = ExitCode.DIVERGED


class ClusterError(NSTError):
    """The cluster cannot be reached or has no resources."""

    exit_code = ExitCode.CLUSTER
