"""What libraries print past Python: discarded, or held back for a crash."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import ROOT, save_small
from nst.pictures.read import peek_size, read_picture
from nst.silence import last_words, silent_stderr, silent_warnings


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


def crowd(enter, count=8, times=50):
    """Let threads enter and leave a context in any order; return what was raised."""
    raised = []

    def work():
        try:
            for _ in range(times):
                with enter():
                    pass
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_standard_error_comes_back_whatever_threads_do(capfd):
    before = os.fstat(2)
    assert not crowd(silent_stderr)
    after = os.fstat(2)
    assert (before.st_dev, before.st_ino) == (after.st_dev, after.st_ino)
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


@given(st.permutations(range(4)), st.permutations(range(4)))
def test_contexts_left_in_any_order_are_undone(entered, left):
    before, filters = os.fstat(2), list(warnings.filters)
    contexts = [contextlib.ExitStack() for _ in entered]
    for number in entered:
        contexts[number].enter_context(silent_stderr())
        contexts[number].enter_context(silent_warnings)
    for number in left:
        assert os.readlink("/proc/self/fd/2") == os.devnull
        warnings.warn("unseen", UserWarning, stacklevel=1)
        contexts[number].close()
    after = os.fstat(2)
    assert (before.st_dev, before.st_ino) == (after.st_dev, after.st_ino)
    assert warnings.filters == filters


def test_pictures_read_in_threads_leave_the_process_as_it_was(tmp_path):
    before, filters = os.fstat(2), list(warnings.filters)
    path = save_small("temple.jpg", (48, 32), tmp_path / "photo.png")
    readers = [peek_size, read_picture]
    assert not crowd(lambda: contextlib.nullcontext([read(path) for read in readers]), times=10)
    after = os.fstat(2)
    assert (before.st_dev, before.st_ino) == (after.st_dev, after.st_ino)
    assert warnings.filters == filters
