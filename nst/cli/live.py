"""``--live``: a page that shows the picture as it forms.

It answers requests to its own address alone (see ``nst.cli.live_address``), and knows five paths,
none of which is a file.
"""

import contextlib
import json
import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import waitress

from nst.cli.live_address import LiveAddress
from nst.cli.time_left import TimeLeft
from nst.engine.step import Step
from nst.errors import ExitCode
from nst.pages.render import render_page
from nst.pictures.thumbnails import encode_jpeg
from nst.pictures.write import on_white
from nst.runs.batch import Batch, Outcome, Task
from nst.runs.cost_log import CostLog
from nst.runs.folder import RunFolder
from nst.runs.progress import Progress
from nst.settings import Settings

logging.getLogger("waitress").setLevel(logging.CRITICAL + 1)  # the terminal shows the progress

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


class Live(Progress):
    """The server, in threads of its own, and the state that it shows.

    A picture is encoded only when a page asks for it. address, url: of the page.
    """

    def __init__(
        self,
        port: int | None,
        stop: Callable[[], None],
        settings: Settings,
        host: str | None = None,
    ) -> None:
        """Listen. port, host: as of ``LiveAddress``. stop: asks to stop.

        Raises UsageError for a port or an address that cannot be had.
        """
        self._stop, self._settings = stop, settings
        self._lock = threading.Lock()
        self._total = 1
        self._runs: dict[int, _Run] = {}  # the pictures that are being made
        self._shown: _Run | None = None
        self._encoded: tuple[str, bytes] | None = None
        self._status, self._message = RUNNING, "getting ready"
        self._last_line = ""
        self._last_request = -math.inf  # of a page
        self._final_state_sent = False  # to a page
        self.address = LiveAddress(host, port)
        self.url = self.address.url
        self._server = waitress.create_server(
            self._answer,
            sockets=[self.address.socket],
            threads=2,
            ident=None,
            connection_limit=100,
            channel_timeout=20,
            max_request_header_size=16_384,
            max_request_body_size=1024,
            clear_untrusted_proxy_headers=True,
        )
        threading.Thread(target=self._server.run, name="live view", daemon=True).start()

    # Callbacks of Progress, in the main thread.

    def say(self, line: str) -> None:
        """Keep the line: the last one says how a stopped run is resumed."""
        self._last_line = line

    def plan(self, batch: Batch) -> None:
        """Take how many pictures there are."""
        self._total = len(batch.tasks)

    def start(self, task: Task, folder: RunFolder) -> None:
        """Begin the state of a picture."""
        log = CostLog(folder.log.layers)
        log.load(folder.log.dump())  # of a resumed run
        time_left = TimeLeft(folder.job.settings, folder.job.size)
        with self._lock:
            run = self._runs[task.number] = _Run(task, log, time_left)
            self._message = "measuring content and style"
            self._show(run)

    def step(self, task: Task, step: Step) -> None:
        """Take the state after an iteration."""
        with self._lock:
            run = self._runs[task.number]
            run.add(step.without_state())
            self._message = ""
            self._show(run)

    def end(self, outcome: Outcome) -> None:
        """A picture is finished, or failed."""
        with self._lock:
            self._runs.pop(outcome.task.number, None)

    def summary(self, batch: Batch, outcomes: Sequence[Outcome], gallery: Path | None) -> None:
        """The command is done."""
        self._close_state("finished", "finished")

    def fail(self, message: str, code: ExitCode) -> None:
        """The command ends early; the last line says how a stopped run is resumed."""
        stopped = code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED)
        self._close_state("stopped", self._last_line if stopped and self._last_line else message)

    def _close_state(self, status: str, message: str) -> None:
        with self._lock:
            self._status, self._message = status, message

    def _show(self, run: "_Run") -> None:
        """Show a run, unless another one that is not finished is shown."""
        if self._shown is None or self._shown.task.number not in self._runs:
            self._shown = run

    @property
    def is_watched(self) -> bool:
        """Whether a page sent a request within the last LINGER seconds."""
        return time.monotonic() - self._last_request < LINGER

    def close(self) -> None:
        """Let a page that is open see the last state, and end the server; a signal ends it now."""
        with contextlib.suppress(KeyboardInterrupt):
            if self.is_watched:
                deadline = time.monotonic() + LINGER
                while not self._final_state_sent and time.monotonic() < deadline:
                    time.sleep(0.05)
                time.sleep(0.5)  # for its last picture
        # By its own thread, which would find its sockets gone in the middle of its work; not before
        # it has been woken, as what wakes it is closed, too.
        woken = threading.Event()

        def close_server() -> None:
            woken.wait()
            self._server.close()

        self._server.trigger.pull_trigger(close_server)
        woken.set()

    # Answers, in the threads of the server.

    def _answer(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        """The WSGI application."""
        status, kind, body = self._respond(environ)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), **HEADERS}
        start_response(status, list(headers.items()))
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    def _respond(self, environ: dict[str, Any]) -> tuple[str, str, bytes]:
        plain = "text/plain; charset=utf-8"
        method = environ["REQUEST_METHOD"]
        path = self.address.path(environ.get("HTTP_HOST", ""), environ["PATH_INFO"])
        if path is None:
            return "403 Forbidden", plain, b"this address is not served"
        if path == "/stop":
            if method != "POST":
                return "405 Method Not Allowed", plain, b"POST only"
            token = environ.get("HTTP_X_TOKEN", "")
            if not secrets.compare_digest(token.encode(), self.address.token.encode()):
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
        return render_page("live.html", token=self.address.token)

    def _state(self) -> bytes:
        with self._lock:
            state = {"status": self._status, "message": self._message, "total": self._total}
            if run := self._shown:
                state |= {"name": run.task.name, "number": run.task.number}
            if run and (step := run.step):
                names = ("iteration", "epochs", "scale", "scales")
                state |= {name: getattr(step, name) for name in names}
                state["left"] = None if run.left is None else round(run.left)
            if run and run.pictured:
                state["picture"] = run.image_name
        self._last_request = time.monotonic()
        self._final_state_sent = state["status"] != RUNNING
        return json.dumps(state).encode()

    def _costs(self) -> bytes:
        with self._lock:
            curves = self._shown.log.curves(POINTS) if self._shown else CostLog([]).curves()
        return json.dumps(curves).encode()

    def _picture(self) -> bytes:
        """The JPEG of the last picture, made once."""
        with self._lock:
            if self._shown is None or self._shown.pictured is None:
                return b""
            name, step = self._shown.image_name, self._shown.pictured
            encoded = self._encoded
        if encoded is None or encoded[0] != name:
            encoded = name, encode_jpeg(on_white(step.picture, None), SIDE)
            with self._lock:
                self._encoded = encoded
        return encoded[1]


@dataclass
class _Run:
    """One picture that is being made.

    pictured: the last step that came with an image, which is asked for when the page asks.
    image_name: changes with every image.
    """

    task: Task
    log: CostLog
    time_left: TimeLeft
    step: Step | None = None
    pictured: Step | None = None
    image_name: str = ""
    left: float | None = None

    def add(self, step: Step) -> None:
        """Take the next step; after the loss of a worker it may be an earlier one again."""
        if self.step and step.iteration <= self.step.iteration:
            self.log.rewind(step.iteration - 1)
        self.log.add(step)
        self.step, self.left = step, self.time_left.after(step)
        if step.source is not None:
            self.pictured, self.image_name = step, f"{self.task.number}-{step.iteration}"
