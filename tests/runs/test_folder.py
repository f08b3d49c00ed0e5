"""Run folders: which one a run gets, what it keeps, and what happens when it cannot be written."""

import json
import os
import shutil
import signal

import pytest

from helpers import QUICK, wait_for


def times(folder):
    """When each file of a folder was changed."""
    return {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def set_status(folder, status):
    """Write another status into a manifest."""
    manifest = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(manifest | {"status": status}))


def test_the_same_command_again_does_nothing_and_other_settings_get_a_folder(nst, pair, tmp_path):
    nst(*pair, *QUICK)
    first = tmp_path / "output/photo__painting"
    before = times(first)
    again = nst(*pair, *QUICK)
    assert again.code == 0
    assert "finished earlier" in again.out
    assert times(first) == before

    other = nst(*pair, *QUICK, "--alpha", 20)
    assert "photo__painting-2/generated_image.png" in other.out
    assert times(first) == before

    fresh = nst(*pair, *QUICK, "--print_every", 4, "--overwrite")
    assert fresh.code == 0
    assert not (first / "frame_00002.png").exists()
    assert sorted(path.name for path in (tmp_path / "output").iterdir()) == [
        "index.html",
        "photo__painting",
        "photo__painting-2",
    ]


def test_an_unfinished_run_is_started_again_in_place(nst, pair, finished):
    picture = (finished / "generated_image.png").read_bytes()
    set_status(finished, "running")
    (finished / "generated_image.png").unlink()
    again = nst(*pair, *QUICK)
    assert "unfinished" in again.err
    assert (finished / "generated_image.png").read_bytes() == picture
    assert len(list(finished.parent.glob("*/"))) == 1


def test_equal_stems_never_share_a_folder(nst, pair, painting, finished, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "photo.png").write_bytes(painting.read_bytes())
    second = nst("--content_image_filename", other / "photo.png", *pair[2:], *QUICK, "--overwrite")
    assert "photo__painting-2" in second.out


def test_a_folder_that_a_killed_process_left_is_used(nst, pair, tmp_path):
    folder = tmp_path / "output/photo__painting"
    folder.mkdir(parents=True)
    (folder / ".run.json.999999.part").write_text("{")
    done = nst(*pair, *QUICK)
    assert "photo__painting/generated_image.png" in done.out
    assert not list(folder.glob(".*"))


def test_a_gap_in_the_numbers_hides_no_finished_run(nst, pair, finished):
    nst(*pair, *QUICK, "--alpha", 20)
    shutil.rmtree(finished)
    assert "photo__painting-2" in (again := nst(*pair, *QUICK, "--alpha", 20)).out
    assert "finished earlier" in again.out


@pytest.mark.parametrize("content", ["[1]", "[" * 200_000, "{", '{"identity": 3}'])
def test_a_manifest_that_is_none_of_ours_is_left_alone(nst, pair, tmp_path, content):
    folder = tmp_path / "output/photo__painting"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(content)
    assert "photo__painting-2" in nst(*pair, *QUICK).out
    assert (folder / "run.json").read_text() == content


def test_a_damaged_result_is_made_again(nst, pair, finished):
    picture = finished / "generated_image.png"
    whole = picture.read_bytes()
    picture.write_bytes(whole[:300])
    assert "finished earlier" not in nst(*pair, *QUICK).out
    assert picture.read_bytes() == whole


def test_frames_of_an_unfinished_run_stay_until_they_are_made_again(nst, pair, finished):
    manifest = json.loads((finished / "run.json").read_text())
    (finished / "run.json").write_text(
        json.dumps(manifest | {"status": "interrupted", "iterations": 3})
    )
    (finished / "frame_00008.png").write_bytes((finished / "frame_00004.png").read_bytes())
    (finished / "frame_00003.png").write_bytes((finished / "frame_00004.png").read_bytes())
    nst(*pair, *QUICK)
    assert (finished / "frame_00008.png").exists()
    assert not (finished / "frame_00003.png").exists()  # what a stopped run showed last


@pytest.mark.parametrize("blocked", ["a file in the way", "no permission"])
def test_an_output_folder_that_cannot_be_written(nst, pair, tmp_path, blocked):
    target = tmp_path / "blocked"
    if blocked == "no permission":
        target.mkdir(mode=0o500)
        if os.access(target, os.W_OK):
            pytest.skip("this user may write everywhere")
    else:
        target.write_text("")
    done = nst(*pair, *QUICK, "--output_dir", target / "results")
    assert done.code == 5
    assert "--output_dir" in done.err
    assert done.err.count("\n") == 1


def test_two_runs_do_not_write_one_folder(preloaded_program, nst, pair, tmp_path):
    command = (*pair, *QUICK, "--epochs", 150)
    process = preloaded_program(*command)
    try:
        wait_for(tmp_path / "output/photo__painting/frame_00002.png", process)
        process.send_signal(signal.SIGSTOP)  # it is asleep, and has the folder
        assert process.poll() is None
        second = nst(*command)
        assert second.code == 5
        assert "another run" in second.err
    finally:
        process.kill()
        process.communicate()
    assert nst(*command).code == 0  # the lock ended with the process
