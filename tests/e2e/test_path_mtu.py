"""Path MTU discovery: the middle of the way takes less than both ends say, and the kernel of a router tells."""

import pathlib
import shutil
import tempfile
import time

import clients
import net
from appliance import run_dir
from rig import CLIENT_V4, CLIENT_V6, V4, V6, ApplianceCase, web

BODY = 2_000_000
NARROW = 1300
# The longest a download may take: one that waits for timers takes longer.
SECONDS = 5
# Each of these is a destination of its own.
HOSTS = range(2, 8)


class PathMtu(ApplianceCase):
    """client -1500- router A -1300- router B -1500- Millrace."""

    workers = [0, 1]
    services = []

    @classmethod
    def setUpClass(cls):
        cls.body = "".join(f"{n:07d}\n" for n in range(BODY // 8))
        directory = pathlib.Path(tempfile.mkdtemp(prefix="www-", dir=run_dir()))
        cls.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
        directory.chmod(0o755)
        (directory / "index.html").write_text(cls.body)
        (directory / "index.html").chmod(0o644)
        cls.services = [web(directory=str(directory))]
        super().setUpClass()

    @classmethod
    def connect(cls):
        a, b = (net.Namespace(f"{cls.__name__}-{role}") for role in ("a", "b"))
        for router in (a, b):
            cls.addClassCleanup(router.delete)
            router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
            router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
        net.link(cls.far, b, qpairs=cls.qpairs)
        b.ip("address", "add", f"{CLIENT_V4}/24", "dev", "client")
        b.ip("address", "add", f"{CLIENT_V6}/64", "dev", "client")
        cls.wire(b, a, 1, NARROW)
        cls.wire(a, cls.near, 2, 1500)
        for n in HOSTS[1:]:
            cls.near.ip("address", "add", f"10.66.2.{n}/24", "dev", "down2")
            cls.near.ip("address", "add", f"fd00:66:0:2::{n}/64", "dev", "down2", "nodad")
        cls.near.ip("route", "add", "default", "via", "10.66.2.1")
        cls.near.ip("route", "add", "default", "via", "fd00:66:0:2::1")
        a.ip("route", "add", "10.66.0.0/24", "via", "10.66.1.1")
        a.ip("route", "add", "fd00:66::/64", "via", "fd00:66:0:1::1")
        b.ip("route", "add", "10.66.2.0/24", "via", "10.66.1.2")
        b.ip("route", "add", "fd00:66:0:2::/64", "via", "fd00:66:0:1::2")
        cls.router = b

    @staticmethod
    def wire(one, other, number, mtu):
        """A link between two namespaces, of net 10.66.NUMBER.0/24 and its like."""
        up, down, size = f"up{number}", f"down{number}", str(mtu)
        peer = ("peer", "name", down, "mtu", size, "netns", other.name)
        one.ip("link", "add", up, "mtu", size, "type", "veth", *peer)
        for end, device, host in ((one, up, 1), (other, down, 2)):
            for feature in ("tx", "rx", "tso", "gso", "gro"):
                end.run("ethtool", "-K", device, feature, "off")
            end.ip("link", "set", device, "up")
            end.ip("address", "add", f"10.66.{number}.{host}/24", "dev", device)
            end.ip("address", "add", f"fd00:66:0:{number}::{host}/64", "dev", device, "nodad")

    def lowered(self):
        return self.appliance.metric("millrace_tcp_path_mtu_errors_total", outcome="lowered")

    def used(self):
        return self.appliance.metric("millrace_tcp_path_mtu_cache_total", event="used")

    def download(self, source, address):
        """Downloads the body; how long that took."""
        begin = time.monotonic()
        host = f"[{address}]" if ":" in address else address
        done = clients.curl("-g", "--interface", source, f"http://{host}/")
        self.assertTrue(done.stdout == self.body, f"{len(done.stdout)} bytes")
        return time.monotonic() - begin

    def test_downloads(self):
        """Each host's first connection to a worker learns; nothing stalls, and no timer runs out."""
        for family, address in (("10.66.2.%d", V4), ("fd00:66:0:2::%d", V6)):
            for n in HOSTS:
                before = self.lowered()
                self.assertLess(self.download(family % n, address), SECONDS)
                self.eventually(lambda: self.lowered() > before, "an error was believed")
                self.assertEqual(self.lowered() - before, 1, "one is enough")
        timeouts = self.appliance.metric("millrace_tcp_recovery_total", event="expired")
        self.assertEqual(timeouts, 0)
        self.assertEqual(self.appliance.metric("millrace_tcp_path_mtu_errors_total", outcome="no_flow"), 0)

    def test_the_next_connection_knows(self):
        """Every worker that has learned of a path begins with what it takes."""
        before = self.used()
        for _ in range(8):
            self.download("10.66.2.2", V4)
        # One of two workers may have had to learn first.
        self.eventually(lambda: self.used() - before >= 6, "what was learned is used")


class OneQueue(PathMtu):
    """Errors come to the worker that has the queue, and go on to the one that has the flow."""

    port = {"rx_queues": 1}


class TwoQueues(PathMtu):
    """The kernel spreads packets over queues: errors may come to a worker that has not the flow."""

    qpairs = 2


# Not itself a set of tests.
del PathMtu
