"""Files that appear whole or not at all, and hashes of files."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name beside ``path`` to write to; then flush that to disk and rename it to ``path``.

    Raises OSError if that fails, and then leaves nothing behind; an earlier ``path`` stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
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
    """Write ``data`` to ``path`` as ``replacing`` does; raises OSError.

    data: bytes, or a function that writes them to the file that it is given.
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
