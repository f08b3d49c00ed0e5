"""Faults injected for real: a kill in mid-write, a full disk, a read-only one, a wrong clock."""

import contextlib
import functools
import os
import signal
import subprocess
import time

import pytest

from helpers import QUICK, on_step, pixels, same_files


def die_at(name):
    """Let this process be killed when it has written a file, before that gets its name."""
    replace = os.replace

    def dies(source, target):
        if os.path.basename(target) == name:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.replace = dies


@pytest.mark.parametrize(
    "name", ["generated_image.png", "animation.gif", "thumbnail.jpg", "report.html", "index.html"]
)
def test_a_run_that_is_killed_while_its_last_files_are_written(
    preloaded_program, nst, pair, tmp_path, made_once, name
):
    options = (*QUICK, "--epochs", 8, "--animation", "gif")
    command = (*pair, *options, "--output_dir", tmp_path / "killed")
    killed = preloaded_program(*command, before=functools.partial(die_at, name))
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert list((tmp_path / "killed").rglob(f".{name}.*.part"))
    assert not list((tmp_path / "killed").rglob(name))
    again = nst(*command)
    assert again.code == 0
    assert ("finished earlier" in again.out) == (name == "index.html")
    same_files(made_once(*options) / "output", tmp_path / "killed")


@contextlib.contextmanager
def small_disk(path, size):
    """Mount a disk of its own at ``path``."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path]
    if subprocess.run(command, capture_output=True, timeout=60).returncode:
        pytest.skip("making a small disk needs the right to mount")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True, timeout=60)


def remount(path, option):
    """Change an option of a mounted disk."""
    subprocess.run(["mount", "-o", f"remount,{option}", path], check=True, timeout=60)


@pytest.mark.parametrize("size", range(16, 352, 48))
def test_a_full_disk_at_any_write_and_then_room(nst, pair, tmp_path, made_once, size):
    options = (*QUICK, "--epochs", 8, "--optimizer", "lbfgs")
    with small_disk(tmp_path / "disk", f"{size}k") as disk:
        full = nst(*pair, *options, "--output_dir", disk)
        assert full.code == 5
        assert "free some space" in full.err
        assert "Traceback" not in full.err
        assert not list(disk.glob("*/.*"))
        for frame in (*disk.glob("*/frame_*.png"), *disk.glob("*/generated_image.png")):
            assert pixels(frame).shape == (32, 48, 3)
        remount(disk, "size=9M")
        done = nst(*pair, *options, "--output_dir", disk)
        assert done.code == 0
        same_files(made_once(*options) / "output", disk)


def test_a_full_disk_keeps_what_was_there(nst, pair, tmp_path):
    with small_disk(tmp_path / "disk", "48k") as disk:
        full = nst(*pair, *QUICK, "--epochs", 50, "--output_dir", disk)
        assert full.code == 5
        assert "free some space" in full.err
        assert "Traceback" not in full.err
        folder = disk / "photo__painting"
        frames = sorted(folder.glob("frame_*.png"))
        assert frames
        assert all(pixels(frame).shape == (32, 48, 3) for frame in frames)
        assert not list(folder.glob(".*"))
        assert not (folder / "generated_image.png").exists()


def test_an_output_that_becomes_read_only_in_mid_run(nst, pair, tmp_path, monkeypatch, made_once):
    options = (*QUICK, "--epochs", 40, "--print_every", 10)
    command = (*pair, *options, "--output_dir", tmp_path / "disk")
    with small_disk(tmp_path / "disk", "9M") as disk:

        def make_read_only(task, step):
            if step.iteration == 15:
                remount(disk, "ro")

        with monkeypatch.context() as patch:
            on_step(patch, make_read_only)
            failed = nst(*command)
        assert failed.code == 5
        assert "change --output_dir" in failed.err
        assert "Traceback" not in failed.err
        remount(disk, "rw")
        again = nst(*command)
        assert again.code == 0
        assert "going on after iteration 10" in again.err
        same_files(made_once(*options) / "output", disk)


def test_a_clock_that_goes_backwards(nst, pair, monkeypatch):
    clock = iter(range(2_000_000_000, 0, -1000))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    assert nst(*pair, *QUICK).code == 0
