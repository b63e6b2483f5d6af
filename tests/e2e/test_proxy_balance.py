"""Servers that come, go and are taken out of service while clients ask: who gets what, and that nobody fails."""

import signal
import time

import clients
from load import Load, errors, shares
from proxied import FRONT, SERVERS, ProxyCase, front, group, server
from servers import Nginx

WEIGHTS = {"a": 1, "b": 1, "c": 2}
# A server that is gone is noticed within so many seconds: two checks and some.
NOTICED = 3


class Balance(ProxyCase):
    upstreams = [
        group(
            "web",
            *(server(name, SERVERS[n], weight=WEIGHTS[name]) for n, name in enumerate("abc")),
            health_check={"http": {"path": "/health"}, "interval": "300ms", "timeout": "200ms", "rise": 2, "fall": 2},
            eject={"failures": 3, "time": "1s"},
        ),
        group("least", *((name, SERVERS[n], 80) for n, name in enumerate("abc")), balance="least_connections"),
        *(
            group(
                name,
                ("a", SERVERS[0], 80),
                health_check={"http": {"path": "/files/none", **expect}, "interval": "200ms", "timeout": "100ms"},
            )
            for name, expect in (("missing", {}), ("expected", {"expect": "404"}))
        ),
        group("source", *((name, SERVERS[n], 80) for n, name in enumerate("abc")), balance="source"),
    ]
    services = [
        front("web", 80, upstream="web", connect_timeout="500ms"),
        front("least", 81, upstream="least"),
        front("source", 82, upstream="source"),
    ]

    @classmethod
    def start_servers(cls):
        cls.servers = {name: Nginx(cls.up, name, (SERVERS[n], 80)).start() for n, name in enumerate("abc")}
        for nginx in cls.servers.values():
            cls.addClassCleanup(nginx.stop)

    def setUp(self):
        # Each test starts with all of them.
        for nginx in self.servers.values():
            if nginx.process is None:
                nginx.start()
        for name in WEIGHTS:
            self.wait_for(name, "up")

    def wait_for(self, name, health, seconds=NOTICED):
        self.eventually(lambda: self.server_row(f"web/{name}")["health"] == health, f"{name} is {health}", seconds)

    def assert_shares(self, requests, weights):
        counts = shares(requests)
        total = sum(counts.values())
        self.assertGreater(total, 300, "enough to tell")
        self.assertEqual(set(counts), set(weights))
        for name, weight in weights.items():
            expected = total * weight / sum(weights.values())
            self.assertAlmostEqual(counts[name], expected, delta=expected / 10, msg=f"{name}: {counts}")

    def ejections(self, name):
        return self.appliance.metric("millrace_upstream_server_ejections_total", upstream="web", server=name)

    def set(self, word, name):
        self.appliance.ctl("upstream", word, f"web/{name}")

    def test_weights(self):
        with Load(FRONT) as load:
            load.wait_for(2000)
        self.assertEqual(errors(load.requests), [])
        self.assert_shares(load.requests, WEIGHTS)

    def test_a_server_dies_and_comes_back(self):
        retries = self.proxied("retries_total", "web")
        with Load(FRONT) as load:
            load.wait_for(500)
            dying = time.monotonic()
            self.servers["c"].stop()
            dead = time.monotonic()
            self.wait_for("c", "down")
            noticed = time.monotonic()
            load.wait_for(500)
            self.assert_shares(load.since(noticed), {"a": 1, "b": 1})
            calm = self.proxied("retries_total", "web")
            load.wait_for(500)
            self.assertEqual(self.proxied("retries_total", "web"), calm, "nobody tries the dead one any more")
            self.servers["c"].start()
            self.wait_for("c", "up")
            # An ejection may last a little longer than the checks.
            self.eventually(lambda: "c" in shares(load.since(time.monotonic() - 0.3)), "it is used again")
            back = time.monotonic()
            load.wait_for(1000)
        self.assert_shares(load.since(back), WEIGHTS)
        self.assertGreater(calm, retries, "what it refused was tried elsewhere")
        # What was under way to the server when it died cannot be tried again; all else is.
        lost = [request for request in load.requests if request.error is not None]
        self.assertEqual([r for r in lost if r.began > dead or r.began < dying - 1], [])
        self.assertLessEqual(len(lost), len(load.threads))

    def test_ejection_without_checks(self):
        """A server that refuses is left out for a while, though nothing checks it."""
        self.apply(upstreams=[{k: v for k, v in self.upstreams[0].items() if k != "health_check"}, *self.upstreams[1:]])
        ejected = self.ejections("b")
        try:
            with Load(FRONT) as load:
                load.wait_for(100)
                # Gracefully: what is under way is finished.
                self.servers["b"].stop(signal.SIGQUIT)
                dead = time.monotonic()
                self.eventually(lambda: self.ejections("b") > ejected, "it is ejected")
                load.wait_for(500)
                self.servers["b"].start()
                self.eventually(lambda: "b" in shares(load.since(time.monotonic() - 0.3)), "it is used again")
            self.assertEqual(errors(load.since(dead)), [])
        finally:
            self.apply()

    def test_drain_and_enable(self):
        kept = [clients.connect(FRONT, 80) for _ in range(8)]
        names = [self.ask(connection) for connection in kept]
        self.assertIn("c", names)
        with Load(FRONT) as load:
            self.set("drain", "c")
            self.eventually(lambda: self.server_row("web/c")["admin"] == "draining", "it is said")
            # A worker hears of it between two turns.
            time.sleep(0.2)
            drained = time.monotonic()
            load.wait_for(500)
            self.assertNotIn("c", shares(load.since(drained)))
            self.assertEqual([self.ask(connection) for connection in kept], names, "those there are go on")
            for connection in kept:
                connection.close()
            self.eventually(lambda: self.server_row("web/c")["sessions"] == 0, "it is drained")
            self.set("enable", "c")
            self.eventually(lambda: "c" in shares(load.since(drained)), "it is used again")
        self.assertEqual(errors(load.requests), [])

    def ask(self, connection):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b" /\n"):
            piece = connection.recv(65536)
            self.assertTrue(piece, "closed")
            answer += piece
        return answer.split()[-2].decode()

    def test_disable_and_enable(self):
        kept = [clients.connect(FRONT, 80) for _ in range(8)]
        names = [self.ask(connection) for connection in kept]
        self.set("disable", "a")
        try:
            for name, connection in zip(names, kept):
                with self.subTest(name):
                    if name == "a":
                        with self.assertRaises(ConnectionResetError):
                            connection.recv(100)
                    else:
                        self.assertEqual(self.ask(connection), name)
            self.assertEqual({"a", *names}, set(WEIGHTS))
            with Load(FRONT) as load:
                load.wait_for(300)
            self.assertEqual((set(shares(load.requests)), errors(load.requests)), ({"b", "c"}, []))
        finally:
            for connection in kept:
                connection.close()
            self.set("enable", "a")
        with Load(FRONT) as load:
            self.eventually(lambda: "a" in shares(load.requests), "it is used again")

    def test_an_unknown_server_is_named(self):
        for name in ("web/z", "nothing/a", "web"):
            done = self.appliance.ctl("upstream", "drain", name, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(name.split("/")[-1], done.stdout + done.stderr)

    def test_no_server_in_service(self):
        """The client is reset, not left waiting."""
        before = self.refused("no_server", "web")
        for name in WEIGHTS:
            self.set("disable", name)
        try:
            time.sleep(0.2)
            start = time.monotonic()
            with self.assertRaises(ConnectionResetError), clients.connect(FRONT, 80, 5) as connection:
                connection.recv(100)
            self.assertLess(time.monotonic() - start, 2)
            self.eventually(lambda: self.refused("no_server", "web") == before + 1, "it is counted")
        finally:
            for name in WEIGHTS:
                self.set("enable", name)

    def test_what_an_answer_to_a_check_must_be(self):
        """404 is none, unless it is what is expected."""
        self.eventually(lambda: self.server_row("missing/a")["health"] == "down", "404 counts as down", NOTICED)
        self.eventually(lambda: self.server_row("expected/a")["health"] == "up", "404 counts as up", NOTICED)

    def test_least_connections(self):
        kept = []
        try:
            for _ in range(30):
                kept.append(clients.connect(FRONT, 81))
                self.ask(kept[-1])
            names = [self.ask(connection) for connection in kept]
            self.assertEqual([names.count(name) for name in "abc"], [10, 10, 10])
            # Who has fewest gets the next ones.
            for name, connection in zip(names, kept):
                if name == "b":
                    connection.close()
            time.sleep(0.5)
            fresh = [clients.connect(FRONT, 81) for _ in range(9)]
            kept += fresh
            self.assertEqual([self.ask(connection) for connection in fresh], ["b"] * 9)
        finally:
            for connection in kept:
                connection.close()

    def test_by_source(self):
        """A client's address comes to the same server each time, and many addresses to all of them."""
        by_address = {}
        for n in range(40):
            address = f"10.70.0.{120 + n}"
            self.near.ip("address", "add", f"{address}/32", "dev", "client")
            names = {
                clients.curl("--interface", address, f"http://{FRONT}:82/").stdout.split()[0] for _ in range(3)
            }
            self.assertEqual(len(names), 1, address)
            by_address[address] = names.pop()
        self.assertEqual(set(by_address.values()), set("abc"))
