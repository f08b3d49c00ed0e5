"""What is asked for of a finished run, made without painting; copies in the output folder."""

import shutil

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from helpers import QUICK, pixels, run_json
from nst.errors import UsageError
from nst.output_names import FIELDS, fill_in, name_format
from nst.runs.flat_copy import FlatCopy, put
from nst.settings import Settings

RESULT = "generated_image"


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def paint(*arguments, **options):
    raise AssertionError("it is painted again")


@pytest.fixture
def no_painting(monkeypatch):
    """Fail where a picture would be painted."""
    monkeypatch.setattr("nst.runs.run.run_steps", paint)


@pytest.mark.parametrize("kind", ["jpg", "webp", "tif"])
def test_another_kind_is_made_of_the_finished_picture(
    nst, pair, finished, made_once, monkeypatch, kind
):
    direct = made_once(*QUICK, "--output_format", kind) / "output/photo__painting"
    monkeypatch.setattr("nst.runs.run.run_steps", paint)
    before = files(finished)
    done = nst(*pair, *QUICK, "--output_format", kind)
    assert done.code == 0, done.err
    made = finished / f"{RESULT}.{kind}"
    assert f"{RESULT}.{kind}: made of {RESULT}.png, without painting" in done.err
    assert ("8 bits" in done.err) == (kind == "tif")
    assert f"photo__painting/{RESULT}.{kind} (finished earlier" in done.out
    wanted = pixels(finished / f"{RESULT}.png")
    if kind == "tif":
        assert (tifffile.imread(made) == wanted.astype("u2") * 257).all()
    else:
        assert made.read_bytes() == (direct / f"{RESULT}.{kind}").read_bytes()
    after = files(finished)
    assert {path: after[path] for path in before if path.name != "run.json"} == {
        path: data for path, data in before.items() if path.name != "run.json"
    }
    assert set(run_json(finished)["results"]) == {"png", kind}
    for same in ("png", kind):  # both are there now
        before = files(finished.parent)
        assert "finished earlier" in nst(*pair, *QUICK, "--output_format", same).out
        assert files(finished.parent) == before


@pytest.mark.parametrize("every", [2, 3])
def test_of_a_jpeg_another_kind_is_made_in_full_quality_or_painted(
    nst, pair, tmp_path, made_once, monkeypatch, every
):
    options = (*QUICK, "--print_every", every)
    assert nst(*pair, *options, "--output_format", "jpg").code == 0
    done = nst(*pair, *options)
    whole = made_once(*options) / "output/photo__painting"
    first = tmp_path / "output/photo__painting"
    if every == 2:  # the last frame is the result
        assert "made of frame_00004.png, without painting" in done.err
        made = first
    else:
        assert "finished as a JPEG alone, too poor to make a png of" in done.err
        made = tmp_path / "output/photo__painting-2"
        assert "finished earlier" in nst(*pair, *options).out
    assert (made / f"{RESULT}.png").read_bytes() == (whole / f"{RESULT}.png").read_bytes()
    assert "finished earlier" in nst(*pair, *options, "--output_format", "jpg").out
    assert (first / f"{RESULT}.jpg").exists()


@pytest.mark.parametrize("kind", ["png", "webp", "tif"])
def test_transparency_and_depth_survive_another_kind(nst, pair, photo, tmp_path, kind):
    image = Image.open(photo)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(photo)
    assert nst(*pair, *QUICK, "--output_format", kind).code == 0
    folder = tmp_path / "output/photo__painting"
    assert nst(*pair, *QUICK, "--output_format", "png").code == 0
    made = pixels(folder / f"{RESULT}.png")
    assert (made[:, :, 3] == np.asarray(image)[:, :, 3]).all()
    assert (made == pixels(folder / "frame_00004.png")).all()


def test_frames_and_state_that_cannot_be_had_are_told(nst, pair, finished, no_painting):
    done = nst(*pair, *QUICK, "--print_every", 4, "--keep_state")
    assert done.code == 0
    assert "its frames stay those of --print_every 2." in done.err
    assert "its state was not kept" in done.err


def test_tensorboard_and_animation_of_a_finished_run(nst, pair, finished, no_painting):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    done = nst(*pair, *QUICK, "--tensorboard", "--animation", "gif")
    assert done.code == 0, done.err
    log = EventAccumulator(str(finished / "tensorboard")).Reload()
    assert [event.step for event in log.Tensors("J")] == [0, 1, 2, 3, 4]
    assert [event.step for event in log.Tensors("picture")] == [2, 4]
    assert b"animation.gif" in (finished / "report.html").read_bytes()


# --- Copies in the output folder ---------------------------------------------------------------


def test_a_finished_picture_is_also_put_in_the_output_folder(nst, pair, tmp_path):
    name = ("--output_name", "{content} in {style}, {epochs}.jpg")
    done = nst(*pair, *QUICK, *name)
    assert done.code == 0, done.err
    output = tmp_path / "output"
    copy = output / "photo in painting, 4.jpg"
    assert f"{copy.relative_to(tmp_path)}: the finished picture." in done.err
    assert copy.read_bytes() == (output / f"photo__painting/{RESULT}.jpg").read_bytes()
    before = files(output)
    again = nst(*pair, *QUICK, *name)
    assert "finished earlier" in again.out
    assert "the finished picture" not in again.err
    assert files(output) == before
    copy.unlink()
    nst(*pair, *QUICK, *name)
    assert files(output).keys() == before.keys()


def test_a_finished_run_is_copied_later_and_taken_names_are_kept(nst, pair, finished, no_painting):
    (finished.parent / "photo.png").write_text("mine")
    done = nst(*pair, *QUICK, "--output_name", "{content}")
    assert "photo-2.png: the finished picture (photo.png is taken)." in done.err
    assert (finished.parent / "photo.png").read_text() == "mine"
    copy = finished.parent / "photo-2.png"
    assert copy.read_bytes() == (finished / f"{RESULT}.png").read_bytes()
    assert run_json(finished)["output_file"]["file"] == "photo-2.png"
    other = nst(*pair, *QUICK, "--output_name", "{content}.webp", "--output_format", "png")
    assert other.code == 0, other.err
    assert (pixels(finished.parent / "photo.webp") == pixels(copy)).all()


def test_overwrite_replaces_its_own_copy_and_no_other(nst, pair, finished):
    name = ("--output_name", "p.png")
    nst(*pair, *QUICK, *name)
    copy = finished.parent / "p.png"
    first = copy.read_bytes()
    assert nst(*pair, *QUICK, *name, "--seed", 1, "--overwrite").code == 0
    assert copy.read_bytes() != first
    assert not (finished.parent / "p-2.png").exists()
    copy.write_bytes(b"changed by its user")
    assert nst(*pair, *QUICK, *name, "--seed", 2, "--overwrite").code == 0
    assert copy.read_bytes() == b"changed by its user"
    assert (finished.parent / "p-2.png").exists()


def test_a_batch_fills_one_flat_folder(nst, photo, painting, tmp_path):
    photos = tmp_path / "photos"
    (photos / "more").mkdir(parents=True)
    shutil.copy(photo, photos / "a.png")
    shutil.copy(painting, photos / "b.png")
    shutil.copy(painting, photos / "more/a.png")
    command = ("--content_image_filename", photos, "--style_image_filename", painting, *QUICK)
    command += ("--epochs", 1, "--output_name", "{content}.png", "--output_dir", photos)
    for _ in range(2):
        assert nst(*command).code == 0
        pictures = [path.name for path in photos.iterdir() if path.suffix == ".png"]
        assert sorted(pictures) == ["a-2.png", "a-3.png", "a.png", "b-2.png", "b.png"]


PATTERNS = [
    ("{contents}.png", "{contents}"),
    ("{content.path}.png", "{content.path}"),
    ("{content!r}.png", "{content!r}"),
    ("{epochs:05}.png", "{epochs:05}"),
    ("{}.png", "{}"),
    ("{content.png", "is no pattern"),
    ("content}.png", "is no pattern"),
    ("../{content}.png", "without /"),
    ("a\\b.png", "without /"),
    ("{content}.gif", "not .gif"),
    ("{content}.HEIC", "not .heic"),
    (".hidden", "dot"),
    ("", "must be a name"),
    (" ", "must be a name"),
]


@pytest.mark.parametrize(("pattern", "words"), PATTERNS)
def test_patterns_that_are_refused(nst, tmp_path, pattern, words):
    done = nst("--output_name", pattern)
    assert done.code == 2
    assert words in done.err
    assert "output_name" in done.err
    assert done.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@given(st.sets(st.sampled_from(FIELDS), min_size=1), st.sampled_from(["", ".png", ".JPG", ".tiff"]))
def test_every_field_has_a_value_without_separators(fields, suffix):
    settings = Settings(output_name="_".join(f"{{{name}}}" for name in sorted(fields)) + suffix)
    values = {**vars(settings), "content": "a", "style": "b/c"}
    name = fill_in(settings.output_name, values, settings.output_format)
    assert "/" not in name
    assert "{" not in name
    assert name_format(name) == settings.output_format


def test_the_suffix_decides_the_kind_unless_it_is_given():
    assert Settings(output_name="a.tiff").output_format == "tif"
    assert Settings(output_name="a.tiff", output_format="jpg").output_format == "jpg"
    assert Settings(output_name="a", preset="fast").output_format == "png"
    with pytest.raises(UsageError, match="output_name"):
        Settings(output_name=5)


@given(data=st.data())
def test_no_file_of_others_is_ever_changed(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flat")
    taken = data.draw(st.sets(st.sampled_from(["a.png", "a-2.png", "a-4.png"])))
    for name in taken:
        (folder / name).write_bytes(b"mine " + name.encode())
    (folder / "a-3.png").symlink_to("nowhere")
    copies, before = [], None
    for number in range(3):
        before = put(folder, "a.png", b"picture %d" % (number // 2), before)
        assert (folder / before.file).read_bytes() == b"picture %d" % (number // 2)
        copies.append(before)
    assert len({copy.file for copy in copies}) == 1  # its own is replaced
    for name in taken:
        assert (folder / name).read_bytes() == b"mine " + name.encode()
    assert (folder / "a-3.png").is_symlink()
    other = put(folder, "a.png", b"another", None)
    assert other.file not in {copies[0].file, *taken}
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("about", [{}, {"output_file": 5}, {"output_file": {"name": "a"}}])
def test_a_manifest_without_a_copy(about):
    assert FlatCopy.recorded(about) is None
