"""Names on a command line -> many pictures: ``~``, brackets, other files, system folders."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from nst.errors import PictureError, UsageError
from nst.pictures.find import collect_pictures
from nst.runs.batch import plan_batch
from nst.settings import Settings

SETTING = "content_image_filename"


def make(*paths):
    """Make picture files, and files with other endings that hold text."""
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".jpg", ".png"):
            Image.new("RGB", (3, 2)).save(path)
        else:
            path.write_text("text")


def collect(*names, exclude=()):
    return collect_pictures(names, SETTING, Path("output"), exclude=exclude)


def found(*names, exclude=()):
    """The pictures that names stand for, as text."""
    return [path.as_posix() for path, _ in collect(*names, exclude=exclude).pictures]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder to work in, and a home folder elsewhere."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "work"


FILE_SETTINGS = ["model_path", "output_dir", "init", SETTING, "style_image_filename"]
FILE_SETTINGS += ["content_mask", "style_mask"]


@pytest.mark.parametrize("setting", FILE_SETTINGS)
def test_the_home_folder_in_every_file_setting(setting, tmp_path, here):
    def parsed(name):
        value = getattr(Settings(**{setting: name}), setting)
        return value[0] if isinstance(value, tuple) else value

    home = str(tmp_path / "home")
    assert parsed("~/x y.jpg") == parsed(Path("~/x y.jpg")) == f"{home}/x y.jpg"
    assert parsed("~") == home
    assert parsed("~draft.jpg") == "~draft.jpg"
    assert parsed("a~/b.jpg") == "a~/b.jpg"
    with pytest.raises(UsageError, match=f"^{setting} names a home folder that is not known"):
        parsed("~no_such_user_/x.jpg")
    make("~/x.jpg", "~no_such_user_/y.jpg")  # files of that very name come first
    assert parsed("~/x.jpg") == "~/x.jpg"
    assert parsed("~no_such_user_/z.jpg") == "~no_such_user_/z.jpg"
    assert parsed("~/y.jpg") == f"{home}/y.jpg"


def test_from_python_the_home_folder_is_expanded(tmp_path):
    from nst_utils import NeuralStyleTransfer

    settings = NeuralStyleTransfer("~/a.jpg", "~/b.jpg", output_dir="~/out").settings
    assert settings.content_image_filename == (f"{tmp_path}/home/a.jpg",)
    assert settings.style_image_filename == (f"{tmp_path}/home/b.jpg",)
    assert settings.output_dir == f"{tmp_path}/home/out"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[2019] trip/*.jpg", ["[2019] trip/1.jpg", "[2019] trip/[x]*.jpg"]),
        ("./[2019] trip/[12].jpg", ["[2019] trip/1.jpg"]),
        ("*/[x]*.jpg", ["[2019] trip/[x]*.jpg"]),
        ("[2019] trip/[x]*.jpg", ["[2019] trip/[x]*.jpg"]),
        ("[2019]*/1.jpg", ["[2019] trip/1.jpg"]),
        ("[2019] trip/**/*.png", ["[2019] trip/a/b.png"]),
        ("[2019] trip/?/*.png", ["[2019] trip/a/b.png"]),
        ("[2019] trip", ["[2019] trip/1.jpg", "[2019] trip/[x]*.jpg", "[2019] trip/a/b.png"]),
        ("[[]2019] trip/1.*", ["[2019] trip/1.jpg"]),
        ("[0-9].jpg", ["2.jpg"]),
        ("what?.jpg", ["what?.jpg"]),
        (".hidden/**/*.jpg", [".hidden/a.jpg"]),
        ("temple.*", [str(Path(__file__).resolve().parents[2] / "images/temple.jpg")]),
    ],
)
def test_names_with_the_characters_of_patterns(pattern, expected, here):
    make("[2019] trip/1.jpg", "[2019] trip/[x]*.jpg", "[2019] trip/a/b.png", "2.jpg")
    make("what?.jpg", "whats.jpg", ".hidden/a.jpg")
    assert found(pattern) == expected
    if not expected[0].startswith("/"):
        assert found(f"{here}/{pattern}") == [f"{here}/{name}" for name in expected]


NAMES = st.text(
    st.sampled_from("ab[]*?!{}~ '\"\\\n-.é画é#@$") | st.characters(exclude_categories=["Cs"]),
    min_size=1,
    max_size=40,
).filter(lambda name: not {"/", "\0"} & set(name) and len(name.encode()) < 200)


@given(folder=NAMES, name=NAMES)
def test_whatever_its_name_a_file_is_found_by_it_and_in_its_folder(tmp_path_factory, folder, name):
    assume(folder not in (".", ".."))
    top = tmp_path_factory.mktemp("names")
    path = top / folder / f"{name}.png"
    make(path)
    make(top / folder / "x.jpg")
    assert found(str(path)) == [str(path)]
    assert found(f"{top}/{folder}/*.jpg") == [str(path.with_name("x.jpg"))]
    if not name.startswith("."):
        assert str(path) in found(str(path.parent))


@given(name=NAMES)
def test_a_name_is_a_setting_as_it_is_or_stands_for_a_home_folder(name):
    try:
        (parsed,) = Settings(content_image_filename=name).content_image_filename
    except UsageError as error:
        assert name.startswith("~")
        assert "home folder" in str(error)
    else:
        assert parsed == name or name.startswith("~")


def test_other_files_among_several_names_are_left_alone():
    make("ph/a.jpg", "ph/notes.txt", "ph/Thumbs.db", "ph/._a.jpg", "ph/@eaDir/a.jpg/XL.jpg")
    make("ph/sub/b.png", "ph/clip.mp4", "ph/page.pdf")
    os.mkfifo("ph/pipe")
    Path("ph/latest").symlink_to("gone")
    Image.new("RGB", (4, 4)).save("ph/no_ending", "PNG")
    names = sorted(str(path) for path in Path("ph").iterdir())
    collected = collect(*names)
    assert [str(path) for path, _ in collected.pictures] == [
        "ph/a.jpg",
        "ph/no_ending",
        "ph/sub/b.png",
    ]
    assert collected.broken == {}
    assert collected.left_alone.text() == ("6 other files, 1 hidden one, 1 system folder (@eaDir)")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["notes.txt"], "notes.txt: is not a picture"),
        (["notes.txt", "Thumbs.db"], "notes.txt: is not a picture"),
        (["a.jpg", "missing.txt"], "missing.txt: no such file"),
        (["broken.jpg", "notes.txt"], "broken.jpg: is not a picture"),
        (["empty"], "no pictures in this folder"),
        (["@eaDir", "notes.txt"], "notes.txt: is not a picture"),
        (["[x]/*.jpg"], r"\[x\]/\*\.jpg: no such file, folder or match"),
    ],
)
def test_where_no_picture_is_left_the_reason_is_told(names, words):
    make("a.jpg", "notes.txt", "Thumbs.db", "@eaDir/a.jpg")
    Path("broken.jpg").write_bytes(b"junk")
    Path("empty").mkdir()
    with pytest.raises(PictureError, match=words):
        collect(*names)


def test_names_of_pictures_that_are_none_still_count_as_failed():
    make("a.jpg", "notes.txt")
    Path("broken.jpg").write_bytes(b"junk")
    collected = collect("a.jpg", "broken.jpg", "notes.txt")
    assert list(collected.broken) == [Path("broken.jpg")]
    assert collected.left_alone.text() == "1 other file"


def test_other_files_among_styles_do_not_stop_a_mixture():
    make("c.jpg", "s/a.jpg", "s/b.jpg", "s/Thumbs.db")
    names = ["s/Thumbs.db", "s/a.jpg", "s/b.jpg"]
    batch = plan_batch(
        Settings(content_image_filename="c.jpg", style_image_filename=names, style_weights=(1, 2))
    )
    assert [path.name for path in batch.tasks[0].styles] == ["a.jpg", "b.jpg"]
    assert batch.left_alone.text() == "1 other file"


SYSTEM = [
    "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg",
    "#recycle/old.jpg",
    "$RECYCLE.BIN/S-1-5/x.jpg",
    "__MACOSX/y.jpg",
    "sub/@eaDir/b.jpg",
    "System Volume Information/z.jpg",
    "#snapshot/GMT-2026/a.jpg",
    "@Recycle/a.jpg",
    "lost+found/1.jpg",
    "Catalog Previews.lrdata/0/x.jpg",
    "FOUND.000/x.jpg",
]
HIDDEN = [".Trashes/501/a.jpg", ".thumbnails/a.jpg", "._a.jpg", ".DS_Store"]


@pytest.mark.parametrize("name", ["nas", "nas/", "nas/**/*.jpg", "na?"])
def test_folders_that_a_system_made_are_left_alone_and_counted(name):
    make("nas/a.jpg", "nas/sub/b.jpg", *(f"nas/{path}" for path in SYSTEM + HIDDEN))
    collected = collect(name)
    assert [str(path) for path, _ in collected.pictures] == ["nas/a.jpg", "nas/sub/b.jpg"]
    if "*" in name:
        assert collected.left_alone.text() == "12 other files"
    else:
        assert collected.left_alone.text() == (
            "4 hidden ones, 11 system folders (#recycle, #snapshot, $RECYCLE.BIN, @Recycle, "
            "@eaDir, ...)"
        )


def test_a_system_folder_that_is_named_is_meant():
    make("nas/@eaDir/a.jpg", "nas/@eaDir/sub/b.jpg")
    assert found("nas/@eaDir") == ["nas/@eaDir/a.jpg", "nas/@eaDir/sub/b.jpg"]
    assert found("nas/@eaDir/*.jpg") == ["nas/@eaDir/a.jpg"]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["*/cache/*"], ["a.jpg", "b_small.png", "sub/c.jpg"]),
        (["cache"], ["a.jpg", "b_small.png", "sub/c.jpg"]),
        (["cache/"], ["a.jpg", "b_small.png", "sub/c.jpg"]),
        (["sub/cache"], ["a.jpg", "b_small.png", "cache/d.jpg", "sub/c.jpg"]),
        (["photos/sub"], ["a.jpg", "b_small.png", "cache/d.jpg"]),
        (["./sub/*"], ["a.jpg", "b_small.png", "cache/d.jpg"]),
        (["*_small.*", "sub"], ["a.jpg", "cache/d.jpg"]),
        (["*.jpg"], ["b_small.png"]),
        (["[ab]*"], ["cache/d.jpg", "sub/c.jpg", "sub/cache/e.jpg"]),
        (["photos"], None),
        (["*"], None),
    ],
)
@pytest.mark.parametrize("absolute", [False, True])
def test_excluded_files_and_folders(patterns, expected, absolute, here):
    make(*(f"photos/{p}" for p in ("a.jpg", "b_small.png", "cache/d.jpg")))
    make("photos/sub/c.jpg", "photos/sub/cache/e.jpg")
    top = f"{here}/photos" if absolute else "photos"
    if absolute:
        patterns = [p.replace("photos/", f"{top}/") for p in patterns]
    if expected is None:
        with pytest.raises(PictureError, match="left alone: .* excluded"):
            found(top, exclude=patterns)
        return
    assert found(top, exclude=patterns) == [f"{top}/{name}" for name in expected]
    if not any("/" in pattern.rstrip("/") for pattern in patterns):
        assert set(found(f"{top}/**/*.*", exclude=patterns)) == {f"{top}/{n}" for n in expected}


def test_an_excluded_ancestor_of_the_named_folder_excludes_nothing():
    make("cache/photos/a.jpg")
    assert found("cache/photos", exclude=["*/cache/*", "cache"]) == ["cache/photos/a.jpg"]


def test_named_files_are_excluded_too():
    make("ph/a.jpg", "ph/b.png", "ph/cache/c.jpg")
    names = ["ph/a.jpg", "ph/b.png", "ph/cache"]
    assert found(*names, exclude=["*.png", "cache"]) == ["ph/a.jpg"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_in_either_form_of_unicode(form):
    name = unicodedata.normalize(form, "Möwe é.jpg")
    make(f"ph/{name}")
    assert found("ph") == [f"ph/{name}"]
    assert found(f"ph/{name}") == [f"ph/{name}"]


def test_run_folders_are_left_alone_and_counted():
    make("ph/a.jpg", "ph/old/a__b/frame_00002.png")
    for name in ("run.json", "costs.csv"):
        Path("ph/old/a__b", name).write_text("{}")
    collected = collect("ph")
    assert len(collected.pictures) == 1
    assert collected.left_alone.text() == "1 folder of earlier results"
