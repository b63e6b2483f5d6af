"""Slow clients: those that trickle, those that do not read, and those beside them that are not disturbed."""

import contextlib
import select
import socket
import threading
import time

import clients
from rig import V4, ApplianceCase, TapCase, web

CHARGEN = {"name": "chargen", "match": {"port": 19}, "action": "terminate", "application": "chargen"}
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
# Seconds that a machine under load may be late.
LATE = 3


class Healthy(threading.Thread):
    """A client that asks again and again on one connection; what went wrong is in `error`."""

    def __init__(self):
        super().__init__(daemon=True)
        self.answers, self.slowest, self.error, self.going = 0, 0.0, None, True

    def run(self):
        try:
            with clients.connect(V4, 80) as connection:
                while self.going:
                    before = time.monotonic()
                    connection.sendall(REQUEST)
                    answer = b""
                    while not answer.endswith(b"hello\n"):
                        piece = connection.recv(65536)
                        assert piece, "closed"
                        answer += piece
                    assert answer.startswith(b"HTTP/1.1 200 "), answer
                    self.slowest = max(self.slowest, time.monotonic() - before)
                    self.answers += 1
                    time.sleep(0.02)
        except (OSError, AssertionError) as error:
            self.error = error


def read_to_end(connection):
    """What comes until the peer closes, and whether it did so by a reset."""
    answer = b""
    try:
        while data := connection.recv(65536):
            answer += data
    except ConnectionResetError:
        return answer, True
    return answer, False


class Slow:
    services = [web(body="hello\n", head_timeout="2s", body_timeout="2s", keep_alive_timeout="3s"), CHARGEN]
    extra = {"tcp": {"slow_reader_timeout": "2s", "sleep_after": "1s", "user_timeout": "20s"}}

    def setUp(self):
        self.healthy = Healthy()
        self.healthy.start()

    def tearDown(self):
        self.healthy.going = False
        self.healthy.join(30)
        self.assertIsNone(self.healthy.error)
        self.assertGreater(self.healthy.answers, 20, "the healthy client was served all the time")
        self.assertLess(self.healthy.slowest, 1.5)

    def closed(self, reason):
        return self.appliance.metric("millrace_flows_closed_total", reason=reason)

    def trickle(self, pieces, every=0.4, reading=True):
        """Sends pieces until the answer comes; returns it and how long it took."""
        start = time.monotonic()
        with clients.connect(V4, 80) as connection:
            for piece in pieces:
                connection.sendall(piece)
                if select.select([connection], [], [], every)[0]:
                    break
            answer = connection.recv(65536)
            return answer, time.monotonic() - start

    def assert_timed_out(self, answer, took, seconds):
        self.assertTrue(answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n"), answer)
        self.assertIn(b"\r\nConnection: close\r\n", answer)
        self.assertGreaterEqual(took, seconds - 0.1)
        self.assertLess(took, seconds + LATE)

    def test_slowloris(self):
        """By bytes, which wait in a stack, and by whole lines, which the application takes."""
        before = self.appliance.service("web", "http_timeouts")
        for pieces in ([b"GET / HTTP/1.1\r\nX: "] + [b"x"] * 40, [b"GET / HTTP/1.1\r\n"] + [b"X: y\r\n"] * 40):
            answer, took = self.trickle(pieces)
            self.assert_timed_out(answer, took, 2)
        self.eventually(lambda: self.appliance.service("web", "http_timeouts") == before + 2, "both are counted")

    def test_many_slowlorises(self):
        """Who goes on after the answer is cut off."""
        before = self.closed("slow_sender")
        with contextlib.ExitStack() as stack:
            all_ = [stack.enter_context(clients.connect(V4, 80)) for _ in range(100)]
            deadline = time.monotonic() + 2 + 2 + 2 * LATE
            left, begun = set(all_), set()
            while left and time.monotonic() < deadline:
                for connection in list(left):
                    try:
                        connection.sendall(b"X: y\r\n" if connection in begun else b"GET / HTTP/1.1\r\n")
                        begun.add(connection)
                    except OSError:
                        left.discard(connection)
                time.sleep(0.2)
            self.assertFalse(left, f"{len(left)} go on for ever")
        self.eventually(lambda: self.closed("slow_sender") >= before + 50, "they are counted")

    def test_half_a_body(self):
        head = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
        answer, took = self.trickle([head] + [b"x"] * 40)
        self.assert_timed_out(answer, took, 2)

    def test_a_body_that_grows_is_waited_for(self):
        size = 12 * 16 * 1024
        with clients.connect(V4, 80) as connection:
            connection.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(12):
                connection.sendall(b"x" * 16 * 1024)
                time.sleep(0.5)
            self.assertTrue(connection.recv(65536).startswith(b"HTTP/1.1 405 "))

    def test_silence_ends_quietly(self):
        """Before the first request and after one; the kernel's keepalives change nothing."""
        before = self.appliance.service("web", "http_idle_closes")
        for requests in (0, 1):
            with clients.connect(V4, 80) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
                for _ in range(requests):
                    connection.sendall(REQUEST)
                    self.assertTrue(connection.recv(65536).startswith(b"HTTP/1.1 200 "))
                start = time.monotonic()
                self.assertEqual(read_to_end(connection), (b"", False))
                took = time.monotonic() - start
                self.assertGreaterEqual(took, 2.9)
                self.assertLess(took, 3 + LATE)
        self.eventually(lambda: self.appliance.service("web", "http_idle_closes") == before + 2, "both are counted")

    def test_a_reader_that_stops(self):
        before = self.closed("slow_reader")
        with clients.connect(V4, 19) as connection:
            self.assertTrue(connection.recv(100))
            self.eventually(lambda: self.closed("slow_reader") == before + 1, "it is ended", 2 + 10)
            # What the kernel held is there still; behind it is the reset.
            self.assertTrue(read_to_end(connection)[1])

    def test_a_reader_that_is_slow_enough(self):
        before = self.closed("slow_reader")
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(clients.TIMEOUT)
            connection.connect((V4, 19))
            for _ in range(40):
                clients.receive_exactly(connection, 3000)
                time.sleep(0.25)
        self.assertEqual(self.closed("slow_reader"), before)


class SlowOverVeth(Slow, ApplianceCase):
    """net_af_packet, connections direct where they can be."""


class SlowOverTap(Slow, TapCase):
    """net_tap, every connection on a stack."""

    extra = {"tcp": {**Slow.extra["tcp"], "direct": False}}
