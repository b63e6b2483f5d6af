"""The ways to a server: its subnet, a gateway, a VLAN, the port the client came by, or what the service says."""

import clients
from proxied import (
    BACK,
    BACK6,
    FRONT,
    FRONT6,
    SERVERS,
    SERVERS6,
    ProxyCase,
    front,
    group,
)
from servers import Nginx
from vlan import vlan_device

# Behind a router on the upstream side.
FAR, FAR6 = "10.99.0.1", "fd00:99::1"
# On a VLAN of the upstream side.
TAGGED, TAGGED6 = "10.72.0.11", "fd00:72::11"
VLAN, VLAN6 = "10.72.0.2", "fd00:72::2"
# In the clients' own network.
NEAR, NEAR6 = "10.70.0.60", "fd00:70::60"


class Egress(ProxyCase):
    back = {
        "gateway": [SERVERS[3], SERVERS6[3]],
        "vlans": [{"id": 100, "addresses": [f"{VLAN}/24", f"{VLAN6}/64"]}],
    }
    ENDS = {
        "subnet": (SERVERS[0], SERVERS6[0], BACK, BACK6, {}),
        "gateway": (FAR, FAR6, BACK, BACK6, {}),
        "vlan": (TAGGED, TAGGED6, VLAN, VLAN6, {}),
        "near": (NEAR, NEAR6, FRONT, FRONT6, {}),
        # The gateway's network would be the way otherwise.
        "said": (SERVERS[0], SERVERS6[0], BACK, BACK6, {"egress": "back"}),
        "said-vlan": (TAGGED, TAGGED6, VLAN, VLAN6, {"egress": "back", "egress_vlan": 100}),
    }
    upstreams = [
        group(f"{name}{version}", (name, ends[at], 80), health_check={"interval": "300ms", "timeout": "200ms"})
        for name, ends in ENDS.items()
        for at, version in enumerate("46")
    ]
    services = [
        front(f"{name}{version}", 8000 + 10 * n + at, upstream=f"{name}{version}", **ends[4])
        for n, (name, ends) in enumerate(ENDS.items())
        for at, version in enumerate("46")
    ]

    @classmethod
    def start_servers(cls):
        for address in (FAR, FAR6):
            cls.up.ip("address", "add", address, "dev", "lo")
        device, done = vlan_device(cls.up, "upstream", 100)
        cls.addClassCleanup(done)
        cls.up.ip("address", "add", f"{TAGGED}/24", "dev", device)
        cls.up.ip("address", "add", f"{TAGGED6}/64", "dev", device, "nodad")
        cls.near.ip("address", "add", f"{NEAR}/24", "dev", "client")
        cls.near.ip("address", "add", f"{NEAR6}/64", "dev", "client")
        there = [SERVERS[0], SERVERS6[0], FAR, FAR6, TAGGED, TAGGED6]
        for namespace, name, addresses in ((cls.up, "up", there), (cls.near, "near", [NEAR, NEAR6])):
            nginx = Nginx(namespace, name, *((address, 80) for address in addresses)).start()
            cls.addClassCleanup(nginx.stop)

    def test_each_way(self):
        for n, (name, ends) in enumerate(self.ENDS.items()):
            for at, dialled in enumerate((FRONT, f"[{FRONT6}]")):
                with self.subTest(f"{name}, {ends[at]}"):
                    seen = clients.curl("-g", f"http://{dialled}:{8000 + 10 * n + at}/who").stdout.split()
                    self.assertEqual((seen[0], seen[2:4]), (ends[2 + at], [ends[at], "80"]))

    def test_checks_take_them_too(self):
        for name in self.ENDS:
            for version in "46":
                row = f"{name}{version}/{name}"
                self.eventually(lambda row=row: self.server_row(row)["health"] == "up", f"{row} is up", 5)

    def test_ports_are_named(self):
        with clients.connect(FRONT, 8020, 5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertIn(b" 200 OK", connection.recv(65536))
            (row,) = self.sessions("--service", "vlan4")
            self.assertEqual((row["upstream_leg"]["port"], row["upstream_leg"]["vlan"]), ("back", 100))
