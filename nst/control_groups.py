"""The control groups of Linux (cgroups, version 1 and 2) that this process is in.

Slurm, systemd, Docker and Kubernetes limit a job by them. A group is a folder of files, one for
each limit; the groups above it limit it, too. All files are read below a folder ``root``, which is
``/`` but in tests.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

VERSION_2 = ""  # the name of its hierarchy in /proc/self/cgroup


def groups(controller: str, root: Path) -> Iterator[Path]:
    """Yield the folders of the groups of this process, each before the one above it.

    controller: ``memory``, ``cpu`` or ``pids``. The folders are those of version 1 for this
    controller, and all of version 2, as far up as can be seen from here; a folder need not have
    files of the controller. Yields nothing where there are no control groups.
    """
    paths: dict[str, str] = {}
    for line in read_lines(root / "proc/self/cgroup"):
        names, _, path = line.partition(":")[2].partition(":")
        paths.update((name, path) for name in names.split(","))
    for line in read_lines(root / "proc/self/mountinfo"):
        mount, _, system = line.partition(" - ")
        kind, _, options = (*system.split(" ", 2), "", "", "")[:3]
        if kind == "cgroup2":
            hierarchy = VERSION_2
        elif kind == "cgroup" and controller in options.split(","):
            hierarchy = controller
        else:
            continue
        if hierarchy not in paths:
            continue
        # The folder ``mounted`` of the hierarchy is what is seen at ``point``.
        mounted, point = map(_unescape, mount.split(" ")[3:5])
        top = root / point.lstrip("/")
        try:
            below = PurePosixPath(paths[hierarchy]).relative_to(mounted)
        except ValueError:  # a container that sees its own group at ``point``
            below = PurePosixPath()
        if ".." in below.parts:  # a group outside what this namespace sees
            below = PurePosixPath()
        yield from ((top / below), *((top / parent) for parent in below.parents))


def read_number(path: Path) -> int | None:
    """The whole number in a file; None for ``max``, for anything else and without the file."""
    lines = read_lines(path)
    return int(lines[0]) if lines and re.fullmatch(r"-?\d+", lines[0]) else None


def read_table(path: Path, separator: str = " ") -> dict[str, str]:
    """The lines ``name value`` of a file, as {name: value}; {} without the file."""
    pairs = (line.split(separator, 1) for line in read_lines(path))
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}


def read_lines(path: Path) -> list[str]:
    """The lines of a file; [] if it cannot be read."""
    try:
        return path.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []


def _unescape(path: str) -> str:
    """A path of mountinfo, where spaces and the like are octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)
