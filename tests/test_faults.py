"""Faults injected for real: a kill in mid-write, a full disk, a read-only one, a wrong clock."""

import os
import signal
import subprocess
import sys
import time

import pytest

from conftest import QUICK, ROOT, pixels, same_files, wait_for

DIES_AT = """
import os, signal, sys
import nst_main
replace = os.replace
def dies(source, target):
    if os.path.basename(target) == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = dies
nst_main.main(sys.argv[2:])
"""


@pytest.mark.parametrize(
    "name", ["generated_image.png", "animation.gif", "thumbnail.jpg", "report.html", "index.html"]
)
def test_a_run_that_is_killed_while_its_last_files_are_written(nst, pair, tmp_path, name):
    command = (*pair, *QUICK, "--epochs", 8, "--animation", "gif", "--output_dir")
    assert nst(*command, tmp_path / "whole").code == 0
    killed = subprocess.run(
        [sys.executable, "-c", DIES_AT, name, *map(str, command), tmp_path / "killed"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL
    assert list((tmp_path / "killed").rglob(f".{name}.*.part"))
    assert not list((tmp_path / "killed").rglob(name))
    again = nst(*command, tmp_path / "killed")
    assert again.code == 0
    assert ("finished earlier" in again.out) == (name == "index.html")
    same_files(tmp_path / "whole", tmp_path / "killed")


def small_disk(path, size):
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("making a small disk needs the right to mount")


@pytest.mark.parametrize("size", range(16, 352, 48))
def test_a_full_disk_at_any_write_and_then_room(nst, pair, tmp_path, size):
    command = (*pair, *QUICK, "--epochs", 8, "--optimizer", "lbfgs")
    assert nst(*command, "--output_dir", tmp_path / "whole").code == 0
    disk = tmp_path / "disk"
    small_disk(disk, f"{size}k")
    try:
        full = nst(*command, "--output_dir", disk)
        assert full.code == 5
        assert "free some space" in full.err
        assert not list(disk.glob("*/.*"))
        for frame in (*disk.glob("*/frame_*.png"), *disk.glob("*/generated_image.png")):
            assert pixels(frame).shape == (32, 48, 3)
        subprocess.run(["mount", "-o", "remount,size=9M", disk], check=True)
        done = nst(*command, "--output_dir", disk)
        assert done.code == 0
        same_files(tmp_path / "whole", disk)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_an_output_that_becomes_read_only_in_mid_run(program, nst, pair, tmp_path):
    command = (*pair, *QUICK, "--epochs", 500, "--print_every", 20)
    disk = tmp_path / "disk"
    small_disk(disk, "9M")
    try:
        process = program(*command, "--output_dir", disk)
        wait_for(disk / "photo__painting/frame_00020.png", process)
        # A file that is being written keeps the disk writable for a moment.
        for _ in range(200):
            if not subprocess.run(["mount", "-o", "remount,ro", disk]).returncode:
                break
        _, err = process.communicate(timeout=60)
        assert process.returncode == 5
        assert "change --output_dir" in err
        assert "Traceback" not in err
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        assert "going on after" in nst(*command, "--output_dir", disk).err
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_clock_that_goes_backwards(nst, pair, monkeypatch):
    clock = iter(range(2_000_000_000, 0, -1000))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    assert nst(*pair, *QUICK).code == 0
