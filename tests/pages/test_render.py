"""What all pages have in common: sizes of screens, shades, and file names that look like code."""

import re

import pytest

from helpers import QUICK
from nst.pages.render import render_page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1400])
def test_pages_fit_screens_of_every_size_and_shade(run, visit, scheme, width):
    size = {"width": width, "height": 700}
    for path in (run / "report.html", run.parent / "index.html"):
        visited = visit(path.as_uri(), color_scheme=scheme, viewport=size)
        page_width = visited.page.evaluate("document.documentElement.scrollWidth")
        assert page_width <= width, path
        back = visited.page.evaluate("getComputedStyle(document.body).backgroundColor")
        levels = list(map(int, re.findall(r"\d+", back)[:3]))
        assert (max(levels) < 60) if scheme == "dark" else (min(levels) > 220)
        assert visited.errors == []


def test_names_of_files_are_never_code(nst, pair, photo, visit, tmp_path):
    path = tmp_path / "<img src=x onerror=alert(1)>'\"&&lt;</script>.png".replace("/", "\\")
    photo.rename(path)
    assert nst(f"--content_image_filename={path}", *pair[2:], *QUICK).code == 0
    (folder,) = (tmp_path / "output").glob("*/")
    for page in (folder / "report.html", tmp_path / "output/index.html"):
        visited = visit(page.as_uri())
        assert path.name in visited.text("body")
        assert visited.errors == []
        assert visited.page.locator("img[src=x]").count() == 0


def test_names_of_files_that_are_not_unicode_are_shown_with_question_marks():
    page = render_page("live.html", token="a\udcffb")
    assert b"a?b" in page
