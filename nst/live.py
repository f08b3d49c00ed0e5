"""``--live``: a page on this machine's own address that shows the picture as it forms.

It answers on 127.0.0.1 alone, to requests that name that host (what a browser was led to by another
name gets nothing), and knows five addresses, none of which is a file.
"""

import contextlib
import json
import logging
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import waitress

from nst import pages, thumbnails
from nst.batch import Batch, Outcome, Task
from nst.console import Console
from nst.cost_log import CostLog
from nst.encode import on_white
from nst.errors import ExitCode, UsageError
from nst.pace import Pace
from nst.run_folder import RunFolder
from nst.settings import LIVE_PORT, Settings
from nst.step import Step

logging.getLogger("waitress").setLevel(logging.CRITICAL + 1)  # the terminal shows the progress

HOST = "127.0.0.1"
SIDE = 800  # pixels along the long side of the picture that is shown, at most
POINTS = 300  # of a curve
LINGER = 3.0  # seconds that a page that is looked at has for the last state; it asks every 2 s
RUNNING = "running"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Live:
    """The server, in threads of its own, and what it shows.

    It does nothing for a picture that nobody asks for. url: of the page.
    """

    def __init__(self, port: int | None, stop: Callable[[], None], settings: Settings) -> None:
        """Listen. port: None for LIVE_PORT or any free one, 0 for any free one. stop: asks to stop.

        Raises UsageError for a port that cannot be had.
        """
        self._stop, self._settings = stop, settings
        self._token = secrets.token_urlsafe()
        self._lock = threading.Lock()
        self._total = 1
        self._runs: dict[int, _Run] = {}  # of the pictures that are being made
        self._run: _Run | None = None  # that is shown
        self._encoded: tuple[str, bytes] | None = None
        self._status, self._message = RUNNING, "getting ready"
        self._asked = -math.inf  # when a page asked last
        self._told = False  # whether it was told the last state
        listening = _listen(port)
        number = listening.getsockname()[1]
        self.url = f"http://{HOST}:{number}/"
        self._hosts = {f"{name}:{number}" for name in (HOST, "localhost")}
        self._server = waitress.create_server(
            self._answer,
            sockets=[listening],
            threads=2,
            ident=None,
            connection_limit=100,
            channel_timeout=20,
            max_request_header_size=16_384,
            max_request_body_size=1024,
            clear_untrusted_proxy_headers=True,
        )
        threading.Thread(target=self._server.run, name="live view", daemon=True).start()

    # What is told of the progress, by the main thread.

    def plan(self, batch: Batch) -> None:
        """Take how many pictures there are."""
        self._total = len(batch.tasks)

    def start(self, task: Task, folder: RunFolder) -> None:
        """A picture is begun."""
        layers = [name for name, _ in self._settings.used_style_layers]
        pace = Pace(folder.job.settings, folder.job.size)
        log = CostLog(layers)
        if folder.checkpoint:
            log.load(folder.checkpoint.log)
        with self._lock:
            run = self._runs[task.number] = _Run(task, log, pace)
            self._message = "measuring content and style"
            self._look_at(run)

    def step(self, task: Task, step: Step) -> None:
        """An iteration is done."""
        with self._lock:
            run = self._runs[task.number]
            run.add(replace(step, position=None))  # whose memory is wanted
            self._message = ""
            self._look_at(run)

    def _look_at(self, run: "_Run") -> None:
        """Show a run, unless another one is shown that goes on."""
        if self._run is None or self._run.task.number not in self._runs:
            self._run = run

    def leave(self, task: Task) -> None:
        """A picture is finished, or failed."""
        with self._lock:
            self._runs.pop(task.number, None)

    def end(self, status: str, message: str) -> None:
        """It is over. status: ``finished`` or ``stopped``."""
        with self._lock:
            self._status, self._message = status, message

    @property
    def looked_at(self) -> bool:
        """Whether a page has asked within the last seconds."""
        return time.monotonic() - self._asked < LINGER

    def close(self) -> None:
        """Let a page that is open see the last state, and end the server; a signal ends it now."""
        with contextlib.suppress(KeyboardInterrupt):
            if self.looked_at:
                deadline = time.monotonic() + LINGER
                while not self._told and time.monotonic() < deadline:
                    time.sleep(0.05)
                time.sleep(0.5)  # for its last picture
        # By its own thread, which would find its sockets gone in the middle of its work.
        self._server.trigger.pull_trigger(self._server.close)

    # What is asked for, by the server's threads.

    def _answer(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        """The WSGI application."""
        status, kind, body = self._respond(environ)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), **HEADERS}
        start_response(status, list(headers.items()))
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    def _respond(self, environ: dict[str, Any]) -> tuple[str, str, bytes]:
        plain = "text/plain; charset=utf-8"
        if environ.get("HTTP_HOST", "") not in self._hosts:
            return "403 Forbidden", plain, b"this address is not served"
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path == "/stop":
            if method != "POST":
                return "405 Method Not Allowed", plain, b"POST only"
            token = environ.get("HTTP_X_TOKEN", "")
            if not secrets.compare_digest(token.encode(), self._token.encode()):
                return "403 Forbidden", plain, b"only the page itself may stop the run"
            if self._status == RUNNING:
                self._stop()
            return "200 OK", plain, b"stopping"
        get = {
            "/": ("text/html; charset=utf-8", self._page),
            "/state": ("application/json", self._state),
            "/costs": ("application/json", self._costs),
            "/picture.jpg": ("image/jpeg", self._picture),
        }
        if path not in get:
            return "404 Not Found", plain, b"there is nothing here"
        if method not in ("GET", "HEAD"):
            return "405 Method Not Allowed", plain, b"GET only"
        kind, make = get[path]
        body = make()
        return ("200 OK", kind, body) if body else ("404 Not Found", plain, b"no picture yet")

    def _page(self) -> bytes:
        return pages.render("live.html", token=self._token)

    def _state(self) -> bytes:
        with self._lock:
            found = {"status": self._status, "message": self._message, "total": self._total}
            if run := self._run:
                found |= {"name": run.task.name, "number": run.task.number}
            if run and (step := run.step):
                names = ("iteration", "epochs", "scale", "scales")
                found |= {name: getattr(step, name) for name in names}
                found["left"] = None if run.left is None else round(run.left)
            if run and run.pictured:
                found["picture"] = run.name_of_picture
        self._asked = time.monotonic()
        self._told = found["status"] != RUNNING
        return json.dumps(found).encode()

    def _costs(self) -> bytes:
        with self._lock:
            curves = self._run.log.curves(POINTS) if self._run else CostLog([]).curves()
        return json.dumps(curves).encode()

    def _picture(self) -> bytes:
        """The JPEG of the last picture, made once."""
        with self._lock:
            if self._run is None or self._run.pictured is None:
                return b""
            name, image = self._run.name_of_picture, self._run.pictured.image
            encoded = self._encoded
        if encoded is None or encoded[0] != name:
            encoded = name, thumbnails.jpeg(on_white(image, None), SIDE)
            with self._lock:
                self._encoded = encoded
        return encoded[1]


@dataclass
class _Run:
    """One picture that is being made. pictured: the last step that came with its image."""

    task: Task
    log: CostLog
    pace: Pace
    step: Step | None = None
    pictured: Step | None = None
    left: float | None = None

    @property
    def name_of_picture(self) -> str:
        """Another one for every picture."""
        return f"{self.task.number}-{self.pictured.iteration}"

    def add(self, step: Step) -> None:
        """Take the next step; after the loss of a worker it may be an earlier one again."""
        if self.step and step.iteration <= self.step.iteration:
            self.log.rewind(step.iteration - 1)
        self.log.add(step)
        self.step, self.left = step, self.pace.left(step)
        if step.image is not None:
            self.pictured = step


def _listen(port: int | None) -> socket.socket:
    for wanted in (LIVE_PORT, 0) if port is None else (port,):
        try:
            return socket.create_server((HOST, wanted))
        except OSError as error:
            refused = error
    reason = os.strerror(refused.errno)
    raise UsageError(f"live: port {port}: {reason}; give another one, or leave the number out")


class Both:
    """Tells the console and the live view of the progress; it is the console in all else."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console, self._live = console, live
        self._said = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._console, name)

    def say(self, line: str) -> None:
        """A remark."""
        self._console.say(line)
        self._said = line

    def plan(self, batch: Batch) -> None:
        """What is about to be done."""
        self._console.plan(batch)
        self._live.plan(batch)

    def start(self, task: Task, folder: RunFolder) -> None:
        """A picture is begun."""
        self._console.start(task, folder)
        self._live.start(task, folder)

    def step(self, task: Task, step: Step) -> None:
        """An iteration is done."""
        self._console.step(task, step)
        self._live.step(task, step)

    def end(self, outcome: Outcome) -> None:
        """A picture is finished, or failed."""
        self._console.end(outcome)
        self._live.leave(outcome.task)

    def summary(self, batch: Batch, outcomes: Iterable[Outcome], gallery: Any) -> None:
        """All is done."""
        self._console.summary(batch, outcomes, gallery)
        self._live.end("finished", "finished")

    def fail(self, error: str, code: ExitCode) -> None:
        """It ends early; how it can go on was said before."""
        self._console.fail(error, code)
        stopped = code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED) and self._said
        self._live.end("stopped", self._said if stopped else error)
