"""What a command leaves outside of its output folder: nothing."""

import os
import signal

import pytest

from helpers import QUICK, wait_for

# By tiles, at two scales, with both dtypes tried: whatever is traced may leave files behind.
OPTIONS = ("--optimizer", "lbfgs", "--scales", 2, "--tile_size", 16, "--precision", "auto")


@pytest.fixture
def places(tmp_path):
    """Two empty folders: one for temporary files, and one to work in."""
    made = tmp_path / "temporary", tmp_path / "work"
    for folder in made:
        folder.mkdir()
    return made


@pytest.fixture
def start(program, pair, places):
    """Start the program so that it leaves whatever it leaves in one of the places."""
    temporary, work = places

    def call(*options):
        environment = {**os.environ, "TMPDIR": str(temporary)}
        return program(*pair, *QUICK, *options, cwd=work, env=environment)

    return call


def names(folder):
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_finished_run_leaves_its_output_only(start, places):
    temporary, work = places
    process = start(*OPTIONS, "--animation", "gif")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert names(work) == ["output"]
    assert names(work / "output") == ["index.html", "photo__painting"]
    assert names(temporary) == []


def test_a_stopped_run_leaves_its_output_only(start, places):
    temporary, work = places
    process = start(*OPTIONS, "--epochs", 1_000_000)
    wait_for(work / "output/photo__painting/checkpoint", process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 143, err
    assert names(work) == ["output"]
    assert names(temporary) == []


def test_a_dry_run_leaves_nothing(start, places):
    process = start("--dry_run", "--precision", "auto")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert [names(folder) for folder in places] == [[], []]
