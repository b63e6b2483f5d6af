"""Echo over net_af_packet: whatever a kernel client sends comes back, byte for byte."""

import hashlib
import selectors
import socket
import time

import clients
from rig import ANY_V4, ANY_V6, CHARGEN, DISCARD, ECHO, V4, V6, ApplianceCase, web

SIZES = {"1 B": 1, "1 KiB": 1 << 10, "64 KiB": 1 << 16, "128 KiB": 1 << 17}


class Echo(ApplianceCase):
    services = [ECHO, DISCARD, CHARGEN, web()]

    def check(self, address, size):
        sent, received = clients.echo(address, 7, size, seed=size)
        self.assertEqual(sent[0], size)
        self.assertEqual(sent, received)

    def test_sizes_v4(self):
        for name, size in SIZES.items():
            with self.subTest(name):
                self.check(V4, size)

    def test_sizes_v6(self):
        for name, size in SIZES.items():
            with self.subTest(name):
                self.check(V6, size)

    def test_100_mib_v4(self):
        self.check(ANY_V4, 100 << 20)

    def test_100_mib_v6(self):
        self.check(ANY_V6, 100 << 20)

    def test_nothing_and_close(self):
        for address in (V4, V6):
            with clients.connect(address, 7) as connection:
                connection.shutdown(socket.SHUT_WR)
                self.assertEqual(connection.recv(1), b"")

    def test_byte_by_byte(self):
        with clients.connect(V4, 7) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number in range(200):
                connection.sendall(bytes([number]))
                self.assertEqual(connection.recv(1), bytes([number]))

    def test_discard_takes_all_and_says_nothing(self):
        size = 8 << 20
        before = self.appliance.service("discard", "tcp_bytes_in")
        with clients.connect(V4, 9) as connection:
            sender = clients.Sender(connection, clients.chunks(size))
            sender.start()
            self.assertEqual(clients.receive_all(connection), 0)
            sender.finish()
        self.eventually(
            lambda: self.appliance.service("discard", "tcp_bytes_in") - before == size, f"{size} bytes counted"
        )

    def test_chargen_sends_the_pattern(self):
        line = bytes(range(32, 127))
        pattern = b"".join((line + line)[n : n + 72] + b"\r\n" for n in range(95))
        with clients.connect(V4, 19) as connection:
            got = clients.receive_exactly(connection, 1 << 20)
        self.assertEqual(got, (pattern * (len(got) // len(pattern) + 1))[: len(got)])

    def test_aborted_connections_leave_no_flow(self):
        """A client that resets (SO_LINGER 0) instead of closing."""
        import struct

        for _ in range(50):
            connection = clients.connect(V4, 7)
            connection.sendall(b"x" * 1000)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        self.eventually(
            lambda: all(w["tcp_flows"] == 0 for w in self.appliance.show("workers")), "no flow is left", 15
        )


class ManyAtOnce(ApplianceCase):
    services = [ECHO, web()]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        clients.many_files()

    def test_1000_connections_to_one_port(self):
        self.serve([(V4, 7)] * 1000)

    def test_100_destination_addresses(self):
        addresses = [f"10.66.0.{n}" for n in range(100, 150)] + [f"fd00:66::1:{n}" for n in range(50)]
        self.serve([(address, 7) for address in addresses for _ in range(2)])

    def serve(self, destinations):
        """Opens all connections, holds them all open, then echoes on each."""
        connections = []
        try:
            for address, port in destinations:
                connections.append(clients.connect(address, port))
            flows = self.eventually(
                lambda: sum(w["tcp_flows"] for w in self.appliance.show("workers")) >= len(connections),
                f"{len(connections)} flows shown",
            )
            self.assertTrue(flows)
            messages = [hashlib.sha256(str(n).encode()).digest() * 8 for n in range(len(connections))]
            for connection, message in zip(connections, messages):
                connection.sendall(message)
            for connection, message in zip(connections, messages):
                self.assertEqual(clients.receive_exactly(connection, len(message)), message)
            for connection in connections:
                connection.shutdown(socket.SHUT_WR)
            for connection in connections:
                self.assertEqual(connection.recv(1), b"")
        finally:
            for connection in connections:
                connection.close()

    def test_connections_opened_in_one_go(self):
        """500 SYNs without waiting for the answers."""
        selector = selectors.DefaultSelector()
        waiting = {}
        for _ in range(500):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex((V4, 80))
            selector.register(s, selectors.EVENT_WRITE)
            waiting[s] = b""
        done = 0
        deadline = time.monotonic() + 30
        while waiting:
            self.assertLess(time.monotonic(), deadline, f"{len(waiting)} connections were not served")
            for key, events in selector.select(1):
                s = key.fileobj
                if events & selectors.EVENT_WRITE:
                    self.assertEqual(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
                    s.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    selector.modify(s, selectors.EVENT_READ)
                elif data := s.recv(65536):
                    waiting[s] += data
                else:
                    self.assertTrue(waiting.pop(s).endswith(b"hello\n"))
                    selector.unregister(s)
                    s.close()
                    done += 1
        self.assertEqual(done, 500)
