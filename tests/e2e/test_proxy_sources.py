"""Whom the server takes for its client: an address of ours, the client itself, or what a PROXY protocol header says."""

import contextlib
import ipaddress
import socket
import struct
import time

import clients
from proxied import (
    ANY,
    ANY6,
    BACK,
    BACK6,
    CLIENT,
    CLIENT6,
    CLIENTS,
    FRONT,
    FRONT6,
    SERVERS,
    SERVERS6,
    ProxyCase,
    front,
    group,
)
from servers import Haproxy, Nginx, Peer, family

# Further addresses of the appliance's that upstream legs come from.
POOL = ["10.71.0.151", "10.71.0.152", "10.71.0.153"]
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def header_v2(source, source_port, destination, destination_port, extra=b""):
    """A PROXY protocol header, version 2; `extra` are further fields."""
    ends = [ipaddress.ip_address(address).packed for address in (source, destination)]
    body = b"".join(ends) + struct.pack("!HH", source_port, destination_port) + extra
    kind = 0x11 if len(ends[0]) == 4 else 0x21
    return SIGNATURE + struct.pack("!BBH", 0x21, kind, len(body)) + body


def ask(address, port, uri="/who", source=None, before=(), source_port=0):
    """Sends pieces and then a request; returns the socket's own address and port, and the words of the answer."""
    with socket.socket(family(address), socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source is not None:
            connection.bind((source, source_port))
        connection.connect((address, port))
        assert connection.getpeername()[:2] == (address, port)
        for piece in before:
            connection.sendall(piece)
            time.sleep(0.01)
        connection.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % uri.encode())
        answer = bytearray()
        while data := connection.recv(65536):
            answer += data
        here = [str(part) for part in connection.getsockname()[:2]]
    (status, _, body) = clients.parse_http(bytes(answer))[-1]
    assert status == 200, answer
    return here, body.decode().split()


class Sources(ProxyCase):
    """One service a port; 8xxx are IPv4 servers', 9xxx IPv6 servers'."""

    back = {"any_ip": True}
    upstreams = [
        *(
            group(f"{name}{version}", (name, servers[0], port))
            for name, port in (("plain", 80), ("header", 81), ("haproxy", 83))
            for version, servers in (("4", SERVERS), ("6", SERVERS6))
        ),
        group("greeter", ("greeter", SERVERS[0], 84)),
    ]
    services = [
        *(
            front(f"{name}{version}", base + offset, upstream=f"{to}{version}", **proxy)
            for version, base in (("4", 8000), ("6", 9000))
            for offset, name, to, proxy in (
                (0, "own", "plain", {}),
                (1, "client", "plain", {"source": "client"}),
                (2, "v1", "header", {"send_proxy": "v1"}),
                (3, "v2", "header", {"send_proxy": "v2"}),
                (4, "haproxy-v1-", "haproxy", {"send_proxy": "v1"}),
                (5, "haproxy-v2-", "haproxy", {"send_proxy": "v2"}),
                (6, "accept", "plain", {"accept_proxy": True}),
                (7, "pass-on", "header", {"accept_proxy": True, "send_proxy": "v2"}),
                (8, "client-v2-", "header", {"source": "client", "send_proxy": "v2"}),
                (9, "said", "plain", {"source": "client", "accept_proxy": True}),
            )
        ),
        front("original", 7000, source="own"),
        front("original-client", 7001, source="client"),
        front("original-said", 7002, accept_proxy=True),
        front("speaks-first", 7004, upstream="greeter", send_proxy="v2"),
        front("pool", 7003, upstream="plain4", source_addresses=POOL),
    ]

    @classmethod
    def start_servers(cls):
        first, first6 = SERVERS[0], SERVERS6[0]
        cls.nginx = Nginx(
            cls.up, "web", (first, 80), (first6, 80), *((s, p) for s in SERVERS[1:3] for p in (7000, 7001)),
            (SERVERS6[1], 7000), (SERVERS6[1], 7001), proxy_protocol=[(first, 81), (first6, 81)],
        )  # fmt: skip
        cls.nginx.start()
        cls.addClassCleanup(cls.nginx.stop)
        for address in (first, first6):
            haproxy = Haproxy(cls.up, f"haproxy{family(address):d}", (address, 82), (address, 83)).start()
            cls.addClassCleanup(haproxy.stop)

    VERSIONS = (
        (8000, ANY, CLIENT, BACK, SERVERS),
        (9000, ANY6, CLIENT6, BACK6, SERVERS6),
    )

    def test_own(self):
        for base, dialled, _, back, servers in self.VERSIONS:
            _, seen = ask(dialled, base)
            self.assertEqual((seen[0], seen[2:4]), (back, [servers[0], "80"]))

    def test_transparent(self):
        """The server sees the client's address and port, whatever address the client dials."""
        for base, dialled, client, _, servers in self.VERSIONS:
            for source in (client, *(CLIENTS if base == 8000 else ())):
                uri = f"/who?{source}"
                here, seen = ask(dialled, base + 1, uri, source)
                self.assertEqual(here[0], source)
                self.assertEqual(seen[:4], [*here, servers[0], "80"])
                self.eventually(lambda uri=uri: self.nginx.logged(uri), "the access log says it")
                self.assertEqual(self.nginx.logged(uri)[0][:2], here)

    def test_transparent_and_the_port_is_taken(self):
        """The same client port to two of our addresses would be one connection to the server: the second is refused."""
        before = self.refused("source_port", "client4")
        with contextlib.ExitStack() as stack:
            all_ = []
            for _ in range(2):
                s = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                s.settimeout(5)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind((CLIENT, 33333))
                all_.append(s)
            first, second = all_
            for round_ in range(2):
                if round_ == 0:
                    first.connect((FRONT, 8001))
                first.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertIn(b" 200 OK", first.recv(65536), "the first is served and goes on")
                if round_ == 0:
                    with self.assertRaises(ConnectionResetError):
                        second.connect((ANY, 8001))
                        second.recv(65536)
        self.eventually(lambda: self.refused("source_port", "client4") == before + 1, "it is counted")

    def test_proxy_header_for_nginx(self):
        for base, dialled, _, back, servers in self.VERSIONS:
            for offset in (2, 3):
                here, seen = ask(dialled, base + offset)
                self.assertEqual((seen[0], seen[2:4]), (back, [servers[0], "81"]))
                self.assertEqual(seen[4:], [*here, dialled, str(base + offset)])

    def test_proxy_header_for_haproxy(self):
        for base, dialled, *_ in self.VERSIONS:
            for offset in (4, 5):
                here, seen = ask(dialled, base + offset)
                self.assertEqual(seen, [*here, dialled, str(base + offset)])

    def test_proxy_header_before_a_server_that_speaks_first(self):
        """It leaves with the handshake's end, though the client says nothing."""

        def greet(connection, _):
            head = clients.receive_exactly(connection, 16)
            rest = clients.receive_exactly(connection, int.from_bytes(head[14:], "big"))
            connection.sendall(b"220 " + (head + rest).hex().encode())

        with Peer(self.up, SERVERS[0], 84, greet), clients.connect(ANY, 7004, 5) as connection:
            here = connection.getsockname()
            expected = header_v2(*here, ANY, 7004).hex().encode()
            self.assertEqual(clients.receive_exactly(connection, 4 + len(expected)), b"220 " + expected)
            self.assertEqual(connection.recv(1), b"")

    def test_proxy_header_of_a_transparent_leg(self):
        for base, dialled, *_ in self.VERSIONS:
            here, seen = ask(dialled, base + 8)
            self.assertEqual((seen[:2], seen[4:]), (here, [*here, dialled, str(base + 8)]))

    def test_header_of_the_client_is_taken_off(self):
        """It may come in any pieces; the server gets what is behind it."""
        v2 = header_v2("203.0.113.7", 4711, "198.51.100.9", 443, extra=b"\x04\0\x05abcde")
        v1 = b"PROXY TCP4 203.0.113.7 198.51.100.9 4711 443\r\n"
        local = SIGNATURE + b"\x20\0\0\0"
        for base, dialled, _, back, servers in self.VERSIONS:
            pieces = [v2[:3], v2[3:15], v2[15:]], [bytes([b]) for b in v1]
            for before in ([v2], [v1], [v2 + REQUEST], [local], *pieces):
                _, seen = ask(dialled, base + 6, before=before)
                self.assertEqual((seen[0], seen[2:4]), (back, [servers[0], "80"]), before)

    def test_header_of_the_client_is_passed_on(self):
        said = ["203.0.113.7", "4711", "198.51.100.9", "443"]
        said6 = ["2001:db8::7", "4711", "2001:db8::9", "443"]
        for base, dialled, *_ in self.VERSIONS:
            for ends in (said, said6):
                source, port, destination, to = ends
                for header in (
                    header_v2(source, int(port), destination, int(to)),
                    f"PROXY TCP{4 if ends is said else 6} {source} {destination} {port} {to}\r\n".encode(),
                ):
                    _, seen = ask(dialled, base + 7, before=[header])
                    self.assertEqual(seen[4:], ends)

    def test_a_header_is_believed(self):
        """A transparent leg comes from where the header says, and an original destination is what it says."""
        for base, dialled, source in ((8000, ANY, "203.0.113.7"), (9000, ANY6, "2001:db8::7")):
            header = header_v2(source, 4711, dialled, 80)
            _, seen = ask(dialled, base + 9, before=[header])
            self.assertEqual(seen[:2], [source, "4711"])
        header = header_v2("203.0.113.7", 4711, SERVERS[2], 7000)
        _, seen = ask(FRONT, 7002, before=[header])
        self.assertEqual((seen[0], seen[2:4]), (BACK, [SERVERS[2], "7000"]))

    def test_a_pool_of_own_addresses(self):
        seen = [ask(FRONT, 7003)[1][0] for _ in range(12)]
        self.assertEqual({address: seen.count(address) for address in POOL}, dict.fromkeys(POOL, 4))

    def test_no_header_at_all(self):
        """Whoever begins with something else is reset, and the server hears nothing of it."""
        self.reported()
        before, connects = self.refused("header", "accept4"), self.connects("plain")
        for start in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PROXY TCP4 nonsense\r\n", SIGNATURE + b"\x31\x11\0\0"):
            with clients.connect(FRONT, 8006, 5) as connection:
                connection.sendall(start)
                with self.assertRaises(ConnectionResetError):
                    connection.recv(100)
        self.eventually(lambda: self.refused("header", "accept4") == before + 3, "all are counted")
        self.assertEqual(self.connects("plain"), connects)

    def test_original_destination(self):
        """Without an upstream group sessions go where the client was going, by way of us."""
        for servers, back in ((SERVERS[1:3], BACK), (SERVERS6[1:2], BACK6)):
            for target in servers:
                here, seen = ask(target, 7000)
                self.assertEqual((seen[0], seen[2:4]), (back, [target, "7000"]))
                here, seen = ask(target, 7001)
                self.assertEqual(seen[:4], [*here, target, "7001"])

    def test_an_address_of_ours_is_no_destination(self):
        before = self.refused("no_server", "original")
        with self.assertRaises(ConnectionResetError), clients.connect(FRONT, 7000, 5) as connection:
            connection.recv(100)
        self.counts(lambda: self.refused("no_server", "original"), before + 1, "it is counted")

    def test_sessions_name_both_ends(self):
        with clients.connect(FRONT6, 9001) as connection:
            connection.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.recv(65536)
            rows = self.sessions("--service", "client6")
            self.assertEqual(len(rows), 1, rows)
            port = connection.getsockname()[1]
            legs = rows[0]["client"], rows[0]["upstream_leg"]
            ends = [(leg["remote"], leg["remote_port"], leg["local"], leg["local_port"]) for leg in legs]
            self.assertEqual(ends, [(CLIENT6, port, FRONT6, 9001), (SERVERS6[0], 80, CLIENT6, port)])
