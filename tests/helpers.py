"""What the tests call: the options of a quick run, comparisons of files, stops and waits."""

import contextlib
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from subprocess import Popen

    from preloaded import Preloaded

    Process = Popen[str] | Preloaded

ROOT = Path(__file__).resolve().parent.parent
SHALLOW = ("--content_layers", "conv2_2", "--style_layers", "conv1_1", "conv2_1")
QUICK = (
    *("--image_size", 48, "--epochs", 4, "--print_every", 2, "--precision", "float32"),
    *SHALLOW,  # a fourth of the time
)
USUAL_STYLE_LAYERS = ("--style_layers", *(f"conv{block}_1" for block in range(1, 6)))
# A loss that matches positions has layers of its own: the usual ones count as not given.
MATCHING = (*USUAL_STYLE_LAYERS, "--style_loss", "neighbours")


SCHEMA = json.loads((ROOT / "nst/runs/run.schema.json").read_text())


class Outcome:
    """What a call of the command line did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


class Visit:
    """A page in a browser, with what it asked for and what it complained of."""

    def __init__(self, browser, address: str, **options: object) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console",
            lambda told: self.errors.append(told.text) if told.type in ("error", "warning") else 0,
        )
        self.page.goto(address)

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)


def run_json(folder: Path) -> dict[str, Any]:
    """The ``run.json`` of a folder, which is as its schema says."""
    import jsonschema  # late: few tests need it

    found = json.loads((folder / "run.json").read_text())
    jsonschema.validate(found, SCHEMA, jsonschema.Draft202012Validator)
    return found


def pixels(path: Path) -> np.ndarray:
    """The pixels of a picture file as Pillow reads them."""
    with Image.open(path) as image:
        return np.asarray(image)


def same_files(one: Path, other: Path) -> None:
    """Assert that two output folders hold the same, but for what tells times and paths."""
    found = [
        {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
        for folder in (one, other)
    ]
    assert found[0] == found[1]
    for name in found[0]:
        files = [folder / name for folder in (one, other)]
        if name.name == "costs.csv":
            rows = [[row.split(",") for row in file.read_text().splitlines()] for file in files]
            without_seconds = [[row[:2] + row[3:] for row in table] for table in rows]
            assert without_seconds[0] == without_seconds[1], name
        elif name.suffix == ".png" or name.name in ("style_costs.csv", "thumbnail.jpg"):
            assert files[0].read_bytes() == files[1].read_bytes(), name


def wait_for(
    wanted: Path | Callable[[], object],
    process: "Process | None" = None,
    seconds: float = 120,
) -> None:
    """Wait until a file exists or a condition holds; fail at a deadline, or if a process ends."""
    condition = wanted.exists if isinstance(wanted, Path) else wanted
    deadline = time.monotonic() + seconds
    while not condition():
        ended = process is not None and process.poll() is not None
        if time.monotonic() > deadline or (ended and not condition()):
            if process is None:
                raise AssertionError(f"{wanted}: not within {seconds} seconds")
            process.kill()
            raise AssertionError(f"{wanted}: {process.communicate()[1]}")
        time.sleep(0.02)


def events(process: "Process", seconds: float = 120) -> Iterator[dict[str, Any]]:
    """Yield the events that a process prints with --log_json; kill it at a deadline."""
    deadline = threading.Timer(seconds, process.kill)
    deadline.start()
    try:
        yield from map(json.loads, process.stdout)
    finally:
        deadline.cancel()


def next_event(process: "Process", name: str) -> dict[str, Any]:
    """Read what a process prints with --log_json up to the next event called ``name``."""
    with contextlib.closing(events(process)) as printed:
        for event in printed:
            if event["event"] == name:
                return event
    raise AssertionError(f"no event {name}: {process.communicate()[1]}")


def on_step(monkeypatch, call: Callable[[Any, Any], None]) -> None:
    """Let the command line call ``call(task, step)`` after it has shown a step."""
    from nst.cli.console import Console

    whole = Console.step

    def step(self, task, step):
        whole(self, task, step)
        call(task, step)

    monkeypatch.setattr(Console, "step", step)


def interrupted(nst, monkeypatch, after, *command, number=signal.SIGTERM):
    """Call the command line and send it a signal after an iteration."""

    def stop(task, step):
        if step.iteration == after:
            signal.raise_signal(number)

    before = signal.signal(number, signal.default_int_handler)  # it may be ignored (nohup, a job)
    try:
        with monkeypatch.context() as patch:
            on_step(patch, stop)
            outcome = nst(*command)
    finally:
        signal.signal(number, before)
    assert outcome.code == {signal.SIGINT: 130}.get(number, 143), outcome.err
    return outcome


def save_small(name: str, size: tuple[int, int], path: Path) -> Path:
    """Save a shipped picture at (width, height)."""
    with Image.open(ROOT / "images" / name) as image:
        image.resize(size).save(path)
    return path


def assert_gradient(objective: Callable[[np.ndarray], Any], image: np.ndarray) -> None:
    """Check a gradient against differences of the cost, along itself and a random direction."""
    _, gradient = objective(image)
    gradient = gradient.astype(np.float64)
    random = np.random.default_rng(1)
    for direction in (gradient / np.linalg.norm(gradient), random.normal(size=image.shape)):
        step = 0.3 / np.abs(direction).max()
        up, _ = objective((image + step * direction).astype(np.float32))
        down, _ = objective((image - step * direction).astype(np.float32))
        slope = (up.total - down.total) / (2 * step)
        scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
        assert abs(slope - np.sum(gradient * direction)) <= 5e-3 * scale
