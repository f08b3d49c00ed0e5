"""Where the live page listens, and which requests for it are answered.

On the machine's own address (loopback) a request must name that: what a browser was led to by
another name (DNS rebinding) gets nothing. The port that it names does not matter, as a tunnel has
one of its own. On any other address the path begins with a secret.
"""

import ipaddress
import os
import re
import secrets
import socket

from nst.errors import UsageError
from nst.options import LIVE_PORT

LOOPBACK = "127.0.0.1"
OWN_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)


class LiveAddress:
    """A listening socket and its address.

    socket: listening. url: of the page. note: for the user, how the page is seen from elsewhere.
    token: the secret of this page.
    """

    def __init__(self, host: str | None, port: int | None) -> None:
        """Listen. host: None for LOOPBACK. port: None for LIVE_PORT or any free one, 0 for any.

        Raises UsageError for an address or a port that cannot be had.
        """
        self.token = secrets.token_urlsafe()
        self.socket = _listen(host or LOOPBACK, port)
        address, number = self.socket.getsockname()[:2]
        ip = ipaddress.ip_address(address)
        self._is_private = ip.is_loopback
        if self._is_private:
            name = f"[{ip}]" if ip.version == 6 else str(ip)
            self.url = f"http://{name}:{number}/"
            self._hosts = {name, f"{name}:{number}"}  # an address such as 127.0.0.2
            self.note = (
                f"from another machine: ssh -L {number}:{name}:{number} {socket.gethostname()}"
            )
            return
        name = f"[{ip}]" if ip.version == 6 else str(ip)
        if ip.is_unspecified:
            name = LOOPBACK if ip.version == 4 else "[::1]"
        self.url = f"http://{name}:{number}/{self.token}/"
        self.note = (
            f"warning: open to the network at {address}; whoever has this address sees the "
            f"pictures and can stop the run; from another machine write {socket.gethostname()} for "
            f"{name}"
        )

    def path(self, host: str, path: str) -> str | None:
        """The path that a request asks for, ``/`` for the page; None if it is not answered.

        host: of its header ``Host``.
        """
        if self._is_private:
            is_own = OWN_HOST.fullmatch(host) or host.lower() in self._hosts
            return path if is_own else None
        token, slash, rest = path.removeprefix("/").partition("/")
        if not slash or not secrets.compare_digest(token.encode(), self.token.encode()):
            return None
        return f"/{rest}"


def _listen(host: str, port: int | None) -> socket.socket:
    reason = ""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"live_host: {host}: {getattr(error, 'strerror', error)}; give an address of this "
            "machine, such as 0.0.0.0"
        ) from None
    for number in (LIVE_PORT, 0) if port is None else (port,):
        try:
            return socket.create_server((address[0], number), family=family)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
    where = f"port {port}" if host == LOOPBACK else f"{host}, port {port or LIVE_PORT}"
    raise UsageError(f"live: {where}: {reason}; give another one, or leave it out")
