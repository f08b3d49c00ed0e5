"""``index.html``: the gallery of an output folder, in a real browser."""

import json
import shutil
import subprocess
import sys

import pytest

from helpers import QUICK, ROOT, wait_for
from nst.errors import OutputError
from nst.files import lock_folder, unlock_folder
from nst.pages import gallery
from nst.pages.gallery import write_gallery

ADD_A_RUN = """
import shutil, sys
from pathlib import Path
from nst.pages.gallery import write_gallery
run, target = map(Path, sys.argv[1:])
Path(f"{target.parent}.{target.name}").touch()
sys.stdin.read()  # until all of them are ready
shutil.copytree(run, target)
write_gallery(target.parent)
"""


def change_manifest(folder, **values):
    """Replace entries of the manifest of a run folder."""
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_the_gallery_sorts_filters_and_leads_to_reports(nst, pair, photo, visit, tmp_path):
    shutil.copy(photo, tmp_path / "Another.png")
    contents = ("--content_image_filename", "photo.png", "Another.png")
    styles = ("--style_image_filename", "painting.png", "mosaic_sun.jpg")
    assert nst(*contents, *styles, *QUICK).code == 0
    assert nst(*pair, *QUICK, "--epochs", 2).code == 0
    # A manifest tells whole seconds; all these runs may have ended in the same one.
    change_manifest(tmp_path / "output/photo__painting-2", ended="2999-01-01T00:00:00+0000")
    write_gallery(tmp_path / "output")
    visited = visit((tmp_path / "output/index.html").as_uri())
    page = visited.page
    assert visited.text("h1") == "5 pictures"
    assert page.locator("li img").evaluate_all("all => all.every(i => i.complete)")
    assert "(2)" in page.locator(".name").first.inner_text()  # the newest

    def column(key):
        return page.locator("li").evaluate_all(f"all => all.map(i => i.dataset.{key})")

    page.select_option("select", "content")
    assert column("content") == ["Another.png"] * 2 + ["photo.png"] * 3
    page.select_option("select", "style")
    assert column("style") == ["mosaic_sun.jpg"] * 2 + ["painting.png"] * 3
    page.select_option("select", "cost")
    costs = list(map(float, column("cost")))
    assert costs == sorted(costs)
    page.fill("input", "mosaic")
    assert page.locator("li").count() == 2
    page.locator("li a").first.click()
    page.wait_for_url("**/report.html")
    assert "mosaic_sun.jpg" in visited.text("h1")
    assert visited.errors == []


def test_unfinished_runs_are_in_the_gallery_without_a_report(finished, visit, tmp_path):
    output = finished.parent
    for name, status in (("stopped", "interrupted"), ("begun", "running")):
        (output / name).mkdir()
        shutil.copy(finished / "run.json", output / name)
        change_manifest(output / name, status=status)
    shutil.copy(finished / "frame_00002.png", output / "stopped")
    (output / "alien").mkdir()
    (output / "alien/run.json").write_text('{"status": 3, "files": [], "final_costs": 1}')
    (output / "huge").mkdir()
    shutil.copy(finished / "run.json", output / "huge")
    change_manifest(output / "huge", final_costs={"J": 10**400})
    assert write_gallery(output) == output / "index.html"
    visited = visit((output / "index.html").as_uri())
    cards = visited.page.locator("li").all_inner_texts()
    assert len(cards) == 3
    assert any("interrupted" in card for card in cards)
    assert any("no picture yet" in card and "running" in card for card in cards)
    links = visited.page.locator("li a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert "stopped/frame_00002.png" in links
    assert all((output / link).exists() for link in links)


def test_the_newest_run_comes_first_in_any_time_zone(run, visit, tmp_path):
    ended = ("2026-03-01T12:00:00+0000", "2026-03-01T12:30:00+0100", "2026-03-01T11:45:00-0200")
    for number, when in enumerate(ended):
        folder = tmp_path / f"output/run-{number + 1}"
        shutil.copytree(run, folder)
        change_manifest(folder, ended=when)
    write_gallery(tmp_path / "output")
    names = visit((tmp_path / "output/index.html").as_uri()).page.locator(".name").all_inner_texts()
    assert [name[-2] for name in names] == ["3", "1", "2"]


def test_a_folder_without_a_run_has_no_gallery(tmp_path):
    (tmp_path / "empty/folder").mkdir(parents=True)
    assert write_gallery(tmp_path / "empty") is None
    assert write_gallery(tmp_path / "missing") is None
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["folder"]


def test_a_gallery_that_cannot_be_written_is_an_error(finished, monkeypatch):
    def fail(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OutputError, match="index.html: Permission denied"):
        write_gallery(finished.parent)


def test_the_gallery_waits_for_another_process_but_not_for_ever(nst, pair, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "PATIENCE", 0.3)
    (tmp_path / "output").mkdir()
    handle = lock_folder(tmp_path / "output")
    assert nst(*pair, *QUICK).code == 0
    unlock_folder(handle)
    assert (tmp_path / "output/index.html").exists()


def test_processes_that_end_together_all_stand_in_the_gallery(run, tmp_path):
    output = tmp_path / "output"
    output.mkdir()
    (output / ".index.html.1.part").write_text("of a killed process")
    command = [sys.executable, "-c", ADD_A_RUN, run]
    processes = [
        subprocess.Popen([*command, output / f"run-{number}"], cwd=ROOT, stdin=subprocess.PIPE)
        for number in range(8)
    ]
    wait_for(lambda: len(list(tmp_path.glob("output.run-*"))) == 8)
    for process in processes:
        process.stdin.close()
    assert [process.wait(120) for process in processes] == [0] * 8
    assert (output / "index.html").read_text().count("<li ") == 8
    assert not list(output.glob(".*"))
