"""UDP applications, and what is said to those who are not served: reject, drop, no service."""

import os
import socket

import clients
from rig import CHARGEN, DISCARD, ECHO, V4, V6, ApplianceCase, web

REFUSING = {"name": "refusing", "match": {"port": 5000}, "action": "reject"}
SILENT = {"name": "silent", "match": {"port": 5001}, "action": "drop"}


class Udp(ApplianceCase):
    services = [ECHO, DISCARD, CHARGEN, REFUSING, SILENT, web()]

    def rise(self, reason):
        """Waits for one more drop under a reason."""
        before = self.appliance.drops()[0].get(reason, 0)
        return lambda: self.eventually(
            lambda: self.appliance.drops()[0].get(reason, 0) > before, f"a drop counted as {reason}"
        )

    def test_echo(self):
        for address in (V4, V6, "10.66.0.99"):
            for size in (0, 1, 512, 1400):
                message = os.urandom(size)
                self.assertEqual(clients.datagram(address, 7, message), message, f"{size} bytes to {address}")

    def test_many_in_a_row(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.connect((V4, 7))
            for number in range(2000):
                message = b"%d" % number
                s.send(message)
                self.assertEqual(s.recv(100), message)

    def test_discard(self):
        before = self.appliance.service("discard", "udp_datagrams_in")
        self.assertIsNone(clients.datagram(V4, 9, b"away with it", timeout=0.5))
        self.eventually(
            lambda: self.appliance.service("discard", "udp_datagrams_in") == before + 1, "the datagram is counted"
        )

    def test_chargen_is_no_amplifier(self):
        pattern = bytes(range(32, 127))
        for _ in range(50):
            answer = clients.datagram(V4, 19, b"x" * 100)
            self.assertIsNotNone(answer)
            self.assertLessEqual(len(answer), 100)
            self.assertTrue(set(answer) <= set(pattern) | {10, 13})

    def test_reject(self):
        for address in (V4, V6):
            with self.subTest(f"UDP {address}"):
                dropped = self.rise("service_reject")
                with self.assertRaises(ConnectionRefusedError):
                    clients.datagram(address, 5000, b"anybody there?")
                dropped()
            with self.subTest(f"TCP {address}"), self.assertRaises(ConnectionRefusedError):
                clients.connect(address, 5000, timeout=3)

    def test_drop(self):
        for address in (V4, V6):
            dropped = self.rise("service_drop")
            self.assertIsNone(clients.datagram(address, 5001, b"anybody there?", timeout=0.5))
            dropped()
            with self.assertRaises(TimeoutError):
                clients.connect(address, 5001, timeout=0.5)

    def test_no_service(self):
        """What nothing is configured for is dropped in silence, by name."""
        dropped = self.rise("no_service")
        with self.assertRaises((TimeoutError, ConnectionRefusedError)):
            clients.connect(V4, 4999, timeout=0.5)
        dropped()
