"""Test cases with a running appliance.

A class has one appliance for all its tests; a test that needs another one makes it itself. When the last test of a
class is done the appliance is told to stop, and must end well: exit code 0, every packet accounted for, every packet
buffer given back.
"""

import re
import time
import unittest

import net
from appliance import Appliance

V4, V6 = "10.66.0.2", "fd00:66::2"
CLIENT_V4, CLIENT_V6 = "10.66.0.1", "fd00:66::1"
# Addresses that are the appliance's only through `any_ip`.
ANY_V4, ANY_V6 = "10.66.0.77", "fd00:66::77"
# A station that is not the kernel: the answers it gets disturb nobody.
STRANGER, STRANGER6 = "10.66.0.50", "fd00:66::50"
STRANGER_MAC = "02:00:00:00:00:50"

ECHO = {"name": "echo", "match": {"port": 7}, "action": "terminate", "application": "echo"}
DISCARD = {"name": "discard", "match": {"port": 9}, "action": "terminate", "application": "discard"}
CHARGEN = {"name": "chargen", "match": {"port": 19}, "action": "terminate", "application": "chargen"}


def web(name="web", port=80, **http):
    """An HTTP service."""
    application = {"http": http or {"body": "hello\n"}}
    match = {"protocol": "tcp", "port": port}
    return {"name": name, "match": match, "action": "terminate", "application": application}


# One port on a veth, for tests that start appliances of their own.
SMALL = {
    "workers": [1],
    "ports": [{"name": "lan", "device": "net_af_packet0,iface=mill", "addresses": [f"{V4}/24"]}],
    "services": [ECHO, web()],
}


def merged(base, extra):
    """Two configurations as one: mappings are joined, everything else is replaced."""
    result = dict(base)
    for key, value in extra.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


class ApplianceCase(unittest.TestCase):
    """One appliance at one end of a veth (net_af_packet); the test itself is at the other end."""

    services = [ECHO, web()]
    workers = [1]
    qpairs = 1
    # Joined with the port's and the whole file's keys.
    port = {}
    extra = {}
    prefixes = (24, 64)
    # The kernel's device, for raw frames.
    device = "client"

    @classmethod
    def setUpClass(cls):
        cls.far = net.Namespace(f"{cls.__name__}-mill")
        cls.addClassCleanup(cls.far.delete)
        cls.near = net.Namespace(f"{cls.__name__}-client")
        cls.addClassCleanup(cls.near.delete)
        cls.connect()
        cls.enter(cls.near)
        cls.appliance = Appliance(cls.far, cls.config(), cls.__name__)
        cls.addClassCleanup(cls.appliance.kill)
        cls.appliance.start()

    @classmethod
    def enter(cls, namespace):
        inside = namespace.entered()
        inside.__enter__()
        cls.addClassCleanup(inside.__exit__, None, None, None)

    @classmethod
    def connect(cls):
        net.link(cls.far, cls.near, qpairs=cls.qpairs)
        v4, v6 = cls.prefixes
        cls.near.ip("address", "add", f"{CLIENT_V4}/{v4}", "dev", "client")
        cls.near.ip("address", "add", f"{CLIENT_V6}/{v6}", "dev", "client")

    @classmethod
    def config(cls):
        v4, v6 = cls.prefixes
        device = "net_af_packet0,iface=mill" + (f",qpairs={cls.qpairs}" if cls.qpairs > 1 else "")
        port = {"name": "lan", "device": device, "addresses": [f"{V4}/{v4}", f"{V6}/{v6}"], "any_ip": True}
        base = {"workers": cls.workers, "ports": [merged(port, cls.port)], "services": cls.services}
        return merged(base, cls.extra)

    @classmethod
    def tearDownClass(cls):
        finish(cls.appliance)

    @classmethod
    def appliance_mac(cls):
        return cls.appliance.show("ports")[0]["mac"]

    def eventually(self, probe, what, seconds=10):
        """Waits until `probe` gives something true, and returns it."""
        return eventually(probe, what, seconds)


class TapCase(ApplianceCase):
    """One appliance on a tap (net_tap); the test is in the same namespace, on the kernel's side of the tap.

    Here frames reach the appliance just as they are sent: net_af_packet has the kernel put IPv4 fragments together
    first."""

    device = "mill0"

    @classmethod
    def connect(cls):
        pass

    @classmethod
    def config(cls):
        v4, v6 = cls.prefixes
        config = super().config()
        config["ports"][0]["device"] = f"net_tap0,iface={cls.device}"
        config["ports"][0]["kernel_addresses"] = [f"{CLIENT_V4}/{v4}", f"{CLIENT_V6}/{v6}"]
        return config

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # The tap is in the appliance's namespace.
        cls.enter(cls.far)


def finish(appliance, seconds=20, leaks=False):
    """Stops an appliance and checks that it ends well; returns what it printed."""
    if appliance.process is None:
        return ""
    appliance.at_rest()
    code, text = appliance.stop(seconds)
    if code != 0:
        raise AssertionError(f"exit code {code}:\n{text}")
    if "panicked" in text:
        raise AssertionError(f"a panic:\n{text}")
    check_summary(text, leaks)
    return text


def check_summary(text, leaks=False):
    """The closing summary: each packet received accounted for, each packet buffer allocated freed."""
    buffers = re.search(r"^packet buffers +(\d+) allocated, (\d+) freed$", text, re.MULTILINE)
    if buffers is None:
        raise AssertionError(f"no summary:\n{text}")
    if int(buffers[1]) == 0 or buffers[1] != buffers[2] and not leaks:
        raise AssertionError(f"{buffers[0]}:\n{text}")
    if "packets unaccounted for" in text:
        raise AssertionError(f"packets unaccounted for:\n{text}")


def eventually(probe, what, seconds=10):
    deadline = time.monotonic() + seconds
    while True:
        result = probe()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)
