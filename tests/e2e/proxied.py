"""Test cases with a proxy: clients, the appliance and upstream servers in three namespaces.

    client 10.70.0.1 --veth-- 10.70.0.2 Millrace 10.71.0.2 --veth-- 10.71.0.11 to .14 servers

and the same in IPv6. Each side has the appliance as its gateway. The test itself is in the client's namespace.
"""

import contextlib
import json
import pathlib
import re
import time

import net
from rig import ApplianceCase, merged
from servers import endpoint

CLIENT, CLIENT6 = "10.70.0.1", "fd00:70::1"
# Further addresses of the client's.
CLIENTS = [f"10.70.0.{n}" for n in range(101, 105)]
FRONT, FRONT6 = "10.70.0.2", "fd00:70::2"
BACK, BACK6 = "10.71.0.2", "fd00:71::2"
# Addresses that are the appliance's only through `any_ip`.
ANY, ANY6 = "10.70.0.77", "fd00:70::77"
SERVERS = [f"10.71.0.{n}" for n in range(11, 15)]
SERVERS6 = [f"fd00:71::{n}" for n in range(11, 15)]
# Nobody is there.
NOBODY = "10.71.0.200"


def group(name, *servers, **more):
    """An upstream group; servers are (name, address, port) or mappings."""
    rows = [s if isinstance(s, dict) else {"name": s[0], "address": endpoint(s[1], s[2])} for s in servers]
    return {"name": name, "servers": rows, **more}


def server(name, address, port=80, **more):
    return {"name": name, "address": endpoint(address, port), **more}


def front(name="front", port=80, protocol="tcp", match=None, **proxy):
    """A service that proxies."""
    match = {"protocol": protocol, "port": port, **(match or {})}
    return {"name": name, "match": match, "action": "proxy", "proxy": proxy}


class ProxyCase(ApplianceCase):
    """One appliance between clients and servers."""

    upstreams = []
    # Joined with the upstream port's keys.
    back = {}

    @classmethod
    def connect(cls):
        cls.up = net.Namespace(f"{cls.__name__}-up")
        cls.addClassCleanup(cls.up.delete)
        net.link(cls.far, cls.near, qpairs=cls.qpairs)
        net.link(cls.far, cls.up, device="millup", peer="upstream", qpairs=cls.qpairs)
        for address in (CLIENT, *CLIENTS):
            cls.near.ip("address", "add", f"{address}/24", "dev", "client")
        cls.near.ip("address", "add", f"{CLIENT6}/64", "dev", "client")
        for address in SERVERS:
            cls.up.ip("address", "add", f"{address}/24", "dev", "upstream")
        for address in SERVERS6:
            cls.up.ip("address", "add", f"{address}/64", "dev", "upstream")
        for namespace, v4, v6 in ((cls.near, FRONT, FRONT6), (cls.up, BACK, BACK6)):
            namespace.ip("route", "add", "default", "via", v4)
            namespace.ip("-6", "route", "add", "default", "via", v6)
        cls.start_servers()

    @classmethod
    def start_servers(cls):
        """Where a class starts its servers: the links are there, the appliance is not yet."""

    @classmethod
    def config(cls):
        queues = f",qpairs={cls.qpairs}" if cls.qpairs > 1 else ""
        lan = {
            "name": "lan",
            "device": f"net_af_packet0,iface=mill{queues}",
            "addresses": [f"{FRONT}/24", f"{FRONT6}/64"],
            "any_ip": True,
        }
        back = {
            "name": "back",
            "device": f"net_af_packet1,iface=millup{queues}",
            "addresses": [f"{BACK}/24", f"{BACK6}/64"],
        }
        base = {
            "workers": cls.workers,
            "ports": [merged(lan, cls.port), merged(back, cls.back)],
            "upstreams": cls.upstreams,
            "services": cls.services,
        }
        return merged(base, cls.extra)

    @classmethod
    def tearDownClass(cls):
        # Health checks go on for ever; without them packets come to rest.
        groups = [{key: value for key, value in each.items() if key != "health_check"} for each in cls.upstreams]
        cls.appliance.write(merged(cls.appliance.config, {"upstreams": groups}))
        cls.appliance.ctl("reload")
        super().tearDownClass()

    def apply(self, **changes):
        """Writes the configuration with changes and reloads it."""
        self.appliance.write(merged(self.appliance.config, changes))
        done = json.loads(self.appliance.ctl("reload", "--json").stdout)
        self.assertTrue(done["succeeded"], done)
        self.assertFalse(done["needs_restart"], done)
        return done

    def reported(self):
        """What happened before is in the counters: workers report ten times a second."""
        time.sleep(0.3)

    def counts(self, count, wanted, what):
        """Waits until `count()` is as wanted."""
        try:
            self.eventually(lambda: count() == wanted, what, 5)
        except AssertionError:
            self.assertEqual(count(), wanted, what)

    def proxied(self, counter, service=None):
        """A counter of a service's sessions (or of all services')."""
        labels = {} if service is None else {"service": service}
        return self.appliance.metric(f"millrace_proxy_{counter}", **labels)

    def refused(self, reason, service=None):
        labels = {"reason": reason, **({} if service is None else {"service": service})}
        return self.appliance.metric("millrace_proxy_refused_total", **labels)

    def refusals(self):
        """Sessions given up, by reason."""
        reasons = {}
        for labels, value in self.appliance.metrics()["millrace_proxy_refused_total"]:
            if value:
                reasons[labels["reason"]] = reasons.get(labels["reason"], 0) + value
        return reasons

    def connects(self, server_, outcome=None):
        """Attempts to connect to a server; with `outcome`, those that ended so."""
        labels = {"server": server_, **({} if outcome is None else {"outcome": outcome})}
        return self.appliance.metric("millrace_upstream_server_connects_total", **labels)

    def server_row(self, name):
        """What `millctl show upstreams` says of `UPSTREAM/SERVER`."""
        for row in self.appliance.show("upstreams"):
            if f"{row['upstream']}/{row['server']}" == name:
                return row
        raise AssertionError(f"no server {name}")

    def sessions(self, *arguments):
        return self.appliance.show("sessions", *arguments)["sessions"]

    def resident(self):
        """Resident memory of the appliance, in bytes."""
        status = pathlib.Path(f"/proc/{self.appliance.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) << 10

    @classmethod
    @contextlib.contextmanager
    def at_servers(cls):
        """The calling thread is where the servers are."""
        with cls.up.entered():
            yield
