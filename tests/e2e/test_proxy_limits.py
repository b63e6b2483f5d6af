"""What a proxy refuses, when and how: the client is told, nothing hangs, and everything is counted by name."""

import socket
import struct
import time

import clients
from capture import Silent
from limited import LATE, LimitCase, reset_after, turned_away
from proxied import FRONT, NOBODY, SERVERS, front, group, server

QUIET = "10.71.0.99"
NEVER = {"eject": {"failures": 0}}


class Limits(LimitCase):
    upstreams = [
        group("small", server("small", SERVERS[0], 9000, max_connections=2)),
        group("any", server("any", SERVERS[0], 9000)),
        group("dead", server("dead", SERVERS[0], 9001), **NEVER),
        group("nobody", server("nobody", NOBODY, 9000), **NEVER),
        group("quiet", server("quiet", QUIET, 9000), **NEVER),
        group("mixed", ("m1", SERVERS[0], 9001), ("m2", NOBODY, 9000), ("m3", SERVERS[0], 9000), **NEVER),
    ]
    services = [
        front("queue", 1001, upstream="small", queue=1, queue_timeout="2s"),
        front("no-queue", 1002, upstream="small", queue=0),
        front("few", 1003, upstream="any", max_connections=3, queue=0),
        front("dead", 1004, upstream="dead", retries=3),
        front("nobody", 1005, upstream="nobody", connect_timeout="300ms", retries=1),
        front("quiet", 1006, upstream="quiet", connect_timeout="500ms", retries=2),
        front("mixed", 1007, upstream="mixed", connect_timeout="300ms", retries=4),
        front("idle", 1008, upstream="any", idle_timeout="1s"),
    ]

    def tearDown(self):
        self.at_peace()

    def test_one_waits_and_is_served_when_another_closes(self):
        with self.connected(1001, 2) as both:
            for connection in both:
                self.answers(connection)
            with clients.connect(FRONT, 1001, 10) as third:
                third.sendall(b"later")
                self.eventually(lambda: self.proxied("sessions_waiting", "queue") == 1, "it waits")
                third.settimeout(0.3)
                with self.assertRaises(TimeoutError):
                    third.recv(5)
                both[0].close()
                third.settimeout(5)
                self.assertEqual(clients.receive_exactly(third, 5), b"later")
                self.answers(both[1])
                self.answers(third)
        self.counts(lambda: self.proxied("sessions_waiting", "queue"), 0, "nobody waits")

    def test_who_waits_in_vain(self):
        before = self.refused("queue_timeout", "queue")
        with self.connected(1001, 2) as both:
            for connection in both:
                self.answers(connection)
            took = turned_away(1001)
            self.assertGreater(took, 1.5)
            self.assertLess(took, 2 + LATE)
            self.answers(both[0])
        self.counted("queue_timeout", "queue", before)

    def test_the_queue_is_full(self):
        before = self.refused("queue_full", "queue")
        with self.connected(1001, 2) as both:
            for connection in both:
                self.answers(connection)
            with self.connected(1001, 1) as (waiting,):
                waiting.sendall(b"later")
                self.eventually(lambda: self.proxied("sessions_waiting", "queue") == 1, "one waits")
                self.assertLess(turned_away(1001), LATE)
                both[0].close()
                self.assertEqual(clients.receive_exactly(waiting, 5), b"later", "who waits is not disturbed")
        self.counted("queue_full", "queue", before)

    def test_no_queue(self):
        before = self.refused("queue_full", "no-queue")
        with self.connected(1002, 2) as both:
            for connection in both:
                self.answers(connection)
            self.assertLess(turned_away(1002), LATE)
        self.counted("queue_full", "no-queue", before)

    def test_max_connections_of_a_service(self):
        before = self.refused("queue_full", "few")
        with self.connected(1003, 3) as all_:
            for connection in all_:
                self.answers(connection)
            self.assertLess(turned_away(1003), LATE)
            self.counted("queue_full", "few", before)
            all_[0].close()
            self.eventually(lambda: self.proxied("sessions", "few") == 2, "there is room")
            with clients.connect(FRONT, 1003, 10) as fourth:
                self.answers(fourth)

    def test_a_server_that_refuses(self):
        before = self.connects("dead"), self.connects("dead", "refused")
        retries, refused = self.proxied("retries_total", "dead"), self.refused("connect", "dead")
        self.assertLess(turned_away(1004, b"anybody there?"), LATE)
        self.counted("connect", "dead", refused)
        self.counts(lambda: self.proxied("retries_total", "dead"), retries + 3, "retries")
        self.assertEqual((self.connects("dead"), self.connects("dead", "refused")), tuple(n + 4 for n in before))

    def test_nobody_has_the_address(self):
        before = self.refused("connect", "nobody")
        took = turned_away(1005)
        self.assertLess(took, 2 * 0.3 + LATE)
        self.counted("connect", "nobody", before)
        self.assertGreater(self.connects("nobody", "unreachable"), 0)

    def test_a_server_that_says_nothing(self):
        before = self.refused("connect", "quiet")
        with Silent(self.up, "upstream", QUIET) as quiet:
            # The first may fail because the station is not known yet.
            turned_away(1006)
            self.counted("connect", "quiet", before)
            quiet.syns.clear()
            unanswered = self.connects("quiet", "unanswered")
            took = turned_away(1006)
            self.assertGreater(took, 3 * 0.5 - 0.2)
            self.assertLess(took, 3 * 0.5 + LATE)
            self.assertGreaterEqual(len(quiet.syns), 3, "a SYN for each attempt")
        self.counted("connect", "quiet", before, 2)
        self.counts(lambda: self.connects("quiet", "unanswered"), unanswered + 3, "attempts without an answer")

    def test_a_client_that_goes_while_its_server_says_nothing(self):
        """Nothing is left of its session, and the server is not asked again."""
        with Silent(self.up, "upstream", QUIET) as quiet:
            for how in ("reset", "close"):
                connection = clients.connect(FRONT, 1006, 10)
                self.eventually(lambda: quiet.syns, "the server is asked")
                if how == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
                self.at_peace()
                quiet.syns.clear()
                time.sleep(0.7)
                self.assertEqual(quiet.syns, [])

    def test_others_are_tried(self):
        """One refuses, one is not there, one serves: every client gets it in the end."""
        before = self.proxied("retries_total", "mixed")
        for n in range(6):
            with clients.connect(FRONT, 1007, 10) as connection:
                if n % 2:
                    self.answers(connection)
                    continue
                # All that is sent, and the end of it, waits for the one that serves.
                data = clients.payload(5000)
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                self.assertEqual(clients.receive_exactly(connection, len(data)), data)
                self.assertEqual(connection.recv(10), b"")
        self.assertGreaterEqual(self.proxied("retries_total", "mixed"), before + 4)

    def test_an_idle_session(self):
        """Traffic either way keeps it; silence ends both legs with a reset."""
        before, accepted = self.proxied("idle_timeouts_total", "idle"), len(self.peer.accepted)
        errors = len(self.peer.errors)
        with clients.connect(FRONT, 1008, 10) as connection:
            for _ in range(5):
                self.answers(connection)
                time.sleep(0.5)
            took = reset_after(connection)
            self.assertGreater(took, 0.3)
            self.assertLess(took, 1 + LATE)
        self.counts(lambda: self.proxied("idle_timeouts_total", "idle"), before + 1, "it is counted")
        self.assertEqual(len(self.peer.accepted), accepted + 1)
        self.eventually(lambda: len(self.peer.errors) == errors + 1, "the server's leg is reset, too")
        self.assertIsInstance(self.peer.errors[-1], ConnectionResetError)


class Sessions(LimitCase):
    """Few sessions in all."""

    extra = {"proxy": {"sessions": 16}}
    upstreams = [group("any", server("any", SERVERS[0], 9000))]
    services = [front("any", 1001, upstream="any")]

    def test_as_many_as_may_be(self):
        before = self.refused("limit", "any")
        with self.connected(1001, 16) as all_:
            for connection in all_:
                self.answers(connection)
            self.assertLess(turned_away(1001), LATE)
            self.counted("limit", "any", before)
            for connection in all_:
                self.answers(connection)
        self.at_peace()
        with self.connected(1001, 16) as all_:
            for connection in all_:
                self.answers(connection)
