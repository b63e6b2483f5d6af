"""Observation of flows that end here: what an application answers, and what a proxy passes on."""

import hashlib
import subprocess

import clients
from appliance import run_dir
from mirrored import Consumer, body_file
from proxied import FRONT, SERVERS, ProxyCase, front, group
from rig import ECHO, eventually, web
from servers import Nginx

LARGE = bytes(range(256)) * 3000


def curl(*arguments):
    return subprocess.run(["curl", "-sS", "--max-time", "20", *arguments], capture_output=True, check=True).stdout


class Observed(ProxyCase):
    """One appliance that answers on port 80 and passes on what comes to port 81; and one flow that nobody watches."""

    upstreams = [group("backs", ("one", SERVERS[0], 80))]
    services = [
        {**web(), "observe": "all"},
        {**front(port=81, upstream="backs"), "observe": "http"},
        ECHO,
    ]

    @classmethod
    def start_servers(cls):
        cls.nginx = Nginx(cls.up, "one", (SERVERS[0], 80)).start()
        cls.addClassCleanup(cls.nginx.stop)
        body_file(cls.nginx, "large", LARGE)

    @classmethod
    def setUpClass(cls):
        cls.endpoint = f"ipc://{run_dir()}/{cls.__name__}.events.sock"
        cls.extra = {"export": {"push": [cls.endpoint]}}
        super().setUpClass()
        cls.consumer = Consumer(cls.endpoint, cls.__name__)
        cls.addClassCleanup(cls.consumer.stop)

        def heard():
            curl(f"http://{FRONT}/warm-up")
            return cls.consumer.events()

        eventually(heard, "the first event", 20)

    def told(self, service, count):
        """The exchanges of a service's connections that are over, once there are so many."""
        def over():
            events = [event for event in self.consumer.events() if event["service"] == service]
            done = {event["flow"] for event in events if event["topic"] == "flow.close"}
            events = [event for event in events if event["flow"] in done]
            responses = [event for event in events if event["topic"] == "http.response"]
            return events if len(responses) >= count else None

        return self.eventually(over, f"{count} responses of {service}")

    def test_a_proxied_session(self):
        upload = self.nginx.directory / "upload"
        upload.write_bytes(LARGE)
        curl(f"http://{FRONT}:81/files/large", f"http://{FRONT}:81/who")
        curl("-T", str(upload), f"http://{FRONT}:81/files/new")
        events = self.told("front", 3)
        large = hashlib.sha256(LARGE).hexdigest()
        requests = [event for event in events if event["topic"] == "http.request"]
        responses = [event for event in events if event["topic"] == "http.response"]
        self.assertEqual(
            [(e["method"], e["target"], e["exchange"], e["complete"]) for e in requests],
            [("GET", "/files/large", 0, True), ("GET", "/who", 1, True), ("PUT", "/files/new", 0, True)],
        )
        # curl waits to be told that it may send so much.
        self.assertEqual([e["status"] for e in responses], [200, 200, 100, 201])
        self.assertEqual((responses[0]["sha256"], requests[2]["sha256"]), (large, large))
        self.assertEqual({event["action"] for event in events}, {"proxy"})
        self.assertEqual({event["server"]["port"] for event in events}, {81})
        close = [event for event in events if event["topic"] == "flow.close"][0]
        self.assertGreater(close["sent"]["server"]["bytes"], len(LARGE))

    def test_a_terminated_flow(self):
        before = len(self.consumer.events("flow.close"))
        self.assertEqual(curl(f"http://{FRONT}/a", f"http://{FRONT}/b"), b"hello\nhello\n")
        eventually(lambda: len(self.consumer.events("flow.close")) > before, "the end")
        events = [event for event in self.consumer.events() if event["service"] == "web"]
        flow = [event for event in events if event.get("target") == "/b"][0]["flow"]
        events = [event for event in events if event["flow"] == flow]
        self.assertEqual({event["action"] for event in events}, {"terminate"})
        self.assertEqual(events[0]["topic"], "flow.open")
        self.assertEqual(events[-1]["topic"], "flow.close")
        hello = hashlib.sha256(b"hello\n").hexdigest()
        responses = [event for event in events if event["topic"] == "http.response"]
        self.assertEqual([(e["status"], e["sha256"], e["request"]["target"]) for e in responses],
                         [(200, hello, "/a"), (200, hello, "/b")])
        for direction in ("client", "server"):
            at = 0
            for event in events:
                if event["topic"] == "tcp.data" and event["direction"] == direction:
                    self.assertEqual(event["offset"], at)
                    at += event["length"]
            self.assertEqual(events[-1]["sent"][direction]["bytes"], at)

    def test_nothing_is_told_of_others(self):
        clients.echo(FRONT, 7, 1000)
        # What is told later is told in order.
        curl(f"http://{FRONT}/behind")
        self.eventually(
            lambda: [e for e in self.consumer.events("http.request") if e["target"] == "/behind"], "the next flow"
        )
        self.assertEqual([event for event in self.consumer.events() if event["service"] == "echo"], [])
