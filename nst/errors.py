"""What can go wrong, and the exit code of each: the tool's published interface.

Every message names the file or the setting, says what is wrong, and how to mend it.
Exceptions become a line on stderr and an exit code in one place, ``nst_main``.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of ``nst_main.py``. Scripts depend on them: never renumber."""

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
    """An error that the user can mend; its message is one line for the user."""

    exit_code = ExitCode.BUG


class UsageError(NSTError):
    """A setting is out of its range, or two settings contradict each other."""

    exit_code = ExitCode.USAGE


class PictureError(NSTError):
    """An input picture is missing, unreadable, damaged or no picture."""

    exit_code = ExitCode.PICTURE


class WeightsError(NSTError):
    """VGG weights are missing, damaged, not understood, or lack a layer."""

    exit_code = ExitCode.WEIGHTS


class OutputError(NSTError):
    """Results cannot be written."""

    exit_code = ExitCode.OUTPUT


class FullError(OutputError):
    """The disk is full, or can no longer be written."""


class MemoryLimitError(NSTError):
    """The picture asked for does not fit in memory."""

    exit_code = ExitCode.MEMORY


class DivergedError(NSTError):
    """The cost is no longer a finite number."""

    exit_code = ExitCode.DIVERGED


class ClusterError(NSTError):
    """The cluster cannot be reached, or has nothing to work with."""

    exit_code = ExitCode.CLUSTER
