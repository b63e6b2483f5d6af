"""A port on a VLAN besides its untagged side: each has its own addresses and services."""

import clients
import net
from rig import CLIENT_V4, ECHO, V4, ApplianceCase
from vlan import vlan_device

VLAN_V4, VLAN_V6 = "10.67.0.2", "fd00:67::2"


class Vlan(ApplianceCase):
    services = [
        {
            "name": "tagged",
            "match": {"protocol": "tcp", "port": 80, "vlan": 100},
            "action": "terminate",
            "application": {"http": {"body": "tagged\n"}},
        },
        {
            "name": "untagged",
            "match": {"protocol": "tcp", "port": 80},
            "action": "terminate",
            "application": {"http": {"body": "untagged\n"}},
        },
        ECHO,
    ]
    port = {"vlans": [{"id": 100, "addresses": [f"{VLAN_V4}/24", f"{VLAN_V6}/64"], "any_ip": True}]}

    @classmethod
    def connect(cls):
        net.link(cls.far, cls.near)
        device, done = vlan_device(cls.near, "client", 100)
        cls.addClassCleanup(done)
        cls.near.ip("address", "add", f"{CLIENT_V4}/24", "dev", "client")
        cls.near.ip("address", "add", "10.67.0.1/24", "dev", device)
        cls.near.ip("address", "add", "fd00:67::1/64", "dev", device, "nodad")

    def test_each_side_has_its_service(self):
        self.assertEqual(clients.curl(f"http://{VLAN_V4}/").stdout, "tagged\n")
        self.assertEqual(clients.curl("-g", f"http://[{VLAN_V6}]/").stdout, "tagged\n")
        self.assertEqual(clients.curl(f"http://{V4}/").stdout, "untagged\n")

    def test_any_address_of_the_vlan(self):
        self.assertEqual(clients.curl("http://10.67.0.99/").stdout, "tagged\n")

    def test_ping(self):
        for option, address in (("-4", VLAN_V4), ("-6", VLAN_V6), ("-4", V4)):
            self.assertIn(" 0% packet loss", net.run("ping", option, "-c", "2", "-i", "0.2", address).stdout)

    def test_echo_integrity(self):
        for address in (VLAN_V4, VLAN_V6):
            sent, received = clients.echo(address, 7, 4 << 20)
            self.assertEqual(sent, received)
        self.assertEqual(clients.datagram(VLAN_V4, 7, b"over a vlan"), b"over a vlan")

    def test_flows_name_their_vlan(self):
        with clients.connect(VLAN_V4, 7) as connection:
            port = connection.getsockname()[1]
            rows = self.appliance.show("flows", "--port", str(port))["flows"]
            self.assertEqual([row["vlan"] for row in rows], [100])
