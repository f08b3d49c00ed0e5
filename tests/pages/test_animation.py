"""Animations: GIF and MP4, what is in them, and how they play in a browser."""

import http.server
import threading
from functools import partial

import av
import numpy as np
import pytest
from PIL import Image

from nst.pages import animation


def bar_colors(image):
    """The colours in the middles of the five bars of a frame."""
    return np.asarray(image)[25, 7::15][:5].astype(float)


def test_a_gif_goes_from_the_first_frame_to_the_last_and_holds(flags, tmp_path):
    animation.write(flags, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (12, (75, 51), 0)
        durations = []
        for number, path in enumerate(flags):
            gif.seek(number)
            durations.append(gif.info["duration"])
            frame = gif.convert("RGB")
            assert np.abs(bar_colors(frame) - bar_colors(Image.open(path))).max() < 6
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
        assert np.abs(bar_colors(decoded) - bar_colors(Image.open(path))).max() < 8
    last = frames[-1].reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
    assert np.abs(bar_colors(last) - bar_colors(Image.open(flags[-1]))).max() < 8


class SilentHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *arguments):
        pass


def test_an_mp4_plays_in_a_browser_in_its_colours(flags, visit, tmp_path):
    animation.write(flags, tmp_path / "a.mp4")
    (tmp_path / "a.html").write_text("<video src=a.mp4 muted></video><canvas></canvas>")
    handler = partial(SilentHandler, directory=tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page = visit(f"http://127.0.0.1:{server.server_port}/a.html").page
        result = page.evaluate(
            """async () => {
              const video = document.querySelector("video");
              const draw = document.querySelector("canvas").getContext("2d");
              video.playbackRate = 4;
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
    assert result["duration"] == pytest.approx(5, abs=0.05)
    assert np.abs(np.array(result["colours"]) - bar_colors(Image.open(flags[-1]))).max() < 16


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


def test_a_full_disk_leaves_no_half_animation(flags, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="No space"):
        animation.write(flags, tmp_path / "a.mp4")
    assert not list(tmp_path.glob("*a.mp4*"))
