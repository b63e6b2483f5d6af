"""For cases about what a proxy refuses: clients that expect to be reset, and a server that echoes."""

import contextlib
import time

import clients
from proxied import FRONT, SERVERS, ProxyCase
from servers import Peer, echoing

# How late a machine under load may be.
LATE = 2


def reset_after(connection):
    """Waits for the reset of a connection; returns how long it took."""
    start = time.monotonic()
    try:
        data = connection.recv(100)
    except ConnectionResetError:
        return time.monotonic() - start
    raise AssertionError(f"no reset but {data!r}")


def turned_away(port, data=b""):
    """Connects and waits for the reset, which may come with the handshake's end; returns how long it took."""
    start = time.monotonic()
    try:
        with clients.connect(FRONT, port, 10) as connection:
            if data:
                connection.sendall(data)
            answer = connection.recv(100)
    except ConnectionResetError:
        return time.monotonic() - start
    raise AssertionError(f"no reset but {answer!r}")


class LimitCase(ProxyCase):
    """With a server that echoes."""

    def setUp(self):
        self.reported()

    @contextlib.contextmanager
    def connected(self, port, count):
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(clients.connect(FRONT, port, 10)) for _ in range(count)]

    def answers(self, connection):
        connection.sendall(b"hello")
        self.assertEqual(clients.receive_exactly(connection, 5), b"hello")

    def counted(self, reason, service, before, more=1):
        self.eventually(lambda: self.refused(reason, service) == before + more, f"{reason} is counted")

    def at_peace(self):
        self.eventually(lambda: self.sessions() == [], "no session is left")

    @classmethod
    def start_servers(cls):
        cls.peer = Peer(cls.up, SERVERS[0], 9000, echoing)
        cls.addClassCleanup(cls.peer.close)
