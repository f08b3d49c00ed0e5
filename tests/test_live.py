"""``--live``: the page of a run that goes on, used and attacked."""

import http.client
import json
import os
import re
import signal
import socket
import time

import psutil
import pytest
from playwright.sync_api import expect

from conftest import QUICK, wait_for

ENDLESS = (*QUICK, "--epochs", 1_000_000, "--print_every", 1_000_000)


class Running:
    """A run with a live view, as a process of its own."""

    def __init__(self, process) -> None:
        self.process = process
        self.told = ""
        while "Live" not in self.told:
            self.told = process.stderr.readline()
            assert self.told, "it ended"
        self.port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", self.told)[1])
        self.url = f"http://127.0.0.1:{self.port}/"

    def ask(self, method="GET", path="/", headers=None, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    def send(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(data)
            return connection.recv(1000)

    def state(self):
        return json.loads(self.ask(path="/state")[2])

    def wait(self):
        while self.state().get("iteration", 0) < 3:
            assert self.process.poll() is None
            time.sleep(0.1)


@pytest.fixture
def live(program, pair):
    started = []

    def start(*arguments):
        free = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
        started.append(Running(program(*pair, *arguments, **free)))
        return started[-1]

    yield start
    for running in started:
        running.process.kill()
        running.process.communicate()


def test_the_page_shows_the_picture_and_stops_the_run(live, visit, nst, pair, tmp_path):
    running = live(*ENDLESS, "--scales", 2, "--live", 0)
    visited = visit(running.url)
    page = visited.page
    told, picture = page.locator("#told"), page.locator("#picture")
    expect(told).to_contain_text("left", timeout=60_000)
    expect(told).to_contain_text("of 1000000, scale 1 of 2")
    expect(picture).to_be_visible()
    expect(picture).to_have_js_property("naturalWidth", 24)
    expect(page.locator("#chart path")).to_have_count(9)
    assert page.inner_text("h1") == "photo.png in the style of painting.png"
    before, shown = told.inner_text(), picture.get_attribute("src")
    expect(told).not_to_have_text(before)
    expect(picture).not_to_have_attribute("src", shown)
    page.click("#stop")
    expect(told).to_contain_text("goes on from there")
    assert running.process.wait(30) == 130
    assert page.locator("#stop").is_disabled()
    assert visited.errors == []
    assert all(url.startswith((running.url, "data:")) for url in visited.requests)
    saved = json.loads((tmp_path / "output/photo__painting/run.json").read_text())
    assert saved["status"] == "interrupted"
    assert (tmp_path / "output/photo__painting/checkpoint").exists()


def test_the_page_sees_the_end(live, visit):
    running = live(*QUICK, "--epochs", 60, "--live", 0)
    page = visit(running.url).page
    expect(page.locator("#told")).to_contain_text("finished", timeout=60_000)
    assert page.evaluate("document.getElementById('progress').value") == 60
    assert running.process.wait(30) == 0


def test_a_signal_while_the_page_is_waited_for_changes_nothing(live, tmp_path):
    running = live(*QUICK, "--epochs", 30, "--live", 0)
    running.wait()  # and so it was looked at
    wait_for(tmp_path / "output/index.html", running.process)
    time.sleep(0.3)
    running.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert running.process.wait(30) == 0
    assert time.monotonic() - began < 2.5
    assert "Traceback" not in running.process.stderr.read()


def test_only_this_machine_is_answered(live):
    running = live(*ENDLESS, "--live", 0)
    listening = [
        connection.laddr.ip
        for connection in psutil.Process(running.process.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """One run that all the attacks share."""
    import subprocess
    import sys

    from conftest import ROOT

    folder = tmp_path_factory.mktemp("attacked")
    names = ("--content_image_filename", "temple.jpg", *map(str, ENDLESS), "--live", "0")
    process = subprocess.Popen(
        [sys.executable, ROOT / "nst_main.py", *names],
        cwd=folder,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    running = Running(process)
    running.wait()
    yield running
    assert process.poll() is None  # nothing of it stopped the run
    running.wait()
    process.kill()
    process.stderr.close()
    process.wait()


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", "", "a b"]
    + ["127.0.0.1.evil.example:{port}", "localhost:{port}@evil.example"],
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
    held = [socket.create_connection(("127.0.0.1", attacked.port)) for _ in range(40)]
    for connection in held:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
    assert attacked.ask()[0] == 200
    for connection in held:
        connection.close()


def test_only_the_page_itself_may_stop_the_run(attacked):
    page = attacked.ask()[2].decode()
    token = re.search('name="token" content="([^"]+)"', page)[1]
    assert attacked.ask("POST", "/stop")[0] == 403
    assert attacked.ask("POST", "/stop", {"X-Token": token[:-1]})[0] == 403
    assert attacked.ask("POST", "/stop", {"X-Token": "ü".encode("latin-1")})[0] == 403
    assert attacked.ask("GET", f"/stop?token={token}", {"X-Token": token})[0] == 405
    foreign = {"X-Token": token, "Host": f"evil.example:{attacked.port}"}
    assert attacked.ask("POST", "/stop", foreign)[0] == 403
    assert attacked.ask("OPTIONS", "/state")[0] == 405
    assert attacked.ask("DELETE", "/")[0] == 405
    time.sleep(1)
    assert attacked.state()["status"] == "running"


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


def test_a_port_that_is_taken(attacked, nst, pair, tmp_path):
    done = nst(*pair, *QUICK, "--live", attacked.port)
    assert done.code == 2
    assert f"port {attacked.port}" in done.err
    assert not (tmp_path / "output").exists()
    assert nst(*pair, *QUICK, "--live", 70000).code == 2


def test_quiet_needs_a_port(nst, pair):
    done = nst(*pair, *QUICK, "--quiet", "--live")
    assert done.code == 2
    assert "give a port" in done.err


def test_the_address_is_an_event(program, pair):
    process = program(*pair, *QUICK, "--live", 0, "--log_json")
    out, _ = process.communicate(timeout=300)
    event = json.loads(out.splitlines()[0])
    assert event["event"] == "live"
    assert event["url"].startswith("http://127.0.0.1:")


def test_pictures_made_at_a_time_do_not_mix():
    from types import SimpleNamespace

    import numpy as np

    from nst.live import Live
    from nst.settings import Settings
    from nst.step import Costs, Step

    view = Live(0, lambda: None, Settings())
    job = SimpleNamespace(settings=Settings(), size=(20, 30))
    folder = SimpleNamespace(job=job, checkpoint=None)
    tasks = [SimpleNamespace(number=number, name=f"picture {number}") for number in (1, 2)]
    image = np.zeros((20, 30, 3), np.float32)
    costs = Costs(1.0, 1.0, 1.0, 1.0, (0.2,) * 5)
    try:
        for task in tasks:
            view.start(task, folder)
        for iteration in range(5):
            for task in tasks:
                of_task = image if task.number == 1 and iteration == 2 else None
                step = Step(iteration, 200, 1, 1, of_task, costs, float(iteration), None)
                view.step(task, step)
        state = json.loads(view._state())
        assert (state["name"], state["iteration"]) == ("picture 1", 4)
        assert (state["picture"], state["left"]) == ("1-2", 196)
        assert json.loads(view._costs())["iteration"] == [0, 1, 2, 3, 4]
        view.leave(tasks[0])
        view.step(tasks[1], step)
        state = json.loads(view._state())
        assert state["name"] == "picture 2"
        assert "picture" not in state
        assert view._picture() == b""
        assert json.loads(view._costs())["iteration"] == [0, 1, 2, 3, 4]  # the last one again
    finally:
        view.close()


def test_without_a_port_another_one_is_found(live):
    one, other = live(*ENDLESS, "--live"), live(*ENDLESS, "--seed", 1, "--live")
    assert one.port != other.port
    assert other.ask()[0] == 200


def test_a_batch_is_shown_and_stopped(live, tmp_path):
    styles = ("--style_image_filename", "mosaic_sun.jpg", "woodcut_wave.jpg")
    running = live(*styles, *ENDLESS, "--live", 0)
    running.wait()
    state = running.state()
    assert (state["number"], state["total"]) == (1, 2)
    assert state["name"] == "photo.png in the style of mosaic_sun.jpg"
    token = re.search('name="token" content="([^"]+)"', running.ask()[2].decode())[1]
    assert running.ask("POST", "/stop", {"X-Token": token})[0] == 200
    assert running.process.wait(60) == 130
    wait_for(tmp_path / "output/photo__mosaic_sun/checkpoint", running.process)


def test_stop_where_interrupts_are_ignored(program, pair, tmp_path):
    """As in the background of a shell script: then it stops as if terminated."""
    ignored = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    running = Running(program(*pair, *ENDLESS, "--live", 0, **ignored))
    try:
        running.wait()
        token = re.search('name="token" content="([^"]+)"', running.ask()[2].decode())[1]
        running.ask("POST", "/stop", {"X-Token": token})
        assert running.process.wait(60) == 143
    finally:
        running.process.kill()
        running.process.communicate()
    assert os.path.exists(tmp_path / "output/photo__painting/checkpoint")
