"""More than one port; addresses that are routed here."""

import clients
from rig import ECHO, V4, V6, ApplianceCase


class TwoPorts(ApplianceCase):
    """A veth and a tap; services told apart by the port a flow came in on."""

    @classmethod
    def config(cls):
        config = super().config()
        config["ports"].append(
            {
                "name": "tap",
                "device": "net_tap0,iface=mill0",
                "addresses": ["10.68.0.2/24", "fd00:68::2/64"],
                "kernel_addresses": ["10.68.0.1/24", "fd00:68::1/64"],
            }
        )
        by_port = [
            {
                "name": f"web-{port}",
                "match": {"ingress": port, "protocol": "tcp", "port": 80},
                "action": "terminate",
                "application": {"http": {"body": f"{port}\n"}},
            }
            for port in ("lan", "tap")
        ]
        return {**config, "services": [*by_port, ECHO]}

    def test_services_by_port(self):
        self.assertEqual(clients.curl(f"http://{V4}/").stdout, "lan\n")
        with self.far.entered():
            self.assertEqual(clients.curl("http://10.68.0.2/").stdout, "tap\n")
            self.assertEqual(clients.curl("-g", "http://[fd00:68::2]/").stdout, "tap\n")

    def test_transfers_on_both(self):
        for address in (V4, V6):
            sent, received = clients.echo(address, 7, 8 << 20)
            self.assertEqual(sent, received)
        with self.far.entered():
            sent, received = clients.echo("10.68.0.2", 7, 8 << 20)
            self.assertEqual(sent, received)

    def test_flows_name_their_port(self):
        with self.far.entered(), clients.connect("10.68.0.2", 7) as connection:
            rows = self.appliance.show("flows", "--port", str(connection.getsockname()[1]))["flows"]
            self.assertEqual([row["port"] for row in rows], ["tap"])

    def test_counted_apart(self):
        self.appliance.at_rest()
        before = self.packets()
        for _ in range(50):
            clients.curl(f"http://{V4}/")
        self.appliance.at_rest()
        after = self.packets()
        self.assertGreaterEqual(after["lan"] - before["lan"], 150)
        self.assertLess(after["tap"] - before["tap"], 20, "nothing but what neighbours may ask")

    def packets(self):
        """Packets sent, by port."""
        samples = self.appliance.metrics()["millrace_port_tx_packets_total"]
        return {labels["port"]: value for labels, value in samples}


class Routed(ApplianceCase):
    """With `any_ip`, whatever is routed to the appliance is for it; and answers find the station they came by."""

    @classmethod
    def connect(cls):
        super().connect()
        cls.near.ip("route", "add", "203.0.113.0/24", "via", V4)
        cls.near.ip("route", "add", "2001:db8:77::/64", "via", V6)
        # An address of the client that is on none of the appliance's subnets.
        cls.near.ip("address", "add", "198.51.100.7/32", "dev", "lo")

    def test_100_addresses_that_are_routed_here(self):
        for last in range(1, 101):
            self.assertEqual(clients.datagram(f"203.0.113.{last}", 7, b"x"), b"x")
            self.assertEqual(clients.datagram(f"2001:db8:77::{last}", 7, b"y"), b"y")
        self.assertEqual(clients.curl("http://203.0.113.80/").stdout, "hello\n")
        self.assertEqual(clients.curl("-g", "http://[2001:db8:77::80]/").stdout, "hello\n")
        sent, received = clients.echo("203.0.113.9", 7, 4 << 20)
        self.assertEqual(sent, received)

    def test_client_from_somewhere_else(self):
        done = clients.curl("--interface", "198.51.100.7", f"http://{V4}/")
        self.assertEqual(done.stdout, "hello\n")
