"""One session's life: sides that do not read, ends that are closed one after the other, and resets, each way."""

import contextlib
import hashlib
import socket
import struct
import threading
import time

import clients
from capture import Capture
from proxied import FRONT, FRONT6, SERVERS, SERVERS6, ProxyCase, front, group
from servers import Peer

SIZE = 96 << 20
# What may be under way of a transfer whose reader does not read: sockets of both kernels, and ours.
UNDER_WAY = 24 << 20
# What the appliance may grow by meanwhile.
GROWTH = 16 << 20


def reset(connection):
    """Closes with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Flow(ProxyCase):
    upstreams = [
        group("peer", ("a", SERVERS[0], 9000)),
        group("peer6", ("a", SERVERS6[0], 9000)),
    ]
    services = [
        front("four", 9000, upstream="peer", match={"destination": ["0.0.0.0/0"]}),
        front("six", 9000, upstream="peer6", match={"destination": ["::/0"]}),
    ]
    # So that all closes are over when a test says so.
    extra = {"tcp": {"time_wait": "200ms"}}

    @contextlib.contextmanager
    def peers(self, handler):
        """The same peer in both families, with the address to dial for each."""
        with Peer(self.up, SERVERS[0], 9000, handler) as v4, Peer(self.up, SERVERS6[0], 9000, handler) as v6:
            yield [(FRONT, v4), (FRONT6, v6)]

    def captures(self, stack):
        near = stack.enter_context(Capture("client", 9000))
        with self.up.entered():
            far = Capture("upstream", 9000)
        return near, stack.enter_context(far)

    @staticmethod
    def ends(capture, address):
        """When the first FIN to or from an address was sent by this side and when one came; `None` before both have."""
        fins = [s for s in capture.find("F") if address in (s.source, s.destination)]
        sent, came = ([s.time for s in fins if s.sent is way] for way in (True, False))
        return (sent[0], came[0]) if sent and came else None

    def stalls(self, progress):
        """Waits until `progress` stands still; returns where."""
        deadline = time.monotonic() + 15
        before, since = progress(), time.monotonic()
        while time.monotonic() - since < 1.5:
            self.assertLess(time.monotonic(), deadline, "it does not stand still")
            time.sleep(0.05)
            if progress() != before:
                before, since = progress(), time.monotonic()
        return before

    def test_a_client_that_does_not_read(self):
        sent = hashlib.sha256()

        def feed(connection, peer):
            for piece in clients.chunks(SIZE):
                view = memoryview(piece)
                while view:
                    done = connection.send(view[: 1 << 16])
                    peer.count += done
                    view = view[done:]
                sent.update(piece)

        with Peer(self.up, SERVERS[0], 9000, feed) as peer, clients.connect(FRONT, 9000) as connection:
            self.eventually(lambda: peer.count > 0, "the server sends")
            resident = self.resident()
            stalled = self.stalls(lambda: peer.count)
            self.assertLess(stalled, UNDER_WAY, "the server is held back")
            self.assertLess(self.resident() - resident, GROWTH)
            digest = hashlib.sha256()
            self.assertEqual(clients.receive_all(connection, digest), SIZE)
            self.assertEqual(digest.hexdigest(), sent.hexdigest())
            self.assertEqual(peer.errors, [])
            self.assertLess(self.resident() - resident, GROWTH)

    def test_a_server_that_does_not_read(self):
        go, done, digest = threading.Event(), threading.Event(), hashlib.sha256()

        def sink(connection, peer):
            go.wait(60)
            peer.count = clients.receive_all(connection, digest)
            done.set()

        with Peer(self.up, SERVERS6[0], 9000, sink) as peer, clients.connect(FRONT6, 9000) as connection:
            sender = clients.Sender(connection, clients.chunks(SIZE))
            resident = self.resident()
            sender.start()
            self.eventually(lambda: sender.count > 0, "the client sends")
            self.assertLess(self.stalls(lambda: sender.count), UNDER_WAY, "the client is held back")
            self.assertLess(self.resident() - resident, GROWTH)
            go.set()
            count, sent = sender.finish()
            self.assertTrue(done.wait(60))
            self.assertEqual((count, sent), (peer.count, digest.hexdigest()))
            self.assertEqual(count, SIZE)

    def test_many_that_do_not_read(self):
        """Memory is bounded for each session: a hundred cost no more than a hundred times their buffers."""

        def feed(connection, peer):
            block = bytes(1 << 16)
            for _ in range(64):
                connection.sendall(block)

        with Peer(self.up, SERVERS[0], 9000, feed) as peer, contextlib.ExitStack() as stack:
            resident = self.resident()
            all_ = [stack.enter_context(clients.connect(FRONT, 9000)) for _ in range(100)]
            self.eventually(lambda: len(peer.accepted) == 100, "all are there")
            time.sleep(2)
            self.assertLess(self.resident() - resident, 64 << 20)
            for connection in all_:
                self.assertEqual(clients.receive_all(connection), 64 << 16)
            self.assertEqual(peer.errors, [])

    def test_the_client_closes_its_half_first(self):
        """The server hears of the end behind all that was sent, and answers then."""

        def answer(connection, _):
            digest = hashlib.sha256()
            count = clients.receive_all(connection, digest)
            time.sleep(0.2)
            connection.sendall(b"%d %s" % (count, digest.hexdigest().encode()))

        for size in (0, 1, 1 << 20):
            with self.peers(answer) as peers, contextlib.ExitStack() as stack:
                near, far = self.captures(stack)
                for dialled, peer in peers:
                    with clients.connect(dialled, 9000) as connection:
                        data = clients.payload(size)
                        connection.sendall(data)
                        connection.shutdown(socket.SHUT_WR)
                        got = bytearray()
                        while piece := connection.recv(65536):
                            got += piece
                        expected = b"%d %s" % (size, hashlib.sha256(data).hexdigest().encode())
                        self.assertEqual(bytes(got), expected)
                    server = peer.listener.getsockname()[0]
                    # Captures record late on a busy machine.
                    from_client, to_client = self.eventually(lambda at=dialled: self.ends(near, at), "two ends")
                    from_server, to_server = self.eventually(lambda at=server: self.ends(far, at), "two ends")
                    self.assertLess(from_client, to_server)
                    self.assertLess(from_server, to_client)
                    self.assertEqual(peer.errors, [])
                self.assertEqual((near.find("R"), far.find("R")), ([], []))

    def test_the_server_closes_its_half_first(self):
        got = []

        def speak_first(connection, _):
            connection.sendall(b"first")
            connection.shutdown(socket.SHUT_WR)
            digest = hashlib.sha256()
            got.append((clients.receive_all(connection, digest), digest.hexdigest()))

        with self.peers(speak_first) as peers, contextlib.ExitStack() as stack:
            near, far = self.captures(stack)
            for dialled, peer in peers:
                got.clear()
                with clients.connect(dialled, 9000) as connection:
                    self.assertEqual(clients.receive_exactly(connection, 5), b"first")
                    self.assertEqual(connection.recv(10), b"")
                    sender = clients.Sender(connection, clients.chunks(1 << 20))
                    sender.start()
                    sent = sender.finish()
                    self.eventually(lambda: got, "the server has all")
                    self.assertEqual(got, [sent])
                self.assertEqual(peer.errors, [])
            self.assertEqual((near.find("R"), far.find("R")), ([], []))

    def test_a_reset_by_the_client(self):
        heard = threading.Event()

        def wait(connection, _):
            connection.sendall(b"here")
            try:
                connection.recv(100)
            except ConnectionResetError:
                heard.set()

        with self.peers(wait) as peers, contextlib.ExitStack() as stack:
            _, far = self.captures(stack)
            for dialled, _ in peers:
                heard.clear()
                connection = clients.connect(dialled, 9000)
                self.assertEqual(connection.recv(4), b"here")
                reset(connection)
                self.assertTrue(heard.wait(3), "the server hears of it")
            self.eventually(
                lambda: len({s.destination for s in far.find("R", sent=False)}) == 2, "resets on the wire"
            )
        self.eventually(lambda: self.sessions() == [], "nothing is left")

    def test_a_reset_by_the_server(self):
        def break_off(connection, _):
            connection.recv(100)
            reset(connection)

        with self.peers(break_off) as peers, contextlib.ExitStack() as stack:
            near, _ = self.captures(stack)
            for dialled, _ in peers:
                with clients.connect(dialled, 9000) as connection:
                    connection.sendall(b"go")
                    with self.assertRaises(ConnectionResetError):
                        connection.recv(100)
            self.eventually(lambda: len({s.source for s in near.find("R", sent=False)}) == 2, "resets on the wire")
        self.eventually(lambda: self.sessions() == [], "nothing is left")

    def test_a_reset_in_the_middle_of_a_transfer(self):
        """Each way, with much under way: the other side hears of it, and nothing is left."""
        ended = threading.Event()

        def feed(connection, _):
            try:
                while True:
                    connection.sendall(bytes(1 << 16))
            except OSError:
                ended.set()

        with Peer(self.up, SERVERS[0], 9000, feed):
            for _ in range(20):
                ended.clear()
                connection = clients.connect(FRONT, 9000)
                clients.receive_exactly(connection, 300_000)
                reset(connection)
                self.assertTrue(ended.wait(5), "the server hears of it")
        self.eventually(lambda: self.sessions() == [], "nothing is left")
