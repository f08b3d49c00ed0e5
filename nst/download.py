"""Fetch one file over HTTP: bounded waits, checksum before the file takes its name."""

import contextlib
import hashlib
import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

import requests
from tqdm import tqdm

CONNECT_SECONDS = 8  # name look-up, connection and first answer, all together
STALL_SECONDS = 10  # without a byte
SLOWEST = 2_000  # bytes a second, on average after the first STALL_SECONDS
# After a failed connection the next runs do not wait for the network again for a while.
REMEMBER_SECONDS = 3600


class DownloadError(Exception):
    """The file could not be fetched; nothing was left behind."""


class _Unreachable(DownloadError):
    """There is no connection to the server."""


def download(url: str, target: Path, md5: str, say: Callable[[str], None] | None) -> None:
    """Fetch ``url`` to ``target`` with a progress bar; ``say`` announces it, None shows neither.

    Raises DownloadError when there is no connection within CONNECT_SECONDS, the connection stalls
    or breaks, the MD5 is wrong, or ``target`` cannot be written.
    """
    failed = target.with_name(f".{target.name}.unreachable")
    if _failed_lately(failed, url):
        raise DownloadError(f"no connection within the last hour; delete {failed} to try again")
    try:
        response = _connect(url)
    except _Unreachable:
        _remember(failed, url)
        raise
    if not response.ok:
        raise DownloadError(f"the server answered {response.status_code} {response.reason}")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with response:
            if say:
                say(f"Downloading {target.name} (once)")
            digest = _fetch(response, temporary, quiet=say is None)
        if digest != md5:
            raise DownloadError(f"wrong checksum: MD5 {digest}, expected {md5}")
        os.replace(temporary, target)
        failed.unlink(missing_ok=True)
    except requests.RequestException as error:
        raise DownloadError(f"connection broken: {type(error).__name__}") from None
    except OSError as error:
        raise DownloadError(f"cannot write {target}: {error.strerror}") from None
    finally:
        for leftover in target.parent.glob(f".{target.name}.*.part"):
            if leftover == temporary or not _alive(leftover):
                leftover.unlink(missing_ok=True)


def _connect(url: str) -> requests.Response:
    """Open ``url``. A thread, because a name look-up cannot be given a time limit."""
    answers: queue.Queue = queue.Queue()

    def open_url() -> None:
        try:
            plain = {"Accept-Encoding": "identity"}  # so that Content-Length counts the file
            times = (CONNECT_SECONDS, STALL_SECONDS)
            answers.put(requests.get(url, stream=True, headers=plain, timeout=times))
        except Exception as error:  # raised below, in the caller's thread
            answers.put(error)

    threading.Thread(target=open_url, daemon=True).start()
    try:
        answer = answers.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise _Unreachable(f"no answer within {CONNECT_SECONDS} s") from None
    if isinstance(answer, requests.ConnectionError | requests.Timeout):
        raise _Unreachable("no connection")
    if isinstance(answer, Exception):
        raise DownloadError(f"{url} cannot be fetched: {type(answer).__name__}")
    return answer


def _fetch(response: requests.Response, temporary: Path, quiet: bool) -> str:
    """Write the body to ``temporary`` and return its MD5."""
    digest = hashlib.md5()
    length = response.headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else 0
    received, started = 0, time.monotonic()
    bar = tqdm(total=size or None, unit="B", unit_scale=True, leave=False, disable=quiet or None)
    with bar, open(temporary, "wb") as file:
        for chunk in response.iter_content(1 << 16):
            file.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            bar.update(len(chunk))
            seconds = time.monotonic() - started
            if seconds > STALL_SECONDS and received < SLOWEST * seconds:
                raise DownloadError("the connection is too slow")
        file.flush()
        os.fsync(file.fileno())
    if size and received != size:
        raise DownloadError(f"connection broken after {received:,} of {size:,} bytes")
    return digest.hexdigest()


def _failed_lately(failed: Path, url: str) -> bool:
    try:
        age = time.time() - failed.stat().st_mtime
        return 0 <= age < REMEMBER_SECONDS and failed.read_text() == url
    except OSError:
        return False


def _remember(failed: Path, url: str) -> None:
    with contextlib.suppress(OSError):  # a read-only folder: the next run asks the network again
        failed.write_text(url)


def _alive(leftover: Path) -> bool:
    """Whether the process that writes this partial file still runs."""
    try:
        os.kill(int(leftover.suffixes[-2][1:]), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        pass
    return True
