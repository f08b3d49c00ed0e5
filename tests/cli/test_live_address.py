"""The address of the live page: tunnels reach it, other hosts do not."""

import http.client
import re

import pytest

from nst.cli import live
from nst.cli.live import Live
from nst.cli.live_address import LiveAddress
from nst.errors import UsageError
from nst.settings import Settings


@pytest.fixture
def serve(monkeypatch):
    """Serve a live page; returns it and a function that asks it."""
    monkeypatch.setattr(live, "LINGER", 0.0)
    served = []

    def start(host=None):
        stops = []
        view = Live(0, lambda: stops.append(True), Settings(), host)
        served.append(view)
        port = int(re.match(r"http://127\.0\.0\.1:(\d+)/", view.url)[1])

        def ask(path="/", method="GET", **headers):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request(
                method, path, headers={k.replace("_", "-"): v for k, v in headers.items()}
            )
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            return answer.status, body

        return view, ask, stops

    yield start
    for view in served:
        view.close()


TUNNELS = ["localhost", "LOCALHOST:9000", "Localhost:1", "127.0.0.1", "127.0.0.1:9000"]
TUNNELS += ["[::1]", "[::1]:8765"]
FOREIGN = ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io:8765", "::1", "192.168.1.5"]
FOREIGN += ["localhost:9000:1", "localhost:x", "xlocalhost", "127.0.0.2", "0.0.0.0:80", "[::]:1"]
FOREIGN += ["localhost\u0661", "localhost:", "local host"]


@pytest.mark.parametrize("host", TUNNELS)
def test_through_a_tunnel_the_page_is_seen_and_stops_the_run(serve, host):
    view, ask, stops = serve()
    status, page = ask(Host=host)
    assert status == 200
    assert ask("/state", Host=host)[0] == 200
    token = re.search(rb'name="token" content="([^"]+)"', page)[1].decode()
    origin = f"http://{host}"
    assert ask("/stop", "POST", Host=host, Origin=origin)[0] == 403
    assert stops == []
    assert ask("/stop", "POST", Host=host, Origin=origin, X_Token=token)[0] == 200
    assert stops == [True]
    assert view.address.note.startswith("from another machine: ssh -L ")


def test_foreign_hosts_are_not_answered():
    address = LiveAddress(None, 0)
    assert [host for host in FOREIGN if address.path(host, "/state") is not None] == []
    assert [address.path(host, "/state") for host in TUNNELS] == ["/state"] * len(TUNNELS)
    address.socket.close()


def test_beyond_loopback_the_address_holds_a_secret(serve):
    view, ask, stops = serve("0.0.0.0")
    token = view.address.token
    assert view.url.endswith(f"/{token}/")
    assert view.address.note.startswith("warning: ")
    for host in ("localhost:1", "machine.example:9000"):
        for path in ("/", "/state", f"/{token}", f"/{token[:-1]}/state", "//state"):
            status, body = ask(path, Host=host)
            assert (status, body) == (403, b"this address is not served"), path
        assert ask("/stop", "POST", Host=host, X_Token=token)[0] == 403
        assert ask(f"/{token}/", Host=host)[0] == 200
        assert ask(f"/{token}/state", Host=host)[0] == 200
        assert ask(f"/{token}/stop", "POST", Host=host)[0] == 403
    assert stops == []
    assert ask(f"/{token}/stop", "POST", Host="machine.example", X_Token=token)[0] == 200
    assert stops == [True]


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "999.1.1.1"])
def test_addresses_that_this_machine_has_not(host):
    with pytest.raises(UsageError, match="^live"):
        LiveAddress(host, 0)


def test_live_host_needs_a_page(nst, pair, tmp_path):
    done = nst(*pair, "--live_host", "0.0.0.0")
    assert done.code == 2
    assert "give --live, too" in done.err
    assert nst(*pair, "--live", 0, "--quiet", "--live_host", "0.0.0.0").code == 2
    assert not (tmp_path / "output").exists()
