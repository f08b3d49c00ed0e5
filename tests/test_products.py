"""What is made of a finished run: plot, thumbnail, animation, TensorBoard's events."""

import csv
import http.server
import json
import re
import subprocess
import sys
import threading
import urllib.request
from functools import partial

import av
import numpy as np
import pytest
from PIL import Image

from conftest import QUICK, interrupted, pixels
from nst import animation
from nst.cost_log import CostLog
from nst.step import Costs, Step


@pytest.fixture
def flags(tmp_path):
    """Twelve frames of an odd size: bars of pure colours that move."""
    colors = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128], [255, 255, 0]])
    paths = []
    for number in range(12):
        bars = np.repeat(np.roll(colors, number, axis=0), 15, axis=0)
        image = np.broadcast_to(bars, (51, 75, 3)).astype(np.uint8)
        paths.append(tmp_path / f"frame_{number:05}.png")
        Image.fromarray(image).save(paths[-1])
    return paths


def middles(image):
    """The colours in the middles of the bars."""
    return np.asarray(image)[25, 7::15][:5].astype(float)


def test_a_gif_goes_from_the_first_frame_to_the_last_and_holds(flags, tmp_path):
    animation.write(flags, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (12, (75, 51), 0)
        durations = []
        for number, path in enumerate(flags):
            gif.seek(number)
            durations.append(gif.info["duration"])
            assert np.abs(middles(gif.convert("RGB")) - middles(Image.open(path))).max() < 6
    assert durations == [250] * 11 + [2000]


def test_an_mp4_has_a_steady_rate_and_the_right_colours(flags, tmp_path):
    animation.write(flags, tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        frames = list(film.decode(stream))
        times = [float(frame.pts * stream.time_base) for frame in frames]
    assert np.allclose(np.diff(times), 0.25)
    assert len(frames) == 12 + 8  # the last for two seconds more
    for frame, path in zip(frames, flags):
        decoded = frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
        assert decoded.shape == (52, 76, 3)
        assert np.abs(middles(decoded) - middles(Image.open(path))).max() < 8
    last = frames[-1].reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
    assert np.abs(middles(last) - middles(Image.open(flags[-1]))).max() < 8


class Ranges(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def test_an_mp4_plays_in_a_browser_in_its_colours(flags, visit, tmp_path):
    animation.write(flags, tmp_path / "a.mp4")
    (tmp_path / "a.html").write_text("<video src=a.mp4 muted></video><canvas></canvas>")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page = visit(f"http://127.0.0.1:{server.server_port}/a.html").page
        seen = page.evaluate(
            """async () => {
              const video = document.querySelector("video");
              const draw = document.querySelector("canvas").getContext("2d");
              await video.play();
              await new Promise((done) => video.onended = done);
              draw.drawImage(video, 0, 0);
              const colour = (x) => [...draw.getImageData(x, 25, 1, 1).data].slice(0, 3);
              return {duration: video.duration, colours: [7, 22, 37, 52, 67].map(colour)};
            }"""
        )
    finally:
        server.shutdown()
        server.server_close()
    assert seen["duration"] == pytest.approx(5, abs=0.05)
    assert np.abs(np.array(seen["colours"]) - middles(Image.open(flags[-1]))).max() < 16


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_many_large_frames_are_thinned_and_shrunk(flags, tmp_path, kind, monkeypatch):
    monkeypatch.setitem(animation.MOST, f".{kind}", 20)
    Image.new("RGB", (2000, 901), "teal").save(tmp_path / "large.png")
    animation.write([tmp_path / "large.png"] * 49 + flags[-1:] * 2, tmp_path / f"a.{kind}")
    if kind == "gif":
        with Image.open(tmp_path / "a.gif") as gif:
            assert gif.n_frames == 2  # Pillow joins equal frames
            assert gif.size == (480, 216)
    else:
        with av.open(str(tmp_path / "a.mp4")) as film:
            frames = list(film.decode(video=0))
        assert (frames[0].width, frames[0].height) == (1080, 488)
        assert 15 < len(frames) - 2000 // 250 <= 20


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_an_animation_is_made_with_the_run_or_later(nst, pair, tmp_path, kind):
    assert nst(*pair, *QUICK, "--animation", kind).code == 0
    folder = tmp_path / "output/photo__painting"
    first = (folder / f"animation.{kind}").read_bytes()
    assert f'href="animation.{kind}"' in (folder / "report.html").read_text()
    assert not list(folder.glob(".*"))

    result = (folder / "generated_image.png").stat().st_mtime_ns
    (folder / f"animation.{kind}").unlink()
    dry = nst(*pair, *QUICK, "--animation", kind, "--dry_run")
    assert "finished earlier" in dry.out
    assert not (folder / f"animation.{kind}").exists()
    later = nst(*pair, *QUICK, "--animation", kind)
    assert "its animation is made of the frames" in later.err
    assert (folder / f"animation.{kind}").read_bytes() == first
    other = "mp4" if kind == "gif" else "gif"
    nst(*pair, *QUICK, "--animation", other)
    report = (folder / "report.html").read_text()
    assert f'href="animation.{kind}"' in report
    assert f'href="animation.{other}"' in report
    assert (folder / "generated_image.png").stat().st_mtime_ns == result
    (folder / f"animation.{kind}").unlink()
    several = ("--style_image_filename", "painting.png", "mosaic_sun.jpg")
    assert nst(*pair[:2], *several, *QUICK, "--animation", kind).code == 0
    assert len(list(tmp_path.glob(f"output/*/animation.{kind}"))) == 2


def test_frames_that_are_damaged_are_left_out(nst, pair, tmp_path, monkeypatch):
    command = (*pair, *QUICK, "--epochs", 8, "--animation", "gif")
    command += ("--output_dir", tmp_path / "output")
    interrupted(nst, monkeypatch, 5, *command)
    folder = tmp_path / "output/photo__painting"
    (folder / "frame_00002.png").write_bytes(b"garbage")
    assert nst(*command).code == 0
    with Image.open(folder / "animation.gif") as gif:
        assert gif.n_frames == 3
    assert '"iteration": 2,' not in (folder / "report.html").read_text()


def test_overwrite_removes_what_a_run_made_and_nothing_else(nst, pair, tmp_path):
    nst(*pair, *QUICK, "--animation", "gif", "--output_format", "jpg", "--tensorboard")
    folder = tmp_path / "output/photo__painting"
    for name in ("generated_image.xcf", "animation.blend", "notes.txt"):
        (folder / name).write_text("mine")
    assert nst(*pair, *QUICK, "--overwrite").code == 0
    names = {path.name for path in folder.iterdir()}
    assert {"generated_image.xcf", "animation.blend", "notes.txt"} <= names
    assert "generated_image.png" in names
    assert not {"generated_image.jpg", "animation.gif", "tensorboard"} & names


def test_the_plot_and_the_thumbnail(nst, pair, tmp_path):
    nst(*pair, *QUICK, "--scales", 2, "--epochs", 20)
    folder = tmp_path / "output/photo__painting"
    plot = pixels(folder / "costs.png")[:, :, :3]
    assert plot.shape == (600, 960, 3)
    assert len(np.unique(plot.reshape(-1, 3), axis=0)) > 50  # curves in several colours
    small = pixels(folder / "thumbnail.jpg").astype(float)
    assert np.abs(small - pixels(folder / "generated_image.png")).mean() < 8


def test_style_costs_sum_to_the_style_cost(nst, pair, tmp_path):
    nst(*pair, *QUICK, "--style_layers", "conv1_1:3", "conv2_1:1")
    folder = tmp_path / "output/photo__painting"
    costs, layers = (
        list(csv.DictReader((folder / name).read_text().splitlines()))
        for name in ("costs.csv", "style_costs.csv")
    )
    assert list(layers[0]) == ["iteration", "conv1_1", "conv2_1"]
    for cost, layer in zip(costs, layers, strict=True):
        parts = float(layer["conv1_1"]) + float(layer["conv2_1"])
        assert parts == pytest.approx(float(cost["J_style"]), rel=1e-6)


def test_a_log_is_thinned_and_comes_back_as_it_was():
    log = CostLog(["conv1_1"])
    for number in range(2500):
        costs = Costs(3.0 * number, 1.0, 2.0, 0.0, (2.0,))
        log.add(Step(number, 2499, 1 + number // 1000, 3, None, costs, number / 7, None))
    curves = log.curves(1000)
    assert curves["iteration"] == [*range(0, 2500, 3)]
    assert [line["name"] for line in curves["lines"]] == [
        "J",
        "J_content",
        "J_style",
        "J_style conv1_1",
    ]
    assert log.curves(999)["iteration"][-1] == 2499
    other = CostLog(["conv1_1"])
    other.load(log.dump())
    assert other.costs() == log.costs()
    assert other.total(17) == 51
    other.rewind(10)
    assert other.total(17) is None
    assert CostLog([]).curves()["lines"] == []


def test_a_full_disk_leaves_no_half_animation(flags, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        animation.write(flags, tmp_path / "a.mp4")
    assert not list(tmp_path.glob("*a.mp4*"))


@pytest.fixture
def events(tmp_path):
    """What TensorBoard reads in a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read():
        found = EventAccumulator(str(tmp_path / "output/photo__painting/tensorboard"))
        found.Reload()
        return found

    return read


def test_costs_and_frames_are_logged_for_tensorboard(nst, pair, tmp_path, events):
    import tensorflow as tf

    assert nst(*pair, *QUICK, "--tensorboard").code == 0
    found = events()
    log = list(
        csv.DictReader((tmp_path / "output/photo__painting/costs.csv").read_text().splitlines())
    )
    for name in ("J", "J_content", "J_style", "J_tv"):
        values = [tf.make_ndarray(event.tensor_proto).item() for event in found.Tensors(name)]
        assert values == pytest.approx([float(row[name]) for row in log], rel=1e-6)
    assert "J_style layers/conv3_1" in found.Tags()["tensors"]
    pictures = found.Tensors("picture")
    assert [event.step for event in pictures] == [2, 4]
    png = pictures[-1].tensor_proto.string_val[2]
    decoded = tf.io.decode_png(png).numpy()
    assert (decoded == pixels(tmp_path / "output/photo__painting/frame_00004.png")).all()


def test_tensorboard_that_is_not_installed_is_told_of(nst, pair, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = nst(*pair, *QUICK, "--tensorboard")
    assert done.code == 2
    assert "pip install tensorboard" in done.err
    assert not (tmp_path / "output").exists()


@pytest.mark.slow
def test_a_real_tensorboard_shows_a_run(nst, pair, visit, tmp_path):
    assert nst(*pair, *QUICK, "--tensorboard").code == 0
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", tmp_path / "output"]
    command += ["--port", "0", "--host", "127.0.0.1", "--load_fast", "false"]
    board = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        url = None
        for line in board.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
                url = found[0]
                break
        run = "photo__painting/tensorboard"
        with urllib.request.urlopen(f"{url}data/plugin/scalars/tags", timeout=60) as answer:
            assert "J_style" in json.load(answer)[run]
        with urllib.request.urlopen(f"{url}data/plugin/images/tags", timeout=60) as answer:
            assert "picture" in json.load(answer)[run]
        page = visit(url).page
        page.wait_for_selector("text=J_content", timeout=60_000)
        page.wait_for_selector("text=J_style layers", timeout=60_000)
    finally:
        board.kill()
        board.communicate()


def test_tensorboard_goes_on_with_a_run_that_goes_on(nst, pair, tmp_path, events, monkeypatch):
    command = (*pair, *QUICK, "--tensorboard", "--output_dir", tmp_path / "output")
    interrupted(nst, monkeypatch, 3, *command)
    assert "going on after iteration 3" in nst(*command).err
    assert [event.step for event in events().Tensors("J")] == [0, 1, 2, 3, 4]
