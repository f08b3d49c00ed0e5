"""The memory, the processors and the threads that this process may take.

That is what the machine has, less what others hold, within the limits that the kernel enforces:
control groups (Slurm, systemd, containers) and resource limits (``ulimit``). Where such a limit is
passed, the kernel kills the process or refuses memory to libraries that then crash; so plans keep
within them. All limits are read below a folder ``root``, which is ``/`` but in tests.
"""

import ctypes
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nst.control_groups import groups, read_lines, read_number, read_table
from nst.errors import MemoryLimitError
from nst.text import memory_option, memory_text

ROOT = Path("/")
# Files of a control group, of version 2 and 1. Above memory.high the kernel does not kill, but
# takes memory back so hard that a run all but stops.
MEMORY_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.high", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
# Resource limits: line of /proc/self/limits, line of /proc/self/status that counts, and command.
MEMORY_RESOURCES = (
    ("Max address space", "VmSize", "ulimit -v"),
    ("Max data size", "VmData", "ulimit -d"),
)
# Bytes of a resource limit that a forecast of memory takes: it counts what is resident, but there
# are heaps, stacks and buffers of which less is used than was asked for. 1.3 to 1.43 of the growth
# were measured, for tilings of 6 megapixels.
RESOURCE_RESERVE = 0.2e9
RESOURCE_GROWTH = 1.45
# Bytes that TensorFlow 2.21 for processors, its threads' stacks excepted, and the weights take of a
# limit before the first forecast, which counts what is there by then.
LOADING_BYTES = {"ulimit -v": 1.65e9, "ulimit -d": 0.4e9}
LOADING_MEMORY = 0.5e9  # likewise of any other limit
THREAD_STACK = 2**21  # bytes, by glibc where the stack is unlimited
THREADS_A_PROCESSOR = 3  # two pools of TensorFlow, one of NumPy
OTHER_THREADS = 12  # of this program: saving, painting ahead, progress, live view
M_ARENA_MAX = -8  # of mallopt, from malloc.h
LONGEST_COUNT = 2**62  # limits above it are none


@dataclass(frozen=True)
class MemoryLimit:
    """A limit of memory that the kernel enforces.

    total: its value. unused: what is left of it; both in bytes. name: what it is.
    """

    total: int
    unused: int
    name: str

    @property
    def left(self) -> int:
        """Bytes of memory that this process may still take; below 0 if it has too much."""
        if self.name in LOADING_BYTES:
            return int((self.unused - RESOURCE_RESERVE) / RESOURCE_GROWTH)
        return self.unused

    def advice(self, memory: float) -> str:
        """How to raise it so that ``memory`` bytes are left."""
        if self.name in LOADING_BYTES:
            memory = memory * RESOURCE_GROWTH + RESOURCE_RESERVE
        return self.raised(memory - self.unused)

    def raised(self, more: float) -> str:
        """How to raise it by ``more`` bytes."""
        if self.name in LOADING_BYTES:
            kilobytes = 1.01 * (self.total + more) / 1024  # processes of a kind differ by as much
            return f"raise {self.name} to {math.ceil(kilobytes / 1e4) * 10_000}"
        return (
            f"raise the limit of {memory_text(self.total)} in {self.name} to "
            f"{memory_option(self.total + more)}"
        )


def free_memory(root: Path = ROOT) -> int:
    """Bytes that this process may still take: free in the machine and within every limit."""
    import psutil

    limit = memory_limit(root)
    free = psutil.virtual_memory().available
    return max(0, min(free, limit.left) if limit else free)


def memory_limit(root: Path = ROOT) -> MemoryLimit | None:
    """The limit that leaves this process the least memory; None if there is none.

    Files that the kernel only caches do not count as taken, and swap space not as memory.
    """
    limits = [*_group_limits(root), *_resource_limits(root)]
    return min(limits, key=lambda limit: limit.left, default=None)


def processors(root: Path = ROOT) -> int:
    """Processors that this process may keep busy, at least 1: by its affinity and its quotas.

    A quota of 1.5 processors counts as 2.
    """
    number: float = schedulable()
    for group in groups("cpu", root):
        quota, period = (read_lines(group / "cpu.max") or ["max"])[0].partition(" ")[::2]
        if quota != "max":
            number = min(number, _processors(quota, period))
        number = min(
            number,
            _processors(
                str(read_number(group / "cpu.cfs_quota_us")),
                str(read_number(group / "cpu.cfs_period_us")),
            ),
        )
    return max(1, math.ceil(number))


def schedulable() -> int:
    """Processors that the scheduler gives this process, for which TensorFlow makes its threads."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def lacks_avx(root: Path = ROOT) -> bool:
    """Whether this is an x86 processor without AVX, which the packages of TensorFlow ask for."""
    flags = [line for line in read_lines(root / "proc/cpuinfo") if line.startswith("flags\t")]
    return bool(flags) and "avx" not in flags[0].split()


def choose_threads(asked: int | None = None, root: Path = ROOT) -> int:
    """Threads for each pool of TensorFlow: ``asked``, or one for each processor.

    Without ``asked`` fewer where the limit of threads leaves room for fewer.
    Raises MemoryLimitError if that limit is too low, or too low for ``asked``.
    """
    threads = asked or processors(root)
    limit = _thread_limit(root)
    if limit is None:
        return threads
    left, name = limit
    most = (left - OTHER_THREADS) // THREADS_A_PROCESSOR
    if most < (asked or 1):
        needed = OTHER_THREADS + THREADS_A_PROCESSOR * (asked or 1)
        other = f", or use --threads {most}" if most > 0 else ""
        raise MemoryLimitError(
            f"{name} leaves room for {max(0, left)} processes and threads, and {needed} are "
            f"needed; raise it by {needed - left}{other}"
        )
    return min(threads, most)


def check_loading(threads: int, root: Path = ROOT) -> None:
    """Raise MemoryLimitError if TensorFlow with ``threads`` would not fit into a limit of memory.

    Past this check the forecast of a picture counts what was really taken.
    """
    for limit in (*_group_limits(root), *_resource_limits(root)):
        needed = LOADING_BYTES.get(limit.name, LOADING_MEMORY)
        if limit.name == "ulimit -v":
            needed += THREADS_A_PROCESSOR * threads * _stack_bytes(root)
        if needed > limit.unused:
            raise MemoryLimitError(
                f"TensorFlow and the network need {memory_text(needed)} of memory, and "
                f"{memory_text(max(0, limit.unused))} are left; "
                f"{limit.raised(needed - limit.unused)}"
            )


def save_address_space(root: Path = ROOT) -> None:
    """Let threads share two heaps where the address space is limited.

    Else the C library reserves 64 MB of it for each thread.
    """
    if any(limit.name == "ulimit -v" for limit in _resource_limits(root)):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt:
            mallopt(M_ARENA_MAX, 2)


def _group_limits(root: Path) -> Iterator[MemoryLimit]:
    for group in groups("memory", root):
        for limit_file, taken_file, cached in MEMORY_FILES:
            total, taken = read_number(group / limit_file), read_number(group / taken_file)
            if total is None or taken is None or total > LONGEST_COUNT:
                continue
            cache = _count(read_table(group / "memory.stat").get(cached, ""))
            name = f"/{(group / limit_file).relative_to(root)}"
            yield MemoryLimit(total, total - max(0, taken - cache), name)


def _resource_limits(root: Path) -> Iterator[MemoryLimit]:
    status = read_table(root / "proc/self/status", ":")
    for line, counts, name in MEMORY_RESOURCES:
        total, taken = _resource_limit(root, line), _count(status.get(counts, ""))
        if total is not None:
            yield MemoryLimit(total, total - 1024 * taken, name)


def _resource_limit(root: Path, name: str) -> int | None:
    """The soft limit in a line of /proc/self/limits; None if it is unlimited."""
    for line in read_lines(root / "proc/self/limits"):
        if found := re.match(rf"{name} +(\d+) ", line):
            return int(found[1])
    return None


def _stack_bytes(root: Path) -> int:
    """Bytes of the stack of a new thread."""
    return _resource_limit(root, "Max stack size") or THREAD_STACK


def _processors(quota: str, period: str) -> float:
    """Processors of a quota, both in microseconds; infinite without one."""
    if quota.isdigit() and period.isdigit() and int(period):
        return int(quota) / int(period)
    return math.inf


def _count(text: str) -> int:
    """The whole number that a text begins with; 0 without one."""
    found = re.match(r"\d+", text)
    return int(found[0]) if found else 0


def _thread_limit(root: Path) -> tuple[int, str] | None:
    """(threads that this process may have in all, name of the limit); None without a limit."""
    limits = []
    status = read_table(root / "proc/self/status", ":")
    own = _count(status.get("Threads", ""))
    for group in groups("pids", root):
        total, taken = read_number(group / "pids.max"), read_number(group / "pids.current")
        if total is not None and taken is not None:
            limits.append((total - taken + own, f"/{(group / 'pids.max').relative_to(root)}"))
    total = _resource_limit(root, "Max processes")
    user = status.get("Uid", "").split()[:1]
    if total is not None and user != ["0"]:  # it does not hold for root
        others = sum(
            _count(table.get("Threads", ""))
            for table in (read_table(path / "status", ":") for path in _processes(root))
            if table.get("Uid", "").split()[:1] == user
        )
        limits.append((total - others + own, "ulimit -u"))
    return min(limits, default=None)


def _processes(root: Path) -> list[Path]:
    """The folders of all processes that can be seen, this one included."""
    try:
        return [path for path in (root / "proc").iterdir() if path.name.isdigit()]
    except OSError:
        return []
