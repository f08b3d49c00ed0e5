"""``report.html``: the report of a run, in a real browser."""

import csv
import html
import json
import re
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from helpers import QUICK
from nst.engine.step import Costs, Position, Step
from nst.pages.finished_run import FinishedRun
from nst.pages.report import render_report
from nst.pictures.read import Picture
from nst.runs.cost_log import CostLog
from nst.settings import Settings


@pytest.fixture
def page(run, visit):
    """The report in a browser, which must ask for nothing else and complain of nothing."""
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
    slider, status = page.locator("#frames input"), page.locator("#frames [role=status]")
    assert status.inner_text().startswith("iteration 24, J ")
    slider.focus()  # and so brings it into view
    last = page.get_attribute("#frames img", "src")
    page.keyboard.press("Home")
    assert status.inner_text().startswith("iteration 2, J ")
    assert page.get_attribute("#frames img", "src") != last
    page.keyboard.press("ArrowRight")
    assert status.inner_text().startswith("iteration 4, J ")
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    number = int(re.match(r"iteration (\d+)", status.inner_text())[1])
    assert 10 <= number <= 16
    page.click("#frames button")
    assert page.inner_text("#frames button") == "Pause"
    page.click("#frames button")
    assert page.inner_text("#frames button") == "Play"
    page.click("#frames button")
    expect(page.locator("#frames button")).to_have_text("Play")
    assert status.inner_text().startswith("iteration 24, J ")
    assert page.get_attribute("#frames img", "src") == last
    page.click("#frames button")  # again from the first
    expect(status).to_contain_text(re.compile("^iteration [24],"))


def test_the_curves_tell_their_values(page, run):
    log = list(csv.DictReader((run / "costs.csv").read_text().splitlines()))
    layers = list(csv.DictReader((run / "style_costs.csv").read_text().splitlines()))
    names = page.locator(".legend span").all_inner_texts()
    style = [f"J_style conv{block}_1" for block in range(1, 6)]
    assert names == ["J", "J_content", "J_style", "J_tv", *style]

    def values():
        numbers = map(float, page.locator(".legend b").all_inner_texts())
        return dict(zip(names, numbers))

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
    wanted += ["VGG-19", "float32", "24 x 16, as a whole", "48 x 32, as a whole"]
    for words in wanted:
        assert words in text, words


def test_a_report_stays_small(run, tmp_path):
    """200 frames of noise, which is the hardest to compress, of a 400-pixel run."""
    random = np.random.default_rng(0)

    def noise():
        return Image.fromarray(random.integers(0, 256, (300, 400, 3), np.uint8))

    log = CostLog([f"conv{block}_1" for block in range(1, 6)])
    for number in range(201):
        costs = Costs(*[123456.78] * 4, layers=(123456.78,) * 5)
        log.add(Step(Position(number, 1, float(number), costs, None), 200, 1, None))
        noise().save(tmp_path / f"frame_{number:05}.png", compress_level=0)
    style = Picture(
        rgb=np.asarray(noise()),
        transparency=None,
        path=tmp_path / "style.png",
        file_size=(400, 300),
        sha256="0" * 64,
    )
    page = render_report(
        FinishedRun(
            folder=tmp_path,
            settings=Settings(),
            title="noise",
            pictures={"content": [style], "style": [style]},
            result=noise(),
            manifest=json.loads((run / "run.json").read_text()) | {"iterations": 200},
            curves=log.curves(),
            cost_at=log.total,
        )
    )
    assert 1_000_000 < len(page) < 5_000_000


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
