"""UDP through the proxy: many clients, answers from the address that was asked, and whom the server sees."""

import contextlib
import os
import socket
import time

import clients
from proxied import (
    ANY,
    ANY6,
    BACK,
    CLIENT,
    CLIENT6,
    FRONT,
    SERVERS,
    SERVERS6,
    ProxyCase,
    front,
    group,
)
from servers import Datagrams, family

CLIENTS = 300


def named(name):
    """A server that puts its name before what it was sent."""
    return lambda data, _: name + b" " + data


class Udp(ProxyCase):
    back = {"any_ip": True}
    extra = {"udp": {"idle_timeout": "2s"}}
    upstreams = [
        group("dns", ("a", SERVERS[0], 53), ("b", SERVERS[1], 53)),
        group("dns6", ("a", SERVERS6[0], 53)),
        group("nobody", ("nobody", SERVERS[0], 54)),
    ]
    services = [
        front("dns", 53, "udp", match={"destination": ["0.0.0.0/0"]}, upstream="dns"),
        front("dns6", 53, "udp", match={"destination": ["::/0"]}, upstream="dns6"),
        front("client", 5301, "udp", match={"destination": ["0.0.0.0/0"]}, upstream="dns", source="client"),
        front("client6", 5301, "udp", match={"destination": ["::/0"]}, upstream="dns6", source="client"),
        front("original", 5353, "udp", source="client"),
    ]

    @classmethod
    def start_servers(cls):
        cls.servers = {}
        for address, port, name in (
            (SERVERS[0], 53, b"a"),
            (SERVERS[1], 53, b"b"),
            (SERVERS6[0], 53, b"six"),
            (SERVERS[2], 5353, b"original"),
        ):
            cls.servers[name] = Datagrams(cls.up, address, port, named(name))
            cls.addClassCleanup(cls.servers[name].close)

    @contextlib.contextmanager
    def socket(self, address=CLIENT):
        with socket.socket(family(address), socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.bind((address, 0))
            yield s

    def ask(self, s, address, port, data):
        """One question by a socket that takes answers from anywhere; who answered is whom it asked."""
        s.sendto(data, (address, port))
        answer, sender = s.recvfrom(65536)
        self.assertEqual(sender[:2], (address, port), "the answer comes from the address that was asked")
        name, _, rest = answer.partition(b" ")
        self.assertEqual(rest, data)
        return name

    def test_many_clients(self):
        """Each keeps its server, and both have some."""
        # A port that another test's client had might still have its session.
        self.eventually(lambda: self.sessions("--protocol", "udp") == [], "nothing is left of other tests")
        self.reported()
        opened = self.proxied("sessions_total", "dns")
        with contextlib.ExitStack() as stack:
            names = []
            for n in range(CLIENTS):
                s = stack.enter_context(self.socket())
                dialled = (FRONT, ANY)[n % 2]
                own = {self.ask(s, dialled, 53, os.urandom(4) + b"question %d of %d" % (k, n)) for k in range(5)}
                self.assertEqual(len(own), 1, "a session has one server")
                names.append(own.pop())
            self.counts(lambda: self.proxied("sessions_total", "dns"), opened + CLIENTS, "a session each")
            rows = self.sessions("--limit", "1000", "--protocol", "udp")
            self.assertGreaterEqual(len(rows), CLIENTS)
            self.assertAlmostEqual(names.count(b"a"), CLIENTS / 2, delta=CLIENTS / 10)
            self.assertLessEqual({host for host, _ in self.servers[b"a"].seen[-5:]}, {BACK})
        self.eventually(lambda: self.proxied("sessions", "dns") == 0, "all are forgotten", 10)

    def test_ipv6(self):
        with self.socket(CLIENT6) as s:
            for size in (0, 1, 1000, 1400):
                self.assertEqual(self.ask(s, ANY6, 53, os.urandom(size)), b"six")

    def test_transparent(self):
        for client, dialled, name in ((CLIENT, ANY, (b"a", b"b")), (CLIENT6, ANY6, (b"six",))):
            with self.socket(client) as s:
                answered = self.ask(s, dialled, 5301, b"who am I?")
                self.assertIn(answered, name)
                self.assertEqual(self.servers[answered].seen[-1], s.getsockname()[:2])

    def test_original_destination(self):
        with self.socket() as s:
            self.assertEqual(self.ask(s, SERVERS[2], 5353, b"straight"), b"original")
            self.assertEqual(self.servers[b"original"].seen[-1], s.getsockname())

    def test_a_burst_each_way(self):
        """What is sent in one go comes back, all of it."""
        with self.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            self.ask(s, FRONT, 53, b"hello")
            sent = {b"%d" % n for n in range(500)}
            for data in sent:
                s.sendto(data, (FRONT, 53))
            got = {s.recvfrom(2000)[0].split()[1] for _ in sent}
            self.assertEqual(got, sent)

    def test_traffic_keeps_a_session(self):
        """It lasts as long as something comes, and not much longer."""
        self.eventually(lambda: self.sessions("--protocol", "udp") == [], "nothing is left of other tests")
        self.reported()
        opened = self.proxied("sessions_total", "dns")
        with self.socket() as s:
            for _ in range(5):
                self.ask(s, FRONT, 53, b"still there")
                time.sleep(1)
        self.counts(lambda: self.proxied("sessions_total", "dns"), opened + 1, "it was one session")
        self.eventually(lambda: self.proxied("sessions", "dns") == 0, "it is forgotten", 8)

    def test_by_ordinary_clients(self):
        for n in range(100):
            self.assertIn(clients.datagram(FRONT, 53, b"%d" % n), (b"a %d" % n, b"b %d" % n))
