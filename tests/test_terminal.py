"""What a user sees in a real terminal: a pseudo-terminal, that is."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios

import pytest

from conftest import QUICK, ROOT

RED = "\033[31m"
NOISE = ("oneDNN", "cuda", "E0000", "I0000", "W0000", "WARNING", "absl", "rebuild TensorFlow")


@pytest.fixture
def terminal(tmp_path):
    """Run the program in a terminal of 130 columns; returns its exit code and what it showed."""

    def run(*arguments, **environment):
        command = [sys.executable, ROOT / "nst_main.py", *map(str, arguments)]
        env = os.environ | {"TERM": "xterm-256color"} | environment
        env.pop("NO_COLOR", None) if "NO_COLOR" not in environment else None
        env.pop("TF_CPP_MIN_LOG_LEVEL", None)
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 130, 0, 0))
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=env,
            stdin=its,
            stdout=its,
            stderr=its,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        os.close(its)
        shown = b""
        try:
            while block := os.read(ours, 65536):
                shown += block
        except OSError:  # how a terminal ends
            pass
        os.close(ours)
        return process.wait(300), shown.decode()

    return run


@pytest.mark.parametrize("wrong", [("--alpha", "x"), ("--content_image_filename", "none.jpg")])
def test_errors_are_one_line_in_red(terminal, wrong):
    code, shown = terminal(*wrong)
    assert code in (2, 3)
    (line,) = shown.splitlines()
    assert line.startswith(f"{RED}nst_main.py: error: ")
    assert line.endswith("\033[0m")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_switched_off(terminal, environment):
    for wrong in (("--alpha", "x"), ("--content_image_filename", "none.jpg")):
        code, shown = terminal(*wrong, **environment)
        assert code in (2, 3)
        assert "\033" not in shown


def test_a_failed_picture_of_a_batch_is_red(terminal, pair, painting, tmp_path):
    (tmp_path / "cut.png").write_bytes(painting.read_bytes()[:-300])
    contents = ("--content_image_filename", pair[1], "cut.png")
    code, shown = terminal(*contents, *pair[2:], *QUICK)
    assert code == 1
    assert re.search(rf"{re.escape(RED)}\d of 2: cut\.png", shown)
    assert shown.count(RED) == 1


def test_what_tensorflow_says_is_shown_when_asked_for(terminal, pair):
    code, shown = terminal(*pair, *QUICK, "--verbose")
    assert code == 0
    assert "oneDNN" in shown or "rebuild TensorFlow" in shown


@pytest.mark.parametrize(
    "environment", [{}, {"TERM": "xterm-kitty"}, {"TERM_PROGRAM": "iTerm.app"}, {"TERM": "dumb"}]
)
def test_a_run_in_a_terminal(terminal, pair, environment):
    code, shown = terminal(*pair, *QUICK, "--scales", 2, "--epochs", 30, **environment)
    assert code == 0
    assert not [noise for noise in NOISE if noise in shown]
    told = [shown.index(words) for words in ("Loading TensorFlow ...", "Content   ", "preparing]")]
    assert told == sorted(told)
    bars = re.findall(r"(\d+)/30 \[(\d\d:\d\d)<(\S+), .*?(scale \d/2), J (\S+), content", shown)
    assert bars
    assert {bar[3] for bar in bars} == {"scale 1/2", "scale 2/2"}
    assert any(re.fullmatch(r"\d\d:\d\d", left) for _, _, left, _, _ in bars)
    assert "\033]" not in shown  # nothing that some terminals take for an image
    assert "\033_G" not in shown
    assert RED not in shown
    plain = re.sub(r"\033\[[0-9;]*[A-Za-z]|\r", "\n", shown)
    rows = [line for line in plain.splitlines() if re.match(r"^ *(iteration|\d+)  ", line)]
    assert len({len(row.rstrip()) for row in rows}) == 1  # the table lines up
    assert shown.rstrip().endswith("generated_image.png")
