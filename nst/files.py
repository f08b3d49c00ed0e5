"""Atomic writes, hashes, JSON objects, locks on folders, and the error of a failed write."""

import contextlib
import errno
import hashlib
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from nst.errors import FullError, OutputError

try:
    import fcntl
except ImportError:  # Windows, where folders are not locked
    fcntl = None  # type: ignore[assignment]

LARGEST_JSON = 1_000_000  # bytes; larger files are not read


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; at the end, sync that file and rename it to ``path``.

    After an exception the temporary file is deleted and ``path`` is as before. Raises OSError if
    the file cannot be synced or renamed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_native_id()}.part")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, data: bytes | Callable[[BinaryIO], None]) -> None:
    """Write ``data`` to ``path``, whole or not at all; raises OSError.

    data: bytes, or a function that writes them to an open binary file.
    """
    with replacing(path) as temporary, open(temporary, "wb") as file:
        if callable(data):
            data(file)
        else:
            file.write(data)


def file_hash(path: Path, algorithm: str = "sha256") -> str:
    """Return the hexadecimal digest of a file; raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; {} if the file is missing, too large or holds no such object."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_JSON:
            return {}
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def lock_folder(folder: Path) -> int | None:
    """Lock a folder against other processes and return a handle for ``unlock_folder``.

    Returns None if another process holds the lock. Raises OSError if the folder does not exist.
    On systems and file systems without locks every request succeeds.
    """
    if fcntl is None:
        return -1
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:
        pass  # a file system without locks
    return handle


def unlock_folder(handle: int | None) -> None:
    """Release a lock; does nothing for None."""
    if handle is not None and handle >= 0:
        os.close(handle)


def output_error(path: Path, error: OSError) -> OutputError:
    """The error for a failed write to ``path``: FullError if later writes must fail, too."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "free some space or change --output_dir"
        return FullError(f"{path}: {error.strerror}; {advice}")
    if error.errno == errno.EROFS:
        return FullError(f"{path}: {error.strerror}; change --output_dir")
    return OutputError(f"{path}: {error.strerror}; fix that, or change --output_dir")
