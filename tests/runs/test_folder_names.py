"""Names of run folders: on any disk, each run has one of its own, and is found in it again."""

import errno
import json
import os
import re
import time
import unicodedata

import pytest
from disks import Disk, by_case, by_form, exact, without_last_dots
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from helpers import ROOT
from nst.errors import OutputError
from nst.files import lock_folder, unlock_folder
from nst.runs import folder_claim
from nst.runs.folder_claim import FolderClaim
from nst.runs.folder_names import RESERVED, existing_folders, first_names, fold, spellings
from nst.runs.job import hash_job
from nst.settings import Settings

WINDOWS = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
STEMS = st.text(
    st.sampled_from('ab:?*"<>|\\. -\n~éÉ画\u0301') | st.characters(exclude_categories=["Cs"]),
    max_size=150,
).filter(lambda stem: not {"/", "\0"} & set(stem))


@pytest.fixture
def claim(tmp_path):
    """Claim a folder for a content of a name, and leave a manifest there as a run does."""

    def make(stem, identity=None, style="wave", overwrite=False):
        content = tmp_path / "in" / f"{len(os.listdir(tmp_path / 'in'))}" / f"{stem}.png"
        content.parent.mkdir()
        Image.new("RGB", (3, 2)).save(content)
        settings = Settings(
            content_image_filename=content,
            style_image_filename=ROOT / "images/woodcut_wave.jpg",
            output_dir=tmp_path / "out",
            overwrite=overwrite,
        )
        identity = identity or {"of": str(content), **json.loads(json.dumps(Settings().identity()))}
        claimed = FolderClaim(hash_job(settings), identity)
        claimed.claim()
        if claimed.is_new:
            manifest = {"status": "running", "identity": identity}
            (claimed.path / "run.json").write_text(json.dumps(manifest))
        claimed.close()
        return claimed

    (tmp_path / "in").mkdir()
    return make


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """Mount a disk at the output folder; a wait for another process is an error."""
    monkeypatch.setattr(folder_claim.time, "sleep", lambda seconds: pytest.fail("it waits"))

    def mount(**options):
        Disk(tmp_path / "out", **options).mount(monkeypatch)

    return mount


@given(STEMS, STEMS)
def test_names_that_every_disk_takes(tmp_path_factory, content, style):
    names = spellings((content, style), tmp_path_factory.getbasetemp())
    assert names == spellings((content, style), tmp_path_factory.getbasetemp())
    assert 1 <= len(names) <= 3
    for name in names:
        assert name
        assert len(os.fsencode(name)) <= 247
    for name in names[1:]:
        assert not WINDOWS.search(name)
        assert not name.endswith((".", " "))
        assert not RESERVED.match(name)
        assert name.encode().decode() == name
    assert names[-1].isascii() or len(names) == 1
    assert len(names[-1]) <= 60 or len(names) == 1


@pytest.mark.parametrize(
    ("stems", "portable"),
    [
        (("a:b", "wave"), "a_b__wave"),
        (("what?", 'a"b'), "what___a_b"),
        (("photo", "wave."), "photo__wave"),
        (("photo", "wave "), "photo__wave"),
        (("con.x", "wave"), "_con.x__wave"),
        (("NUL .y", "wave"), "_NUL .y__wave"),
        (("line\nend", "wave"), "line_end__wave"),
        (("e\u0301", "wave"), "é__wave"),
    ],
)
def test_what_stands_for_characters_that_are_refused(stems, portable, tmp_path):
    assert spellings(stems, tmp_path)[:2] == ["__".join(stems), portable]


def test_names_are_as_long_as_the_disk_takes(tmp_path, monkeypatch):
    stems = "x" * 150, "y" * 150
    assert spellings(stems, tmp_path)[0] == f"{'x' * 100}__{'y' * 100}"  # as ever
    monkeypatch.setattr(os, "pathconf", lambda path, name: 143)  # of an encrypted folder of a NAS
    (short, *_) = spellings(stems, tmp_path / "not/there")
    assert len(short) == 143 - 8
    assert short != spellings(("x" * 150, "z" * 150), tmp_path)[0]
    assert short == spellings(stems, tmp_path)[0]


@pytest.mark.parametrize(
    ("same", "one", "two"),
    [
        (by_case, "IMG_1", "img_1"),
        (by_case, "Ä", "ä"),
        (by_form, "M\u00f6we", unicodedata.normalize("NFD", "M\u00f6we")),
        (by_form, "IMG_1", "img_1"),
    ],
)
def test_names_that_the_disk_does_not_tell_apart(claim, disk, tmp_path, same, one, two):
    disk(same=same)
    first, second, third = claim(one), claim(two), claim(one)
    assert first.path.name == f"{one}__woodcut_wave"
    assert second.path.name == f"{two}__woodcut_wave-2"
    assert third.path.name == f"{one}__woodcut_wave-3"
    assert len(os.listdir(tmp_path / "out")) == 3
    assert [c.note for c in (first, second, third)] == ["", "", ""]
    for stem, before in ((two, first), (one, second), (one, first)):  # each is found again
        again = claim(stem, before.identity)
        assert again.unfinished
        assert again.path.samefile(before.path)


def test_on_a_disk_that_tells_case_both_have_names_of_their_own(claim, tmp_path):
    names = [claim(stem).path.name for stem in ("IMG_1", "img_1", "IMG_1")]
    assert names == ["IMG_1__woodcut_wave", "img_1__woodcut_wave", "IMG_1__woodcut_wave-2"]


def test_a_run_that_came_from_a_disk_without_case_is_found_again(claim, tmp_path):
    first = claim("IMG_1")
    first.path.rename(tmp_path / "out" / unicodedata.normalize("NFD", "img_1__Woodcut_wave-7"))
    assert claim("IMG_1", first.identity).path.name == "img_1__Woodcut_wave-7"
    assert claim("IMG_1").path.name == "IMG_1__woodcut_wave"


WINDOWS_DISK = {"same": without_last_dots, "refuses": lambda name: WINDOWS.search(name)}


@pytest.mark.parametrize("stem", ["a:b", "what?", 'say "x"', "a|b", "a*", "<x>", "tab\tx"])
@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOENT, errno.EIO, errno.EACCES])
def test_characters_that_the_disk_refuses(claim, disk, tmp_path, stem, error):
    disk(**WINDOWS_DISK, error=error)
    first, second = claim(stem), claim(stem.replace(WINDOWS.search(stem)[0], "_"))
    portable = WINDOWS.sub("_", stem)
    assert first.path.name == f"{portable}__woodcut_wave"
    assert second.path.name == f"{portable}__woodcut_wave-2"
    assert f"refuses the name {stem}__woodcut_wave" in first.note
    assert first.path.name in first.note
    again = claim(stem, first.identity)
    assert again.unfinished
    assert again.path == first.path
    assert claim(stem).path.name == f"{portable}__woodcut_wave-3"


@pytest.mark.parametrize(
    "refuses",
    [
        lambda name: not name.isascii(),
        lambda name: len(os.fsencode(name)) > 70,
        lambda name: len(name) > 70 or not name.isascii(),
    ],
)
def test_a_disk_that_takes_little(claim, disk, refuses):
    disk(refuses=refuses)
    stem = "画" * 30
    first, second, other = claim(stem), claim(stem), claim("話" * 30)
    assert re.fullmatch("[ -~]{1,52}_[0-9a-f]{8}", first.path.name)
    assert second.path.name == f"{first.path.name}-2"
    assert other.path.name[:-9] == first.path.name[:-9]
    assert other.path.name != first.path.name
    assert claim(stem, second.identity).path == second.path


def test_dots_that_the_disk_drops(claim, disk, tmp_path):
    disk(same=without_last_dots)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/x__woodcut_wave").mkdir()  # as the disk holds it, of "x__woodcut_wave. "
    (tmp_path / "out/x__woodcut_wave/mine.txt").write_text("mine")
    paths = existing_folders(tmp_path / "out", "x__woodcut_wave. ")
    assert [path.name for path in paths] == ["x__woodcut_wave. "]


def test_a_disk_that_takes_no_name_at_all_gives_its_first_reason(claim, disk, tmp_path):
    disk(refuses=lambda name: True, error=errno.EROFS)
    (tmp_path / "out").mkdir()
    with pytest.raises(OSError, match="Read-only") as refused:
        claim("photo")
    assert refused.value.filename.endswith("/photo__woodcut_wave")
    assert os.listdir(tmp_path / "out") == []


def test_another_process_has_the_folder(claim):
    first = claim("photo")
    handle = lock_folder(first.path)
    began = time.monotonic()
    with pytest.raises(OutputError, match="another run is writing this folder"):
        claim("photo", first.identity)
    assert claim("photo").path.name == "photo__woodcut_wave-2"
    assert time.monotonic() - began < folder_claim.CLAIM_SECONDS
    unlock_folder(handle)


NAMES = st.text(st.sampled_from("aAéÉe\u0301ßS-123_"), min_size=1, max_size=12)


@given(NAMES, st.integers(2, 99))
def test_folded_names_are_one_for_every_form_and_case(name, number):
    forms = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
    assert len({fold(form) for form in (*forms, forms[0].swapcase(), forms[1].swapcase())}) == 1


@given(st.sets(NAMES, max_size=8), NAMES)
def test_existing_folders_of_a_name(tmp_path_factory, names, name):
    output = tmp_path_factory.mktemp("out")
    for other in names:
        (output / other).mkdir()
    paths = existing_folders(output, name)
    assert len(set(paths)) == len(paths)
    assert all(path.is_dir() for path in paths)
    wanted = re.compile(f"{re.escape(fold(name))}(-[1-9][0-9]*)?")
    assert {path.name for path in paths} == {n for n in names if wanted.fullmatch(fold(n))}
    if name in names:
        assert paths[0].name == name
    assert not paths or fold(name) in first_names(output)


def test_exact_is_the_disk_of_most_tests(tmp_path, monkeypatch):
    Disk(tmp_path, same=exact).mount(monkeypatch)
    (tmp_path / "a").mkdir()
    assert not (tmp_path / "A").exists()
    Disk(tmp_path, same=by_case).mount(monkeypatch)
    assert (tmp_path / "A").exists()
