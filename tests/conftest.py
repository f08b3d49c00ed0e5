"""What the tests share: real weights, small real pictures, and the program itself."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

os.environ["NST_OFFLINE"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).resolve().parent.parent
QUICK = ("--image_size", 48, "--epochs", 4, "--print_every", 2, "--precision", "float32")


@pytest.fixture(scope="session")
def vgg16():
    """The real ImageNet VGG-16 of the installed packages."""
    from nst import weights

    return weights.load(weights.find(None, print))


@pytest.fixture(scope="session")
def temple():
    """The shipped photo, 96 pixels wide: (64, 96, 3) float32."""
    from nst import images

    return images.read(ROOT / "images/temple.jpg", 96).rgb.astype(np.float32)


@pytest.fixture(scope="session")
def harbour():
    """The shipped default style, 96 pixels wide: (72, 96, 3) float32."""
    from nst import images

    return images.read(ROOT / "images/starlit_harbour.jpg", 96).rgb.astype(np.float32)


@pytest.fixture
def photo(tmp_path):
    """A file with a small real photo in it."""
    path = tmp_path / "photo.png"
    with Image.open(ROOT / "images/temple.jpg") as image:
        image.resize((48, 32)).save(path)
    return path


@pytest.fixture
def painting(tmp_path):
    """A file with a small real painting in it."""
    path = tmp_path / "painting.png"
    with Image.open(ROOT / "images/woodcut_wave.jpg") as image:
        image.resize((44, 33)).save(path)
    return path


@pytest.fixture
def pair(photo, painting):
    return ("--content_image_filename", photo, "--style_image_filename", painting)


class Outcome:
    """What a call of the command line did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def nst(capfd, tmp_path, monkeypatch):
    """Call the command line in this process, from an empty folder; returns an Outcome."""
    import nst_main

    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)

    def call(*arguments: object) -> Outcome:
        capfd.readouterr()
        try:
            code = nst_main.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        return Outcome(int(code), *capfd.readouterr())

    yield call
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def program(tmp_path):
    """Start ``python nst_main.py`` as a process of its own, in an empty folder."""

    def start(*arguments: object, **options: object) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, ROOT / "nst_main.py", *map(str, arguments)],
            **{"cwd": tmp_path, "text": True, "stdout": -1, "stderr": -1, **options},
        )

    return start


@pytest.fixture(scope="session")
def chromium():
    """A real browser, without a window."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("needs a browser: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
        browser = started.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


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


@pytest.fixture
def visit(chromium):
    """Open addresses in new pages."""
    visits = []

    def opened(address: str, **options: object) -> Visit:
        visits.append(Visit(chromium, address, **options))
        return visits[-1]

    yield opened
    for one in visits:
        one.context.close()


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


def wait_for(path, process, seconds=120):
    """Wait until a running process has made a file."""
    deadline = time.monotonic() + seconds
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert path.exists(), process.communicate()[1]


def interrupted(nst, monkeypatch, after, *command):
    """Call the command line and terminate it after an iteration."""
    from nst.console import Console

    whole = Console.step

    def step(self, task, step):
        whole(self, task, step)
        if step.iteration == after:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Console, "step", step)
    outcome = nst(*command)
    monkeypatch.undo()
    assert outcome.code == 143
    return outcome
