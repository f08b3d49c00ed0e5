"""Download one file over HTTP, with bounded waits and a checksum."""

import contextlib
import hashlib
import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

CONNECT_SECONDS = 8  # limit of name look-up, connection and first answer together
STALL_SECONDS = 10  # limit of a wait for the next byte
CHUNK = 65_536  # bytes read at a time, at most; after each read the speed is checked
SLOWEST = 2_000  # least average bytes a second, after the first STALL_SECONDS
REMEMBER_SECONDS = 3600  # no new attempt for this long after a failed connection


class DownloadError(Exception):
    """The download failed; no partial file is left."""


class _Unreachable(DownloadError):
    """The server cannot be reached."""


def download(url: str, target: Path, md5: str, say: Callable[[str], None] | None) -> None:
    """Download ``url`` to ``target``, which appears once its MD5 has been checked.

    say: called with a line for the user when the download begins, beside a progress bar; None shows
        neither.

    Raises DownloadError if there is no connection within CONNECT_SECONDS, if the connection stalls
    or breaks, if the MD5 is wrong, and if ``target`` cannot be written.
    """
    marker = target.with_name(f".{target.name}.unreachable")
    if _failed_recently(marker, url):
        raise DownloadError(f"no connection within the last hour; delete {marker} to try again")
    try:
        response = _connect(url)
    except _Unreachable:
        _mark_failure(marker, url)
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
        marker.unlink(missing_ok=True)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise DownloadError(f"connection broken: {type(error).__name__}") from None
    except OSError as error:
        raise DownloadError(f"cannot write {target}: {error.strerror}") from None
    finally:
        for leftover in target.parent.glob(f".{target.name}.*.part"):
            if leftover == temporary or not _has_writer(leftover):
                leftover.unlink(missing_ok=True)


def _connect(url: str) -> requests.Response:
    """Send the request for ``url``; raises DownloadError.

    A thread sends it, as a name look-up takes no time limit.
    """
    answers: queue.Queue[requests.Response | Exception] = queue.Queue()

    def open_url() -> None:
        try:
            response = requests.get(
                url,
                stream=True,
                headers={"Accept-Encoding": "identity"},  # Content-Length is the file's own then
                timeout=(CONNECT_SECONDS, STALL_SECONDS),
            )
            answers.put(response)
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
    """Write the body of a response to ``temporary`` and return its MD5, hexadecimal."""
    digest = hashlib.md5()
    length = response.headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else 0
    received, started = 0, time.monotonic()
    bar = tqdm(total=size or None, unit="B", unit_scale=True, leave=False, disable=quiet or None)
    with bar, open(temporary, "wb") as file:
        while chunk := response.raw.read1(CHUNK):  # what has arrived, however little
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


def _failed_recently(marker: Path, url: str) -> bool:
    """Whether ``marker`` tells of a failed connection to ``url`` in the last REMEMBER_SECONDS."""
    try:
        age = time.time() - marker.stat().st_mtime
        return 0 <= age < REMEMBER_SECONDS and marker.read_text() == url
    except OSError:
        return False


def _mark_failure(marker: Path, url: str) -> None:
    with contextlib.suppress(OSError):  # a read-only folder: the next run tries to connect again
        marker.write_text(url)


def _has_writer(leftover: Path) -> bool:
    """Whether the process that began a partial file, named after its id, still runs."""
    try:
        os.kill(int(leftover.suffixes[-2][1:]), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        pass
    return True
