"""What a user sees in a real terminal: a pseudo-terminal, that is."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading

import pytest

import nst_main
from helpers import QUICK, ROOT, pixels

RED = "\033[31m"
NOISE = ("oneDNN", "cuda", "E0000", "I0000", "W0000", "WARNING", "absl", "rebuild TensorFlow")


class Terminal:
    """A terminal of 130 columns that keeps what is written to it.

    inner: the file descriptor for a program.
    """

    def __init__(self) -> None:
        self._outer, self.inner = pty.openpty()
        fcntl.ioctl(self.inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 130, 0, 0))
        self._blocks: list[bytes] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while block := os.read(self._outer, 65536):
                self._blocks.append(block)
        except OSError:  # the inner end is closed
            pass

    def text(self) -> str:
        """All that was written, once the inner end is closed."""
        self._reader.join(60)
        assert not self._reader.is_alive()
        os.close(self._outer)
        return b"".join(self._blocks).decode()


@pytest.fixture
def in_terminal(nst, monkeypatch):
    """Call the command line in this process, in a terminal; returns its exit code and the text."""

    def run(*arguments, **environment):
        terminal = Terminal()
        with monkeypatch.context() as patch, open(terminal.inner, "w", buffering=1) as stream:
            patch.setattr(sys, "argv", ["nst_main.py"])
            patch.setattr(sys, "stdout", stream)
            patch.setattr(sys, "stderr", stream)
            patch.delenv("NO_COLOR", raising=False)
            for name, value in ({"TERM": "xterm-256color"} | environment).items():
                patch.setenv(name, value)
            try:
                code = nst_main.main(list(map(str, arguments)))
            except SystemExit as stop:
                code = stop.code
        return int(code), terminal.text()

    return run


@pytest.fixture
def program_in_terminal(tmp_path):
    """Start the program in a terminal; returns its exit code and the text."""

    def run(*arguments):
        terminal = Terminal()
        env = os.environ | {"TERM": "xterm-256color"}
        env.pop("NO_COLOR", None)
        env.pop("TF_CPP_MIN_LOG_LEVEL", None)
        process = subprocess.Popen(
            [sys.executable, ROOT / "nst_main.py", *map(str, arguments)],
            cwd=tmp_path,
            env=env,
            stdin=terminal.inner,
            stdout=terminal.inner,
            stderr=terminal.inner,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        os.close(terminal.inner)
        try:
            return process.wait(300), terminal.text()
        finally:
            process.kill()

    return run


@pytest.mark.parametrize("wrong", [("--alpha", "x"), ("--content_image_filename", "none.jpg")])
def test_errors_are_one_line_in_red(in_terminal, wrong):
    code, text = in_terminal(*wrong)
    assert code in (2, 3)
    (line,) = text.splitlines()
    assert line.startswith(f"{RED}nst_main.py: error: ")
    assert line.endswith("\033[0m")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_switched_off(in_terminal, environment):
    for wrong in (("--alpha", "x"), ("--content_image_filename", "none.jpg")):
        code, text = in_terminal(*wrong, **environment)
        assert code in (2, 3)
        assert "error: " in text
        assert "\033" not in text


def test_a_failed_picture_of_a_batch_is_red(in_terminal, pair, painting, tmp_path):
    (tmp_path / "cut.png").write_bytes(painting.read_bytes()[:-300])
    contents = ("--content_image_filename", pair[1], "cut.png")
    code, text = in_terminal(*contents, *pair[2:], *QUICK)
    assert code == 1
    assert re.search(rf"{re.escape(RED)}\d of 2: cut\.png", text)
    assert text.count(RED) == 1


@pytest.mark.program
def test_tensorflow_messages_are_shown_with_verbose(program_in_terminal, pair):
    code, text = program_in_terminal(*pair, *QUICK, "--epochs", 1, "--verbose")
    assert code == 0
    assert "oneDNN" in text or "rebuild TensorFlow" in text


def check_run(text):
    """Check the whole text of a run of 30 epochs in two scales."""
    starts = [text.index(words) for words in ("Loading TensorFlow ...", "Content   ", "preparing]")]
    assert starts == sorted(starts)
    bars = re.findall(r"(\d+)/30 \[(\d\d:\d\d)<(\S+), .*?(scale \d/2), J (\S+), content", text)
    assert bars
    assert {bar[3] for bar in bars} == {"scale 1/2", "scale 2/2"}
    assert any(re.fullmatch(r"\d\d:\d\d", left) for _, _, left, _, _ in bars)
    assert "\033]" not in text  # nothing that some terminals take for an image
    assert "\033_G" not in text
    assert RED not in text
    plain = re.sub(r"\033\[[0-9;]*[A-Za-z]|\r", "\n", text)
    rows = [line for line in plain.splitlines() if re.match(r"^ *(iteration|\d+)  ", line)]
    assert len(rows) == 1 + 16
    assert len({len(row.rstrip()) for row in rows}) == 1  # the table lines up
    assert text.rstrip().endswith("generated_image.png")


@pytest.mark.program
def test_a_run_in_a_terminal_shows_no_noise_of_libraries(program_in_terminal, pair):
    code, text = program_in_terminal(*pair, *QUICK, "--scales", 2, "--epochs", 30)
    assert code == 0
    assert not [noise for noise in NOISE if noise in text]
    check_run(text)


@pytest.mark.parametrize(
    "environment", [{"TERM": "xterm-kitty"}, {"TERM_PROGRAM": "iTerm.app"}, {"TERM": "dumb"}]
)
def test_a_run_looks_the_same_in_every_terminal(in_terminal, pair, environment):
    code, text = in_terminal(*pair, *QUICK, "--scales", 2, "--epochs", 30, **environment)
    assert code == 0
    check_run(text)


def test_quiet_prints_nothing(nst, pair, tmp_path):
    done = nst(*pair, *QUICK, "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (tmp_path / "output/photo__painting/generated_image.png").exists()


def test_a_reader_that_goes_away_does_not_stop_the_run(nst, pair, tmp_path, monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with monkeypatch.context() as patch, open(writing, "w", buffering=1) as stream:
        patch.setattr(sys, "stdout", stream)
        done = nst(*pair, *QUICK)
    assert done.code == 0
    assert "cannot be written" not in done.err
    assert (tmp_path / "output/photo__painting/generated_image.png").exists()


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_full_disk_behind_a_stream_does_not_stop_the_run(nst, pair, tmp_path, monkeypatch, name):
    with (
        monkeypatch.context() as patch,
        contextlib.suppress(OSError),  # of closing stderr: the last line was not written
        open("/dev/full", "w", buffering=1) as stream,
    ):
        patch.setattr(sys, name, stream)
        done = nst(*pair, *QUICK)
    assert done.code == 0
    complaint = "standard output cannot be written (No space left on device)"
    assert (complaint in done.err) == (name == "stdout")
    assert done.err.count(complaint) <= 1
    picture = pixels(tmp_path / "output/photo__painting/generated_image.png")
    assert picture.shape == (32, 48, 3)


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_missing_stream_does_not_stop_the_run(nst, pair, tmp_path, monkeypatch, name):
    """Python sets the stream of a closed file descriptor to None."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, name, None)
        done = nst(*pair, *QUICK)
        assert getattr(sys, name) is None  # as it was
    assert done.code == 0
    assert (tmp_path / "output/photo__painting/generated_image.png").exists()


@pytest.mark.program
@pytest.mark.parametrize("redirect", [">&- 2>&-", "> /dev/full"])
def test_a_program_whose_streams_cannot_be_written(pair, tmp_path, redirect):
    """File descriptors that are closed are given to the next files that are opened."""
    words = [sys.executable, ROOT / "nst_main.py", *pair, *QUICK]
    done = subprocess.run(
        ["bash", "-c", f'"$@" {redirect}', "bash", *map(str, words)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    picture = pixels(tmp_path / "output/photo__painting/generated_image.png")
    assert picture.shape == (32, 48, 3)
