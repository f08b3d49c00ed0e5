"""The report of a run and the gallery of an output folder, in a real browser."""

import csv
import html
import json
import os
import re
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

import nst_main
from conftest import QUICK, ROOT
from nst import report
from nst.settings import Settings


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished run of two scales; it is only looked at."""
    folder = tmp_path_factory.mktemp("looked_at")
    command = ["--output_dir", folder / "output"]
    for name, picture, setting in (
        ("photo", "temple", "content_image_filename"),
        ("painting", "woodcut_wave", "style_image_filename"),
    ):
        with Image.open(ROOT / f"images/{picture}.jpg") as image:
            image.resize((48, 32)).save(folder / f"{name}.png")
        command += [f"--{setting}", folder / f"{name}.png"]
    command += [*QUICK, "--epochs", 24, "--scales", 2, "--tv_weight", 1]
    assert nst_main.main(list(map(str, command))) == 0
    return folder / "output/photo__painting"


@pytest.fixture
def page(run, visit):
    visited = visit((run / "report.html").as_uri())
    yield visited.page
    assert visited.errors == []
    assert all(url.startswith(("data:", "file:")) for url in visited.requests)
    assert sum(url.startswith("file:") for url in visited.requests) == 1


def divider(page):
    return float(
        page.eval_on_selector("#compare", "e => parseFloat(e.style.getPropertyValue('--at'))")
    )


def test_the_divider_is_dragged_touched_and_moved_by_keys(page):
    box = page.locator("#compare").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], middle, steps=4)
    assert divider(page) == pytest.approx(20, abs=0.5)
    page.mouse.move(box["x"] - 50, middle)  # beyond the edge
    assert divider(page) == 0
    page.mouse.up()
    page.mouse.move(box["x"] + 0.9 * box["width"], middle)
    assert divider(page) == 0
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert divider(page) == 3
    shown = page.evaluate("getComputedStyle(document.querySelector('.compare .before')).clipPath")
    assert "97%" in shown


def test_the_divider_follows_a_finger(run, visit):
    phone = visit(
        (run / "report.html").as_uri(), has_touch=True, viewport={"width": 360, "height": 700}
    )
    box = phone.page.locator("#compare").bounding_box()
    phone.page.touchscreen.tap(box["x"] + 0.75 * box["width"], box["y"] + 20)
    assert divider(phone.page) == pytest.approx(75, abs=1)
    assert phone.errors == []


def test_the_frames_slide_and_play(page):
    slider, told = page.locator("#frames input"), page.locator("#frames [role=status]")
    assert told.inner_text().startswith("iteration 24, J ")
    slider.focus()  # and so brings it into view
    last = page.get_attribute("#frames img", "src")
    page.keyboard.press("Home")
    assert told.inner_text().startswith("iteration 2, J ")
    assert page.get_attribute("#frames img", "src") != last
    page.keyboard.press("ArrowRight")
    assert told.inner_text().startswith("iteration 4, J ")
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    number = int(re.match(r"iteration (\d+)", told.inner_text())[1])
    assert 10 <= number <= 16
    page.click("#frames button")
    assert page.inner_text("#frames button") == "Pause"
    page.click("#frames button")
    assert page.inner_text("#frames button") == "Play"
    page.click("#frames button")
    expect(page.locator("#frames button")).to_have_text("Play")
    assert told.inner_text().startswith("iteration 24, J ")
    assert page.get_attribute("#frames img", "src") == last
    page.click("#frames button")  # again from the first
    expect(told).to_contain_text(re.compile("^iteration [24],"))


def test_the_curves_tell_their_values(page, run):
    log = list(csv.DictReader((run / "costs.csv").read_text().splitlines()))
    layers = list(csv.DictReader((run / "style_costs.csv").read_text().splitlines()))
    names = page.locator(".legend span").all_inner_texts()
    style = [f"J_style conv{block}_1" for block in range(1, 6)]
    assert names == ["J", "J_content", "J_style", "J_tv", *style]

    def values():
        found = map(float, page.locator(".legend b").all_inner_texts())
        return dict(zip(names, found))

    def expected(iteration):
        costs = {name: float(log[iteration][name]) for name in names[:4]}
        costs |= {name: float(layers[iteration][name.split()[1]]) for name in style}
        return pytest.approx(costs, rel=1e-3)

    assert values() == expected(24)
    chart = page.locator("#chart svg")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + 52 + (box["width"] - 64) / 2, box["y"] + 50)
    assert page.inner_text("#chart p") == "iteration 12, scale 1"
    assert values() == expected(12)
    page.mouse.move(0, 0)
    assert values() == expected(24)
    chart.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#chart p") == "iteration 1, scale 1"
    assert values() == expected(1)
    assert page.locator("#chart path").count() == 9
    page.click(".legend button:has-text('J_tv')")
    assert page.locator("#chart path").count() == 8
    assert page.locator("#chart .scale").count() == 1
    assert sum(values()[name] for name in style) == pytest.approx(values()["J_style"], rel=2e-3)


def test_the_report_tells_everything(run):
    text = html.unescape((run / "report.html").read_text())
    for spec in fields(Settings):
        assert f"--{spec.name}</code>" in text
    manifest = json.loads((run / "run.json").read_text())
    wanted = [manifest["network"]["sha256"], manifest["versions"]["tensorflow"], manifest["ended"]]
    wanted += [file["sha256"] for role in manifest["files"].values() for file in role]
    wanted += ["VGG-16", "float32", "24 x 16, as a whole", "48 x 32, as a whole"]
    for words in wanted:
        assert words in text, words


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1400])
def test_pages_fit_screens_of_every_size_and_shade(run, visit, scheme, width):
    size = {"width": width, "height": 700}
    for path in (run / "report.html", run.parent / "index.html"):
        visited = visit(path.as_uri(), color_scheme=scheme, viewport=size)
        wide = visited.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, path
        back = visited.page.evaluate("getComputedStyle(document.body).backgroundColor")
        levels = list(map(int, re.findall(r"\d+", back)[:3]))
        assert (max(levels) < 60) if scheme == "dark" else (min(levels) > 220)
        assert visited.errors == []


def test_a_report_stays_small(nst, pair, tmp_path, monkeypatch):
    """200 frames of noise, which is the hardest to compress, of a 400-pixel run."""
    made = {}
    page = report.page

    def kept(*arguments):
        made["arguments"] = arguments
        return page(*arguments)

    monkeypatch.setattr(report, "page", kept)
    nst(*pair, *QUICK)
    folder, job, found, log, _, _ = made["arguments"]
    random = np.random.default_rng(0)
    result = Image.fromarray(random.integers(0, 256, (300, 400, 3), np.uint8))
    frames = {}
    for number in range(1, 201):
        frames[number] = tmp_path / f"frame_{number:05}.png"
        noise = random.integers(0, 256, (300, 400, 3), np.uint8)
        Image.fromarray(noise).save(frames[number], compress_level=0)
    log._rows = [[str(n), "1", f"{n}", *["123456.78"] * 9] for n in range(201)]
    text = page(folder, job, found | {"iterations": 200}, log, result, frames)
    assert 1_000_000 < len(text) < 5_000_000


def test_pictures_without_content_or_style_have_a_report(nst, pair, visit, tmp_path):
    nst(*pair[2:], "--alpha", 0, "--image_size", "30x20", "--epochs", 1)
    nst(*pair[:2], *QUICK, "--beta", 0)
    for name, words in (
        ("texture__painting", "texture in the style of painting.png"),
        ("photo__reconstruction", "photo.png"),
    ):
        visited = visit((tmp_path / "output" / name / "report.html").as_uri())
        assert visited.text("h1") == words
        assert visited.errors == []
        assert visited.page.locator("#frames .controls").is_visible() == (name[0] == "p")


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


def test_the_gallery_sorts_filters_and_leads_to_reports(nst, pair, photo, visit, tmp_path):
    shutil.copy(photo, tmp_path / "Another.png")
    contents = ("--content_image_filename", "photo.png", "Another.png")
    styles = ("--style_image_filename", "painting.png", "mosaic_sun.jpg")
    assert nst(*contents, *styles, *QUICK).code == 0
    assert nst(*pair, *QUICK, "--epochs", 2).code == 0
    gallery = visit((tmp_path / "output/index.html").as_uri())
    page = gallery.page
    assert gallery.text("h1") == "5 pictures"
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
    assert "mosaic_sun.jpg" in gallery.text("h1")
    assert gallery.errors == []


def test_unfinished_runs_are_in_the_gallery_without_a_report(nst, pair, visit, tmp_path):
    nst(*pair, *QUICK)
    for name, status in (("stopped", "interrupted"), ("begun", "running")):
        folder = tmp_path / "output" / name
        folder.mkdir()
        found = json.loads((tmp_path / "output/photo__painting/run.json").read_text())
        (folder / "run.json").write_text(json.dumps(found | {"status": status}))
    frame = tmp_path / "output/photo__painting/frame_00002.png"
    shutil.copy(frame, tmp_path / "output/stopped/frame_00002.png")
    (tmp_path / "output/alien").mkdir()
    (tmp_path / "output/alien/run.json").write_text('{"status": 3, "files": [], "final_costs": 1}')
    huge = found | {"final_costs": {"J": 10**400}}
    (tmp_path / "output/huge").mkdir()
    (tmp_path / "output/huge/run.json").write_text(json.dumps(huge))
    nst(*pair, *QUICK, "--epochs", 1)
    gallery = visit((tmp_path / "output/index.html").as_uri())
    cards = gallery.page.locator("li").all_inner_texts()
    assert len(cards) == 4
    assert any("interrupted" in card for card in cards)
    assert any("no picture yet" in card and "running" in card for card in cards)
    links = gallery.page.locator("li a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert "stopped/frame_00002.png" in links
    assert all((tmp_path / "output" / link).exists() for link in links)


def test_a_gallery_that_lacks_a_run_is_brought_up_to_date(nst, pair, tmp_path):
    nst(*pair, *QUICK)
    page = tmp_path / "output/index.html"
    old = page.read_text()
    nst(*pair, *QUICK, "--epochs", 2)
    page.write_text(old)  # as if the write had failed
    os.utime(page, (1e9, 1e9))
    assert "finished earlier" in nst(*pair, *QUICK, "--epochs", 2).out
    assert page.read_text().count("<li ") == 2


def test_a_gallery_waits_for_nobody_for_ever(nst, pair, tmp_path, monkeypatch):
    from nst import gallery, place

    monkeypatch.setattr(gallery, "PATIENCE", 0.3)
    (tmp_path / "output").mkdir()
    handle = place.lock(tmp_path / "output")
    assert nst(*pair, *QUICK).code == 0
    place.unlock(handle)
    assert (tmp_path / "output/index.html").exists()


def test_processes_that_end_together_all_stand_in_the_gallery(program, pair, tmp_path):
    runs = [program(*pair, *QUICK, "--seed", seed) for seed in range(4)]
    for process in runs:
        assert process.wait(300) == 0
        process.stdout.close()
        process.stderr.close()
    assert (tmp_path / "output/index.html").read_text().count("<li ") == 4
    assert not list(Path(tmp_path, "output").glob(".*"))
