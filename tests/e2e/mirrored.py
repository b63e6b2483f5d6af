"""A client and nginx in namespaces of their own, joined by a hub whose third port is Millrace's mirror.

The hub is a bridge that forgets every address at once, so that it sends each frame to all of its ports: what a mirror
port of a switch does, without anything in the kernel that would have to be there.
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import unittest

import net
from appliance import ROOT, Appliance, run_dir
from rig import eventually, finish, merged
from servers import Nginx

CLIENT, SERVER = "10.72.0.1", "10.72.0.2"
CONSUMER = ROOT / "conf" / "examples" / "consumer.py"

# How Millrace gets the frames of the hub's third port.
DEVICES = {
    "af_packet": "net_af_packet0,iface=mill,framecnt=16384",
    "af_xdp": "net_af_xdp0,iface=mill,force_copy=1",
    "pcap": "net_pcap0,rx_iface=mill",
    "tap": "net_tap0,iface=mill",
}


class Hub:
    """The three namespaces and the bridge."""

    def __init__(self, name, kind="af_packet"):
        self.kind = kind
        self.mill, self.client, self.server = (net.Namespace(f"{name}-{who}") for who in ("mill", "client", "server"))
        self.mill.ip("link", "add", "hub", "type", "bridge", "ageing_time", "0", "mcast_snooping", "0")
        self.mill.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/hub/disable_ipv6")
        self.mill.ip("link", "set", "hub", "up")
        for who, space, address in (("client", self.client, CLIENT), ("server", self.server, SERVER)):
            net.link(self.mill, space, f"to-{who}", "lan")
            self.plug(f"to-{who}")
            space.ip("address", "add", f"{address}/24", "dev", "lan")
        if kind != "tap":
            net.link(self.mill, self.mill, "mill", "to-mill")
            self.plug("to-mill")

    def plug(self, device):
        self.mill.run("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{device}/disable_ipv6")
        self.mill.ip("link", "set", device, "master", "hub")
        self.mill.ip("link", "set", device, "up")

    def started(self):
        """Millrace has made its end, if that was its to make."""
        if self.kind == "tap":
            self.plug("mill")

    def delete(self):
        for space in (self.client, self.server, self.mill):
            space.delete()


class Consumer:
    """The example consumer, as a process of its own; what it prints is read when it is asked for."""

    def __init__(self, endpoint, name):
        self.out = run_dir() / f"{name}.events"
        with open(self.out, "wb") as out:
            command = ["/usr/bin/python3", str(CONSUMER), endpoint]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)

    def events(self, *topics):
        """What has come so far, of these topics or all."""
        lines = [line for line in self.out.read_text().split("\n")[:-1]]
        events = [json.loads(line) for line in lines]
        return [event for event in events if not topics or event["topic"] in topics]

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGCONT)
            self.process.kill()
        self.process.wait()


class MirrorCase(unittest.TestCase):
    """Millrace on the hub, following what the client and nginx say, and a consumer of its events."""

    kind = "af_packet"
    extra = {}
    observe = "http"
    consumes = True

    @classmethod
    def setUpClass(cls):
        cls.hub = Hub(cls.__name__, cls.kind)
        cls.addClassCleanup(cls.hub.delete)
        cls.nginx = Nginx(cls.hub.server, "nginx", (SERVER, 80)).start()
        cls.addClassCleanup(cls.nginx.stop)
        cls.endpoint = f"ipc://{run_dir()}/{cls.__name__}.events.sock"
        service = {"name": "mirror", "match": {"ingress": "span"}, "action": "monitor", "observe": cls.observe}
        base = {
            "workers": [1],
            "ports": [{"name": "span", "device": DEVICES[cls.kind], "mirror": True}],
            "services": [service],
            "export": {"push": [cls.endpoint]},
        }
        cls.appliance = Appliance(cls.hub.mill, merged(base, cls.extra), cls.__name__)
        cls.addClassCleanup(cls.appliance.kill)
        cls.appliance.start()
        cls.hub.started()
        if cls.consumes:
            cls.consumer = Consumer(cls.endpoint, cls.__name__)
            cls.addClassCleanup(cls.consumer.stop)
            cls.ready()

    @classmethod
    def ready(cls):
        """Asks until the consumer hears of it: then everything is connected."""

        def heard():
            cls.curl("@/warm-up")
            return any(event.get("target") == "/warm-up" for event in cls.consumer.events("http.request"))

        eventually(heard, "the first event", 20)
        eventually(lambda: cls.counts("produced") == cls.counts("sent") + cls.counts("dropped"), "rest", 20)

    @classmethod
    def tearDownClass(cls):
        # That driver keeps the buffers of its fill queue.
        finish(cls.appliance, leaks=cls.kind == "af_xdp")

    @classmethod
    def curl(cls, *arguments, check=True):
        """curl with these arguments; `@/path` is one of nginx."""
        uris = [argument.replace("@", f"http://{SERVER}", 1) for argument in arguments]
        return cls.hub.client.run("curl", "-sS", "--max-time", "20", *uris, check=check)

    @classmethod
    def counts(cls, what, **labels):
        """The sum of a counter of events."""
        return int(cls.appliance.metric(f"millrace_events_{what}_total", **labels))

    def exchanges(self, events):
        """Requests with their responses, by flow and number."""
        flows = {}
        for event in events:
            if event["topic"] in ("http.request", "http.response"):
                flows.setdefault((event["flow"], event["exchange"]), {})[event["topic"]] = event
        return flows


def body_file(nginx, name, content):
    """Puts a file where nginx serves it under `/files/`."""
    path = pathlib.Path(nginx.directory) / "files"
    path.mkdir(exist_ok=True)
    (path / name).write_bytes(content)
