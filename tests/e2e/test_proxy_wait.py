"""`wait_for_upstream`: the client's SYN is answered when the upstream leg is there, and refused when it cannot be."""

import contextlib
import time

import clients
from capture import Capture, Silent
from proxied import FRONT, FRONT6, SERVERS, SERVERS6, ProxyCase, front, group, server
from servers import Peer, echoing

QUIET = "10.71.0.99"
NEVER = {"eject": {"failures": 0}}


class Wait(ProxyCase):
    upstreams = [
        group("alive", server("alive", SERVERS[0], 9000)),
        group("alive6", server("alive6", SERVERS6[0], 9000)),
        group("dead", server("dead", SERVERS[0], 9001), **NEVER),
        group("quiet", server("quiet", QUIET, 9000), **NEVER),
        group("mixed", ("m1", SERVERS[0], 9001), ("m2", SERVERS[0], 9000), **NEVER),
    ]
    services = [
        front("alive", 9000, upstream="alive", match={"destination": ["0.0.0.0/0"]}, wait_for_upstream=True),
        front("alive6", 9000, upstream="alive6", match={"destination": ["::/0"]}, wait_for_upstream=True),
        front("dead", 1001, upstream="dead", wait_for_upstream=True, retries=1),
        front("quiet", 1002, upstream="quiet", wait_for_upstream=True, connect_timeout="500ms", retries=1),
        front("mixed", 1003, upstream="mixed", wait_for_upstream=True),
    ]

    @classmethod
    def start_servers(cls):
        cls.peer = Peer(cls.up, SERVERS[0], 9000, echoing)
        cls.addClassCleanup(cls.peer.close)
        cls.peer6 = Peer(cls.up, SERVERS6[0], 9000, echoing)
        cls.addClassCleanup(cls.peer6.close)

    def test_the_server_answers_first(self):
        for dialled in (FRONT, FRONT6):
            with contextlib.ExitStack() as stack:
                near = stack.enter_context(Capture("client", 9000))
                with self.up.entered():
                    far = Capture("upstream", 9000)
                stack.enter_context(far)
                for _ in range(10):
                    with clients.connect(dialled, 9000, 10) as connection:
                        connection.sendall(b"hello")
                        self.assertEqual(clients.receive_exactly(connection, 5), b"hello")
                # A machine under load records late.
                ours = self.eventually(lambda: self.ten(near.find("SA", sent=False)), "ten SYN-ACKs of ours")
                theirs = self.eventually(lambda: self.ten(far.find("SA", sent=True)), "ten SYN-ACKs of the server's")
                for mine, server_ in zip(ours, theirs):
                    self.assertLess(server_.time, mine.time, "no SYN-ACK before the server's")

    @staticmethod
    def ten(segments):
        return segments if len(segments) == 10 else None

    def test_a_transfer(self):
        sent, received = clients.echo(FRONT, 9000, 16 << 20)
        self.assertEqual(sent, received)

    def test_a_server_that_refuses(self):
        with Capture("client", 1001) as near:
            done = clients.curl(f"http://{FRONT}:1001/", check=False)
            self.assertEqual(done.returncode, 7, done.stderr)
            with self.assertRaises(ConnectionRefusedError):
                clients.connect(FRONT, 1001, 10)
            time.sleep(0.2)
            self.assertEqual(near.find("SA"), [], "it was never accepted")
            self.assertEqual(len(near.find("R", sent=False)), 2)
        self.assertEqual(self.sessions(), [])

    def test_a_server_that_says_nothing(self):
        with Silent(self.up, "upstream", QUIET), Capture("client", 1002) as near:
            start = time.monotonic()
            with self.assertRaises(ConnectionRefusedError):
                clients.connect(FRONT, 1002, 10)
            self.assertLess(time.monotonic() - start, 2 * 0.5 + 2)
            self.assertEqual(near.find("SA"), [], "it was never accepted")

    def test_another_server_is_tried(self):
        for _ in range(6):
            with clients.connect(FRONT, 1003, 10) as connection:
                connection.sendall(b"hello")
                self.assertEqual(clients.receive_exactly(connection, 5), b"hello")

    def test_a_client_that_gives_up_meanwhile(self):
        with Silent(self.up, "upstream", QUIET):
            with self.assertRaises(TimeoutError):
                clients.connect(FRONT, 1002, 0.2)
            self.eventually(lambda: self.sessions() == [], "nothing is left")
