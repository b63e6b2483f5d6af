"""What an operator sees of sessions and servers, and what ends a session by hand."""

import contextlib
import json

import clients
from proxied import BACK, CLIENT, FRONT, SERVERS, ProxyCase, front, group
from rig import check_summary
from servers import Peer, echoing


class Operate(ProxyCase):
    upstreams = [
        group("one", ("a", SERVERS[0], 9000)),
        group("two", ("b", SERVERS[1], 9000), health_check={"interval": "200ms", "timeout": "200ms"}),
        group("gone", ("c", SERVERS[2], 9000), health_check={"interval": "200ms", "timeout": "200ms", "fall": 1}),
    ]
    upstreams += [
        # It accepts and says nothing.
        group("mute", ("m", SERVERS[0], 9001), health_check={"http": {}, "interval": "200ms", "timeout": "100ms"}),
    ]
    services = [front("one", 1001, upstream="one"), front("two", 1002, upstream="two")]
    extra = {"shutdown": {"drain": "1s"}}

    @classmethod
    def start_servers(cls):
        cls.peers = [Peer(cls.up, address, 9000, echoing) for address in SERVERS[:2]]
        cls.peers.append(Peer(cls.up, SERVERS[0], 9001, lambda connection, _: clients.receive_all(connection)))
        for peer in cls.peers:
            cls.addClassCleanup(peer.close)

    @contextlib.contextmanager
    def session(self, port):
        with clients.connect(FRONT, port, 10) as connection:
            connection.sendall(b"hello")
            self.assertEqual(clients.receive_exactly(connection, 5), b"hello")
            yield connection

    def row(self, connection):
        port = connection.getsockname()[1]
        rows = [row for row in self.sessions() if row["client"]["remote_port"] == port]
        self.assertEqual(len(rows), 1, rows)
        return rows[0]

    def test_sessions(self):
        with self.session(1001) as first, self.session(1002):
            row = self.row(first)
            self.assertEqual((row["service"], row["upstream"], row["server"]), ("one", "one", "a"))
            self.assertEqual((row["phase"], row["bytes_up"], row["bytes_down"]), ("relaying", 5, 5))
            ends = [(leg["remote"], leg["local"], leg["state"]) for leg in (row["client"], row["upstream_leg"])]
            self.assertEqual(ends, [(CLIENT, FRONT, "ESTABLISHED"), (SERVERS[0], BACK, "ESTABLISHED")])
            self.assertEqual((row["client"]["port"], row["upstream_leg"]["port"]), ("lan", "back"))
            table = self.appliance.ctl("show", "sessions").stdout
            for word in (f"{CLIENT}:{first.getsockname()[1]}", "one", "two"):
                self.assertIn(word, table)

    def test_filters(self):
        with self.session(1001), self.session(1001), self.session(1002):
            self.assertEqual(len(self.sessions()), 3)
            self.assertEqual(len(self.sessions("--upstream", "one")), 2)
            self.assertEqual(len(self.sessions("--upstream", "one/a")), 2)
            self.assertEqual(len(self.sessions("--address", SERVERS[1])), 1)
            self.assertEqual(len(self.sessions("--service", "two")), 1)
            self.assertEqual(len(self.sessions("--limit", "1")), 1)
            self.assertEqual(self.sessions("--protocol", "udp"), [])
            done = self.appliance.ctl("show", "sessions", "--upstream", "nothing", check=False)
            self.assertTrue(done.returncode != 0 or "nothing" not in done.stdout)

    def test_upstreams(self):
        self.eventually(lambda: self.server_row("two/b")["health"] == "up", "b is up")
        self.eventually(lambda: self.server_row("gone/c")["health"] == "down", "c is down")
        self.eventually(lambda: self.server_row("mute/m")["health"] == "down", "no answer counts as down")
        with self.session(1001), self.session(1001):
            self.eventually(lambda: self.server_row("one/a")["sessions"] == 2, "two legs")
            row = self.server_row("one/a")
            self.assertEqual((row["address"], row["admin"]), (f"{SERVERS[0]}:9000", "enabled"))
            table = self.appliance.ctl("show", "upstreams").stdout
            for word in ("one", "two", "gone", SERVERS[0]):
                self.assertIn(word, table)
        self.assertEqual(self.appliance.metric("millrace_upstream_server_up", server="b"), 1)
        self.assertEqual(self.appliance.metric("millrace_upstream_server_up", server="c"), 0)

    def test_shutdown_by_either_leg(self):
        """Whichever leg is named, both end with a reset, and no other session hears of it."""
        peer = self.peers[0]
        with self.session(1001) as bystander:
            for leg in ("client", "upstream_leg"):
                errors = len(peer.errors)
                with self.session(1001) as connection:
                    row = self.row(connection)
                    self.appliance.ctl("shutdown", "flow", f"{row['worker']}:{row[leg]['id']}")
                    with self.assertRaises(ConnectionResetError):
                        connection.recv(100)
                    self.eventually(lambda: len(peer.errors) == errors + 1, "the server hears of it")
                    self.assertIsInstance(peer.errors[-1], ConnectionResetError)
            bystander.sendall(b"still")
            self.assertEqual(clients.receive_exactly(bystander, 5), b"still")

    def test_shutdown_of_nothing(self):
        for name in ("0:99999999", "99:1", "nonsense"):
            self.assertNotEqual(self.appliance.ctl("shutdown", "flow", name, check=False).returncode, 0, name)

    def test_stop_with_sessions_open(self):
        """Those that go on are given their time, then reset; every packet buffer is given back."""
        appliance = self.appliance
        with contextlib.ExitStack() as stack:
            all_ = [stack.enter_context(self.session(1001 + n % 2)) for n in range(20)]
            for connection in all_[:5]:
                # Much under way.
                connection.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while connection.send(bytes(1 << 16)):
                        pass
            code, text = appliance.stop()
        self.assertEqual(code, 0, text)
        check_summary(text)
        appliance.start()

    def test_json_is_one_document(self):
        for what in ("upstreams", "sessions"):
            json.loads(self.appliance.ctl("show", what, "--json").stdout)
