"""A peer that stops reading: the windows close, nobody is hurt, and nothing is lost when it goes on."""

import hashlib
import os
import shutil
import socket
import struct
import tempfile
import threading
import time

import clients
from appliance import run_dir
from rig import CHARGEN, ECHO, V4, V6, ApplianceCase, web
from wire import Wire

FILE_SIZE = 12 << 20


class ZeroWindows(threading.Thread):
    """Watches the wire for segments from a service that offer no window."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.count, self.done = port, 0, False
        # Made by the caller's thread: the socket belongs to its namespace.
        self.wire = Wire("client")

    def run(self):
        while not self.done:
            for frame in self.wire.frames(0.2):
                if frame[12:14] == b"\x08\x00" and frame[23] == 6:
                    tcp = 14 + (frame[14] & 15) * 4
                    source, *_, flags, window = struct.unpack_from("!HHIIBBH", frame, tcp)
                    if source == self.port and window == 0 and not flags & 4:
                        self.count += 1

    def finish(self):
        self.done = True
        self.join(5)
        self.wire.socket.close()
        return self.count


class PausedReader(ApplianceCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="www-", dir=run_dir())
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.content = clients.payload(FILE_SIZE)
        with open(os.path.join(cls.directory, "big.bin"), "wb") as file:
            file.write(cls.content)
        # Readable whoever the daemon runs as.
        os.chmod(cls.directory, 0o755)
        cls.services = [ECHO, CHARGEN, web(directory=cls.directory)]
        super().setUpClass()

    def test_download_that_pauses(self):
        for address in (V4, V6):
            with self.subTest(address), clients.connect(address, 80) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
                connection.sendall(b"GET /big.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                before = self.sent_to(connection)
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(4096)
                time.sleep(1.5)
                stopped = self.sent_to(connection)
                time.sleep(0.7)
                self.assertEqual(self.sent_to(connection), stopped, "nothing flows while nobody reads")
                self.assertGreater(stopped, before)
                self.assertLess(stopped, FILE_SIZE, "the rest waits at the sender")
                digest = hashlib.sha256(head.partition(b"\r\n\r\n")[2])
                clients.receive_all(connection, digest)
                self.assertEqual(digest.hexdigest(), hashlib.sha256(self.content).hexdigest())

    def sent_to(self, connection):
        """Payload bytes the appliance has written for this connection."""
        port = connection.getsockname()[1]
        rows = self.appliance.show("flows", "--port", str(port))["flows"]
        self.assertEqual(len(rows), 1)
        return rows[0]["bytes_out"]

    def test_echo_of_one_who_does_not_read(self):
        """Both directions fill up; then the appliance offers no window, until the client reads again."""
        watch = ZeroWindows(7)
        watch.start()
        with clients.connect(V4, 7) as connection:
            size = 32 << 20
            sender = clients.Sender(connection, clients.chunks(size))
            connection.settimeout(None)
            sender.start()
            self.eventually(lambda: watch.count > 0, "a segment that offers no window")
            stuck = self.sent_to(connection)
            self.assertTrue(sender.is_alive(), "the client cannot send on")
            self.assertLess(stuck, size)
            digest = hashlib.sha256()
            connection.settimeout(30)
            count = clients.receive_all(connection, digest)
            self.assertEqual((count, digest.hexdigest()), sender.finish())
        self.assertGreater(watch.finish(), 0)

    def test_others_are_served_meanwhile(self):
        paused = []
        for _ in range(20):
            connection = clients.connect(V4, 19)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            paused.append(connection)
        time.sleep(1)
        sent, received = clients.echo(V4, 7, 4 << 20)
        self.assertEqual(sent, received)
        for connection in paused:
            self.assertEqual(len(clients.receive_exactly(connection, 100_000)), 100_000)
            connection.close()
