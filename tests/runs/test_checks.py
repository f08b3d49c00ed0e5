"""What is refused before TensorFlow is imported: output folders that cannot be written."""

import errno
import os
import subprocess
import sys

import pytest
from disks import Disk

from helpers import QUICK, ROOT
from nst.errors import OutputError
from nst.runs.batch import plan_batch
from nst.runs.checks import check_output
from nst.settings import Settings


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("link", "target", "output_dir", "words"),
    [
        ("output", "/no/such/disk/out", "output", "output links to /no/such/disk/out, which is"),
        ("output", "/no/such/disk/out", "output/a/b", "output links to /no/such/disk/out, which"),
        ("output", "gone", "./output", "output links to gone, which is not there"),
        ("output", "output", "output", "output links to output, which is not there"),
        ("a", "b", "a", "a links to b, which is not there"),
        ("output", "file", "output", "output: is a file, not a folder"),
        ("output", "file", "output/a", "output: is a file, not a folder"),
        ("output", "folder", "file/a", "file: is a file, not a folder"),
        ("output", "folder", "x" * 300, "File name too long"),
        ("output", "folder", "/dev/null", "/dev/null: is a file"),
    ],
)
def test_output_folders_that_cannot_be(here, link, target, output_dir, words):
    (here / "folder").mkdir()
    (here / "file").write_text("mine")
    (here / "b").symlink_to("c")
    os.symlink(target, link)
    before = sorted(here.rglob("*"))
    with pytest.raises(OutputError) as refused:
        plan_batch(Settings(output_dir=output_dir))
    assert words in str(refused.value)
    assert "--output_dir" in str(refused.value)
    assert sorted(here.rglob("*")) == before
    assert (here / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("refuses", "error", "output_dir", "name"),
    [
        (lambda name: ":" in name, errno.EINVAL, "day 12:30", "day 12:30"),
        (lambda name: "?" in name, errno.EINVAL, "a/what?/b", "what?"),
        (lambda name: len(name) > 143, errno.ENAMETOOLONG, "x" * 144, "x" * 144),
    ],
)
def test_a_name_that_the_disk_refuses(here, monkeypatch, refuses, error, output_dir, name):
    Disk(here, refuses=refuses, error=error).mount(monkeypatch)
    with pytest.raises(OutputError) as refused:
        plan_batch(Settings(output_dir=output_dir))
    words = f"{output_dir}: the disk refuses the name {name} ({os.strerror(error)}); change --out"
    assert str(refused.value).startswith(words)
    assert not list(here.iterdir())
    check_output(here / "plain/a/../a")
    assert not list(here.iterdir())


def test_links_to_folders_are_followed(here):
    (here / "disk").mkdir()
    (here / "output").symlink_to("disk")
    check_output(here / "output")
    check_output(here / "output/new/folder")


def test_a_disk_that_is_read_only_is_refused_for_what_it_is(here):
    disk = here / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk]
    if subprocess.run(mounting, capture_output=True, timeout=60).returncode:
        pytest.skip("mounting a disk needs the right to it")
    try:
        with pytest.raises(OutputError, match=r"disk: is on a disk that is read-only; change --o"):
            check_output(disk / "new")
    finally:
        subprocess.run(["umount", disk], check=True, timeout=60)


def test_a_dangling_link_is_refused_before_tensorflow(program, pair, tmp_path):
    (tmp_path / "output").symlink_to("/no/such/disk/out")
    process = program(*pair, *QUICK)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 5
    assert err.startswith("nst_main.py: error: output links to /no/such/disk/out, which is not ")
    assert err.count("\n") == 1


def test_output_folders_are_checked_without_tensorflow():
    code = (
        "import sys; from nst.runs.batch import plan_batch; from nst.settings import Settings\n"
        "try: plan_batch(Settings(output_dir='/dev/null'))\n"
        "except Exception as error: print(type(error).__name__, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "OutputError False\n"
