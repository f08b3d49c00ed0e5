"""SIGINT, SIGTERM and SIGHUP, and what a run that is stopped leaves and tells."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from helpers import QUICK, ROOT, interrupted, wait_for
from nst.cli import stopping
from nst.cli.stopping import Stopping

SECOND_SIGNAL = """
import signal
from nst.cli.stopping import Stopping
with Stopping() as stopping:
    stopping.gently = True
    signal.raise_signal(signal.SIGTERM)
    print(stopping.requested, flush=True)
    signal.raise_signal(signal.SIGTERM)
    print("still here", flush=True)
"""


@pytest.fixture(autouse=True)
def default_handlers():
    """As of a program started from a shell: the handlers are those of Python."""
    handlers = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def check_stopped_run(folder, err):
    """Check what a run of a million epochs leaves and tells."""
    manifest = json.loads((folder / "run.json").read_text())
    assert manifest["status"] == "interrupted"
    saved = f"output/photo__painting: saved after iteration {manifest['iterations']}"
    assert f"{saved} of 1000000; the same command goes on from there." in err
    assert "Traceback" not in err
    assert (folder / "checkpoint").exists()
    assert (folder / f"frame_{manifest['iterations']:05}.png").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_run_is_saved_and_tells_how_to_go_on(nst, pair, tmp_path, monkeypatch, number):
    command = (*pair, *QUICK, "--epochs", 1_000_000)
    done = interrupted(nst, monkeypatch, 3, *command, number=number)
    check_stopped_run(tmp_path / "output/photo__painting", done.err)


def test_a_signal_in_the_middle_of_an_iteration_of_a_program(program, pair, tmp_path):
    # A test run in the background of a script inherits that SIGINT is ignored.
    restored = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = program(*pair, *QUICK, "--epochs", 1_000_000, **restored)
    folder = tmp_path / "output/photo__painting"
    try:
        wait_for(folder / "frame_00002.png", process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    check_stopped_run(folder, err)


def test_a_signal_stops_at_once_where_nothing_is_to_be_saved():
    with Stopping() as stop, pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert stop.requested == signal.SIGTERM


def test_a_gentle_stop_waits_for_the_iteration_in_hand():
    with Stopping() as stop:
        stop.check()
        stop.gently = True
        signal.raise_signal(signal.SIGINT)
        assert stop.requested == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            stop.check()
        assert not stop.gently  # what is saved now may take its time


def test_an_iteration_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(stopping, "PATIENCE", 0.05)
    with Stopping() as stop:
        stop.gently = True
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            threading.Event().wait(60)
        assert not stop.gently


def test_the_timer_of_a_gentle_stop_ends_with_it(monkeypatch):
    monkeypatch.setattr(stopping, "PATIENCE", 0.05)
    alarm = signal.getsignal(signal.SIGALRM)
    with Stopping() as stop:
        stop.gently = True
        signal.raise_signal(signal.SIGINT)
        stop.gently = False
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) == alarm


def test_a_second_signal_ends_the_process():
    done = subprocess.run(
        [sys.executable, "-c", SECOND_SIGNAL],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stdout == f"{signal.SIGTERM.value}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_signals_that_were_ignored_stay_ignored(number):
    """As of nohup, or of a background job of a script."""
    signal.signal(number, signal.SIG_IGN)
    with Stopping() as stop:
        signal.raise_signal(number)
        assert stop.requested is None
    assert signal.getsignal(number) == signal.SIG_IGN


@pytest.mark.parametrize(
    ("ignored", "number"),
    [((), signal.SIGINT), ((signal.SIGINT,), signal.SIGTERM)],
)
def test_a_thread_may_ask_to_stop(ignored, number):
    for other in ignored:
        signal.signal(other, signal.SIG_IGN)
    with Stopping() as stop:
        stop.gently = True
        thread = threading.Thread(target=stop.ask)
        thread.start()
        wait_for(lambda: stop.requested)
        thread.join(60)
        stop.ask()  # a second time: not as a second signal
        assert stop.requested == number
    assert signal.getsignal(signal.SIGINT) == (
        signal.SIG_IGN if ignored else signal.default_int_handler
    )
