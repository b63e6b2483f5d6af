"""conf/quickstart.yaml as it is, over a tap: what a newcomer tries first."""

import socket
import subprocess

import clients
import net
from appliance import ROOT
from rig import TapCase


class Quickstart(TapCase):
    @classmethod
    def config(cls):
        return (ROOT / "conf/quickstart.yaml").read_text()

    def test_curl_v4(self):
        self.assertEqual(clients.curl("http://10.64.0.2/").stdout, "hello\n")

    def test_curl_any_address(self):
        for last in (9, 100, 254):
            self.assertEqual(clients.curl(f"http://10.64.0.{last}/").stdout, "hello\n")

    def test_curl_v6(self):
        for host in ("fd00:64::2", "fd00:64::9"):
            self.assertEqual(clients.curl("-6", "-g", f"http://[{host}]/").stdout, "hello\n")

    def test_ping(self):
        self.appliance.at_rest()
        before = self.appliance.metric("millrace_icmp_echoes_total")
        for option, host in (("-4", "10.64.0.2"), ("-4", "10.64.0.9"), ("-6", "fd00:64::2"), ("-6", "fd00:64::9")):
            done = net.run("ping", option, "-c", "3", "-i", "0.2", "-W", "2", host)
            self.assertIn(" 0% packet loss", done.stdout)
        self.eventually(
            lambda: self.appliance.metric("millrace_icmp_echoes_total") == before + 12, "12 echoes counted"
        )

    def test_nc_echo(self):
        done = net.run("nc", "-N", "-w", "5", "10.64.0.2", "7", stdin="over tcp\n")
        self.assertEqual(done.stdout, "over tcp\n")

    def test_nc_udp_echo(self):
        for host in ("10.64.0.9", "fd00:64::9"):
            done = net.run("nc", "-u", "-w", "1", host, "7", stdin="over udp\n")
            self.assertEqual(done.stdout, "over udp\n")

    def test_metrics_count_what_was_answered(self):
        self.appliance.at_rest()
        before = self.appliance.service("web", "http_requests")
        for _ in range(5):
            clients.curl("http://10.64.0.2/")
        self.eventually(lambda: self.appliance.service("web", "http_requests") == before + 5, "5 requests counted")

    def test_flows_are_seen_live(self):
        with clients.connect("10.64.0.33", 7) as connection:
            connection.sendall(b"ping")
            self.assertEqual(clients.receive_exactly(connection, 4), b"ping")
            port = connection.getsockname()[1]
            rows = self.appliance.show("flows", "--port", str(port))["flows"]
            self.assertEqual(len(rows), 1)
            row = rows[0]
            self.assertEqual((row["local"], row["local_port"], row["state"]), ("10.64.0.33", 7, "ESTABLISHED"))
            self.assertEqual((row["service"], row["bytes_in"], row["bytes_out"]), ("echo", 4, 4))
            text = self.appliance.ctl("show", "flows").stdout
            self.assertIn("ESTABLISHED", text)
            connection.shutdown(socket.SHUT_WR)
            self.assertEqual(connection.recv(1), b"")

    def test_kernel_has_its_address(self):
        text = self.far.ip("address", "show", "dev", "mill0").stdout
        self.assertIn("10.64.0.1/24", text)
        self.assertIn("fd00:64::1/64", text)

    def test_concurrent_echoes(self):
        for size in (1, 1024, 1 << 20):
            sent, received = clients.echo("10.64.0.2", 7, size)
            self.assertEqual(sent, received)
        processes = [
            subprocess.Popen(["curl", "-sS", "--max-time", "20", f"http://10.64.0.{10 + n}/"], stdout=subprocess.PIPE)
            for n in range(20)
        ]
        for process in processes:
            self.assertEqual(process.communicate(timeout=30)[0], b"hello\n")
