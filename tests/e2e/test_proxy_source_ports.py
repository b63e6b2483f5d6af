"""Source ports of legs from an address of ours: few of them, given back however a session ends, and used again."""

import contextlib
import socket
import struct
import threading
import time

import clients
from limited import LATE, LimitCase, turned_away
from proxied import FRONT, SERVERS, front, group, server
from servers import Peer, echoing


def reset(connection):
    """Closes with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class SourcePorts(LimitCase):
    """Ten ports for each server address."""

    extra = {"proxy": {"source_ports": "40000-40009"}, "tcp": {"time_wait": "500ms"}}
    upstreams = [
        group("one", server("one", SERVERS[0], 9000)),
        group("two", server("two", SERVERS[1], 9000)),
        group("three", server("three", SERVERS[0], 9001), eject={"failures": 0}),
    ]
    services = [
        front("one", 1001, upstream="one"),
        front("two", 1002, upstream="two"),
        front("three", 1003, upstream="three"),
    ]

    @classmethod
    def start_servers(cls):
        super().start_servers()
        second = Peer(cls.up, SERVERS[1], 9000, echoing)
        cls.addClassCleanup(second.close)

    def test_no_port_is_left(self):
        before = self.refused("source_port", "one")
        with self.connected(1001, 10) as all_:
            for connection in all_:
                self.answers(connection)
            self.assertEqual({port for _, port in self.peer.accepted[-10:]}, set(range(40000, 40010)))
            for more in (1, 2):
                self.assertLess(turned_away(1001), LATE)
                self.counted("source_port", "one", before, more)
            self.assertGreater(self.connects("one", "source_port"), 0)
            with self.connected(1002, 10) as others:
                for connection in [*others, *all_]:
                    self.answers(connection)
        self.at_peace()

        def served():
            try:
                with clients.connect(FRONT, 1001, 10) as connection:
                    self.answers(connection)
            except OSError:
                return False
            return True

        self.eventually(served, "ports come back")

    def test_a_port_that_the_server_remembers_is_used_again(self):
        """The server closes first, so it has the port in TIME-WAIT; a new connection comes to be all the same."""
        self.reported()
        before = self.refusals()
        with Peer(self.up, SERVERS[0], 9001, lambda connection, _: connection.sendall(connection.recv(100))) as peer:
            for n in range(300):
                with clients.connect(FRONT, 1003, 10) as connection:
                    connection.sendall(b"%d" % n)
                    self.assertEqual(connection.recv(100), b"%d" % n)
                    self.assertEqual(connection.recv(100), b"")
            self.assertEqual({port for _, port in peer.accepted}, set(range(40000, 40010)))
        self.reported()
        self.assertEqual(self.refusals(), before)

    def test_no_port_is_lost(self):
        """Sessions end in all ways there are, by either end and at any time; then all ports are there."""

        def serve(connection, _):
            how = connection.recv(10)
            connection.sendall(bytes(100_000) if how.startswith(b"much") else b"some")
            if how.endswith(b"reset"):
                reset(connection)
            elif how.endswith(b"wait"):
                connection.recv(10)

        def client(number):
            """Ends it in many ways, some of them before the server has been heard."""
            how = (b"some", b"much", b"some reset", b"much reset", b"some wait", b"much wait")[number % 6]
            with contextlib.suppress(OSError), clients.connect(FRONT, 1003, 10) as connection:
                connection.sendall(how)
                if number % 4:
                    connection.recv(10)
                if number % 3 == 0:
                    reset(connection)
                elif number % 3 == 1:
                    connection.shutdown(socket.SHUT_WR)
                    clients.receive_all(connection)

        with Peer(self.up, SERVERS[0], 9001, serve):
            for first in range(0, 240, 8):
                threads = [threading.Thread(target=client, args=(first + n,)) for n in range(8)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(30)
        self.at_peace()
        # Until none is in TIME-WAIT any more.
        time.sleep(0.8)
        with Peer(self.up, SERVERS[0], 9001, echoing), self.connected(1003, 10) as ten:
            for connection in ten:
                self.answers(connection)
        self.at_peace()
        self.eventually(lambda: self.server_row("three/three")["sessions"] == 0, "no place is taken")
