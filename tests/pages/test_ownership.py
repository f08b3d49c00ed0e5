"""Which files of an output folder are this program's: all others stay what they are."""

import json
import os
import shutil

import pytest
from PIL import Image, PngImagePlugin

from helpers import QUICK
from nst import layout
from nst.pages.gallery import gallery_path, write_gallery
from nst.pages.ownership import foreign_files, is_own_page

HOME = "<!DOCTYPE html>\n<title>Neural Style Transfer: my pictures</title><h1>my home page</h1>"
OLD_GALLERY = "<title>Neural Style Transfer: {}</title>\n<ul></ul>"  # of versions up to 0.8


def picture(path):
    """Somebody's own picture."""
    Image.new("RGB", (7, 5), "red").save(path)


def text(path):
    path.write_text("mine")


def edited(path):
    """The result, changed by a program that keeps its metadata."""
    with Image.open(path) as image:
        chunks = PngImagePlugin.PngInfo()
        for name, value in image.text.items():
            chunks.add_itxt(name, value)
        image.rotate(180).save(path, pnginfo=chunks)


FOREIGN = [
    ("generated_image.png", picture),
    ("generated_image.png", text),
    ("generated_image.png", edited),
    ("generated_image.jpg", picture),
    ("generated_image.tif", picture),
    ("frame_00002.png", picture),
    ("frame_00007.png", picture),
    ("report.html", text),
    ("costs.csv", text),
    ("style_costs.csv", text),
    ("animation.gif", picture),
    ("thumbnail.jpg", picture),
    ("costs.png", picture),
]


def later(folder):
    """Let the manifest of a folder be older than what is written from now on."""
    os.utime(folder / "run.json", (1e9, 1e9))


def manifest_of(folder):
    return json.loads((folder / "run.json").read_text())


def test_all_that_a_run_leaves_is_its_own(made_once):
    run = made_once(*QUICK, "--animation", "gif")
    folder = run / "output/photo__painting"
    assert foreign_files(folder, manifest_of(folder)) == []
    for path in folder.iterdir():
        if path.suffix not in (".csv", ".json"):
            data = path.read_bytes()
            assert layout.MARK.encode() in data[:65536] + data[-65536:], path
    assert is_own_page(run / "output/index.html")


@pytest.mark.parametrize("kind", ["jpg", "webp", "tif"])
def test_results_of_every_format_are_known(kind, made_once):
    folder = made_once(*QUICK, "--output_format", kind) / "output/photo__painting"
    assert foreign_files(folder, {}) == []
    assert foreign_files(folder, manifest_of(folder)) == []


@pytest.mark.parametrize(("name", "make"), FOREIGN)
def test_files_of_somebody_else_are_told(finished, name, make):
    later(finished)
    make(finished / name)
    assert foreign_files(finished, manifest_of(finished)) == [finished / name]


@pytest.mark.parametrize("name", ["generated_image.png", "frame_00002.png", "report.html"])
def test_what_is_damaged_or_empty_is_nobodys(finished, name):
    whole = (finished / name).read_bytes()
    for data in (b"", b"\0" * 5000, whole[:1000] if name.endswith("png") else whole[:3000]):
        (finished / name).write_bytes(data)
        assert foreign_files(finished, manifest_of(finished)) == []


def test_pages_of_earlier_versions_are_known(tmp_path):
    pages = {
        OLD_GALLERY.format("1 picture"): True,
        OLD_GALLERY.format("12 pictures"): True,
        OLD_GALLERY.format("pictures"): False,
        '<script type="application/json" id="data">{}</script>\n<script>': True,
        HOME: False,
        "": False,
    }
    for page, own in pages.items():
        (tmp_path / "page.html").write_text(page)
        assert is_own_page(tmp_path / "page.html") == own, page


def make_folder(path):
    path.mkdir()


def make_link(path):
    path.symlink_to("gone")


def make_home(path):
    path.write_text(HOME)


@pytest.mark.parametrize("make", [make_home, make_folder, make_link, text])
def test_a_page_of_somebody_else_is_never_overwritten(finished, make):
    output = finished.parent
    (output / "index.html").unlink(missing_ok=True)
    make(output / "index.html")
    make(output / "gallery.html")
    said = []
    page = write_gallery(output, said.append)
    assert page == output / "gallery-2.html" == gallery_path(output)
    assert page.read_text().count("<li ") == 1
    assert said == [
        f"{output / 'index.html'}: not written by this program, left alone; the gallery is {page}."
    ]
    assert write_gallery(output) == page  # again, and no further one
    assert not (output / "gallery-3.html").exists()
    (output / "index.html").rename(output / "moved")
    assert write_gallery(output, said.append) == output / "index.html"
    assert len(said) == 1


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_home_page_in_the_output_folder_stays(nst, pair, tmp_path, overwrite):
    (tmp_path / "public_html").mkdir()
    (tmp_path / "public_html/index.html").write_text(HOME)
    options = ("--output_dir", "public_html", *["--overwrite"] * overwrite)
    done = nst(*pair, *QUICK, *options)
    assert done.code == 0
    assert "public_html/index.html: not written by this program, left alone" in done.err
    assert (tmp_path / "public_html/index.html").read_text() == HOME
    assert (tmp_path / "public_html/gallery.html").read_text().count("<li ") == 1


@pytest.mark.parametrize(("name", "make"), [FOREIGN[0], FOREIGN[5], FOREIGN[7], FOREIGN[8]])
def test_overwrite_leaves_a_folder_with_files_of_somebody_else(nst, pair, finished, name, make):
    make(finished / name)
    later(finished)
    before = {path: path.read_bytes() for path in finished.iterdir()}
    done = nst(*pair, *QUICK, "--overwrite")
    assert done.code == 0
    assert f"{name}: not written by this program, left alone; the folder of the run is " in done.err
    assert "Picture   output/photo__painting-2/generated_image.png" in done.out
    assert {path: path.read_bytes() for path in finished.iterdir()} == before


def test_a_picture_that_somebody_retouched_is_kept_and_the_other_found_again(nst, pair, finished):
    edited(finished / "generated_image.png")
    retouched = (finished / "generated_image.png").read_bytes()
    again = nst(*pair, *QUICK)
    assert "generated_image.png: not written by this program, left alone" in again.err
    assert "photo__painting-2" in again.out
    third = nst(*pair, *QUICK)
    assert "photo__painting-2/generated_image.png (finished earlier" in third.out
    assert (finished / "generated_image.png").read_bytes() == retouched


def test_a_folder_of_the_name_of_a_run_that_somebody_made(nst, pair, tmp_path):
    folder = tmp_path / "output/photo__painting"
    folder.mkdir(parents=True)
    picture(folder / "generated_image.png")
    (folder / "run.json").write_text('{"status": "finished"}')
    before = {path: path.read_bytes() for path in folder.iterdir()}
    done = nst(*pair, *QUICK, "--overwrite")
    assert "photo__painting-2/generated_image.png" in done.out
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_tensorboard_files_of_somebody_else_stay(nst, pair, finished):
    events = finished / "tensorboard"
    events.mkdir()
    (events / "notes.txt").write_text("mine")
    (events / "events.out.tfevents.1").write_text("ours")
    shutil.copytree(events, finished / "logs")
    assert nst(*pair, *QUICK, "--overwrite").code == 0
    assert [path.name for path in events.iterdir()] == ["notes.txt"]
    assert len(list((finished / "logs").iterdir())) == 2
