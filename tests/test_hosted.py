"""``nst_main.main()`` and the library in other programs: cells, threads, other streams."""

import contextlib
import io
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nst_main
from helpers import QUICK, ROOT, on_step, pixels
from nst.cli.stopping import Stopping
from nst.errors import TensorFlowError
from nst_utils import NeuralStyleTransfer

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


class OutStream(io.TextIOBase):
    """Like a notebook's: no file descriptor, and nothing to be configured."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text
        return len(text)


def state():
    """What of this process a call might change."""
    return (
        [signal.getsignal(number) for number in HANDLED],
        signal.getitimer(signal.ITIMER_REAL),
        (sys.stdout, sys.stderr, getattr(sys.stdout, "errors", None)),
        logging.getLogger("tensorflow").level,
        {name: os.environ.get(name) for name in nst_main.CHANGED_VARIABLES},
    )


@pytest.mark.parametrize("arguments", [["--dry_run"], ["--epochs", "x"], ["--version"]])
@pytest.mark.parametrize("stream", [io.StringIO, OutStream, lambda: None])
def test_main_returns_its_code_and_leaves_the_process_as_it_was(tmp_path, arguments, stream):
    with contextlib.redirect_stdout(stream()), contextlib.redirect_stderr(stream()):
        before = state()
        code = nst_main.main([*arguments])
        assert state() == before
    assert code == (2 if "x" in arguments else 0)


def test_handlers_of_the_host_come_back_and_its_timer_is_left_alone():
    def mine(*arguments):
        pass

    before = {number: signal.signal(number, mine) for number in HANDLED}
    signal.setitimer(signal.ITIMER_REAL, 1000)
    try:
        with Stopping() as stopping:
            assert signal.getsignal(signal.SIGALRM) is mine
            stopping.gently = True
            with contextlib.suppress(KeyboardInterrupt):  # it has no timer to be patient with
                signal.raise_signal(signal.SIGINT)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 900
        assert all(signal.getsignal(number) is mine for number in HANDLED)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_second_signal_does_not_end_a_process_of_others():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Stopping(own_process=False) as stopping:
            stopping.gently = True
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.program
def test_main_runs_in_a_thread_where_a_request_stops_it(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = [str(word) for word in (*pair, *QUICK)]
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(nst_main.main, command).result() == 0
        entered = []
        whole = Stopping.__enter__
        monkeypatch.setattr(Stopping, "__enter__", lambda s: entered.append(s) or whole(s))
        with monkeypatch.context() as patch:
            on_step(patch, lambda task, step: step.iteration == 2 and entered[0].ask())
            assert pool.submit(nst_main.main, [*command, "--seed", "1"]).result() == 130
    assert (tmp_path / "output/photo__painting/generated_image.png").exists()
    assert (tmp_path / "output/photo__painting-2/checkpoint").exists()


RUNS = {
    "run_path": "import runpy; runpy.run_path(PROGRAM, run_name='__main__')",
    "exec": "exec(compile(open(PROGRAM).read(), PROGRAM, 'exec'), {'__name__': '__main__'})",
}


@pytest.mark.program
@pytest.mark.parametrize("way", RUNS)
@pytest.mark.parametrize(("argument", "code"), [("--version", 0), ("--epochs=x", 2)])
def test_a_program_that_runs_the_file_goes_on(way, argument, code):
    program = f"""
import signal, sys
PROGRAM = {str(ROOT / "nst_main.py")!r}
sys.path.insert(0, {str(ROOT)!r})
sys.argv = ["nst_main.py", {argument!r}]
try:
    {RUNS[way]}
except SystemExit as end:
    print("code", int(end.code))
print("alive", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""

    def default():
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, preexec_fn=default
    )
    assert done.stdout.splitlines()[-2:] == [f"code {code}", "alive True"], done.stderr


@pytest.mark.program
@pytest.mark.parametrize("words", [[str(ROOT / "nst_main.py")], ["-m", "nst_main"]])
def test_a_process_of_its_own_is_known(words, tmp_path):
    """Its handler of SIGINT is the system's, so that Ctrl-C at once shows no traceback."""
    look = "import atexit, os, sys\nos._exit = lambda code: print('own', code) or sys.exit(code)\n"
    (tmp_path / "sitecustomize.py").write_text(look)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, *words, "--version"], capture_output=True, text=True, env=environment
    )
    assert "own 0" in done.stdout, done.stderr


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_two_threads_make_the_pictures_that_are_made_one_by_one(
    photo, painting, tmp_path, optimizer
):
    def make(number, folder):
        transfer = NeuralStyleTransfer(
            [photo, painting][number],
            [painting, photo][number],
            optimizer=optimizer,
            epochs=12,
            print_every=4,
            image_size=48,
            precision="float32",
            output_dir=tmp_path / folder,
        )
        return transfer.run(say=None)

    alone = [make(number, "alone") for number in range(2)]
    before = os.fstat(2)
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(make, range(2), ["together"] * 2))
    after = os.fstat(2)
    assert (before.st_dev, before.st_ino) == (after.st_dev, after.st_ino)
    for one, other in zip(alone, together):
        assert np.array_equal(one, other)
    for path in (tmp_path / "alone").glob("*/frame_*.png"):
        other = tmp_path / "together" / path.relative_to(tmp_path / "alone")
        assert np.array_equal(pixels(path), pixels(other))


def test_threads_share_one_session(vgg19):
    from nst.runs import session
    from nst.vgg import weights

    session.close_session()
    file = weights.find(None, "vgg19", print)
    start = threading.Barrier(4)

    def opened(_):
        start.wait()
        found = session.open_session(file)
        return found, found.weights

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(opened, range(4)))
    assert len({id(one) for one, _ in found}) == len({id(weights) for _, weights in found}) == 1


def test_eager_execution_switched_off_is_refused(photo, painting, tmp_path, monkeypatch):
    import tensorflow as tf

    monkeypatch.chdir(tmp_path)
    transfer = NeuralStyleTransfer(photo, painting, epochs=1, image_size=48)
    with tf.Graph().as_default(), pytest.raises(TensorFlowError, match="eager execution"):
        transfer.run(say=None)
    err = io.StringIO()
    with tf.Graph().as_default(), contextlib.redirect_stderr(err):
        code = nst_main.main(["--content_image_filename", str(photo), "--epochs", "1"])
    assert code == 2
    assert re.search("error: .*eager execution is switched off", err.getvalue())
    assert "Traceback" not in err.getvalue()
    assert not (tmp_path / "output").exists()
    assert transfer.run(say=None).shape == (32, 48, 3)  # afterwards it works
