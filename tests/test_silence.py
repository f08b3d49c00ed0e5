"""What libraries print past Python: discarded, or held back for a crash."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from helpers import ROOT
from nst.silence import last_words, silent_stderr


def printed(code, **options):
    """(exit code, what is printed to stderr) of a program that has ``last_words``."""
    program = f"import os, signal\nfrom nst.silence import last_words\n{code}"
    options = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 60, **options}
    done = subprocess.run([sys.executable, "-c", program], **options)
    return done.returncode, done.stderr


@pytest.mark.parametrize("silence", [silent_stderr, lambda: last_words("heading")])
def test_what_is_printed_is_discarded_and_what_comes_later_is_not(capfd, silence):
    with silence():
        os.write(2, b"noise")
    os.write(2, b"after")
    with contextlib.suppress(ValueError), silence():
        os.write(2, b"noise")
        raise ValueError
    assert capfd.readouterr().err == "after"


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGILL])
def test_the_last_words_before_a_crash_are_printed(number):
    crash = f"os.write(2, b'the\\nwords\\n'); os.kill(os.getpid(), {int(number)})"
    code, err = printed(f"with last_words('heading'): {crash}")
    assert (code, err) == (-number, "heading\nthe\nwords\n")


def test_a_process_that_was_started_meanwhile_is_not_waited_for():
    code = (
        "import subprocess\nwith last_words('heading'): child = subprocess.Popen(['sleep', '90'])\n"
    )
    code += "assert child.poll() is None\nchild.kill()\nos.write(2, b'after')"
    assert printed(code) == (0, "after")


def test_without_a_standard_error_nothing_is_printed():
    code = "os.close(2)\nwith last_words('heading'): pass\nos._exit(7)"
    assert printed(code) == (7, "")
