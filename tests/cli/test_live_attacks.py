"""``--live``: the page of a run, attacked."""

import contextlib
import re
import socket
import subprocess
import sys

import psutil
import pytest
from live_client import ENDLESS, LiveProcess

from helpers import QUICK, ROOT


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """One run that all the attacks share."""
    names = ("--content_image_filename", "temple.jpg", *map(str, ENDLESS), "--live", "0")
    process = subprocess.Popen(
        [sys.executable, ROOT / "nst_main.py", *names],
        cwd=tmp_path_factory.mktemp("attacked"),
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        running = LiveProcess(process)
        running.wait_for_iteration()
        yield running
        assert process.poll() is None  # nothing of it stopped the run
        running.wait_for_iteration(1 + running.json("/state")["iteration"])
    finally:
        process.kill()
        process.stderr.close()
        process.wait()


def test_only_this_machine_is_answered(attacked):
    listening = [
        connection.laddr.ip
        for connection in psutil.Process(attacked.process.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "[::2]:{port}", "127.0.0.1:x", "localhost:", "", "a b"]
    + ["127.0.0.1.evil.example:{port}", "localhost:{port}@evil.example", "evil.localhost:{port}"],
)
def test_foreign_hosts_get_nothing(attacked, host):
    for path in ("/", "/state", "/costs", "/picture.jpg"):
        host = host.format(port=attacked.port)
        status, _, body = attacked.ask(path=path, headers={"Host": host})
        assert status in (400, 403)
        assert b"iteration" not in body
        assert b"token" not in body


def test_a_request_without_a_host_gets_nothing(attacked):
    assert b" 403 " in attacked.send(b"GET /state HTTP/1.0\r\n\r\n").splitlines()[0]
    assert attacked.ask(headers={"Host": f"localhost:{attacked.port}"})[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "//etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/state/../../etc/passwd",
        "/picture.jpg/../../../run.json",
        "/run.json",
        "/templates/live.html",
        "/\\..\\..\\etc\\passwd",
        "/%00",
        "/state%00.html",
        "http://evil.example/etc/passwd",
        "/?file=/etc/passwd&path=../run.json",
    ],
)
def test_no_path_leads_to_a_file(attacked, path):
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{attacked.port}\r\nConnection: close\r\n\r\n"
    answer = attacked.send(head.encode())
    if path.startswith("/?"):
        assert b" 200 " in answer.splitlines()[0]
    else:
        assert re.match(rb"HTTP/1\.[01] (400|404)", answer), answer
    assert b"root:" not in answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", b"431"),
        (b"POST /stop HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"POST /stop HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"\0\0\0\0\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", None),
    ],
)
def test_requests_that_are_too_large_or_none_at_all(attacked, data, status):
    try:
        answer = attacked.send(data)
    except ConnectionError:  # it hung up in the middle of it
        answer = b""
    assert not answer or status is None or b" " + status in answer.splitlines()[0]
    assert attacked.ask()[0] == 200


def test_many_slow_connections_do_not_shut_others_out(attacked):
    with contextlib.ExitStack() as connections:
        for _ in range(40):
            address = ("127.0.0.1", attacked.port)
            connection = connections.enter_context(socket.create_connection(address))
            connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert attacked.ask()[0] == 200


def test_only_the_page_itself_may_stop_the_run(attacked):
    token = attacked.token
    assert attacked.ask("POST", "/stop")[0] == 403
    assert attacked.ask("POST", "/stop", {"X-Token": token[:-1]})[0] == 403
    assert attacked.ask("POST", "/stop", {"X-Token": "ü".encode("latin-1")})[0] == 403
    assert attacked.ask("GET", f"/stop?token={token}", {"X-Token": token})[0] == 405
    foreign = {"X-Token": token, "Host": f"evil.example:{attacked.port}"}
    assert attacked.ask("POST", "/stop", foreign)[0] == 403
    assert attacked.ask("OPTIONS", "/state")[0] == 405
    assert attacked.ask("DELETE", "/")[0] == 405
    attacked.wait_for_iteration(2 + attacked.json("/state")["iteration"])
    assert attacked.json("/state")["status"] == "running"


def test_answers_forbid_what_they_do_not_need(attacked):
    status, headers, body = attacked.ask()
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "Server" not in headers
    assert "Access-Control-Allow-Origin" not in headers
    assert attacked.ask("HEAD")[2] == b""
    status, headers, body = attacked.ask(path="/picture.jpg")
    assert (status, headers["Content-Type"], body[:2]) == (200, "image/jpeg", b"\xff\xd8")


def test_a_port_that_is_taken_is_a_usage_error(attacked, nst, pair, tmp_path):
    done = nst(*pair, *QUICK, "--live", attacked.port)
    assert done.code == 2
    assert f"port {attacked.port}" in done.err
    assert not (tmp_path / "output").exists()
