"""Folders, lists and globs of pictures; the events and the gallery of a batch."""

import json
import os
import shutil
import signal
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

import nst.pictures.read
from helpers import QUICK, ROOT, on_step, same_files
from nst.errors import PictureError
from nst.pictures.find import collect_pictures
from nst.runs.batch import plan_batch
from nst.settings import Settings

SCHEMA = jsonschema.Draft202012Validator(
    json.loads((ROOT / "nst/cli/events.schema.json").read_text())
)
STYLE = ("--style_image_filename", "woodcut_wave.jpg")


@pytest.fixture
def folder(tmp_path, photo):
    """A folder with two good pictures, others that are broken, and what is no picture."""
    made = tmp_path / "pictures"
    (made / "sub").mkdir(parents=True)
    shutil.copy(photo, made / "a.png")
    shutil.copy(ROOT / "images/mosaic_sun.jpg", made / "sub/b.jpg")
    (made / "broken.jpg").write_bytes(b"no picture")
    (made / "empty.png").write_bytes(b"")
    (made / "notes.txt").write_text("text")
    (made / ".hidden.png").write_bytes(photo.read_bytes())
    (made / "sub/loop").symlink_to(made)
    (made / "gone.png").symlink_to("nowhere")
    os.mkfifo(made / "pipe.png")
    return made


def events_of(outcome):
    """The events on standard output, each checked against the schema."""
    found = [json.loads(line) for line in outcome.out.splitlines()]
    for event in found:
        SCHEMA.validate(event)
    return found


def test_a_folder_in_two_styles_skips_what_is_finished(nst, folder, tmp_path):
    command = ("--content_image_filename", folder, *STYLE, "mosaic_sun.jpg", *QUICK)
    done = nst(*command)
    assert done.code == 0, done.err
    made = sorted(path.name for path in (tmp_path / "output").iterdir())
    pairs = [f"{one}__{two}" for one in "ab" for two in ("mosaic_sun", "woodcut_wave")]
    assert made == [*pairs, "index.html"]
    assert "Pictures  4 finished, 3 left out as unreadable" in done.out
    for name in ("broken.jpg", "empty.png", "gone.png"):
        assert f"{folder / name}: " in done.err
    assert done.err.count("Network   ") == 1

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "output").glob("*/*")}
    (folder / "c.png").write_bytes((folder / "a.png").read_bytes())
    again = nst(*command)
    assert again.code == 0
    assert "Pictures  2 finished, 4 finished earlier, 3 left out" in again.out
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_every_event_follows_the_schema(nst, folder, tmp_path):
    command = ("--content_image_filename", folder, *STYLE, *QUICK, "--log_json")
    foretold = events_of(nst(*command, "--dry_run"))
    assert [event["event"] for event in foretold] == ["plan", "foreseen"]
    alone = events_of(nst(*QUICK, "--log_json", "--dry_run"))
    assert [event["event"] for event in alone] == ["plan", "foreseen"]
    assert not (tmp_path / "output").exists()
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:-300])
    done = nst(*command)
    assert done.code == 1
    found = events_of(done)
    assert [event["event"] for event in found if event["event"] != "step"] == [
        "plan",
        "start",
        "end",
        "end",
        "start",
        "end",
        "summary",
    ]
    assert [e["iteration"] for e in found if e["event"] == "step"] == [0, 2, 4, 0, 2, 4]
    assert found[-1]["failed"] == 1
    cut = next(event for event in found if event.get("error"))
    assert (cut["status"], cut["exit_code"]) == ("failed", 3)
    again = events_of(nst(*command))
    assert [event["status"] for event in again if event["event"] == "end"] == [
        "skipped",
        "failed",
        "skipped",
    ]
    alone = events_of(nst(*QUICK, "--log_json"))
    assert [event["event"] for event in alone if event["event"] != "step"] == [
        "plan",
        "start",
        "end",
        "summary",
    ]
    refused = nst("--content_image_filename", "missing.jpg", "--log_json")
    assert events_of(refused)[-1] == events_of(refused)[-1] | {"event": "error", "exit_code": 3}


def test_one_failure_does_not_stop_the_others(nst, photo, painting, tmp_path):
    cut = tmp_path / "cut.png"
    cut.write_bytes(photo.read_bytes()[:-300])
    junk = tmp_path / "junk.png"
    junk.write_bytes(b"junk")
    names = ("--content_image_filename", cut, junk, photo)
    done = nst(*names, "--style_image_filename", painting, *QUICK)
    assert done.code == 1
    assert "cut.png in the style of painting.png    failed: " in done.out
    assert f"{junk}  failed: is not a picture" in done.out
    assert "Pictures  1 finished, 2 failed" in done.out
    assert (tmp_path / "output/photo__painting/generated_image.png").exists()


def test_a_folder_without_a_picture_that_can_be_read(nst, folder, tmp_path):
    for name in ("a.png", "sub/b.jpg"):
        (folder / name).unlink()
    done = nst("--content_image_filename", folder, *QUICK)
    assert done.code == 3
    assert "nor can 2 other pictures" in done.err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert nst("--content_image_filename", empty, *QUICK).code == 3
    assert nst("--content_image_filename", "*.nothing", *QUICK).code == 3
    assert nst("--content_image_filename", folder, "missing.png", *QUICK).code == 3
    assert not (tmp_path / "output").exists()


def test_globs_lists_and_odd_names(nst, photo, tmp_path):
    names = ["a b.png", "line\nend.png", "grün 画.png", "-dash.png", "[x]*?.png", "%41&<b>'\".png"]
    for number, name in enumerate(names):
        with Image.open(photo) as image:
            image.rotate(number).save(tmp_path / name)
    done = nst("--content_image_filename=-dash.png", *STYLE, *QUICK)
    assert "Picture   output/-dash__woodcut_wave" in done.out
    done = nst("--content_image_filename", "[x]*?.png", *STYLE, *QUICK)
    assert "Picture   output/[x]*?__woodcut_wave" in done.out
    done = nst("--content_image_filename", "*.png", "a b.png", *STYLE, *QUICK)
    assert done.code == 0, done.err
    assert f"Pictures  {len(names) - 1} finished, 2 finished earlier" in done.out
    assert "line\\nend.png" in done.out

    found = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attributes):
            values = [value for name, value in attributes if name in ("href", "src")]
            found.extend(value for value in values if not value.startswith("data:"))

    Links().feed((tmp_path / "output/index.html").read_text())
    assert len(found) == 3 * (len(names) + 1)  # report, thumbnail, picture
    for link in found:
        assert (tmp_path / "output" / unquote(link)).exists()


def test_globs_in_depth_follow_no_circles(nst, folder, tmp_path):
    (folder / "sub/up").symlink_to(tmp_path)
    found = collect_pictures((f"{folder}/**/*.*g",), "content_image_filename", tmp_path / "output")
    assert [path.name for path, _ in found.pictures] == ["a.png", "b.jpg"]


def test_equal_stems_in_a_batch_never_share_a_folder(nst, folder, tmp_path):
    shutil.copy(ROOT / "images/temple.jpg", folder / "sub/a.png")
    command = ("--content_image_filename", folder, *STYLE, *QUICK)
    assert nst(*command).code == 0
    runs = [tmp_path / f"output/a__woodcut_wave{n}/run.json" for n in ("", "-2")]
    files = [json.loads(run.read_text())["files"]["content"][0]["path"] for run in runs]
    assert files == [str(folder / "a.png"), str(folder / "sub/a.png")]
    assert "3 finished earlier" in nst(*command).out


def test_results_are_no_contents(nst, photo, tmp_path):
    command = ("--content_image_filename", ".", *STYLE, *QUICK)
    assert "Pictures  1 finished" in nst(*command).out
    assert "Pictures  1 finished earlier" in nst(*command).out
    # Nor are those of an earlier output folder.
    assert "Pictures  1 finished\n" in nst(*command, "--output_dir", "other").out


def test_textures_of_several_styles_and_contents_without_one(nst, photo, tmp_path):
    texture = ("--alpha", 0, "--image_size", "40x30", *QUICK[2:])
    assert nst(*texture, *STYLE, "mosaic_sun.jpg").code == 0
    assert (tmp_path / "output/texture__mosaic_sun/generated_image.png").exists()
    done = nst("--content_image_filename", photo, "temple.jpg", "--beta", 0, *QUICK)
    assert done.code == 0, done.err
    assert (tmp_path / "output/temple__reconstruction/generated_image.png").exists()


def test_styles_with_masks_of_their_own(nst, photo, painting, tmp_path):
    for name in ("one", "two"):
        Image.new("L", (8, 8), 200).save(tmp_path / f"{name}.png")
    names = ("--content_image_filename", photo, *STYLE, painting)
    done = nst(*names, *QUICK, "--style_mask", "one.png", "two.png")
    assert done.code == 0, done.err
    run = json.loads((tmp_path / "output/photo__painting/run.json").read_text())
    assert [Path(file["path"]).name for file in run["files"]["style_mask"]] == ["two.png"]
    wrong = nst(*names, *QUICK, "--style_mask", "one.png")
    assert wrong.code == 2
    assert "one for each" in wrong.err


def test_the_plan_of_a_batch(nst, folder, tmp_path):
    command = ("--content_image_filename", folder, *STYLE, *QUICK)
    nst("--content_image_filename", folder / "a.png", *STYLE, *QUICK)
    before = sorted((tmp_path / "output").rglob("*"))
    done = nst(*command, "--dry_run")
    assert done.code == 0
    assert "a.png in the style of woodcut_wave.jpg, 48 x 32  finished earlier" in done.out
    assert "b.jpg in the style of woodcut_wave.jpg, 48 x 36\n" in done.out
    assert "for 1 picture" in done.out
    assert sorted((tmp_path / "output").rglob("*")) == before
    refused = nst(*command, "--dry_run", "--max_memory", "100M")
    assert "need at least" in refused.out
    assert refused.code == 1


def test_a_batch_that_is_stopped_goes_on(nst, folder, tmp_path, monkeypatch):
    command = ("--content_image_filename", folder, *STYLE, *QUICK, "--epochs", 30)
    assert nst(*command, "--output_dir", "whole").code == 0

    def stop_in_second(task, step):
        if (task.number, step.iteration) == (2, 11):
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        on_step(patch, stop_in_second)
        stopped = nst(*command, "--output_dir", "stopped")
    assert stopped.code == 143, stopped.err
    assert (tmp_path / "stopped/index.html").exists()
    done = nst(*command, "--output_dir", "stopped")
    assert done.code == 0
    assert "Pictures  1 finished, 1 finished earlier" in done.out
    assert "b__woodcut_wave: going on after iteration 11 of" in done.err
    same_files(tmp_path / "whole", tmp_path / "stopped")


def test_a_style_twice_in_one_picture_and_once_in_a_batch(nst, photo, painting, tmp_path):
    Image.new("L", (8, 8), 200).save(tmp_path / "mask.png")
    names = ("--content_image_filename", photo, "--style_image_filename", painting, painting)
    masked = nst(*names, *QUICK, "--content_mask", "mask.png", "mask.png")
    assert masked.code == 0, masked.err
    assert (tmp_path / "output/photo__painting+painting/run.json").exists()
    once = nst(*names, *QUICK)
    assert once.code == 0, once.err
    assert "Picture   output/photo__painting/" in once.out


def test_content_and_output_in_one_folder(nst, folder):
    command = ("--content_image_filename", folder, *STYLE, *QUICK, "--output_dir", folder)
    assert "2 finished, " in nst(*command).out
    assert "2 finished earlier" in nst(*command).out


def test_what_earlier_pictures_left_in_memory_does_not_change_the_plan():
    from nst.engine.forecast import choose_tilings

    chosen = Settings(max_memory="6G")
    arguments = (chosen, "VGG-19", "float32", (267, 400), [((300, 400), 400)])
    before = choose_tilings(*arguments)
    kept = np.ones(25_000_000)
    assert choose_tilings(*arguments) == before
    assert kept.any()


def test_a_gallery_shows_all_that_is_finished(nst, folder, photo, tmp_path):
    nst("--content_image_filename", folder, *STYLE, *QUICK)
    nst("--content_image_filename", photo, *STYLE, "mosaic_sun.jpg", *QUICK)
    assert (tmp_path / "output/index.html").read_text().count("<li ") == 4


def test_quiet_batches_print_errors_only(nst, folder):
    done = nst("--content_image_filename", folder, *STYLE, *QUICK, "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:-300])
    cut = nst("--content_image_filename", folder, *STYLE, *QUICK, "--quiet")
    assert (cut.code, cut.out, cut.err.count("\n")) == (1, "", 1)
    assert "cut.png" in cut.err
    loud = nst("--content_image_filename", folder, "--quiet", "--log_json")
    assert loud.code == 2


def test_ten_thousand_names_are_planned_without_decoding(tmp_path, photo, monkeypatch):
    for number in range(10_000):
        (tmp_path / f"{number:05}.png").hardlink_to(photo)
    calls = []
    for owner, name in ((ImageFile.ImageFile, "load"), (nst.pictures.read, "file_hash")):
        monkeypatch.setattr(owner, name, lambda *arguments, name=name: calls.append(name))
    names = {"content_image_filename": tmp_path, "output_dir": tmp_path / "output"}
    batch = plan_batch(Settings(**names))
    assert len(batch.tasks) == 10_001
    assert calls == []


@pytest.mark.parametrize("depth", [900, 2500])
def test_a_very_deep_folder(tmp_path, photo, depth):
    here = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(depth):
            os.mkdir("d")
            os.chdir("d")
        shutil.copy(photo, "deep.png")
    finally:
        os.chdir(here)
    found = collect_pictures((str(tmp_path),), "content_image_filename", tmp_path / "output")
    names = [path.name for path, _ in found.pictures]
    glob = (str(tmp_path / "**/*.png"),)
    if depth == 900:
        assert names == ["deep.png", "photo.png"]
        found = collect_pictures(glob, "content_image_filename", tmp_path / "output")
        assert "photo.png" in [path.name for path, _ in found.pictures]
    else:  # beyond some 4096 bytes a path cannot be opened
        assert names == ["photo.png"]
        with pytest.raises(PictureError, match="give a folder"):
            collect_pictures(glob, "content_image_filename", tmp_path / "output")
    path = tmp_path / "d"
    for _ in range(depth):  # shutil.rmtree of Python 3.11 is recursive
        os.rename(path, tmp_path / "old")
        for inner in (tmp_path / "old").iterdir():
            os.rename(inner, tmp_path / inner.name)
        os.rmdir(tmp_path / "old")
    assert not path.exists()


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=60)


@settings(deadline=None, max_examples=40)
@given(name=NAMES)
def test_any_name_is_found_in_its_folder(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("names")
    path = folder / f"{name}.png"
    Image.new("RGB", (3, 2)).save(path, "PNG")  # "..png" has no suffix
    if name.startswith("."):
        with pytest.raises(PictureError):
            collect_pictures((str(folder),), "content_image_filename", Path("output"))
        return
    found = collect_pictures((str(folder),), "content_image_filename", Path("output"))
    assert found.pictures == [(path, (3, 2))]


def test_names_that_are_no_text(nst, photo, tmp_path):
    if sys.platform == "darwin":
        pytest.skip("file names are text here")
    name = os.fsencode(tmp_path) + b"/folder/\xff\xfe.png"
    os.mkdir(os.path.dirname(name))
    shutil.copy(photo, name)
    done = nst("--content_image_filename", "folder", *STYLE, *QUICK)
    assert done.code == 0, done.err
    assert (tmp_path / "output/index.html").exists()
