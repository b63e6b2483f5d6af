"""Following what others say: real clients and servers, a mirror, events in a real consumer."""

import hashlib
import signal
import time

from mirrored import MirrorCase, body_file
from rig import eventually

LARGE = bytes(range(256)) * 4000


class Scenario(MirrorCase):
    """The same conversations, whatever the port; each kind of port must tell the same of them."""

    # What the first kind told, for the others to be compared with.
    told = {}

    def conversations(self):
        body_file(self.nginx, "large", LARGE)
        upload = self.nginx.directory / "upload"
        upload.write_bytes(LARGE[:100_000])
        self.curl("@/one", "@/two", "@/files/large", "-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null")
        self.curl("@/files/new", "-T", str(upload))
        self.curl("@/head", "-I")
        self.curl("@/files/none")
        self.curl("@/who", "--http1.0")

    def test_what_was_said_is_told(self):
        before = len(self.consumer.events())
        self.conversations()

        def over():
            events = self.consumer.events()[before:]
            return events if sum(event["topic"] == "flow.close" for event in events) >= 5 else None

        events = self.eventually(over, "all connections to be told as over", 20)
        story = []
        for (_, number), exchange in sorted(self.exchanges(events).items(), key=lambda item: item[1]["http.request"]["time"]):
            request, response = exchange["http.request"], exchange["http.response"]
            self.assertEqual((response["request"]["target"], response["service"]), (request["target"], "mirror"))
            self.assertTrue(request["complete"] and response["complete"])
            self.assertGreaterEqual(response["begin"], request["begin"])
            story.append((number, request["method"], request["target"], request["body_length"], request["sha256"],
                          response["status"], response["framing"], response["body_length"],
                          # nginx says its addresses, and so the client's port, in this one.
                          None if request["target"] == "/who" else response["sha256"]))
        large = hashlib.sha256(LARGE).hexdigest()
        self.assertEqual([entry[1:3] for entry in story], [
            ("GET", "/one"), ("GET", "/two"), ("GET", "/files/large"), ("PUT", "/files/new"), ("HEAD", "/head"),
            ("GET", "/files/none"), ("GET", "/who"),
        ])
        self.assertEqual([entry[0] for entry in story], [0, 1, 2, 0, 0, 0, 0])
        self.assertEqual(story[2][5:], (200, "length", len(LARGE), large))
        self.assertEqual(story[3][3:6], (100_000, hashlib.sha256(LARGE[:100_000]).hexdigest(), 201))
        self.assertEqual((story[4][5], story[4][7], story[5][5]), (200, 0, 404))
        closes = [event for event in events if event["topic"] == "flow.close"]
        self.assertEqual({event["reason"] for event in closes}, {"fin"})
        self.assertEqual([event for event in events if event["topic"] == "gap"], [])
        for event in closes:
            self.assertIsNotNone(event["handshake_rtt"])
            self.assertGreater(event["sent"]["server"]["bytes"], 0)
        first = Scenario.told.setdefault("story", story)
        self.assertEqual(story, first, "the same on every kind of port")
        self.assertEqual(self.counts("dropped"), self.dropped_before)
        self.appliance.at_rest()

    def setUp(self):
        if type(self) is Scenario:
            self.skipTest("only with a kind of port")
        self.dropped_before = self.counts("dropped")

    def eventually(self, probe, what, seconds=10):
        return eventually(probe, what, seconds)

    @classmethod
    def setUpClass(cls):
        if cls is not Scenario:
            super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        if cls is not Scenario:
            super().tearDownClass()


class OverAfPacket(Scenario):
    kind = "af_packet"


class OverAfXdp(Scenario):
    kind = "af_xdp"


class OverPcap(Scenario):
    kind = "pcap"


class OverTap(Scenario):
    kind = "tap"


class Sent(MirrorCase):
    """What the consumer got is what the daemon says it sent."""

    observe = "all"

    def test_exactly_what_was_sent_has_come(self):
        body_file(self.nginx, "large", LARGE)
        for _ in range(20):
            self.curl("@/files/large", "@/a", "@/b", "-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null")
        eventually(lambda: self.counts("produced", topic="flow.close") >= 20, "all to be over")
        eventually(lambda: self.counts("produced") == self.counts("sent") + self.counts("dropped"), "rest")
        for topic in ("flow.open", "tcp.data", "http.request", "http.response", "flow.close"):
            sent = self.counts("sent", topic=topic)
            eventually(lambda: len(self.consumer.events(topic)) >= sent, f"{sent} events of {topic}")
            self.assertEqual(len(self.consumer.events(topic)), sent, topic)
        large = [event for event in self.consumer.events("http.response") if event["body_length"] == len(LARGE)]
        self.assertEqual({event["sha256"] for event in large}, {hashlib.sha256(LARGE).hexdigest()})
        self.assertEqual(len(large), 20)
        # The bytes of the streams, put together, are the same.
        flow = large[0]["flow"]
        data = [e for e in self.consumer.events("tcp.data") if e["flow"] == flow and e["direction"] == "server"]
        at = 0
        for event in data:
            self.assertEqual(event["offset"], at)
            at += event["length"]
        close = [e for e in self.consumer.events("flow.close") if e["flow"] == flow]
        self.assertEqual(close[0]["sent"]["server"]["bytes"], at)
        # Numbers have no holes but for what was dropped before the consumer was there.
        self.assertEqual(self.consumer.events()[-1]["missed"], 0)


class Stopped(MirrorCase):
    """A consumer that stands still costs events, not packets."""

    extra = {"export": {"high_water_mark": 100, "ring": "1MiB"}}

    def test_a_consumer_that_stops_and_comes_back(self):
        before = self.counts("dropped")
        self.consumer.signal(signal.SIGSTOP)
        body_file(self.nginx, "large", LARGE)
        many = [word for n in range(200) for word in (f"@/{n}", "-o", "/dev/null")]
        for _ in range(10):
            self.curl(*many)
            self.curl("@/files/large", "-o", "/dev/null")
        eventually(lambda: self.counts("produced", topic="http.response") >= 2000, "all to be followed")
        eventually(lambda: self.counts("produced") == self.counts("sent") + self.counts("dropped"), "rest")
        dropped = self.counts("dropped")
        self.assertGreater(dropped, 1000)
        # No packet was lost for it.
        self.assertEqual(self.appliance.metric("millrace_monitor_gap_bytes_total"), 0)
        self.appliance.at_rest()
        self.consumer.signal(signal.SIGCONT)
        self.curl("@/after")

        def told():
            after = [e for e in self.consumer.events("http.response") if e["request"]["target"] == "/after"]
            return after[0] if after else None

        event = eventually(told, "what came after")
        self.assertGreaterEqual(event["dropped"], dropped, "the consumer is told")
        self.assertEqual(event["missed"], dropped - before)

    def test_without_any_consumer(self):
        self.consumer.stop()
        time.sleep(0.5)
        produced, dropped = self.counts("produced"), self.counts("dropped")
        self.curl("@/nobody")
        eventually(lambda: self.counts("produced") >= produced + 4, "more events")
        eventually(lambda: self.counts("produced") == self.counts("sent") + self.counts("dropped"), "rest")
        self.assertGreater(self.counts("dropped"), dropped)



def load_tests(loader, tests, _pattern):
    """The scenario itself is none."""
    cases = [OverAfPacket, OverAfXdp, OverPcap, OverTap, Sent, Stopped]
    suite = tests.__class__()
    for case in cases:
        suite.addTests(loader.loadTestsFromTestCase(case))
    return suite
