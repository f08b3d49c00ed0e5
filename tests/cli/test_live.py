"""``--live``: the page of a run, used."""

import contextlib
import json
import signal
import socket

import numpy as np
import pytest
from live_client import ENDLESS, Client, LiveProcess
from playwright.sync_api import expect

from helpers import QUICK, USUAL_STYLE_LAYERS, interrupted
from nst.cli import live
from nst.cli.live import Live
from nst.engine.step import Costs, Position, Step
from nst.errors import ExitCode
from nst.options import LIVE_PORT
from nst.runs.batch import Outcome, plan_batch
from nst.runs.folder import RunFolder
from nst.runs.job import read_job
from nst.settings import Settings

IMAGE = np.zeros((32, 48, 3), np.float32)


@pytest.fixture
def no_farewell(monkeypatch):
    """Let a live view end without waiting for the pages that are open."""
    monkeypatch.setattr(live, "LINGER", 0.0)


@pytest.fixture
def interruptible():
    """SIGINT has Python's handler, as in a program started from a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def on_live_step(monkeypatch, iteration, call):
    """Let runs call ``call(client)`` once the live view knows an iteration."""
    whole = Live.step

    def step(self, task, step):
        whole(self, task, step)
        if step.iteration == iteration:
            call(Client(self.url))

    monkeypatch.setattr(Live, "step", step)


class Shown:
    """A live view whose callbacks are called by hand, for two runs, and its client."""

    def __init__(self, output_dir, file) -> None:
        settings = Settings(
            style_image_filename=("mosaic_sun.jpg", "woodcut_wave.jpg"),
            image_size=48,
            output_dir=output_dir,
        )
        self.stops: list[bool] = []
        self.closed = False
        self.view = Live(0, lambda: self.stops.append(True), settings)
        self.client = Client(self.view.url)
        self.tasks = plan_batch(settings).tasks
        self._folders = [RunFolder(read_job(task.settings(settings)), file) for task in self.tasks]

    def close(self):
        self.closed = True
        self.view.close()

    def start(self, number):
        self.view.start(self.tasks[number - 1], self._folders[number - 1])

    def step(self, number, iteration, image=None):
        costs = Costs(1.0, 1.0, 1.0, 1.0, (0.2,) * 5)
        position = Position(iteration, 1, float(iteration), costs, None)
        self.view.step(self.tasks[number - 1], Step(position, 200, 1, image))


class Clock:
    """In place of the module ``time``: a sleep takes no time, and calls a function."""

    def __init__(self, on_sleep) -> None:
        self.now, self.sleeps, self._on_sleep = 0.0, [], on_sleep

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.sleeps.append(seconds)
        self._on_sleep(len(self.sleeps))


@pytest.fixture
def shown(tmp_path, vgg19, no_farewell):
    made = Shown(tmp_path, vgg19.file)
    yield made
    if not made.closed:
        made.close()


@pytest.mark.slow
def test_the_page_shows_the_picture_and_stops_the_run(program, visit, pair, tmp_path):
    restored = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    command = (*pair, *ENDLESS, *USUAL_STYLE_LAYERS, "--scales", 2, "--live", 0)
    process = program(*command, **restored)
    try:
        running = LiveProcess(process)
        visited = visit(running.url)
        page = visited.page
        status, picture = page.locator("#told"), page.locator("#picture")
        expect(status).to_contain_text("left", timeout=60_000)
        expect(status).to_contain_text("of 1000000, scale 1 of 2")
        expect(picture).to_be_visible()
        expect(picture).to_have_js_property("naturalWidth", 24)
        expect(page.locator("#chart path")).to_have_count(9)
        assert page.inner_text("h1") == "photo.png in the style of painting.png"
        before, source = status.inner_text(), picture.get_attribute("src")
        expect(status).not_to_have_text(before)
        expect(picture).not_to_have_attribute("src", source)
        page.click("#stop")
        expect(status).to_contain_text("goes on from there")
        assert process.wait(30) == 130
        assert page.locator("#stop").is_disabled()
        assert visited.errors == []
        assert all(url.startswith((running.url, "data:")) for url in visited.requests)
    finally:
        process.kill()
        process.communicate()
    manifest = json.loads((tmp_path / "output/photo__painting/run.json").read_text())
    assert manifest["status"] == "interrupted"
    assert (tmp_path / "output/photo__painting/checkpoint").exists()


def test_the_page_sees_the_end(nst, pair, visit, monkeypatch):
    pages = []
    on_live_step(monkeypatch, 0, lambda client: pages.append(visit(client.url).page))
    assert nst(*pair, *QUICK, "--epochs", 20, "--live", 0).code == 0
    (page,) = pages
    expect(page.locator("#told")).to_contain_text("finished")
    assert page.evaluate("document.getElementById('progress').value") == 20
    assert page.locator("#stop").is_disabled()


@pytest.mark.usefixtures("interruptible")
def test_a_signal_while_the_page_is_waited_for_changes_nothing(nst, pair, monkeypatch):
    clock = Clock(lambda number: signal.raise_signal(signal.SIGINT))
    on_live_step(monkeypatch, 4, lambda client: client.json("/state"))  # a page is open
    monkeypatch.setattr(live, "time", clock)
    done = nst(*pair, *QUICK, "--live", 0)
    assert len(clock.sleeps) == 1
    assert done.code == 0
    assert "Traceback" not in done.err


def test_without_a_port_another_one_is_found(nst, pair, monkeypatch, no_farewell):
    statuses = []
    on_live_step(monkeypatch, 1, lambda client: statuses.append((client.port, client.ask()[0])))
    with contextlib.ExitStack() as resources:
        with contextlib.suppress(OSError):  # another program has it: as well
            resources.enter_context(socket.create_server(("127.0.0.1", LIVE_PORT)))
        assert nst(*pair, *QUICK, "--live").code == 0
    ((port, status),) = statuses
    assert port != LIVE_PORT
    assert status == 200


def test_a_dry_run_has_no_page(nst, pair):
    assert "Live " not in nst(*pair, *QUICK, "--dry_run", "--live", 0).err


def test_pictures_made_at_a_time_do_not_mix(shown):
    for number in (1, 2):
        shown.start(number)
    for iteration in range(5):
        for number in (1, 2):
            with_image = number == 1 and iteration == 2
            shown.step(number, iteration, IMAGE if with_image else None)
    state = shown.client.json("/state")
    assert (state["name"], state["iteration"]) == ("temple.jpg in the style of mosaic_sun.jpg", 4)
    assert (state["picture"], state["left"]) == ("1-2", 196)
    assert shown.client.json("/costs")["iteration"] == [0, 1, 2, 3, 4]
    assert shown.client.ask(path="/picture.jpg")[0] == 200
    shown.view.end(Outcome(shown.tasks[0], "finished"))
    shown.step(2, 4)  # the last one again, as after the loss of a worker
    state = shown.client.json("/state")
    assert state["name"] == "temple.jpg in the style of woodcut_wave.jpg"
    assert "picture" not in state
    assert shown.client.ask(path="/picture.jpg")[0] == 404
    assert shown.client.json("/costs")["iteration"] == [0, 1, 2, 3, 4]


def test_the_curves_of_a_resumed_run_begin_where_it_began(nst, pair, monkeypatch, no_farewell):
    curves = []
    interrupted(nst, monkeypatch, 2, *pair, *QUICK)
    on_live_step(monkeypatch, 4, lambda client: curves.append(client.json("/costs")))
    assert nst(*pair, *QUICK, "--live", 0).code == 0
    assert [curve["iteration"] for curve in curves] == [[0, 1, 2, 3, 4]]


def test_before_the_first_picture_there_is_a_page_without_one(shown):
    assert shown.client.json("/state")["status"] == "running"
    assert shown.client.json("/costs") == {"iteration": [], "scale": [], "lines": []}
    assert shown.client.ask(path="/picture.jpg")[0] == 404


def test_a_run_that_has_ended_is_not_stopped(shown):
    assert shown.client.press_stop() == 200
    assert shown.stops == [True]
    shown.view.say("photo: saved after iteration 3 of 9; the same command goes on from there.")
    shown.view.fail("interrupted", ExitCode.INTERRUPTED)
    state = shown.client.json("/state")
    assert state["status"] == "stopped"
    assert "goes on from there" in state["message"]
    assert shown.client.press_stop() == 200
    assert shown.stops == [True]


def test_the_page_tells_of_an_error(shown):
    shown.view.say("Memory    up to about 2.0G")
    shown.view.fail("photo.png: the disk is full", ExitCode.OUTPUT)
    state = shown.client.json("/state")
    assert (state["status"], state["message"]) == ("stopped", "photo.png: the disk is full")


def test_the_end_waits_until_an_open_page_knows_of_it(shown, monkeypatch):
    states = []

    def ask(number):
        if number == 10:
            states.append(shown.client.json("/state"))

    clock = Clock(ask)
    monkeypatch.setattr(live, "LINGER", 3.0)
    monkeypatch.setattr(live, "time", clock)
    assert shown.client.json("/state")["status"] == "running"
    shown.view.fail("the disk is full", ExitCode.OUTPUT)
    shown.close()
    assert [state["message"] for state in states] == ["the disk is full"]
    assert len(clock.sleeps) == 11  # and one for the last picture


def test_the_end_does_not_wait_for_ever_or_without_a_page(shown, monkeypatch):
    clock = Clock(lambda number: None)
    monkeypatch.setattr(live, "LINGER", 3.0)
    monkeypatch.setattr(live, "time", clock)
    shown.client.json("/state")
    shown.close()
    assert 3 <= clock.now <= 4
    other = Live(0, lambda: None, Settings())
    clock.sleeps.clear()
    other.close()
    assert not clock.sleeps


@pytest.mark.usefixtures("interruptible", "no_farewell")
def test_a_batch_is_shown_and_stopped(nst, pair, tmp_path, monkeypatch):
    states = []

    def stop(client):
        states.append(client.json("/state"))
        assert client.press_stop() == 200

    on_live_step(monkeypatch, 3, stop)
    styles = ("--style_image_filename", "mosaic_sun.jpg", "woodcut_wave.jpg")
    assert nst(*pair[:2], *styles, *ENDLESS, "--live", 0).code == 130
    (state,) = states
    assert (state["number"], state["total"], state["iteration"]) == (1, 2, 3)
    assert state["name"] == "photo.png in the style of mosaic_sun.jpg"
    assert (tmp_path / "output/photo__mosaic_sun/checkpoint").exists()


@pytest.mark.usefixtures("interruptible", "no_farewell")
def test_stop_where_interrupts_are_ignored(nst, pair, tmp_path, monkeypatch):
    """As in the background of a shell script: then it stops as if terminated."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    on_live_step(monkeypatch, 3, Client.press_stop)
    assert nst(*pair, *ENDLESS, "--live", 0).code == 143
    assert (tmp_path / "output/photo__painting/checkpoint").exists()
