"""What asks a live view as a browser does."""

import http.client
import json
import re
import socket
import subprocess
import threading

from helpers import QUICK, wait_for

ENDLESS = (*QUICK, "--epochs", 1_000_000, "--print_every", 1_000_000)


class Client:
    """Asks a live view over HTTP."""

    def __init__(self, url: str) -> None:
        self.url, self.port = url, int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)/", url)[1])

    def ask(self, method="GET", path="/", headers=None, body=None):
        """Status, headers and body of the answer to a request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        result = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return result

    def send(self, data: bytes) -> bytes:
        """What comes first of the answer to raw bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(data)
            return connection.recv(1000)

    def json(self, path):
        return json.loads(self.ask(path=path)[2])

    @property
    def token(self) -> str:
        """The secret that the page has for its button."""
        return re.search('name="token" content="([^"]+)"', self.ask()[2].decode())[1]

    def press_stop(self) -> int:
        """Ask to stop as the page does; returns the status."""
        return self.ask("POST", "/stop", {"X-Token": self.token})[0]


class LiveProcess(Client):
    """The client of a run in a process of its own."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process
        deadline = threading.Timer(120, process.kill)
        deadline.start()
        line = next((line for line in process.stderr if line.startswith("Live ")), None)
        deadline.cancel()
        assert line, "no live view"
        super().__init__(line.split()[1])

    def wait_for_iteration(self, iteration=3):
        wait_for(lambda: self.json("/state").get("iteration", 0) >= iteration, self.process)
